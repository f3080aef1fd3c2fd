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
    assert f"@media (prefers-color-scheme:dark){{:root{{--page:{DARK['page']}" in css


def test_a_known_strategy_always_has_its_own_style() -> None:
    assert styles(["vlash", "sync"]) | {"x": 9} == {"vlash": 2, "sync": 0, "x": 9}
    assert styles(["sync s=8", "vlash s=16"]) == {"sync s=8": 0, "vlash s=16": 2}


def test_series_look_different_as_long_as_there_are_styles() -> None:
    series = [f"vlash s={s}" for s in range(len(MARKERS))]
    assert sorted(styles(series).values()) == list(range(len(MARKERS)))


def test_more_series_than_styles_share_them() -> None:
    assert len(styles([str(i) for i in range(20)])) == 20
