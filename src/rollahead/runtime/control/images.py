"""The newest usable image of each camera, as read-only arrays for messages.

A robot may return the same array again with another image in it, or a view of memory that its driver writes to. So
every new image is checked and then copied, unless its array is `immutable`. An image is new if it comes in another
array than the last one, or was captured in another tick.

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
OLDEST = 10**6  # ticks: the greatest age of an image that can be recorded


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """The last usable image of a camera.

    Attributes:
        source: Array that the robot returned, to recognise it.
        tick: Tick of capture.
        image: Read-only array for messages.
    """

    source: Image
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
            kept, tick = self._kept.get(camera.name), k - int(frame.age)
            if kept is None or kept.source is not frame.image or kept.tick != tick:
                self._kept[camera.name] = _Kept(frame.image, tick, unchanging(frame.image))

    @property
    def images(self) -> dict[str, Image]:
        """Images (H, W, 3) uint8 by camera, the same array until there is a new image. Phase: hot."""
        return {name: kept.image for name, kept in self._kept.items()}

    @property
    def ticks(self) -> dict[str, int]:
        """Tick of capture of each image, by camera. Phase: hot."""
        return {name: kept.tick for name, kept in self._kept.items()}


def misfit(frame: Frame, camera: Camera) -> str:
    """Explains in one sentence why `frame` does not fit the spec of `camera`; empty if it fits. Phase: hot."""
    shape = (camera.height, camera.width, 3)
    if not isinstance(frame, Frame) or not isinstance(frame.image, np.ndarray):
        given = type(frame.image if isinstance(frame, Frame) else frame).__name__
        return f"camera {camera.name!r} gives {given}; give a Frame with an array (the robot's frames())"
    image, age = frame.image, frame.age
    if image.dtype != np.uint8 or image.shape != shape:
        return (
            f"camera {camera.name!r} gives images of {image.dtype} {image.shape}, and its spec says uint8 {shape}, "
            "which is height, width and colours from 0 to 255; convert them, or set the camera or the spec to the other"
        )
    if not isinstance(age, int | np.integer) or not 0 <= age <= OLDEST:
        return f"camera {camera.name!r} gives an image that is {age} ticks old; give a whole number from 0 to {OLDEST}"
    return ""
