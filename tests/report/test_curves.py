import re
from collections.abc import Sequence

import pytest

from every import every
from rollahead.evaluation.metrics import wilson
from rollahead.report.curves import MOST, round_numbers, training_plots
from rollahead.report.plots import STAND_INS, Plot
from rollahead.report.training import Look, TrainingResult

from .records import parse


def trained(*looks: Look, played: int = 10) -> TrainingResult:
    return TrainingResult(
        run="0",
        policy={"name": "flow"},
        task="mole",
        aims={},
        dataset=None,
        demonstrations=10,
        steps=2000,
        batch=64,
        played=played,
        looks=looks,
        minutes=None,
        weights=None,
    )


def plots(*trainings: TrainingResult) -> list[Plot]:
    named = {f"{i} flow": one for i, one in enumerate(trainings)}
    return training_plots(named, {name: i for i, name in enumerate(named)})


def titles(drawn: Sequence[Plot]) -> list[str]:
    return [plot.title for plot in drawn]


def written(plot: Plot) -> list[str]:
    return ["".join(part.itertext()).strip() for part in parse(plot.svg).iter() if part.tag == "text"]


PLAYED = trained(Look(1000, 0.2, 40.0, 0.0), Look(2000, 0.05, 100.0, 60.0))


def test_error_and_play_are_drawn_over_steps() -> None:
    error, play = plots(PLAYED)
    assert (error.title, play.title) == ("Error of a cold step", "Success in play, %")
    assert {"0.05", "0.1", "0.2", "2,000", "steps"} <= set(written(error))
    assert {"0", "100", "2,000", "steps"} <= set(written(play))


def test_the_captions_say_what_they_are() -> None:
    error, play = plots(PLAYED)
    assert "one denoising step that starts at pure noise" in error.caption
    assert "held-out demonstrations, as a share of half the range" in error.caption
    assert "of 10 episodes without delay" in play.caption


def test_what_was_never_played_makes_no_plot_of_play() -> None:
    assert titles(plots(trained(Look(1000, 0.2, None, 0.0)))) == ["Error of a cold step"]


def test_what_was_never_looked_at_makes_no_plot() -> None:
    assert plots(trained()) == []
    assert plots() == []


def test_a_look_at_which_something_is_not_known_is_left_out() -> None:
    gaps = [Look(1, None, 40.0, 0.0), Look(2, 0.1, None, 1.0), Look(3, 0.0, 0.0, 2.0)]
    assert titles(plots(trained(*gaps))) == ["Error of a cold step", "Success in play, %"]


def test_one_of_several_trainings_may_know_nothing() -> None:
    drawn = plots(PLAYED, trained(played=50), trained(Look(500, 0.4, 20.0, 0.0), played=25))
    assert titles(drawn) == ["Error of a cold step", "Success in play, %"]
    assert "of 10 or 25 episodes" in drawn[1].caption


def test_play_has_the_interval_of_a_share_of_so_many_episodes() -> None:
    bars = re.findall(r'd="M \S+ (\S+) \s*L \S+ (\S+) \s*"[^>]*stroke-opacity: 0.25', plots(PLAYED)[1].svg)
    first, last = (abs(float(low) - float(high)) for low, high in bars)
    widths = [high - low for low, high in (wilson(4, 10), wilson(10, 10))]
    assert first / last == pytest.approx(widths[0] / widths[1], rel=1e-3)


def test_steps_are_whole() -> None:
    axis = written(plots(trained(Look(1, 0.2, 40.0, 0.0), Look(2, 0.2, 40.0, 0.0)))[0])
    assert [axis.count(label) for label in "012"] == [1, 1, 1]


def test_plots_take_the_colours_of_the_page_and_nothing_else() -> None:
    for plot in plots(PLAYED, PLAYED):
        assert "var(--series1)" in plot.svg
        assert not any(stand_in in plot.svg for stand_in in STAND_INS)
        assert "http" not in plot.svg


@every("low", [1e-4, 0.003, 0.02, 0.024, 0.07, 0.5, 1.0, 2.9])
@every("times", [1.0, 1.02, 1.5, 4.0, 30.0, 1e3, 1e6])
def test_labels_enclose_what_is_drawn_and_are_few(low: float, times: float) -> None:
    labels = round_numbers(low, low * times)
    assert labels[0] <= low <= low * times <= labels[-1]
    assert labels == sorted(set(labels))
    assert len(labels) <= MOST


def test_a_narrow_range_has_finer_labels() -> None:
    assert round_numbers(0.024, 0.031) == [0.02, 0.03, 0.05]
    assert round_numbers(0.02, 0.02) == [0.02]
    assert round_numbers(0.011, 0.9) == [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
