import json
import math
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.planning import recordings
from rollahead.runtime.planning.latency import (
    Distribution,
    Fixed,
    Latency,
    LatencyModel,
    Lognormal,
    Recorded,
    Spikes,
    Stretched,
    Uniform,
    latency_words,
    with_median,
)
from rollahead.runtime.recording.records import Stream

MODELS: dict[str, Distribution] = {
    "instant": Fixed(0),
    "fixed": Fixed(5, bind_fraction=0.9),
    "lognormal": Lognormal(p50=5.0, p95=9.0, bind_fraction=0.5),
    "fast_lognormal": Lognormal(p50=0.01, p95=0.5, bind_fraction=0.99),
    "uniform": Uniform(3, 7, bind_fraction=0.4),
    "spikes": Spikes(4, probability=0.3, low=8, high=20, bind_fraction=0.8),
    "recorded": Recorded([Latency(0, 1), Latency(2, 3), Latency(0, 0)]),
}


@every(("bind", "done"), list(product(range(-2, 6), repeat=2)))
def test_a_state_is_bound_before_the_result_is_there_or_both_are_at_once(bind: int, done: int) -> None:
    if 0 <= bind < done or (bind, done) == (0, 0):
        assert Latency(bind, done).done == done
    else:
        with pytest.raises(ConfigError, match=f"after {bind} ticks and is done after {done} cannot be; give"):
            Latency(bind, done)


@every("name", MODELS)
def test_the_n_th_inference_of_a_seed_always_takes_as_long_in_whatever_order_it_is_asked(name: str) -> None:
    calls = list(product(range(3), range(-5, 10)))
    first = {call: MODELS[name].sample(*call) for call in calls}
    assert {call: MODELS[name].sample(*call) for call in reversed(calls)} == first


@every("ticks", range(13))
@every("sixteenths", range(16))
def test_a_fixed_latency_binds_after_its_fraction_rounded_down(ticks: int, sixteenths: int) -> None:
    drawn = Fixed(ticks, bind_fraction=sixteenths / 16).sample(0, 0)
    assert (drawn.bind, drawn.done) == (sixteenths * ticks // 16, ticks)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 2.0, math.nan])
def test_a_fraction_outside_zero_to_one_is_refused_by_every_model(fraction: float) -> None:
    for make in (
        lambda: Fixed(3, fraction),
        lambda: Lognormal(3.0, 5.0, fraction),
        lambda: Uniform(3, 5, fraction),
        lambda: Spikes(3, 0.1, 5, 7, fraction),
        lambda: Recorded.from_file("any", 50.0, fraction),
    ):
        with pytest.raises(ConfigError, match="bind_fraction is"):
            make()


@pytest.mark.parametrize(("p50", "p95"), [(4, 6), (5, 20), (10, 12)])
def test_half_of_a_lognormal_is_within_p50_and_95_of_100_within_p95(p50: int, p95: int) -> None:
    n = 800
    done = np.array([Lognormal(p50, p95).sample(7, i).done for i in range(n)])
    for quantile, share in ((p50, 0.5), (p95, 0.95)):  # whole ticks: rounding up moves none past its quantile
        error = math.sqrt(share * (1 - share) / n)
        assert np.mean(done <= quantile) == pytest.approx(share, abs=3 * error)


@every(("p50", "p95"), [(0.0, 5.0), (-1.0, 5.0), (5.0, 5.0), (6.0, 5.0), (math.nan, 5.0)])
def test_a_lognormal_needs_its_p95_above_its_p50_above_zero(p50: float, p95: float) -> None:
    with pytest.raises(ConfigError, match=r"p50 is .* and its p95"):
        Lognormal(p50, p95)


@pytest.mark.parametrize("name", ["lognormal", "uniform", "spikes"])
def test_seeds_inferences_and_warm_ups_are_drawn_apart(name: str) -> None:
    def drawn(seed: int, ns: range) -> list[int]:
        return [MODELS[name].sample(seed, n).done for n in ns]

    assert len({tuple(drawn(seed, ns)) for seed in range(4) for ns in (range(1, 40), range(-1, -40, -1))}) == 8


@pytest.mark.parametrize(("low", "high"), [(0, 0), (0, 4), (6, 10), (8, 8)])
def test_a_uniform_latency_covers_its_range_and_each_of_it_comes_as_often(low: int, high: int) -> None:
    n, share = 600, 1 / (high - low + 1)
    done = np.array([Uniform(low, high).sample(4, i).done for i in range(n)])
    assert set(done.tolist()) == set(range(low, high + 1))
    error = math.sqrt(share * (1 - share) / n)
    for ticks in range(low, high + 1):
        assert np.mean(done == ticks) == pytest.approx(share, abs=3.5 * error)


@every(("low", "high"), list(product(range(-1, 4), repeat=2)))
def test_a_uniform_latency_is_refused_unless_its_range_holds_a_number_of_ticks(low: int, high: int) -> None:
    if 0 <= low <= high:
        assert Uniform(low, high).high == high
    else:
        with pytest.raises(ConfigError, match=f"from {low} to {high} ticks; give 0 <= low <= high"):
            Uniform(low, high)


@pytest.mark.parametrize("probability", [0.0, 0.2, 1.0])
def test_spikes_come_as_often_as_said_and_cover_their_range(probability: float) -> None:
    n = 600
    model = Spikes(4, probability, 6, 9)
    done = np.array([model.sample(2, i).done for i in range(n)])
    assert set(done.tolist()) == ({4} if probability < 1 else set()) | ({6, 7, 8, 9} if probability else set())
    error = math.sqrt(probability * (1 - probability) / n)
    assert np.mean(done > 4) == pytest.approx(probability, abs=3 * error)


@every(("ticks", "low", "high"), list(product(range(-1, 4), repeat=3)))
def test_spikes_are_refused_unless_they_are_longer_than_the_rest(ticks: int, low: int, high: int) -> None:
    if 0 <= ticks <= low <= high:
        assert Spikes(ticks, 0.5, low, high).high == high
    else:
        with pytest.raises(ConfigError, match=f"spikes of {low} to {high} ticks over {ticks}"):
            Spikes(ticks, 0.5, low, high)


@every("length", range(1, 7))
def test_a_recording_is_a_ring_entered_at_a_place_that_the_seed_picks(length: int) -> None:
    model = Recorded([Latency(0, done + 1) for done in range(length)])
    entered = set()
    for seed in range(60):
        ring = [model.sample(seed, n).done for n in range(-length, 2 * length)]
        assert ring == [(ring[0] - 1 + i) % length + 1 for i in range(3 * length)]
        entered.add(ring[0])
    assert entered == set(range(1, length + 1))


@pytest.mark.parametrize("rate_hz", [20.0, 50.0, 100.0])
def test_recorded_seconds_are_rounded_up_to_ticks_but_whole_ticks_are_kept(rate_hz: float, tmp_path: Path) -> None:
    ticks = [0.0, 0.01, 0.5, 1.0, 1.001, 2.0, 3.0, 7.0, 7.99]
    (tmp_path / "latencies.txt").write_text("\n".join(str(n / rate_hz) for n in ticks) + "\n")
    model = Recorded.from_file(tmp_path / "latencies.txt", rate_hz)
    assert [latency.done for latency in model.latencies] == [0, 1, 1, 1, 2, 2, 3, 7, 8]
    assert {latency.bind for latency in model.latencies} == {0}


def test_the_delays_of_a_run_are_read_back_in_ticks(tmp_path: Path) -> None:
    pq.write_table(pa.table({"delay": pa.array([4, None, 7, 0]), "other": [1, 2, 3, 4]}), tmp_path / "a.parquet")
    model = Recorded.from_file(tmp_path / "a.parquet", rate_hz=50.0, bind_fraction=0.5)
    assert list(model.latencies) == [Latency(2, 4), Latency(3, 7), Latency(0, 0)]


def test_no_answer_is_no_latency_of_a_recording(tmp_path: Path) -> None:
    columns = {"delay": [4, 90, 7], "outcome": ["placed", "no_answer", "dropped"]}
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    assert done(Recorded.from_file(tmp_path / "a.parquet", rate_hz=50.0), 100)[-1] == 7


@pytest.mark.parametrize("summary", [{"rate_hz": 50.0, "cells": []}, {"cells": [{"rate_hz": 50.0}]}])
def test_the_delays_of_a_run_at_another_rate_are_as_many_seconds_here(summary: object, tmp_path: Path) -> None:
    pq.write_table(pa.table({"delay": [8, 5, 0]}), tmp_path / "inferences.parquet")
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    for rate_hz, ticks in ((50.0, [8, 5, 0]), (10.0, [2, 1, 0]), (100.0, [16, 10, 0]), (30.0, [5, 3, 0])):
        model = Recorded.from_file(tmp_path / "inferences.parquet", rate_hz)
        assert [latency.done for latency in model.latencies] == ticks


def test_delays_of_a_run_that_does_not_say_its_rate_are_ticks_and_of_a_damaged_one_are_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"delay": [8]}), tmp_path / "inferences.parquet")
    (tmp_path / "summary.json").write_text('{"cells": []}')
    assert Recorded.from_file(tmp_path / "inferences.parquet", 10.0).median == 8
    for text in ("", "[]", '{"cells": [{}]}', '{"rate_hz": "fast"}', '{"cells": 3}'):
        (tmp_path / "summary.json").write_text(text)
        with pytest.raises(ConfigError, match="holds no latencies"):
            Recorded.from_file(tmp_path / "inferences.parquet", 10.0)


@pytest.mark.parametrize("text", ["", "\n\n", "0.1\nslow\n", "0.1, 0.2\n", "-0.1\n", "nan\n", "inf\n"])
def test_a_file_that_is_no_list_of_latencies_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "latencies.txt").write_text(text)
    with pytest.raises(ConfigError, match="; give "):
        Recorded.from_file(tmp_path / "latencies.txt", rate_hz=50.0)


@pytest.mark.parametrize("path", ["gone.txt", "gone.parquet", "."])
def test_a_recording_that_is_not_there_is_refused_with_its_path(path: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no recording at .*; give latency\.path="):
        Recorded.from_file(tmp_path / path, rate_hz=50.0)


def test_the_record_of_a_run_that_was_killed_is_read_at_its_own_rate(tmp_path: Path) -> None:
    batch = pa.record_batch({"delay": pa.array([2, 3, 4])})
    stream = Stream(tmp_path / "inferences.arrows", batch.schema, 25.0)
    stream.append(batch)
    stream.close()
    found = Recorded.from_file(tmp_path / "inferences.parquet", rate_hz=50.0)
    assert [latency.done for latency in found.latencies] == [4, 6, 8]


def test_a_damaged_parquet_file_is_refused_by_its_name(tmp_path: Path) -> None:
    for damage in (b"", b"PAR1" + b"x" * 100 + b"PAR1"):
        (tmp_path / "inferences.parquet").write_bytes(damage)
        with pytest.raises(ConfigError, match=r"inferences\.parquet cannot be read \(.*; make the run again"):
            Recorded.from_file(tmp_path / "inferences.parquet", rate_hz=50.0)


def test_a_parquet_file_of_something_else_is_refused(tmp_path: Path) -> None:
    pq.write_table(pa.table({"tick": [1, 2]}), tmp_path / "ticks.parquet")
    with pytest.raises(ConfigError, match=r"ticks\.parquet holds no latencies .*; give one in seconds per line, or"):
        Recorded.from_file(tmp_path / "ticks.parquet", rate_hz=50.0)


# --- stretched to a median ---


def done(model: Distribution, n: int = 400) -> list[int]:
    return sorted(model.sample(3, i).done for i in range(n))


@every("ticks", [1, 2, 5, 16, 40])
@every("name", [name for name in MODELS if name != "instant"])
def test_a_model_stretched_to_a_median_has_it(name: str, ticks: int) -> None:
    stretched = with_median(MODELS[name], ticks)
    assert done(stretched)[200] == pytest.approx(ticks, abs=1 + 0.2 * ticks)
    bound = [stretched.sample(3, i) for i in range(50)]
    assert all(latency.bind < latency.done or latency.done == 0 for latency in bound)


@every("name", [name for name in MODELS if name not in ("instant", "fast_lognormal")])
def test_a_model_stretched_to_its_own_median_is_itself(name: str) -> None:
    model = MODELS[name]
    stretched = with_median(model, model.median)
    assert [stretched.sample(5, n) for n in range(50)] == [model.sample(5, n) for n in range(50)]


def test_what_is_stretched_keeps_its_shape() -> None:
    spikes = with_median(Spikes(4, 0.2, 12, 16), 8)
    assert set(done(spikes)) == {8, *range(24, 33)}
    assert with_median(Lognormal(4.0, 6.0), 8) == Lognormal(8.0, 12.0)
    assert with_median(Uniform(6, 10), 4) == Uniform(3, 5)
    assert with_median(Recorded([Latency(2, 4), Latency(6, 8)]), 3).sample(0, 0).done in (2, 4)


def chances(model: LatencyModel) -> dict[int, float]:
    """How likely each number of ticks is."""
    if isinstance(model, Stretched):
        longer: dict[int, float] = defaultdict(float)
        for ticks, share in chances(model.model).items():
            longer[math.ceil(model.factor * ticks - 1e-9)] += share
        return longer
    assert isinstance(model, Uniform | Spikes)
    share = model.probability if isinstance(model, Spikes) else 1.0
    every = range(model.low, model.high + 1)
    found = {ticks: share / len(every) for ticks in every}
    return found | ({model.ticks: found.get(model.ticks, 0.0) + 1 - share} if isinstance(model, Spikes) else {})


def halved(model: LatencyModel, ticks: float) -> bool:
    """Whether half take no longer than so many ticks, and half no less."""
    shares = chances(model).items()
    sides = (sum(p for each, p in shares if each <= ticks), sum(p for each, p in shares if each >= ticks))
    return min(sides) >= 0.5 - 1e-9


RANGES = [(low, high) for low in range(9) for high in range(low, low + 10)]


@every("ticks", [1, 2, 3, 7, 8, 12, 25])
def test_half_of_a_uniform_latency_take_no_longer_than_the_median_that_it_is_stretched_to(ticks: int) -> None:
    for model in (Uniform(low, high) for low, high in RANGES if high > 0):
        assert halved(with_median(model, ticks), ticks), model


@every("probability", [0.0, 0.3, 0.5, 0.55, 0.6, 0.8, 1.0])
def test_half_of_latencies_with_spikes_take_no_longer_than_the_median_however_many_spikes_there_are(
    probability: float,
) -> None:
    for model in (Spikes(min(low, 4), probability, low, high) for low, high in RANGES):
        assert halved(model, model.median), model
        for ticks in (1, 7, 8, 12) if model.median > 0 else ():
            assert halved(with_median(model, ticks), ticks), (model, ticks)


def test_medians_that_rounding_moved_are_met() -> None:
    assert with_median(Uniform(4, 12), 1) == Uniform(1, 1)
    assert with_median(Uniform(3, 4), 8) == Uniform(7, 9)
    assert with_median(Uniform(3, 4), 3.5) == Uniform(3, 4)
    assert Spikes(4, 0.5, 12, 16).median == 4
    assert Spikes(4, 0.6, 10, 14).median == 10
    assert Spikes(4, 0.8, 12, 16).median == 13


@every("median", [2, 4, 6, 8, 12, 16])
def test_the_medians_of_the_study_are_of_the_latencies_that_it_was_made_with(median: int) -> None:
    assert with_median(Lognormal(4.0, 6.0), median) == Lognormal(float(median), 1.5 * median)
    low, high = math.ceil(15 * median / 4), math.ceil(20 * median / 4)
    assert with_median(Spikes(4, 0.05, 15, 20), median) == Spikes(median, 0.05, low, high)
    recorded = Recorded.from_file("diffusion_busy", rate_hz=50.0)
    stretched = with_median(recorded, median)
    longer = [math.ceil(median / 22 * recorded.sample(3, n).done - 1e-9) for n in range(500)]
    assert [stretched.sample(3, n).done for n in range(500)] == longer


def test_what_is_stretched_binds_its_state_as_much_later_and_still_before_it_is_done() -> None:
    longer = with_median(Recorded([Latency(3, 4)]), 8)
    assert longer.sample(0, 0) == Latency(6, 8)
    assert with_median(Recorded([Latency(3, 4)]), 1).sample(0, 0) == Latency(0, 1)
    assert Stretched(longer, 0.5).sample(0, 0) == Latency(3, 4)
    assert Stretched(Recorded([Latency(3, 4)]), 2.0).scaled(1.5).median == 12


@every("name", MODELS)
def test_with_a_median_of_nothing_no_inference_takes_any_time(name: str) -> None:
    assert with_median(MODELS[name], 0).sample(0, 0) == Latency(0, 0)


@pytest.mark.parametrize("ticks", [-1.0, math.inf, math.nan])
def test_a_median_that_is_no_time_is_refused(ticks: float) -> None:
    with pytest.raises(ConfigError, match=r"latency\.median is .* ticks; give 0 or more"):
        with_median(Fixed(3), ticks)


def test_what_takes_no_time_cannot_be_stretched() -> None:
    with pytest.raises(ConfigError, match="median is 5 ticks, and the median of the model is 0"):
        with_median(Fixed(0), 5)


# --- in words ---


@every(
    ("latency", "words"),
    [
        ({"name": "fixed", "ticks": 8, "bind_fraction": 0.0, "median": None}, "8 ticks"),
        ({"name": "fixed", "ticks": 8, "median": 2.5}, "2.5 ticks"),
        ({"name": "lognormal", "p50": 4.0, "p95": 6.0, "median": None}, "lognormal (p50 4.0, p95 6.0)"),
        ({"name": "spikes", "ticks": 4, "median": 12}, "spikes, median 12 ticks"),
        ({"name": "none"}, "none injected"),
    ],
)
def test_a_model_is_said_by_what_it_is_stretched_to_or_by_its_options(latency: dict[str, object], words: str) -> None:
    assert latency_words(latency) == words


# --- recordings that come with rollahead ---


@pytest.mark.parametrize("name", recordings.names())
def test_a_recording_that_comes_with_it_is_found_by_its_name(name: str) -> None:
    model = Recorded.from_file(name, rate_hz=50.0)
    assert len(model.latencies) >= 100
    assert model.median > 0
    assert len(set(done(model))) > 1


def test_one_that_does_not_is_refused_with_those_that_do() -> None:
    with pytest.raises(ConfigError, match="diffusion_busy, which comes with rollahead"):
        Recorded.from_file("diffusion_bsy", rate_hz=50.0)


@pytest.mark.parametrize("seconds", ["0.16", "1.5", "9.9", "0.1 0.1 0.1 160"])
def test_a_recording_that_may_be_in_seconds_is_read_so(seconds: str, tmp_path: Path) -> None:
    (tmp_path / "latencies.txt").write_text(seconds)
    read = Recorded.from_file(tmp_path / "latencies.txt", rate_hz=50.0)
    assert [one.done for one in read.latencies] == [round(50 * float(word)) for word in seconds.split()]


def test_a_recording_in_milliseconds_is_refused_with_the_seconds_to_write(tmp_path: Path) -> None:
    (tmp_path / "latencies.txt").write_text("150\n160\n170\n")
    with pytest.raises(
        ConfigError, match=r"is 160 s, so probably in milliseconds; give seconds, as in 0\.16 for 160 ms"
    ):
        Recorded.from_file(tmp_path / "latencies.txt", rate_hz=50.0)
