from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from rollahead.report.animation import PAUSE_S, SPEED, animate
from rollahead.report.load import Results
from rollahead.report.topview import Panel, panel

from .records import parse

SVG = "{http://www.w3.org/2000/svg}"


def panels(results: Results) -> list[Panel]:
    """Of sync and vlash."""
    found = []
    for i in (0, 4):
        cell = results.cells[i]
        name = str(cell.strategy["name"])
        seen = panel(name, f"series{i}", cell.recording(0), cell.episodes[0], cell.rate_hz, 0.9)
        assert seen
        found.append(seen)
    return found


def moving(root: ElementTree.Element) -> list[ElementTree.Element]:
    return [part for part in root.iter() if part.tag in (f"{SVG}animate", f"{SVG}animateTransform")]


def keys(part: ElementTree.Element) -> list[float]:
    return [float(key) for key in part.attrib["keyTimes"].split(";")]


def of(root: ElementTree.Element, class_: str) -> list[ElementTree.Element]:
    return [part for part in root.iter() if part.attrib.get("class") == class_]


def test_every_movement_has_as_many_values_as_times(results: Results) -> None:
    parts = moving(parse(animate(panels(results))))
    assert len(parts) > 15
    for part in parts:
        assert len(part.attrib["values"].split(";")) == len(keys(part))


def test_times_begin_at_nought_and_never_fall(results: Results) -> None:
    for part in moving(parse(animate(panels(results)))):
        assert keys(part)[0] == 0
        assert keys(part) == sorted(keys(part))
        assert keys(part)[-1] <= 1
        assert part.attrib["calcMode"] == "discrete" or keys(part)[-1] == 1


def test_all_movements_share_one_clock_at_half_speed(results: Results) -> None:
    shown = panels(results)
    durations = {part.attrib["dur"] for part in moving(parse(animate(shown)))}
    ticks = max(len(each.tool) for each in shown)
    assert durations == {f"{ticks / 50.0 / SPEED + PAUSE_S:.3f}s"}


def test_the_tool_has_a_place_for_every_tick(results: Results) -> None:
    shown = panels(results)
    tools = of(parse(animate(shown)), "tool")
    assert [len(tool[0].attrib["values"].split(";")) for tool in tools] == [len(each.tool) + 1 for each in shown]


def test_the_lamp_is_lit_at_exactly_the_holds(results: Results) -> None:
    for each in panels(results):
        root = parse(animate([each]))
        (lamp,) = (part for part in root.iter(f"{SVG}g") if of(part, "lamp") and part.find(f"{SVG}animate") is not None)
        blink = lamp.find(f"{SVG}animate")
        assert blink is not None
        total_s = float(blink.attrib["dur"].removesuffix("s"))
        starts = [round(key * total_s * SPEED * 50.0) for key in keys(blink)]
        lit = [
            bool(int(blink.attrib["values"].split(";")[np.searchsorted(starts, k, "right") - 1]))
            for k in range(len(each.sent))
        ]
        assert lit == [source == "hold" for source in each.sent]


def test_the_bar_has_every_tick_of_what_was_sent(results: Results) -> None:
    each = panels(results)[0]
    root = parse(animate([each]))
    width = sum(float(part.attrib["width"]) for kind in ("hold", "before", "after") for part in of(root, kind))
    assert width == pytest.approx(320.0, rel=1e-4)
    assert len(of(root, "hold")) >= 2


def test_hit_and_missed_are_said(results: Results) -> None:
    hit = replace(panels(results)[0], success=True, time_s=0.62)
    root = parse(animate([hit, replace(hit, success=False)]))
    assert [part.text for part in of(root, "hit")] == ["hit after 0.62 s"]
    assert [part.text for part in of(root, "missed")] == ["missed"]


def test_a_ring_is_drawn_only_if_the_time_is_known(results: Results) -> None:
    each = panels(results)[0]
    assert len(of(parse(animate([each])), "ring")) == 1
    assert not of(parse(animate([replace(each, window_s=None)])), "ring")


def test_it_needs_nothing_from_outside_and_no_script(results: Results) -> None:
    svg = animate(panels(results), "half speed")
    assert svg.startswith("<svg ")
    assert svg.count("http") == 1  # the name space
    for word in ("<script", "href", "@import", "url("):
        assert word not in svg


def test_names_are_written_and_not_obeyed(results: Results) -> None:
    root = parse(animate([replace(panels(results)[0], title='a<b>&"')], "<&>"))
    assert [part.text for part in of(root, "title")] == ['a<b>&"']


def test_a_tool_that_never_moves_can_be_drawn(results: Results) -> None:
    each = panels(results)[0]
    still = replace(each, tool=np.zeros_like(each.tool), objects={"cup": np.zeros_like(each.tool)})
    assert "nan" not in animate([still])


def test_an_episode_that_starts_with_the_event_can_be_drawn(results: Results) -> None:
    for part in moving(parse(animate([replace(panels(results)[0], event=0)]))):
        assert len(part.attrib["values"].split(";")) == len(keys(part))
