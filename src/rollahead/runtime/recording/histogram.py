"""Histograms: quantiles of any number of values, in constant memory.

Values are counted in fixed classes, each 2 % larger than the one before. A quantile is within 1 % of the exact one, and
exact where each class stands for a single integer. The largest value is kept exactly.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATIO = 1.02  # value of a class divided by that of the class before; the error is at most half of the step
LARGEST = 1e12  # larger values are counted in the last class


def classes(smallest: float, *, exact: int = 0) -> NDArray[np.float64]:
    """Values (n,) that the classes of a histogram stand for.

    These are 0, the integers up to `exact`, and then steps of 2 % from the larger of `smallest` and the last integer.
    Negative values, and those nearer to 0 than to `smallest`, count as 0.
    """
    first = max(smallest, exact * RATIO)
    steps = math.ceil(math.log(LARGEST / first, RATIO))
    return np.concatenate([np.arange(exact + 1), first * RATIO ** np.arange(steps + 1)])


TIMES = classes(1e-3)  # for times in us, from 1 ns on
TICKS = classes(1.0, exact=1000)  # for counts of ticks


class Histogram:
    """Counts values by class. classes: (n,), the values that the classes stand for, rising; see `classes`."""

    def __init__(self, classes: NDArray[np.float64]) -> None:
        self._classes = classes
        self._edges = (classes[1:] + classes[:-1]) / 2
        self._counts = np.zeros(len(classes), np.int64)
        self._least, self._most = math.inf, -math.inf

    @property
    def count(self) -> int:
        """Number of values that were added."""
        return int(self._counts.sum())

    @property
    def most(self) -> float:
        """Largest value; -inf if there is none."""
        return self._most

    def add(self, values: NDArray[Any]) -> None:
        """Counts `values` (n,), which must be finite."""
        if len(values):
            found = np.searchsorted(self._edges, values)
            self._counts += np.bincount(found, minlength=len(self._counts))
            self._least = min(self._least, float(values.min()))
            self._most = max(self._most, float(values.max()))

    def quantiles(self, at: Sequence[float]) -> list[float]:
        """Quantiles at `at` (each from 0 to 1), interpolated linearly like numpy's `quantile`.

        There must be at least one value.
        """
        ranks = np.asarray(at) * (self.count - 1)
        below, above = (self._ranked(rank) for rank in (np.floor(ranks), np.ceil(ranks)))
        return list((below + (above - below) * (ranks % 1)).tolist())

    def _ranked(self, ranks: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values with the given `ranks` in sorted order, counted from 0."""
        values = self._classes[np.searchsorted(np.cumsum(self._counts), ranks, side="right")]
        return np.clip(values, self._least, self._most)
