"""Plots of a training over its steps."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rollahead.evaluation.metrics import wilson
from rollahead.report.plots import CARD, SERIES, WIDE_IN, Plot, blank, svg_of
from rollahead.report.theme import MARKERS
from rollahead.report.training import TrainingResult

Trainings = Mapping[str, TrainingResult]  # by the name of the series
Points = Mapping[str, Sequence[tuple[int, float]]]  # step and value, by the name of the series

ERROR = "Error of a cold step"
ERROR_CAPTION = (
    "Lower is better: the root mean square error of the actions from one denoising step that starts at pure noise, on "
    "held-out demonstrations, as a share of half the range of the actions."
)
PLAY = "Success in play, %"
DIGITS = ("1 1.5 2 3 5 7", "1 2 5", "1")  # leading digits of the labels, the finest first
MOST = 8  # largest number of labels


def training_plots(trainings: Trainings, styles: Mapping[str, int]) -> list[Plot]:
    """Plots over steps: the error of a cold step and, where episodes were played, success."""
    errors = {
        name: [(look.step, look.cold_error) for look in one.looks if look.cold_error]  # zero has no logarithm
        for name, one in trainings.items()
    }
    play = {
        name: [(look.step, look.success) for look in one.looks if look.success is not None]
        for name, one in trainings.items()
    }
    drawn = [Plot(ERROR, _errors(errors, styles), ERROR_CAPTION)] if any(errors.values()) else []
    if any(play.values()):
        played = {name: trainings[name].played for name, seen in play.items() if seen}
        drawn.append(Plot(PLAY, _play(play, played, styles), _play_caption(played)))
    return drawn


def round_numbers(low: float, high: float) -> list[float]:
    """Labels of a logarithmic axis, from one at or below `low` to one at or above `high`, at most `MOST`.

    >>> round_numbers(0.024, 0.09)
    [0.02, 0.03, 0.05, 0.07, 0.1]
    """
    return next(labels for digits in DIGITS if len(labels := _multiples(digits, low, high)) <= MOST or digits == "1")


def _multiples(digits: str, low: float, high: float) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    numbers = [float(f"{digit}e{power}") for power in powers for digit in digits.split()]
    first = max(i for i, number in enumerate(numbers) if number <= low)
    last = min(i for i, number in enumerate(numbers) if number >= high)
    return numbers[first : last + 1]


def _errors(points: Points, styles: Mapping[str, int]) -> str:
    figure, axes = blank(WIDE_IN)
    for name, seen in points.items():
        steps, errors = np.array(seen).reshape(-1, 2).T
        axes.plot(steps, errors, **_line(styles[name]))
    everything = [error for seen in points.values() for _, error in seen]
    labels = round_numbers(min(everything), max(everything))
    axes.set_yscale("log")
    axes.minorticks_off()
    axes.set_yticks(labels, [f"{label:g}" for label in labels])
    axes.set_ylim(0.97 * labels[0], 1.03 * labels[-1])
    _over_steps(axes)
    return svg_of(figure, ERROR)


def _play(points: Points, played: Mapping[str, int], styles: Mapping[str, int]) -> str:
    figure, axes = blank(WIDE_IN)
    for name, n in played.items():
        steps, success = np.array(points[name]).T
        ends = 100.0 * np.array([wilson(round(share * n / 100.0), n) for share in success])
        axes.vlines(steps, *ends.T, color=SERIES[styles[name]], linewidth=3.0, alpha=0.25)
        axes.plot(steps, success, **_line(styles[name]))
    axes.set_ylim(-4.0, 104.0)
    _over_steps(axes)
    return svg_of(figure, PLAY)


def _play_caption(played: Mapping[str, int]) -> str:
    episodes = " or ".join(map(str, sorted(set(played.values()))))
    return (
        f"Higher is better: the share that succeeded of {episodes} episodes without delay. Bars: Wilson 95 % intervals."
    )


def _line(style: int) -> dict[str, Any]:
    return {
        "color": SERIES[style],
        "linewidth": 1.8,
        "marker": MARKERS[style],
        "markersize": 6,
        "markeredgecolor": CARD,
        "markeredgewidth": 0.6,
    }


def _over_steps(axes: Axes) -> None:
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set_xlabel("steps")
