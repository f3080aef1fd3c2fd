"""Comparison of a data set's stored statistics with its numbers.

A policy's inputs and outputs are normalised by meta/stats.json. If that file belongs to other data, such as to a part
of the data set, or is in another unit, the normalised numbers are nearly constant or far out of range, and nothing else
shows it.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from rollahead.policies.data.frames import FIGURES, Floats, Frames, Stats
from rollahead.policies.lerobot.features import IMAGES, PARTS
from rollahead.runtime.types.arrays import FloatArray

CLOSE = 0.05  # allowed difference of a statistic, as a share of the dimension's range
ROUNDED = 1e-3  # allowed difference, as a share of the statistic: the file may be in float32
LEAST = 1e-6
IMAGENET: Mapping[str, FloatArray] = {  # per channel, as LeRobot's training normalises images
    "mean": np.array([0.485, 0.456, 0.406]).reshape(3, 1, 1),
    "std": np.array([0.229, 0.224, 0.225]).reshape(3, 1, 1),
}


def with_own_statistics(frames: Frames) -> tuple[Frames, str | None]:
    """`frames` with statistics that match its numbers, and one sentence about the difference.

    If meta/stats.json is right, returns `frames` unchanged and None. Images are not checked.
    """
    own = {feature: _measured(getattr(frames, part)) for feature, part in PARTS.items() if frames.names[feature]}
    places = [(feature, figure) for feature in own for figure in FIGURES]
    far = [_furthest(frames.stats[feature][figure], own[feature], figure) for feature, figure in places]
    worst = int(np.argmax([distance for distance, _ in far]))
    (distance, i), (feature, figure) = far[worst], places[worst]
    if distance <= 1:
        return frames, None
    stored, measured = frames.stats[feature][figure][i], own[feature][figure][i]
    words = (
        f"meta/stats.json of data set {frames.folder} says {stored:.4g} for the {figure} of {feature} "
        f"{frames.names[feature][i]!r}, and the data has {measured:.4g}: the data's own statistics are used; other "
        "programs will use the file, so let LeRobot recompute it"
    )
    return replace(frames, stats={**frames.stats, **own}), words


def with_imagenet(stats: Stats) -> Stats:
    """`stats` with the mean and the standard deviation of ImageNet for all images.

    LeRobot's training does this by default (`dataset.use_imagenet_stats`). The standard deviation of images in a file
    that LeRobot 0.4.4 wrote is wrong: it squares them as uint8, which overflows.
    """
    return {key: {**each, **IMAGENET} if key.startswith(IMAGES) else each for key, each in stats.items()}


def _measured(values: Floats) -> dict[str, FloatArray]:
    wide = values.astype(np.float64)
    return {"mean": wide.mean(axis=0), "std": wide.std(axis=0), "min": wide.min(axis=0), "max": wide.max(axis=0)}


def _furthest(stored: FloatArray, own: dict[str, FloatArray], figure: str) -> tuple[float, int]:
    """The largest difference of a stored statistic from the data's `own`, and its dimension; 1 is just allowed."""
    allowed = CLOSE * (own["max"] - own["min"]) + ROUNDED * np.abs(own[figure]) + LEAST
    distance = np.abs(stored - own[figure]) / allowed
    return float(distance.max()), int(distance.argmax())
