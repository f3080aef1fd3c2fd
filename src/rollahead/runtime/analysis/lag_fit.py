"""The fit of a first-order lag with a pure delay to one axis: what it was sent, and how it went.

    x(k + 1) = a + (x(k) - a) exp(-T / tau),    a = a(k - delay)

It is of the output error: what was sent is run through the lag, and all of x is compared with that. (One step ahead,
x(k) would stand on both sides, and its noise would make every lag look shorter than it is.) For each delay and tau what
is linear is solved for and not kept: how the axis stood at the start, and a constant offset, as of a load.

Assumes: of the error of tau, that the lag is the right one, and that what is left is noise: white, as of a sensor, or
in runs of up to `RUNS` ticks, as of a robot that is pushed about. Of such runs a short record has few, and the error
told is then somewhat small: of a robot pushed for 475 ticks, intervals that should hold 95 of 100 held 87.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

import numpy as np

from rollahead.runtime.types.arrays import FloatArray

PER_DECADE = 20  # values of tau that are tried before the search
SHORTEST = 0.05  # of a period: a tau below is none
GOLDEN = (math.sqrt(5) - 1) / 2
ROUNDS = 40  # of the golden section: to 1e-9 of tau
Z95 = 1.96
RUNS = 10  # ticks after which noise is taken to have forgotten itself

Left = Callable[[float, int], FloatArray]  # (tau in s, delay) -> (n,), what the best fit leaves


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """interval_s: the 95 % interval of tau, which ends at infinity where nothing says that the axis ever arrives;
    offset: where the axis comes to rest beside what is sent; left: (n,), what is not explained; seen: (n,), the state
    that was to be explained."""

    tau_s: float
    interval_s: tuple[float, float]
    delay: int
    offset: float
    left: FloatArray
    seen: FloatArray

    @property
    def rms(self) -> float:
        """Of what is left, in the state's unit."""
        return math.sqrt(float(self.left @ self.left) / len(self.left))

    @property
    def noise(self) -> float:
        """The rms of white noise that changes as much from tick to tick as what is left; less than all of that, where
        the lag does not fit."""
        return math.sqrt(float(np.square(np.diff(self.left)).mean()) / 2)

    @property
    def r2(self) -> float:
        """The share of the state's variation that is explained; NaN where it did not vary."""
        varied = float(np.square(self.seen - self.seen.mean()).sum())
        return 1.0 - float(self.left @ self.left) / varied if varied else math.nan


def fit_lag(sent: FloatArray, state: FloatArray, pieces: Sequence[slice], period_s: float, max_delay: int) -> Fit:
    """The lag of an axis that was sent `sent` (n,) and was at `state` (n,) at the head of each tick.

    pieces: the stretches of consecutive ticks, each longer than `max_delay`, the longest delay that is tried.
    """

    @lru_cache(maxsize=1)  # of all delays at one tau
    def followed(tau_s: float) -> list[FloatArray]:
        return [_follow(sent[piece], math.exp(-period_s / tau_s)) for piece in pieces]

    def solved(tau_s: float, delay: int) -> tuple[FloatArray, float]:
        apart = [
            state[piece][max_delay:] - follows[max_delay - delay : len(follows) - delay]
            for piece, follows in zip(pieces, followed(tau_s), strict=True)
        ]
        return _solve(apart, math.exp(-period_s / tau_s))

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
    """(n,), a lag without delay that starts at the first of `sent` (n,), at the head of each tick."""
    targets = sent.tolist()
    return np.array(list(accumulate(targets[:-1], lambda x, a: a + (x - a) * decay, initial=targets[0])))


def _solve(apart: Sequence[FloatArray], decay: float) -> tuple[FloatArray, float]:
    """What is left of each piece's distance from the lag, (n,) in all, and the offset. How a piece started fades as
    `decay` ** k, and is projected out."""
    left, ones = [], []
    for distance in apart:
        fading = decay ** np.arange(len(distance))
        fading /= np.linalg.norm(fading)
        left.append(distance - fading * (fading @ distance))
        ones.append(1.0 - fading * fading.sum())
    together, one = np.concatenate(left), np.concatenate(ones)
    offset = float(one @ together) / float(one @ one)
    return together - offset * one, offset


def _best(left: Left, shortest_s: float, longest_s: float, max_delay: int) -> tuple[float, int]:
    """The tau and the delay that leave the least: a grid of tau, and for each delay a golden section from its best."""

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
    """Where `f`, which has one minimum in [low, high], has it."""
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
    """The 95 % interval of tau, worked out for its decay per tick, exp(-period / tau).

    The error of the decay is finite and even also where tau is short beside a period, or long beside the record. A
    decay of 1 is a state that stays where it is. So, as far as a record tells, is any tau from `longest_s` on: the
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
    """The standard error of the decay: of what is left, over how it changes with the decay (the delta method); of white
    noise, or of noise in runs (Newey and West), whichever is larger."""
    step = 1e-4 * (1.0 - decay)
    low, high = max(decay - step, 0.5 * decay), decay + step
    slope = (left(high) - left(low)) / (high - low)
    rest = left(decay)
    curvature = max(float(slope @ slope), 1e-100)
    white = float(rest @ rest) / freedom * curvature
    pull = slope * rest
    runs = pull @ pull + 2 * sum((1 - n / (RUNS + 1)) * (pull[n:] @ pull[:-n]) for n in range(1, RUNS + 1))
    return math.sqrt(max(white, float(runs))) / curvature
