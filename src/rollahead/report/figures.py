"""The table of figures: a row per cell, as words."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollahead.report.comparison import Named, best, comparable

Figures = Mapping[str, Any]

NEVER = "never"
NONE = "\N{EN DASH}"


@dataclass(frozen=True, slots=True)
class Column:
    """One figure. words: what a cell's figures say, and in small what goes with it; least: what the best has least of,
    if it may be compared."""

    heading: str
    unit: str
    words: Callable[[Figures], tuple[str, str]]
    least: Callable[[Figures], float | None] | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One figure of one cell, as words; good: the best of its setting."""

    heading: str
    unit: str
    value: str
    detail: str
    good: bool


@dataclass(frozen=True, slots=True)
class TableRow:
    """One cell. options: of its strategy, at this setting only; winner: the most successful of its setting."""

    series: str
    options: str
    winner: bool
    entries: tuple[Entry, ...]


def table(setting: Sequence[Named]) -> list[TableRow]:
    """The rows of one setting, the best figures marked."""
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
    """`value` with so many digits."""
    return otherwise if value is None else f"{value:.{digits}f}"


def _entry(column: Column, named: Named, good: bool) -> Entry:
    value, detail = column.words(named.cell.figures)
    return Entry(column.heading, column.unit, value, detail, good)


def _least(column: Column, setting: Sequence[Named]) -> list[Named]:
    """The cells with the best figure, among those that may be compared; none if it makes no difference."""
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
    if mean is None or "switch_step_max" not in figures:  # as in a run of an older version
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
