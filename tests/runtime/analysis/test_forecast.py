"""A forecast is what the core does, to the tick, for the same latencies."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations

import numpy as np
import pytest

from every import every
from rollahead.runtime.analysis.forecast import HOLD, forecast, measured, reaction_ticks, sources, summed_up, walk
from rollahead.runtime.analysis.rehearsal import SPEC
from rollahead.runtime.config.build import StrategyConfig, make_delay, make_strategy
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Fixed, Latency, Lognormal, Spikes
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.robots.loopback import LoopbackRobot

from ..control.schedules import STRATEGIES, feasible


@dataclass(frozen=True, slots=True)
class Stream:
    """Latencies, the same ones again and again."""

    ticks: tuple[int, ...]

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        return Latency(0, self.ticks[n % len(self.ticks)])


def core(config: StrategyConfig, horizon: int, stream: Stream, ticks: int) -> Trace:
    """What executor and lockstep driver do."""
    trace = Trace(SPEC, ticks)
    delay = make_delay(config, stream, 0)
    robot = LoopbackRobot(SPEC)
    executor = Executor(robot, make_strategy(config, SPEC, horizon, delay.delay), delay, trace, horizon=horizon)
    planner = ScriptedPlanner(lambda seen, rng: np.zeros((horizon, 1)))
    inference = Inference(planner, SpeedUp(SPEC, 1), horizon=horizon, action_dim=1)
    Lockstep(executor, inference, stream, lambda: None).run(0, ticks)
    return trace


def planned(strategy: str, horizon: int) -> Iterator[StrategyConfig]:
    """Every s, with every d if the strategy plans by it."""
    for s, d in feasible(strategy, horizon):
        if strategy == "vlash" or d == 0:
            yield StrategyConfig(strategy, s=s, d=d)


def triggered(strategy: str, horizon: int) -> Iterator[StrategyConfig]:
    """With every other trigger, and with a delay that is estimated."""
    for config in planned(strategy, horizon):
        if config.s == max(config.d or 0, 1):
            yield StrategyConfig(strategy, s=config.s, d=config.d, trigger="asap")
            for overlap in range(horizon + 1):
                yield StrategyConfig(strategy, s=config.s, d=config.d, trigger="overlap", overlap=overlap)
    for quantile in (0.5, 1.0):
        yield StrategyConfig(strategy, s=horizon, quantile=quantile)


def streams(horizon: int) -> Iterator[Stream]:
    """Every latency from none to two ticks more than a chunk lasts, alone and in turn with any other."""
    every = range(horizon + 3)
    yield from (Stream((done,)) for done in every)
    yield from (Stream(pair) for pair in permutations(every, 2))
    yield from (Stream(many) for many in ((1, 1, 1, horizon + 2), (0, 3, 1), (2, 2, 0, horizon, 1)))


def assert_same(config: StrategyConfig, horizon: int, stream: Stream) -> None:
    ticks = 3 * (horizon + max(stream.ticks)) + 4
    trace = core(config, horizon, stream, ticks)
    steps = [step for step in walk(config, horizon, stream, ticks=ticks) if step.accepted < ticks]
    said = f"{config.name}, s = {config.s}, d = {config.d}, {config.trigger}, H = {horizon}, {stream.ticks}"
    assert sources(steps, ticks).tolist() == trace.ticks["chunk"].tolist(), said
    known = [(one.request, one.accepted, one.lost) for one in trace.inferences]
    assert [(one.request, one.accepted, one.lost) for one in steps] == known, said
    assert forecast(config, horizon, stream, ticks=ticks) == measured(trace), said


@every("horizon", [1, 2])
@every("strategy", STRATEGIES)
def test_a_forecast_is_to_the_tick_what_the_core_does(strategy: str, horizon: int) -> None:
    for config in planned(strategy, horizon):
        for stream in streams(horizon):
            assert_same(config, horizon, stream)


@every("horizon", [1, 2])
@every("strategy", STRATEGIES)
def test_it_is_with_any_trigger_and_with_a_delay_that_is_estimated(strategy: str, horizon: int) -> None:
    for config in triggered(strategy, horizon):
        if config.d is None and strategy in ("naive", "ensemble"):
            continue  # at s = H they leave no room for a delay
        for stream in streams(horizon):
            if config.d is not None or strategy == "sync" or max(stream.ticks) <= horizon:
                assert_same(config, horizon, stream)


@pytest.mark.slow
@pytest.mark.parametrize("horizon", range(3, 9))
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_it_is_for_longer_chunks(strategy: str, horizon: int) -> None:
    for config in planned(strategy, horizon):
        for stream in streams(horizon):
            assert_same(config, horizon, stream)


@every("strategy", STRATEGIES)
def test_it_is_for_latencies_drawn_from_a_distribution(strategy: str) -> None:
    drawn = Lognormal(3.0, 7.0)
    stream = Stream(tuple(drawn.sample(0, n).done for n in range(40)))
    assert_same(StrategyConfig(strategy, s=8, d=4), 32, stream)


# ---- the figures --------------------------------------------------------------------------------------------------


def by_hand(found: np.ndarray) -> list[int]:
    """The reaction to a event in each tick, as docs/design.md has it, looked for tick by tick."""
    first = found.tolist().index(next(one for one in found if one != HOLD))
    counted = []
    for event in range(first, len(found)):
        seen = [k for k in range(event, len(found)) if found[k] >= event]
        counted += [seen[0] - event + 1] if seen else []
    return counted


@every("strategy", STRATEGIES)
def test_a_reaction_ends_with_the_first_tick_whose_action_has_seen_the_stimulus(strategy: str) -> None:
    for stream in (Stream((0,)), Stream((1, 5)), Stream((2, 2, 9))):
        steps = walk(StrategyConfig(strategy, s=4, d=2), 8, stream, ticks=80)
        found = sources([step for step in steps if step.accepted < 80], 80)
        assert reaction_ticks(found).tolist() == by_hand(found)


def test_at_once_is_one_tick_and_a_fixed_delay_is_waited_for_from_request_to_switch() -> None:
    instant = forecast(StrategyConfig("sync", s=1), 8, Fixed(0))
    assert (instant.reaction_max, instant.underruns, instant.calls) == (1.0, 0.0, 1.0)
    rolling = forecast(StrategyConfig("vlash", s=8, d=8), 32, Fixed(8))
    assert (rolling.reaction_p50, rolling.reaction_max, rolling.age_max) == (12.0, 16.0, 15.0)
    assert (rolling.underruns, rolling.late, rolling.lost, rolling.calls) == (0.0, 0.0, 0.0, 0.125)


def test_a_plan_for_less_than_the_latency_is_late_and_one_for_more_waits() -> None:
    late, early = (forecast(StrategyConfig("vlash", s=8, d=d), 32, Fixed(6)) for d in (4, 8))
    assert (late.late, late.lost) == (1.0, 2.0)
    assert (early.late, early.lost) == (0.0, 0.0)
    assert early.reaction_mean == pytest.approx(late.reaction_mean + 2, abs=1e-3)


def test_sync_holds_while_it_thinks() -> None:
    waiting = forecast(StrategyConfig("sync", s=24), 32, Fixed(8), ticks=32_008)
    assert waiting.underruns == pytest.approx(0.25, abs=1e-3)


@every("strategy", STRATEGIES)
def test_requests_are_s_ticks_apart_and_with_sync_as_many_and_the_delay(strategy: str) -> None:
    steps = walk(StrategyConfig(strategy, s=8, d=6), 32, Fixed(6), ticks=200)
    apart = np.diff([step.request for step in steps])
    assert set(apart.tolist()) == {8 + 6 if strategy == "sync" else 8}


def test_what_never_comes_in_time_is_an_underrun_and_no_reaction() -> None:
    never = forecast(StrategyConfig("naive", s=1, d=1), 4, Fixed(9))
    assert (never.underruns, never.reaction_p50, never.age_p50) == (1.0, math.inf, math.inf)
    assert (never.late, never.lost) == (1.0, 4.0)


def test_ticks_before_the_first_action_count_as_nothing() -> None:
    made = summed_up(np.array([HOLD, HOLD, 0, 0, HOLD, 2]), [0, 2], [])
    assert made.underruns == 0.25
    assert (made.late, made.lost) == (0.0, 0.0)


def test_the_same_seed_gives_the_same_forecast_and_another_seed_another() -> None:
    config, latency = StrategyConfig("vlash", s=6, d=6), Spikes(6, 0.2, 10, 14)
    assert forecast(config, 32, latency, seed=3) == forecast(config, 32, latency, seed=3)
    assert forecast(config, 32, latency, seed=3) != forecast(config, 32, latency, seed=4)
