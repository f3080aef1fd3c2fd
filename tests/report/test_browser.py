"""The pages as a browser shows them, where there is one; everywhere as a strict parser reads them."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from rollahead.report.load import load
from rollahead.report.page import make

from .browser import browser, show

PAGES = ("run", "study", "trained", "sweep", "unrecorded")
WIDTHS = (320, 390, 1041, 1280)  # px; above 1040 tables are tables
BROKEN = """<!DOCTYPE html><html><head></head><body><p style="width:2000px">wide</p><svg width="0" height="0"></svg>
<img src="http://elsewhere.invalid/a.png"/><script>console.warn("a warning")</script></body></html>"""


@pytest.fixture(scope="module")
def pages(request: pytest.FixtureRequest) -> dict[str, str]:
    return {name: make(load(request.getfixturevalue(name))) for name in PAGES}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_formed_to_the_strictest_parser(pages: dict[str, str], name: str) -> None:
    root = ElementTree.fromstring(pages[name])
    assert root.tag == "html"
    for svg in root.iter("svg"):
        assert svg.attrib["viewBox"]


@pytest.mark.parametrize(
    ("names", "widths"), [(("run", "study"), (390,)), pytest.param(PAGES, WIDTHS, marks=pytest.mark.slow)]
)
def test_pages_fit_are_drawn_and_fetch_nothing_in_a_browser(
    pages: dict[str, str], tmp_path: Path, names: tuple[str, ...], widths: tuple[int, ...]
) -> None:
    shown = {name: pages[name] for name in names}
    if browser() is None:
        assert [ElementTree.fromstring(html).tag for html in shown.values()] == ["html"] * len(names)
        return
    seen, said = show(shown, tmp_path, widths)
    assert {(one.name, one.width, one.dark) for one in seen} == {
        (name, width, dark) for name in names for width in widths for dark in (False, True)
    }
    assert [(one.name, one.width, one.wrong) for one in seen if one.wrong] == []
    assert all(one.drawn > 2 for one in seen if one.name in ("run", "study", "trained"))
    assert said == []


def test_what_is_wrong_with_a_page_is_noticed(tmp_path: Path) -> None:
    if browser() is None:
        with pytest.raises(ElementTree.ParseError):
            ElementTree.fromstring(BROKEN.replace("</p>", ""))
        return
    seen, said = show({"broken": BROKEN}, tmp_path, (390,))
    for one in seen:
        for words in ("scrolls to 20", "no size: <svg", "elsewhere.invalid"):
            assert words in "\n".join(one.wrong)
    assert any("a warning" in line for line in said)
