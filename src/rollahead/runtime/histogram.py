"""Histograms: quantiles of any number of values, in memory that does not grow.

Values are counted in fixed classes, each 2 % wider than the one before. A quantile is within 1 % of the exact one, and
exact where each class stands for a single value, as of small integers; the largest value is kept as it is.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATIO = 1.02  # from the value of a class to the next: half of the step is the error
LARGEST = 1e12  # larger values count as this, but as the maximum


def classes(smallest: float, *, exact: int = 0) -> NDArray[np.float64]:
    """The values (n,) that classes stand for: 0, the integers up to `exact`, and from `smallest` on, or from there,
    steps of 2 %. What is nearer to 0 than to `smallest` counts as 0, and so does what is negative."""
    first = max(smallest, exact * RATIO)
    steps = math.ceil(math.log(LARGEST / first, RATIO))
    return np.concatenate([np.arange(exact + 1), first * RATIO ** np.arange(steps + 1)])


TIMES = classes(1e-3)  # in us: to the nanosecond
TICKS = classes(1.0, exact=1000)


class Histogram:
    """Counts values in `classes`, as the function of that name gives them."""

    def __init__(self, classes: NDArray[np.float64]) -> None:
        self._classes = classes
        self._edges = (classes[1:] + classes[:-1]) / 2
        self._counts = np.zeros(len(classes), np.int64)
        self._least, self._most = math.inf, -math.inf

    @property
    def count(self) -> int:
        """How many values there were."""
        return int(self._counts.sum())

    @property
    def most(self) -> float:
        """The largest value; -inf if there was none."""
        return self._most

    def add(self, values: NDArray[Any]) -> None:
        """Counts `values` (n,), which are finite."""
        if len(values):
            found = np.searchsorted(self._edges, values)
            self._counts += np.bincount(found, minlength=len(self._counts))
            self._least = min(self._least, float(values.min()))
            self._most = max(self._most, float(values.max()))

    def quantiles(self, at: Sequence[float]) -> list[float]:
        """The quantiles `at` (each from 0 to 1), as numpy's `quantile` interpolates them. There is a value at least."""
        ranks = np.asarray(at) * (self.count - 1)
        below, above = (self._ranked(rank) for rank in (np.floor(ranks), np.ceil(ranks)))
        return list((below + (above - below) * (ranks % 1)).tolist())

    def _ranked(self, ranks: NDArray[np.float64]) -> NDArray[np.float64]:
        """The values at `ranks`, counted from 0 by their size."""
        values = self._classes[np.searchsorted(np.cumsum(self._counts), ranks, side="right")]
        return np.clip(values, self._least, self._most)
