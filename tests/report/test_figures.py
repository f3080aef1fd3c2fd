from dataclasses import replace
from typing import Any

from rollahead.report.comparison import name_cells
from rollahead.report.figures import NONE, TableRow, number, table

from .records import FIGURES, result


def rows(*figures: dict[str, Any]) -> list[TableRow]:
    return table(name_cells([result(name, figures=each) for name, each in zip("abcd", figures, strict=False)]))


def said(row: TableRow, heading: str) -> tuple[str, str]:
    entry = next(entry for entry in row.entries if entry.heading == heading)
    return entry.value, entry.detail


def good(row: TableRow) -> list[str]:
    return [entry.heading for entry in row.entries if entry.good]


def test_success_stands_with_its_interval() -> None:
    (row,) = rows({"success": 84.0, "success_ci": [71.5, 91.7]})
    assert said(row, "success") == ("84", "72 to 92")


def test_a_reaction_that_did_not_come_is_never() -> None:
    (row,) = rows({"reaction_s": {"p50": 0.26, "p95": None, "max": None}})
    assert said(row, "reaction p50") == ("0.26", "p95 never, max never")


def test_a_reaction_that_was_not_asked_for_is_not_never() -> None:
    (row,) = rows({"reaction_s": None})
    assert said(row, "reaction p50") == (NONE, "not measured")


def test_without_a_success_there_is_no_task_time() -> None:
    (row,) = rows({"success": 0.0, "time_s": None, "time_s_ci": [None, None]})
    assert said(row, "task time") == (NONE, "")


def test_every_figure_of_the_summary_is_in_the_row() -> None:
    (row,) = rows(FIGURES)
    values = [entry.value for entry in row.entries]
    assert values == ["100", "0.70", "0.20", "7", "0", "17", "0.104 m", "60", "6.0", "0", "4"]


def test_a_jump_stands_beside_the_largest_and_the_step_within_a_plan() -> None:
    (row,) = rows({})
    assert said(row, "jump at switches") == ("0.104 m", "max 0.160, within 0.001")
    (never,) = rows({"switch_step": None, "switch_step_max": None})
    assert said(never, "jump at switches") == (NONE, "")


def test_a_run_of_a_version_without_guard_hits_has_a_dash_there() -> None:
    older = {key: value for key, value in FIGURES.items() if key not in ("guard_hits", "switch_step_max")}
    (named,) = name_cells([replace(result(), figures=older)])
    (row,) = table([named])
    assert said(row, "guard hits") == said(row, "jump at switches") == (NONE, "")


def test_the_most_successful_is_the_winner() -> None:
    assert [row.winner for row in rows({"success": 90.0}, {"success": 95.0})] == [False, True]


def test_the_shortest_time_counts_only_within_two_points_of_the_best_success() -> None:
    slow, close, fast = rows(
        {"success": 100.0, "time_s": 0.9}, {"success": 99.0, "time_s": 0.8}, {"success": 50.0, "time_s": 0.1}
    )
    assert "task time" not in good(slow)
    assert "task time" in good(close)
    assert "task time" not in good(fast)


def test_where_all_are_equal_nothing_is_marked() -> None:
    for row in rows({}, {}):
        assert not good(row)
        assert not row.winner


def test_a_single_cell_is_compared_with_nothing() -> None:
    assert not good(rows({})[0])


def test_a_number_that_is_not_there_is_a_dash() -> None:
    assert number(1.234) == "1.23"
    assert number(None) == NONE
