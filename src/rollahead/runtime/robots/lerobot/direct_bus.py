"""Direct bus: reads the motors and the cameras of a LeRobot robot separately.

LeRobot's `get_observation` reads the motors and then every camera. Where a robot has both separately, as arms with
Feetech and Dynamixel motors do, a tick costs one transfer on the bus, and the cameras run at their own rate.

Threads: the executor's, which owns the bus; `rest` runs in one of its own, so that it returns in any case.
"""

import inspect
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from rollahead.runtime.robots.lerobot.cameras import CameraReader
from rollahead.runtime.robots.lerobot.command_writer import CommandWriter
from rollahead.runtime.system.patience import STOP_S, within
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import RobotSpec, names_of

CLOSE = 2.0  # degrees or percent: largest difference of two readings of an arm that was just connected
REGISTER = "Present_Position"
RETRIES = 1  # least number of retries of a read


def readable(device: Any, spec: RobotSpec, observed: Mapping[str, Any]) -> bool:
    """Whether the state of `device` may be read from its bus.

    observed: what `get_observation` has just returned. Where the bus reads something else, the robot does more than
    read it (or has a bus that it does not use), and only `get_observation` gives its state.
    """
    bus = getattr(device, "bus", None)
    motors = getattr(bus, "motors", None)
    if bus is None or not isinstance(motors, Mapping) or not getattr(bus, "is_connected", False):
        return False
    if {f"{motor}.pos" for motor in motors} != set(names_of(spec.state)):
        return False
    try:
        positions = reader(device)()
        return all(abs(positions[motor] - observed[f"{motor}.pos"]) <= CLOSE for motor in motors)
    except Exception:  # if the bus is broken, get_observation will report it
        return False


def reader(device: Any) -> "partial[Mapping[str, float]]":
    """Makes a function that reads the positions by motor.

    It retries as often as LeRobot's robot does, but at least once: corrupted packets are the commonest fault of these
    buses, and the next packet is mostly good.
    """
    retries = getattr(getattr(device, "config", None), "num_read_retries", None)
    takes = "num_retry" in inspect.signature(device.bus.sync_read).parameters
    return partial(device.bus.sync_read, REGISTER, **({"num_retry": max(retries or 0, RETRIES)} if takes else {}))


class DirectBus:
    """A link to `device` by its bus and by a reader for each camera of `spec`."""

    def __init__(
        self, device: Any, spec: RobotSpec, writer: CommandWriter, readers: Mapping[str, CameraReader]
    ) -> None:
        self._positions = reader(device)
        self._motors = [name.removesuffix(".pos") for name in names_of(spec.state)]
        self._rate_hz = spec.rate_hz
        self._writer = writer
        self._readers = readers
        self._free = True  # False while a call of `rest` may not have returned

    def read(self) -> Reading:
        """State, read from the bus. Phase: hot."""
        positions = self._positions()
        return Reading(frozen([positions[motor] for motor in self._motors]))

    def frames(self) -> Mapping[str, Frame]:
        """Newest image of each camera that has not failed. Phase: hot.

        Raises a camera's error if all have failed.
        """
        frames: dict[str, Frame] = {}
        failure: Exception | None = None
        for name, camera in self._readers.items():
            try:
                image, at_s = camera.look()
            except Exception as error:
                failure = error
                continue
            age = int((time.perf_counter() - at_s) * self._rate_hz)
            frames[name] = Frame(image, round(at_s * 1e9), age)
        if failure is not None and not frames:
            raise failure
        return frames

    def write(self, setpoint: FloatArray) -> None:
        """Sends `setpoint` (A,). Phase: hot."""
        self._writer.send(setpoint)

    def rest(self) -> None:
        """Brings the robot to rest. Raises RobotError if that fails or does not return."""
        self._free = False
        within(STOP_S, "stop", self._writer.rest)
        self._free = True

    def close(self) -> bool:
        """Closes the camera readers; returns whether no call of the robot is still in progress."""
        for camera in self._readers.values():
            camera.close()
        return self._free
