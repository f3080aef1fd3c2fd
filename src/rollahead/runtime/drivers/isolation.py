"""Isolation: whether the executor runs in a thread, or in a process of its own.

An isolation makes what the executor shares with the others, launches an `ExecutorMain`, and can tell whether it lives.
With a process, the mailboxes and the trace are in shared memory, and the worker's Python code never keeps the executor
waiting.

Threads: the one that made the runtime.
"""

import multiprocessing
import pickle
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import Protocol

from rollahead.errors import ConfigError, RobotError, one_line
from rollahead.runtime.config.build import Drive, features_taken, seeing_head
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.executor_main import ExecutorMain, Links
from rollahead.runtime.system.clock import MonotonicClock
from rollahead.runtime.system.interrupts import ENDING
from rollahead.runtime.system.patience import within
from rollahead.runtime.system.tuning import Tuning
from rollahead.runtime.transport.latch import Latch
from rollahead.runtime.transport.mailbox import Mailbox
from rollahead.runtime.transport.shared import SharedMailbox
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.transport.wire import CommandsCodec, ImageLatentCodec, SharedInbox, SharedOutbox
from rollahead.runtime.types.messages import Snapshot
from rollahead.runtime.types.robot import Robot
from rollahead.runtime.types.spec import RobotSpec

PATIENCE_S = 5.0  # how long to wait for a thread or process to end
TRACE_S = 120.0  # default length of the trace
UNBEGUN = 1  # exit status of a process that failed before `ExecutorMain.run_alone`, which itself raises nothing
UNWATCHED = "the robot keeps the last setpoint until its own watchdog stops it"

MakeRobot = Callable[[], Robot]


class Isolation(Protocol):
    """The thread or process that the executor runs in, for the runtime that starts and ends it."""

    links: Links
    control: Connection

    @property
    def processes(self) -> list[int]:
        """Ids of the processes that were launched."""
        ...

    def launch(self) -> None:
        """Starts the executor. Raises ConfigError if what it needs cannot be sent to its process."""
        ...

    def alive(self) -> bool:
        """Whether the executor's thread or process runs."""
        ...

    def death(self, *, begun: bool) -> str:
        """Explains, for an error message, how the executor died and what that means for the robot.

        begun: whether the robot had been ready before.
        """
        ...

    def stop_hung(self) -> str:
        """Stops a robot whose driver call does not return, as far as possible.

        Returns what was done, for an error message.
        """
        ...

    def end(self) -> None:
        """Waits until the thread or process has ended."""
        ...


class ThreadIsolation:
    """The executor in a thread of this process."""

    def __init__(self, drive: Drive, make_robot: MakeRobot, spec: RobotSpec, tuning: Tuning, trace_s: float) -> None:
        outbox: Mailbox[Snapshot] = Mailbox()
        trace = _trace(spec, trace_s, shared=False)
        self.links = Links(outbox, Mailbox(), Latch(), Mailbox(), trace, WakeEvent(), outbox, Mailbox())
        self.control, theirs = multiprocessing.Pipe()
        normal = replace(
            tuning, fifo=None
        )  # under SCHED_FIFO it would keep the owner of Python's lock, which it waits for, from running
        self._main = ExecutorMain(drive, make_robot, spec, self.links, theirs, MonotonicClock(), normal)
        run = self._main.run
        self._thread = threading.Thread(target=run, args=(lambda: True,), name="rollahead executor", daemon=True)

    @property
    def processes(self) -> list[int]:
        """Empty list: the executor is a thread of this process."""
        return []

    def launch(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def death(self, *, begun: bool) -> str:
        """Explains the end of the thread, which cannot happen without a message."""
        return "the executor's thread ended without a message"

    def stop_hung(self) -> str:
        """Calls `Robot.stop` from another thread than the one that hangs.

        It does not if that thread is already stopping or disconnecting the robot itself.
        """
        main = self._main
        if main.robot is None:
            return "it was never connected"
        if not main.letting_go.acquire(blocking=False):
            return f"what hangs is its own stop or disconnect: {UNWATCHED}"
        try:
            within(PATIENCE_S, "stop", main.robot.stop)
        except RobotError as error:
            return f"{error}: {UNWATCHED}"
        finally:
            main.letting_go.release()
        return "it was told to stop from another thread"

    def end(self) -> None:
        """Waits for the thread; one that hangs is left behind and ends with the program."""
        self._thread.join(PATIENCE_S)


class ProcessIsolation:
    """The executor in a process of its own."""

    def __init__(self, drive: Drive, make_robot: MakeRobot, spec: RobotSpec, tuning: Tuning, trace_s: float) -> None:
        horizon = SpeedUp(spec, drive.strategy.q).horizon(drive.horizon)
        card = seeing_head(drive.strategy)
        watched = [camera for camera in spec.cameras if card is not None and camera.name in card.cameras]
        outbox = SharedOutbox(spec, horizon, drive.n_obs, watched)
        inbox = SharedInbox(spec, horizon, outbox, features_taken(drive.strategy))
        image_latents = SharedMailbox(ImageLatentCodec(0 if card is None else card.latent))
        commands, trace = SharedMailbox(CommandsCodec()), _trace(spec, trace_s, shared=True)
        self.links = Links(outbox, inbox, Latch(), commands, trace, WakeEvent(), outbox.watched, image_latents)
        self.control, self._theirs = multiprocessing.Pipe()
        main = ExecutorMain(drive, make_robot, spec, self.links, self._theirs, MonotonicClock(tuning.spin_ns), tuning)
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=main.run_alone, name="rollahead executor", daemon=True)

    @property
    def processes(self) -> list[int]:
        """Id of the process, once it was launched."""
        return [] if self._process.pid is None else [self._process.pid]

    def launch(self) -> None:
        """Starts the process, with the `ENDING` signals blocked until it has installed its handlers."""
        resource_tracker.ensure_running()  # started here, since its own start would unblock the signals
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        try:
            self._process.start()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise ConfigError(
                f"make_robot cannot be sent to another process ({one_line(error)}); give a function of a "
                "module, or a functools.partial of one, or use isolation=thread"
            ) from error
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._theirs.close()

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process.is_alive()

    def death(self, *, begun: bool) -> str:
        """Explains with which exit status the process ended, and what that means for the robot."""
        self._process.join(PATIENCE_S)
        if not begun and self._process.exitcode == UNBEGUN:
            return (
                f"the executor's process did not begin (exit status {UNBEGUN}), and nothing was sent to the robot; it "
                "imports the program's script again, so see what it printed, and keep what drives the robot under "
                'if __name__ == "__main__":'
            )
        return f"the executor's process died (exit status {self._process.exitcode}): {UNWATCHED}"

    def stop_hung(self) -> str:
        """Kills the process; nothing outside it can reach the robot."""
        self._process.kill()
        return f"its process was killed: {UNWATCHED}"

    def end(self) -> None:
        """Waits for the process, and kills it if it does not end."""
        self._process.join(PATIENCE_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()


def _trace(spec: RobotSpec, seconds: float, *, shared: bool) -> Trace:
    return Trace(spec, round(seconds * spec.rate_hz), MonotonicClock(), shared=shared)


ISOLATIONS: Mapping[str, Callable[[Drive, MakeRobot, RobotSpec, Tuning, float], Isolation]] = {
    "thread": ThreadIsolation,
    "process": ProcessIsolation,
}
