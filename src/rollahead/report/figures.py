"""The table of figures: a row of texts for each cell."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollahead.report.comparison import Named, best, comparable

Figures = Mapping[str, Any]

NEVER = "never"
NONE = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Column:
    """One figure of the table.

    Attributes:
        heading: Heading of the column.
        unit: Unit of the figure.
        words: Function from a cell's figures to the text of the figure and a detail in small print.
        least: Function from a cell's figures to the value of which the best cell has least; None if no cell is best.
    """

    heading: str
    unit: str
    words: Callable[[Figures], tuple[str, str]]
    least: Callable[[Figures], float | None] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure of one cell, as text. good: whether it is the best of its setting."""

    heading: str
    unit: str
    value: str
    detail: str
    good: bool


@dataclass(frozen=True, slots=True)
class TableRow:
    """One cell.

    Attributes:
        series: Name of the series.
        options: Options of the strategy at this setting.
        winner: Whether it is the most successful of its setting.
        entries: Its figures.
    """

    series: str
    options: str
    winner: bool
    entries: tuple[Entry, ...]


def table(setting: Sequence[Named]) -> list[TableRow]:
    """Rows of one setting, with the best figures marked."""
    winners = best(setting)
    good = {column.heading: _least(column, setting) for column in COLUMNS}
    return [
        TableRow(
            named.series,
            named.options,
            named in winners,
            tuple(_entry(column, named, named in good[column.heading]) for column in COLUMNS),
        )
        for named in setting
    ]


def number(value: float | None, digits: int = 2, otherwise: str = NONE) -> str:
    """Formats `value` with so many `digits`, or `otherwise` for None."""
    return otherwise if value is None else f"{value:.{digits}f}"


def _entry(column: Column, named: Named, good: bool) -> Entry:
    value, detail = column.words(named.cell.figures)
    return Entry(column.heading, column.unit, value, detail, good)


def _least(column: Column, setting: Sequence[Named]) -> list[Named]:
    """Cells with the best figure, among those that may be compared; none if all are equal."""
    if column.least is None or len(setting) < 2:
        return []
    among = {
        id(named): value for named in comparable(setting) if (value := column.least(named.cell.figures)) is not None
    }
    least = [named for named in setting if among and among.get(id(named)) == min(among.values())]
    return least if len(least) < len(setting) else []


def _success(figures: Figures) -> tuple[str, str]:
    low, high = figures["success_ci"]
    return f"{figures['success']:.0f}", f"{low:.0f} to {high:.0f}"


def _time(figures: Figures) -> tuple[str, str]:
    low, high = figures["time_s_ci"]
    return number(figures["time_s"]), "" if low is None else f"{low:.2f} to {high:.2f}"


def _reaction(figures: Figures) -> tuple[str, str]:
    reaction = figures["reaction_s"]
    if reaction is None:
        return NONE, "not measured"
    p95, most = (number(reaction[name], 2, NEVER) for name in ("p95", "max"))
    return number(reaction["p50"], 2, NEVER), f"p95 {p95}, max {most}"


def _age(figures: Figures) -> tuple[str, str]:
    age = figures["age_ticks"]
    return number(age["p50"], 0), f"max {number(age['max'], 0)}"


def _jump(figures: Figures) -> tuple[str, str]:
    mean = figures.get("switch_step")
    if mean is None or "switch_step_max" not in figures:  # a run of an older version has no maximum
        return NONE, ""
    elsewhere = number(figures["median_step_elsewhere"], 3)
    return f"{mean:.3f} {figures['action_unit']}".rstrip(), f"max {figures['switch_step_max']:.3f}, within {elsewhere}"


def _plain(name: str, digits: int) -> Callable[[Figures], tuple[str, str]]:
    return lambda figures: (number(figures.get(name), digits), "")


def _reaction_p50(figures: Figures) -> float | None:
    return figures["reaction_s"] and figures["reaction_s"]["p50"]


COLUMNS = (
    Column("success", "%", _success, lambda figures: -figures["success"]),
    Column("task time", "s", _time, lambda figures: figures["time_s"]),
    Column("reaction p50", "s", _reaction, _reaction_p50),
    Column("age", "ticks", _age),
    Column("idle", "%", _plain("idle", 0)),
    Column("guard hits", "%", _plain("guard_hits", 0)),
    Column("jump at switches", "", _jump),
    Column("jerk", "/s³", _plain("jerk", 0)),
    Column("calls", "/s", _plain("calls_per_s", 1)),
    Column("rows lost", "", _plain("rows_lost", 0)),
    Column("planned d", "ticks", _plain("delay_planned", 0)),
)
