"""Images of a data set by frame, decoded by LeRobot and kept in a bounded cache.

The cache holds as many of the data set's first frames as fit. Frames are drawn with equal chances, so any other choice
would be hit as often. The cache is shared with processes that are forked later: an image that one of them has decoded
is there for all. Two processes that decode the same frame write the same bytes.

Threads: one per process. Each process opens the files itself, because decoders do not survive a fork.
"""

import mmap
import os
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rollahead.errors import ConfigError, one_line
from rollahead.policies.data.frames import Frames
from rollahead.policies.lerobot import compat

MOST_MB = 2048.0
Bytes = NDArray[np.uint8]


class Pictures:
    """The images of all cameras of `frames`. `most_mb`: limit of the memory for decoded images, in MiB."""

    def __init__(self, frames: Frames, most_mb: float = MOST_MB) -> None:
        self._frames = frames
        pixels = sum(height * width for height, width in frames.sizes.values())
        self.kept = min(len(frames), int(most_mb * 2**20) // (3 * pixels)) if pixels else 0
        self._cache = {name: _shared(self.kept, 3, *size) for name, size in frames.sizes.items()}
        self._known = _shared(self.kept)
        self._opened: tuple[int, Any] = (0, None)  # the id of the process that opened it

    def of(self, frames: NDArray[np.intp]) -> dict[str, torch.Tensor]:
        """The images of `frames` (*) by camera, (*, 3, height, width) uint8.

        Raises: ConfigError, if one cannot be decoded.
        """
        wanted, places = np.unique(frames, return_inverse=True)
        images = [self._of(int(frame)) for frame in wanted]
        return {
            name: torch.from_numpy(np.stack([each[i] for each in images])[places.reshape(frames.shape)])
            for i, name in enumerate(self._frames.sizes)
        }

    def _of(self, frame: int) -> Sequence[Bytes]:
        """The image of `frame` from each camera, in their order, (3, height, width)."""
        if frame >= self.kept:
            return self._decoded(frame)
        if not self._known[frame]:
            for cache, picture in zip(self._cache.values(), self._decoded(frame), strict=True):
                cache[frame] = picture
            self._known[frame] = 1
        return [cache[frame] for cache in self._cache.values()]

    def _decoded(self, frame: int) -> list[Bytes]:
        try:
            item = self._dataset()[frame]
            return [_bytes(item[key]) for key in self._frames.cameras.values()]
        except Exception as error:  # decoders may raise anything
            episode, place = self._frames.place(frame)
            words = one_line(error).removesuffix(".") or type(error).__name__
            raise ConfigError(
                f"the images of frame {place} of episode {episode} of data set {self._frames.folder} cannot be decoded "
                f"({words}); copy the data set again, or delete the episode (lerobot-edit-dataset)"
            ) from error

    def _dataset(self) -> Any:
        if self._opened[0] != os.getpid():
            folder = self._frames.folder
            opened = compat.LeRobotDataset(f"rollahead/{folder.name}", root=folder, video_backend=_backend())
            self._opened = (os.getpid(), opened)
        return self._opened[1]


def scaled(pictures: torch.Tensor) -> torch.Tensor:
    """Images as float32 in [0, 1], as LeRobot's data sets give them. `pictures`: uint8."""
    return pictures.to(torch.float32) / 255


def _shared(*shape: int) -> Bytes:
    """An array of zeros that processes forked later share. Memory is allocated when it is first written."""
    size = int(np.prod(shape))
    return np.frombuffer(mmap.mmap(-1, max(size, 1)), np.uint8)[:size].reshape(shape)


def _bytes(picture: torch.Tensor) -> Bytes:
    """An image as uint8 (3, height, width). `picture`: float32 in [0, 1]."""
    return (picture * 255).round().to(torch.uint8).numpy()


def _backend() -> str:
    """The video decoder: torchcodec if its libraries are found, else pyav. LeRobot looks only for the package."""
    try:
        import_module("torchcodec")
    except (ImportError, RuntimeError, OSError):
        return "pyav"
    return "torchcodec"
