from typing import Any

from rollahead.report.labels import called, differing, key, kind, labels


def said(*options: dict[str, Any]) -> list[str]:
    found = labels(options)
    return [found[key(one)] for one in options]


def test_what_has_a_name_of_its_own_is_called_by_it() -> None:
    assert said({"name": "mole", "window_s": 0.9}, {"name": "belt"}) == ["mole", "belt"]


def test_options_of_the_same_name_are_told_apart_by_what_differs() -> None:
    spikes = [{"name": "spikes", "low": low, "high": 20} for low in (9, 15)]
    assert said({"name": "fixed"}, *spikes) == ["fixed", "spikes (low 9)", "spikes (low 15)"]


def test_an_option_that_one_has_and_another_lacks_tells_them_apart() -> None:
    assert said({"name": "mole"}, {"name": "mole", "pace": 2.0}) == ["mole", "mole (pace 2.0)"]


def test_equal_options_have_one_name_whatever_their_order() -> None:
    assert key({"name": "a", "b": 1}) == key({"b": 1, "name": "a"})
    assert len(labels([{"name": "a", "b": 1}, {"b": 1, "name": "a"}])) == 1


def test_a_policy_is_called_by_its_checkpoint_or_the_run_that_left_it() -> None:
    assert called({"name": "policy", "checkpoint": "mole_flow"}) == "mole_flow"
    assert called({"name": "policy", "checkpoint": "runs/mine/checkpoint"}) == "mine"
    assert called({"name": "policy", "checkpoint": "checkpoint"}) == "checkpoint"


def test_checkpoints_that_are_called_the_same_are_told_apart() -> None:
    one, other = ({"name": "policy", "checkpoint": f"{where}/mine/checkpoint"} for where in ("a", "b"))
    assert said(one, other) == ["mine (checkpoint a/mine/checkpoint)", "mine (checkpoint b/mine/checkpoint)"]


def test_what_is_null_or_missing_does_not_differ() -> None:
    assert differing([{"a": None, "b": 1}, {"b": 2}]) == ["b"]


def test_the_kind_of_a_latency_is_all_but_how_long_it_is() -> None:
    assert kind({"name": "fixed", "ticks": 8, "median": None}) == {"name": "fixed"}
    assert kind({"name": "fixed", "ticks": 8, "median": 2}) == {"name": "fixed"}
    assert kind({"name": "spikes", "ticks": 4, "low": 9, "median": 2}) == {"name": "spikes", "ticks": 4, "low": 9}
