"""The pump: the one thread that calls a robot of LeRobot which can only be had as a whole.

    rung, or a period over  ->  come to rest, if told  ->  send the newest setpoint  ->  get_observation  ->  ...

Such a robot is not made for two threads, and `get_observation` takes as long as its slowest sensor. So the executor
leaves its setpoint and takes what was observed last, with its age, and neither waits for the other.

Threads: `_run` is the pump; `read`, `frames` and `write` are the executor's; `rest` and `close` are of whoever stops
the robot. One writer per mailbox. Hot path: `read`, `frames`, `write`.
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
from rollahead.runtime.system.patience import PATIENCE_S, STOP_S, told, within
from rollahead.runtime.transport.mailbox import Mailbox
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.types.arrays import FloatArray, frozen, unchanging
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import RobotSpec, names_of

SEND, LOOK = "send_action", "get_observation"  # methods of LeRobot's Robot


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """state: (S,), asked for at `at_ns`; images: each with when it was asked for."""

    state: FloatArray
    at_ns: int
    images: Mapping[str, tuple[NDArray[np.uint8], int]]


@dataclass(slots=True, eq=False)
class Rest:
    """An order to come to rest; done: it was tried, with `error` if it failed."""

    done: threading.Event = field(default_factory=threading.Event)
    error: BaseException | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Failure:
    """An error that a call of the robot raised."""

    error: BaseException


class BufferedDevice:
    """A link to `device`. observed: what `get_observation` gave just now."""

    def __init__(
        self, device: Any, spec: RobotSpec, hand: CommandWriter, observed: Mapping[str, Any], clock: Clock | None = None
    ) -> None:
        self._device = device
        self._spec = spec
        self._state, self._cameras = names_of(spec.state), [camera.name for camera in spec.cameras]
        self._hand = hand
        self._clock = clock or MonotonicClock()
        self._setpoints: Mailbox[FloatArray] = Mailbox()
        self._rests: Mailbox[Rest] = Mailbox()
        self._newest: Mailbox[Seen] = Mailbox()
        self._failures: dict[str, Mailbox[Failure]] = {SEND: Mailbox(), LOOK: Mailbox()}
        self._raised: dict[str, Failure] = {}  # the executor's
        self._taken: FloatArray | None = None  # the pump's, as are the next two
        self._obeyed: Rest | None = None
        self._call = ""
        self._ending = False
        self._wake = WakeEvent()
        self._keep(observed, self._clock.now_ns())
        self._thread = threading.Thread(target=self._run, name="rollahead pump", daemon=True)
        self._thread.start()

    # ---- the executor's ---------------------------------------------------------------------------------------------

    def read(self) -> Reading:
        """Phase: hot."""
        self._check(LOOK)
        seen = self._seen
        return Reading(seen.state, age=self._ticks_since(seen.at_ns))

    def frames(self) -> Mapping[str, Frame]:
        """Phase: hot."""
        images = self._seen.images
        return {name: Frame(image, at_ns, self._ticks_since(at_ns)) for name, (image, at_ns) in images.items()}

    def write(self, setpoint: FloatArray) -> None:
        """Phase: hot."""
        self._setpoints.put(setpoint)
        self._wake.ring()
        self._check(SEND)

    def rest(self) -> None:
        """Waits until the robot was told to come to rest; it is told from here if the pump hangs.

        Raises: RobotError, if that fails.
        """
        order = Rest()
        self._rests.put(order)
        self._wake.ring()
        if not order.done.wait(STOP_S):
            within(STOP_S, f"stop (it hangs in {self._call})", self._hand.rest)
        elif order.error is not None:
            raise RobotError(f"the robot did not stop ({told(order.error)}); use its own switch") from order.error

    def close(self) -> bool:
        """Ends the pump; whether it is gone, else it hangs in a call of the robot."""
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
        """Raises: RobotError, for each failure of `call` once, since the next call may succeed."""
        failure = self._failures[call].peek()
        if failure is not None and failure is not self._raised.get(call):
            self._raised[call] = failure
            raise RobotError(f"the robot failed in {call} ({told(failure.error)})") from failure.error

    # ---- the pump's -------------------------------------------------------------------------------------------------

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
        order = self._rests.peek()
        if order is None or order is self._obeyed:
            return
        self._obeyed = order
        self._taken = self._setpoints.peek()  # what was asked before is not sent any more
        self._call = "send_action"
        try:
            self._hand.rest()
        except BaseException as error:
            order.error = error
        order.done.set()

    def _send(self) -> None:
        setpoint = self._setpoints.peek()
        if setpoint is not None and setpoint is not self._taken:
            self._taken = setpoint
            self._hand.send(setpoint)

    def _look(self) -> None:
        at_ns = self._clock.now_ns()  # before: what is seen may be newer than said, never older
        self._keep(self._device.get_observation(), at_ns)

    def _keep(self, observed: Mapping[str, Any], at_ns: int) -> None:
        before = self._newest.peek()
        images = dict(before.images) if before is not None else {}
        for name in self._cameras:
            if name in observed:
                images[name] = unchanging(np.asarray(observed[name])), at_ns  # robots may reuse their arrays
        state = frozen([float(observed[name]) for name in self._state])
        self._newest.put(Seen(state, at_ns, images))
