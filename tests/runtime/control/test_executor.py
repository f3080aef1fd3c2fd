"""What the executor does at the seams that the contract's walk (`test_contract.py`) does not reach."""

from collections.abc import Mapping

import numpy as np
import pytest

from every import every
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.strategy import Naive
from rollahead.runtime.control.trace import TickStatus, Trace
from rollahead.runtime.control.trigger import AsSoonAsPossible, Every
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Failure, Result, ResultFlags, Snapshot
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

SPEC = RobotSpec(
    action=(Dim("x", drives="x"), Dim("v", kind=Kind.VELOCITY, rate_limit=10.0)),
    state=(Dim("x"), Dim("load")),
    environment=(Dim("ball"),),
    rate_hz=10.0,
)


class ReusingRobot:
    """A robot whose readings are all the same two arrays, overwritten at each read: x and the ball read 10 k at the
    k-th."""

    def __init__(self) -> None:
        self.spec = SPEC
        self.stopped = False
        self.sent: list[list[float]] = []
        self._state, self._environment, self._reads = np.zeros(2), np.zeros(1), 0

    def connect(self) -> None: ...

    def disconnect(self) -> None: ...

    def frames(self) -> Mapping[str, Frame]:
        return {}

    def read(self) -> Reading:
        self._state[:] = self._environment[:] = 10.0 * self._reads
        self._reads += 1
        return Reading(self._state, self._environment)

    def write(self, setpoint: FloatArray) -> None:
        self.sent.append(setpoint.tolist())

    def stop(self) -> None:
        self.stopped = True


def made(robot: ReusingRobot | LoopbackRobot, *, n_obs: int = 1) -> Executor:
    trace = Trace(SPEC, 50)
    strategy, free = Naive(AsSoonAsPossible()), GuardConfig(enabled=False)
    return Executor(robot, strategy, DelayEstimator(fixed=1), trace, horizon=4, n_obs=n_obs, guard=free)


def published(executor: Executor) -> Snapshot:
    snapshot = executor.outbox.peek()
    assert snapshot is not None
    return snapshot


def answer(executor: Executor, value: float) -> None:
    """Four rows of `value` for the open request."""
    request = published(executor).request
    assert request is not None
    rows = frozen(np.full((4, 2), value))
    executor.inbox.put(Result(request, rows, request.tick, frozen([0.0, 0.0]), 1.0))


def test_an_eye_that_failed_ends_in_a_hold_in_the_same_tick_and_nothing_is_asked_any_more() -> None:
    executor = made(LoopbackRobot(SPEC))
    executor.observe(0)
    answer(executor, 5.0)
    assert executor.act(0) is TickStatus.OK
    executor.image_latents.put(Failure("the eye broke"))
    assert executor.tick(1) is TickStatus.PAUSED
    assert executor.failure == Failure("the eye broke")
    assert published(executor).request is None


@pytest.mark.parametrize("n_obs", range(1, 4))
def test_a_robot_that_reuses_its_buffer_changes_no_message_and_no_record(n_obs: int) -> None:
    executor = made(ReusingRobot(), n_obs=n_obs)
    kept = []
    for k in range(8):
        executor.observe(k)
        kept.append(published(executor))
        if k == 2:
            answer(executor, 5.0)
        executor.act(k)
    for k, snapshot in enumerate(kept):
        seen = [[10.0 * max(k - back, 0)] * 3 for back in range(n_obs - 1, -1, -1)]
        assert [[*old.state, *old.environment] for old in snapshot.observations] == seen
        assert not any(old.state.flags.writeable or old.environment.flags.writeable for old in snapshot.observations)
    assert executor.trace.ticks["state"].tolist() == [[10.0 * k] * 2 for k in range(8)]
    assert executor.trace.ticks["environment"].tolist() == [[10.0 * k] for k in range(8)]


def test_after_a_reset_between_observing_and_acting_what_was_sent_last_is_held() -> None:
    robot = ReusingRobot()
    executor = made(robot)
    for k in range(3):
        executor.observe(k)
        if k == 1:
            answer(executor, 5.0)
        executor.act(k)
    executor.observe(3)
    executor.reset()
    assert executor.act(3) == TickStatus.UNDERRUN
    assert robot.sent[2] == [5.0, 5.0]
    assert robot.sent[3] == [5.0, 4.0]  # x stays; v brakes by 1


def test_what_was_asked_before_a_reset_between_observing_and_acting_is_dropped() -> None:
    robot = ReusingRobot()
    executor = made(robot)
    executor.observe(0)
    answer(executor, 5.0)
    executor.reset()
    assert executor.act(0) == TickStatus.UNDERRUN
    assert [record.outcome for record in executor.trace.inferences] == ["dropped"]
    assert robot.sent == [[0.0, 0.0]]


def test_before_the_first_reading_a_skipped_tick_is_recorded_as_unknown() -> None:
    executor = made(ReusingRobot())
    executor.skip(0)
    record = executor.trace.ticks[0]
    assert record["status"] == TickStatus.OVERRUN
    assert all(np.isnan(record[name]).all() for name in ("action", "state", "environment"))


@every("at", range(1, 6))
def test_a_failure_drops_the_plan_sends_a_hold_and_stops_the_robot(at: int) -> None:
    robot = LoopbackRobot(SPEC)
    executor = made(robot)
    for k in range(at):
        executor.observe(k)
        if k == 0:
            answer(executor, 5.0)
        executor.act(k)
    executor.observe(at)
    assert not robot.stopped
    executor.fail(at)
    assert robot.stopped
    assert len(robot.sent) == at + 1  # one action for the tick, as ever
    last = executor.trace.ticks[-1]
    assert (last["tick"], last["status"], last["chunk"], last["epoch"]) == (at, TickStatus.UNDERRUN, -1, 1)
    assert last["action"].tolist() == robot.sent[-1].tolist()
    assert executor.tick(at + 1) == TickStatus.UNDERRUN  # no row of the plan is left


def test_rows_that_were_refused_leave_the_old_plan_running_and_the_next_is_asked_for() -> None:
    executor = made(LoopbackRobot(SPEC))
    executor.observe(0)
    answer(executor, 3.0)
    executor.act(0)
    executor.observe(1)
    request = published(executor).request
    assert request is not None and request.tick == 1
    nothing = frozen(np.zeros((4, 2)))
    executor.inbox.put(Result(request, nothing, 1, frozen([0.0, 0.0]), 1.0, made=ResultFlags.REFUSED))
    executor.act(1)
    executor.observe(2)
    assert published(executor).request is not request
    executor.act(2)
    assert [float(row["action"][0]) for row in executor.trace.ticks] == [3.0] * 3
    assert [record.outcome for record in executor.trace.inferences] == ["placed", "refused"]


def test_no_answer_leaves_the_old_plan_running_and_is_no_latency_and_the_next_tick_asks_again() -> None:
    delay = DelayEstimator(quantile=1.0)
    executor = Executor(LoopbackRobot(SPEC), Naive(Every(3)), delay, Trace(SPEC, 50), horizon=6)
    executor.observe(0)
    request = published(executor).request
    assert request is not None
    executor.inbox.put(Result(request, frozen(np.full((6, 2), 3.0)), 0, frozen([0.0, 0.0]), 1.0))
    executor.act(0)
    planned = delay.delay
    for k in (1, 2, 3):
        executor.tick(k)
    request = published(executor).request
    assert request is not None and request.tick == 3
    nothing = frozen(np.empty((0, 2)))
    executor.inbox.put(Result(request, nothing, 3, frozen([0.0, 0.0]), 900.0, made=ResultFlags.NO_ANSWER))
    executor.observe(4)
    again = published(executor).request
    assert again is not None and again.tick == 4
    executor.act(4)
    assert delay.delay == planned
    assert [float(row["action"][0]) for row in executor.trace.ticks] == [3.0] * 5
    assert [record.outcome for record in executor.trace.inferences] == ["placed", "no_answer"]


# ---- an axis that is driven by velocities stays in its range -------------------------------------------------------


class Axis(LoopbackRobot):
    """Follows exactly, and is read every `every` ticks, with the true age; a second joint jitters by `jitter`."""

    def __init__(self, every: int, jitter: float = 0.0) -> None:
        action = (
            Dim("v", kind=Kind.VELOCITY, low=-1.0, high=1.0, rate_limit=2.0, drives="y"),
            Dim("wrist", "deg", rate_limit=30.0, drives="wrist"),
        )
        super().__init__(RobotSpec(action, (Dim("y", low=-1.0, high=1.0), Dim("wrist", "deg")), 50.0))
        self.k, self.y, self.most = 0, 0.0, 0.0
        self._every, self._jitter = every, jitter
        self._kept = Reading(frozen([0.0, 0.0]))

    def read(self) -> Reading:
        age = self.k % self._every
        if age == 0:
            self._kept = Reading(frozen([self.y, self._jitter * (self.k % 2)]))
        return Reading(self._kept.state, age=age)

    def write(self, setpoint: FloatArray) -> None:
        self.y += float(setpoint[0]) / 50.0
        self.most = max(self.most, abs(self.y))


@every("every, jitter", [(1, 0.0), (4, 0.0), (5, 0.0), (6, 0.0), (1, 3.0), (3, 3.0)])
def test_an_axis_that_is_seldom_read_or_has_a_jittering_neighbour_stays_in_its_range(every: int, jitter: float) -> None:
    robot, trace = Axis(every, jitter), Trace(Axis(1).spec, 700)
    executor = Executor(robot, Naive(AsSoonAsPossible()), DelayEstimator(fixed=1), trace, horizon=8)
    executor.warm()
    for k in range(600):
        robot.k = k
        executor.observe(k)
        snapshot = executor.outbox.peek()
        if snapshot is not None and snapshot.request is not None:
            rows = frozen(np.tile([1.0, 0.0], (8, 1)))
            executor.inbox.put(Result(snapshot.request, rows, k, frozen([0.0, 0.0]), 1.0))
        executor.act(k)
    assert 0.9 < robot.most <= 1.0 + 1e-9


def test_a_skipped_tick_makes_the_state_older_in_its_record() -> None:
    executor = made(LoopbackRobot(SPEC))
    executor.tick(0)
    for k in range(1, 4):
        executor.skip(k)
    assert executor.trace.ticks["state_age"].tolist() == [0, 1, 2, 3]
