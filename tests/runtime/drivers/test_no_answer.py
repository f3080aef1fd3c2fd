"""A planner that has no answer now and then: no run ends by it, and simulated time and both isolations agree."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from noted import SPEC, NotedRobot, Notes
from rollahead.errors import InferenceError
from rollahead.runtime.config.build import Drive, StrategyConfig, make_delay, make_executor
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trace import STAGES, InferenceRecord, TickStatus, Trace
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.drivers.realtime import WARM_UPS, Realtime
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Fixed
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot

H, TICKS = 12, 48
HICCUP, OUTAGE = (8,), tuple(range(8, 34))  # ticks whose requests get no answer; the last plan before them ends at 18
DRIVE = Drive(StrategyConfig("vlash", s=4, d=2), H)
TRIES = 5  # others share the machine


def plan(seen: Observation, rng: np.random.Generator) -> FloatArray:
    return np.array([1.0, 0.0]) * (seen.tick + np.arange(H))[:, None] / 100


class Flaky:
    """Gives no answer to the requests of the ticks `silent`, after the first `warm` requests."""

    def __init__(self, silent: tuple[int, ...], warm: int = 0) -> None:
        self._planner = ScriptedPlanner(plan)
        self._silent = silent
        self._warm = warm

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result | None:
        self._warm -= 1
        if self._warm < 0 and request.tick in self._silent:
            return None
        return self._planner.infer(request, newest, timer)


def simulated(silent: tuple[int, ...]) -> Trace:
    trace = Trace(SPEC, TICKS)
    robot = NotedRobot(Notes().ring)
    executor = make_executor(DRIVE, robot, make_delay(DRIVE.strategy, Fixed(1), 0), trace)
    inference = Inference(Flaky(silent), SpeedUp(SPEC, 1), horizon=H, action_dim=2)
    Lockstep(executor, inference, Fixed(1), lambda: None).run(0, TICKS)
    return trace


def live(silent: tuple[int, ...], isolation: str) -> Trace:
    robot = partial(NotedRobot, Notes().ring)
    planner = Flaky(silent, WARM_UPS)
    with Realtime(DRIVE, robot, planner, isolation=isolation, latency=Fixed(1)) as runtime:
        runtime.start(TICKS)
        runtime.wait()
    return runtime.trace


def told(trace: Trace) -> tuple[list[InferenceRecord], Any]:
    """What was inferred and sent in the first ticks, without the times."""
    ticks = trace.ticks[trace.ticks["tick"] < TICKS]
    sent = [ticks[name].tolist() for name in ("tick", "status", "chunk", "action")]
    return [one for one in trace.inferences if one.accepted < TICKS], sent


@pytest.mark.parametrize("isolation", ["thread", "process"])
@pytest.mark.parametrize("silent", [HICCUP, OUTAGE], ids=["once", "for long"])
def test_without_an_answer_a_run_in_real_time_does_what_lockstep_does(silent: tuple[int, ...], isolation: str) -> None:
    wanted = told(simulated(silent))
    assert any(told(live(silent, isolation)) == wanted for _ in range(TRIES))


def test_one_answer_that_is_missing_changes_nothing_but_that_the_next_tick_asks_again() -> None:
    trace = simulated(HICCUP)
    asked = [(one.request, one.outcome) for one in trace.inferences]
    assert asked[:5] == [(0, "placed"), (4, "placed"), (8, "no_answer"), (9, "placed"), (13, "placed")]
    assert TickStatus.UNDERRUN not in trace.ticks["status"][2:]


def test_when_the_plan_runs_out_the_robot_holds_until_there_is_an_answer() -> None:
    trace = simulated(OUTAGE)
    held = trace.ticks["tick"][trace.ticks["status"] == TickStatus.UNDERRUN]
    assert held.tolist() == [0, 1, *range(18, 36)]
    assert [one.request for one in trace.inferences if one.outcome == "no_answer"] == list(OUTAGE)
    assert trace.ticks["status"][-1] == TickStatus.OK


def test_a_planner_without_an_answer_in_the_warm_up_is_refused_before_anything_moves() -> None:
    notes = Notes()
    runtime = Realtime(DRIVE, partial(NotedRobot, notes.ring), Flaky((2,)))
    with pytest.raises(InferenceError, match=r"no answer to request 3 of 5; see that it can answer"), runtime:
        pass
    assert not notes.sent


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_stage_times_reach_the_trace_in_real_time_and_are_none_in_simulated_time(isolation: str) -> None:
    placed = [one for one in live((), isolation).inferences if one.outcome == "placed"]
    assert all(one.queue_ns > 0 and one.infer_ns > 0 and one.publish_ns > 0 for one in placed)
    assert not any(getattr(one, name) for one in simulated(()).inferences for name in STAGES)
