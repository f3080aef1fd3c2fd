"""DirectBus: the motors and the cameras of a robot of LeRobot, each read on its own.

LeRobot's `get_observation` reads the motors and then every camera. Where a robot has both apart, as the arms of Feetech
and Dynamixel motors do, a tick costs one transfer on the bus, and the cameras keep their own time.

Threads: the executor's, which the bus belongs to; `rest` runs in one of its own, so that it returns in any case.
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

CLOSE = 2.0  # degrees or percent: the most that two readings of an arm that was just connected differ by
REGISTER = "Present_Position"
RETRIES = 1  # least number of retries of a read


def readable(device: Any, spec: RobotSpec, observed: Mapping[str, Any]) -> bool:
    """Whether the state of `device` may be read from its bus. observed: what `get_observation` gave just now; where the
    bus says something else, the robot does more than read it (or has one that it does not use), and only it knows."""
    bus = getattr(device, "bus", None)
    motors = getattr(bus, "motors", None)
    if bus is None or not isinstance(motors, Mapping) or not getattr(bus, "is_connected", False):
        return False
    if {f"{motor}.pos" for motor in motors} != set(names_of(spec.state)):
        return False
    try:
        positions = reader(device)()
        return all(abs(positions[motor] - observed[f"{motor}.pos"]) <= CLOSE for motor in motors)
    except Exception:  # if it is the bus that is broken, get_observation will say so
        return False


def reader(device: Any) -> "partial[Mapping[str, float]]":
    """Makes a function that reads the positions by motor, with as many retries as LeRobot's robot uses, but at least
    one: corrupted packets are the commonest fault of these buses, and the next packet is mostly good."""
    told = getattr(getattr(device, "config", None), "num_read_retries", None)
    takes = "num_retry" in inspect.signature(device.bus.sync_read).parameters
    return partial(device.bus.sync_read, REGISTER, **({"num_retry": max(told or 0, RETRIES)} if takes else {}))


class DirectBus:
    """A link to `device` by its bus, and by an eye for each camera of `spec`."""

    def __init__(self, device: Any, spec: RobotSpec, hand: CommandWriter, readers: Mapping[str, CameraReader]) -> None:
        self._positions = reader(device)
        self._motors = [name.removesuffix(".pos") for name in names_of(spec.state)]
        self._rate_hz = spec.rate_hz
        self._hand = hand
        self._readers = readers
        self._free = True  # False from an order to rest on that may not have returned

    def read(self) -> Reading:
        """Phase: hot."""
        positions = self._positions()
        return Reading(frozen([positions[motor] for motor in self._motors]))

    def frames(self) -> Mapping[str, Frame]:
        """Returns the newest image of each camera that has not failed. Phase: hot. Raises: what a camera raised, if all
        have failed."""
        frames: dict[str, Frame] = {}
        failure: Exception | None = None
        for name, eye in self._readers.items():
            try:
                image, at_s = eye.look()
            except Exception as error:
                failure = error
                continue
            age = int((time.perf_counter() - at_s) * self._rate_hz)
            frames[name] = Frame(image, round(at_s * 1e9), age)
        if failure is not None and not frames:
            raise failure
        return frames

    def write(self, setpoint: FloatArray) -> None:
        """Phase: hot."""
        self._hand.send(setpoint)

    def rest(self) -> None:
        """Raises: RobotError, if that fails or does not return."""
        self._free = False
        within(STOP_S, "stop", self._hand.rest)
        self._free = True

    def close(self) -> bool:
        """Whether nobody is left in a call of the robot."""
        for eye in self._readers.values():
            eye.close()
        return self._free
