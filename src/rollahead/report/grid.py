"""Success as a table: a row for each strategy, a column for each delay."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollahead.report.comparison import Named


@dataclass(frozen=True, slots=True)
class Column:
    """One delay, in ticks and in milliseconds."""

    ticks: str
    ms: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One cell of the table.

    Attributes:
        value: Success in percent.
        detail: Its 95 % interval.
        options: Options of the strategy at this delay.
        tried: Result of each candidate of a search.
        good: Whether it is the highest at this delay.
    """

    value: str
    detail: str
    options: str
    tried: tuple[str, ...]
    good: bool


@dataclass(frozen=True, slots=True)
class GridRow:
    """One strategy. entries: its cells, None where nothing was measured."""

    series: str
    entries: tuple[Entry | None, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """The table of success. columns: sorted by delay."""

    columns: tuple[Column, ...]
    rows: tuple[GridRow, ...]

    @property
    def searched(self) -> bool:
        """Whether a search tried candidates for any of its cells."""
        return any(entry.tried for row in self.rows for entry in row.entries if entry)


def grid(lines: Mapping[str, Sequence[Named]]) -> Grid:
    """Table of `lines`, whose cells all have a delay."""
    cells = [named for line in lines.values() for named in line]
    delays = sorted({_delay(named) for named in cells})
    best = {delay: _best([named for named in cells if _delay(named) == delay]) for delay in delays}
    rate_hz = cells[0].cell.rate_hz
    return Grid(
        columns=tuple(Column(f"{delay:g}", f"{1000 * delay / rate_hz:.0f}") for delay in delays),
        rows=tuple(
            GridRow(series, tuple(_entry(line, delay, best[delay]) for delay in delays))
            for series, line in lines.items()
        ),
    )


def _entry(line: Sequence[Named], delay: float, best: str | None) -> Entry | None:
    named = next((each for each in line if _delay(each) == delay), None)
    if named is None:
        return None
    low, high = named.cell.figures["success_ci"]
    return Entry(
        value=_success(named),
        detail=f"{low:.0f} to {high:.0f}",
        options=named.options,
        tried=tuple(_tried(one, named) for one in named.cell.search),
        good=_success(named) == best,
    )


def _success(named: Named) -> str:
    return f"{named.cell.figures['success']:.0f}"


def _best(cells: Sequence[Named]) -> str | None:
    """Highest success as it is written; None if all are equal."""
    found = {_success(named) for named in cells}
    return max(found, key=float) if len(found) > 1 else None


def _tried(one: Mapping[str, Any], named: Named) -> str:
    """Text of one candidate: '8: 92', or '8 (-0.5): 92' where decays were tried too."""
    decays = {each.get("decay") for each in named.cell.search}
    decay = f" ({one['decay']:g})" if len(decays) > 1 else ""
    return f"{one['s']}{decay}: {one['success']:.0f}".replace("-", "\N{MINUS SIGN}")


def _delay(named: Named) -> float:
    return named.cell.delay_ticks or 0.0
