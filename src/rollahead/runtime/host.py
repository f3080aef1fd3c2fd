"""The executor's side of the realtime runtime: the same function in a thread, or in a process of its own.

    Ready, Rested, Ended  -- control -->  whoever started it      (a pipe, never touched while ticks run)
    Go                    <-- control --

It connects the robot, reads it, waits until the planner is warm, runs the loop, and stops and disconnects the robot,
whatever happened.

Threads: `host` is all that the executor's thread runs.
"""

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from rollahead import errors
from rollahead.errors import ControlError, InferenceError, RobotError
from rollahead.runtime.bell import Bell
from rollahead.runtime.build import Drive, estimator, make_executor
from rollahead.runtime.clock import Clock, Grid
from rollahead.runtime.loop import DEAD, Loop
from rollahead.runtime.mailbox import Box
from rollahead.runtime.messages import Failure, Orders, Result, Sight, Snapshot
from rollahead.runtime.robots import Robot
from rollahead.runtime.spec import RobotSpec, check_same
from rollahead.runtime.trace import Trace
from rollahead.runtime.tuning import Tuning, tuned_process, tuned_thread


@dataclass(frozen=True, slots=True)
class Links:
    """What the executor and the others share. watched, sights: what the lookout reads and writes, if there is one."""

    outbox: Box[Snapshot]
    inbox: Box[Result | Failure]
    orders: Box[Orders]
    trace: Trace
    bell: Bell
    watched: Box[Snapshot]
    sights: Box[Sight | Failure]


@dataclass(frozen=True, slots=True)
class Ready:
    """The robot is connected and was read. tuned: what was set for the executor's thread, in words."""

    tuned: dict[str, str]


@dataclass(frozen=True, slots=True)
class Go:
    """Begin at `start_ns`. costs: of the inferences that warmed the planner up, for the planned delay; ticks: how many
    to run, None until told to stop."""

    start_ns: int
    costs: tuple[float, ...]
    ticks: int | None


@dataclass(frozen=True, slots=True)
class Rested:
    """The last tick is over, and the robot is being let go, which may take long: cameras, for one."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The robot is stopped and disconnected. kind, words, trace: the name of the error's class, the error, and where
    it came from; None if there was none."""

    kind: str | None = None
    words: str = ""
    trace: str = ""

    def error(self) -> ControlError | None:
        """The error, made again on this side."""
        if self.kind is None:
            return None
        kind: Any = getattr(errors, self.kind, None)
        error: ControlError = kind(self.words) if kind else RobotError(f"{self.kind}: {self.words}")
        error.add_note(self.trace)
        return error


@dataclass(slots=True)
class Host:
    """What the executor's side is given. spec: what the robot has, as everybody else was told; robot: once it is
    connected, for whoever has to stop it if this thread hangs."""

    drive: Drive
    make_robot: Callable[[], Robot]
    spec: RobotSpec
    links: Links
    control: Connection
    clock: Clock
    tuning: Tuning
    robot: Robot | None = None

    def run(self, alive: Callable[[], bool]) -> None:
        """The executor's whole life. alive: whether the worker is there."""
        try:
            with tuned_thread(self.tuning) as said:
                self._serve(alive, said)
            ended = Ended()
        except (Exception, KeyboardInterrupt) as error:
            ended = Ended(type(error).__name__, str(error), traceback.format_exc())
        with suppress(OSError):  # whoever started this may be gone
            self.control.send(ended)

    def run_alone(self) -> None:
        """`run`, as the main function of a process. An interrupt from the terminal is the parent's affair, who then
        orders a stop; without the parent, or told to end, it brings the robot to rest at once."""
        told: list[int] = []
        for number in (signal.SIGINT, signal.SIGTSTP):
            signal.signal(number, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: told.append(number))
        parent = os.getppid()
        with tuned_process(self.tuning):
            self.run(lambda: not told and os.getppid() == parent)

    def _serve(self, alive: Callable[[], bool], said: dict[str, str]) -> None:
        robot = self.make_robot()
        check_same(robot.spec, self.spec)
        _call("connected", robot.connect)
        self.robot = robot
        try:
            delay, links = estimator(self.drive.strategy), self.links
            executor = make_executor(self.drive, robot, delay, links.trace, links.inbox, links.outbox, links.sights)
            _call("read", executor.warm)
            self.control.send(Ready(said))
            go = _received(self.control)
            if go is not None:
                for cost in go.costs:
                    delay.add(cost)
                drive = self.drive
                loop = Loop(executor, self.clock, links.orders, links.bell, alive, drive.substeps, drive.task)
                try:
                    loop.run(Grid(go.start_ns, robot.spec.rate_hz), go.ticks)
                finally:
                    self.control.send(Rested())
                if executor.failure is not None:
                    kind = RobotError if executor.failure is DEAD else InferenceError
                    raise kind(f"{executor.failure.words}; the robot was held, brought to rest and stopped")
                if executor.halted is not None:
                    raise RobotError(f"{executor.halted}; see to it, or raise the limit")
        finally:
            _let_go(robot)


def _let_go(robot: Robot) -> None:
    """Stops and disconnects it. Raises: RobotError, if that fails; it says what was raised before, too."""
    before = sys.exception()
    try:
        robot.stop()
    except Exception as error:
        why = f"the robot could not be stopped ({type(error).__name__}: {error})"
        raise RobotError(f"{before}; {why}" if before else why) from error
    finally:
        robot.disconnect()


def _received(control: Connection) -> Go | None:
    """The word to begin; None if it will not come any more."""
    try:
        message: Go | None = control.recv()
    except EOFError:
        return None
    return message


def _call(what: str, do: Callable[[], object]) -> None:
    try:
        do()
    except ControlError:
        raise
    except Exception as error:
        raise RobotError(
            f"the robot could not be {what} ({type(error).__name__}: {error}); nothing was sent to it"
        ) from error
