"""The shortlist of schedules that are played before one is advised."""

from every import every
from rollahead.runtime.analysis.recommend import Setting, rank, recommend, sampled
from rollahead.runtime.analysis.shortlist import delays, shortlist
from rollahead.runtime.config.build import StrategyConfig, make_delay, make_strategy
from rollahead.runtime.planning.latency import Fixed, LatencyModel, Lognormal, Recorded, Spikes
from rollahead.runtime.planning.timed_latency import Scheduled
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

H = 32
LATENCIES: dict[str, LatencyModel] = {
    "fixed": Fixed(8),
    "none": Fixed(0),
    "longer than a chunk": Fixed(40),
    "bimodal": Spikes(3, 0.5, 11, 11),
    "lognormal": Lognormal(4.0, 9.0),
    "throttled": Scheduled([0, 60], [4, 10]),
    "recorded": Recorded.from_file("diffusion_busy", 50.0),
}


def robot(kind: Kind) -> RobotSpec:
    return RobotSpec((Dim("x", kind=kind, drives="x"),), (Dim("x"),), rate_hz=50.0)


def listed(
    latency: LatencyModel, kind: Kind = Kind.VELOCITY, speed: float = 1.0
) -> tuple[Setting, tuple[StrategyConfig, ...]]:
    setting = Setting(robot(kind), H, latency, speed).drawn_once
    return setting, shortlist(setting, recommend(setting))


@every("kind", [Kind.VELOCITY, Kind.POSITION])
@every("name", LATENCIES)
def test_the_forecasts_advice_comes_first_and_every_schedule_once_and_can_be(name: str, kind: Kind) -> None:
    setting, found = listed(LATENCIES[name], kind)
    assert found[0] == recommend(setting).chosen.strategy
    assert 3 <= len(found) <= 16
    for i, one in enumerate(found):
        assert one not in found[:i]
        make_strategy(one, setting.spec, H, make_delay(one, setting.latency, 0).delay)


@every("name", [name for name in LATENCIES if name != "longer than a chunk"])
def test_naive_and_sync_are_always_among_them(name: str) -> None:
    _, found = listed(LATENCIES[name])
    assert {"naive", "sync", "vlash"} <= {one.name for one in found}


def test_naive_is_left_out_where_no_schedule_of_it_can_be() -> None:
    _, found = listed(LATENCIES["longer than a chunk"])
    assert "naive" not in {one.name for one in found}


def test_naive_asks_more_often_than_the_median_latency_as_well() -> None:
    _, found = listed(LATENCIES["bimodal"])
    assert [(one.s, one.d) for one in found if one.name == "naive"] == [(11, 11), (3, 3)]


@every("name", [name for name in LATENCIES if name != "none"])
def test_late_plans_are_moved_with_delays_below_the_median_latency(name: str) -> None:
    setting, found = listed(LATENCIES[name])
    body = rank(sampled(setting), 0.5)
    moved = [one.d for one in found if one.late == "moved"]
    assert min(d for d in moved if d is not None) < body


def test_absolute_targets_are_right_at_their_tick_and_are_not_moved() -> None:
    _, found = listed(LATENCIES["bimodal"], Kind.POSITION)
    assert {one.late for one in found} == {"tick"}
    assert len({one.d for one in found if one.name == "vlash"}) > 3


@every(
    ("ticks", "found"),
    [
        ([8] * 10, [4, 5, 6, 7, 8]),
        ([3] * 5 + [11] * 5, [2, 4, 6, 7, 9, 11]),
        ([0] * 10, [1]),
        ([1] * 10, [1]),
        ([2, 3, 4, 5, 6, 7, 8, 9], [2, 3, 5, 6, 8, 9]),
    ],
)
def test_delays_are_spread_from_half_the_median_or_the_shortest_to_the_p95(ticks: list[int], found: list[int]) -> None:
    assert delays(ticks) == found


def test_at_a_speed_they_are_for_shorter_chunks() -> None:
    _, found = listed(Fixed(6), speed=2.0)
    assert {one.q for one in found} == {2}
    assert max(one.s for one in found) <= H // 2
