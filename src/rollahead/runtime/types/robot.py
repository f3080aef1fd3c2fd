"""The Robot protocol, and the measurements and camera images that a robot gives."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import nothing
from rollahead.runtime.types.spec import RobotSpec


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One measurement of a robot.

    Attributes:
        state: (S,), measured `age` ticks ago.
        environment: (E,), numbers about the scene; empty if there are none.
        age: Ticks since the state was measured.
    """

    state: FloatArray
    environment: FloatArray = field(default_factory=nothing)
    age: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image of a camera, with a number that identifies it.

    Two frames of a camera with the same stamp are the same image, which is neither copied nor encoded again. The
    executor copies an image when it reads it, so that a robot may reuse the memory; a read-only array is not copied.

    Attributes:
        image: (H, W, 3) uint8, RGB.
        stamp: Capture stamp, a 64-bit integer that no other image of this camera has while the program runs, such as
            the time of capture in ns.
        age: Ticks since the image was captured.
    """

    image: NDArray[np.uint8]
    stamp: int
    age: int = 0


class Robot(Protocol):
    """Interface of a robot, real or simulated, that is read and written once per tick."""

    @property
    def spec(self) -> RobotSpec:
        """Spec of the robot: its dimensions, cameras and control rate."""
        ...

    def connect(self) -> None:
        """Opens the connection to the robot. Phase: setup."""
        ...

    def read(self) -> Reading:
        """Measures the state and the environment, within a bounded time. Phase: hot."""
        ...

    def frames(self) -> Mapping[str, Frame]:
        """The newest frame of each camera, by the camera's name.

        The call never waits for a new image. Cameras that render on demand render here.

        Phase: hot.
        """
        ...

    def write(self, setpoint: FloatArray) -> None:
        """Sends one setpoint (A,). Phase: hot."""
        ...

    def stop(self) -> None:
        """Brings the robot to rest in its own way, within a second.

        It may be called at any time after `connect`, more than once, and from another thread if a call of the robot
        hangs.
        """
        ...

    def disconnect(self) -> None:
        """Closes the connection to the robot. Phase: setup."""
        ...
