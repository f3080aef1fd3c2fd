from dataclasses import replace
from pathlib import Path

from rollahead.report.comparison import name_cells
from rollahead.report.load import CellResult, load
from rollahead.report.study import Study, study_of

from .records import STUDIED, result


def study(*cells: CellResult) -> Study | None:
    return study_of(cells, name_cells(cells))


def on(task: str, *ticks: int | None, name: str = "vlash") -> list[CellResult]:
    return [replace(result(name, each), task={"name": task}) for each in ticks]


def test_a_sweep_over_all_is_a_chart_for_each_condition(study: Path) -> None:
    cells = load(study).cells
    found = study_of(cells, name_cells(cells))
    assert found
    assert [(chart.condition.task, chart.condition.planner, chart.condition.latency) for chart in found.charts] == [
        (task, planner, latency)
        for task in ("mole", "belt")
        for planner in ("scripted", f"{task}_flow")
        for latency in ("fixed", "lognormal")
    ]
    assert found.delays == [0, 8, 12]
    assert found.series == STUDIED
    assert all(len(chart.cells) == 15 for chart in found.charts)


def test_charts_come_in_the_order_of_the_runs_and_lines_by_rising_delay() -> None:
    found = study(*on("mole", 8, 0), *on("belt", 8, 0))
    assert found
    assert list(found.tasks) == ["mole", "belt"]
    (line,) = found.charts[0].lines.values()
    assert [named.cell.delay_ticks for named in line] == [0, 8]


def test_one_condition_is_no_study() -> None:
    assert study(*on("mole", 0, 4, 8)) is None


def test_conditions_of_one_delay_each_are_no_study() -> None:
    assert study(*on("mole", 8), *on("belt", 8)) is None
    assert study(*on("mole", 0, 8), *on("belt", 8)) is None


def test_what_has_no_delay_is_left_aside() -> None:
    found = study(*on("mole", 0, 8, None), *on("belt", 0, 8))
    assert found
    assert [named.cell.delay_ticks for named in found.rest] == [None]
    assert all(None not in chart.delays for chart in found.charts)


def test_a_chart_knows_what_stands_at_a_delay() -> None:
    found = study(*on("mole", 0, 8), *on("mole", 8, name="sync"), *on("belt", 0, 8))
    assert found
    assert [named.series for named in found.charts[0].at(8)] == ["vlash", "sync"]
    assert found.charts[0].rate_hz == 50.0


def rolled(cells: list[CellResult], roller: str) -> list[CellResult]:
    return [replace(cell, roller={"name": roller}) for cell in cells]


def test_a_strategy_alone_under_another_roller_joins_the_chart_of_the_others() -> None:
    belt = [*on("belt", 0, 8), *on("belt", 0, 8, name="sync")]
    found = study(*rolled(on("belt", 0, 8), "scene"), *belt, *on("mole", 0, 8))
    assert found
    assert [list(chart.lines) for chart in found.charts] == [["vlash", "sync", "vlash (roller scene)"], ["vlash"]]
    assert (found.series, found.joined) == (("vlash", "sync", "vlash (roller scene)"), ("vlash (roller scene)",))
    assert {chart.condition.roller for chart in found.charts} == {""}  # there is nothing to tell apart any more
    assert all(each.cell.roller["name"] == "scene" for each in found.charts[0].lines["vlash (roller scene)"])


def test_strategies_that_share_another_roller_have_charts_of_their_own() -> None:
    both = [*on("belt", 0, 8), *on("belt", 0, 8, name="sync")]
    found = study(*both, *rolled(both, "scene"))
    assert found
    assert [chart.condition.roller for chart in found.charts] == ["roller robot", "roller scene"]
    assert found.joined == ()
