"""The comparisons of recipes: that every training and every cell can be, and how tables are told."""

import json
from pathlib import Path

import pytest
from benchmarks.recipes import HEADS, PLAYED, RECIPES, ROLLERS, TASKS, VARIES, _figure, cell_of, fixed, main, table

from benchmarks import recipes
from every import every
from rollahead.evaluation.evaluation import check
from rollahead.policies.adapters.flow.loss import AVERAGES
from rollahead.policies.data.windows import PREFIX_LENGTHS


def test_every_distribution_of_prefix_lengths_and_every_average_of_the_loss_is_compared() -> None:
    assert {recipe["prefix_lengths"] for recipe in RECIPES.values()} == set(PREFIX_LENGTHS)
    assert {recipe["policy.loss_average"] for recipe in RECIPES.values()} == set(AVERAGES)


def test_the_published_recipe_of_a_head_has_no_rows_of_other_chunks_and_the_features_of_its_base() -> None:
    assert HEADS["as published"] == {"corrector.features": "true", "corrector.negative_fraction": 0}


@every("task", TASKS)
@every("name, d", PLAYED)
def test_every_cell_of_the_prefixes_can_be_played(task: str, name: str, d: int) -> None:
    check(cell_of({"name": task}, f"{task}_flow", *fixed(name, d)))


@pytest.mark.parametrize("way", ["tick", "discarded"])
def test_every_cell_of_the_late_plans_can_be_played(way: str) -> None:
    check(cell_of({"name": "mole"}, "mole_flow", {"name": "tt_rtc", "quantile": 0.95, "late": way}, VARIES))


@pytest.mark.parametrize("roller", ROLLERS.values())
def test_every_roller_that_is_compared_can_be_made(roller: str) -> None:
    check(cell_of({"name": "mole"}, "mole_flow", *fixed("vlash", 8), roller={"name": roller}))


def test_a_figure_is_called_by_the_words_of_its_cell() -> None:
    assert _figure("late", ("mole", "late=tick", "quantile 0.5")) == "late_mole_late_tick_quantile_0_5"


def test_a_table_has_a_line_for_what_keys_begin_with_and_a_column_for_how_they_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipes, "RESULTS", tmp_path)
    cells = [
        {"key": ["mole", "half", "d = 4"], "success": 70.4, "success_ci": [68.0, 72.0]},
        {"key": ["mole", "half", "d = 8"], "success": 60.0, "success_ci": [58.0, 62.0]},
        {"key": ["mole", "uniform", "d = 8"], "success": 10.0, "success_ci": [8.0, 12.0]},
    ]
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "claims_x.json").write_text(json.dumps({"cells": cells}))
    assert table("x") == (
        "| | d = 4 | d = 8 |\n|---|---|---|\n"
        "| mole / half | 70 <sub>68..72</sub> | 60 <sub>58..62</sub> |\n"
        "| mole / uniform |  | 10 <sub>8..12</sub> |"
    )


def test_what_is_no_comparison_is_refused_with_what_can_be_made(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prefixs"]) == 2
    assert "prefixs is no comparison; choose from prefixes, late" in capsys.readouterr().out
