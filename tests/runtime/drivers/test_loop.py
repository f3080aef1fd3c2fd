"""The loop on a clock that moves only when somebody sleeps, or when a robot takes its time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.errors import RobotError
from rollahead.runtime.config.build import Drive, StrategyConfig, make_executor
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.trace import TickStatus, Trace
from rollahead.runtime.drivers.loop import DEAD, Loop
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.safety.guard import Flag, GuardConfig
from rollahead.runtime.system.clock import FakeClock, Grid
from rollahead.runtime.transport.latch import Latch
from rollahead.runtime.transport.mailbox import Mailbox
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Commands, Failure, Result
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

RATE_HZ = 10.0
PERIOD_NS = 100_000_000
SPEC = RobotSpec((Dim("x", drives="x"), Dim("v", kind=Kind.VELOCITY, rate_limit=10.0)), (Dim("x"), Dim("v")), RATE_HZ)
START_NS = 5 * PERIOD_NS


class ClockedRobot(LoopbackRobot):
    """Notes when each setpoint came; does `on_write[k]` in its k-th write, `on_read[k]` in its k-th read."""

    def __init__(self, clock: FakeClock, spec: RobotSpec = SPEC) -> None:
        super().__init__(spec)
        self.at_ns: list[int] = []
        self.stops = self.reads = 0
        self.on_write: dict[int, Callable[[], None]] = {}
        self.on_read: dict[int, Callable[[], Reading | None]] = {}
        self._clock = clock

    def read(self) -> Reading:
        self.reads += 1
        reading = self.on_read.get(self.reads - 1, lambda: None)()
        return reading or super().read()

    def write(self, setpoint: FloatArray) -> None:
        self.on_write.get(len(self.sent), lambda: None)()
        self.at_ns.append(self._clock.now_ns())
        super().write(setpoint)

    def stop(self) -> None:
        self.stops += 1
        super().stop()


class Stage:
    """A loop, with its orders; every request is answered with rows of `value`, at once or after `latency` ticks."""

    def __init__(
        self,
        substeps: int = 1,
        value: float = 2.0,
        strategy: str = "vlash",
        spec: RobotSpec = SPEC,
        ramp_s: float = 0.0,
        rest_pose: Mapping[str, float] | None = None,
    ) -> None:
        self.clock = FakeClock()
        self.robot = ClockedRobot(self.clock, spec)
        self.latch = Latch()
        self.commands: Mailbox[Commands] = Mailbox()
        self.alive = True
        self.value = value
        self.latency = 0
        self.trace = Trace(SPEC, 500, self.clock)
        guard = GuardConfig(ramp_s=ramp_s)
        config = StrategyConfig(strategy, s=4, d=2)
        drive = Drive(config, horizon=8, substeps=substeps, guard=guard, rest_pose=rest_pose or {})
        self.executor = make_executor(drive, self.robot, DelayEstimator(fixed=2), self.trace)
        self.wake = WakeEvent()
        self.loop = Loop(self.executor, self.clock, self.latch, self.commands, self.wake, lambda: self.alive, substeps)
        self.before: dict[int, Callable[[], object]] = {}  # tick -> what happens before it
        looked = self.executor.look

        def look(k: int) -> None:
            looked(k)
            self._answer(k)

        self.executor.look = look  # type: ignore[method-assign]
        obeyed = self.loop._obey

        def obey(k: int, grid: Grid) -> None:
            self.before.pop(k, lambda: None)()
            obeyed(k, grid)

        self.loop._obey = obey  # type: ignore[method-assign]

    def _answer(self, k: int) -> None:
        snapshot = self.executor.outbox.peek()
        if snapshot is not None and snapshot.request is not None and k >= snapshot.request.tick + self.latency:
            rows = frozen(np.full((8, 2), self.value))
            self.executor.inbox.put(Result(snapshot.request, rows, snapshot.tick, frozen([0.0, 0.0]), 1.0))

    def order(self, **commands: object) -> Callable[[], None]:
        return lambda: self.commands.put(Commands(**commands))  # type: ignore[arg-type]

    def run(self, ticks: int = 20) -> list[TickStatus]:
        self.loop.run(Grid(START_NS, RATE_HZ), ticks)
        return [TickStatus(int(status)) for status in self.trace.ticks["status"]]


def ticks_of(at_ns: list[int]) -> list[float]:
    return [(at - START_NS) / PERIOD_NS for at in at_ns]


# ---- the grid -------------------------------------------------------------------------------------------------------


def test_each_setpoint_goes_out_at_the_head_of_its_tick() -> None:
    stage = Stage()
    stage.run(20)
    assert ticks_of(stage.robot.at_ns)[:20] == list(range(20))
    assert stage.trace.ticks["tick"].tolist() == list(range(len(stage.robot.sent)))


@pytest.mark.parametrize("substeps", [2, 4, 5])
def test_substeps_go_out_at_even_times_within_the_tick(substeps: int) -> None:
    stage = Stage(substeps)
    stage.run(6)
    expected = np.arange(6 * substeps) / substeps
    np.testing.assert_allclose(ticks_of(stage.robot.at_ns)[: 6 * substeps], expected)


@pytest.mark.parametrize("late", [0.1, 0.5, 0.99])
def test_a_tick_that_begins_late_is_still_sent_and_delays_no_other(late: float) -> None:
    stage = Stage()
    stage.robot.on_write[4] = lambda: stage.clock.advance(int((1 + late) * PERIOD_NS))
    status = stage.run(12)
    assert TickStatus.OVERRUN not in status
    times = ticks_of(stage.robot.at_ns)
    assert times[4] == times[5] == pytest.approx(5 + late)
    assert times[6:12] == list(range(6, 12))


@pytest.mark.parametrize("periods", [2, 3, 5])
def test_a_tick_whose_whole_period_has_passed_is_skipped_and_nothing_is_caught_up(periods: int) -> None:
    stage = Stage()
    stage.robot.on_write[4] = lambda: stage.clock.advance(periods * PERIOD_NS)
    status = stage.run(14)
    skipped = [k for k, of in enumerate(status) if of is TickStatus.OVERRUN]
    assert skipped == list(range(5, 4 + periods))
    assert stage.trace.ticks["tick"].tolist() == list(range(len(status)))
    times = ticks_of(stage.robot.at_ns)
    assert len(times) == len(status) - len(skipped)
    assert times[5:10] == list(range(4 + periods, 9 + periods))


def test_the_worker_is_woken_only_when_something_is_asked() -> None:
    stage = Stage()
    rung = []
    stage.wake.ring = lambda: rung.append(len(stage.robot.sent) - 1)  # type: ignore[method-assign]
    stage.run(12)
    asked = sorted({int(tick) for tick in stage.trace.ticks["request"] if tick >= 0})
    assert rung == asked  # once the setpoint of the tick is out


# ---- orders ---------------------------------------------------------------------------------------------------------


def test_it_ends_after_so_many_ticks_and_comes_to_rest_first() -> None:
    stage = Stage()
    status = stage.run(10)
    assert [of for of in status if of is not TickStatus.PAUSED][-1] is TickStatus.OK
    assert status[10:] == [TickStatus.PAUSED] * 2  # v = 2 brakes by 1 per tick
    assert [sent[1] for sent in stage.robot.sent[9:]] == [2.0, 1.0, 0.0]


def test_it_ends_also_if_the_tick_at_which_it_should_is_skipped() -> None:
    stage = Stage()
    stage.robot.on_write[8] = lambda: stage.clock.advance(4 * PERIOD_NS)
    status = stage.run(10)
    assert status[10] is TickStatus.OVERRUN
    assert len(status) < 10 + 4 + RATE_HZ


def test_what_is_ordered_while_a_look_takes_long_is_obeyed_before_anything_is_sent() -> None:
    stage = Stage()
    order = stage.order(estops=1, latched=True)

    def given_up() -> None:
        stage.latch.set()
        order()

    stage.robot.on_read[5] = given_up
    status = stage.run(20)
    assert len(stage.robot.sent) == 5
    assert status[5] is TickStatus.ESTOP
    assert stage.robot.stops == 1


def test_a_robot_that_comes_to_rest_is_not_set_going_again() -> None:
    stage = Stage()
    stage.before = {5: stage.order(paused=True), 8: stage.latch.set, 9: stage.order(paused=False)}
    status = stage.run(50)
    assert set(status[5:]) == {TickStatus.PAUSED}


@pytest.mark.parametrize("late", [0.0, 0.3, 0.6])
def test_setpoints_that_are_overdue_are_left_out_and_do_not_come_in_a_burst(late: float) -> None:
    stage = Stage(substeps=10)
    stage.robot.on_write[43] = lambda: stage.clock.advance(int(late * PERIOD_NS))
    stage.run(10)
    times = np.array(ticks_of(stage.robot.at_ns))
    in_tick = times[(times >= 4) & (times < 5)]
    overdue = [j for j in range(4, 10) if late and j + 1 <= 3 + round(10 * late)]  # the next is due as well
    assert len(in_tick) == 10 - len(overdue)
    assert np.diff(in_tick[4:]).min(initial=0.1) > 0.09  # after the one that took so long each comes at its time


@pytest.mark.parametrize("substeps", [1, 10])
def test_a_chunk_that_is_there_but_not_yet_due_is_reached_by_the_ramp_and_not_by_setpoints_on_the_way(
    substeps: int,
) -> None:
    stage = Stage(substeps, ramp_s=0.3)
    stage.run(20)
    sent = np.array([v for _, v in stage.robot.sent])
    held = np.array(ticks_of(stage.robot.at_ns)) < 2 - 1e-9  # ticks 0 and 1 have no row yet
    assert (sent[held[: len(sent)]] == 0.0).all()
    assert np.diff(sent[: 8 * substeps]).min() >= 0.0  # it never goes back


LIMITED = (Dim("x", rate_limit=10.0, drives="x"), SPEC.action[1])  # 1 a tick; far is 2.5


@pytest.mark.parametrize("measured, goes_on_at", [(1.5, 2.0), (-0.4, 2.0), (-0.6, -0.6), (9.0, 9.0)])
def test_a_pause_repeats_the_last_target_and_going_on_starts_from_it_unless_the_robot_is_far(
    measured: float, goes_on_at: float
) -> None:
    stage = Stage(spec=replace(SPEC, action=LIMITED))
    stage.robot.on_read = dict.fromkeys(range(8, 60), lambda: Reading(frozen([measured, 0.0])))
    stage.before = {8: stage.order(paused=True), 12: stage.order(paused=False)}
    stage.run(14)
    assert [sent[0] for sent in stage.robot.sent[7:12]] == [2.0] * 5
    assert stage.robot.sent[12][0] == goes_on_at


def test_after_an_estop_two_readings_must_agree_before_anything_is_sent() -> None:
    stage = Stage(spec=replace(SPEC, action=LIMITED))
    readings = {12: 30.0, 13: 4.0, 14: 4.1}
    stage.robot.on_read = {at: lambda x=x: Reading(frozen([x, 0.0])) for at, x in readings.items()}  # type: ignore[misc]
    stage.before = {8: stage.order(estops=1, latched=True), 12: stage.order(estops=1, resets=1)}
    stage.run(16)
    assert stage.robot.sent[8][0] == pytest.approx(3.1)  # from 4.1, that of tick 14, towards 2 at its rate


@pytest.mark.parametrize("stopped", [False, True])
def test_after_a_reset_without_a_usable_state_the_hold_goes_on_and_after_an_estop_nothing_is_sent(
    stopped: bool,
) -> None:
    stage = Stage()
    stage.before = {5: stage.order(estops=int(stopped), resets=1)}
    stage.robot.on_read = dict.fromkeys(range(5, 9), lambda: Reading(frozen([np.nan, 0.0])))
    status = stage.run(12)
    assert status[5:9] == [TickStatus.STALE] * 4
    assert len(stage.robot.sent) == len(status) - (4 if stopped else 0)
    assert stage.robot.sent[5][0] == 2.0


def test_a_hold_of_a_velocity_with_a_limit_of_acceleration_comes_to_rest_without_swinging_back() -> None:
    spec = RobotSpec((SPEC.action[0], replace(SPEC.action[1], rate_limit=5.0, accel_limit=20.0)), SPEC.state, RATE_HZ)
    stage = Stage(spec=spec, value=1.0)
    stage.before = {20: stage.order(paused=True)}
    stage.run(60)
    velocities = np.array([v for _, v in stage.robot.sent])
    assert velocities[19] == 1.0
    braking = velocities[20:]
    assert braking.min() >= -1e-12
    assert np.diff(braking).max() <= 1e-12
    assert braking[15] == 0.0


@pytest.mark.parametrize("at", [0, 1, 5])
def test_a_stop_brings_the_robot_to_rest_from_the_very_next_tick(at: int) -> None:
    stage = Stage()
    stage.before[at] = stage.latch.set
    status = stage.run(50)
    assert set(status[at:]) <= {TickStatus.PAUSED}
    assert stage.robot.sent == [] or stage.robot.sent[-1][1] == 0.0


@pytest.mark.parametrize("rate, ticks, rests_in", [(10.0, 20, 2), (1.0, 30, 20), (0.5, 20, 19), (0.25, 100, None)])
def test_coming_to_rest_takes_as_long_as_the_limits_need_and_four_seconds_at_most(
    rate: float, ticks: int, rests_in: int | None
) -> None:
    stage = Stage(spec=replace(SPEC, action=(SPEC.action[0], replace(SPEC.action[1], rate_limit=rate))))
    status = stage.run(ticks)
    assert len(status) == ticks + (rests_in or 4 * RATE_HZ)
    assert (stage.robot.sent[-1][1] == 0.0) == (rests_in is not None)


@pytest.mark.parametrize("stands_still", [5, 15, 60])
def test_ticks_that_are_skipped_do_not_count_towards_coming_to_rest(stands_still: int) -> None:
    stage = Stage()
    stage.robot.on_write[9] = lambda: stage.clock.advance(stands_still * PERIOD_NS)
    stage.run(10)
    assert [sent[1] for sent in stage.robot.sent[9:]] == [2.0, 1.0, 0.0]


def test_coming_to_rest_takes_a_second_if_no_limit_says_how_long(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage()
    monkeypatch.setattr(type(stage.executor), "at_rest", property(lambda self: False))
    assert len(stage.run(6)) == 6 + RATE_HZ


def test_a_pause_holds_until_it_is_over_and_the_robot_goes_on_from_where_it_is() -> None:
    stage = Stage()
    stage.before = {5: stage.order(paused=True), 9: stage.order(paused=False)}
    status = stage.run(14)
    assert status[5:9] == [TickStatus.PAUSED] * 4
    assert status[9] is not TickStatus.PAUSED
    assert status[11] is TickStatus.OK
    assert len(set(stage.trace.ticks["epoch"].tolist()[:14])) == 3  # before, paused, after


@pytest.mark.parametrize("at", [0, 3, 7])
def test_an_estop_sends_nothing_from_its_tick_until_a_reset(at: int) -> None:
    stage = Stage()
    stage.before = {at: stage.order(estops=1, latched=True), at + 4: stage.order(estops=1, resets=1)}
    status = stage.run(at + 10)
    assert status[at : at + 4] == [TickStatus.ESTOP] * 4
    assert stage.robot.stops == 1
    sent_in = [int(k) for k, of in enumerate(status) if of is not TickStatus.ESTOP]
    assert len(stage.robot.sent) == len(sent_in)
    assert TickStatus.OK in status[at + 4 :]


def _slow(stage: Stage) -> None:
    stage.latency = 100


def _blind(stage: Stage) -> None:
    stage.robot.on_read = dict.fromkeys(range(4, 30), lambda: Reading(frozen([np.nan, 0.0])))


STATES: dict[
    str, tuple[Callable[[Stage], None], int, TickStatus]
] = {  # how it comes about, when, and how ticks go then
    "before the first tick": (lambda stage: None, 0, TickStatus.ESTOP),
    "driving": (lambda stage: None, 6, TickStatus.OK),
    "holding for want of a chunk": (_slow, 6, TickStatus.UNDERRUN),
    "paused": (lambda stage: stage.before.update({3: stage.order(paused=True)}), 6, TickStatus.PAUSED),
    "without a usable state": (_blind, 7, TickStatus.STALE),
    "after a failure of the planner": (
        lambda stage: stage.before.update({5: lambda: stage.executor.inbox.put(Failure("gone"))}),
        6,
        TickStatus.PAUSED,
    ),
    "coming to rest": (lambda stage: stage.before.update({5: stage.latch.set}), 6, TickStatus.PAUSED),
}


@every("state", STATES)
def test_an_estop_in_every_state_stops_the_robot_once_and_no_setpoint_follows(state: str) -> None:
    arrange, at, before = STATES[state]
    stage = Stage()
    arrange(stage)
    sent: list[int] = []

    def estop() -> None:
        now = stage.commands.peek() or Commands()
        stage.commands.put(replace(now, estops=1, latched=True))
        sent.append(len(stage.robot.sent))

    stage.before[at] = estop
    status = stage.run(20)
    assert status[at - 1] is before or at == 0
    assert set(status[at:]) <= {TickStatus.ESTOP}
    assert [len(stage.robot.sent)] == sent
    assert stage.robot.stops == 1


def test_a_reset_that_came_before_the_estop_does_not_end_it() -> None:
    stage = Stage()
    stage.before = {3: stage.order(estops=1, resets=1, latched=True)}
    assert set(stage.run(8)[3:]) == {TickStatus.ESTOP}


def test_another_task_drops_what_is_asked_and_runs_on_with_what_is_planned() -> None:
    stage = Stage()
    stage.before = {6: stage.order(task="the other")}
    status = stage.run(12)
    assert set(status[3:12]) == {TickStatus.OK}
    assert stage.trace.ticks["epoch"].tolist()[5:7] == [0, 1]
    snapshot = stage.executor.outbox.peek()
    assert snapshot is not None
    assert snapshot.observation.task == "the other"


def test_a_gripper_with_a_rate_limit_is_slewed_to_what_was_decided_also_through_a_hold() -> None:
    grip = Dim("grip", kind=Kind.DISCRETE, low=0.0, high=1.0, threshold=0.5, rate_limit=2.0)  # 0.2 per tick
    spec = RobotSpec((SPEC.action[0], grip), (Dim("x"), Dim("grip")), RATE_HZ)
    robot, trace = LoopbackRobot(spec), Trace(spec, 100)
    executor = make_executor(Drive(StrategyConfig("sync", s=2), horizon=8), robot, DelayEstimator(fixed=2), trace)
    executor.observe(0)
    snapshot = executor.outbox.peek()
    assert snapshot is not None
    assert snapshot.request is not None
    rows = frozen(np.full((8, 2), 0.9))
    executor.inbox.put(Result(snapshot.request, rows, 0, frozen([0.0, 0.0]), 1.0))
    executor.act(0)
    for k in range(1, 8):
        executor.tick(k)
    assert TickStatus(int(trace.ticks["status"][3])) is TickStatus.UNDERRUN  # only the first two rows are used
    assert [sent[1] for sent in robot.sent] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 1.0])


# ---- what fails -----------------------------------------------------------------------------------------------------


@every("late", range(1, 17))  # to 2 H
def test_an_answer_that_is_late_loses_so_many_rows_and_until_it_is_there_the_robot_brakes_and_holds(late: int) -> None:
    stage = Stage()
    stage.latency = 2 + late  # d = 2 is planned
    status = stage.run(60)
    used = max(8 - late, 0)
    first = 2 + late
    assert status[:first] == [TickStatus.UNDERRUN] * first
    assert status[first : first + used] == [TickStatus.OK] * used
    velocities = [sent[1] for sent in stage.robot.sent]
    for k in range(1, 60):  # towards what is asked, or to rest, by 1 per tick
        asked = 2.0 if status[k] is TickStatus.OK else 0.0
        assert velocities[k] == velocities[k - 1] + np.clip(asked - velocities[k - 1], -1.0, 1.0)
    answered = {(one.lost, one.outcome) for one in stage.trace.inferences if one.outcome != "dropped"}
    assert answered == {(min(late, 8), "late" if used else "expired")}


@pytest.mark.parametrize("at", [0, 1, 6])
def test_a_write_that_raises_is_held_once_stopped_and_told(at: int) -> None:
    stage = Stage()

    def fail() -> None:
        raise OSError("the bus is gone")

    stage.robot.on_write[at] = fail
    with pytest.raises(RobotError, match=f"the robot failed in tick {at} .OSError: the bus is gone"):
        stage.run()
    assert stage.robot.stops == 1
    assert all(k <= at for k in stage.trace.ticks["tick"])  # no tick after it


def fail() -> None:
    raise OSError("the bus is gone")


@every("at", [0, 1, 6])
@every("times", [1, 3, 24])
def test_reads_that_raise_are_holds_and_the_run_goes_on(at: int, times: int) -> None:
    stage = Stage()
    stage.robot.on_read = dict.fromkeys(range(at, at + times), fail)
    status = stage.run(40)
    assert status[at : at + times] == [TickStatus.STALE] * times
    assert TickStatus.OK in status[at + times :]
    assert stage.executor.halted is None
    assert stage.robot.stops == 0


def test_readings_that_never_agree_end_the_run_and_nothing_is_sent() -> None:
    stage = Stage(spec=replace(SPEC, action=LIMITED))
    stage.robot.on_read = {at: lambda at=at: Reading(frozen([9.0 * (-1) ** at, 0.0])) for at in range(99)}  # type: ignore[misc]
    stage.executor.warm()
    status = stage.run(60)
    assert stage.robot.sent == []
    assert status == [TickStatus.STALE] * 24 + [TickStatus.ESTOP] * 2
    assert stage.executor.halted is not None
    assert "no two readings in a row agreed on where it is for 25 ticks" in stage.executor.halted


def test_a_reset_right_after_the_executors_own_estop_does_not_hide_why() -> None:
    stage = Stage()
    stage.robot.on_read = dict.fromkeys(range(5, 999), fail)
    stage.before = {30: stage.order(resets=1)}
    stage.run(90)
    assert stage.executor.halted is not None


@pytest.mark.parametrize("substeps", [1, 10])
def test_a_write_that_raises_is_held_by_one_setpoint_and_no_burst(substeps: int) -> None:
    stage = Stage(substeps)

    def once() -> None:
        del stage.robot.on_write[6 * substeps]
        fail()

    stage.robot.on_write = {6 * substeps: once}
    with pytest.raises(RobotError, match="the bus is gone"):
        stage.run()
    assert len(stage.robot.sent) == 6 * substeps + 1


def test_a_stop_that_raises_at_an_estop_leaves_the_robot_held() -> None:
    stage = Stage()
    stage.before = {6: stage.order(estops=1, latched=True)}
    stage.robot.stop = fail  # type: ignore[method-assign]
    with pytest.raises(RobotError, match=r"failed in tick 6 .OSError: the bus is gone"):
        stage.run()
    assert len(stage.robot.sent) == 7
    assert stage.robot.sent[6][0] == stage.robot.sent[5][0]
    assert abs(stage.robot.sent[6][1]) < abs(stage.robot.sent[5][1])  # it brakes


def test_reads_that_raise_for_too_long_end_the_run_with_a_stop_and_say_so() -> None:
    stage = Stage()
    stage.robot.on_read = dict.fromkeys(range(5, 999), fail)
    status = stage.run(90)
    assert status[5:] == [TickStatus.STALE] * 24 + [TickStatus.ESTOP] * 2
    assert stage.robot.stops == 1
    assert stage.executor.halted == (
        "the robot was stopped, for the state could not be read (OSError: the bus is gone), after 25 ticks in a row "
        "without a usable state and images (guard.give_up_ticks)"
    )


def test_a_robot_that_cannot_even_be_held_is_stopped_and_both_errors_told() -> None:
    stage = Stage()

    def always(setpoint: FloatArray) -> None:
        raise OSError("still gone")

    def first(setpoint: FloatArray) -> None:
        stage.robot.write = always  # type: ignore[method-assign]
        fail()

    stage.before[5] = lambda: setattr(stage.robot, "write", first)
    with pytest.raises(RobotError, match=r"tick 5 .*the bus is gone.*could not be held .OSError: still gone"):
        stage.run()
    assert stage.robot.stops == 1


def test_a_planner_that_fails_ends_in_a_hold_in_the_same_tick() -> None:
    stage = Stage()
    stage.before[6] = lambda: stage.executor.inbox.put(Failure("NaN in row 3"))
    status = stage.run(50)
    assert stage.executor.failure is not None
    assert (status[5], status[6]) == (TickStatus.OK, TickStatus.PAUSED)
    assert len(status) <= 6 + 1 + RATE_HZ
    assert stage.robot.sent[-1][1] == 0.0


def test_a_worker_that_is_gone_is_noticed_within_a_tick() -> None:
    stage = Stage()
    stage.before[6] = lambda: setattr(stage, "alive", False)
    status = stage.run(50)
    assert status[5] is TickStatus.OK
    assert status[6] is TickStatus.PAUSED
    assert stage.executor.failure is DEAD


# ---- after starvation -----------------------------------------------------------------------------------------------

FREE = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), RATE_HZ)  # without a rate limit
STEP = 0.1  # from row to row


def starved(strategy: str, ramp_s: float, late: int = 12) -> FloatArray:
    """What is sent where rows count from the observation, lead on by STEP a tick, and one inference takes very long."""
    robot, trace = LoopbackRobot(FREE), Trace(FREE, 200)
    drive = Drive(StrategyConfig(strategy, s=4), horizon=20, guard=GuardConfig(ramp_s=ramp_s))
    executor = make_executor(drive, robot, DelayEstimator(fixed=2), trace)
    taken: object = None
    due = 0
    for k in range(80):
        executor.observe(k)
        snapshot = executor.outbox.peek()
        request = None if snapshot is None else snapshot.request
        if request is not None and request is not taken:
            taken, due = request, k + (2 if k < 30 else late)
        if request is not None and k >= due:
            rows = frozen(STEP * (request.tick + np.arange(20.0))[:, None])
            executor.inbox.put(Result(request, rows, k, frozen([0.0]), 2.0))
        executor.act(k)
    return np.array([sent[0] for sent in robot.sent])


@pytest.mark.parametrize("strategy", ["naive", "ensemble"])
@pytest.mark.parametrize("late", [18, 19])
def test_after_starvation_a_plan_that_is_far_ahead_is_reached_by_the_ramp(strategy: str, late: int) -> None:
    jumps = np.abs(np.diff(starved(strategy, 0.0, late)[5:]))
    assert jumps.max() >= 5 * STEP  # the rows of the hold, in one tick
    eased = np.abs(np.diff(starved(strategy, 1.0, late)[15:]))
    assert eased.max() <= 4 * STEP + 1e-9


def test_a_hold_that_the_plan_goes_on_from_is_followed_by_no_ramp() -> None:
    """As with `sync`, which holds before every chunk."""
    robot, trace = LoopbackRobot(FREE), Trace(FREE, 200)
    drive = Drive(StrategyConfig("sync", s=4), horizon=8, guard=GuardConfig(ramp_s=0.5))
    executor = make_executor(drive, robot, DelayEstimator(fixed=2), trace)
    for k in range(60):
        executor.observe(k)
        snapshot = executor.outbox.peek()
        request = None if snapshot is None else snapshot.request
        if request is not None and k >= request.tick + 3:
            rows = robot.read().state + STEP * np.arange(8.0)[:, None]
            executor.inbox.put(Result(request, frozen(rows), k, frozen([0.0]), 2.0))
        executor.act(k)
    holds = trace.ticks["status"] == TickStatus.UNDERRUN
    assert holds[10:].sum() > 10
    assert not any(flags & Flag.RAMP for flags in trace.ticks["guard"].tolist()[15:])


# ---- the rest pose --------------------------------------------------------------------------------------------------

SLOW = (Dim("x", low=-3.0, high=3.0, rate_limit=2.0, accel_limit=20.0, drives="x"), SPEC.action[1])


def homing(**options: Any) -> Stage:
    return Stage(spec=replace(SPEC, action=SLOW), rest_pose={"x": -1.0}, **options)


def test_at_the_end_the_robot_is_brought_to_its_rest_pose_within_its_limits_and_stands_there() -> None:
    stage = homing()
    status = stage.run(20)
    path = np.array([sent[0] for sent in stage.robot.sent])
    assert path[19] == pytest.approx(2.0, abs=0.5)
    assert path[-2:].tolist() == [-1.0, -1.0]
    assert np.abs(np.diff(path)).max() <= 2.0 / RATE_HZ + 1e-9
    assert np.abs(np.diff(path, 2)).max() <= 20.0 / RATE_HZ**2 + 1e-9
    assert set(status[20:]) == {TickStatus.PAUSED}


def test_a_stop_leads_there_too_and_a_second_signal_ends_it_where_the_robot_is() -> None:
    stage = homing()
    stage.before = {10: stage.latch.signal, 25: stage.latch.signal}
    stage.run(200)
    assert -1.0 < stage.robot.sent[-1][0] < 1.0
    assert len(stage.robot.sent) < 30
    again = homing()
    again.before = {10: again.latch.signal, 11: again.latch.set}  # that of whoever waits for the end
    again.run(200)
    assert again.robot.sent[-1][0] == -1.0


@pytest.mark.parametrize("at", [15, 25])
def test_a_robot_that_is_stopped_by_an_estop_is_not_moved_to_its_rest_pose(at: int) -> None:
    stage = homing()
    stage.before = {at: stage.order(estops=1, latched=True)}
    status = stage.run(20)
    assert len(stage.robot.sent) == at
    assert status[-1] is TickStatus.ESTOP


def test_a_robot_that_cannot_be_seen_stays_where_it_is() -> None:
    stage = homing()
    stage.robot.on_read = dict.fromkeys(range(25, 999), fail)
    stage.run(20)
    assert stage.robot.sent[-1][0] > 1.0
    assert stage.robot.stops == 1  # the executor's own e-stop


@every("at", range(19, 30))
def test_one_read_that_fails_does_not_end_the_way_to_the_rest_pose(at: int) -> None:
    stage = homing()
    stage.robot.on_read = dict.fromkeys((at, at + 4), fail)
    stage.run(20)
    assert stage.robot.sent[-1][0] == -1.0


def test_the_way_to_the_rest_pose_does_not_lead_back_to_where_the_ramp_began() -> None:
    free = (Dim("x", low=-3.0, high=3.0, drives="x"), SPEC.action[1])
    stage = Stage(spec=replace(SPEC, action=free), rest_pose={"x": 3.0}, ramp_s=1.0)
    stage.run(7)
    path = np.array([sent[0] for sent in stage.robot.sent])
    assert 0.5 < path[6] < 2.0  # amid the ramp from 0 to 2
    assert np.diff(path).min() >= 0.0
    assert path[-1] == 3.0
