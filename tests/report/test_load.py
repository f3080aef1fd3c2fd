import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import run_episode
from rollahead.report.conditions import conditions
from rollahead.report.load import Results, load
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.sim.task import make_task

from . import records


def test_the_episodes_of_each_cell_give_its_success(results: Results) -> None:
    for cell in results.cells:
        outcomes = [episode.success for episode in cell.episodes.values()]
        assert 100.0 * sum(outcomes) / len(outcomes) == cell.figures["success"]


def test_a_recording_is_what_was_played(results: Results) -> None:
    vlash = results.cells[4]
    ticks = run_episode(records.cell("vlash"), make_task("mole"), 1).ticks
    read = vlash.recording(1)
    assert read.ticks["tick"].tolist() == ticks["tick"].tolist()
    assert read.ticks["chunk"].tolist() == ticks["chunk"].tolist()
    assert np.array_equal(np.column_stack(list(read.group("action").values())), ticks["action"])
    assert np.array_equal(np.column_stack(list(read.group("state").values())), ticks["state"])
    assert list(read.group("environment")) == ["mole_x", "mole_y"]


def test_a_recording_holds_the_inferences_of_its_cell_and_episode_only(results: Results) -> None:
    sync, vlash = (results.cells[i].recording(0).inferences for i in (0, 4))
    assert all(record.origin == record.accepted for record in sync)
    assert all(record.origin == record.request + record.delay_planned for record in vlash)


def test_only_cells_that_kept_ticks_are_recorded(results: Results) -> None:
    assert [set(cell.recorded) for cell in results.cells] == [{0, 1}] * 5 + [set()] * 2


def test_a_run_without_records_is_read(unrecorded: Path) -> None:
    (cell,) = load(unrecorded).cells
    assert not cell.recorded
    assert len(cell.episodes) == 2


def test_the_runs_of_a_sweep_come_in_the_order_of_their_numbers(sweep: Path) -> None:
    found = load(sweep)
    assert [cell.strategy["name"] for cell in found.cells] == ["sync", "naive", "vlash"]
    assert found.unfinished == ("1",)


def test_a_training_is_read_with_its_cells(trained: Path) -> None:
    found = load(trained)
    assert [one.policy["name"] for one in found.trainings] == ["flow"]
    assert len(found.cells) == 2


def test_a_training_needs_no_cells(tmp_path: Path) -> None:
    found = load(records.write_training(tmp_path / "run", task=None))
    assert (len(found.trainings), found.cells) == (1, ())


def test_other_commands_leave_no_training(results: Results) -> None:
    assert results.trainings == ()


def test_only_a_fixed_latency_is_a_delay() -> None:
    assert records.result(ticks=4).delay_ticks == 4.0
    assert records.result(ticks=None).delay_ticks is None


def test_a_median_says_where_a_latency_stands() -> None:
    assert records.result(latency={"name": "fixed", "ticks": 8, "median": 0}).delay_ticks == 0.0
    cell = records.result(latency={"name": "lognormal", "p50": 4, "p95": 6, "median": 12})
    assert (cell.delay_ticks, cell.delay_ms) == (12.0, 240.0)
    assert records.result(ticks=None).delay_ms is None


def test_roller_search_and_time_are_read(study: Path) -> None:
    found = load(study)
    assert all(cell.roller == {"name": "robot"} for cell in found.cells)
    assert [one["s"] for one in found.cells[0].search] == [4, 8, 16]
    assert (found.runs, sum(found.took_s)) == (len(found.cells), 30.0 * len(found.cells))


def test_settings_of_the_guard_are_read_and_tell_cells_apart(tmp_path: Path) -> None:
    on = records.cell("naive", episodes=1, traces=0)
    found = load(records.write_run(tmp_path / "run", [on, replace(on, guard=GuardConfig(enabled=False, ramp_s=0.5))]))
    assert [cell.guard for cell in found.cells] == [{}, {"enabled": False, "ramp_s": 0.5}]
    assert len(set(conditions(found.cells))) == 2


def test_what_older_runs_do_not_tell_is_left_open(unrecorded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(unrecorded, tmp_path / "copy"))
    (cell,) = json.loads((copy / "summary.json").read_text())["cells"]
    del cell["roller"], cell["guard"]
    records.edit_summary(copy, cells=[cell], took_s=None)
    found = load(copy)
    assert (found.cells[0].roller, found.cells[0].search, found.took_s) == ({"name": "robot"}, (), ())
    assert found.cells[0].guard == {}


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no folder": (shutil.rmtree, "there is no run folder"),
    "no summary": (lambda run: (run / "summary.json").unlink(), "holds no summary.json"),
    "a summary cut off": (lambda run: (run / "summary.json").write_text('{"cells": ['), "summary.json cannot be read"),
    "a summary without cells": (lambda run: records.edit_summary(run, cells=[]), "it lists no cells"),
    "a cell without figures": (
        lambda run: records.edit_summary(run, cells=[{"task": {}}]),
        "summary.json cannot be read",
    ),
    "no episodes": (lambda run: (run / "episodes.parquet").unlink(), "holds no episodes.parquet"),
    "episodes cut off": (
        lambda run: (run / "episodes.parquet").write_bytes(b"PAR1"),
        "episodes.parquet cannot be read",
    ),
    "no ticks": (lambda run: (run / "ticks.parquet").unlink(), "holds no ticks.parquet"),
    "ticks cut off": (lambda run: (run / "ticks.parquet").write_bytes(b""), "ticks.parquet cannot be read"),
    "no inferences": (lambda run: (run / "inferences.parquet").unlink(), "holds no inferences.parquet"),
    "other episodes": (
        lambda run: shutil.copy(run / "ticks.parquet", run / "episodes.parquet"),
        "episodes.parquet cannot be read",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_folder_that_cannot_be_read_is_named_with_what_to_do(run: Path, tmp_path: Path, how: str) -> None:
    spoil, words = BROKEN[how]
    copy = tmp_path / "copy"
    shutil.copytree(run, copy)
    spoil(copy)
    with pytest.raises(ConfigError, match=words) as caught:
        load(copy)
    message = str(caught.value)
    assert str(copy) in message
    assert "\n" not in message
    assert "; give run=" in message or "; make the run again" in message


def test_a_run_in_which_no_plan_ever_came_is_read(tmp_path: Path) -> None:
    run = records.write_run(tmp_path / "late", [records.cell("sync", 500, episodes=1, traces=1)])
    (cell,) = load(run).cells
    assert cell.recording(0).inferences == ()
