"""A simulated camera for every index that OpenCV is asked for, in programs that find this folder on PYTHONPATH.

Python imports this module when it starts. Images are noise, at the camera's frame rate.
"""

import time
from typing import Any

import cv2
import numpy as np


class SimulatedCapture:
    """A stand-in for `cv2.VideoCapture`: takes the size and frame rate that it is set to."""

    def __init__(self, *source: Any) -> None:
        self._rng = np.random.default_rng(0)
        self._set: dict[int, float] = {
            cv2.CAP_PROP_FRAME_WIDTH: 640.0,
            cv2.CAP_PROP_FRAME_HEIGHT: 480.0,
            cv2.CAP_PROP_FPS: 30.0,
        }
        self._open = True

    def isOpened(self) -> bool:
        """Whether it was not released yet."""
        return self._open

    def get(self, what: int) -> float:
        """The value of a property; 0 for one that was never set."""
        return self._set.get(what, 0.0)

    def set(self, what: int, value: float) -> bool:
        """Sets a property."""
        self._set[what] = value
        return True

    def read(self) -> tuple[bool, np.ndarray]:
        """The next image, (height, width, 3) uint8, after one period of the frame rate."""
        time.sleep(1 / self.get(cv2.CAP_PROP_FPS))
        height, width = (int(self.get(what)) for what in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
        return True, self._rng.integers(0, 256, (height, width, 3), dtype=np.uint8)

    def release(self) -> None:
        """Closes the camera."""
        self._open = False


setattr(cv2, "VideoCapture", SimulatedCapture)  # noqa: B010 (its stubs say that it is final)
