"""Fit of a first-order lag with a pure delay to one axis, from what it was sent and how it moved.

    x(k + 1) = a + (x(k) - a) exp(-T / tau),    a = a(k - delay)

The fit minimises the output error: what was sent is run through the lag, and all of x is compared with the result.
(With the error of a prediction one step ahead, x(k) would stand on both sides, and its noise would make every lag look
shorter than it is.) For each delay and tau the linear parameters are solved for: the state of the axis at the start,
and a constant offset, such as that of a load.

Assumes, for the error of tau: the lag is the right model, and the residuals are noise, either white, as from a sensor,
or correlated over up to `RUNS` ticks, as for a robot that is pushed. A short record has few such runs, and the error is
then somewhat too small: for a robot pushed for 475 ticks, intervals that should contain the true value in 95 of 100
cases did in 87.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np

from rollahead.runtime.types.arrays import FloatArray

PER_DECADE = 20  # values of tau that are tried before the search
SHORTEST = 0.05  # in periods: a smaller tau counts as no lag
GOLDEN = (math.sqrt(5) - 1) / 2
ROUNDS = 40  # of the golden-section search, for a relative error of 1e-9 in tau
Z95 = 1.96
RUNS = 10  # ticks after which noise is taken to be uncorrelated

Left = Callable[[float, int], FloatArray]  # (tau in s, delay) -> residuals (n,) of the best fit


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A fitted lag and its residuals.

    Attributes:
        tau_s: Time constant in seconds.
        interval_s: 95 % interval of tau; its end is infinite where the data do not show that the axis ever arrives.
        delay: Pure delay in ticks.
        offset: Difference between where the axis comes to rest and what it is sent.
        left: (n,), residuals.
        seen: (n,), the state that was fitted.
    """

    tau_s: float
    interval_s: tuple[float, float]
    delay: int
    offset: float
    left: FloatArray
    seen: FloatArray

    @property
    def rms(self) -> float:
        """Root mean square of the residuals, in the state's unit."""
        return math.sqrt(float(self.left @ self.left) / len(self.left))

    @property
    def noise(self) -> float:
        """Root mean square of white noise that changes as much from tick to tick as the residuals do.

        It is less than `rms` where the lag does not fit.
        """
        return math.sqrt(float(np.square(np.diff(self.left)).mean()) / 2)

    @property
    def r2(self) -> float:
        """Share of the state's variation that is explained; NaN where it did not vary."""
        varied = float(np.square(self.seen - self.seen.mean()).sum())
        return 1.0 - float(self.left @ self.left) / varied if varied else math.nan


def fit_lag(sent: FloatArray, state: FloatArray, pieces: Sequence[slice], period_s: float, max_delay: int) -> Fit:
    """Fits the lag of an axis that was sent `sent` (n,) and was at `state` (n,) at the head of each tick.

    Args:
        sent: (n,), what was sent.
        state: (n,), the state at the head of each tick.
        pieces: Stretches of consecutive ticks, each longer than `max_delay`.
        period_s: T, seconds per tick.
        max_delay: Longest delay in ticks that is tried.
    """

    @lru_cache(maxsize=1)  # all delays share it at one tau
    def followed(tau_s: float) -> list[FloatArray]:
        return [_follow(sent[piece], math.exp(-period_s / tau_s)) for piece in pieces]

    def solved(tau_s: float, delay: int) -> tuple[FloatArray, float]:
        differences = [
            state[piece][max_delay:] - follows[max_delay - delay : len(follows) - delay]
            for piece, follows in zip(pieces, followed(tau_s), strict=True)
        ]
        return _solve(differences, math.exp(-period_s / tau_s))

    def left(tau_s: float, delay: int) -> FloatArray:
        return solved(tau_s, delay)[0]

    longest_s = period_s * max(piece.stop - piece.start for piece in pieces)
    tau_s, delay = _best(left, SHORTEST * period_s, longest_s, max_delay)
    rest, offset = solved(tau_s, delay)
    return Fit(
        tau_s=tau_s,
        interval_s=_interval_s(left, tau_s, delay, len(rest) - 2 - len(pieces), period_s, longest_s),
        delay=delay,
        offset=offset,
        left=rest,
        seen=np.concatenate([state[piece][max_delay:] for piece in pieces]),
    )


def _follow(sent: FloatArray, decay: float) -> FloatArray:
    """State (n,) at the head of each tick of a lag without delay that starts at the first of `sent` (n,)."""
    targets = sent.tolist()
    return np.array(list(accumulate(targets[:-1], lambda x, a: a + (x - a) * decay, initial=targets[0])))


def _solve(differences: Sequence[FloatArray], decay: float) -> tuple[FloatArray, float]:
    """Residuals (n,) of all pieces together, and the offset.

    The state at the start of a piece fades as `decay` ** k, and is projected out. differences: of each piece from the
    lag.
    """
    left, ones = [], []
    for difference in differences:
        fading = decay ** np.arange(len(difference))
        fading /= np.linalg.norm(fading)
        left.append(difference - fading * (fading @ difference))
        ones.append(1.0 - fading * fading.sum())
    together, one = np.concatenate(left), np.concatenate(ones)
    offset = float(one @ together) / float(one @ one)
    return together - offset * one, offset


def _best(left: Left, shortest_s: float, longest_s: float, max_delay: int) -> tuple[float, int]:
    """Tau and delay with the least squared residuals: a grid of tau, then for each delay a golden-section search."""

    def squared(log_tau: float, delay: int) -> float:
        rest = left(math.exp(log_tau), delay)
        return float(rest @ rest)

    values = max(round(PER_DECADE * math.log10(longest_s / shortest_s)), 3)
    grid = np.linspace(math.log(shortest_s), math.log(longest_s), values).tolist()
    delays = range(max_delay + 1)
    tried = np.array([[squared(log_tau, delay) for delay in delays] for log_tau in grid])
    found = []
    for delay, i in zip(delays, tried.argmin(axis=0).tolist(), strict=True):
        low, high = grid[max(i - 1, 0)], grid[min(i + 1, values - 1)]
        log_tau = _golden_section(lambda log_tau, n=delay: squared(log_tau, n), low, high)  # type: ignore[misc]
        found.append((squared(log_tau, delay), math.exp(log_tau), delay))
    return min(found)[1:]


def _golden_section(f: Callable[[float], float], low: float, high: float) -> float:
    """Argument in [low, high] at which `f`, which has one minimum there, is least."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = f(a), f(b)
    for _ in range(ROUNDS):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - GOLDEN * (high - low)
            at_a = f(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + GOLDEN * (high - low)
            at_b = f(b)
    return (low + high) / 2


def _interval_s(
    left: Left, tau_s: float, delay: int, freedom: int, period_s: float, longest_s: float
) -> tuple[float, float]:
    """95 % interval of tau in seconds, computed for its decay per tick, exp(-period / tau).

    The error of the decay is finite and symmetric also where tau is short beside a period, or long beside the record. A
    decay of 1 is a state that stays where it is. A record cannot tell it from any tau of at least `longest_s`: the
    interval then ends at infinity.
    """

    def left_of(decay: float) -> FloatArray:
        return left(-period_s / math.log(decay), delay)

    decay = math.exp(-period_s / tau_s)
    reach = Z95 * _error(left_of, decay, freedom)
    low_s, high_s = (_tau_s(min(max(end, 0.0), 1.0), period_s) for end in (decay - reach, decay + reach))
    return low_s, high_s if high_s < longest_s else math.inf


def _tau_s(decay: float, period_s: float) -> float:
    if decay in (0.0, 1.0):
        return math.inf if decay else 0.0
    return -period_s / math.log(decay)


def _error(left: Callable[[float], FloatArray], decay: float, freedom: int) -> float:
    """Standard error of the decay, by the delta method.

    It is the larger of that for white noise and that for correlated noise (Newey and West).
    """
    step = 1e-4 * (1.0 - decay)
    low, high = max(decay - step, 0.5 * decay), decay + step
    slope = (left(high) - left(low)) / (high - low)
    rest = left(decay)
    curvature = max(float(slope @ slope), 1e-100)
    white = float(rest @ rest) / freedom * curvature
    pull = slope * rest
    runs = pull @ pull + 2 * sum((1 - n / (RUNS + 1)) * (pull[n:] @ pull[:-n]) for n in range(1, RUNS + 1))
    return math.sqrt(max(white, float(runs))) / curvature
