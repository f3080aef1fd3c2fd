"""What docs/choosing.md says in words of latencies that vary is what stands in its tables."""

import re

import pytest
from benchmarks.pages import DOCS

PAGE = (DOCS / "choosing.md").read_text().partition("## When the latency varies")[2].partition("\n## ")[0]
WORDS = " ".join(PAGE.split())
STRATEGIES = ("vlash", "sync", "naive")
COLUMNS = ("fixed", "lognormal", "spikes", "recorded")
TABLES = {
    task: {
        name: dict(zip(COLUMNS, map(int, re.findall(r" (\d+) <sub>", cells)), strict=True))
        for name, cells in re.findall(r"^\| (`\w+`[^|]*) \|(.*)$", table, re.M)
    }
    for task, table in re.findall(r"\*\*([\w-]+)\*\*\n\n((?:\|.*\n)+)", PAGE)
}


def lost(task: str, strategy: str, column: str) -> int:
    """Points against the same strategy under a latency that is fixed."""
    row = TABLES[task][f"`{strategy}`"]
    return row["fixed"] - row[column]


def test_a_mild_tail_costs_vlash_little_and_others_more() -> None:
    most = max(lost(task, "vlash", "lognormal") for task in TABLES)
    naive, arrival = lost("Whack-a-mole", "naive", "lognormal"), lost("Belt", "naive_arrival", "lognormal")
    assert f"costs `vlash` {most} points at most, and others more: `naive` {naive} on whack-a-mole" in WORDS
    assert f"`naive_arrival` {arrival} on the belt" in WORDS
    assert most < naive < arrival


@pytest.mark.parametrize("task", TABLES)
def test_spikes_cost_every_strategy_something(task: str) -> None:
    assert all(row["spikes"] < row["fixed"] for row in TABLES[task].values())


def test_a_heavy_tail_costs_most_where_most_was_to_be_lost() -> None:
    mole, belt = ({name: lost(task, name, "recorded") for name in STRATEGIES} for task in ("Whack-a-mole", "Belt"))
    said = "on whack-a-mole it takes {vlash} points of `vlash`, {sync} of `sync` and {naive} of `naive`"
    assert said.format_map(mole) in WORDS
    assert "on the belt {vlash} of `vlash` and {naive} of `naive`".format_map(belt) in WORDS


@pytest.mark.parametrize("task", TABLES)
def test_vlash_is_the_best_under_it(task: str) -> None:
    found = {name: row["recorded"] for name, row in TABLES[task].items()}
    assert found["`vlash`"] == max(found.values())


def test_on_interception_by_no_more_than_chance() -> None:
    found = {name: row["recorded"] for name, row in TABLES["Interception"].items()}
    assert "with {`vlash`} % by no more than chance (`sync` has {`sync`} %)".format_map(found) in WORDS


def test_all_tables_are_read() -> None:
    assert {task: len(rows) for task, rows in TABLES.items()} == {"Whack-a-mole": 5, "Interception": 6, "Belt": 6}
