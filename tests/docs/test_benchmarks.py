"""The tables of docs/benchmarks.md are those that the benchmarks have left."""

import json
from typing import Any

import pytest
from benchmarks.figures import RESULTS, table
from benchmarks.pages import DOCS

from benchmarks import absolute, carried, recipes

PAGE = (DOCS / "benchmarks.md").read_text()


def left(name: str) -> Any:
    return json.loads((RESULTS / "tables" / f"{name}.json").read_text())


@pytest.mark.parametrize("task", ["mole", "interception", "belt"])
def test_absolute_targets_with_and_without_limits_are_as_they_were_measured(task: str) -> None:
    assert absolute.table(left("claims_absolute"), task) in PAGE


def test_carried_objects_are_as_they_were_measured() -> None:
    assert carried.table(left("claims_carried")) in PAGE


def test_correction_heads_are_as_they_were_measured() -> None:
    assert recipes.table("a2c2") in PAGE


@pytest.mark.parametrize("topic", ["claims", "first_hour"])
def test_the_figures_of_a_topic_are_those_of_the_results(topic: str) -> None:
    assert table(topic) in PAGE
