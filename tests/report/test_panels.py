import re
from dataclasses import replace
from itertools import pairwise

import pytest

from rollahead.report.comparison import name_cells
from rollahead.report.load import CellResult
from rollahead.report.panels import APART, HEIGHT, LEFT, MARKS, RIGHT, WIDTH, Axes, draw
from rollahead.report.study import Study, study_of
from rollahead.report.theme import MARKERS

from .records import parse, result, shared

STYLES = {"sync": 0, "vlash": 2}


def study(*cells: CellResult) -> Study:
    both = [*cells, *(replace(cell, task={"name": "belt"}) for cell in cells)]
    found = study_of(both, name_cells(both))
    assert found
    return found


def drawn(*cells: CellResult) -> str:
    found = study(*cells)
    return draw(found.charts[0], Axes(found.delays, found.series), STYLES, "a <title>")


def points(svg: str, series: str) -> list[tuple[float, float]]:
    line = re.search(rf'<path d="M([^"]+)" class="line"[^>]* data-series="{series}"', svg)
    assert line
    return [(float(x), float(y)) for x, y in (pair.split() for pair in line[1].split("L"))]


PAIR = [result(name, ticks, figures=shared(n)) for name, n in (("sync", 100), ("vlash", 200)) for ticks in (0, 8, 16)]


def test_success_goes_up_and_delay_to_the_right() -> None:
    svg = drawn(*PAIR)
    sync, vlash = points(svg, "sync"), points(svg, "vlash")
    assert all(high[1] < low[1] for high, low in zip(vlash, sync, strict=True))
    assert [x for x, _ in vlash] == sorted({x for x, _ in vlash})
    assert vlash[1][0] - vlash[0][0] == pytest.approx(vlash[2][0] - vlash[1][0], abs=0.3)


def test_equal_points_stand_beside_each_other() -> None:
    svg = drawn(*(result(name, ticks) for name in ("sync", "vlash") for ticks in (0, 8)))
    assert all(a != b for a, b in zip(points(svg, "sync"), points(svg, "vlash"), strict=True))


def test_every_point_has_a_bar_of_its_interval_and_says_its_figures() -> None:
    svg = drawn(*PAIR)
    (first, *_), (bars, *_) = points(svg, "sync"), re.findall(r'<path d="([^"]+)" class="bar"', svg)
    x, top, bottom = (float(part) for part in re.findall(r"[\d.]+", bars)[:3])
    assert x == first[0]
    assert min(top, bottom) < first[1] < max(top, bottom)
    told = [title.text for title in parse(svg).iter("title")]
    assert "sync at 8 ticks (160 ms), s=8: 50 %, 95 % interval 43 to 57" in told
    assert len(told) == 1 + len(PAIR)


def test_nothing_is_drawn_outside() -> None:
    svg = drawn(*(result("vlash", ticks, figures=shared(n)) for ticks, n in ((0, 200), (40, 0))))
    for x, y in points(svg, "vlash"):
        assert LEFT < x < WIDTH - RIGHT
        assert 0 < y < HEIGHT


def test_a_series_has_its_colour_and_its_mark_everywhere() -> None:
    svg = drawn(*PAIR)
    marks = re.findall(r'd="([^"]+)"[^>]*class="mark" fill="var\(--series(\d)\)"', svg)
    assert set(marks) == {(MARKS[0], "0"), (MARKS[2], "2")}
    assert len(MARKS) == len(MARKERS)


def test_all_panels_have_the_same_axes_and_the_milliseconds_of_their_own_rate() -> None:
    fast = [replace(cell, rate_hz=100.0, task={"name": "fast"}) for cell in PAIR]
    both = [*PAIR, *fast]
    found = study_of(both, name_cells(both))
    assert found
    slow, quick = (parse(draw(chart, Axes(found.delays, found.series), STYLES, "")) for chart in found.charts)
    texts = [["".join(part.itertext()) for part in svg.iter("text")] for svg in (slow, quick)]
    assert "320" in texts[0] and "160" in texts[1] and "320" not in texts[1]
    grids = [next(part.attrib["d"] for part in svg.iter("path")) for svg in (slow, quick)]
    assert grids[0] == grids[1]


def test_labels_do_not_touch_and_the_last_is_there() -> None:
    axes = Axes([0, 1, 2, 3, 4, 8, 16], ["vlash"])
    places = [axes.x(delay) for delay in axes.labelled]
    assert axes.labelled[-1] == 16
    assert all(b - a >= APART for a, b in pairwise(places))


def test_one_delay_is_drawn_too() -> None:
    assert Axes([8], ["vlash"]).x(8) > LEFT


def test_a_title_cannot_leave_its_place() -> None:
    assert parse(drawn(*PAIR)).find("title").text == "a <title>"  # type: ignore[union-attr]
