"""Estimates the delay: how many ticks to plan for an inference that has yet to be made."""

import math
from collections import deque

from rollahead.errors import ConfigError, InferenceError


class DelayEstimator:
    """Plans the delay `d` as a quantile of the last measured costs.

    Plan for the body of the distribution and survive its tail: a high quantile of a heavy tail costs more than the late
    chunks that it avoids. It is never an all-time maximum, so one slow inference is forgotten after `window` others.

    Args:
        window: Number of costs that the quantile is taken over.
        quantile: 0 to 1; 0.5 is the median.
        fixed: If given, `d` is this number of ticks and nothing is estimated.

    Raises ConfigError if an argument is out of range.
    """

    def __init__(self, *, window: int = 50, quantile: float = 0.5, fixed: int | None = None) -> None:
        if window < 1:
            raise ConfigError(f"the window is {window} inferences; give at least 1")
        if not 0.0 <= quantile <= 1.0:
            raise ConfigError(f"the quantile is {quantile}; give one from 0 to 1")
        if fixed is not None and fixed < 0:
            raise ConfigError(f"the delay is {fixed} ticks; give 0 or more, or leave it out to have it estimated")
        self._costs: deque[float] = deque(maxlen=window)
        self._quantile = quantile
        self._fixed = fixed
        self._delay = 0 if fixed is None else fixed

    @property
    def delay(self) -> int:
        """Delay d in ticks. Phase: hot."""
        return self._delay

    @property
    def costs(self) -> list[float]:
        """Costs in the window, in ticks, oldest first."""
        return list(self._costs)

    def add(self, cost: float) -> None:
        """Adds one measured cost, in ticks, to the window. Raises InferenceError if it is negative, NaN or infinite."""
        if not 0.0 <= cost < math.inf:
            raise InferenceError(f"an inference is said to have cost {cost} ticks; give a finite number, 0 or more")
        self._costs.append(cost)
        self._update()

    def _update(self) -> None:
        if self._fixed is None and self._costs:
            ticks = sorted(self._costs)
            rank = max(math.ceil(self._quantile * len(ticks)), 1)  # a cost that was seen, never a mean of two modes
            self._delay = math.ceil(ticks[rank - 1] - 1e-9)
