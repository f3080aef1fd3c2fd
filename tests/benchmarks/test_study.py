"""What the study makes of what was played."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from benchmarks.figures import load
from benchmarks.study import (
    GAINS,
    Key,
    delay_table,
    latency_table,
    paired_gain,
    read_cells,
    read_table,
    write_cells,
)
from hydra import compose, initialize_config_module

from benchmarks import study

FIGURES = {
    "episodes": 3,
    "success": 100 * 2 / 3,
    "success_ci": [20.8, 93.9],
    "time_s": 0.5,
    "age_ticks": {"p50": 8.0},
    "idle": 0.0,
    "calls_per_s": 6.0,
    "rows_lost": 0,
}


def played(folder: Path, name: str, hits: Mapping[int, bool], *, median: int = 8, planner: str = "scripted") -> None:
    """The run folder of one cell. hits: whether each episode succeeded, by its seed, in the order of the file."""
    run = folder / name
    run.mkdir()
    description = {
        "task": {"name": "mole"},
        "planner": {"name": planner},
        "latency": {"name": "fixed", "median": median},
        "strategy": {"name": name.split("-")[0], "s": 8, "ensemble": {"decay": 0.01}, "quantile": 0.5},
        "roller": {"name": "robot"},
        "figures": FIGURES,
    }
    (run / "summary.json").write_text(json.dumps({"cells": [description], "took_s": 1.5}))
    rows = [{"episode": seed, "success": hit} for seed, hit in hits.items()]
    pq.write_table(pa.Table.from_pylist(rows), run / "episodes.parquet")


def test_cells_are_found_by_what_they_are_of_with_episodes_in_the_order_of_their_seeds(tmp_path: Path) -> None:
    played(tmp_path, "sync", {2: True, 0: False, 1: True})
    played(tmp_path, "vlash-2", {0: True}, median=2, planner="policy")
    cells = read_cells(tmp_path)
    assert list(cells) == [
        ("mole", "scripted", "fixed", 8.0, "sync", "robot"),
        ("mole", "flow", "fixed", 2.0, "vlash", "robot"),
    ]
    assert cells["mole", "scripted", "fixed", 8.0, "sync", "robot"].hits.tolist() == [False, True, True]


def test_what_is_written_of_the_cells_is_what_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study, "RESULTS", tmp_path)
    played(tmp_path, "sync", {0: True, 1: True, 2: False})
    write_cells(read_cells(tmp_path))
    (cell,) = read_table().values()
    assert (cell["success"], cell["success_ci"], cell["took_s"], cell["s"]) == (
        FIGURES["success"],
        [20.8, 93.9],
        1.5,
        8,
    )


def test_a_gain_is_counted_pair_by_pair_and_its_interval_holds_it() -> None:
    ours, theirs = np.arange(100) < 80, np.arange(100) < 50
    value, (low, high) = paired_gain(ours, theirs)
    assert value == 30.0
    assert low < 30.0 < high
    together = paired_gain(ours, ours)
    assert together == (0.0, [0.0, 0.0])  # the same episodes fail: nothing is left to chance


def cell(success: float) -> dict[str, Any]:
    return {"success": success, "success_ci": [success - 1, success + 1]}


def test_a_table_over_delays_has_a_row_per_strategy_and_says_where_nothing_was_played() -> None:
    cells: dict[Key, Any] = {
        ("mole", "flow", "fixed", 0.0, "sync", "robot"): cell(99),
        ("mole", "flow", "fixed", 8.0, "sync", "robot"): cell(41),
        ("mole", "flow", "fixed", 8.0, "vlash", "robot"): cell(98),
        ("mole", "flow", "spikes", 8.0, "vlash", "robot"): cell(90),
        ("mole", "scripted", "fixed", 12.0, "vlash", "robot"): cell(50),
    }
    table = delay_table(cells, "mole", "flow").splitlines()
    assert table[:3] == [
        "| | 0 ms | 160 ms |",
        "|---|---|---|",
        "| `sync` | 99 <sub>98..100</sub> | 41 <sub>40..42</sub> |",
    ]
    assert table[-1] == "| `vlash` | \N{EN DASH} | 98 <sub>97..99</sub> |"
    assert len(table) == 7  # five strategies, and no scene to roll
    assert latency_table(cells, "mole", "flow", 8.0).splitlines()[-1] == (
        "| `vlash` | 98 <sub>97..99</sub> | \N{EN DASH} | 90 <sub>89..91</sub> | \N{EN DASH} |"
    )


def test_a_scene_that_moves_has_a_row_of_its_own() -> None:
    cells: dict[Key, Any] = {("belt", "flow", "fixed", 8.0, "vlash", "scene"): cell(97)}
    assert delay_table(cells, "belt", "flow").splitlines()[-1].startswith("| `vlash`, scene rolled too | 97 ")


@pytest.mark.parametrize("gain", GAINS, ids=lambda gain: gain.name)
def test_each_gain_on_record_is_the_difference_of_its_cells_on_record(gain: study.Gain) -> None:
    cells = read_table()
    (figure,) = [row for row in load() if row.name == gain.name]
    assert figure.goal == gain.goal

    def success(strategy: str, roller: str) -> float:
        return float(cells[gain.task, gain.planner, "fixed", gain.ticks, strategy, roller]["success"])

    assert figure.value == pytest.approx(success(*gain.of) - max(success(*other) for other in gain.over))


def test_every_sweep_of_the_study_can_be_composed() -> None:
    with initialize_config_module("rollahead.configs", version_base=None):
        for sweep in study.SWEEPS:
            named = [argument.split(",")[0] for argument in sweep]
            composed = compose("eval", overrides=named)
            assert composed.strategy.name
