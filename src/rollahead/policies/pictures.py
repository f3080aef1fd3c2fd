"""Pictures: the images of a data set, by frame, decoded by LeRobot.

Decoded ones are kept, as bytes, where all of them fit in `most_mb`: a training asks for each again and again.
"""

from functools import cached_property
from importlib import import_module
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rollahead.policies import compat
from rollahead.policies.frames import Frames

MOST_MB = 2048.0


class Pictures:
    """Those of all cameras of `frames`."""

    def __init__(self, frames: Frames, most_mb: float = MOST_MB) -> None:
        self._frames = frames
        pixels = sum(height * width for height, width in frames.sizes.values())
        self._kept: dict[str, NDArray[np.uint8]] = {}
        self._known = np.zeros(len(frames), np.bool_)
        if 3 * pixels * len(frames) <= most_mb * 2**20:
            self._kept = {name: np.empty((len(frames), 3, *size), np.uint8) for name, size in frames.sizes.items()}

    def of(self, frames: NDArray[np.intp]) -> dict[str, torch.Tensor]:
        """By camera, (*, 3, height, width) float32 in [0, 1], as LeRobot gives them, of `frames` (*)."""
        wanted, places = np.unique(frames, return_inverse=True)
        decoded = self._remembered(wanted) if self._kept else self._decoded(wanted)
        return {
            name: torch.from_numpy(pictures[places.reshape(frames.shape)]).to(torch.float32) / 255
            for name, pictures in decoded.items()
        }

    def _remembered(self, frames: NDArray[np.intp]) -> dict[str, NDArray[np.uint8]]:
        """`_decoded`, and only those that are not known yet."""
        new = frames[~self._known[frames]]
        for name, pictures in self._decoded(new).items():
            self._kept[name][new] = pictures
        self._known[new] = True
        return {name: kept[frames] for name, kept in self._kept.items()}

    def _decoded(self, frames: NDArray[np.intp]) -> dict[str, NDArray[np.uint8]]:
        """By camera, (n, 3, height, width), of `frames` (n,)."""
        items = [self._dataset[int(frame)] for frame in frames]
        return {
            name: np.stack([_bytes(item[key]) for item in items]) if items else np.empty((0, 3, *size), np.uint8)
            for (name, key), size in zip(self._frames.cameras.items(), self._frames.sizes.values(), strict=True)
        }

    @cached_property
    def _dataset(self) -> Any:
        folder = self._frames.folder
        return compat.LeRobotDataset(f"rollahead/{folder.name}", root=folder, video_backend=_backend())


def _bytes(picture: torch.Tensor) -> NDArray[np.uint8]:
    """(3, height, width) of a picture that is float32 in [0, 1]."""
    return (picture * 255).round().to(torch.uint8).numpy()


def _backend() -> str:
    """What decodes videos: torchcodec, where it finds its libraries (LeRobot looks only for the package)."""
    try:
        import_module("torchcodec")
    except (ImportError, RuntimeError, OSError):
        return "pyav"
    return "torchcodec"
