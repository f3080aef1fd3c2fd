import math
from collections.abc import Callable
from itertools import count

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError, ControlError, InferenceError
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.strategy import Vlash
from rollahead.runtime.control.trace import TickStatus, Trace
from rollahead.runtime.control.trigger import Every
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Fixed, Latency
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation, Request, Result, ResultFlags, Snapshot
from rollahead.runtime.types.spec import Dim, RobotSpec

SPEC = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), rate_hz=50.0)
Act = Callable[[], FloatArray]


def rising(error: Exception) -> Act:
    def act() -> FloatArray:
        raise error

    return act


def driven(good: int, trouble: Act, *, latency: int = 1, advance: Callable[[], None] = lambda: None) -> Lockstep:
    """A driver whose planner plans fours `good` times, and then does `trouble`."""
    begun = count()

    def plan(seen: Observation, rng: np.random.Generator) -> FloatArray:
        return np.full((6, 1), 4.0) if next(begun) < good else trouble()

    robot = LoopbackRobot(SPEC)
    executor = Executor(robot, Vlash(Every(3)), DelayEstimator(fixed=latency), Trace(SPEC, 50), horizon=6)
    inference = Inference(ScriptedPlanner(plan), SpeedUp(SPEC, 1), horizon=6, action_dim=1)
    lockstep = Lockstep(executor, inference, Fixed(latency), advance)
    lockstep.robot, lockstep.trace = robot, executor.trace  # type: ignore[attr-defined]
    return lockstep


TROUBLE: dict[str, Act] = {
    "raises": rising(RuntimeError("out of memory")),
    "raises on purpose": rising(ConfigError("there is no checkpoint; give one")),
    "gives no numbers": lambda: np.full((6, 1), np.nan),
    "gives another shape": lambda: np.zeros((2, 1)),
}


@every("trouble", TROUBLE)
@every("good", range(4))
@every("latency", range(4))
def test_in_the_tick_of_a_planners_error_a_hold_is_sent_and_the_robot_stopped(
    trouble: str, good: int, latency: int
) -> None:
    moved: list[None] = []
    lockstep = driven(good, TROUBLE[trouble], latency=latency, advance=lambda: moved.append(None))
    robot, trace = lockstep.robot, lockstep.trace  # type: ignore[attr-defined]
    with pytest.raises(ControlError):
        lockstep.run(0, 30)
    last = trace.ticks[-1]
    assert last["tick"] == len(moved) >= good  # the world is not moved on after it
    assert (last["status"], last["chunk"]) == (TickStatus.UNDERRUN, -1)
    assert robot.stopped
    assert len(robot.sent) == len(trace.ticks)
    assert last["action"].tolist() == [4.0 if (trace.ticks["status"] == TickStatus.OK).any() else 0.0]


def test_the_error_that_is_raised_is_the_planners() -> None:
    refusal = ConfigError("there is no checkpoint; give one")
    with pytest.raises(ConfigError) as caught:
        driven(3, rising(refusal)).run(0, 30)
    assert caught.value is refusal
    with pytest.raises(InferenceError, match="out of memory"):
        driven(3, TROUBLE["raises"]).run(0, 30)


def test_without_an_error_the_robot_is_not_stopped_and_the_world_moves_once_a_tick() -> None:
    moved: list[None] = []
    lockstep = driven(99, TROUBLE["raises"], advance=lambda: moved.append(None))
    assert lockstep.run(0, 30) == len(moved) == 30
    assert not lockstep.robot.stopped  # type: ignore[attr-defined]


def test_interrupting_is_no_failure_of_the_planner() -> None:
    def interrupt() -> FloatArray:
        raise KeyboardInterrupt

    lockstep = driven(3, interrupt)
    with pytest.raises(KeyboardInterrupt):
        lockstep.run(0, 30)
    assert not lockstep.robot.stopped  # type: ignore[attr-defined]


# ---- planners that hurry --------------------------------------------------------------------------------------------


class Deadline:
    """A planner of `of` steps, which takes as many as its timer leaves time for."""

    def __init__(self, of: int) -> None:
        self._of = of
        self.steps: list[int] = []

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result:
        step, steps = timer.left(0.0) - timer.left(1 / self._of), 1
        while steps < self._of and timer.left(steps / self._of) >= step - 1e-9:
            steps += 1
        timer.left(steps / self._of)
        self.steps.append(steps)
        made = ResultFlags.CUT if steps < self._of else 0
        return Result(request, np.full((12, 1), 4.0), newest().tick, np.zeros(1), 0.0, steps, steps, made)


@every("bind", [0, 1, 2])
@every("done", range(3, 13))
def test_a_planner_that_hurries_is_there_by_its_deadline_if_one_step_is(bind: int, done: int) -> None:
    planned, of = 4, 5
    planner, delay = Deadline(of), DelayEstimator(fixed=planned)
    executor = Executor(LoopbackRobot(SPEC), Vlash(Every(8)), delay, Trace(SPEC, 50), horizon=12)
    inference = Inference(planner, SpeedUp(SPEC, 1), horizon=12, action_dim=1)

    class Always:
        def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
            return Latency(bind, done)

    Lockstep(executor, inference, Always(), lambda: None).run(0, 30)
    step = (done - bind) / of
    fits = max(min(int((planned - bind) / step + 1e-9), of), 1)
    for record, steps in zip(executor.trace.inferences, planner.steps, strict=False):
        assert (record.steps, steps) == (fits, fits)
        assert record.made == (ResultFlags.CUT if fits < of else 0)
        assert record.delay == (done if fits == of else max(math.ceil(bind + fits * step - 1e-9), bind))
    assert executor.trace.inferences
