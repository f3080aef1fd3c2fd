"""The forecast of a schedule: what it comes to at some latency, before anything is run.

A recursion over integer ticks, inference by inference: when it is asked for, when its chunk is taken, in which ticks
that may be used. There is no executor, no robot and no planner in it; when to ask, and which delay to plan, the
executor's own objects say. For the same latencies it is to the tick what executor and lockstep driver do, as long as
no tick is skipped. (Of late plans that are `taken_up` it does not know how far, and takes their rows as lost.)

    tick    t            t + d        a                     stop
            asked        start        taken
            |------------|~~~~~~~~~~~~|=====================|
                          late rows    used, where no newer chunk may be
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
    """One inference. request: the tick it is asked for; accepted: the tick in which its chunk is taken; start, stop:
    the ticks that may be used of it, none if start is not less; lost: rows that came too late."""

    request: int
    accepted: int
    start: int
    stop: int
    lost: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a schedule comes to. underruns: the share of ticks without an action, from the first one with an action on;
    reaction: from a event, that comes in any tick, to the end of the first tick whose action has seen it, in ticks;
    age: of the actions sent, in ticks, from the observation; late: the share of inferences that cost rows; lost: the
    rows that an inference costs, in the mean; calls: inferences per tick."""

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


Address = tuple[int, int]  # the first tick that a chunk is usable in if it comes in time, and the first after its rows
ADDRESSES: Mapping[str, Callable[[int, int, int, int, int], Address]] = {  # of (t, k, H, s, d), taken in tick k
    "sync": lambda t, k, H, s, d: (k, k + min(s, H)),
    "naive": lambda t, k, H, s, d: (t, t + H),
    "naive_arrival": lambda t, k, H, s, d: (k, k + H),
    "ensemble": lambda t, k, H, s, d: (t, t + H),
    "vlash": lambda t, k, H, s, d: (t + d, t + d + H),
}


def forecast(
    config: StrategyConfig, horizon: int, latency: LatencyModel, *, ticks: int = 20_000, seed: int = 0
) -> Forecast:
    """What `config` comes to over so many ticks. horizon: H, the ticks that a chunk lasts, after speed-up."""
    steps = walk(config, horizon, latency, ticks=ticks, seed=seed)
    answered = [step for step in steps if step.accepted < ticks]
    lost = [step.lost for step in answered]
    return summed_up(sources(answered, ticks), [step.request for step in steps], lost)


def walk(config: StrategyConfig, horizon: int, latency: LatencyModel, *, ticks: int, seed: int = 0) -> list[Step]:
    """The inferences that are asked for in ticks `[0, ticks)`, one after the other."""
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
    """(ticks,), the tick of the request that each tick's action comes from: the newest usable chunk's, or `HOLD`."""
    found = np.full(ticks, HOLD, np.int64)
    for step in steps:
        found[step.start : step.stop] = step.request
    return found


def summed_up(sources: IntArray, requests: Sequence[int], lost: Sequence[int]) -> Forecast:
    """The figures of ticks whose actions come from `sources`. requests: when inferences were asked for; lost: the rows
    that came too late, of each that was answered."""
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
    """The same figures of what an executor has done, from tick 0 on."""
    ticks = trace.ticks
    records = trace.inferences
    asked = np.unique(ticks["request"][ticks["request"] != HOLD])
    requests = sorted({*asked.tolist(), *(record.request for record in records)})
    return summed_up(ticks["chunk"], requests, [record.lost for record in records])


def reaction_ticks(sources: IntArray) -> IntArray:
    """Of a event at the head of each tick from the first action on, to the end of the first tick whose action comes
    from a chunk that was asked for then or later (docs/design.md, section 10); as long as there is one."""
    newest = np.maximum.accumulate(sources)  # a chunk that has seen a event is used after it came
    begun = int(np.searchsorted(newest, HOLD, side="right"))
    events = np.arange(begun, max(int(newest[-1]) + 1, begun))
    return np.searchsorted(newest, events) - events + 1


def _rank(values: IntArray, share: float) -> float:
    """The smallest value that so large a share does not exceed."""
    return float(np.sort(values)[math.ceil(share * len(values)) - 1]) if len(values) else math.inf
