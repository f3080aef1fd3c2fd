"""Draws the panels of a study as SVG: success over delay, a line for each strategy, all with the same axes.

The drawing has lines, bars and marks only, whose colours the page gives. The values of a point are in its title, which
a browser shows under the pointer.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from rollahead.report.comparison import Named, delay_words
from rollahead.report.study import Chart
from rollahead.report.theme import element, text

WIDTH, HEIGHT = 276.0, 190.0  # px
LEFT, RIGHT, TOP, BOTTOM = 36.0, 12.0, 9.0, 36.0  # margins in px, for labels
MARK = 3.6  # half the size of a mark, in px
ASIDE = 1.7  # offset in px from one line to the next, so that equal ones are all visible
APART = 27.0  # least distance in px from label to label
LEVELS = (0, 25, 50, 75, 100)  # percent
MARKS = (  # paths that look like matplotlib's MARKERS in `theme`, for half a mark of 1
    "M-1 0A1 1 0 1 0 1 0A1 1 0 1 0 -1 0Z",
    "M-.9 -.9H.9V.9H-.9Z",
    "M0 -1.25L1.25 0L0 1.25L-1.25 0Z",
    "M0 -1.15L1.1 .85H-1.1Z",
    "M0 1.15L1.1 -.85H-1.1Z",
    "M-.4 -1.1H.4V-.4H1.1V.4H.4V1.1H-.4V.4H-1.1V-.4H-.4Z",
)


@dataclass(frozen=True, slots=True)
class Axes:
    """Axes that the panels share.

    Attributes:
        delays: All delays of the study, in ticks, rising.
        series: All series, in the order of their offsets.
    """

    delays: Sequence[float]
    series: Sequence[str]

    def x(self, delay: float) -> float:
        """Horizontal position of a delay, in px."""
        low, high = self.delays[0], self.delays[-1]
        return LEFT + 8 + (WIDTH - LEFT - RIGHT - 16) * (delay - low) / ((high - low) or 1.0)

    def y(self, percent: float) -> float:
        """Vertical position of a success in percent, in px."""
        return TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - percent / 100.0)

    def aside(self, series: str) -> float:
        """Horizontal offset of a series from its delay, in px."""
        return ASIDE * (self.series.index(series) - (len(self.series) - 1) / 2)

    @property
    def labelled(self) -> list[float]:
        """Delays that have room for a label: the last, and those before it that are far enough from the next."""
        found = [self.delays[-1]]
        for delay in reversed(self.delays[:-1]):
            if self.x(found[-1]) - self.x(delay) >= APART:
                found.append(delay)
        return found[::-1]


def draw(chart: Chart, axes: Axes, styles: Mapping[str, int], title: str) -> str:
    """SVG of one panel.

    Args:
        chart: The chart to draw.
        axes: Axes that all panels share.
        styles: Index of the colour and mark of each series.
        title: Description for readers who cannot see the drawing.
    """
    drawn = sorted(chart.lines, key=axes.series.index)
    return element(
        "svg",
        element("title", escape(title)),
        *_grid(axes),
        *_labels(axes, chart.rate_hz),
        *(part for series in drawn for part in _bars(chart.lines[series], axes, series, styles[series])),
        *(_line(chart.lines[series], axes, series, styles[series]) for series in drawn),
        *(part for series in drawn for part in _marks(chart.lines[series], axes, series, styles[series])),
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        class_="panel",
        role="img",
    )


def _grid(axes: Axes) -> Iterator[str]:
    levels = "".join(f"M{LEFT:g} {axes.y(level):.1f}H{WIDTH - RIGHT:g}" for level in LEVELS)
    delays = "".join(f"M{axes.x(delay):.1f} {TOP:g}V{HEIGHT - BOTTOM + 3:g}" for delay in axes.delays)
    yield element("path", d=levels + delays, class_="grid")


def _labels(axes: Axes, rate_hz: float) -> Iterator[str]:
    for level in LEVELS[::2]:
        yield text(f"{level}", LEFT - 6, axes.y(level) + 4, class_="label", text_anchor="end")
    bottom = HEIGHT - BOTTOM
    for y, words in ((bottom + 16, "ticks"), (bottom + 30, "ms")):
        yield text(words, 0, y, class_="label faint")
    for delay in axes.labelled:
        yield text(f"{delay:g}", axes.x(delay), bottom + 16, class_="label", text_anchor="middle")
        ms = f"{1000 * delay / rate_hz:.0f}"
        yield text(ms, axes.x(delay), bottom + 30, class_="label faint", text_anchor="middle")


def _bars(line: Sequence[Named], axes: Axes, series: str, style: int) -> Iterator[str]:
    """Parts for the 95 % intervals."""
    bars = []
    for named in line:
        low, high = named.cell.figures["success_ci"]
        bars.append(f"M{_x(named, axes, series):.1f} {axes.y(low):.1f}V{axes.y(high):.1f}")
    yield element("path", d="".join(bars), class_="bar", stroke=_colour(style))


def _line(line: Sequence[Named], axes: Axes, series: str, style: int) -> str:
    points = [f"{_x(named, axes, series):.1f} {axes.y(named.cell.figures['success']):.1f}" for named in line]
    return element("path", d="M" + "L".join(points), class_="line", stroke=_colour(style), data_series=series)


def _marks(line: Sequence[Named], axes: Axes, series: str, style: int) -> Iterator[str]:
    for named in line:
        y = axes.y(named.cell.figures["success"])
        at = f"translate({_x(named, axes, series):.1f} {y:.1f}) scale({MARK:g})"
        title = element("title", escape(_title(named)))
        yield element("path", title, d=MARKS[style], transform=at, class_="mark", fill=_colour(style))


def _title(named: Named) -> str:
    """Title of a point: 'vlash at 8 ticks (160 ms), s=8: 100 %, 95 % interval 98 to 100'."""
    figures = named.cell.figures
    low, high = figures["success_ci"]
    at = ", ".join(filter(None, [f"{named.series} at {delay_words(named)}", named.options]))
    return f"{at}: {figures['success']:.0f} %, 95 % interval {low:.0f} to {high:.0f}"


def _x(named: Named, axes: Axes, series: str) -> float:
    return axes.x(named.cell.delay_ticks or 0.0) + axes.aside(series)


def _colour(style: int) -> str:
    return f"var(--series{style})"
