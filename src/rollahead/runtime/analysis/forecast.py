"""Forecast of a schedule: its reaction time, ages, underruns and lost rows at some latency, before anything is run.

A recursion over integer ticks, inference by inference: when it is asked for, when its chunk is taken, and in which
ticks that may be used. It has no executor, robot or planner; the executor's own objects decide when to ask and which
delay to plan. For the same latencies it gives, to the tick, what executor and lockstep driver do, as long as no tick is
skipped. (For late plans that are `taken_up` it does not know how far they are shifted, and counts their late rows as
lost.)

    tick    t            t + d        a                     stop
            asked        start        taken
            |------------|~~~~~~~~~~~~|=====================|
                          late rows    used, unless there is a newer chunk
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.config.build import TRIGGERS, StrategyConfig, make_delay
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.control.trigger import Overlap
from rollahead.runtime.planning.latency import LatencyModel
from rollahead.runtime.types.messages import NEVER

IntArray = NDArray[np.int64]
HOLD = -1  # instead of a tick: no chunk has an action


@dataclass(frozen=True, slots=True)
class Step:
    """One inference of a schedule, in ticks.

    Attributes:
        request: Tick of the request.
        accepted: Tick in which the chunk is taken.
        start: First tick in which the chunk may be used.
        stop: First tick after those; no tick is usable if start is not less.
        lost: Number of rows that came too late.
    """

    request: int
    accepted: int
    start: int
    stop: int
    lost: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """Figures of a schedule.

    Attributes:
        underruns: Share of ticks without an action, counted from the first tick with an action.
        reaction_mean: Mean reaction in ticks, from an event that may come in any tick to the end of the first tick
            whose action was planned with it in view.
        reaction_p50: Median reaction in ticks.
        reaction_p95: 95th percentile of the reaction in ticks.
        reaction_max: Longest reaction in ticks.
        age_p50: Median age in ticks of the actions sent, counted from their observation.
        age_max: Largest age in ticks.
        late: Share of inferences that lose rows.
        lost: Mean number of rows that an inference loses.
        calls: Inferences per tick.
    """

    underruns: float
    reaction_mean: float
    reaction_p50: float
    reaction_p95: float
    reaction_max: float
    age_p50: float
    age_max: float
    late: float
    lost: float
    calls: float


Address = tuple[int, int]  # first tick in which a chunk is usable if it comes in time, and first tick after its rows
ADDRESSES: Mapping[str, Callable[[int, int, int, int, int], Address]] = {  # arguments t, k, H, s, d; taken in tick k
    "sync": lambda t, k, H, s, d: (k, k + min(s, H)),
    "naive": lambda t, k, H, s, d: (t, t + H),
    "naive_arrival": lambda t, k, H, s, d: (k, k + H),
    "ensemble": lambda t, k, H, s, d: (t, t + H),
    "vlash": lambda t, k, H, s, d: (t + d, t + d + H),
}


def forecast(
    config: StrategyConfig, horizon: int, latency: LatencyModel, *, ticks: int = 20_000, seed: int = 0
) -> Forecast:
    """Forecasts the figures of the schedule `config` over `ticks` ticks.

    Args:
        config: The strategy and its options.
        horizon: H, the ticks that a chunk lasts, after speed-up.
        latency: Latency of inferences, in ticks.
        ticks: Number of ticks.
        seed: Seed of the latencies.
    """
    steps = walk(config, horizon, latency, ticks=ticks, seed=seed)
    answered = [step for step in steps if step.accepted < ticks]
    lost = [step.lost for step in answered]
    return summed_up(sources(answered, ticks), [step.request for step in steps], lost)


def walk(config: StrategyConfig, horizon: int, latency: LatencyModel, *, ticks: int, seed: int = 0) -> list[Step]:
    """Inferences that the schedule requests in ticks `[0, ticks)`, in their order. Arguments as for `forecast`."""
    trigger = Overlap(0) if config.name == "sync" else TRIGGERS[config.trigger](config)
    delay = make_delay(config, latency, seed)
    steps: list[Step] = []
    k, covered, last = 0, NEVER, None
    while k < ticks:
        if not trigger.due(k, covered, last):
            k += 1
            continue
        done = latency.sample(seed, len(steps), k).done
        step = _step(config, horizon, k, k + done, min(delay.delay, horizon))
        delay.add(done)
        steps.append(step)
        covered = max(covered, step.stop) if step.start < step.stop else covered
        k, last = max(step.accepted, k + 1), k
    return steps


def _step(config: StrategyConfig, horizon: int, t: int, k: int, d: int) -> Step:
    start, stop = ADDRESSES[config.name](t, k, horizon, config.s, d)
    expired = max(start, k) >= stop
    return Step(t, k, max(start, k), stop, horizon if expired else max(k - start, 0))


def sources(steps: Sequence[Step], ticks: int) -> IntArray:
    """Tick (ticks,) of the request that each tick's action comes from: the newest usable chunk's, or `HOLD`."""
    found = np.full(ticks, HOLD, np.int64)
    for step in steps:
        found[step.start : step.stop] = step.request
    return found


def summed_up(sources: IntArray, requests: Sequence[int], lost: Sequence[int]) -> Forecast:
    """Figures of ticks whose actions come from `sources`.

    Args:
        sources: (n,), tick of the request that each tick's action comes from, or `HOLD`.
        requests: Ticks in which inferences were requested.
        lost: Number of rows that came too late, for each inference that was answered.
    """
    used = np.flatnonzero(sources != HOLD)
    begun = int(used[0]) if len(used) else len(sources)
    reactions, ages = reaction_ticks(sources), used - sources[used]
    return Forecast(
        underruns=float((sources[begun:] == HOLD).mean()) if len(used) else 1.0,
        reaction_mean=float(reactions.mean()) if len(reactions) else math.inf,
        reaction_p50=_rank(reactions, 0.5),
        reaction_p95=_rank(reactions, 0.95),
        reaction_max=_rank(reactions, 1.0),
        age_p50=_rank(ages, 0.5),
        age_max=_rank(ages, 1.0),
        late=float(np.mean([rows > 0 for rows in lost])) if lost else 0.0,
        lost=float(np.mean(lost)) if lost else 0.0,
        calls=len(requests) / len(sources),
    )


def measured(trace: Trace) -> Forecast:
    """Figures of what an executor has done, from tick 0 on, to compare a forecast with."""
    ticks = trace.ticks
    records = trace.inferences
    asked = np.unique(ticks["request"][ticks["request"] != HOLD])
    requests = sorted({*asked.tolist(), *(record.request for record in records)})
    return summed_up(ticks["chunk"], requests, [record.lost for record in records])


def reaction_ticks(sources: IntArray) -> IntArray:
    """Reaction in ticks to an event at the head of each tick from the first action on.

    It lasts to the end of the first tick whose action comes from a chunk that was requested then or later
    (docs/design.md, section 10). Events after the last such chunk are left out.
    """
    newest = np.maximum.accumulate(sources)  # a chunk that was planned with an event in view is used after the event
    begun = int(np.searchsorted(newest, HOLD, side="right"))
    events = np.arange(begun, max(int(newest[-1]) + 1, begun))
    return np.searchsorted(newest, events) - events + 1


def _rank(values: IntArray, share: float) -> float:
    """Smallest value that is at least as large as a `share` of all values; infinity if there are none."""
    return float(np.sort(values)[math.ceil(share * len(values)) - 1]) if len(values) else math.inf
