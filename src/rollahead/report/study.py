"""A study: a sweep over delays under several conditions, such as tasks, planners and kinds of latency.

    chart   one condition: a line over delay for each strategy
    study   all charts, which are drawn with the same axes

A strategy that was run alone under another roller has nothing to be compared with there: its line joins the chart of
the others.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from rollahead.report.comparison import Named
from rollahead.report.conditions import Condition
from rollahead.report.load import CellResult


@dataclass(frozen=True, slots=True, eq=False)
class Chart:
    """Lines over delay under one condition. lines: by series, each sorted by delay."""

    condition: Condition
    lines: dict[str, tuple[Named, ...]]

    @property
    def cells(self) -> list[Named]:
        """All cells, line by line."""
        return [named for line in self.lines.values() for named in line]

    @property
    def delays(self) -> list[float]:
        """Delays that were measured, in ticks."""
        return sorted({_delay(named) for named in self.cells})

    @property
    def rate_hz(self) -> float:
        """Rate of the control loop."""
        return self.cells[0].cell.rate_hz

    def at(self, delay: float) -> list[Named]:
        """Cells at a delay, in the order of the series."""
        return [named for named in self.cells if _delay(named) == delay]


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """All charts of a sweep.

    Attributes:
        charts: The charts.
        series: Names of all series.
        joined: Names of the series that joined the chart of another roller.
        rest: Cells that have no place on an axis of delays.
    """

    charts: tuple[Chart, ...]
    series: tuple[str, ...]
    joined: tuple[str, ...]
    rest: tuple[Named, ...]

    @property
    def guests(self) -> list[Named]:
        """Cells of the series that joined another chart."""
        return [named for chart in self.charts for named in chart.cells if named.series in self.joined]

    @property
    def delays(self) -> list[float]:
        """Delays of all charts, in ticks."""
        return sorted({delay for chart in self.charts for delay in chart.delays})

    @property
    def tasks(self) -> dict[str, list[Chart]]:
        """Charts by task."""
        found: dict[str, list[Chart]] = {}
        for chart in self.charts:
            found.setdefault(chart.condition.task, []).append(chart)
        return found


def study_of(cells: Sequence[CellResult], named: Sequence[Named]) -> Study | None:
    """Study of `cells`, in the order in which they were run.

    None if there are not at least two conditions with several delays to compare.
    """
    by_cell = {id(each.cell): each for each in named}
    placed = [by_cell[id(cell)] for cell in cells if cell.delay_ticks is not None]
    charts = _charts(placed)
    if sum(len(chart.delays) > 1 for chart in charts) < 2:
        return None
    own = dict.fromkeys(each.series for each in placed)
    charts = _joined(charts)
    joined = dict.fromkeys(series for chart in charts for series in chart.lines if series not in own)
    rest = tuple(each for each in named if each.cell.delay_ticks is None)
    return Study(charts, (*own, *joined), tuple(joined), rest)


def _joined(charts: Sequence[Chart]) -> tuple[Chart, ...]:
    """Charts, after those with a single line joined the first that differs in nothing but the roller."""
    hosts = {id(chart): _host(chart, charts) for chart in charts}
    left = [chart for chart in charts if hosts[id(chart)] is None]
    several = len({chart.condition.roller for chart in left}) > 1
    return tuple(
        Chart(
            condition=chart.condition if several else replace(chart.condition, roller=""),
            lines=chart.lines | _renamed([one for one in charts if hosts[id(one)] is chart], chart),
        )
        for chart in left
    )


def _host(guest: Chart, charts: Sequence[Chart]) -> Chart | None:
    """Chart that `guest` joins, or None."""
    alone, same = len(guest.lines) == 1, replace(guest.condition, roller="", words="")
    others = (chart for chart in charts if replace(chart.condition, roller="", words="") == same)
    return next((chart for chart in others if alone and len(chart.lines) > 1), None)


def _renamed(guests: Sequence[Chart], host: Chart) -> dict[str, tuple[Named, ...]]:
    """Lines of `guests`, by series that name their rollers."""
    named = [
        replace(each, series=f"{each.series} ({guest.condition.roller})", condition=host.condition)
        for guest in guests
        for each in guest.cells
    ]
    return _lines(named)


def _charts(placed: Sequence[Named]) -> tuple[Chart, ...]:
    """Charts by task, planner and kind of latency, each in the order in which it came."""
    found: dict[Condition, list[Named]] = {}
    for each in placed:
        found.setdefault(each.condition, []).append(each)
    tasks, planners, latencies = (
        list(dict.fromkeys(getattr(condition, name) for condition in found)) for name in ("task", "planner", "latency")
    )

    def rank(condition: Condition) -> tuple[int, int, int]:
        return (
            tasks.index(condition.task),
            planners.index(condition.planner),
            latencies.index(condition.latency),
        )

    return tuple(Chart(condition, _lines(found[condition])) for condition in sorted(found, key=rank))


def _lines(cells: Iterable[Named]) -> dict[str, tuple[Named, ...]]:
    lines: dict[str, list[Named]] = {}
    for named in cells:
        lines.setdefault(named.series, []).append(named)
    return {series: tuple(sorted(line, key=_delay)) for series, line in lines.items()}


def _delay(named: Named) -> float:
    return named.cell.delay_ticks or 0.0
