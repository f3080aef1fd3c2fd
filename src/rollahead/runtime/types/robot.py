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
    """Newest image of a camera. image: (H, W, 3) uint8, RGB, captured `age` ticks ago.

    The executor copies the image when it reads it, so that a robot may reuse its memory; a read-only array that owns
    its memory is not copied. The same array with the same tick of capture counts as the same image.
    """

    image: NDArray[np.uint8]
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
        """The newest image of each camera; it never waits. Phase: hot."""
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
