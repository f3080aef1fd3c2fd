"""The newest usable image of each camera, as read-only arrays for messages.

A robot may return the same array again with another image in it, or a view of memory that its driver writes to. So
every new image is checked and then copied, unless its array is `immutable`. An image is new if its capture stamp is
another one than that of the last image of the camera.

    frame of the camera  ->  fits the spec?  -- no -->  the last usable image stays, and grows older
                                             -- yes ->  new?  ->  copied, kept, put into messages

Threads: the executor's alone. Hot path: `update`, `images`, `ticks`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import RobotError
from rollahead.runtime.types.arrays import unchanging
from rollahead.runtime.types.robot import Frame
from rollahead.runtime.types.spec import Camera

Image = NDArray[np.uint8]
LARGEST = 2**63  # capture stamps are signed numbers of 64 bits
OLDEST = 10**6  # ticks: the greatest age of an image that can be recorded


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """The last usable image of a camera.

    Attributes:
        stamp: Capture stamp, by which the image is recognised.
        tick: Tick of capture.
        image: Read-only array for messages.
    """

    stamp: int
    tick: int
    image: Image


class CameraImages:
    """Keeps the newest usable image of each of `cameras`; images of other cameras are ignored."""

    def __init__(self, cameras: Sequence[Camera]) -> None:
        self._cameras = cameras
        self._kept: dict[str, _Kept] = {}

    def check(self, frames: Mapping[str, Frame]) -> None:
        """Checks the first `frames` against the spec; a camera may have no image yet. Phase: setup.

        Raises RobotError if an image does not fit.
        """
        for camera in self._cameras:
            if camera.name in frames and (words := misfit(frames[camera.name], camera)):
                raise RobotError(words)

    def update(self, frames: Mapping[str, Frame], k: int) -> None:
        """Takes the new and usable images among the `frames` of tick `k`. Phase: hot."""
        for camera in self._cameras:
            frame = frames.get(camera.name)
            if frame is None or misfit(frame, camera):
                continue
            kept = self._kept.get(camera.name)
            if kept is None or kept.stamp != frame.stamp:
                self._kept[camera.name] = _Kept(int(frame.stamp), k - int(frame.age), unchanging(frame.image))

    @property
    def images(self) -> dict[str, Image]:
        """Images (H, W, 3) uint8 by camera, the same array until there is a new image. Phase: hot."""
        return {name: kept.image for name, kept in self._kept.items()}

    @property
    def ticks(self) -> dict[str, int]:
        """Tick of capture of each image, by camera. Phase: hot."""
        return {name: kept.tick for name, kept in self._kept.items()}

    @property
    def stamps(self) -> dict[str, int]:
        """The capture stamp of each image, by camera. Phase: hot."""
        return {name: kept.stamp for name, kept in self._kept.items()}


def misfit(frame: Frame, camera: Camera) -> str:
    """Explains in one sentence why `frame` does not fit the spec of `camera`; empty if it fits. Phase: hot."""
    shape = (camera.height, camera.width, 3)
    if not isinstance(frame, Frame) or not isinstance(frame.image, np.ndarray):
        given = type(frame.image if isinstance(frame, Frame) else frame).__name__
        return f"camera {camera.name!r} gave {given}; give a Frame with an array (the robot's frames())"
    image, stamp, age = frame.image, frame.stamp, frame.age
    if image.dtype != np.uint8 or image.shape != shape:
        return (
            f"camera {camera.name!r} gave {image.shape} {image.dtype}, and its spec says {shape} uint8 (height, width "
            "and RGB from 0 to 255); convert the image, or change the size of the camera or in its spec"
        )
    if not isinstance(age, int | np.integer) or not 0 <= age <= OLDEST:
        return f"camera {camera.name!r} gave an image that is {age} ticks old; give a whole number from 0 to {OLDEST}"
    if not isinstance(stamp, int | np.integer) or not -LARGEST <= stamp < LARGEST:
        return (
            f"camera {camera.name!r} gave an image with the capture stamp {stamp!r}; give a whole number of 64 bits, "
            "such as the time of capture in ns"
        )
    return ""
