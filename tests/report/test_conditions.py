from dataclasses import replace
from typing import Any

from rollahead.report.conditions import Condition, conditions
from rollahead.report.load import CellResult

from .records import result

POLICY = {"name": "policy", "checkpoint": "mole_flow"}


def words(*cells: CellResult) -> list[str]:
    return [one.words for one in conditions(cells)]


def lognormal(p95: float, median: float | None = None) -> CellResult:
    latency: dict[str, Any] = {"name": "lognormal", "p50": 4.0, "p95": p95, "median": median}
    return result(latency=latency)


def test_a_condition_says_task_planner_and_kind_of_latency() -> None:
    (one,) = conditions([result()])
    assert one == Condition("mole", "scripted", "fixed", "", "", "", "")
    assert one.scene == "planner scripted, fixed latency"


def test_only_what_differs_is_in_its_words() -> None:
    cells = [result(), replace(result(), planner=POLICY), replace(result(), task={"name": "belt"})]
    assert words(*cells) == ["mole, scripted", "mole, mole_flow", "belt, scripted"]


def test_a_roller_is_told_of_where_there_are_several() -> None:
    rolled = replace(result(), roller={"name": "scene"})
    assert [one.roller for one in conditions([result(), rolled])] == ["roller robot", "roller scene"]
    assert conditions([result(), rolled])[1].scene == "planner scripted, fixed latency, roller scene"
    assert words(result(), rolled) == ["roller robot", "roller scene"]
    assert conditions([rolled])[0].roller == ""


def test_limits_are_told_of_where_some_have_others() -> None:
    limited = replace(result(), limits={"default": {"rate_limit": 1.5, "accel_limit": 8.4}})
    said = "limits default.rate_limit 1.5, default.accel_limit 8.4"
    assert words(result(), limited) == ["no limits", said]
    assert conditions([result(), limited])[1].scene == f"planner scripted, fixed latency, {said}"
    assert conditions([limited])[0].limits == ""


def test_settings_of_the_guard_are_told_of_where_some_have_others() -> None:
    off = replace(result(), guard={"ramp_s": 0.5, "enabled": False, "frozen_ticks": None})
    said = "guard enabled false, frozen_ticks null, ramp_s 0.5"
    assert words(result(), off) == ["guard as usual", said]
    assert conditions([result(), off])[1].scene == f"planner scripted, fixed latency, {said}"
    assert conditions([off])[0].guard == ""


def test_delays_of_one_kind_of_latency_are_one_condition() -> None:
    fixed = result(latency={"name": "fixed", "ticks": 8, "median": 2})
    assert len(set(conditions([fixed, result(ticks=4), result(ticks=12)]))) == 1


def test_latencies_of_one_median_are_told_apart_by_their_shape() -> None:
    assert words(lognormal(6, 8), lognormal(12, 8)) == ["lognormal (p95 6)", "lognormal (p95 12)"]


def test_a_shape_is_not_told_twice() -> None:
    assert words(lognormal(6), lognormal(12)) == ["", ""]  # `latency_words` says it
    assert words(lognormal(6, 8), lognormal(6, 4), result()) == ["", "", ""]
