"""Chapters of a study's page: one for each task, with its charts, their findings, and their figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rollahead.report.findings import Duel, Standing, champions, duels, of_chart, of_study, of_task
from rollahead.report.grid import Grid, grid
from rollahead.report.panels import Axes, draw
from rollahead.report.study import Chart, Study

SHARES = (15, 45)  # percent of the colour behind a comparison, at 0 and at 100 points; text must be readable on it


@dataclass(frozen=True, slots=True)
class Lead:
    """One comparison in the overview.

    Attributes:
        points: Difference in success in percentage points, with its sign.
        share: Strength of the colour behind them, in percent.
        standing: `ahead`, `level` or `behind`.
        words: Text of the tooltip.
    """

    points: str
    share: int
    standing: str
    words: str


@dataclass(frozen=True, slots=True)
class LeadRow:
    """Comparisons of one series in one chart, by the delays of the study; None where nothing is compared."""

    series: str
    leads: tuple[Lead | None, ...]


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart of a chapter.

    Attributes:
        planner: Name of the planner, with its roller if that differs between charts.
        latency: Name of the kind of latency.
        rows: Comparisons of each series that is compared.
        svg: Drawing of the chart.
        words: One sentence for each series that is compared.
        grid: Table of success.
    """

    planner: str
    latency: str
    rows: tuple[LeadRow, ...]
    svg: str
    words: tuple[str, ...]
    grid: Grid


@dataclass(frozen=True, slots=True)
class Chapter:
    """One task of a study.

    Attributes:
        task: Name of the task.
        words: One paragraph for each series that is compared.
        panels: Its charts.
    """

    task: str
    words: tuple[str, ...]
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class StudyView:
    """Values of a study for the template.

    Attributes:
        one: Series that the others are compared with first.
        compared: Whether it is compared with anything.
        sentence: Finding of the study in one sentence.
        series: Names of all series.
        delays: Delays in ticks.
        chapters: One chapter per task.
    """

    one: str
    compared: bool
    sentence: str
    series: tuple[str, ...]
    delays: tuple[str, ...]
    chapters: tuple[Chapter, ...]


def chapters(study: Study, styles: Mapping[str, int]) -> StudyView:
    """View of `study` for the template. styles: the colour and mark of each series."""
    ours = champions(study)
    axes = Axes(study.delays, study.series)
    first = duels(study.charts, ours[0])
    return StudyView(
        one=ours[0],
        compared=bool(first),
        sentence=of_study(first, ours[0]),
        series=study.series,
        delays=tuple(f"{delay:g}" for delay in study.delays),
        chapters=tuple(
            Chapter(
                task=task,
                words=tuple(filter(None, [of_task(duels(charts, one), one) for one in ours])),
                panels=tuple(_panel(chart, ours, axes, styles) for chart in charts),
            )
            for task, charts in study.tasks.items()
        ),
    )


def _panel(chart: Chart, ours: Sequence[str], axes: Axes, styles: Mapping[str, int]) -> Panel:
    condition = chart.condition
    fought = {one: some for one in ours if (some := duels([chart], one))}
    return Panel(
        planner=", ".join(filter(None, [condition.planner, condition.setting])),
        latency=condition.latency,
        rows=tuple(_row(one, some, axes.delays) for one, some in fought.items()),
        svg=draw(chart, axes, styles, f"Success over delay on {condition.task}: {condition.scene}"),
        words=tuple(of_chart(some, one) for one, some in fought.items()),
        grid=grid(chart.lines),
    )


def _row(series: str, fought: Sequence[Duel], delays: Sequence[float]) -> LeadRow:
    leads = {duel.delay: _lead(duel) for duel in fought}
    return LeadRow(series, tuple(leads.get(delay) for delay in delays))


def _lead(duel: Duel) -> Lead:
    points = round(duel.points)
    clear = duel.standing is not Standing.LEVEL
    return Lead(
        points=f"{points:+d}".replace("-", "\N{MINUS SIGN}") if points else "0",
        share=round(SHARES[0] + (SHARES[1] - SHARES[0]) * abs(points) / 100) if clear else 0,
        standing=duel.standing.value,
        words=f"{duel.standing.value}: {duel.words}",
    )
