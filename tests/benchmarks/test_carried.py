"""The policies of the carried object, and how its figures are told."""

import pytest
from benchmarks.carried import ATTACHED, DELAY, HELD, PLANNERS, RECIPES, VLASH, WAYS, cell, main, rows, table
from omegaconf import OmegaConf

from rollahead.commands.app import CONFIGS
from rollahead.evaluation.evaluation import check

COLUMNS = [(VLASH, 0), *((way, DELAY) for way in WAYS)]
PLAYED = {
    (planner, way, delay): {"success": 90.0 - 10 * i + j, "success_ci": [80.0, 99.0], "time_s": 1.74}
    for i, planner in enumerate(PLANNERS)
    for j, (way, delay) in enumerate(COLUMNS)
}


@pytest.mark.parametrize("way", WAYS)
def test_every_cell_is_one_that_can_be_played(way: str) -> None:
    for delay in (0, DELAY):
        check(cell(None, way, delay))


def test_every_policy_that_is_played_has_a_recipe_and_they_differ_in_what_is_compared_alone() -> None:
    assert set(RECIPES) == {name for name in PLANNERS.values() if name is not None}
    compared = ("offsets", "delay_input", "roller")
    left = [{key: each.options[key] for key in each.options if key not in compared} for each in RECIPES.values()]
    assert left == [{"demonstrations.ticks": 100}] * 3


def test_the_held_object_is_rolled_with_the_options_that_come_with_it() -> None:
    assert OmegaConf.to_container(OmegaConf.load(CONFIGS / "roller/attached.yaml")) == {**ATTACHED, "path": None}


def test_what_offsets_cost_is_what_the_policy_without_has_more() -> None:
    found = {figure.name: figure.value for figure in rows(PLAYED)}
    assert found["carried_object_vlash_d8"] == PLAYED[list(PLANNERS)[2], HELD, DELAY]["success"] == 74.0
    assert found["carried_object_offsets_loss_d8"] == 10.0
    assert found["carried_object_unrolled_offsets_loss_d8"] == 20.0


def test_the_table_has_a_line_for_each_and_a_column_for_each_way() -> None:
    cells = [{"planner": planner, "way": way, "delay": delay, **one} for (planner, way, delay), one in PLAYED.items()]
    lines = table({"cells": cells, "rate_hz": 50.0}).splitlines()
    assert (
        lines[0] == "| pick | 0 ms | 160 ms: sync | 160 ms: naive | 160 ms: vlash | 160 ms: vlash, held object rolled |"
    )
    assert lines[2].startswith("| scripted expert | 90 <sub>80..99, 1.7 s</sub> | 91 ")
    assert len(lines) == 2 + len(PLANNERS)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian"], "give train"),
        (["train=pick_plane"], "choose from pick_plain"),
        (["train", "more"], "give train"),
    ],
)
def test_what_cannot_be_made_is_refused_with_what_can(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert words in capsys.readouterr().out
