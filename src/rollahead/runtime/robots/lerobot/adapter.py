"""The adapter: a LeRobot robot behind the `Robot` protocol.

It uses LeRobot's objects by their attributes, and imports none. `connect` finds out how to reach the robot: by its bus
and its cameras, each on its own (`direct_bus`), if it has both and they read what the robot observes; otherwise one
thread owns the robot as a whole (`buffered_device`).

Threads: the executor's; `stop` may be called from another one. Hot path: `read`, `frames`, `write`.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from rollahead.errors import RobotError
from rollahead.runtime.robots.lerobot.buffered_device import BufferedDevice
from rollahead.runtime.robots.lerobot.cameras import camera_reader_of
from rollahead.runtime.robots.lerobot.command_writer import CommandWriter
from rollahead.runtime.robots.lerobot.direct_bus import DirectBus, readable
from rollahead.runtime.system.patience import LETTING_GO_S, within
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import RobotSpec


class Link(Protocol):
    """The way to a connected robot: `DirectBus` or `BufferedDevice`."""

    def read(self) -> Reading:
        """State that was measured last, with its age. Phase: hot."""
        ...

    def frames(self) -> Mapping[str, Frame]:
        """Newest image of each camera. Phase: hot."""
        ...

    def write(self, setpoint: FloatArray) -> None:
        """Sends or hands over one setpoint (A,). Phase: hot."""
        ...

    def rest(self) -> None:
        """Brings the robot to rest."""
        ...

    def close(self) -> bool:
        """Ends the link's threads; returns whether no call of the robot is still in progress."""
        ...


class LeRobotRobot:
    """A `Robot` that drives a robot of LeRobot.

    Args:
        device: LeRobot's robot.
        spec: Spec of the robot.
        name: LeRobot's name of its type.
        on_stop: `hold` or `limp`, see `CommandWriter`.
        direct_bus: False never reads the motor bus without `get_observation`.
    """

    def __init__(
        self, device: Any, spec: RobotSpec, name: str, on_stop: str = "hold", *, direct_bus: bool = True
    ) -> None:
        self.spec = spec
        self.device = device
        self._name = name
        self._direct_bus = direct_bus
        self._writer = CommandWriter(device, spec, on_stop)
        self._link: Link | None = None

    def connect(self) -> None:
        """Connects the robot. Raises RobotError if it is not calibrated or cannot be read; it is disconnected then."""
        try:
            self._link = self._connected()
        except BaseException:
            with suppress(Exception):
                let_go(self.device)
            raise

    def read(self) -> Reading:
        """State that was measured last, with its age. Phase: hot."""
        return self._there.read()

    def frames(self) -> Mapping[str, Frame]:
        """Newest image of each camera. Phase: hot."""
        return self._there.frames()

    def write(self, setpoint: FloatArray) -> None:
        """Sends one setpoint (A,). Phase: hot."""
        self._there.write(frozen(setpoint))

    def stop(self) -> None:
        """Brings the robot to rest if anything was ever sent, and switches the torque off if `on_stop` is `limp`.

        It returns in any case. Raises RobotError if the robot did not stop.
        """
        if self._link is not None:
            self._link.rest()

    def disconnect(self) -> None:
        """Disconnects the robot. Raises LeRobot's error if it fails, RobotError if it does not return."""
        link, self._link = self._link, None
        if link is None:
            return
        if link.close():
            let_go(self.device)
        else:
            within(LETTING_GO_S, "disconnect", partial(let_go, self.device))

    @property
    def _there(self) -> Link:
        if self._link is None:
            raise RobotError("the robot is not connected; connect it first")
        return self._link

    def _connected(self) -> Link:
        device = self.device
        calibrates = "calibrate" in inspect.signature(device.connect).parameters  # not in all of LeRobot's own
        device.connect(**({"calibrate": False} if calibrates else {}))
        if device.is_calibrated not in (True, None):
            raise RobotError(
                f"the {self._name} with id {device.id!r} is not calibrated; run lerobot-calibrate "
                f"--robot.type={self._name} --robot.id={device.id} with its other options, and connect again"
            )
        observed = device.get_observation()
        cameras = {camera.name: _cameras(device).get(camera.name) for camera in self.spec.cameras}
        if self._direct_bus and None not in cameras.values() and readable(device, self.spec, observed):
            readers = {name: camera_reader_of(camera, observed[name]) for name, camera in cameras.items()}
            return DirectBus(device, self.spec, self._writer, readers)
        return BufferedDevice(device, self.spec, self._writer, observed)


def let_go(device: Any) -> None:
    """Disconnects `device`, and then each part of it that is still connected, as where one camera was lost.

    Raises the first error, after all were tried.
    """
    errors: list[Exception] = []
    for part, disconnect in _parts(device):
        try:
            if getattr(part, "is_connected", False):
                disconnect()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _parts(device: Any) -> Iterator[tuple[Any, Callable[[], object]]]:
    yield device, device.disconnect
    bus = getattr(device, "bus", None)
    if bus is not None and hasattr(bus, "disconnect"):
        config = getattr(device, "config", None)
        yield bus, partial(bus.disconnect, getattr(config, "disable_torque_on_disconnect", True))
    for camera in _cameras(device).values():
        yield camera, camera.disconnect


def _cameras(device: Any) -> Mapping[str, Any]:
    cameras = getattr(device, "cameras", None)
    return cameras if isinstance(cameras, Mapping) else {}
