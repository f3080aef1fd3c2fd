"""Robots: the seam, and what is behind it."""

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
    """One measurement of a robot. state: (S,), measured `age` ticks ago; environment: (E,), numbers about the scene."""

    state: FloatArray
    environment: FloatArray = field(default_factory=nothing)
    age: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """An image of a camera, with a number that identifies it.

    image: (H, W, 3) uint8, RGB; stamp: capture stamp, a whole number of 64 bits that no other image of this camera has
    while the program runs, such as the time of capture in ns; age: ticks since it was captured.

    Two frames of a camera with the same stamp are the same image: it is neither copied nor encoded again. The executor
    copies an image when it reads it, so that a robot may reuse its memory; an array that nobody can write to is not
    copied.
    """

    image: NDArray[np.uint8]
    stamp: int
    age: int = 0


class Robot(Protocol):
    """Interface of a robot, real or simulated, that is read and written once per tick."""

    @property
    def spec(self) -> RobotSpec: ...

    def connect(self) -> None:
        """Phase: setup."""
        ...

    def read(self) -> Reading:
        """What is measured now; it takes a bounded time. Phase: hot."""
        ...

    def frames(self) -> Mapping[str, Frame]:
        """The newest image of each camera; it never waits. Cameras that render on demand render here. Phase: hot."""
        ...

    def write(self, setpoint: FloatArray) -> None:
        """Sends one setpoint (A,). Phase: hot."""
        ...

    def stop(self) -> None:
        """Brings the robot to rest in its own way, within a second. It may be called at any time after `connect`, more
        than once, and from another thread if a call of the robot hangs."""
        ...

    def disconnect(self) -> None:
        """Phase: setup."""
        ...
