"""The runtime on the wall clock: its life, orders, and what the robot does when something fails, in ticks."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from noted import (
    BRIGHT,
    CONNECT,
    DISCONNECT,
    SPEC,
    STOP,
    WRITE,
    Fault,
    FilmedRobot,
    FrozenRobot,
    NotedRobot,
    Notes,
    ShuffledRobot,
)
from rollahead.errors import ConfigError, InferenceError, LifecycleError, RobotError
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.config.techniques import CorrectorConfig
from rollahead.runtime.control.corrector import Head, HeadCard
from rollahead.runtime.control.trace import TickStatus
from rollahead.runtime.drivers import isolation as isolations
from rollahead.runtime.drivers import realtime, watchdog
from rollahead.runtime.drivers.encoder_worker import ImageEncoder, MeanImageEncoder
from rollahead.runtime.drivers.realtime import WARM_UPS, Phase, Realtime
from rollahead.runtime.planning.latency import Fixed
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.system.interrupts import ENDING
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Images, Observation

H = 16
STALL_S = 0.3
REST_TICKS = 4  # v = 1 brakes by 0.5 per tick; one more tick each for noticing and for the end
BOTH = pytest.mark.parametrize("isolation", ["thread", "process"])


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolations, "PATIENCE_S", 0.5)
    monkeypatch.setattr(realtime, "PATIENCE_S", 0.5)
    monkeypatch.setattr(watchdog, "PATIENCE_S", 0.5)


class Planner:
    """Rows of x = 1, v = 1; `at[n]` is called in the n-th inference after warming up, and may give other rows."""

    def __init__(self, **at: Any) -> None:
        self.at: dict[int, Callable[[], Any]] = {}
        self.inferences = -WARM_UPS
        self.tasks: list[str] = []

    def __call__(self, seen: Observation, rng: np.random.Generator) -> FloatArray:
        n, self.inferences = self.inferences, self.inferences + 1
        self.tasks.append(seen.task)
        rows = self.at[n]() if n in self.at else None
        return np.full((H, 2), 1.0) if rows is None else rows


class Run:
    """A runtime, its planner, and the notes of its robot."""

    def __init__(self, isolation: str = "thread", fault: Fault | None = None, **options: Any) -> None:
        self.notes = Notes()
        self.planner = Planner()
        strategy = options.pop("strategy", StrategyConfig("vlash", s=4, d=2))
        drive = Drive(strategy, H, guard=options.pop("guard", GuardConfig()))
        self.runtime = Realtime(
            drive,
            partial(NotedRobot, self.notes.ring, fault, options.pop("spec", SPEC)),
            ScriptedPlanner(self.planner),
            isolation=isolation,
            stall_s=STALL_S,
            **options,
        )

    @property
    def status(self) -> list[TickStatus]:
        return [TickStatus(int(status)) for status in self.runtime.trace.ticks["status"]]

    def at_rest(self) -> None:
        """The robot was brought to rest, stopped, and let go."""
        assert self.notes.sent[-1][1] == 0.0
        assert self.notes.order[-2:] == [STOP, DISCONNECT]


# ---- life -----------------------------------------------------------------------------------------------------------


@BOTH
def test_a_run_connects_warms_up_drives_comes_to_rest_stops_and_disconnects(isolation: str) -> None:
    run = Run(isolation)
    assert run.runtime.phase is Phase.CREATED
    with run.runtime as runtime:
        assert runtime.phase is Phase.WARM
        assert run.planner.inferences == 0
        assert run.notes.order == [CONNECT]  # nothing was sent while the planner warmed up
        runtime.run(0.4)
        assert runtime.phase is Phase.RUNNING
    assert runtime.phase is Phase.STOPPED
    assert run.notes.order == [CONNECT, WRITE, STOP, DISCONNECT]
    assert runtime.trace.ticks["tick"].tolist() == list(range(len(run.status)))
    assert TickStatus.OK in run.status
    assert [1.0, 1.0] in run.notes.sent
    run.at_rest()
    assert len(runtime.processes) == (1 if isolation == "thread" else 2)


@BOTH
def test_what_was_tuned_is_told(isolation: str) -> None:
    with Run(isolation).runtime as runtime:
        assert {"switch_interval", "timer_slack", "garbage", "torch_threads"} <= set(runtime.tuned)


def test_a_method_out_of_its_phase_is_refused_and_says_which_it_takes() -> None:
    runtime = Run().runtime
    for method in (runtime.start, runtime.pause, runtime.resume, runtime.estop, runtime.reset):
        with pytest.raises(LifecycleError, match=r"a runtime that is created cannot be .*; it must be warm"):
            method()
    with runtime:
        with pytest.raises(LifecycleError, match="is warm cannot be entered; it must be created"):
            runtime.__enter__()
        runtime.run(0.1)
        with pytest.raises(LifecycleError, match="is running cannot be started"):
            runtime.start()
    with pytest.raises(LifecycleError, match="is stopped cannot be entered"):
        runtime.__enter__()
    runtime.stop()  # once more does no harm


@BOTH
def test_a_runtime_that_is_never_started_sends_nothing_and_lets_the_robot_go(isolation: str) -> None:
    run = Run(isolation)
    with run.runtime:
        pass
    assert run.notes.order == [CONNECT, STOP, DISCONNECT]


@BOTH
def test_the_error_of_the_block_comes_first_and_the_robot_is_at_rest(isolation: str) -> None:
    run = Run(isolation)
    with pytest.raises(KeyError), run.runtime as runtime:
        runtime.start()
        while [1.0, 1.0] not in run.notes.sent:
            runtime.wait(0.01)
        raise KeyError
    run.at_rest()


def test_a_thread_above_100_setpoints_per_second_warns_and_says_why() -> None:
    with pytest.warns(
        UserWarning, match=r"send 500 setpoints per second.*Python code makes it late; use isolation=process"
    ):
        Realtime(
            Drive(StrategyConfig("vlash", s=4, d=2), H, substeps=10),
            partial(NotedRobot, Notes().ring),
            ScriptedPlanner(Planner()),
        )


def test_what_cannot_be_sent_to_a_process_is_refused_by_name() -> None:
    runtime = Realtime(
        Drive(StrategyConfig("vlash", s=4, d=2), H),
        lambda: NotedRobot(Notes().ring),
        ScriptedPlanner(Planner()),
        isolation="process",
    )
    with pytest.raises(ConfigError, match=r"cannot be sent to another process.*functools.partial"):
        runtime.__enter__()


def test_an_unknown_isolation_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"no isolation 'proces'.*process"):
        Run("proces")


@BOTH
def test_a_latency_that_the_strategy_cannot_bear_is_refused_before_anything_moves(isolation: str) -> None:
    run = Run(isolation, latency=Fixed(H), strategy=StrategyConfig("vlash", s=4))
    with pytest.raises(ConfigError):
        run.runtime.__enter__()
    assert run.notes.count(WRITE) == 0
    assert run.notes.order[-1] == DISCONNECT


# ---- orders ---------------------------------------------------------------------------------------------------------


def wait_for(runtime: Realtime, holds: Callable[[], bool]) -> None:
    """Lets it run until `holds`."""
    for _ in range(1000):
        if holds():
            return
        assert not runtime.wait(0.01), "it ended before"
    raise AssertionError("it never came to that")


@BOTH
def test_a_pause_brakes_and_holds_and_after_it_the_robot_goes_on(isolation: str) -> None:
    run = Run(isolation)
    with run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
        runtime.pause()
        wait_for(runtime, lambda: run.notes.sent[-1][1] == 0.0)
        assert TickStatus.PAUSED in run.status
        runtime.resume()
        wait_for(runtime, lambda: run.notes.sent[-1] == [1.0, 1.0])
    run.at_rest()


@BOTH
def test_an_estop_in_motion_stops_the_robot_and_nothing_is_sent_before_a_reset(isolation: str) -> None:
    run = Run(isolation)
    with run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
        runtime.estop()
        wait_for(runtime, lambda: run.status.count(TickStatus.ESTOP) >= 5)
        assert run.notes.order == [CONNECT, WRITE, STOP]
        runtime.pause()
        runtime.resume()
        before = run.status.count(TickStatus.ESTOP)
        wait_for(runtime, lambda: run.status.count(TickStatus.ESTOP) >= before + 5)
        assert run.notes.order == [CONNECT, WRITE, STOP]  # neither of these is a reset
        runtime.reset()
        wait_for(runtime, lambda: run.notes.sent[-1] == [1.0, 1.0])
    assert run.notes.order == [CONNECT, WRITE, STOP, WRITE, STOP, DISCONNECT]


@BOTH
def test_an_estop_before_the_first_tick_lets_nothing_out_at_all(isolation: str) -> None:
    run = Run(isolation)
    with run.runtime as runtime:
        runtime.estop()
        runtime.start()
        wait_for(runtime, lambda: run.status.count(TickStatus.ESTOP) >= 5)
        assert run.notes.count(WRITE) == 0
    assert run.notes.order == [CONNECT, STOP, DISCONNECT]


@BOTH
def test_an_estop_while_paused_lasts_until_a_reset(isolation: str) -> None:
    run = Run(isolation)
    with run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
        runtime.pause()
        wait_for(runtime, lambda: TickStatus.PAUSED in run.status)
        runtime.estop()
        wait_for(runtime, lambda: TickStatus.ESTOP in run.status)
        runtime.resume()
        sent = run.notes.count(WRITE)
        before = len(run.status)
        wait_for(runtime, lambda: len(run.status) >= before + 5)
        assert run.notes.count(WRITE) == sent


@BOTH
def test_no_estop_is_lost_beside_orders_of_another_thread(isolation: str) -> None:
    run = Run(isolation)
    with run.runtime as runtime:
        begin = threading.Barrier(2)

        def tell(order: Callable[[], None]) -> None:
            begin.wait()
            for _ in range(20_000):
                order()

        tellers = [
            threading.Thread(target=tell, args=(order,)) for order in (runtime.estop, lambda: runtime.set_task("go on"))
        ]
        for teller in tellers:
            teller.start()
        for teller in tellers:
            teller.join()
        commands = runtime._isolation.links.commands.peek()
        assert commands is not None
        assert (commands.estops, commands.latched, commands.task) == (20_000, True, "go on")


@BOTH
def test_a_task_that_is_changed_while_it_runs_reaches_the_policy(isolation: str) -> None:
    run = Run(isolation)
    with run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: run.planner.inferences > 2)
        runtime.set_task("pick up the cube")
        wait_for(runtime, lambda: run.planner.tasks[-1] == "pick up the cube")
    assert "pick up the cube" not in run.planner.tasks[: WARM_UPS + 2]


# ---- the planner fails ----------------------------------------------------------------------------------------------


def explode() -> None:
    raise ZeroDivisionError("in the policy")


@BOTH
@pytest.mark.parametrize(
    "fault, words",
    [
        (explode, "ZeroDivisionError .in the policy"),
        (lambda: np.full((H, 2), np.nan), "NaN or infinity, first in row 0"),
        (lambda: np.zeros((H, 3)), r"rows of shape \(16, 3\)"),
        (lambda: sys.exit("the licence has expired"), "the planner ended with SystemExit.'the licence has expired'"),
    ],
)
def test_a_planner_that_fails_ends_in_a_hold_a_stop_and_its_own_words(
    isolation: str, fault: Callable[[], Any], words: str
) -> None:
    run = Run(isolation)
    run.planner.at[3] = fault
    with pytest.raises(InferenceError, match=words), run.runtime as runtime:
        runtime.start()
        runtime.wait(60)
    run.at_rest()
    after = run.status[len(run.status) - REST_TICKS :]
    assert after[-1] is TickStatus.PAUSED
    assert run.status.count(TickStatus.PAUSED) <= REST_TICKS


def test_a_step_of_the_wall_clock_cannot_matter_for_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> float:
        raise AssertionError("the wall clock was read")

    run = Run()
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", read)
        patched.setattr(time, "time_ns", read)
        with run.runtime as runtime:
            runtime.run(0.3)
    assert TickStatus.OK in run.status
    run.at_rest()


def test_a_planner_that_fails_while_warming_up_moves_nothing() -> None:
    run = Run()
    run.planner.at[-2] = explode
    with pytest.raises(InferenceError, match=r"could not be warmed up.*nothing was sent to the robot"):
        run.runtime.__enter__()
    assert run.notes.order == [CONNECT, STOP, DISCONNECT]


@BOTH
def test_a_planner_that_hangs_leaves_the_robot_holding_and_is_told_at_the_end(isolation: str) -> None:
    run = Run(isolation)
    free = threading.Event()
    run.planner.at[2] = lambda: free.wait() and None
    with pytest.raises(InferenceError, match="the planner did not return within"), run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: run.status.count(TickStatus.UNDERRUN) > H)
        assert run.notes.sent[-1] == [1.0, 0.0]  # the position stays, the velocity is braked
    free.set()
    run.at_rest()


@BOTH
def test_a_planner_that_hung_is_told_also_after_an_interrupt(isolation: str) -> None:
    run = Run(isolation)
    free = threading.Event()
    run.planner.at[2] = lambda: free.wait() and None
    with pytest.raises(InferenceError, match="the planner did not return within"), run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: run.planner.inferences > 2)
        os.kill(os.getpid(), signal.SIGTERM)
    free.set()
    run.at_rest()


# ---- an eye ---------------------------------------------------------------------------------------------------------


def filmed(isolation: str, image_encoder: ImageEncoder | None, folder: Path) -> Run:
    """A run whose rows a head amends by how bright the second of the robot's cameras sees it."""
    card = HeadCard(("x",), ("x",), (), H, cameras=("wrist",), latent=1, image_age=10)
    matrix = np.zeros((7, 1))
    matrix[5] = 1.0
    Head(card, [(matrix, np.zeros(1))], np.zeros(7), np.ones(7), np.ones(1)).save(folder / "head.npz")
    run = Run(isolation)
    strategy = StrategyConfig("vlash", s=4, d=2, corrector=CorrectorConfig(str(folder / "head.npz")))
    make_robot, planner = partial(FilmedRobot, run.notes.ring), ScriptedPlanner(run.planner)
    run.runtime = Realtime(
        Drive(strategy, H), make_robot, planner, isolation=isolation, stall_s=STALL_S, image_encoder=image_encoder
    )
    return run


@BOTH
def test_rows_are_amended_by_what_an_eye_sees_that_was_warmed_up_before(isolation: str, tmp_path: Path) -> None:
    looks: list[int] = []

    def image_encoder(images: Images) -> FloatArray:
        looks.append(run.notes.count(WRITE))
        return MeanImageEncoder(("wrist",))(images)

    run = filmed(isolation, image_encoder, tmp_path)
    with run.runtime as runtime:
        assert looks == [0] * WARM_UPS
        assert run.notes.order == [CONNECT]
        runtime.run(0.4)
    amended = pytest.approx([1.0 + BRIGHT, 1.0])
    assert any(sent == amended for sent in run.notes.sent)
    run.at_rest()


@BOTH
def test_an_eye_that_fails_ends_in_a_hold_a_stop_and_its_own_words(isolation: str, tmp_path: Path) -> None:
    def image_encoder(images: Images) -> FloatArray:
        if run.notes.count(WRITE) > 3:
            raise RuntimeError("out of memory")
        return np.zeros(1)

    run = filmed(isolation, image_encoder, tmp_path)
    with (
        pytest.raises(InferenceError, match=r"the image encoder raised RuntimeError \(out of memory\)"),
        run.runtime as runtime,
    ):
        runtime.run(5.0)
    assert len(run.notes.sent) < 100
    run.at_rest()


def test_an_eye_that_fails_while_warming_up_moves_nothing(tmp_path: Path) -> None:
    def image_encoder(images: Images) -> FloatArray:
        raise RuntimeError("no weights")

    run = filmed("thread", image_encoder, tmp_path)
    with pytest.raises(
        InferenceError, match=r"the image encoder could not be warmed up .*no weights.*; nothing was sent"
    ):
        run.runtime.__enter__()
    assert run.notes.order == [CONNECT, STOP, DISCONNECT]


def test_an_eye_that_hangs_leaves_rows_as_they_are_and_is_told_at_the_end(tmp_path: Path) -> None:
    released = threading.Event()

    def image_encoder(images: Images) -> FloatArray:
        if run.notes.count(WRITE):
            released.wait()
        return np.zeros(1)

    run = filmed("thread", image_encoder, tmp_path)
    with pytest.raises(InferenceError, match="the image encoder did not return within"), run.runtime as runtime:
        runtime.run(0.3)
    released.set()
    assert [1.0, 1.0] in run.notes.sent
    run.at_rest()


@BOTH
def test_a_head_that_sees_images_needs_an_eye(isolation: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="sees images of wrist, and nothing encodes them here"):
        filmed(isolation, None, tmp_path)


# ---- the robot fails ------------------------------------------------------------------------------------------------


@BOTH
def test_a_robot_that_does_not_connect_is_told_and_nothing_is_sent(isolation: str) -> None:
    run = Run(isolation, Fault("connect", 0, "raise"))
    with pytest.raises(RobotError, match=r"could not be connected .OSError: no answer to connect.; nothing was sent"):
        run.runtime.__enter__()
    assert run.notes.count(WRITE) == 0


@BOTH
def test_a_robot_that_takes_too_long_to_connect_is_told_with_the_time_it_had(isolation: str) -> None:
    run = Run(isolation, Fault("connect", 0, "hang"), connect_s=0.1)
    with pytest.raises(RobotError, match=r"was not connected and read within 0.1 s; look at its power"):
        run.runtime.__enter__()
    assert run.notes.count(WRITE) == 0


def test_a_robot_of_less_than_one_tick_a_second_is_not_taken_for_hung() -> None:
    run = Run(spec=replace(SPEC, rate_hz=2.0))  # a period is longer than the patience with a tick
    with run.runtime as runtime:
        runtime.run(1.5)
    run.at_rest()


@BOTH
@pytest.mark.parametrize("how", ["raise", "nan"])
def test_a_robot_without_a_usable_state_does_not_get_warm(isolation: str, how: str) -> None:
    run = Run(isolation, Fault("read", 0, how))
    with pytest.raises(RobotError, match=r"could not be read|no usable state before the start .nan"):
        run.runtime.__enter__()
    assert run.notes.order == [CONNECT, STOP, DISCONNECT]


@BOTH
@pytest.mark.parametrize("at", [1, 12])
def test_reads_that_raise_for_too_long_end_in_holds_a_stop_and_the_words_of_the_robot(isolation: str, at: int) -> None:
    run = Run(isolation, Fault("read", at, "raise"))
    with (
        pytest.raises(
            RobotError, match=r"was stopped, for .*no answer to read.*guard.give_up_ticks.*; check the robot"
        ),
        run.runtime as runtime,
    ):
        runtime.start()
        runtime.wait(60)
    assert run.notes.order[-2:] == [STOP, DISCONNECT]


@BOTH
def test_a_write_that_raises_is_followed_by_a_stop(isolation: str) -> None:
    run = Run(isolation, Fault("write", 10, "raise"))
    with (
        pytest.raises(RobotError, match=r"failed in tick 10 .*no answer to write.*could not be held"),
        run.runtime as runtime,
    ):
        runtime.start()
        runtime.wait(60)
    assert run.notes.count(WRITE) == 10
    assert run.notes.order[-2:] == [STOP, DISCONNECT]


@BOTH
def test_a_state_that_is_nan_for_too_long_ends_in_a_hold_and_then_an_estop_and_says_so(isolation: str) -> None:
    run = Run(isolation, Fault("read", 12, "nan"), guard=GuardConfig(give_up_ticks=6))
    with (
        pytest.raises(
            RobotError, match=r"for the state had NaN or infinity, .* after 6 ticks in a row .*give_up_ticks"
        ),
        run.runtime as runtime,
    ):
        runtime.start()
        runtime.wait(60)
    assert run.status[10:18] == [TickStatus.OK] + [TickStatus.STALE] * 5 + [TickStatus.ESTOP] * 2
    assert run.notes.order == [CONNECT, WRITE, STOP, DISCONNECT]
    assert [v for _, v in run.notes.sent[10:16]] == [1.0, 0.5, 0.0, 0.0, 0.0, 0.0]


@BOTH
def test_a_state_that_repeats_itself_while_the_robot_should_move_is_stale(isolation: str) -> None:
    run = Run(isolation, Fault("read", 0, "repeat"), guard=GuardConfig(frozen_ticks=3, give_up_ticks=6))
    moving = [np.linspace(0, 1, H)[:, None] * [1, 0] + 0.001 * n for n in range(30)]
    run.planner.at = {n: partial(moving.__getitem__, n) for n in range(30)}
    with (
        pytest.raises(
            RobotError, match=r"for the state repeated itself for 3 ticks .guard.frozen_ticks., after 6 ticks"
        ),
        run.runtime as runtime,
    ):
        runtime.start()
        runtime.wait(60)
    assert TickStatus.STALE in run.status


@BOTH
@pytest.mark.parametrize("seen, ends", [(None, True), (("top",), True), (("wrist",), False), ((), False)])
def test_a_camera_that_freezes_ends_in_a_hold_and_an_estop_if_the_planner_sees_it(
    isolation: str, seen: tuple[str, ...] | None, ends: bool
) -> None:
    notes, planner = Notes(), Planner()
    guard = GuardConfig(image_stale_ticks=5, give_up_ticks=6)
    drive = Drive(StrategyConfig("vlash", s=4, d=2), H, guard=guard, cameras=seen)
    runtime = Realtime(drive, partial(FrozenRobot, notes.ring, 14), ScriptedPlanner(planner), isolation=isolation)
    words = r"the image of top was 11 ticks old, and the limit is 5 .guard.image_stale_ticks., after 6 ticks in a row"
    with pytest.raises(RobotError, match=words) if ends else nullcontext(), runtime:
        runtime.run(0.8)
    status = [TickStatus(int(status)) for status in runtime.trace.ticks["status"]]
    assert (TickStatus.STALE in status) == ends
    assert (TickStatus.ESTOP in status) == ends
    assert not ends or notes.sent[-1][1] == 0.0  # v was braked


def test_a_robot_that_names_its_joints_in_another_order_in_the_executors_process_is_refused() -> None:
    notes = Notes()
    make = partial(ShuffledRobot, notes.ring, os.getpid())
    drive = Drive(StrategyConfig("vlash", s=4, d=2), H)
    runtime = Realtime(drive, make, ScriptedPlanner(Planner()), isolation="process")
    with pytest.raises(ConfigError, match=r"has action v, x the second time and x, v the first"), runtime:
        runtime.run(0.4)
    assert notes.order == []  # not even connected


@BOTH
def test_a_corrupted_packet_now_and_then_is_a_stale_tick_and_nothing_else(isolation: str) -> None:
    run = Run(isolation, Fault("read", 7, "packet"))
    with run.runtime as runtime:
        runtime.run(0.6)
    assert run.status.count(TickStatus.STALE) >= 3
    assert TickStatus.OK in run.status[-10:]
    assert TickStatus.ESTOP not in run.status
    run.at_rest()


def test_a_read_that_hangs_in_a_thread_has_the_robot_stopped_from_another() -> None:
    run = Run("thread", Fault("read", 12, "hang"))
    with (
        pytest.raises(
            RobotError, match=r"no tick has ended for 0.34 s, so a call of the robot hangs; it was told to stop"
        ),
        run.runtime as runtime,
    ):
        runtime.start()
        runtime.wait(60)
    assert run.notes.count(WRITE) == 11
    assert run.notes.order == [CONNECT, WRITE, STOP]


@BOTH
def test_a_read_that_hangs_is_met_in_time_also_if_the_users_thread_sleeps(isolation: str) -> None:
    run = Run(isolation, Fault("read", 12, "hang"))
    met_ns: list[int] = []

    def look(side: Any) -> Callable[[], str]:
        stop_hung = side.stop_hung

        def noted() -> str:
            met_ns.append(time.monotonic_ns())
            return str(stop_hung())

        return noted

    runtime = run.runtime
    runtime._isolation.stop_hung = look(runtime._isolation)  # type: ignore[method-assign]
    with pytest.raises(RobotError, match="no tick has ended"), runtime:
        runtime.start()
        for _ in range(300):
            if met_ns:
                break
            threading.Event().wait(0.01)  # and never `runtime.wait`
        hung_ns = int(run.notes.all["at_ns"][-1 if isolation == "process" else -2])
        assert (met_ns[0] - hung_ns) * 1e-9 < STALL_S + 2 * SPEC.period_s + 0.2
    assert run.notes.count(WRITE) == 11


def test_a_read_that_was_given_up_and_returns_after_all_moves_nothing_any_more() -> None:
    run = Run("thread", Fault("read", 12, "hiccup"))
    with pytest.raises(RobotError, match="a call of the robot hangs; it was told to stop"), run.runtime as runtime:
        runtime.start()
        runtime.wait(60)
    for _ in range(1000):
        if run.notes.order[-1] == DISCONNECT:
            break
        threading.Event().wait(0.01)
    assert run.notes.count(WRITE) == 11
    assert run.notes.order == [CONNECT, WRITE, STOP, DISCONNECT]


class Deaf(NotedRobot):
    """It cannot be stopped."""

    def stop(self) -> None:
        raise OSError("no answer to stop")


def test_a_robot_that_hangs_and_cannot_be_stopped_either_is_told_and_left_to_its_watchdog() -> None:
    notes = Notes()
    runtime = Realtime(
        Drive(StrategyConfig("vlash", s=4, d=2), H),
        partial(Deaf, notes.ring, Fault("read", 12, "hang")),
        ScriptedPlanner(Planner()),
        stall_s=STALL_S,
    )
    with pytest.raises(RobotError, match=r"did not stop .OSError: no answer to stop.*watchdog"), runtime:
        runtime.start()
        runtime.wait(60)
    assert runtime.phase is Phase.STOPPED


@BOTH
def test_a_robot_that_takes_its_time_to_be_let_go_is_not_taken_for_hung(isolation: str) -> None:
    run = Run(isolation, Fault("disconnect", 0, "dawdle"))  # longer than a tick may take
    with run.runtime as runtime:
        runtime.run(0.2)
    run.at_rest()


def test_a_robot_that_is_never_let_go_is_told() -> None:
    run = Run("thread", Fault("disconnect", 0, "hang"), connect_s=0.5)
    with (
        pytest.raises(RobotError, match=r"the robot was not disconnected for 0.5 s, so a call of the robot hangs"),
        run.runtime as runtime,
    ):
        runtime.run(0.2)
    assert run.notes.order == [CONNECT, WRITE, STOP]
    assert run.notes.count(STOP) == 1  # nobody else touches a robot that is being let go


def test_a_read_that_hangs_in_a_process_has_the_process_killed() -> None:
    run = Run("process", Fault("read", 12, "hang"))
    with (
        pytest.raises(RobotError, match="a call of the robot hangs; its process was killed: the robot keeps the last"),
        run.runtime as runtime,
    ):
        runtime.start()
        runtime.wait(60)
    assert run.notes.count(WRITE) == 11
    assert run.notes.order == [CONNECT, WRITE]


def test_an_executor_that_is_killed_is_told_and_what_the_robot_does_then() -> None:
    run = Run("process", Fault("write", 12, "kill"))
    with (
        pytest.raises(
            RobotError, match=r"process died .exit status -9.: the robot keeps the last setpoint until its own"
        ),
        run.runtime as runtime,
    ):
        runtime.start()
        runtime.wait(60)
    assert run.notes.count(WRITE) == 12
    assert runtime.phase is Phase.STOPPED


def test_an_executor_that_is_killed_before_the_start_is_told_and_the_rest_is_put_in_order() -> None:
    run = Run("process")
    with pytest.raises(RobotError, match=r"process died .exit status -9"), run.runtime as runtime:
        os.kill(runtime.processes[1], signal.SIGKILL)
        for _ in range(1000):
            if not runtime._isolation.alive():
                break
            threading.Event().wait(0.01)
        runtime.start()
        runtime.wait(60)
    assert runtime.phase is Phase.STOPPED
    assert run.notes.count(WRITE) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_executor_that_is_told_to_end_brings_the_robot_to_rest_and_says_so(number: signal.Signals) -> None:
    run = Run("process")
    with (
        pytest.raises(
            RobotError, match=r"the executor was told to end; the robot was held, brought to rest and stopped"
        ),
        run.runtime as runtime,
    ):
        runtime.start()
        wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
        os.kill(runtime.processes[1], number)
        runtime.wait(60)
    run.at_rest()


def test_a_stop_that_fails_does_not_hide_why_the_robot_was_stopped() -> None:
    runtime = Realtime(
        Drive(StrategyConfig("vlash", s=4, d=2), H),
        partial(Deaf, Notes().ring, Fault("read", 12, "raise")),
        ScriptedPlanner(Planner()),
    )
    with pytest.raises(RobotError, match=r"no answer to read.*no answer to stop"), runtime:
        runtime.start()
        runtime.wait(60)


@BOTH
@pytest.mark.parametrize("part", ["connect", "read", "write", "stop", "disconnect"])
def test_a_driver_that_means_to_end_the_program_does_not_and_its_reason_is_told(isolation: str, part: str) -> None:
    at = {"connect": 0, "read": 12, "write": 12, "stop": 0, "disconnect": 0}[part]
    run = Run(isolation, Fault(part, at, "exit"))
    with pytest.raises(RobotError, match=f"SystemExit: no licence for {part}"), run.runtime as runtime:
        runtime.run(0.4)
    assert run.runtime.phase is Phase.STOPPED
    if part in ("read", "write"):
        assert run.notes.order[-2:] == [STOP, DISCONNECT]


@BOTH
@pytest.mark.parametrize("raised", [KeyboardInterrupt(), SystemExit(0)])
def test_neither_an_interrupt_nor_an_exit_hides_a_robot_that_could_not_be_stopped(
    isolation: str, raised: BaseException
) -> None:
    run = Run(isolation, Fault("stop", 0, "raise"))
    with (
        pytest.raises(RobotError, match=r"could not be stopped .OSError: no answer to stop") as told,
        run.runtime as runtime,
    ):
        runtime.start()
        wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
        raise raised
    assert told.value.__context__ is raised


@BOTH
def test_the_error_of_the_block_says_also_that_the_robot_could_not_be_stopped(isolation: str) -> None:
    run = Run(isolation, Fault("stop", 0, "raise"))
    with pytest.raises(KeyError) as told, run.runtime as runtime:
        runtime.start()
        raise KeyError
    assert "could not be stopped (OSError: no answer to stop)" in "".join(told.value.__notes__)


def test_a_robot_that_can_neither_be_stopped_nor_disconnected_says_both() -> None:
    class Stuck(Deaf):
        def disconnect(self) -> None:
            raise OSError("no answer to disconnect")

    runtime = Realtime(
        Drive(StrategyConfig("vlash", s=4, d=2), H), partial(Stuck, Notes().ring), ScriptedPlanner(Planner())
    )
    with pytest.raises(RobotError, match=r"stopped .*to stop.; the robot could not be disconnected .*to disconnect"):
        runtime.__enter__()
        runtime.stop()


def test_an_estop_that_the_robot_refuses_says_in_which_tick_and_why() -> None:
    runtime = Realtime(
        Drive(StrategyConfig("vlash", s=4, d=2), H), partial(Deaf, Notes().ring), ScriptedPlanner(Planner())
    )
    with pytest.raises(RobotError, match=r"failed in tick \d+ .OSError: no answer to stop."), runtime:
        runtime.start()
        runtime.estop()
        runtime.wait(60)


def test_the_trace_holds_as_many_seconds_as_are_wanted() -> None:
    with Run(trace_s=0.1).runtime as runtime:
        runtime.run(0.4)
        assert len(runtime.trace.ticks) == 5


KILLED = """
import os, signal, sys
from functools import partial
from multiprocessing.reduction import DupFd
import numpy as np
from noted import Notes, NotedRobot, SPEC
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.drivers.realtime import Realtime
from filed import FiledRobot

def plan(seen, rng):
    return np.full((16, 2), 1.0)

if __name__ == "__main__":
    runtime = Realtime(Drive(StrategyConfig("vlash", s=4, d=2), 16), partial(FiledRobot, sys.argv[1]),
                       ScriptedPlanner(plan), isolation="process")
    with runtime:
        runtime.start()
        while "1.0 1.0" not in open(sys.argv[1]).read():
            runtime.wait(0.01)
        os.kill(os.getpid(), signal.SIGKILL)
"""


def test_when_the_workers_process_is_killed_the_executor_brakes_stops_and_lets_the_robot_go(tmp_path: Path) -> None:
    noted, script = tmp_path / "noted.txt", tmp_path / "killed.py"
    noted.touch()
    script.write_text(KILLED)
    path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    program = subprocess.Popen([sys.executable, str(script), str(noted)], env={**os.environ, "PYTHONPATH": path})
    assert program.wait(60) == -signal.SIGKILL
    for _ in range(3000):
        if "disconnect" in noted.read_text():
            break
        threading.Event().wait(0.01)
    lines = noted.read_text().split("\n")[:-1]
    assert lines[-2:] == ["stop", "disconnect"]
    last = [line for line in lines if line[0].isdigit()][-3:]
    assert last == ["1.0 1.0", "1.0 0.5", "1.0 0.0"]


# ---- interrupts -----------------------------------------------------------------------------------------------------


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def interrupt(request: pytest.FixtureRequest) -> Iterator[Callable[[], None]]:
    yield lambda: os.kill(os.getpid(), request.param)


@BOTH
def test_an_interrupt_while_warming_up_sends_nothing(isolation: str, interrupt: Callable[[], None]) -> None:
    run = Run(isolation)
    run.planner.at[-3] = interrupt
    with pytest.raises(KeyboardInterrupt):
        run.runtime.__enter__()
    assert run.notes.order == [CONNECT, STOP, DISCONNECT]
    assert run.runtime.phase is Phase.STOPPED


@BOTH
def test_an_interrupt_between_warming_up_and_starting_sends_nothing(
    isolation: str, interrupt: Callable[[], None]
) -> None:
    run = Run(isolation)
    with pytest.raises(KeyboardInterrupt), run.runtime:
        interrupt()
    assert run.notes.order == [CONNECT, STOP, DISCONNECT]


@BOTH
def test_an_interrupt_in_the_very_moment_of_the_start_brings_the_robot_to_rest(
    isolation: str, interrupt: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(isolation)
    with pytest.raises(KeyboardInterrupt), run.runtime as runtime:
        control = runtime._isolation.control

        class Interrupted:
            def send(self, message: object) -> None:
                control.send(message)
                interrupt()

            def __getattr__(self, name: str) -> Any:
                return getattr(control, name)

        monkeypatch.setattr(runtime._isolation, "control", Interrupted())
        runtime.start()
    assert runtime.phase is Phase.STOPPED
    assert run.notes.order[-2:] == [STOP, DISCONNECT]


CLOSING = ["__exit__", "_leave", "_close", "_release", "ending", "_end_workers", "put_back"]


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("place", CLOSING)
@pytest.mark.parametrize("before", ["nothing", "an interrupt"])
def test_an_interrupt_at_the_first_instruction_of_what_closes_lets_the_robot_go_first(
    isolation: str, place: str, before: str
) -> None:
    run = Run(isolation)
    interrupt = partial(os.kill, os.getpid(), signal.SIGINT)

    def trace(frame: FrameType, event: str, argument: object) -> None:
        if event == "call" and frame.f_code.co_name == place:
            sys.settrace(None)
            interrupt()
            interrupt()

    try:
        with pytest.raises(KeyboardInterrupt), run.runtime as runtime:
            runtime.start()
            wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
            sys.settrace(trace)
            if before != "nothing":
                interrupt()
    finally:
        sys.settrace(None)
    assert run.runtime.phase is Phase.STOPPED
    assert (run.notes.count(STOP), run.notes.count(DISCONNECT)) == (1, 1)
    run.at_rest()


@BOTH
def test_what_another_handler_raises_while_it_stops_waits_until_the_robot_is_let_go(isolation: str) -> None:
    def alarm(number: int, frame: object) -> None:
        raise TimeoutError

    run = Run(isolation)
    before = signal.signal(signal.SIGALRM, alarm)
    try:
        with pytest.raises(TimeoutError), run.runtime as runtime:
            runtime.start()
            wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
            signal.setitimer(signal.ITIMER_REAL, 0.02)  # braking takes two ticks, and 40 ms
    finally:
        signal.signal(signal.SIGALRM, before)
    assert runtime.phase is Phase.STOPPED
    run.at_rest()


@BOTH
def test_an_interrupt_that_the_block_keeps_to_itself_ends_the_run_all_the_same(isolation: str) -> None:
    run = Run(isolation)
    with run.runtime as runtime:
        runtime.start()
        try:
            wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            assert runtime.wait(60)
        run.at_rest()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_of_processes_is_no_failure_of_the_executor(number: signal.Signals) -> None:
    run = Run("process")
    with pytest.raises(KeyboardInterrupt, match=number.name), run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
        os.kill(runtime.processes[1], number)
        os.kill(os.getpid(), number)
        runtime.wait(60)
    run.at_rest()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_is_ignored_here_is_ignored_by_the_executors_process(number: signal.Signals) -> None:
    run = Run("process")
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with run.runtime as runtime:
            runtime.start()
            wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
            os.kill(runtime.processes[1], number)
            os.kill(os.getpid(), number)
            ticks = len(run.status)
            wait_for(runtime, lambda: len(run.status) > ticks + 10)
            assert set(run.status[ticks:]) == {TickStatus.OK}
    finally:
        signal.signal(number, before)


@BOTH
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_that_is_forked_while_it_runs_and_told_to_end_does_not_stop_the_robot(isolation: str) -> None:
    run = Run(isolation)
    ours, theirs = multiprocessing.Pipe()

    def idle() -> None:
        theirs.send("begun")
        theirs.recv()

    with run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
        child = multiprocessing.get_context("fork").Process(target=idle)
        child.start()
        assert ours.recv() == "begun"
        child.terminate()
        child.join(30)
        assert child.exitcode == -signal.SIGTERM
        ticks = len(run.status)
        wait_for(runtime, lambda: len(run.status) > ticks + 5)
        assert run.status[-1] is TickStatus.OK
    run.at_rest()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_an_executor_that_is_told_to_end_before_the_start_lets_the_robot_go_and_says_so(number: signal.Signals) -> None:
    run = Run("process")
    with pytest.raises(RobotError, match="was told to end; nothing was sent to the robot"), run.runtime as runtime:
        os.kill(runtime.processes[1], number)
        for _ in range(1000):
            if DISCONNECT in run.notes.order:
                break
            threading.Event().wait(0.01)
        assert run.notes.order == [CONNECT, STOP, DISCONNECT]
        runtime.start()
        runtime.wait(60)


SCRIPT = """
import multiprocessing, sys
from functools import partial
import numpy as np
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.drivers.realtime import Realtime
from filed import FiledRobot

def plan(seen, rng):
    return np.full((16, 2), 1.0)
"""
FORGOTTEN = (
    SCRIPT
    + """
if __name__ == "__main__":
    runtime = Realtime(Drive(StrategyConfig("vlash", s=4, d=2), 16), partial(FiledRobot, sys.argv[1]),
                       ScriptedPlanner(plan), isolation=sys.argv[2])
    runtime.__enter__()
    runtime.start()
    while "1.0 1.0" not in open(sys.argv[1]).read():
        runtime.wait(0.01)
    sys.exit(3)
"""
)


def script(words: str, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Runs it as a program of its own; its first argument is a file for notes."""
    path, noted = folder / "script.py", folder / "noted.txt"
    noted.touch()
    path.write_text(words)
    found = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [sys.executable, str(path), str(noted), *arguments],
        env={**os.environ, "PYTHONPATH": found},
        capture_output=True,
        text=True,
        timeout=60,
    )


@BOTH
def test_a_program_that_ends_without_having_stopped_its_robot_brings_it_to_rest_first(
    isolation: str, tmp_path: Path
) -> None:
    assert script(FORGOTTEN, tmp_path, isolation).returncode == 3
    lines = (tmp_path / "noted.txt").read_text().splitlines()
    assert lines[-3:] == ["1.0 0.0", "stop", "disconnect"]
    assert lines.count("stop") == 1


FORKED = (
    SCRIPT
    + """
def drive():
    global runtime
    runtime = Realtime(Drive(StrategyConfig("vlash", s=4, d=2), 16), partial(FiledRobot, sys.argv[1]),
                       ScriptedPlanner(plan))
    runtime.__enter__()
    runtime.start()
    while "1.0 1.0" not in open(sys.argv[1]).read():
        runtime.wait(0.01)

if __name__ == "__main__":
    process = multiprocessing.get_context("fork").Process(target=drive)
    process.start()
    process.join()
"""
)


def test_a_forked_process_that_ends_without_having_stopped_its_robot_brings_it_to_rest_first(tmp_path: Path) -> None:
    assert script(FORKED, tmp_path).returncode == 0
    lines = (tmp_path / "noted.txt").read_text().splitlines()
    assert lines[-3:] == ["1.0 0.0", "stop", "disconnect"]
    assert lines.count("stop") == 1


UNGUARDED = (
    SCRIPT
    + """
for isolation in ("thread", "process"):
    runtime = Realtime(Drive(StrategyConfig("vlash", s=4, d=2), 16), partial(FiledRobot, sys.argv[1]),
                       ScriptedPlanner(plan), isolation=isolation)
    with runtime:
        runtime.run(0.2)
"""
)


def test_a_script_that_would_drive_the_robot_again_in_the_executors_process_is_refused_and_told_the_remedy(
    tmp_path: Path,
) -> None:
    ran = script(UNGUARDED, tmp_path)
    assert ran.returncode == 1
    lines = (tmp_path / "noted.txt").read_text().splitlines()
    assert (lines.count("stop"), lines.count("disconnect")) == (1, 1)  # of the first, in this process, alone
    remedy = 'under if __name__ == "__main__":'
    assert f"would drive the robot a second time; keep what drives the robot {remedy}" in ran.stderr  # of the process
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith("rollahead.errors.RobotError: the executor's process did not begin (exit status 1)")
    assert last.endswith(remedy)


@BOTH
def test_the_handlers_of_interrupts_are_as_before_afterwards(isolation: str, interrupt: Callable[[], None]) -> None:
    before = [signal.getsignal(number) for number in ENDING]
    run = Run(isolation)
    run.planner.at[4] = interrupt
    with pytest.raises(KeyboardInterrupt), run.runtime as runtime:
        runtime.start()
        runtime.wait(60)
    assert [signal.getsignal(number) for number in ENDING] == before


@BOTH
def test_an_interrupt_in_motion_brings_the_robot_to_rest(isolation: str, interrupt: Callable[[], None]) -> None:
    run = Run(isolation)
    run.planner.at[4] = interrupt
    with pytest.raises(KeyboardInterrupt), run.runtime as runtime:
        runtime.start()
        runtime.wait(60)
    run.at_rest()
    assert run.status.count(TickStatus.PAUSED) <= REST_TICKS


@BOTH
def test_an_interrupt_while_it_stops_waits_until_the_robot_is_let_go(
    isolation: str, interrupt: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(isolation)
    with pytest.raises(KeyboardInterrupt), run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
        released = runtime._release

        def release() -> None:
            interrupt()
            released()

        monkeypatch.setattr(runtime, "_release", release)
    run.at_rest()
    assert runtime.phase is Phase.STOPPED


STATES: dict[str, tuple[Callable[[Realtime], None], TickStatus]] = {
    "paused": (lambda runtime: runtime.pause(), TickStatus.PAUSED),
    "e-stopped": (lambda runtime: runtime.estop(), TickStatus.ESTOP),
}


@BOTH
@pytest.mark.parametrize("state", STATES)
def test_an_interrupt_of_a_robot_that_holds_or_is_stopped_lets_it_go(
    isolation: str, state: str, interrupt: Callable[[], None]
) -> None:
    order, status = STATES[state]
    run = Run(isolation)
    with pytest.raises(KeyboardInterrupt), run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
        order(runtime)
        wait_for(runtime, lambda: status in run.status)
        interrupt()
    assert run.notes.order[-2:] == [STOP, DISCONNECT]


def test_an_interrupt_of_the_whole_terminal_leaves_the_executors_process_to_bring_the_robot_to_rest() -> None:
    run = Run("process")
    with pytest.raises(KeyboardInterrupt), run.runtime as runtime:
        runtime.start()
        wait_for(runtime, lambda: [1.0, 1.0] in run.notes.sent)
        os.kill(runtime.processes[1], signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        runtime.wait(60)
    run.at_rest()
