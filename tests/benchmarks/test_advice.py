"""What the benchmark of the advice compares, and the table that docs/calibrate.md has of it."""

from pathlib import Path

import numpy as np
import pytest
from benchmarks.advice import ADVISED, FRESH_SEED, HELD_OUT, LATENCIES, SEED, _points, advice_table, grid, regrets

from benchmarks import advice
from rollahead.evaluation.advice import FRESH
from rollahead.runtime.config.build import StrategyConfig, make_latency


def test_the_seeds_that_are_compared_were_not_played_when_the_advice_was_made() -> None:
    assert SEED + ADVISED <= FRESH_SEED
    assert FRESH_SEED + HELD_OUT <= FRESH


def test_the_two_halves_of_the_recording_are_the_whole_of_it_and_apart() -> None:
    halves = [
        make_latency(rate_hz=50.0, **(one | {"replay": "inference", "median": None})) for one in LATENCIES["recorded"]
    ]
    whole = make_latency("recorded", 50.0, path="diffusion_busy")
    first, second = ([latency.done for latency in half.latencies] for half in halves)  # type: ignore[attr-defined]
    assert first + second == [latency.done for latency in whole.latencies]  # type: ignore[attr-defined]


def test_the_grid_has_both_ways_with_late_plans_naive_and_every_schedule_once() -> None:
    found = list(grid())
    assert {one.name for one in found} == {"vlash", "naive"}
    assert all(found.count(one) == 1 for one in found)
    assert StrategyConfig("vlash", s=5, d=5, late="moved") in found


def test_what_is_lost_is_paired_and_not_less_than_what_each_is_played(monkeypatch: pytest.MonkeyPatch) -> None:
    few = [StrategyConfig("vlash", s=9, d=9), StrategyConfig("naive", s=9, d=9)]
    monkeypatch.setattr(advice, "grid", lambda: iter(few))
    monkeypatch.setattr(advice, "advised", lambda latency, episodes: (few[1], few[0]))
    found = regrets("drift", 6)
    assert found["best"][0] == few[0]
    assert found["advised"][1].tolist() == found["best"][1].tolist()
    assert found["forecast"][1].sum() < found["advised"][1].sum()


def test_points_are_means_of_pairs() -> None:
    assert _points("loss", np.array([1.0, 0.0, -1.0, 0.0]), "python").value == 0.0
    assert _points("loss", np.repeat([1.0, 0.0], [1, 3]), "python").value == 25.0


def test_the_table_in_the_docs_is_that_of_the_results() -> None:
    assert advice_table() in (Path(advice.__file__).parents[1] / "docs" / "calibrate.md").read_text()
    assert advice_table().count("\n") == 1 + len(LATENCIES)
