"""Measures of an episode, and their summary over many (docs/design.md, "How things are measured")."""

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.control.trace import TickStatus
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.safety.guard import CHANGED
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Kind, RobotSpec, mask, names_of

REACTION_SHARE = 0.05  # an action that differs by more than this share of its range counts as different
REACTION_TICKS = 2  # number of ticks in a row in which it must differ
Z95 = NormalDist().inv_cdf(0.975)

Ticks = NDArray[Any]  # records as in `Trace.ticks`


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Wilson 95 % interval of the share of `successes` in `n`, each end between 0 and 1 (Wilson, JASA 1927)."""
    if n == 0:
        return 0.0, 1.0
    p = successes / n
    middle = (p + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 / (1 + Z95**2 / n) * math.sqrt(p * (1 - p) / n + Z95**2 / (4 * n**2))
    return min(max(middle - half, 0.0), p), max(
        min(middle + half, 1.0), p
    )  # at 0 and n one end equals p, except for rounding


def mean_interval(values: FloatArray, seed: int = 0, resamples: int = 2000) -> tuple[float, float]:
    """Bootstrap 95 % interval of the mean of `values` (n,), by percentiles; NaN if there are none."""
    if len(values) == 0:
        return math.nan, math.nan
    picks = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.quantile(values[picks].mean(axis=1), [0.025, 0.975])
    mean = values.mean()  # the interval of equal values is their mean, except for rounding
    return float(min(low, mean)), float(max(high, mean))


def reaction_tick(with_: Ticks, without: Ticks, event: int, spec: RobotSpec, expert: Plan) -> int | None:
    """First tick from `event` on in which the action differs because of the event; None if there is none.

    It must differ from the action in the same episode `without` the event by more than 5 % of the range in some
    dimension, towards what the expert would send, for at least 2 ticks.

    Args:
        with_: Records of the episode with the event.
        without: Records of the same episode without it.
        event: Tick at which the event can first be seen.
        spec: Spec of the robot.
        expert: Plan whose row 0 is the expert's action now.
    """
    n = min(len(with_), len(without))
    span = np.array([dim.high - dim.low for dim in spec.action])
    difference = with_["action"][:n] - without["action"][:n]
    differs = (np.abs(difference) > REACTION_SHARE * span).any(axis=1)
    differs[: event - int(with_["tick"][0])] = False
    rng = np.random.default_rng(0)
    run = 0
    for i in range(n):
        run = run + 1 if differs[i] and _towards(with_[i], difference[i], without[i], expert, rng) else 0
        if run == REACTION_TICKS:
            return int(with_["tick"][i - REACTION_TICKS + 1])
    return None


def _towards(seen: Any, difference: FloatArray, without: Any, expert: Plan, rng: np.random.Generator) -> bool:
    """Whether `difference` (A,) is towards the expert's action."""
    observation = Observation(int(seen["tick"]), seen["state"], seen["environment"])
    return float(difference @ (expert(observation, rng)[0] - without["action"])) > 0


def jerk(ticks: Ticks, spec: RobotSpec) -> float:
    """Mean size of the third derivative of the driven positions, in units/s^3."""
    driven = [names_of(spec.state).index(dim.drives) for dim in spec.action if dim.drives in names_of(spec.state)]
    if len(ticks) < 4 or not driven:
        return math.nan
    third = np.diff(ticks["state"][:, driven], n=3, axis=0) / spec.period_s**3
    return float(np.linalg.norm(third, axis=1).mean())


def steps(ticks: Ticks, spec: RobotSpec) -> tuple[FloatArray, FloatArray]:
    """Distances that the action moves from tick to tick: at switches from one chunk to another, and within a chunk.

    Discrete dimensions and holds are left out of both.
    """
    moved = np.linalg.norm(np.diff(ticks["action"][:, ~mask(spec.action, Kind.DISCRETE)], axis=0), axis=1)
    sent = (ticks["status"][:-1] == TickStatus.OK) & (ticks["status"][1:] == TickStatus.OK)
    switches = np.diff(ticks["chunk"]) != 0
    return moved[sent & switches], moved[sent & ~switches]


def action_unit(spec: RobotSpec) -> str:
    """Unit that all dimensions of the action share, discrete ones apart; empty if they share none."""
    units = {dim.unit for dim in spec.action if dim.kind is not Kind.DISCRETE}
    return units.pop() if len(units) == 1 else ""


def guard_hits(ticks: Ticks) -> float:
    """Share of ticks in which the guard changed what it was asked to send."""
    return float((ticks["guard"] & CHANGED != 0).mean()) if len(ticks) else math.nan


def idle(ticks: Ticks) -> float:
    """Share of ticks in which a hold was sent."""
    return float((ticks["status"] == TickStatus.UNDERRUN).mean()) if len(ticks) else math.nan


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Median, 95th percentile and maximum of `values`.

    Infinite values, for what never happened, count as the largest.
    """
    if not len(values):
        return {"p50": math.nan, "p95": math.nan, "max": math.nan}
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    at = {name: ordered[math.ceil(share * len(ordered)) - 1] for name, share in (("p50", 0.5), ("p95", 0.95))}
    return {**{name: float(value) for name, value in at.items()}, "max": float(ordered[-1])}
