import itertools
import math
from dataclasses import dataclass, replace

import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.analysis.drawn import Drawn
from rollahead.runtime.analysis.forecast import Forecast, forecast
from rollahead.runtime.analysis.recommend import (
    CHOSEN,
    HORIZONS,
    INFERENCES,
    LONGEST,
    MISS,
    MOST_UNDERRUNS,
    WALKED,
    Candidate,
    Setting,
    cost,
    following,
    most_q,
    planned,
    rank,
    recommend,
    sampled,
    walked,
)
from rollahead.runtime.config.build import StrategyConfig, make_delay, make_strategy
from rollahead.runtime.planning.latency import Fixed, Latency, LatencyModel, Lognormal, Recorded, Spikes, Uniform
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

H = 32
HEAVY = Spikes(6, 0.2, 10, 14)


def robot(*kinds: Kind) -> RobotSpec:
    dims = [(f"a{i}", kind) for i, kind in enumerate(kinds)]
    action = tuple(Dim(name, kind=kind, drives=name) for name, kind in dims)
    return RobotSpec(action, tuple(Dim(name) for name, _ in dims), rate_hz=50.0)


ROVER, ARM = robot(Kind.VELOCITY, Kind.DISCRETE), robot(Kind.POSITION)


def setting(latency: LatencyModel, spec: RobotSpec = ROVER, horizon: int = H, **options: float) -> Setting:
    return Setting(spec, horizon, latency, **options)


def key(candidate: Candidate) -> tuple[str, int, int | None]:
    return candidate.strategy.name, candidate.strategy.s, candidate.strategy.d


# ---- the delay that is planned --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Even:
    """Each of 1 to `most` ticks as often as any other, also in the short run."""

    most: int

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        return Latency(0, 1 + 37 * n % self.most)


def expected(d: int, most: int, weight: float) -> float:
    """J(d) of `Even`, summed up by hand."""
    every = range(1, most + 1)
    return sum(max(d, L) + weight * max(L - d, 0) for L in every) / most


@every("weight", [0.5, 1.0, 3.0, 7.0, 19.0])
def test_the_cost_of_a_delay_is_least_at_the_quantile_that_the_docstring_derives(weight: float) -> None:
    most = 40
    best = min(range(most + 1), key=lambda d: expected(d, most, weight))
    assert best == pytest.approx(most * weight / (1 + weight), abs=1)


@pytest.mark.parametrize(
    ("latency", "d"),
    [(Fixed(8), 8), (HEAVY, 6), (Spikes(4, 0.05, 15, 20), 4)],
    ids=["always the same", "a heavy tail", "few spikes"],
)
def test_the_plan_is_for_the_body_whatever_the_tail(latency: LatencyModel, d: int) -> None:
    assert key(recommend(setting(latency)).chosen) == ("vlash", d, d)


def test_a_chosen_plan_is_between_the_median_and_the_p95_of_a_smooth_tail() -> None:
    latency = Lognormal(6.0, 12.0)
    ticks = sampled(setting(latency))
    assert rank(ticks, 0.5) <= planned(recommend(setting(latency)).chosen.strategy) < rank(ticks, 0.95)


@pytest.mark.parametrize("latency", [HEAVY, Uniform(2, 9), Lognormal(3.0, 10.0)], ids=["heavy", "uniform", "long"])
def test_what_is_chosen_can_be_keeps_the_robot_going_and_costs_least_of_its_kind(latency: LatencyModel) -> None:
    advice = recommend(setting(latency))
    chosen = advice.chosen
    make_strategy(chosen.strategy, ROVER, H, planned(chosen.strategy))
    assert chosen.forecast.underruns <= MOST_UNDERRUNS
    rivals = [one for one in advice.candidates if one.strategy.name == "vlash"]
    assert chosen.cost == min(one.cost for one in rivals if one.forecast.underruns <= MOST_UNDERRUNS)
    ticks = walked(chosen.strategy, rank(sampled(setting(latency)), 0.5))
    assert chosen.forecast == forecast(chosen.strategy, H, latency, ticks=ticks)


def test_candidates_are_all_strategies_the_cheapest_first() -> None:
    found = recommend(setting(HEAVY)).candidates
    assert {one.strategy.name for one in found} == {"sync", "naive", "naive_arrival", "ensemble", "vlash"}
    assert all(one.cost <= other.cost for one, other in itertools.pairwise(found))
    assert len({key(one) for one in found}) == len(found)


# ---- the strategy ---------------------------------------------------------------------------------------------------


@every(
    ("spec", "latency", "name"),
    [
        (ROVER, Fixed(8), "vlash"),
        (robot(Kind.DELTA), Fixed(2), "vlash"),
        (robot(Kind.POSITION, Kind.DELTA), Fixed(8), "vlash"),
        (ROVER, Fixed(1), "naive"),
        (ROVER, Fixed(0), "naive"),
        (ARM, Fixed(8), "naive"),
        (robot(Kind.ROTATION), Fixed(8), "naive"),
        (ARM, Fixed(20), "vlash"),
        (ROVER, Fixed(40), "sync"),
        (ARM, Fixed(40), "sync"),
    ],
)
def test_moves_are_rolled_places_are_not_and_what_lasts_longer_than_a_chunk_is_waited_for(
    spec: RobotSpec, latency: LatencyModel, name: str
) -> None:
    advice = recommend(setting(latency, spec))
    assert advice.chosen.strategy.name == name
    assert len(advice.why) == 1


def test_sync_says_why_nothing_else_can_be() -> None:
    (why,) = recommend(setting(Fixed(40))).why
    assert why == (
        "56 % of the ticks are without an action, and no schedule has less than 1 %: chunks last 32 ticks, and one "
        "inference of a hundred takes 40 or more"
    )


def test_where_none_keeps_the_robot_going_the_cheapest_is_chosen() -> None:
    advice = recommend(setting(Lognormal(3.0, 15.0)))
    rivals = [one for one in advice.candidates if one.strategy.name in CHOSEN]
    assert advice.chosen is rivals[0]
    assert advice.chosen.strategy.name == "vlash"
    assert MOST_UNDERRUNS < advice.chosen.forecast.underruns < 0.05
    assert "no schedule has less" in advice.why[0]


def test_places_cost_nothing_however_late_their_rows() -> None:
    late = replace(forecast(StrategyConfig("vlash", s=8, d=8), H, Fixed(8)), lost=2.0)
    moves, places = (cost(late, setting(Fixed(8), spec)) for spec in (ROVER, ARM))
    assert moves == places + 2.0 * MISS == late.reaction_mean + 2.0 * MISS


def test_a_share_without_action_costs_as_much_of_a_chunk_and_always_costs_all() -> None:
    def idle(share: float) -> Forecast:
        return replace(forecast(StrategyConfig("sync", s=8, d=8), H, Fixed(8)), underruns=share, reaction_mean=5.0)

    assert cost(idle(0.5), setting(Fixed(8))) == 5.0 + H
    assert cost(idle(1.0), setting(Fixed(8))) == math.inf


# ---- what is beside it ----------------------------------------------------------------------------------------------


def test_neighbours_are_other_plans_of_the_same_strategy_and_sync_at_its_own_s() -> None:
    neighbours = recommend(setting(Lognormal(6.0, 12.0))).neighbours
    assert list(neighbours) == ["d at the median", "d at the p95", "d estimated", "late plans moved", "sync"]
    assert [one.strategy.d for one in neighbours.values()][:3] == [7, 12, None]
    assert neighbours["late plans moved"].strategy.late == "moved"
    assert neighbours["sync"].strategy.s > 8
    assert list(recommend(setting(Fixed(8))).neighbours) == ["sync"]
    assert list(recommend(setting(Fixed(8), ARM)).neighbours) == ["sync"]
    assert "late plans moved" not in recommend(setting(HEAVY, robot(Kind.POSITION, Kind.DELTA))).neighbours
    assert recommend(setting(Fixed(40))).neighbours == {}


@pytest.mark.parametrize("latency", [HEAVY, Lognormal(6.0, 12.0), Uniform(2, 9)], ids=["heavy", "lognormal", "uniform"])
def test_a_delay_that_is_estimated_comes_to_the_same_and_is_never_refused(latency: LatencyModel) -> None:
    chosen = recommend(setting(latency)).chosen.strategy
    estimated = following(chosen, setting(latency))
    assert estimated is not None
    delays = [make_delay(estimated, latency, seed).delay for seed in range(40)]
    assert estimated.d is None
    assert sum(delays) / len(delays) == pytest.approx(planned(chosen), abs=1)
    assert max(delays) <= estimated.s


def test_the_s_of_an_estimated_delay_is_three_standard_errors_above_its_quantile() -> None:
    assert following(StrategyConfig("vlash", s=1, d=40), setting(Even(100), horizon=100)) == StrategyConfig(
        "vlash", s=61, d=None, quantile=0.4
    )  # 40 + 3 * sqrt(0.4 * 0.6 / 50) of 100, rounded up


def test_a_recording_whose_slow_stretches_are_longer_than_what_is_estimated_from_is_never_refused() -> None:
    latency = Recorded([Latency(0, 4)] * 400 + [Latency(0, 12)] * 100)
    estimated = following(StrategyConfig("vlash", s=4, d=4), setting(latency))
    assert estimated is not None
    assert max(make_delay(estimated, latency, seed).delay for seed in range(200)) == 12 == estimated.s


@pytest.mark.parametrize(
    ("latency", "speed"),
    [
        (Recorded.from_file("diffusion_busy", 50.0), 1.0),
        (Uniform(10, 40), 1.0),
        (Spikes(8, 0.3, 30, 40), 1.0),
        (Lognormal(8.0, 12.0), 3.0),
    ],
    ids=["recorded", "uniform", "spikes", "at a speed"],
)
def test_a_delay_whose_estimate_may_be_more_than_chunks_last_is_left_out(latency: LatencyModel, speed: float) -> None:
    advice = recommend(setting(latency, speed=speed))
    assert "d estimated" not in advice.neighbours
    for one in (advice.chosen, *advice.neighbours.values()):
        make_strategy(one.strategy, ROVER, H, make_delay(one.strategy, latency, 0).delay)


@every(
    ("spec", "latency", "speed", "most"),
    [
        (ROVER, Fixed(8), 1.0, 4),  # s = d = 8: as long as 8 ticks
        (ROVER, Fixed(8), 4.0, 4),
        (ROVER, Fixed(2), 1.0, 16),
        (ARM, Fixed(8), 1.0, 2),  # naive: d + s
        (ARM, Fixed(20), 1.0, 1),
        (ROVER, HEAVY, 1.0, 1),  # 8 ticks would do for s and d, and not for what comes late
        (ROVER, Fixed(40), 1.0, 1),
    ],
)
def test_the_largest_speed_up_leaves_chunks_that_the_schedule_can_do_with(
    spec: RobotSpec, latency: LatencyModel, speed: float, most: int
) -> None:
    advice = recommend(setting(latency, spec, speed=speed))
    body = rank(sampled(setting(latency)), 0.5)
    assert most_q(setting(latency, spec, speed=speed), advice.chosen, body) == most

    def underruns(q: int) -> float:
        strategy = advice.chosen.strategy
        return forecast(strategy, H // q, latency, ticks=walked(strategy, 6)).underruns

    allowed = max(MOST_UNDERRUNS, underruns(int(speed)))
    assert underruns(most) <= allowed
    assert underruns(most + 1) > allowed


def test_at_a_speed_chunks_are_shorter_and_the_schedule_is_for_these() -> None:
    advice = recommend(setting(Fixed(8), speed=3.0))
    assert (advice.chosen.strategy.q, advice.chosen.strategy.s) == (3, 8)
    assert all(one.strategy.s <= H // 3 for one in advice.candidates)
    assert recommend(setting(Fixed(12), speed=3.0)).chosen.strategy.name == "sync"


def test_what_is_walked_of_a_schedule_has_an_end_which_no_common_one_meets() -> None:
    assert walked(StrategyConfig("vlash", s=HORIZONS[-1], d=8), 8) == INFERENCES * HORIZONS[-1] < WALKED
    assert walked(StrategyConfig("sync", s=8, d=LONGEST), LONGEST) == WALKED


def test_chunks_and_latencies_that_would_take_hours_to_look_through_are_refused_with_the_most_there_may_be() -> None:
    Setting(ROVER, 2 * LONGEST, Fixed(8), speed=2.0)
    with pytest.raises(ConfigError, match=r"2002 rows lasts 1001 ticks.*at most 1000 .*give a horizon of at most 2000"):
        Setting(ROVER, 2 * LONGEST + 2, Fixed(8), speed=2.0)
    recommend(setting(Fixed(LONGEST)))
    with pytest.raises(ConfigError, match=r"half of the inferences take 1001 ticks or more, .*at most 1000"):
        recommend(setting(Fixed(LONGEST + 1)))


def test_a_latency_is_drawn_once_and_is_what_it_would_be_anyway() -> None:
    asked = []

    @dataclass(frozen=True, slots=True)
    class Counted:
        def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
            asked.append((seed, n))
            return HEAVY.sample(seed, n)

    drawn = Drawn(Counted())
    for _ in range(2):
        assert [drawn.sample(1, n) for n in range(-2, 5)] == [HEAVY.sample(1, n) for n in range(-2, 5)]
    assert len(asked) == 7


def test_a_rank_is_a_latency_that_was_seen() -> None:
    assert [rank([1, 2, 3, 9], share) for share in (0.0, 0.25, 0.26, 0.75, 0.76, 1.0)] == [1, 1, 2, 3, 9, 9]
