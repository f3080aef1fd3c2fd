"""The shortlist: schedules that are worth playing on a task before one of them is advised.

The forecast ranks schedules by what it can count. It cannot tell what a late plan costs on the task, so the list also
has schedules that plan for less than most inferences take, with `late=moved`, and `naive`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rollahead.runtime.analysis.recommend import Recommendation, Setting, feasible, rank, sampled
from rollahead.runtime.config.build import StrategyConfig

DELAYS = 6  # planned delays that are tried with late=moved, at most
ON_TIME = 3  # planned delays that are tried with late=tick, those that the forecast puts first
LONG = 2  # times as long as needed: an execution horizon that is tried for the median latency


def shortlist(setting: Setting, advice: Recommendation) -> tuple[StrategyConfig, ...]:
    """Each schedule once; the advice of the forecast first."""
    ticks = sampled(setting)
    others = (one.strategy for one in advice.neighbours.values())
    found = (advice.chosen.strategy, *_naive(setting, advice, ticks), *others, *_vlash(setting, advice, ticks))
    return tuple(one for i, one in enumerate(found) if one not in found[:i])


def delays(ticks: Sequence[int]) -> list[int]:
    """Planned delays from half the median latency, or the shortest, to the p95. ticks: latencies, sorted."""
    body = rank(ticks, 0.5)
    low = max(min(ticks[0], round(body / 2)), 1)
    spread = np.linspace(low, max(rank(ticks, 0.95), low), DELAYS)
    return sorted({round(float(d)) for d in spread})


def _naive(setting: Setting, advice: Recommendation, ticks: Sequence[int]) -> Iterator[StrategyConfig]:
    """`naive` as the forecast would have it, and asking as often as the shortest latency lets it."""
    yield from [one.strategy for one in advice.candidates if one.strategy.name == "naive"][:1]
    d = ticks[0]
    if feasible("naive", setting.ticks, max(d, 1), d):
        yield StrategyConfig("naive", s=max(d, 1), d=d, q=setting.q)


def _vlash(setting: Setting, advice: Recommendation, ticks: Sequence[int]) -> Iterator[StrategyConfig]:
    """`vlash` with the delays that the forecast puts first, and with shorter ones whose late plans are moved."""
    planned = [one.strategy for one in advice.candidates if one.strategy.name == "vlash"]
    firsts = [one for i, one in enumerate(planned) if one.d not in [each.d for each in planned[:i]]]
    yield from firsts[:ON_TIME]
    late = "moved" if setting.only_moving else "tick"
    body = max(rank(ticks, 0.5), 1)
    for d, s in [*((d, d) for d in delays(ticks)), (body, LONG * body)]:
        if feasible("vlash", setting.ticks, s, d):
            yield replace(StrategyConfig("vlash", s=s, d=d, q=setting.q), late=late)
