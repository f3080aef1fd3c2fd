import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from benchmarks.figures import CLOSE, Row, load, record, row, same, words

from benchmarks import figures
from every import every

ROOT = Path(__file__).parents[2]


def made(name: str = "speed", value: float | None = 2.0, **changes: object) -> Row:
    some = Row(name, value, None, "x", None, "python -m benchmarks.skeleton speedup", "a box", {}, 0, "2026-01-31")
    return replace(some, **changes)


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of results."""
    monkeypatch.setattr(figures, "RESULTS", tmp_path / "results")
    return tmp_path / "results"


# --- verdicts ---


@every(
    ("goal", "value", "verdict"),
    [
        (">= 2.03", 2.03, "met"),
        (">= 2.03", 2.02, "missed"),
        (">= 2.03", None, "missed"),
        ("<= 50", 50.0, "met"),
        ("<= 50", 50.1, "missed"),
        ("<= 50", None, "missed"),
        ("<= -1e-3", -0.01, "met"),
        (None, 1.0, ""),
        (None, None, ""),
    ],
)
def test_a_goal_is_met_or_missed_or_none(goal: str | None, value: float | None, verdict: str) -> None:
    assert made(value=value, goal=goal).verdict == verdict


@pytest.mark.parametrize("goal", ["> 2", "== 2", "2.03", ">=2.03"])
def test_a_goal_that_is_not_understood_is_an_error_and_no_verdict(goal: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        assert made(goal=goal).verdict


def test_a_row_in_words_tells_value_interval_unit_goal_and_verdict() -> None:
    line = words(made(value=2.12345, ci=[1.9, 2.3456789], goal=">= 2.03"))
    assert line.split() == ["speed", "2.123", "(1.9", "to", "2.346)", "x", "goal", ">=", "2.03:", "met"]
    assert words(made()).split() == ["speed", "2", "x"]
    assert words(made(value=None, goal="<= 3")).split() == ["speed", "none", "x", "goal", "<=", "3:", "missed"]


def test_a_row_measured_now_says_on_what_and_when() -> None:
    now = row("speed", 2.0, "x", command="python -m benchmarks.skeleton speedup", seed=3)
    assert now.machine
    assert {"rollahead", "numpy", "python"} <= set(now.versions)
    assert now.seed == 3
    assert len(now.date) == len("2026-01-31")
    assert set(asdict(now)) == set(
        ("name", "value", "ci", "unit", "goal", "command", "machine", "versions", "seed", "date")
    )


# --- files ---


def test_recorded_rows_are_loaded_as_they_were(results: Path) -> None:
    rows = [made("a", 1.0, ci=[0.5, 1.5], goal=">= 1"), made("b", None)]
    record("topic", rows)
    assert load(results) == rows
    assert [entry["name"] for entry in json.loads((results / "topic.json").read_text())] == ["a", "b"]


def test_a_new_row_takes_the_place_of_the_old_one_and_others_stay_where_they_are(results: Path) -> None:
    record("topic", [made("a"), made("b"), made("c")])
    record("topic", [made("d"), made("b", 9.0)])
    assert [(figure.name, figure.value) for figure in load(results)] == [("a", 2.0), ("b", 9.0), ("c", 2.0), ("d", 2.0)]


def test_topics_are_files_of_their_own_and_tables_are_none_of_them(results: Path) -> None:
    record("later", [made("z")])
    record("earlier", [made("a")])
    (results / "tables").mkdir()
    (results / "tables" / "whole.json").write_text('{"cells": []}')
    assert [figure.name for figure in load(results)] == ["a", "z"]


def test_without_results_there_are_no_rows(results: Path) -> None:
    assert load(results) == []


def test_recording_prints_each_row(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [made("a", goal=">= 1"), made("b")]
    record("topic", rows)
    assert capsys.readouterr().out.splitlines() == [words(figure) for figure in rows]


def test_all_rows_that_are_kept_in_the_repository_are_whole_and_named_once() -> None:
    rows = load()
    names = [figure.name for figure in rows]
    assert sorted(set(names)) == sorted(names)
    for figure in rows:
        assert figure.verdict in ("met", "missed", "")
        assert figure.command.startswith("python -m benchmarks.")
        assert figure.machine


# --- does it come again? ---


def interval(low: float, high: float) -> Row:
    return made(value=(low + high) / 2, ci=[low, high])


@every(
    ("old", "new", "again"),
    [
        ((1, 2), (1.5, 3), True),
        ((1.5, 3), (1, 2), True),
        ((1, 4), (2, 3), True),
        ((1, 2), (2, 3), True),  # the ends meet
        ((1, 2), (2.1, 3), False),
        ((2.1, 3), (1, 2), False),
        ((100, 102), (103, 105), True),  # within 15 %, if narrow
    ],
)
def test_figures_come_again_if_their_intervals_meet_or_their_values_are_within_15_percent(
    old: Sequence[float], new: Sequence[float], again: bool
) -> None:
    assert same(interval(*old), interval(*new)) == again


@pytest.mark.parametrize("value", [100.0, -100.0])
@pytest.mark.parametrize("narrow", [False, True])
def test_figures_come_again_if_they_are_within_15_percent_with_intervals_or_without(value: float, narrow: bool) -> None:
    assert CLOSE == 0.15
    for share, again in ((1.0, True), (1.14, True), (0.86, True), (1.16, False), (0.84, False), (-1.0, False)):
        ci = [[v - 0.1, v + 0.1] if narrow else None for v in (value, share * value)]
        assert same(made(value=value, ci=ci[0]), made(value=share * value, ci=ci[1])) == again


def test_one_interval_is_not_enough_to_compare_by() -> None:
    assert same(made(value=100.0, ci=[99, 101]), made(value=110.0))
    assert not same(made(value=100.0), made(value=130.0, ci=[90, 170]))


def test_a_goal_that_was_met_and_is_now_missed_did_not_come_again_however_near() -> None:
    old, new = (made(value=value, ci=[1.9, 2.2], goal=">= 2") for value in (2.01, 1.99))
    assert not same(old, new)
    assert not same(new, old)


def test_no_value_comes_again_as_no_value_only() -> None:
    assert same(made(value=None), made(value=None))
    assert not same(made(value=None), made(value=2.0))
    assert not same(made(value=2.0), made(value=None))


def figures_of(results: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m benchmarks.figures <arguments>` on the rows in `results`."""
    environment = os.environ | {"ROLLAHEAD_RESULTS": str(results)}
    command = [sys.executable, "-m", "benchmarks.figures", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("value", "status"), [(2.1, 0), (3.0, 1)])
def test_a_check_runs_the_command_of_the_row_again_elsewhere_and_compares(
    value: float, status: int, results: Path
) -> None:
    new = json.dumps([asdict(made(value=value))])
    code = f"import os, pathlib; pathlib.Path(os.environ['ROLLAHEAD_RESULTS'], 'topic.json').write_text({new!r})"
    record("topic", [made(command=f"python -c {shlex.quote(code)}")])
    before = (results / "topic.json").read_bytes()
    ran = figures_of(results, "check=speed")
    assert ran.returncode == status
    assert f"was:  {words(made())}\nnow:  {words(made(value=value))}" in ran.stdout
    assert (results / "topic.json").read_bytes() == before


def test_a_check_of_no_known_figure_says_so_in_a_sentence(results: Path) -> None:
    record("topic", [made()])
    ran = figures_of(results, "check=sped")
    assert ran.returncode != 0
    assert ran.stderr == "no figure is called 'sped'; `make figures` lists them\n"


def test_without_a_check_all_rows_are_printed(results: Path) -> None:
    rows = [made("a", goal=">= 3"), made("b", ci=[1.0, 3.0])]
    record("topic", rows)
    ran = figures_of(results)
    assert (ran.returncode, ran.stdout.splitlines()) == (0, [words(figure) for figure in rows])
