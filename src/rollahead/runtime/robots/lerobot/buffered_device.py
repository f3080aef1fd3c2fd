"""A buffered device: one thread calls a LeRobot robot, and the executor reads and writes buffers without waiting.

    woken, or a period over  ->  come to rest, if asked  ->  send the newest setpoint  ->  get_observation  ->  ...

Such a robot is not made for two threads, and `get_observation` takes as long as its slowest sensor. So the executor
leaves its setpoint and takes what was observed last, with its age, and neither waits for the other.

Threads: `_run` is the device's thread; `read`, `frames` and `write` are the executor's; `rest` and `close` are called
by the thread that stops the robot. One writer per mailbox. Hot path: `read`, `frames`, `write`.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import RobotError
from rollahead.runtime.robots.lerobot.command_writer import CommandWriter
from rollahead.runtime.system.clock import Clock, MonotonicClock
from rollahead.runtime.system.patience import PATIENCE_S, STOP_S, error_text, within
from rollahead.runtime.transport.mailbox import Mailbox
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.types.arrays import FloatArray, frozen, unchanging
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import RobotSpec, names_of

SEND, LOOK = "send_action", "get_observation"  # methods of LeRobot's Robot


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """An observation of the robot, kept for the executor.

    Attributes:
        state: (S,).
        at_ns: When the state was asked for.
        images: Image by camera, each with when it was asked for.
    """

    state: FloatArray
    at_ns: int
    images: Mapping[str, tuple[NDArray[np.uint8], int]]


@dataclass(slots=True, eq=False)
class Rest:
    """Message: come to rest.

    Attributes:
        done: Set when it was tried.
        error: Error of the attempt, if it failed.
    """

    done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """Message: a call of the robot raised `error`."""

    error: BaseException


class BufferedDevice:
    """A link to `device` through a thread that owns it.

    Args:
        device: LeRobot's robot, which is connected.
        spec: Spec of the robot.
        writer: Sends setpoints to the device.
        observed: What `get_observation` has just returned.
        clock: Clock for the ages; None for the machine's.
    """

    def __init__(
        self,
        device: Any,
        spec: RobotSpec,
        writer: CommandWriter,
        observed: Mapping[str, Any],
        clock: Clock | None = None,
    ) -> None:
        self._device = device
        self._spec = spec
        self._state, self._cameras = names_of(spec.state), [camera.name for camera in spec.cameras]
        self._writer = writer
        self._clock = clock or MonotonicClock()
        self._setpoints: Mailbox[FloatArray] = Mailbox()
        self._rests: Mailbox[Rest] = Mailbox()
        self._newest: Mailbox[Seen] = Mailbox()
        self._failures: dict[str, Mailbox[Failure]] = {SEND: Mailbox(), LOOK: Mailbox()}
        self._raised: dict[str, Failure] = {}  # used by the executor only
        self._taken: FloatArray | None = None  # used by the device's thread only, as are the next two
        self._obeyed: Rest | None = None
        self._call = ""
        self._ending = False
        self._wake = WakeEvent()
        self._keep(observed, self._clock.now_ns())
        self._thread = threading.Thread(target=self._run, name="rollahead robot", daemon=True)
        self._thread.start()

    # ---- called by the executor -------------------------------------------------------------------------------------

    def read(self) -> Reading:
        """State that was observed last, with its age. Phase: hot."""
        self._check(LOOK)
        seen = self._seen
        return Reading(seen.state, age=self._ticks_since(seen.at_ns))

    def frames(self) -> Mapping[str, Frame]:
        """Images that were observed last, with their ages. Phase: hot."""
        images = self._seen.images
        return {name: Frame(image, at_ns, self._ticks_since(at_ns)) for name, (image, at_ns) in images.items()}

    def write(self, setpoint: FloatArray) -> None:
        """Leaves `setpoint` (A,) for the device's thread. Phase: hot.

        Raises RobotError if an earlier setpoint could not be sent.
        """
        self._setpoints.put(setpoint)
        self._wake.ring()
        self._check(SEND)

    def rest(self) -> None:
        """Waits until the robot was told to come to rest; it is told from here if the device's thread hangs.

        Raises RobotError if that fails.
        """
        rest = Rest()
        self._rests.put(rest)
        self._wake.ring()
        if not rest.done.wait(STOP_S):
            within(STOP_S, f"stop (it hangs in {self._call})", self._writer.rest)
        elif rest.error is not None:
            raise RobotError(f"the robot did not stop ({error_text(rest.error)}); use its own switch") from rest.error

    def close(self) -> bool:
        """Ends the device's thread; returns False if it still hangs in a call of the robot."""
        self._ending = True
        self._wake.ring()
        self._thread.join(PATIENCE_S)
        return not self._thread.is_alive()

    @property
    def _seen(self) -> Seen:
        seen = self._newest.peek()
        assert seen is not None
        return seen

    def _ticks_since(self, at_ns: int) -> int:
        return int((self._clock.now_ns() - at_ns) * 1e-9 * self._spec.rate_hz)

    def _check(self, call: str) -> None:
        """Raises RobotError for each failure of `call` once, since the next call may succeed."""
        failure = self._failures[call].peek()
        if failure is not None and failure is not self._raised.get(call):
            self._raised[call] = failure
            raise RobotError(f"the robot failed in {call} ({error_text(failure.error)})") from failure.error

    # ---- run in the device's thread ---------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._ending:
            self._obey()
            self._try(SEND, self._send)
            self._try(LOOK, self._look)
            self._wake.wait(self._spec.period_s)

    def _try(self, call: str, do: Callable[[], None]) -> None:
        self._call = call
        try:
            do()
        except BaseException as error:  # a driver may raise SystemExit
            self._failures[call].put(Failure(error))

    def _obey(self) -> None:
        rest = self._rests.peek()
        if rest is None or rest is self._obeyed:
            return
        self._obeyed = rest
        self._taken = self._setpoints.peek()  # what was asked before is not sent any more
        self._call = "send_action"
        try:
            self._writer.rest()
        except BaseException as error:
            rest.error = error
        rest.done.set()

    def _send(self) -> None:
        setpoint = self._setpoints.peek()
        if setpoint is not None and setpoint is not self._taken:
            self._taken = setpoint
            self._writer.send(setpoint)

    def _look(self) -> None:
        at_ns = self._clock.now_ns()  # taken before the call: an observation may be newer than this, never older
        self._keep(self._device.get_observation(), at_ns)

    def _keep(self, observed: Mapping[str, Any], at_ns: int) -> None:
        before = self._newest.peek()
        images = dict(before.images) if before is not None else {}
        for name in self._cameras:
            if name in observed:
                images[name] = unchanging(np.asarray(observed[name])), at_ns  # robots may reuse their arrays
        state = frozen([float(observed[name]) for name in self._state])
        self._newest.put(Seen(state, at_ns, images))
