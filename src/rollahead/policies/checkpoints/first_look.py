"""Comparison of the first state that a robot measures with the states that its policy was trained on."""

import math

import numpy as np

from rollahead.policies.lerobot.normalise import Stats
from rollahead.runtime.types.arrays import FloatArray

FAR = 10.0  # standard deviations
MOST_NAMED = 3


def unlike(stats: Stats, names: tuple[str, ...], state: FloatArray) -> str:
    """A line that names the dimensions of `state` (S,) that are far from the training data, empty if none is.

    Far means more than `FAR` standard deviations from the mean in `stats`. Without mean and standard deviation, the
    middle of the range and the deviation of a uniform distribution over it are taken. Without a range, nothing is
    compared.
    """
    if (moments := _moments(stats)) is None or any(len(each) != len(state) for each in moments):
        return ""
    mean, std = moments
    off = np.abs(state.astype(np.float32) - mean)  # in the precision that the policy takes
    far = [i for i in range(len(state)) if off[i] > FAR * std[i]]
    if not far:
        return ""
    words = [f"{names[i]} is {state[i]:g} (mean {mean[i]:g}, deviation {std[i]:g})" for i in far[:MOST_NAMED]]
    more = f", and {len(far) - MOST_NAMED} more" if len(far) > MOST_NAMED else ""
    return (
        f"the state is more than {FAR:g} standard deviations outside what the policy was trained on: "
        f"{', '.join(words)}{more}; look at units (degrees, percent), calibration and names"
    )


def _moments(stats: Stats) -> tuple[FloatArray, FloatArray] | None:
    """The mean and the standard deviation, (S,) each; None if `stats` has neither them nor a range."""
    known = {name: np.asarray(value, np.float64).ravel() for name, value in stats.items()}
    if "mean" in known and "std" in known:
        return known["mean"], known["std"]
    if "min" in known and "max" in known:
        return (known["min"] + known["max"]) / 2, (known["max"] - known["min"]) / math.sqrt(12)
    return None
