"""`rollahead.drive` and `rollahead.realtime`, with robots and planners by name and as objects."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from every import every
from noted import CONNECT, DISCONNECT, STOP, WRITE, NotedRobot, Notes
from rollahead import ConfigError, InferenceError, Observation, Realtime, StrategyConfig, drive, realtime
from rollahead.runtime.robots.loopback import arm
from rollahead.runtime.types.arrays import FloatArray


def still(seen: Observation) -> FloatArray:
    return np.tile(seen.state, (12, 1))


def test_a_robot_is_driven_by_a_function_and_comes_to_rest() -> None:
    notes = Notes()
    result = drive(partial(NotedRobot, notes.ring), still, StrategyConfig("vlash", s=4, d=2), seconds=0.4)
    assert notes.order == [CONNECT, WRITE, STOP, DISCONNECT]
    assert result.ticks >= 20
    assert result.ticks == len(result.trace.ticks) == result.figures["ticks"]
    assert (result.no_answer, result.inferences > 0) == (0, True)
    assert result.rate_hz is not None


ROBOTS: dict[str, Any] = {
    "a name": "loopback",
    "a name with options": {"name": "loopback", "joints": 3},
    "an object": arm(),
    "a function": arm,
}


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_robot_is_given_in_any_of_four_ways(robot: str) -> None:
    assert drive(ROBOTS[robot], "sine", seconds=0.1).ticks >= 5


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_robot_by_name_is_driven_in_both_isolations(isolation: str) -> None:
    result = drive("loopback", still, seconds=0.3, isolation=isolation)
    assert result.inferences > 0


def test_a_function_that_has_no_answer_now_and_then_ends_no_run() -> None:
    calls = iter(range(10_000))

    def flaky(seen: Observation) -> FloatArray | None:
        return None if next(calls) >= 6 else still(seen)  # one for the horizon, five to warm up

    result = drive("loopback", flaky, seconds=0.3)
    assert result.no_answer > 1
    assert result.no_answer in (result.inferences, result.inferences - 1)  # the last may be of an epoch that is over
    assert result.delay_p50_ticks is None


def test_a_planner_that_raises_ends_the_run_with_its_error() -> None:
    calls = iter(range(10_000))

    def failing(seen: Observation) -> FloatArray:
        if next(calls) >= 6:
            raise ValueError("no such token")
        return still(seen)

    with pytest.raises(InferenceError, match=r"the planner raised ValueError \(no such token\)"):
        drive("loopback", failing, seconds=5)


def test_ctrl_c_ends_a_drive_without_an_end_and_interrupts_one_with(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(runtime: Realtime, timeout_s: float | None = None) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(Realtime, "wait", interrupted)
    assert drive("loopback", still).figures is not None
    with pytest.raises(KeyboardInterrupt):
        drive("loopback", still, seconds=5)


def test_a_runtime_takes_orders_while_its_block_is_open() -> None:
    with realtime("loopback", still, "naive") as runtime:
        runtime.start()
        runtime.pause()
        assert runtime.paused
        threading.Thread(target=runtime.finish).start()
        assert runtime.wait(10.0)


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "no robot": (lambda: drive(3, still), r"robot is int; give a name, a mapping with name and options, a Robot, or"),  # type: ignore[arg-type]
    "no time": (lambda: drive("loopback", still, seconds=0), r"seconds is 0; give a positive time, or None"),
    "an unknown robot": (lambda: drive("lopback", still), r"there is no robot 'lopback'; did you mean 'loopback'"),
    "an expert without a task": (lambda: drive("loopback", "scripted"), r"planner=scripted is a task's expert"),
    "an object in a process": (
        lambda: drive(NotedRobot(Notes().ring), still, isolation="proces"),
        r"there is no isolation 'proces'; did you mean 'process'",
    ),
}


@every("name", REFUSED)
def test_what_cannot_be_is_refused_before_anything_moves(name: str) -> None:
    driving, said = REFUSED[name]
    with pytest.raises(ConfigError, match=said):
        driving()
