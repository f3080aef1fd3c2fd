"""The watchdog: a thread that receives the executor's messages, and stops the robot if the executor hangs.

    no tick for `stall_s`, or not disconnected for `connect_s` --> give_up() --> Isolation.stop_hung() --> over

The user's thread may sleep or hang itself, so the executor is watched in a thread of its own. Only time in which this
thread ran counts: after Ctrl-Z and `fg` the executor does not count as hung, nor while a planner holds Python's lock
for seconds, for which the executor has to wait as well.

Threads: its own, from the launch to the end; only it reads this end of the control pipe. `ready` and `ended` are
written before the events `heard` and `over` are set, and not changed after `over`.
"""

import threading
import time
import traceback
from collections.abc import Callable

from rollahead.runtime.drivers.executor_main import Ended, Ready, Rested
from rollahead.runtime.drivers.isolation import PATIENCE_S, Isolation
from rollahead.runtime.system.patience import error_text

LOOK_S = 0.05  # time between two checks; each takes Python's lock, for which an executor in a thread waits


class Watchdog:
    """Watches the executor that runs in `isolation`.

    Args:
        isolation: Where the executor runs.
        stall_s: Longest time without a tick that ends, while it runs.
        connect_s: Longest time for stopping and disconnecting the robot.
        give_up: Called once the executor counts as hung, before the robot is stopped from outside. It must keep the
            executor from sending anything if it goes on after all.
    """

    def __init__(self, isolation: Isolation, *, stall_s: float, connect_s: float, give_up: Callable[[], None]) -> None:
        self.heard = threading.Event()  # set when the robot is ready, or will never be
        self.over = threading.Event()  # set when the robot is disconnected, or will never be
        self.ready: Ready | None = None
        self.ended: Ended | None = None
        self._isolation = isolation
        self._stall_s, self._connect_s = stall_s, connect_s
        self._give_up = give_up
        self._runs = self._ends = self._rested = False

    def launched(self) -> None:
        """Starts the thread. Called when the executor was launched."""
        threading.Thread(target=self._run, name="rollahead watchdog", daemon=True).start()

    def started(self) -> None:
        """Begins to watch the ticks. Called when the executor was told to begin."""
        self._runs = True

    def ending(self) -> None:
        """Begins to limit the time until the robot is disconnected, also if no tick ever ran.

        Called when the executor was told to end.
        """
        self._ends = True

    def _run(self) -> None:
        try:
            self._watch()
        except BaseException as error:  # a thread that waits for `over` must not wait for ever
            self.ended = Ended("RobotError", f"the watchdog failed ({error_text(error)})", traceback.format_exc())
        finally:
            self.heard.set()
            self.over.set()

    def _watch(self) -> None:
        seen, stalled_s, looked_s = None, 0.0, time.monotonic()
        while True:
            self._hear()
            if self.ended is not None:
                return
            state = limit_s, what = self._limit()
            now, now_s = (state, self._isolation.links.trace.tick_ring.count), time.monotonic()
            stalled_s = stalled_s + min(now_s - looked_s, 2 * LOOK_S) if now == seen else 0.0
            seen, looked_s = now, now_s
            if limit_s is not None and stalled_s > limit_s:
                self._give_up()
                words = f"{what} for {limit_s:g} s, so a call of the robot hangs; {self._isolation.stop_hung()}"
                self.ended = Ended("RobotError", words)
                return

    def _limit(self) -> tuple[float | None, str]:
        """Longest time, in seconds, that the executor may make no progress now, and what fails to happen then.

        The time is None for no limit; the text is for an error message.
        """
        if self._runs and not self._rested:
            return self._stall_s, "no tick has ended"
        if self._rested:
            return self._connect_s, "the robot was not disconnected"
        return PATIENCE_S if self._ends else None, "the robot was not disconnected"

    def _hear(self) -> None:
        """Takes a message of the executor, if one comes within `LOOK_S`, or notes that the executor is dead."""
        control = self._isolation.control
        try:
            message: Ready | Rested | Ended | None = control.recv() if control.poll(LOOK_S) else None
            if message is None and not self._isolation.alive():
                message = control.recv() if control.poll(0) else self._death()
        except (EOFError, OSError):
            message = self._death()
        if isinstance(message, Ended):
            self.ended = message
        elif isinstance(message, Rested):
            self._rested = True
        elif message is not None:
            self.ready = message
            self.heard.set()

    def _death(self) -> Ended:
        return Ended("RobotError", self._isolation.death(begun=self.ready is not None))
