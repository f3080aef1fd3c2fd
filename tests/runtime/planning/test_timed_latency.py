"""Latencies that depend on time: the same in lockstep, in real time and in the forecast."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.analysis.drawn import Drawn, Episodes, drawn
from rollahead.runtime.analysis.forecast import forecast, measured, walk
from rollahead.runtime.analysis.rehearsal import rehearsed
from rollahead.runtime.config.build import StrategyConfig, make_latency
from rollahead.runtime.planning.latency import Fixed, Latency, Recorded, with_median
from rollahead.runtime.planning.timed_latency import Replayed, Scheduled, span_of

STEPPED = Scheduled([0, 60], [4, 10])
RAMP = Scheduled([0, 70], [2, 9], ramp=True)


@pytest.mark.parametrize("n", [0, 7])
@pytest.mark.parametrize("seed", [0, 3])
def test_a_scheduled_latency_is_that_of_the_tick_in_which_an_inference_begins(seed: int, n: int) -> None:
    found = [STEPPED.sample(seed, n, tick).done for tick in range(100)]
    assert found == [4] * 60 + [10] * 40


def test_a_ramp_rises_on_a_straight_line_rounded_up_and_then_stays() -> None:
    found = [RAMP.sample(0, 0, tick).done for tick in range(100)]
    assert found == [math.ceil(2 + tick / 10) for tick in range(70)] + [9] * 30
    falling = Scheduled([0, 10], [6, 1], ramp=True)
    assert [falling.sample(0, 0, tick).done for tick in range(0, 13, 2)] == [6, 5, 4, 3, 2, 1, 1]


def test_times_are_in_seconds_and_latencies_in_ticks_of_the_robot() -> None:
    for rate_hz in (10.0, 50.0):
        model = make_latency("scheduled", rate_hz, at_s=[0, 1.5], ticks=[4, 10], bind_fraction=0.5)
        last = round(1.5 * rate_hz) - 1
        assert [model.sample(0, 0, tick) for tick in (0, last, last + 1)] == [
            Latency(2, 4),
            Latency(2, 4),
            Latency(5, 10),
        ]


def test_a_scheduled_latency_can_be_stretched_and_keeps_its_times() -> None:
    longer = with_median(STEPPED, 14)
    assert [longer.sample(0, 0, tick).done for tick in (0, 59, 60)] == [8, 8, 20]
    assert span_of(longer) == span_of(STEPPED)


@every(
    ("model", "ticks"),
    [
        (STEPPED, 120),
        (RAMP, 71),
        (Scheduled([0], [3]), 1),
        (Scheduled([0, 30.5], [1, 2]), 61),
        (Fixed(3), None),
        (Recorded([Latency(0, 1)]), None),
    ],
)
def test_a_model_says_how_long_its_schedule_is_if_it_depends_on_time(model: Any, ticks: int | None) -> None:
    assert span_of(model) == ticks


def test_each_step_has_its_share_of_the_span_and_a_ramp_its_last_latency() -> None:
    counted = Counter(STEPPED.sample(0, 0, tick).done for tick in range(STEPPED.span))
    assert counted == {4: 60, 10: 60}
    assert [RAMP.sample(0, 0, RAMP.span - 1 + k).done for k in (-1, 0)] == [9, 9]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "more times": ({"at_s": [0, 1], "ticks": [3]}, "at_s has 2 times and latency.ticks 1 latencies; give as many"),
    "none": ({"at_s": [], "ticks": []}, "at_s has 0 times and latency.ticks 0 latencies"),
    "a late beginning": ({"at_s": [1, 2], "ticks": [3, 4]}, "must begin with 0 and rise; give them as in"),
    "falling times": ({"at_s": [0, 2, 1], "ticks": [3, 4, 5]}, "must begin with 0 and rise"),
    "the same time twice": ({"at_s": [0, 0], "ticks": [3, 4]}, "must begin with 0 and rise"),
    "less than nothing": ({"at_s": [0, 1], "ticks": [3, -1]}, "latency in latency.ticks is -1 ticks; give 0 or more"),
    "no list": ({"at_s": 0, "ticks": [3]}, "latency.at_s is 0; give a list"),
    "half a tick": ({"at_s": [0], "ticks": [3.5]}, r"latency.ticks\[0\] is 3.5; give a whole number"),
    "no times": ({"ticks": [3]}, "latency.at_s must be given"),
    "bound when done": ({"at_s": [0], "ticks": [3], "bind_fraction": 1.0}, "bind_fraction is 1.0"),
}


@every("name", REFUSED)
def test_a_schedule_that_cannot_be_is_refused_in_one_sentence(name: str) -> None:
    options, words = REFUSED[name]
    with pytest.raises(ConfigError, match=words):
        make_latency("scheduled", 50.0, **options)


# ---- recordings in time -------------------------------------------------------------------------------------------


def test_a_recording_in_time_gives_what_was_under_way_and_enters_where_the_seed_picks(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0.1\n0.06\n0.02\n")  # 5, 3 and 1 ticks, one after the other
    model = make_latency("recorded", 50.0, path=str(tmp_path / "a.txt"), replay="time")
    ring = [5] * 5 + [3] * 3 + [1]
    entered = set()
    for seed in range(60):
        found = [model.sample(seed, 0, tick).done for tick in range(18)]
        assert found == [model.sample(seed, 5, tick).done for tick in range(18)]
        places = [i for i in range(9) if found == [ring[(i + tick) % 9] for tick in range(18)]]
        entered.update(places)
        assert len(places) == 1
        before = [model.sample(seed, -1 - n).done for n in range(3)]
        at = [5, 3, 1].index(found[0])
        assert before == [[5, 3, 1][(at - 1 - n) % 3] for n in range(3)]
    assert entered == set(range(9))


def test_inferences_of_a_run_are_as_far_apart_as_they_were_also_at_another_rate(tmp_path: Path) -> None:
    record = pa.table({"request": [0, 8, 20, 0, 9], "delay": pa.array([4, 5, 6, None, 7])})
    pq.write_table(record, tmp_path / "a.parquet")  # a second episode begins after the third
    (tmp_path / "summary.json").write_text('{"rate_hz": 50.0}')
    for rate_hz, longer in ((50.0, 1), (100.0, 2)):
        model = make_latency("recorded", rate_hz, path=str(tmp_path / "a.parquet"), replay="time")
        assert isinstance(model, Replayed)
        assert list(model.starts) == [0, 8 * longer, 20 * longer, 26 * longer]
        assert model.span == 33 * longer


def test_a_recording_that_is_stretched_lasts_no_longer() -> None:
    model = Replayed.of(Recorded([Latency(0, 2), Latency(0, 4)]))
    assert span_of(model.scaled(3.0)) == span_of(model) == 6
    assert [model.scaled(3.0).sample(0, 0, k).done for k in range(6)] == [
        3 * model.sample(0, 0, k).done for k in range(6)
    ]


def test_another_way_to_replay_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match="'tim'; did you mean 'time'"):
        make_latency("recorded", 50.0, path="diffusion_busy", replay="tim")


# ---- where they are played ----------------------------------------------------------------------------------------


@every("strategy", ["sync", "naive", "vlash"])
@every("model", [STEPPED, RAMP, Replayed.of(Recorded([Latency(0, 2), Latency(0, 7)]))])
def test_the_forecast_meets_in_each_tick_the_latency_that_lockstep_meets(strategy: str, model: Any) -> None:
    config = StrategyConfig(strategy, s=8, d=5)
    made = rehearsed(config, 32, model, ticks=130, seed=2)
    assert forecast(config, 32, model, ticks=130, seed=2) == measured(made)
    for step in walk(config, 32, model, ticks=100, seed=2):
        assert step.accepted - step.request == model.sample(2, 0, step.request).done


def test_episodes_begin_a_schedule_anew_each_with_a_seed_of_its_own() -> None:
    asked = []

    class Noted(Scheduled):
        def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
            asked.append((seed, tick))
            return super().sample(seed, n, tick)

    episodes = drawn(Noted([0, 60], [4, 10]), 100)
    for _ in range(2):
        found = [episodes.sample(5, tick, tick).done for tick in range(250)]
        assert found == ([4] * 60 + [10] * 40) * 2 + [4] * 50
    assert asked == [(5 + tick // 100, tick % 100) for tick in range(250)]


def test_without_an_episode_a_schedule_is_as_long_as_it_says_and_what_is_drawn_has_none() -> None:
    alone, other = drawn(STEPPED), drawn(Fixed(3), 100)
    assert isinstance(alone, Episodes)
    assert alone.ticks == 120
    assert isinstance(other, Drawn)
    assert drawn(alone) is alone
    assert drawn(other) is other
