"""The checker of limits sees each rule broken, and passes what keeps them."""

import math
from typing import Any

import numpy as np
import pytest
from benchmarks.episodes import Episode, Joint, Player, Wave, episode, play
from benchmarks.limits import Checker, Event

from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

RATE_HZ = 10.0
GUARDLESS = GuardConfig(enabled=False)


def robot(kind: Kind = Kind.POSITION, edge: float = math.inf, **limits: float) -> RobotSpec:
    """One action in [-2, 2]."""
    limits = {"low": -2.0, "high": 2.0, **limits}
    return RobotSpec((Dim("a", kind=kind, drives="s", **limits),), (Dim("s", low=-edge, high=edge),), RATE_HZ)


def tick(read: float | None, *sent: float) -> list[Event]:
    """A tick with its reading and setpoints."""
    reading = Event("read", None if read is None else (read,))
    return [Event("head"), reading, *(Event("write", (one,)) for one in sent)]


def order(what: str) -> list[Event]:
    """As the robot sees it: an e-stop stops it."""
    return [Event("order", order=what), *([Event("stop")] if what == "estop" else [])]


HEAD = tick(0.0)  # a first reading: nothing may be sent yet


def rules(spec: RobotSpec, *ticks: list[Event], substeps: int = 1, **options: Any) -> list[str]:
    """The rules that are broken."""
    log = [event for events in ticks for event in events]
    return [broken.rule for broken in Checker(spec, substeps, **options).check(log)]


# ---- range, rate, acceleration --------------------------------------------------------------------------------------


def test_a_setpoint_beyond_the_range_is_seen_and_one_at_its_end_is_not() -> None:
    assert rules(robot(), HEAD, tick(0.0, 2.0)) == []
    assert rules(robot(), HEAD, tick(0.0, 2.0 + 1e-6)) == ["range"]
    assert rules(robot(), HEAD, tick(0.0, -2.1)) == ["range"]
    assert rules(robot(edge=1.5), HEAD, tick(0.0, 1.6)) == ["range"]  # of the state that it drives
    assert rules(robot(), HEAD, tick(0.0, math.nan)) == ["range"]


def test_a_robot_found_outside_may_only_come_in() -> None:
    assert rules(robot(), tick(2.5), tick(2.5, 2.5), tick(2.5, 2.3), tick(2.5, 2.0)) == []
    assert rules(robot(), tick(2.5), tick(2.5, 2.6)) == ["range"]
    assert rules(robot(), tick(2.5), tick(2.5, 2.3), tick(2.5, 2.4)) == ["range"]
    assert rules(robot(), tick(0.0), tick(0.0, 1.9), tick(2.5, 2.3)) == ["range"]  # it was sent inside before


@pytest.mark.parametrize("substeps", [1, 5])
def test_the_rate_is_from_setpoint_to_setpoint(substeps: int) -> None:
    step = 1.0 / RATE_HZ / substeps
    ways = step * np.arange(1, substeps + 1)
    spec = robot(rate_limit=1.0)
    assert rules(spec, HEAD, tick(0.0, *ways), substeps=substeps) == []
    assert rules(spec, HEAD, tick(0.0, *(1.001 * ways)), substeps=substeps) == ["rate"] * substeps


def test_the_acceleration_is_from_rest_and_to_rest() -> None:
    spec = robot(accel_limit=10.0)  # 0.1 per setpoint and setpoint
    ways = [tick(0.0, x) for x in (0.1, 0.3, 0.5, 0.6, 0.6)]
    assert rules(spec, HEAD, *ways, order("end"), [Event("stop")]) == []
    assert rules(spec, HEAD, tick(0.0, 0.11)) == ["accel"]
    assert rules(spec, HEAD, *ways[:4], order("end"), [Event("stop")]) == []
    assert rules(spec, HEAD, *ways[:3], order("end"), [Event("stop")]) == ["rest"]
    assert rules(spec, HEAD, *ways[:3], tick(0.5, 0.5)) == ["accel"]
    assert rules(spec, HEAD, *ways[:3], tick(0.5)) == ["idle"]  # nothing is sent: it stands


def test_a_velocity_that_is_left_on_is_not_at_rest() -> None:
    assert rules(robot(Kind.VELOCITY), HEAD, tick(0.0, 1.0), order("end"), [Event("stop")]) == ["rest"]
    assert rules(robot(Kind.VELOCITY), HEAD, tick(0.0, 1.0), tick(0.0, 0.0), order("end"), [Event("stop")]) == []


def test_the_limits_of_a_step_are_of_the_whole_tick() -> None:
    spec = robot(Kind.DELTA, low=-0.2, high=0.2, rate_limit=1.0)  # 0.1 from tick to tick
    assert rules(spec, HEAD, tick(0.0, 0.025, 0.05), tick(0.0, 0.075, 0.1), substeps=2) == []
    assert rules(spec, HEAD, tick(0.0, 0.026, 0.05), substeps=2) == ["rate"]
    assert rules(robot(Kind.DELTA, low=-0.2, high=0.2), HEAD, tick(0.0, 0.1, 0.11), HEAD, substeps=2) == ["range"]


def test_a_jump_is_seen() -> None:
    assert rules(robot(jump_limit=0.5), HEAD, tick(0.0, 0.5), tick(0.0, 1.01)) == ["jump"]


# ---- where a target begins ------------------------------------------------------------------------------------------


def test_two_readings_have_to_agree_before_anything_is_sent() -> None:
    spec = robot(rate_limit=1.0)
    assert rules(spec, tick(0.0, 0.0)) == ["begin"]
    assert rules(spec, tick(0.0), tick(9.0, 9.0)) == ["begin"]
    assert rules(spec, tick(0.0), tick(1.0, 1.0)) == ["begin"]
    assert rules(spec, tick(0.0), tick(None), tick(0.0, 0.0)) == []
    assert rules(spec, tick(1.0), tick(9.0), tick(1.0, 1.0)) == ["begin"]
    assert rules(spec, tick(1.0), tick(9.0), tick(1.0), tick(1.0, 1.0)) == []
    assert rules(spec, tick(0.0), [Event("head"), Event("read", (0.0,), age=6), Event("write", (0.0,))]) == ["begin"]


def test_after_an_estop_a_target_begins_at_rest_where_it_is_found() -> None:
    spec = robot(rate_limit=1.0, accel_limit=10.0)
    before = [HEAD, tick(0.0, 0.1), order("estop"), tick(1.0), tick(1.0), order("reset")]
    assert rules(spec, *before, tick(1.0, 1.1)) == []
    assert rules(spec, *before, tick(1.0, 0.2)) == ["rate"]
    fast = robot(Kind.VELOCITY, rate_limit=1.0)
    assert rules(fast, HEAD, tick(0.0, 0.1), tick(0.0, 0.2), *before[2:], tick(1.0, 0.1)) == []
    assert rules(fast, HEAD, tick(0.0, 0.1), tick(0.0, 0.2), *before[2:], tick(1.0, 0.2)) == ["rate"]


@pytest.mark.parametrize("what", ["resume", "reset"])
def test_after_a_resume_or_a_reset_a_target_goes_on_unless_it_is_found_far_away(what: str) -> None:
    spec = robot(rate_limit=1.0)  # far is 0.25
    near, far = [tick(0.24)] * 2, [tick(0.26)] * 2
    assert rules(spec, HEAD, tick(0.0, 0.0), *far, order(what), tick(0.26, 0.26)) == []
    assert rules(spec, HEAD, tick(0.0, 0.0), *near, order(what), tick(0.24, 0.24)) == ["rate"]
    assert rules(spec, HEAD, tick(0.0, 0.0), *far, tick(0.26, 0.26)) == ["rate"]  # nobody ordered anything
    late = [HEAD, tick(0.0, 0.0), *far, order(what), *[tick(0.26, 0.0)] * 3, tick(0.26, 0.26)]
    assert rules(spec, *late, grace=4) == []
    assert rules(spec, *late, grace=3) == ["rate"]
    twice = [HEAD, tick(0.0, 0.0), *far, order(what), tick(0.26, 0.26), tick(0.6), tick(0.6), tick(0.6, 0.6)]
    assert rules(spec, *twice) == ["rate"]
    assert rules(spec, HEAD, tick(0.0, 0.0), order(what), tick(0.26, 0.26)) == ["rate"]  # found there once
    assert rules(robot(), HEAD, tick(0.0, 0.0), *[tick(0.41)] * 2, order(what), tick(0.41, 0.41)) == []


# ---- edges, stops, bursts -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Kind.VELOCITY, Kind.DELTA])
def test_an_axis_that_is_sent_out_of_its_range_is_seen_whatever_is_read(kind: Kind) -> None:
    spec, move = robot(kind, edge=1.0), 10.0 if kind is Kind.VELOCITY else 1.0
    spec = RobotSpec((Dim("a", kind=kind, drives="s"),), spec.state, RATE_HZ)
    sent = [tick(0.0, 0.5 * move), tick(0.0, 0.5 * move)]
    assert rules(spec, HEAD, *sent, tick(0.0, 0.0), exact=["a"]) == []
    assert rules(spec, HEAD, *sent, tick(0.0, 0.01 * move), exact=["a"]) == ["edge"]
    assert rules(spec, HEAD, *sent, tick(0.0, -0.01 * move), exact=["a"]) == []
    still = [Event("skip"), *tick(0.0, 0.4 * move)]
    assert rules(spec, HEAD, sent[0], still, exact=["a"]) == (["edge"] if kind is Kind.VELOCITY else [])


def test_nothing_is_sent_after_an_estop_until_a_reset() -> None:
    before = [HEAD, tick(0.0, 0.0), order("estop")]
    assert rules(robot(), *before, tick(0.0, 0.0)) == ["stop"]
    assert rules(robot(), *before, order("resume"), tick(0.0, 0.0)) == ["stop"]
    assert rules(robot(), *before, tick(0.0), order("reset"), tick(0.0, 0.0)) == []
    own = [HEAD, tick(0.0, 0.0), [Event("stop")]]  # nobody ordered it
    assert rules(robot(), *own, tick(0.0, 0.0)) == ["stop"]
    at_once = [HEAD, tick(0.0, 0.0), [Event("order", order="estop"), Event("order", order="reset"), Event("stop")]]
    assert rules(robot(), *at_once, tick(0.0, 0.0)) == []


def test_a_tick_has_all_of_its_setpoints_or_none() -> None:
    assert rules(robot(), HEAD, tick(0.0, 0.0, 0.0), tick(0.0, 0.0), HEAD, substeps=2) == ["stop"]
    assert rules(robot(), HEAD, tick(0.0, 0.0, 0.0), [Event("skip")], HEAD, substeps=2) == []


def test_a_burst_is_seen_in_the_times_of_setpoints() -> None:
    def sent(*times: float) -> list[Event]:
        return [Event("write", (0.1 * (n + 1),), at_s=at) for n, at in enumerate(times)]

    spec, heads = robot(rate_limit=1.0), [Event("read", (0.0,))] * 2
    assert rules(spec, heads, sent(0.0, 0.1, 0.2, 0.3)) == []
    assert rules(spec, heads, sent(0.0, 0.2, 0.2, 0.3)) == []
    assert rules(spec, heads, sent(0.0, 0.2, 0.2, 0.25)) == ["burst"]
    assert rules(spec, heads, sent(0.0, 0.5, 0.5, 0.5, 0.5)) == ["burst"] * 2


# ---- episodes -------------------------------------------------------------------------------------------------------


def test_an_episode_is_the_same_whenever_it_is_played() -> None:
    rng = np.random.default_rng(3)
    one = episode(lambda options: options[int(rng.integers(len(options)))])
    first, second = Player(one), Player(one)
    first.play(), second.play()
    assert [repr(event) for event in first.log] == [repr(event) for event in second.log]


def test_a_robot_that_is_sent_what_is_planned_without_a_guard_breaks_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Episode((Joint(Dim("a", rate_limit=1.0, drives="s"), Wave("jumps", 1.0)),))
    assert play(one) == []
    monkeypatch.setattr("benchmarks.episodes.GuardConfig", lambda **kwargs: GUARDLESS)
    assert {broken.rule for broken in play(one)} == {"rate"}
