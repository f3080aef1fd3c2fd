"""Findings: sentences about the results, written from the numbers.

duel   one strategy compared with the most successful of the others, in one chart at one delay: ahead or behind if
       the 95 % interval of the difference leaves out 0, else level
"""

import enum
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from statistics import fmean, median

from rollahead.report.comparison import Named, by_setting, delay_words
from rollahead.report.study import Chart, Study
from rollahead.report.words import SHORT, listed

OURS = "vlash"  # the strategy that the others are compared with, if it is there


class Standing(enum.Enum):
    """Outcome of a duel."""

    AHEAD = "ahead"
    LEVEL = "level"
    BEHIND = "behind"


@dataclass(frozen=True, slots=True, eq=False)
class Duel:
    """Comparison of `one` with `other`, the best of the other strategies, at one delay of a chart."""

    chart: Chart
    one: Named
    other: Named

    @property
    def delay(self) -> float:
        """Delay in ticks."""
        return self.one.cell.delay_ticks or 0.0

    @property
    def points(self) -> float:
        """Difference in success in percentage points; positive if `one` succeeded more often."""
        return _success(self.one) - _success(self.other)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the points.

        Newcombe, Statistics in Medicine 1998, method 10, from the two Wilson intervals.
        """
        (low, high), (other_low, other_high) = (named.cell.figures["success_ci"] for named in (self.one, self.other))
        mine, other = _success(self.one), _success(self.other)
        down = math.hypot(mine - low, other_high - other)
        return self.points - down, self.points + math.hypot(high - mine, other - other_low)

    @property
    def standing(self) -> Standing:
        """Ahead or behind if the interval leaves out 0, else level."""
        low, high = self.interval
        if low > 0:
            return Standing.AHEAD
        return Standing.BEHIND if high < 0 else Standing.LEVEL

    @property
    def words(self) -> str:
        """Text such as '100 % against 42 % with naive'."""
        return f"{_success(self.one):.0f} % against {_success(self.other):.0f} % with {self.other.series}"


def champions(study: Study) -> list[str]:
    """Series that the others are compared with.

    The first is the series of our strategy (or of any, if it is not there) with the most cells, and among these the
    most successful. Then come other series of its strategy that joined its charts.
    """
    cells = [named for chart in study.charts for named in chart.cells]
    candidates = [named for named in cells if named.series not in study.joined]
    by_series: dict[str, list[Named]] = {}
    for named in [named for named in candidates if named.strategy == OURS] or candidates:
        by_series.setdefault(named.series, []).append(named)
    best = max(by_series.values(), key=lambda line: (len(line), fmean(map(_success, line))))[0]
    guests = dict.fromkeys(named.series for named in cells if named.strategy == best.strategy)
    return [best.series, *(series for series in guests if series in study.joined)]


def duels(charts: Iterable[Chart], one: str) -> list[Duel]:
    """Duels of the series `one` with other strategies, or, if there are none, with other series."""
    return [
        Duel(chart, mine, max(others, key=_success))
        for chart in charts
        for mine in chart.lines.get(one, ())
        if (others := _others(chart.at(mine.cell.delay_ticks or 0.0), mine))
    ]


def of_study(fought: Sequence[Duel], one: str) -> str:
    """Finding of a study in one sentence."""
    if not fought:
        return f"Success of {one} over delays; there is nothing to compare it with."
    ahead, level, behind = (sum(duel.standing is standing for duel in fought) for standing in Standing)
    where = f"ahead of the best other strategy in {ahead} of {len(fought)} comparisons"
    nowhere = f"in none of {len(fought)} comparisons clearly ahead of the best other strategy"
    others = [f"{word} in {n}" for word, n in (("level", level), ("behind", behind)) if n]
    most = max(fought, key=lambda duel: duel.points)
    lead = f"; most, by {_points(most)}, on {most.chart.condition.task} at {_where(most)}: {most.words}"
    return f"{one} is {listed([where if ahead else nowhere, *others])}{lead if ahead else ''}."


def of_task(fought: Sequence[Duel], one: str) -> str:
    """Findings of the charts of one task in a few sentences."""
    if not fought:
        return ""
    if all(duel.standing is Standing.LEVEL for duel in fought):
        return f"{one} is nowhere clearly ahead of the best other strategy, nor behind it."
    return " ".join([_ahead(fought, one), _behind(fought), *_by_delay(fought)])


def of_chart(fought: Sequence[Duel], one: str) -> str:
    """Finding of one chart in a short sentence."""
    parts = [_span(fought, standing) for standing in (Standing.AHEAD, Standing.BEHIND)]
    return f"{one}: {'; '.join(filter(None, parts)) or 'no clear difference'}." if fought else ""


def _span(fought: Sequence[Duel], standing: Standing) -> str:
    """Text such as 'ahead at 8 and 12 ticks, by up to 40 points'; empty if there is no such duel."""
    some = [duel for duel in fought if duel.standing is standing]
    if not some:
        return ""
    most = max(some, key=lambda duel: abs(duel.points))
    delays = listed([f"{duel.delay:g}" for duel in some])
    return f"{standing.value} at {delays} ticks, by {'up to ' if len(some) > 1 else ''}{_points(most)}"


def headline(cells: Sequence[Named], shown: Sequence[Named] = ()) -> str:
    """Finding of a run or a small sweep in one sentence.

    shown: two cells of one setting, if there are two to set side by side.
    """
    pair = shown if len(shown) == 2 else _widest(cells)
    if len(pair) == 2:
        worse, better = pair
        return (
            f"{_under(worse)}the robot succeeds in {_success(worse):.0f} % of episodes with {_who(worse)}, and in "
            f"{_success(better):.0f} % with {_who(better)}."
        )
    return _alone(cells)


def _alone(cells: Sequence[Named]) -> str:
    first, last = cells[0], cells[-1]
    if len(cells) == 1:
        return f"{_under(first)}the robot succeeds in {_success(first):.0f} % of episodes with {_who(first)}."
    ends = f"{_success(first):.0f} % of episodes at {delay_words(first)}, and in {_success(last):.0f} % at "
    return f"With {first.series} the robot succeeds in {ends}{delay_words(last)}."


def _widest(cells: Sequence[Named]) -> list[Named]:
    """Least and most successful cell of the setting where they are farthest apart."""
    groups = [sorted(group, key=_success) for group in by_setting(cells) if len(group) > 1]
    if not groups:
        return []
    widest = max(groups, key=lambda group: _success(group[-1]) - _success(group[0]))
    return [widest[0], widest[-1]]


def _under(named: Named) -> str:
    """Beginning of a sentence, such as 'With 160 ms of inference, '."""
    ms, where = named.cell.delay_ms, f" ({named.condition.words})" if named.condition.words else ""
    if ms is None:
        return f"At a latency of {named.setting}, "
    return f"With {'a median of ' if _varies(named) else ''}{ms:.0f} ms of inference{where}, "


def _varies(named: Named) -> bool:
    return bool(named.cell.latency["name"] != "fixed")


def _who(named: Named) -> str:
    return f"{named.series} ({SHORT[named.strategy]})" if named.strategy in SHORT else named.series


def _ahead(fought: Sequence[Duel], one: str) -> str:
    ahead = [duel for duel in fought if duel.standing is Standing.AHEAD]
    if not ahead:
        return f"{one} is nowhere clearly ahead of the best other strategy."
    most = max(ahead, key=lambda duel: duel.points)
    middle = f"{median(duel.points for duel in ahead):.0f} points in the median and " if len(ahead) > 1 else ""
    return (
        f"{one} is ahead of the best other strategy in {len(ahead)} of {len(fought)} comparisons, by {middle}"
        f"{_points(most)}{' at most' if middle else ''}: at {_where(most)}, {most.words}."
    )


def _behind(fought: Sequence[Duel]) -> str:
    behind = [duel for duel in fought if duel.standing is Standing.BEHIND]
    if not behind:
        return "It is nowhere clearly behind."
    most = min(behind, key=lambda duel: duel.points)
    rivals = listed(list(dict.fromkeys(duel.other.series for duel in behind)))
    return (
        f"It is behind {rivals} in {len(behind)}, by {_points(most)}{' at most' if len(behind) > 1 else ''}: "
        f"at {_where(most)}, {most.words}."
    )


def _by_delay(fought: Sequence[Duel]) -> list[str]:
    """Sentences about the delays up to which nothing differs, and those at which one is ahead everywhere."""
    standing: dict[float, set[Standing]] = {}
    for duel in sorted(fought, key=lambda duel: duel.delay):
        standing.setdefault(duel.delay, set()).add(duel.standing)
    level = list(takewhile(lambda delay: standing[delay] == {Standing.LEVEL}, standing))
    ahead = [f"{delay:g}" for delay, seen in standing.items() if seen == {Standing.AHEAD}]
    up_to = "Up to" if len(level) > 1 else "At"
    first = [f"{up_to} {level[-1]:g} ticks nothing differs clearly."] if level else []
    second = [f"At {listed(ahead)} ticks it is ahead in every panel."] if ahead else []
    return [*first, *second]


def _where(duel: Duel) -> str:
    return f"{delay_words(duel.one)}, {duel.chart.condition.scene}"


def _points(duel: Duel) -> str:
    points = f"{abs(duel.points):.0f}"
    return f"{points} point{'' if points == '1' else 's'}"


def _others(cells: Sequence[Named], mine: Named) -> list[Named]:
    rivals = [named for named in cells if named.strategy != mine.strategy]
    return rivals or [named for named in cells if named is not mine]


def _success(named: Named) -> float:
    return float(named.cell.figures["success"])
