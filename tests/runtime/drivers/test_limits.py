"""Limits across everything that happens: the whole executor against the independent checker of `benchmarks.limits`.

Random episodes are shrunk by hypothesis to the simplest that breaks a rule; the directed ones below were found by hand.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from benchmarks.episodes import NEVER, SETTINGS, Episode, Joint, Player, Wave, episode, play
from benchmarks.limits import Broken, Checker, Event
from benchmarks.live import LiveRig, Notebook, now_s
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from every import every
from rollahead.runtime.config.build import make_executor
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.loop import Loop
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.planning.latency import Fixed
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.system.clock import FakeClock, Grid
from rollahead.runtime.transport.latch import Latch
from rollahead.runtime.transport.mailbox import Mailbox
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Commands, Observation, Result
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.spec import Dim, Kind

BOTH = pytest.mark.parametrize("isolation", ["thread", "process"])
SUBSTEPS = pytest.mark.parametrize("substeps", [1, 5])
FOUND = settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))


@st.composite
def episodes(draw: st.DrawFn) -> Episode:
    """Of every kind."""
    return episode(lambda options: draw(st.sampled_from(options)))


# ---- random episodes ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@settings(FOUND, max_examples=1000)
@given(episodes())
def test_no_episode_breaks_a_limit(one: Episode) -> None:
    assert play(one) == []


@pytest.mark.slow
@settings(FOUND, max_examples=5000)
@given(episodes())
def test_no_episode_of_very_many_breaks_a_limit(one: Episode) -> None:
    assert play(one) == []


# ---- going on in motion ---------------------------------------------------------------------------------------------


def target(wave: Wave, follows: str = "exact", start: float = 0.0, **limits: Any) -> Joint:
    """A position in [-2, 2]."""
    limits = {"low": -2.0, "high": 2.0, "rate_limit": 3.0, **limits}
    return Joint(Dim("x", drives="at_x", **limits), wave, start, follows)


def speed(wave: Wave, **limits: float) -> Joint:
    """A velocity in [-2, 2]."""
    return Joint(Dim("v", kind=Kind.VELOCITY, low=-2.0, high=2.0, drives="at_v", **limits), wave)


FULL_SPEED = Wave("steady", 1.0, 80)  # 2.5 rad/s at 50 Hz
PUSHING = Wave("still", 1.9)


@SUBSTEPS
@pytest.mark.parametrize("gap", [1, 2, 3])
@pytest.mark.parametrize(
    "axis", [speed(PUSHING, rate_limit=20.0, accel_limit=400.0), target(FULL_SPEED, accel_limit=20.0)]
)
def test_going_on_while_a_pause_still_brakes_changes_no_faster_than_the_limits(
    axis: Joint, gap: int, substeps: int
) -> None:
    commands = ((25, "pause"), (25 + gap, "resume"))
    assert play(Episode((axis,), rate_hz=50.0, substeps=substeps, commands=commands)) == []


@SUBSTEPS
@pytest.mark.parametrize("limits", [{}, {"accel_limit": 20.0}])
def test_a_reset_in_motion_does_not_step_the_target_of_a_servo_that_lags(
    limits: dict[str, float], substeps: int
) -> None:
    axis = target(FULL_SPEED, "lag", **limits)
    assert play(Episode((axis,), rate_hz=50.0, substeps=substeps, commands=((25, "reset"),))) == []


def test_quick_pauses_do_not_let_the_target_of_a_loaded_joint_sag() -> None:
    commands = tuple(order for n in range(8) for order in ((4 + 2 * n, "pause"), (5 + 2 * n, "resume")))
    player = Player(Episode((target(PUSHING, "sag", start=1.0),), rate_hz=50.0, arrivals=(NEVER,), commands=commands))
    assert player.play() == []
    assert {event.values for event in player.log if event.what == "write"} == {(1.0,)}


def step(wave: Wave, **limits: float) -> Joint:
    """A step in [-0.2, 0.2] per tick."""
    return Joint(Dim("s", kind=Kind.DELTA, low=-0.2, high=0.2, drives="at_s", **limits), wave)


def switch(wave: Wave, **limits: float) -> Joint:
    """A gripper that is shut at 1."""
    return Joint(Dim("g", kind=Kind.DISCRETE, low=0.0, high=1.0, threshold=0.5, drives="at_g", **limits), wave)


@SUBSTEPS
@pytest.mark.parametrize(
    "axis",
    [
        target(FULL_SPEED, accel_limit=20.0),
        speed(PUSHING, rate_limit=20.0, accel_limit=400.0),
        step(Wave("sine", 0.19), accel_limit=20.0),
        switch(Wave("jumps", 1.0), rate_limit=3.0, accel_limit=50.0),
    ],
    ids=["position", "velocity", "step", "switch"],
)
def test_an_ordinary_end_at_full_speed_stops_no_harder_than_the_limits(axis: Joint, substeps: int) -> None:
    for ticks in range(26, 32):
        assert play(Episode((axis,), rate_hz=50.0, substeps=substeps, ticks=ticks)) == []


@pytest.mark.parametrize("arrival", [0, 1, 2])
def test_a_step_with_a_limit_of_acceleration_comes_to_rest_within_it(arrival: int) -> None:
    axis = step(Wave("noise", 0.19), accel_limit=5.0)
    for ticks in range(20, 40):
        assert play(Episode((axis,), ticks=ticks, arrivals=(arrival,))) == []


def test_a_target_does_not_begin_anew_long_after_a_reset() -> None:
    axis = target(Wave("steady", 1.0, 7), "lag", start=2.5, rate_limit=np.inf, accel_limit=5.0)
    commands = ((6, "push"), (9, "reset"))
    assert (
        play(Episode((axis,), ages=(4,), commands=commands, skipped=(9,))) == []
    )  # while it moves no two readings agree


@SUBSTEPS
@pytest.mark.parametrize(
    "commands",
    [
        ((25, "estop"), (25, "reset")),
        ((25, "estop"), (26, "resume"), (27, "reset")),
        ((25, "estop"), (27, "reset"), (27, "reset")),
        ((25, "pause"), (25, "estop"), (26, "resume"), (27, "reset")),
    ],
)
@pytest.mark.parametrize("axis", [speed(PUSHING, rate_limit=20.0), target(FULL_SPEED, accel_limit=20.0)])
def test_after_an_estop_the_speed_of_before_does_not_come_back(
    axis: Joint, commands: tuple[tuple[int, str], ...], substeps: int
) -> None:
    assert play(Episode((axis,), rate_hz=50.0, substeps=substeps, commands=commands)) == []


@SUBSTEPS
def test_a_hold_during_the_ramp_does_not_go_back(substeps: int) -> None:
    axis = target(Wave("still", 0.0), start=1.5, rate_limit=np.inf)
    player = Player(Episode((axis,), ramp_s=2.0, substeps=substeps, setting=SETTINGS[1]))  # sync: it holds now and then
    assert player.play() == []
    sent = [event.values[0] for event in player.log if event.what == "write" and event.values]
    assert np.diff(sent).max() <= 1e-12


@SUBSTEPS
def test_the_ramp_of_a_robot_found_outside_does_not_lead_out_again(substeps: int) -> None:
    axis = target(Wave("jumps", 1.9, 7), start=2.5, rate_limit=np.inf)
    assert play(Episode((axis,), ramp_s=2.0, substeps=substeps)) == []


# ---- wrong readings -------------------------------------------------------------------------------------------------


@every("glitch", ["big", "nan", "raise"])
@every(
    "commands",
    [
        ((20, "pause"), (23, "resume")),  # found far from what was sent, it would begin anew
        ((20, "reset"), (23, "reset")),
        ((20, "estop"), (23, "reset")),
        ((20, "estop"), (20, "reset"), (23, "reset")),
    ],
)
@every("late", [0, 1])
@every("ages", [(0,), (2,), (4, 2, 0, 1, 3)])
def test_one_wrong_reading_in_the_tick_that_goes_on_is_not_sent(
    ages: tuple[int, ...], commands: tuple[tuple[int, str], ...], glitch: str, late: int
) -> None:
    axis = target(Wave("still", 1.0), jump_limit=0.2, accel_limit=100.0)
    player = Player(Episode((axis,), rate_hz=50.0, ages=ages, commands=commands, glitches=((23 + late, glitch),)))
    assert player.play() == []
    assert max(abs(event.values[0]) for event in player.log if event.what == "write" and event.values) <= 1.0


@pytest.mark.parametrize("at", [0, 1, 2])
def test_one_wrong_reading_at_the_start_is_not_sent(at: int) -> None:
    axis = target(Wave("still", 0.9), start=0.9, rate_limit=np.inf)
    player = Player(Episode((axis,), glitches=((at, "big"),)))
    assert player.play() == []
    assert {event.values for event in player.log if event.what == "write"} == {(0.9,)}


# ---- edges, with old readings ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("ages", [(0,), (1,), (2,), (3,), (4,), (0, 1, 2, 3, 4), (4, 0)])
@pytest.mark.parametrize(
    "limits", [{}, {"rate_limit": 2.0}, {"rate_limit": 2.0, "accel_limit": 20.0}, {"accel_limit": 20.0}]
)
@pytest.mark.parametrize("kind", [Kind.DELTA, Kind.VELOCITY])
@SUBSTEPS
def test_an_axis_does_not_leave_its_range_on_old_readings(
    kind: Kind, limits: dict[str, float], ages: tuple[int, ...], substeps: int
) -> None:
    dim = Dim("j", kind=kind, low=-0.5, high=0.5, drives="at_j", **limits)
    for wave in (Wave("still", 0.3), Wave("jumps", 0.4, 7), Wave("noise", 0.9)):
        one = Episode((Joint(dim, wave, edge=1.0),), substeps=substeps, ages=ages)
        assert play(one) == []


@every(
    "one",
    [
        Episode((replace(speed(Wave("noise", 5.0), accel_limit=30.0), start=0.8, edge=1.0),)),
        Episode(
            (replace(step(Wave("jumps", 0.5), accel_limit=20.0), edge=1.0),), rate_hz=50.0, ages=(1,), arrivals=(0,)
        ),
        Episode(
            (replace(step(Wave("jumps", 0.5, 7), accel_limit=20.0), edge=1.0, start=0.8),), rate_hz=50.0, substeps=5
        ),
    ],
)
@every("setting", SETTINGS)
def test_an_axis_with_a_limit_of_acceleration_alone_brakes_in_time(one: Episode, setting: tuple[str, int, int]) -> None:
    for shape in ("linear", "cubic"):
        assert play(replace(one, shape=shape, setting=setting)) == []


# ---- setpoints that are overdue -------------------------------------------------------------------------------------


class SlowRig(LiveRig):
    """Its n-th write takes `slow[n]` seconds on `clock`; `answer` is called at each read."""

    def __init__(self, one: Episode, log: Callable[[Event], None], clock: FakeClock, slow: dict[int, float]) -> None:
        super().__init__(one, log, lambda: clock.now_ns() / 1e9)
        self.answer: Callable[[], None] = lambda: None
        self._took, self._slow, self._writes = clock, slow, 0

    def read(self) -> Reading:
        self.answer()
        return super().read()

    def write(self, setpoint: FloatArray) -> None:
        super().write(setpoint)
        self._took.advance(round(self._slow.get(self._writes, 0.0) * 1e9))
        self._writes += 1


def play_late(one: Episode, slow: dict[int, float]) -> list[Broken]:
    """Plays it with the loop on a clock that only a slow robot keeps waiting."""
    clock, log = FakeClock(), list[Event]()
    rig = SlowRig(one, log.append, clock, slow)
    trace = Trace(rig.spec, 500, clock)
    executor = make_executor(one.drive, rig, DelayEstimator(fixed=2), trace)
    player = Player(one)

    def answer() -> None:
        asked = executor.outbox.peek()
        if asked is not None and asked.request is not None:
            request = asked.request
            seen = Observation(request.roll_to or request.tick, request.observations[-1].state, frozen([]))
            rows = player.plan(seen, np.random.default_rng(0))
            executor.inbox.put(Result(request, frozen(rows), request.tick, seen.state, 1.0))

    executor.warm()
    rig.answer = answer
    commands: Mailbox[Commands] = Mailbox()
    Loop(executor, clock, Latch(), commands, WakeEvent(), lambda: True, one.substeps).run(
        Grid(0, one.rate_hz), one.ticks
    )
    return Checker(one.spec, one.substeps).check(log)


@every("late", [0.5, 1.0, 2.5, 3.7, 4.5, 5.2, 9.0])
@every("at", range(60, 66))
@every("mate", [None, Kind.DELTA, Kind.VELOCITY])
def test_setpoints_that_are_overdue_are_left_out_and_not_sent_in_a_burst(
    mate: Kind | None, at: int, late: float
) -> None:
    axis = target(FULL_SPEED)
    other = [] if mate is None else [Joint(Dim("s", kind=mate, low=-1.0, high=1.0), Wave("still", 0.01))]
    one = Episode((axis, *other), rate_hz=50.0, substeps=5)
    assert play_late(one, {at: late / 250.0}) == []


# ---- real time ------------------------------------------------------------------------------------------------------

LIVE = Episode(
    joints=(
        replace(target(Wave("steady", 1.5, 40, 0.2), "lag", accel_limit=60.0), start=0.3),
        Joint(
            Dim("v", kind=Kind.VELOCITY, low=-2.0, high=2.0, rate_limit=20.0, accel_limit=800.0, drives="at_v"),
            Wave("jumps", 1.9, 17),
        ),
        Joint(Dim("s", kind=Kind.DELTA, low=-0.2, high=0.2, rate_limit=2.0, drives="at_s"), Wave("noise", 0.1)),
        Joint(
            Dim("g", kind=Kind.DISCRETE, low=0.0, high=1.0, threshold=0.5, rate_limit=10.0, drives="at_g"),
            Wave("sine", 1.0),
        ),
    ),
    rate_hz=50.0,
    substeps=2,
    setting=SETTINGS[0],
    ramp_s=0.1,
)
ORDERS = ("pause", "resume", "reset", "estop", "set_task")


def drive(isolation: str, seed: int, seconds: float) -> list[Broken]:
    """Commands at random moments, in real time; what the checker finds."""
    rng = np.random.default_rng(seed)
    glitches = tuple((int(k), "big") for k in rng.choice(np.arange(5, round(seconds * 50)), 5, replace=False))
    one = replace(LIVE, glitches=glitches)
    notes, told = Notebook(one), list[Event]()
    player = Player(one)
    planner = ScriptedPlanner(player.plan)
    with Realtime(one.drive, partial(LiveRig, one, notes), planner, isolation=isolation, latency=Fixed(2.5)) as runtime:
        runtime.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until and not runtime.wait(float(rng.uniform(0.0, 0.2))):
            order = str(rng.choice(ORDERS))
            told.append(Event("order", order=order, at_s=now_s()))
            getattr(runtime, order)(*(["another"] if order == "set_task" else []))
        told.append(Event("order", order="end", at_s=now_s()))
        runtime.stop()
    assert sum(event.what == "write" for event in notes.events) > 50 * seconds / 4
    log = sorted([*notes.events, *told], key=lambda event: event.at_s)
    return Checker(one.spec, one.substeps).check(log)


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("seed", range(4))
def test_no_run_in_real_time_breaks_a_limit(isolation: str, seed: int) -> None:
    assert drive(isolation, seed, seconds=4.0) == []
