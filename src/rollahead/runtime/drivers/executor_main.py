"""The main function of the executor's thread or process: it connects the robot, drives it and disconnects it.

    Ready, Rested, Ended  -- control -->  the user's process      (a pipe, never touched while ticks run)
    Go                    <-- control --

It connects the robot, reads it, waits until the planner is warm, runs the loop, and stops and disconnects the robot,
whatever happened. Once the stop latch is on it does so by itself, even if the user's process is gone.

Threads: `ExecutorMain.run` is all that the executor's thread runs.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from rollahead import errors
from rollahead.errors import ControlError, InferenceError, RobotError, one_line
from rollahead.runtime.config.build import Drive, estimator, make_executor
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.loop import DEAD, Loop
from rollahead.runtime.system.clock import Clock, Grid
from rollahead.runtime.system.interrupts import ENDING
from rollahead.runtime.system.patience import error_text
from rollahead.runtime.system.tuning import Tuning, tuned_process, tuned_thread
from rollahead.runtime.transport.latch import Latch
from rollahead.runtime.transport.mailbox import Channel
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.types.messages import Commands, Failure, ImageLatent, Result, Snapshot
from rollahead.runtime.types.robot import Robot
from rollahead.runtime.types.spec import RobotSpec, check_same

LOOK_S = 0.05  # time between two checks of the latch while the planner warms up


@dataclass(frozen=True, slots=True)
class Links:
    """The channels, the trace and the signals that the executor shares with the other threads or processes.

    Attributes:
        outbox: Snapshots to the worker.
        inbox: Results from the worker.
        latch: On once the run shall end.
        commands: Commands from the user.
        trace: Records of ticks and inferences.
        wake: Wakes the worker.
        watched: Snapshots to the encoder worker, if there is one.
        image_latents: Image latents from the encoder worker, if there is one.
    """

    outbox: Channel[Snapshot]
    inbox: Channel[Result | Failure]
    latch: Latch
    commands: Channel[Commands]
    trace: Trace
    wake: WakeEvent
    watched: Channel[Snapshot]
    image_latents: Channel[ImageLatent | Failure]


@dataclass(frozen=True, slots=True)
class Ready:
    """Message: the robot is connected and was read.

    tuned: text by setting of what was set for the executor's thread.
    """

    tuned: dict[str, str]


@dataclass(frozen=True, slots=True)
class Go:
    """Message: begin to drive the robot.

    Attributes:
        start_ns: Deadline of tick 0.
        costs: Costs in ticks of the warm-up inferences, for the planned delay.
        ticks: Number of ticks to run; None to run until the latch is on.
    """

    start_ns: int
    costs: tuple[float, ...]
    ticks: int | None


@dataclass(frozen=True, slots=True)
class Rested:
    """Message: the last tick is over, and `Robot.stop` and `Robot.disconnect` are called next.

    Disconnecting cameras may take seconds.
    """


@dataclass(frozen=True, slots=True)
class Ended:
    """Message: the robot is stopped and disconnected, and the executor has ended.

    Attributes:
        kind: Class name of the error; None if there was none.
        message: Text of the error.
        trace: Traceback of the error.
        asked_to_end: Whether the error only says that a signal, or the death of the worker's process, told the executor
            to end.
    """

    kind: str | None = None
    message: str = ""
    trace: str = ""
    asked_to_end: bool = False

    def error(self) -> ControlError | None:
        """Builds the error again, in the process that reads the message; None if there was none."""
        if self.kind is None:
            return None
        kind: Any = getattr(errors, self.kind, None)
        error: ControlError = kind(self.message) if kind else RobotError(f"{self.kind}: {self.message}")
        error.add_note(self.trace)
        return error


class _ToldToEnd(RobotError):
    """Raised when the worker's process is gone, or a signal told this process to end."""

    def __init__(self, done: str) -> None:
        super().__init__(f"{DEAD.message}; {done}")


@dataclass(slots=True)
class ExecutorMain:
    """Connects the robot, drives it, and disconnects it.

    Attributes:
        drive: How the robot is driven.
        make_robot: Makes the robot without touching its hardware.
        spec: Spec of the robot as made in the user's process; the robot made here must have an equal one.
        links: What is shared with the other threads or processes.
        control: Pipe to the user's process.
        clock: Clock of the ticks.
        tuning: Real-time settings of the thread, and of the process if it has its own.
        robot: The connected robot, so that the watchdog can stop it if this thread hangs.
        letting_go: Lock that is held by whoever calls `Robot.stop` outside a tick. The executor takes it before it
            disconnects the robot, and keeps it.
    """

    drive: Drive
    make_robot: Callable[[], Robot]
    spec: RobotSpec
    links: Links
    control: Connection
    clock: Clock
    tuning: Tuning
    robot: Robot | None = None
    letting_go: threading.Lock = field(init=False)  # made in `run`: a lock cannot be pickled

    def run(self, alive: Callable[[], bool]) -> None:
        """Connects the robot, drives it, and disconnects it; then reports how that ended.

        alive: returns whether the worker's process is there.
        """
        self.letting_go = threading.Lock()
        try:
            with tuned_thread(self.tuning) as said:
                self._serve(alive, said)
            ended = Ended()
        except _ToldToEnd as error:
            ended = Ended("RobotError", str(error), traceback.format_exc(), asked_to_end=True)
        except BaseException as error:  # a driver may raise SystemExit
            ended = Ended(type(error).__name__, one_line(error), traceback.format_exc())
        self._say(ended)

    def run_alone(self) -> None:
        """Runs as the main function of a process that was started with the `ENDING` signals blocked.

        The keys that interrupt, quit and suspend are ignored here; the parent gets them too, and at Ctrl-C turns the
        stop latch on. After SIGTERM, SIGHUP or the death of the parent the robot is brought to rest at once. SIGTERM
        and SIGHUP stay ignored where the parent ignores them.
        """
        came: list[int] = []
        for number in (signal.SIGINT, signal.SIGTSTP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, lambda number, _: came.append(number))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        parent = os.getppid()
        with tuned_process(self.tuning):
            self.run(lambda: not came and os.getppid() == parent)

    def _serve(self, alive: Callable[[], bool], said: dict[str, str]) -> None:
        if self.links.latch.is_set:  # interrupted while this thread or process started
            return
        robot = self.make_robot()
        check_same(robot.spec, self.spec)
        try:
            _call("connected", robot.connect)
        except BaseException:
            _error_of(robot.disconnect)  # a part of it may be connected; the first error says more
            raise
        self.robot = robot
        try:
            delay, links = estimator(self.drive.strategy), self.links
            executor = make_executor(
                self.drive, robot, delay, links.trace, links.inbox, links.outbox, links.image_latents
            )
            _call("read", executor.warm)
            self._say(Ready(said))
            go = self._go(alive)
            if go is None:
                return
            for cost in go.costs:
                delay.add(cost)
            drive = self.drive
            loop = Loop(
                executor, self.clock, links.latch, links.commands, links.wake, alive, drive.substeps, drive.task
            )
            loop.run(Grid(go.start_ns, robot.spec.rate_hz), go.ticks)
            if executor.failure is DEAD:
                raise _ToldToEnd("the robot was held, brought to rest and stopped")
            if executor.failure is not None:
                raise InferenceError(f"{executor.failure.message}; the robot was held, brought to rest and stopped")
            if executor.halted is not None:
                raise RobotError(f"{executor.halted}; check the robot, or raise the limit")
        finally:
            self._say(Rested())
            self._let_go(robot)

    def _go(self, alive: Callable[[], bool]) -> Go | None:
        """Waits for `Go`. Returns None if the run shall end, or if the user's process closed the pipe.

        Raises _ToldToEnd if the worker's process is gone or a signal told this one to end.
        """
        while not self.links.latch.is_set:
            if not alive():
                raise _ToldToEnd("nothing was sent to the robot")
            try:
                if self.control.poll(LOOK_S):
                    go: Go = self.control.recv()
                    return None if self.links.latch.is_set else go
            except (EOFError, OSError):  # the user's process is gone
                return None
        return None

    def _let_go(self, robot: Robot) -> None:
        """Stops and disconnects the robot.

        Raises RobotError if either fails; its text begins with that of an earlier error, if there was one.
        """
        before = sys.exception()
        self.letting_go.acquire()
        failed = {"stopped": _error_of(robot.stop), "disconnected": _error_of(robot.disconnect)}
        words = [f"the robot could not be {what} ({error_text(error)})" for what, error in failed.items() if error]
        if words:
            why = "; ".join(words if before is None else [str(before), *words])
            raise RobotError(why) from (failed["stopped"] or failed["disconnected"])

    def _say(self, message: Ready | Rested | Ended) -> None:
        with suppress(OSError):  # the user's process may be gone
            self.control.send(message)


def _error_of(do: Callable[[], object]) -> BaseException | None:
    """Calls `do()` and returns what it raised; None if nothing."""
    try:
        do()
    except BaseException as error:
        return error
    return None


def _call(what: str, do: Callable[[], object]) -> None:
    """Calls `do()` before the first tick.

    An error becomes a RobotError, which says that the robot could not be `what` (a participle).
    """
    try:
        do()
    except ControlError:
        raise
    except BaseException as error:
        raise RobotError(f"the robot could not be {what} ({error_text(error)}); nothing was sent to it") from error
