from itertools import combinations
from math import dist

import pytest

from rollahead.report.chapters import SHARES
from rollahead.report.theme import DARK, LIGHT, MARKERS, SYMBOLS, css_variables, element, styles, text


def test_an_element_writes_its_attributes_as_svg_names_them() -> None:
    assert element("rect", x=1.5, stroke_width=2, class_="late", viewBox="0 0 1 1") == (
        '<rect x="1.5" stroke-width="2" class="late" viewBox="0 0 1 1"/>'
    )


def test_an_attribute_that_is_none_is_left_out() -> None:
    assert element("rect", x=1, fill=None) == '<rect x="1"/>'


def test_what_a_name_holds_cannot_leave_its_place() -> None:
    assert element("g", title='"><script>') == '<g title="&quot;&gt;&lt;script&gt;"/>'
    assert text("<b>&", 0, 0) == '<text x="0" y="0">&lt;b&gt;&amp;</text>'


def test_both_themes_name_the_same_colours() -> None:
    assert LIGHT.keys() == DARK.keys()
    assert all(f"series{i}" in LIGHT for i in range(len(MARKERS)))
    assert len(MARKERS) == len(SYMBOLS)


def test_the_variables_follow_the_readers_theme() -> None:
    css = css_variables(":root")
    assert css.startswith(f":root{{--page:{LIGHT['page']}")
    assert f"@media screen and (prefers-color-scheme:dark){{:root{{--page:{DARK['page']}" in css


THEMES = pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])


def channels(colour: str) -> list[float]:
    """Linear red, green, blue (sRGB, IEC 61966-2-1)."""
    values = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    return [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in values]


def contrast(one: str, other: str) -> float:
    """From 1 to 21, as WCAG 2.1 has it."""
    dark, light = sorted(
        sum(share * value for share, value in zip((0.2126, 0.7152, 0.0722), channels(colour), strict=True))
        for colour in (one, other)
    )
    return (light + 0.05) / (dark + 0.05)


def mixed(colour: str, other: str, share: float) -> str:
    """So much of `colour` in `other`, as `color-mix` in sRGB has it."""
    parts = zip(*([int(each[i : i + 2], 16) for i in (1, 3, 5)] for each in (colour, other)), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in parts)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


@THEMES
@pytest.mark.parametrize("colour", ["ink", "muted", "good", "hold"])
@pytest.mark.parametrize("ground", ["page", "card"])
def test_text_is_told_from_its_ground(theme: dict[str, str], colour: str, ground: str) -> None:
    assert contrast(theme[colour], theme[ground]) >= 4.5  # WCAG 2.1, AA, text


@THEMES
def test_names_and_marks_of_series_are_told_from_the_card(theme: dict[str, str]) -> None:
    for i in range(len(MARKERS)):
        assert contrast(theme[f"series{i}"], theme["card"]) >= 4.5
    for name in ("before", "after", "late"):
        assert contrast(theme[name], theme["card"]) >= 3.0  # WCAG 2.1, AA, graphics


@THEMES
@pytest.mark.parametrize("colour", ["good", "hold"])
@pytest.mark.parametrize("share", SHARES)
def test_a_comparison_can_be_read_on_its_colour(theme: dict[str, str], colour: str, share: int) -> None:
    assert contrast(theme["ink"], mixed(theme[colour], theme["card"], share / 100)) >= 4.5


@THEMES
def test_no_two_series_have_nearly_the_same_colour(theme: dict[str, str]) -> None:
    colours = [channels(theme[f"series{i}"]) for i in range(len(MARKERS))]
    assert min(dist(one, other) for one, other in combinations(colours, 2)) > 0.15


def test_a_known_strategy_always_has_its_own_style() -> None:
    assert styles(["vlash", "sync"]) | {"x": 9} == {"vlash": 2, "sync": 0, "x": 9}
    assert styles(["sync s=8", "vlash s=16"]) == {"sync s=8": 0, "vlash s=16": 2}


def test_series_look_different_as_long_as_there_are_styles() -> None:
    series = [f"vlash s={s}" for s in range(len(MARKERS))]
    assert sorted(styles(series).values()) == list(range(len(MARKERS)))


def test_more_series_than_styles_share_them() -> None:
    assert len(styles([str(i) for i in range(20)])) == 20
