"""The recipes of the checkpoints that come with rollahead, and how their figures are told."""

import pytest
from benchmarks.train import DELAYS, MOVING, PLAIN, SHIPPED, TASKS, Recipe, _cell, _points, delay_table, main

from every import every
from rollahead.evaluation.evaluation import check


def figures(success: float) -> dict[str, object]:
    return {"success": success, "success_ci": [success - 2, success + 2]}


def test_a_recipe_is_what_a_person_types() -> None:
    recipe = Recipe("belt", "flow", {"prefixes": 8})
    assert recipe.command == ["train", "task=belt", "policy=flow", "seed=10000000", "prefixes=8"]


def test_there_is_a_flow_and_a_diffusion_policy_for_each_task_and_for_moving_scenes_a_flow_without_offsets() -> None:
    assert set(SHIPPED) == {f"{task}_{policy}" for task in TASKS for policy in ("flow", "diffusion")}
    assert all(recipe.options["offsets"] == 0 for recipe in PLAIN.values())
    assert {recipe.task for recipe in PLAIN.values()} == set(MOVING)


@every("task", TASKS)
@every("strategy", ["vlash", "naive", "naive_arrival"])
def test_every_cell_is_one_that_can_be_played(task: str, strategy: str) -> None:
    for delay in DELAYS:
        check(_cell(task, delay, strategy=strategy))


def test_a_gap_is_what_the_second_lacks_in_points() -> None:
    assert _points(figures(97.5), figures(95.0)) == 2.5


def test_a_table_has_a_line_for_each_and_a_column_per_delay_and_nothing_where_nothing_was_played() -> None:
    cells = [
        {"what": what, "task": task, "delay": delay, **figures(success)}
        for what, task, delay, success in (
            ("scripted", "mole", 0, 90.0),
            ("scripted", "mole", 8, 80.0),
            ("flow", "mole", 8, 70.4),
            ("flow", "belt", 8, 10.0),
        )
    ]
    assert delay_table({"cells": cells, "rate_hz": 50.0}, "mole") == (
        "| mole | 0 ms | 160 ms |\n|---|---|---|\n"
        "| scripted | 90 <sub>88..92</sub> | 80 <sub>78..82</sub> |\n"
        "| flow |  | 70 <sub>68..72</sub> |"
    )


@pytest.mark.parametrize("argument", ["succes", "success=mole_flow", "checkpoints=mole_flaw"])
def test_what_cannot_be_made_is_refused_with_what_can(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([argument]) == 2
    assert "choose from" in capsys.readouterr().out
