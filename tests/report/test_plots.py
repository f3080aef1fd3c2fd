import re

import numpy as np

from rollahead.report.comparison import name_cells, over_delay
from rollahead.report.load import CellResult, Results
from rollahead.report.plots import STAND_INS, Plot, Shown, delay_plots, episode_plots
from rollahead.report.theme import styles

from .records import parse, recording, result


def over(*cells: CellResult) -> list[Plot]:
    series = over_delay(name_cells(cells))
    return delay_plots(series, styles(series))


def written(plot: Plot) -> list[str]:
    return ["".join(part.itertext()).strip() for part in parse(plot.svg).iter() if part.tag == "text"]


def two() -> list[CellResult]:
    return [result(name, ticks) for name in ("sync", "vlash") for ticks in (0, 8)]


def pair(results: Results) -> list[Shown]:
    return [Shown(str(results.cells[i].strategy["name"]), i, results.cells[i].recording(0)) for i in (0, 4)]


def test_all_three_figures_are_drawn_over_delay() -> None:
    assert [plot.title for plot in over(*two())] == ["Success, %", "Task time, s", "Reaction latency, s"]


def test_the_axis_gives_ticks_and_milliseconds() -> None:
    assert {"0", "8", "160"} <= set(written(over(*two())[0]))


def test_one_latency_makes_no_plot() -> None:
    assert over(result("sync", 4), result("vlash", 4)) == []


def test_a_figure_that_is_not_known_makes_no_plot() -> None:
    unknown = {"time_s": None, "time_s_ci": [None, None], "reaction_s": None}
    assert [plot.title for plot in over(result(ticks=0, figures=unknown), result(ticks=8, figures=unknown))] == [
        "Success, %"
    ]


def test_a_point_that_is_not_known_is_left_out() -> None:
    unknown = {"time_s": None, "time_s_ci": [None, None], "reaction_s": {"p50": None, "p95": None, "max": None}}
    cells = [result(ticks=0), result(ticks=4), result(ticks=8, figures=unknown)]
    assert [("8" in written(plot)) for plot in over(*cells)] == [True, False, False]


def test_a_tail_that_never_reacts_leaves_the_median_standing() -> None:
    tail = {"reaction_s": {"p50": 0.3, "p95": None, "max": None}}
    assert "8" in written(over(result(ticks=0), result(ticks=8, figures=tail))[2])


def test_the_episode_shows_what_was_sent_and_where_it_went(results: Results) -> None:
    event = results.cells[0].episodes[0].event_tick
    plots = episode_plots(pair(results), event, 50.0)
    assert [plot.title.split()[0] for plot in plots] == ["Action", "State"]
    assert plots[0].title[-1] == plots[1].title[-1]  # the same axis
    assert "where the object is" in plots[1].caption


def test_a_task_without_an_object_shows_the_liveliest_state() -> None:
    columns = {"action.grip": np.arange(60.0), "state.a": np.zeros(60), "state.b": np.arange(60.0)}
    plots = episode_plots([Shown("vlash", 2, recording([0] * 60, columns=columns))], 20, 50.0)
    assert [plot.title for plot in plots] == ["Action grip", "State b"]
    assert all("Dashed" not in plot.caption for plot in plots)


def test_a_recording_without_dimensions_makes_no_plot() -> None:
    assert episode_plots([Shown("vlash", 2, recording([0] * 60))], 20, 50.0) == []


def test_plots_take_the_colours_of_the_page_and_nothing_else(results: Results) -> None:
    for plot in [*over(*two()), *episode_plots(pair(results), 60, 50.0)]:
        assert "var(--ink)" in plot.svg
        assert not any(stand_in in plot.svg for stand_in in STAND_INS)
        assert "http" not in plot.svg
        assert "<style" not in plot.svg


def test_a_plot_says_what_it_is_to_who_cannot_see_it() -> None:
    assert [parse(plot.svg).attrib["aria-label"] for plot in over(*two())] == [
        "Success",
        "Task time",
        "Reaction latency",
    ]


def test_the_plots_of_a_page_share_no_id(results: Results) -> None:
    plots = [*over(*two()), *episode_plots(pair(results), 60, 50.0)]
    ids = [set(re.findall(r' id="([^"]+)"', plot.svg)) for plot in plots]
    assert sum(map(len, ids)) == len(set.union(*ids))


def test_a_plot_is_the_same_each_time() -> None:
    assert over(*two())[0].svg == over(*two())[0].svg
