"""The robot at the other end of the wire: it notes when each command came, and does nothing else.

Both loops drive this one: 14 joints, two cameras of 480 x 640 with one preset frame each. The notes lie in memory that
processes share, so that a loop in a process of its own is measured the same way.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from rollahead.runtime.transport.shared import Ring
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import Camera, Dim, RobotSpec

JOINTS = 14
MOTORS = tuple(f"motor_{j + 1}.pos" for j in range(JOINTS))
CAMERAS = ("top", "wrist")
HEIGHT, WIDTH = 480, 640


def notes(capacity: int) -> Ring:
    """Where the wire notes: when a command came, and what the sending thread had used of the processor."""
    return Ring([("at_ns", np.int64), ("cpu_ns", np.int64)], capacity, shared=True)


def preset_frames() -> dict[str, Any]:
    """One image of noise per camera."""
    rng = np.random.default_rng(0)
    return {name: rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) for name in CAMERAS}


class LeRobotWire:
    """As LeRobot's loop sees it."""

    name = robot_type = "wire"
    is_connected = False

    def __init__(self, noted: Ring) -> None:
        self._noted = noted
        self._observation = {**{motor: 0.1 * j for j, motor in enumerate(MOTORS)}, **preset_frames()}
        self.observation_features = {**dict.fromkeys(MOTORS, float), **dict.fromkeys(CAMERAS, (HEIGHT, WIDTH, 3))}
        self.action_features = dict.fromkeys(MOTORS, float)
        self.cameras: dict[str, Any] = {}

    def get_observation(self) -> dict[str, Any]:
        """The same each time."""
        return dict(self._observation)

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        """Notes the time."""
        self._noted.append((time.monotonic_ns(), time.thread_time_ns()))
        return action


class Wire:
    """As our executor sees it, with what a guard can check on every joint."""

    def __init__(self, noted: Ring, rate_hz: float) -> None:
        limits = {"rate_limit": 1e3, "accel_limit": 1e6}  # all are checked, and a random policy keeps them
        self.spec = RobotSpec(
            action=tuple(Dim(motor, "rad", low=-10.0, high=10.0, drives=motor, **limits) for motor in MOTORS),
            state=tuple(Dim(motor, "rad") for motor in MOTORS),
            rate_hz=rate_hz,
            cameras=tuple(Camera(name, HEIGHT, WIDTH) for name in CAMERAS),
        )
        self._noted = noted
        self._reading = Reading(frozen([0.1 * j for j in range(JOINTS)]))
        self._frames: Mapping[str, Frame] = {name: Frame(image, 0) for name, image in preset_frames().items()}

    def connect(self) -> None:
        """Nothing to do."""

    def read(self) -> Reading:
        """The same each time."""
        return self._reading

    def frames(self) -> Mapping[str, Frame]:
        """The same each time."""
        return self._frames

    def write(self, setpoint: FloatArray) -> None:
        """Notes the time."""
        self._noted.append((time.monotonic_ns(), time.thread_time_ns()))

    def stop(self) -> None:
        """Nothing to do."""

    def disconnect(self) -> None:
        """Nothing to do."""
