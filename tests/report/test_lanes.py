import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from rollahead.report.lanes import NARROW, WIDE, Layout, draw, runs, signed
from rollahead.report.load import Results
from rollahead.report.timeline import Picture, Row, picture, window
from rollahead.runtime.control.trace import TickStatus

from .conftest import STRATEGIES
from .records import inference, marked, parse, recording

EVERY = range(len(STRATEGIES))
LAYOUTS = pytest.mark.parametrize("layout", [WIDE, NARROW], ids=["wide", "narrow"])


def shown(results: Results, i: int) -> Picture:
    """The window of a cell's first episode."""
    cell = results.cells[i]
    seen, event = cell.recording(0), cell.episodes[0].event_tick
    return picture(seen, str(cell.strategy["name"]), event, *window(event, [seen]))


def drawing(results: Results, i: int, layout: Layout = WIDE) -> str:
    return draw(shown(results, i), layout, 50.0, STRATEGIES[i])


def numbers(part: ElementTree.Element, *names: str) -> list[float]:
    return [float(part.attrib[name]) for name in names if name in part.attrib]


@pytest.mark.parametrize("i", EVERY, ids=STRATEGIES)
def test_as_many_late_rows_are_drawn_as_were_lost(results: Results, i: int) -> None:
    seen, drawn = results.cells[i].recording(0), shown(results, i)
    ticks = [
        tick
        for record in seen.inferences
        if record.origin is not None and record.start is not None
        for tick in range(record.start - record.lost, record.start)
        if drawn.start <= tick < drawn.stop
    ]
    assert sorted(marked(drawing(results, i), "late")) == sorted(ticks)


@pytest.mark.parametrize("i", EVERY, ids=STRATEGIES)
def test_holds_are_drawn_at_exactly_the_ticks_of_an_underrun(results: Results, i: int) -> None:
    drawn, ticks = shown(results, i), results.cells[i].recording(0).ticks
    inside = (ticks["tick"] >= drawn.start) & (ticks["tick"] < drawn.stop)
    underruns = ticks["tick"][inside & (ticks["status"] == TickStatus.UNDERRUN)].tolist()
    assert marked(drawing(results, i), "hold") == underruns


@pytest.mark.parametrize("i", EVERY, ids=STRATEGIES)
def test_switches_are_drawn_where_the_chunk_changes(results: Results, i: int) -> None:
    drawn, ticks = shown(results, i), results.cells[i].recording(0).ticks
    chunk = dict(zip(ticks["tick"].tolist(), ticks["chunk"].tolist(), strict=True))
    changes = [
        tick
        for tick in range(drawn.start, drawn.stop)
        if chunk.get(tick, -1) >= 0 and chunk[tick] != chunk.get(tick - 1)
    ]
    assert marked(drawing(results, i), "switch") == changes


@pytest.mark.parametrize("i", EVERY, ids=STRATEGIES)
def test_an_eye_is_drawn_at_every_request_of_the_window(results: Results, i: int) -> None:
    drawn = shown(results, i)
    asked = {int(tick) for tick in results.cells[i].recording(0).ticks["request"]}
    asked |= {record.request for record in results.cells[i].recording(0).inferences}
    assert set(marked(drawing(results, i), "asked")) == {tick for tick in asked if drawn.start <= tick < drawn.stop}


@LAYOUTS
@pytest.mark.parametrize("i", EVERY, ids=STRATEGIES)
def test_everything_is_inside_the_drawing(results: Results, i: int, layout: Layout) -> None:
    root = parse(drawing(results, i, layout))
    width, height = numbers(root, "width", "height")
    for part in root.iter("rect"):
        x, w = numbers(part, "x", "width")
        y, h = numbers(part, "y", "height")
        assert 0 <= x <= x + w <= width
        assert 0 <= y <= y + h <= height


@LAYOUTS
def test_words_are_not_drawn_over_each_other(results: Results, layout: Layout) -> None:
    root = parse(drawing(results, 4, layout))
    lines: dict[float, list[tuple[float, float]]] = {}
    for part in root.iter("text"):
        half = 3.4 * len(part.text or "")
        x, y = numbers(part, "x", "y")
        middle = x - half if part.attrib["text-anchor"] == "end" else x
        lines.setdefault(y, []).append((middle - half, middle + half))
    width = numbers(root, "width")[0]
    for spans in map(sorted, lines.values()):
        assert spans[0][0] >= 0
        assert spans[-1][1] <= width
        assert all(left[1] <= right[0] for left, right in pairwise(spans))


def test_rows_that_know_of_the_event_are_drawn_as_such(results: Results) -> None:
    drawn = shown(results, 4)
    aware = [tick for lane in drawn.lanes if lane.aware for tick in lane.rows if drawn.start <= tick < drawn.stop]
    assert sorted(marked(drawing(results, 4), "aware")) == sorted(aware)


def test_the_committed_rows_of_vlash_are_underlined_and_sync_has_none(results: Results) -> None:
    assert marked(drawing(results, 4), "committed")
    assert not marked(drawing(results, 0), "committed")


def test_a_plan_that_came_too_late_for_all_of_its_rows_is_crossed_out() -> None:
    seen = recording([None] * 9, [inference(0, 4, None, None, lost=8)])
    assert ">✕<" in draw(picture(seen, "naive", 2, 0, 9), WIDE, 50.0, "expired")


def test_skipped_ticks_are_drawn() -> None:
    seen = recording([0, 0, None, 0], [inference(0, 0, 0, 0)], skipped=[2])
    assert marked(draw(picture(seen, "naive", 1, 0, 4), WIDE, 50.0, "skipped"), "skipped") == [2]


def test_a_picture_without_a_chunk_can_be_drawn() -> None:
    assert parse(draw(picture(recording([None] * 9), "sync", 3, 0, 9), WIDE, 50.0, "nothing")) is not None


def test_drawings_of_a_page_share_no_id(results: Results) -> None:
    drawn = [drawing(results, i, layout) for i in (0, 4) for layout in (WIDE, NARROW)]
    ids = [found for svg in drawn for found in re.findall(r' id="([^"]+)"', svg)]
    assert len(ids) == len(set(ids)) == 4


def test_a_drawing_is_the_same_each_time(results: Results) -> None:
    assert drawing(results, 1) == drawing(results, 1)


def test_ticks_are_gathered_in_half_open_ranges() -> None:
    assert list(runs([3, 4, 5, 9, 11, 12])) == [(3, 6), (9, 10), (11, 13)]
    assert list(runs([])) == []


def test_a_tick_before_the_event_has_a_true_minus_sign() -> None:
    assert [signed(tick) for tick in (-12, 0, 3)] == ["\N{MINUS SIGN}12", "0", "+3"]


def test_unused_rows_are_drawn_lower_than_used_ones(results: Results) -> None:
    heights = {
        kind: {part.attrib["height"] for part in parse(drawing(results, 4)).iter() if part.attrib.get("class") == kind}
        for kind in (f"row {Row.USED.value}", f"row {Row.UNUSED.value}")
    }
    used, unused = (min(map(float, found)) for found in heights.values())
    assert unused < used / 2
