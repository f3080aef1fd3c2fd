"""Whether two readings of a robot in a row agree: a wrong one, as a corrupted packet makes, agrees with no other.

Two readings may differ by twice as far as the robot's limits let it go in a tick, and by some noise.

Threads: the executor's alone. Hot path: all but the constructor.
"""

import math

import numpy as np

from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.robots import Reading
from rollahead.runtime.spec import Dim, Kind, RobotSpec, is_turn, names_of

PLAUSIBLE = 2.0  # times as far as its limits let the robot go in a tick
NOISE = 0.01  # of a range, beside that
SHARE = 0.05  # of a range, where there is no rate limit


class Agreement:
    """Compares each reading of a robot with the one before."""

    def __init__(self, spec: RobotSpec) -> None:
        self._apart: list[float] = _plausible(spec).tolist()
        self._turns = [is_turn(dim) for dim in spec.state]
        self._before: list[float] | None = None
        self._measured_at = 0
        self._agrees = True  # as far as there is nothing to compare with

    def __call__(self, k: int, reading: Reading) -> bool:
        """Whether `reading`, of tick `k`, agrees with the one before. One that was measured no later proves nothing by
        being the same. Phase: hot."""
        measured_at = k - reading.age
        state = reading.state.tolist()
        if self._before is not None:
            proves = self._agrees or measured_at > self._measured_at
            self._agrees = proves and all(map(_close, state, self._before, self._apart, self._turns))
        self._before, self._measured_at = state, measured_at
        return self._agrees


def _close(value: float, before: float, most: float, turns: bool) -> bool:
    """Number by number, which is quicker than by array for a few dozen."""
    apart = abs(value - before)
    if turns:
        apart %= 2 * math.pi
        apart = min(apart, 2 * math.pi - apart)
    return apart <= most


def _plausible(spec: RobotSpec) -> FloatArray:
    """(S,), how far apart two readings that are a tick apart may be; infinite where no limit tells."""
    names = names_of(spec.state)
    apart = np.full(len(names), np.inf)
    for dim in spec.action:
        if dim.drives is not None:
            i = names.index(dim.drives)
            apart[i] = min(apart[i], _most(dim, spec.state[i], spec.period_s))
    return apart


def _most(dim: Dim, state: Dim, period_s: float) -> float:
    """How far apart two readings of `state`, which `dim` drives, may be."""
    if dim.kind is Kind.DISCRETE:
        return math.inf
    moves = dim if dim.kind is Kind.POSITION else state
    size = moves.high - moves.low
    fastest = max(-dim.low, dim.high)
    speed = {Kind.VELOCITY: fastest, Kind.DELTA: fastest / period_s}.get(dim.kind, dim.rate_limit)
    if math.isfinite(speed):
        return PLAUSIBLE * speed * period_s + (NOISE * size if math.isfinite(size) else 0.0)
    return SHARE * size
