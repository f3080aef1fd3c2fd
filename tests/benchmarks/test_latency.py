"""What the benchmark of varying latencies compares, and what it makes of it."""

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.latency import (
    COMMANDS,
    HELD_OUT,
    MADE_WITH,
    _points,
    delays_table,
    errors,
    figures_table,
    hits,
    plain,
    regret,
    setting_of,
    spiky,
)

from benchmarks import latency
from rollahead.runtime.analysis.recommend import recommend
from rollahead.runtime.config.build import make_latency


def test_a_weight_loses_what_its_choice_is_short_of_the_best() -> None:
    table = {
        "one": [
            {"d": 4, "success": 90.0, "reaction": 8.0, "lost": 2.0},
            {"d": 6, "success": 96.0, "reaction": 9.0, "lost": 1.0},
        ],
        "other": [
            {"d": 4, "success": 80.0, "reaction": 8.0, "lost": 0.5},
            {"d": 6, "success": 70.0, "reaction": 10.0, "lost": 0.0},
        ],
    }
    assert regret(table, 0.0) == 3.0
    assert regret(table, 3.0) == 0.0
    assert regret(table, 19.0) == 5.0


def test_one_in_twenty_is_a_spike_and_the_others_take_3_or_4_ticks() -> None:
    with spiky(0.05) as rough, spiky(0.0) as calm:
        assert Path(rough["path"]).exists()
        models = [make_latency(rate_hz=50.0, **one) for one in (rough, calm)]
    found = [[model.sample(0, n).done for n in range(4000)] for model in models]
    assert not Path(rough["path"]).exists()
    spikes = [ticks for ticks in found[0] if ticks > 4]
    assert len(spikes) / 4000 == pytest.approx(0.05, abs=0.01)
    assert set(spikes) == set(range(15, 21))
    assert set(found[1]) == {3, 4}
    assert found[1].count(3) == pytest.approx(2000, abs=150)
    assert all(ticks == other for ticks, other in zip(*found, strict=True) if ticks <= 4)


def test_the_schedule_chosen_comes_first_and_every_candidate_is_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "REHEARSED", 4)
    setting = setting_of({"name": "fixed", "ticks": 8})
    found = errors(setting)
    assert (found[0]["strategy"], found[0]["s"], found[0]["d"]) == ("vlash", 8, 8)
    assert len(found) == 1 + len(recommend(setting).candidates)
    assert max(one["underruns"] for one in found if one["strategy"] != "sync") == 0.0


def test_what_is_reported_was_not_chosen_on() -> None:
    assert not [latency for latency in HELD_OUT.values() if latency in MADE_WITH.values()]
    assert latency.SEED + latency.EPISODES <= latency.MISS_SEED
    assert all(make_latency(rate_hz=50.0, **one) for one in (*HELD_OUT.values(), *MADE_WITH.values()))


def test_points_are_means_of_pairs_and_equal_pairs_lose_nothing() -> None:
    even = _points("even", np.zeros(50), "python", "<= 1")
    assert (even.value, even.ci, even.verdict) == (0.0, [0.0, 0.0], "met")
    uneven = _points("uneven", np.repeat([1.0, 0.0], [10, 90]), "python")
    assert uneven.value == pytest.approx(10.0)
    low, high = uneven.ci or (0, 0)
    assert 3.0 < low < 10.0 < high < 18.0


def test_hits_are_paired_by_their_seeds() -> None:
    steady = {"name": "fixed", "ticks": 12}
    several = hits(plain(12), steady, 12)
    assert several.tolist() == [*hits(plain(12), steady, 5), *hits(plain(12), steady, 7, seed=5)]
    assert set(several) == {0.0, 1.0}


def test_the_tables_in_the_docs_are_those_of_the_results() -> None:
    page = (Path(latency.__file__).parents[1] / "docs" / "calibrate.md").read_text()
    tables = Path(latency.__file__).parent / "results" / "tables"
    found = json.loads((tables / "evidence_latency_miss.json").read_text())["latencies"]
    assert figures_table() in page
    assert "goal" in figures_table()
    assert delays_table(found) in page
    assert delays_table(found).count("**") == 2 * len(MADE_WITH)


def test_every_figure_is_explained_in_the_head_and_no_other_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(f"benchmarks.latency {name} " in (latency.__doc__ or "") for name in COMMANDS)
    assert latency.main(["spiks"]) == 2
    assert "there is no figure 'spiks'; there are recommendation, miss" in capsys.readouterr().out
