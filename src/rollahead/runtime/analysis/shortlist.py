"""Shortlist: schedules that are worth playing on a task before one of them is advised.

The forecast ranks schedules by what it can count. It cannot tell what a late plan costs on the task, so the list also
has schedules that plan for less than most inferences take, with `late=moved`, and `naive`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from rollahead.runtime.analysis.recommend import Recommendation, Setting, feasible, rank, sampled
from rollahead.runtime.config.build import StrategyConfig

DELAYS = 6  # largest number of planned delays that are tried with late=moved
ON_TIME = 3  # number of planned delays that are tried with late=tick, the best by the forecast
LONG = 2  # for the median latency, an execution horizon of so many times the least one is tried too


def shortlist(setting: Setting, advice: Recommendation) -> tuple[StrategyConfig, ...]:
    """Schedules to play, each once; the advice of the forecast is the first."""
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
    """Yields the best `naive` by the forecast, and one that asks as often as the shortest latency allows."""
    yield from [one.strategy for one in advice.candidates if one.strategy.name == "naive"][:1]
    d = ticks[0]
    if feasible("naive", setting.ticks, max(d, 1), d):
        yield StrategyConfig("naive", s=max(d, 1), d=d, q=setting.q)


def _vlash(setting: Setting, advice: Recommendation, ticks: Sequence[int]) -> Iterator[StrategyConfig]:
    """Yields `vlash` with the best delays by the forecast, and with shorter ones whose late plans are moved."""
    planned = [one.strategy for one in advice.candidates if one.strategy.name == "vlash"]
    firsts = [one for i, one in enumerate(planned) if one.d not in [each.d for each in planned[:i]]]
    yield from firsts[:ON_TIME]
    late = "moved" if setting.only_moving else "tick"
    body = max(rank(ticks, 0.5), 1)
    for d, s in [*((d, d) for d in delays(ticks)), (body, LONG * body)]:
        if feasible("vlash", setting.ticks, s, d):
            yield replace(StrategyConfig("vlash", s=s, d=d, q=setting.q), late=late)
