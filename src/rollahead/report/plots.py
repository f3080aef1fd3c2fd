"""Plots: figures against delay, and one episode against time.

matplotlib draws them, without pyplot, as SVG whose text stays text. It draws in stand-in colours, which are then
replaced by the page's variables, so that a plot follows the reader's theme.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from io import StringIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rollahead.report.comparison import Named
from rollahead.report.load import Recording
from rollahead.report.theme import MARKERS

INK, MUTED, LINE, CARD = "#000001", "#000002", "#000003", "#000004"  # stand-in colours
SERIES = tuple(f"#00001{i}" for i in range(len(MARKERS)))
STAND_INS = {INK: "ink", MUTED: "muted", LINE: "line", CARD: "card"} | {c: f"series{i}" for i, c in enumerate(SERIES)}
WIDE_IN = (5.2, 2.7)  # two of them side by side on a wide page

Ends = tuple[float, float, float]  # a value, and its lower and upper end
Figures = Callable[[Mapping[str, Any]], Ends | None]
Points = Sequence[tuple[float, float, float, float]]  # delay in ticks, value, lower and upper end


@dataclass(frozen=True, slots=True)
class Plot:
    """A drawing with its title and caption."""

    title: str
    svg: str
    caption: str


@dataclass(frozen=True, slots=True)
class OverDelay:
    """A figure to draw against delay.

    Attributes:
        title: Title of the plot.
        unit: Unit of the figure.
        values: Function from a cell's figures to the value and its ends; None where it is not known.
        limits: Limits of the vertical axis; None to start at 0.
        caption: Caption of the plot.
    """

    title: str
    unit: str
    values: Figures
    limits: tuple[float, float] | None
    caption: str


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A recorded episode to draw, with the name of its series and its style."""

    name: str
    style: int
    recording: Recording


def delay_plots(series: Mapping[str, Sequence[Named]], styles: Mapping[str, int]) -> list[Plot]:
    """Plots of success, task time and reaction latency against delay, where there are two points or more."""
    known = [(of, points) for of in FIGURES if _makes_a_line(points := _points(series, of.values))]
    return [
        Plot(f"{of.title}, {of.unit}", _against_delay(of, points, styles, _rate(series)), of.caption)
        for of, points in known
    ]


def episode_plots(episodes: Sequence[Shown], event: int | None, rate_hz: float) -> list[Plot]:
    """Plots of the actions sent and of the state, over the seconds from shortly before the event on.

    event: its tick; None for a task without an event, whose seconds are counted from the start.
    """
    action = _liveliest([shown.recording.group("action") for shown in episodes], event, episodes)
    plots = [_sent_plot(action, episodes, event, rate_hz)] if action else []
    position = _position(episodes, action, event)
    return [*plots, *([_measured_plot(position, episodes, event, rate_hz)] if position else [])]


def _sent_plot(action: str, episodes: Sequence[Shown], event: int | None, rate_hz: float) -> Plot:
    def draw(axes: Axes, shown: Shown, time_s: NDArray[Any], window: slice) -> None:
        colour = SERIES[shown.style]
        sent = shown.recording.group("action")[action][window]
        axes.step(time_s, sent, where="post", color=colour, linewidth=1.8)
        if action in (state := shown.recording.group("state")):
            axes.plot(time_s, state[action][window], color=colour, linewidth=1.4, linestyle=(0, (2, 1.5)))

    measured = any(action in shown.recording.group("state") for shown in episodes)
    caption = "Steps: what was sent." + (" Dashed: what was measured." if measured else "")
    return _against_time(f"Action {action}", episodes, event, rate_hz, draw, caption)


def _measured_plot(position: str, episodes: Sequence[Shown], event: int | None, rate_hz: float) -> Plot:
    def draw(axes: Axes, shown: Shown, time_s: NDArray[Any], window: slice) -> None:
        for target in _targets(shown.recording, position):
            axes.step(time_s, target[window], where="post", color=MUTED, linewidth=1.4, linestyle=(0, (1, 1)), zorder=1)
        axes.plot(time_s, shown.recording.group("state")[position][window], color=SERIES[shown.style], linewidth=1.8)

    seen = any(_targets(shown.recording, position) for shown in episodes)
    caption = "What was measured." + (" Dotted grey: where the object is." if seen else "")
    return _against_time(f"State {position}", episodes, event, rate_hz, draw, caption)


def _against_delay(of: OverDelay, series: Mapping[str, Points], styles: Mapping[str, int], rate_hz: float) -> str:
    figure, axes = blank(WIDE_IN)
    for j, (name, points) in enumerate(series.items()):
        x, y, low, high = np.array(points).T if points else np.empty((4, 0))
        aside = x + 0.012 * (j - (len(series) - 1) / 2) * _spread(series)  # so that equal points are all visible
        look: dict[str, Any] = {"color": SERIES[styles[name]], "linewidth": 1.8, "elinewidth": 1.3, "capsize": 3}
        marker = MARKERS[styles[name]]
        axes.errorbar(aside, y, yerr=[y - low, high - y], marker=marker, markersize=6, markeredgecolor=CARD, **look)
    delays = sorted({point[0] for points in series.values() for point in points})
    axes.set_xticks(delays, [f"{delay:g}\n{1000 * delay / rate_hz:.0f}" for delay in delays])
    axes.set_xlabel("latency in ticks, and in ms")
    if of.limits:
        axes.set_ylim(*of.limits)
    else:
        axes.set_ylim(bottom=0)
    return svg_of(figure, of.title)


def _against_time(
    title: str,
    episodes: Sequence[Shown],
    event: int | None,
    rate_hz: float,
    draw: Callable[[Axes, Shown, NDArray[Any], slice], None],
    caption: str,
) -> Plot:
    figure, axes = blank(WIDE_IN)
    if event is not None:
        axes.axvline(0.0, color=INK, linewidth=1.1, linestyle=(0, (3, 2)))
    for shown in episodes:
        window = _window(shown.recording, event)
        time_s = (shown.recording.ticks["tick"][window] - (event or 0)) / rate_hz
        draw(axes, shown, time_s, window)
    axes.set_xlabel("seconds from the start" if event is None else "seconds from the event")
    axes.margins(x=0.01)
    return Plot(title, svg_of(figure, title), caption)


def _points(series: Mapping[str, Sequence[Named]], figure: Figures) -> dict[str, Points]:
    """Points of each series where the figure is known: delay, value and its ends."""
    return {
        name: [
            (float(named.cell.delay_ticks or 0), *ends)
            for named in cells
            if (ends := figure(named.cell.figures)) is not None
        ]
        for name, cells in series.items()
    }


def _makes_a_line(points: Mapping[str, Points]) -> bool:
    return any(len(values) > 1 for values in points.values())


def _success(figures: Mapping[str, Any]) -> Ends | None:
    return (figures["success"], *figures["success_ci"])


def _time(figures: Mapping[str, Any]) -> Ends | None:
    return None if figures["time_s"] is None else (figures["time_s"], *figures["time_s_ci"])


def _reaction(figures: Mapping[str, Any]) -> Ends | None:
    reaction = figures["reaction_s"]
    if reaction is None or reaction["p50"] is None:
        return None
    return reaction["p50"], reaction["p50"], math.nan if reaction["p95"] is None else reaction["p95"]


FIGURES = (
    OverDelay("Success", "%", _success, (-4.0, 104.0), "Higher is better. Bars: Wilson 95 % intervals."),
    OverDelay(
        "Task time", "s", _time, None, "Lower is better; over the episodes that succeeded. Bars: 95 % intervals."
    ),
    OverDelay(
        "Reaction latency",
        "s",
        _reaction,
        None,
        "Lower is better. The median, with a bar up to the 95th percentile; no bar where that is never.",
    ),
)


def _rate(series: Mapping[str, Sequence[Named]]) -> float:
    return next(cells[0].cell.rate_hz for cells in series.values())


def _spread(series: Mapping[str, Points]) -> float:
    delays = [point[0] for points in series.values() for point in points]
    return max(delays) - min(delays)


def _window(recording: Recording, event: int | None) -> slice:
    ticks = recording.ticks["tick"]
    return slice(int(np.searchsorted(ticks, (event or 0) - 10)), len(ticks))


def _liveliest(
    groups: Iterable[Mapping[str, NDArray[Any]]], event: int | None, episodes: Sequence[Shown]
) -> str | None:
    """The dimension that moves most after the event, or else after the start."""
    moved: dict[str, float] = {}
    for group, shown in zip(groups, episodes, strict=True):
        window = _window(shown.recording, event)
        for name, values in group.items():
            moved[name] = max(moved.get(name, 0.0), float(np.ptp(values[window])) if len(values[window]) else 0.0)
    return max(moved, key=lambda name: moved[name], default=None)


def _position(episodes: Sequence[Shown], action: str | None, event: int | None) -> str | None:
    """The state to draw beside `action`.

    It is the one along the same axis that has an object to reach, or else the one that moves most.
    """
    groups = [shown.recording.group("state") for shown in episodes]
    aimed = [name for name in groups[0] if _targets(episodes[0].recording, name)]
    along = [name for name in aimed if action and action.endswith(name)]
    others = [{name: values for name, values in group.items() if name != action} for group in groups]
    return next(iter([*along, *aimed]), None) or _liveliest(others, event, episodes)


def _targets(recording: Recording, axis: str) -> list[NDArray[Any]]:
    return [values for name, values in recording.group("environment").items() if name.endswith(f"_{axis}")]


def blank(size_in: tuple[float, float]) -> tuple[Figure, Axes]:
    """Empty figure in the page's colours."""
    figure = Figure(figsize=size_in, layout="constrained")
    figure.patch.set_alpha(0.0)
    axes = figure.subplots()
    axes.patch.set_alpha(0.0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=10, length=0, labelcolor=INK)
    axes.grid(color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.label.set_color(MUTED)
    axes.yaxis.label.set_color(MUTED)
    return figure, axes


def svg_of(figure: Figure, title: str) -> str:
    """SVG element of `figure` to stand in a page.

    It has no size of its own, no style that reaches beyond it, and ids that no figure of another title has.
    """
    page = StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": title}):
        FigureCanvasSVG(figure)
        figure.savefig(page, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = page.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r'<svg [^>]*?viewBox="([^"]+)"[^>]*>',
        rf'<svg viewBox="\1" class="plot" role="img" aria-label="{escape(title)}">',
        svg,
        count=1,
    )
    svg = svg.replace("xlink:href", "href")
    svg = re.sub(r' font-family: [^;"]*;|(?<=<g) id="[^"]*"', "", svg)
    for stand_in, name in STAND_INS.items():
        svg = svg.replace(stand_in, f"var(--{name})")
    return svg
