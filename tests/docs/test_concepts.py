"""The drawings of docs/concepts.md are what the core does, and what the page says of them is to be seen in them."""

import importlib.util
import re
import sys
from itertools import pairwise
from types import ModuleType

import pytest
from benchmarks.pages import DOCS, blocks

from rollahead.report.timeline import Row
from rollahead.runtime.config import build

IMAGES = DOCS / "images"
PAGE = (DOCS / "concepts.md").read_text()
AGAIN = "run `python docs/images/timelines.py`, and look at what has changed"


def _timelines() -> ModuleType:
    spec = importlib.util.spec_from_file_location("timelines", IMAGES / "timelines.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["timelines"] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


timelines = _timelines()
STRATEGIES = timelines.STRATEGIES
PLAYED = {strategy: timelines.play(strategy) for strategy in STRATEGIES}


def test_every_strategy_is_spoken_of_on_the_page() -> None:
    assert [name for name in build.STRATEGIES if f"`{name}`" not in PAGE] == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_is_drawn_on_the_page_as_the_core_plays_it(strategy: str) -> None:
    assert f'src="images/timeline_{strategy}.svg"' in PAGE
    assert (IMAGES / f"timeline_{strategy}.svg").read_text() == timelines.drawing(strategy) + "\n", AGAIN


def test_the_table_is_that_of_the_drawings() -> None:
    (printed,) = re.findall(r"<!-- timelines:[^>]*-->\n(.*?)\n<!-- end -->", PAGE, re.S)
    assert printed == timelines.table(), AGAIN


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_drawing_names_no_colour_but_those_of_the_readers_theme(strategy: str) -> None:
    style, _, drawn = timelines.drawing(strategy).partition("</style>")
    assert "prefers-color-scheme:dark" in style
    assert not re.search(r'(fill|stroke)="(?!url|none)', drawn)
    assert not re.search(r"(fill|stroke):(?!var\(--|none)", style)


def off(strategy: str) -> list[float]:
    """How far from the cart's way each plan of after the jump starts, in cm."""
    played = PLAYED[strategy]
    ways = timelines.meant(played)
    return [abs(way[0][1] - played.x[way[0][0]]) for request, way in ways.items() if request >= timelines.STIMULUS]


def test_with_vlash_and_sync_every_plan_means_what_happens() -> None:
    for strategy in ("vlash", "sync"):
        played = PLAYED[strategy]
        for way in timelines.meant(played).values():
            assert [cm for _, cm in way] == pytest.approx([played.x[tick] for tick, _ in way])


def test_with_naive_arrival_plans_start_off_the_carts_way_by_as_much_as_it_went_in_the_delay() -> None:
    assert max(off("naive_arrival")) == timelines.DELAY * timelines.STEP_CM


def test_naive_comes_to_rest_2_cm_short_and_its_last_plans_move_only_in_rows_that_are_late() -> None:
    played = PLAYED["naive"]
    assert played.x[-1] == played.x[-20] == timelines.JUMP_CM - 2
    last = played.plans[max(request for request in played.picture.source.values())]
    assert last.rows[:2].ravel().tolist() == [1.0, 1.0]
    assert not last.rows[2:].any()


def test_sync_holds_in_6_of_14_ticks() -> None:
    asked = sorted(PLAYED["sync"].plans)
    assert {later - earlier for earlier, later in pairwise(asked)} == {14}
    assert sum(28 <= tick < 28 + 14 for tick in PLAYED["sync"].picture.holds) == 6


def test_only_vlash_has_committed_rows_and_only_those_from_t_obs_have_late_ones() -> None:
    lanes = {strategy: played.picture.lanes for strategy, played in PLAYED.items()}
    assert [name for name in lanes if any(lane.committed for lane in lanes[name])] == ["vlash"]
    late = [name for name in lanes if any(lane.ticks(Row.LATE) for lane in lanes[name])]
    assert late == ["naive", "ensemble"]


def test_the_example_of_rolling_holds() -> None:
    (code,) = [block.text for block in blocks(DOCS / "concepts.md") if block.language == "python"]
    exec(compile(code, "concepts.md", "exec"), {})
    with pytest.raises(AssertionError):  # it says so itself
        exec(compile(code.replace("== [8.0]", "== [7.0]"), "concepts.md", "exec"), {})
