from rollahead.report.comparison import name_cells, over_delay
from rollahead.report.grid import Grid, grid
from rollahead.report.load import CellResult

from .records import result, shared


def of(*cells: CellResult) -> Grid:
    return grid(over_delay(name_cells(cells)))


def test_a_grid_has_a_row_for_each_strategy_and_a_column_for_each_delay() -> None:
    found = of(*(result(name, ticks) for name in ("sync", "vlash") for ticks in (8, 0)))
    assert [row.series for row in found.rows] == ["sync", "vlash"]
    assert [(column.ticks, column.ms) for column in found.columns] == [("0", "0"), ("8", "160")]


def test_an_entry_is_the_success_with_its_interval_and_the_s() -> None:
    (row,) = of(result(ticks=0, s=2), result(ticks=8, s=8, figures=shared(160))).rows
    entry = row.entries[1]
    assert entry
    assert (entry.value, entry.detail, entry.options) == ("80", "74 to 85", "s=8")


def test_what_was_not_measured_is_none() -> None:
    found = of(result("sync", 0), result("sync", 8), result("vlash", 0), result("vlash", 4))
    assert [[bool(entry) for entry in row.entries] for row in found.rows] == [[True, False, True], [True, True, False]]


def test_the_highest_at_a_delay_are_marked_unless_all_are_equal() -> None:
    high, close, low = shared(200), shared(200), shared(100)
    found = of(
        *(result("a", ticks, figures=high) for ticks in (0, 8)),
        *(result("b", ticks, figures=close) for ticks in (0, 8)),
        *(result("c", ticks, figures=figures) for ticks, figures in ((0, high), (8, low))),
    )
    assert [[entry.good for entry in row.entries if entry] for row in found.rows] == [
        [False, True],
        [False, True],
        [False, False],
    ]


def test_what_is_written_alike_is_marked_alike() -> None:
    found = of(
        *(result("a", ticks, figures={"success": 99.8}) for ticks in (0, 8)),
        *(result("b", ticks, figures={"success": 100.0}) for ticks in (0, 8)),
    )
    assert not any(entry.good for row in found.rows for entry in row.entries if entry)


def test_what_was_tried_is_told_with_decays_where_there_were_several() -> None:
    tried = [{"s": s, "decay": 0.01, "success": 50.0 + s, "time_s": None} for s in (4, 8)]
    decayed = [{"s": 4, "decay": decay, "success": 50.0, "time_s": 0.5} for decay in (0.01, -0.5)]
    (row,) = of(result(ticks=0, search=tried), result(ticks=8, search=decayed)).rows
    told = [entry.tried for entry in row.entries if entry]
    assert told == [("4: 54", "8: 58"), ("4 (0.01): 50", "4 (\N{MINUS SIGN}0.5): 50")]


def test_a_grid_knows_whether_anything_was_searched() -> None:
    tried = [{"s": 4, "decay": 0.01, "success": 50.0, "time_s": 0.5}]
    assert of(result(ticks=0, search=tried), result(ticks=8)).searched
    assert not of(result(ticks=0), result(ticks=8)).searched
