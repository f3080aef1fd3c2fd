"""Animation of one episode seen from above, one panel per strategy, as an SVG without a script.

It needs no style from outside either, so it also works as a file of its own in an <img>. Every `<animate>` has as many
`values` as `keyTimes`; all last as long as the whole, and so stay together when it starts again.
"""

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby, pairwise

import numpy as np

from rollahead.report import theme
from rollahead.report.theme import element, text
from rollahead.report.topview import Panel
from rollahead.runtime.types.arrays import FloatArray

SPEED = 0.5  # playback speed, in multiples of real time
PAUSE_S = 1.6  # pause at the end, to read the outcome
SIDE, GAP, HEAD, BAR, FOOT = 320.0, 20.0, 48.0, 14.0, 66.0  # px
TRAIL = 60.0  # px


def animate(panels: Sequence[Panel], footnote: str = "") -> str:
    """SVG document with the panels side by side, on one clock, at half speed, repeated for ever.

    All panels must have the same rate. footnote: text below the panels.
    """
    stage = Stage(panels)
    width, height = len(panels) * (SIDE + GAP) + GAP, HEAD + SIDE + FOOT + 8
    return element(
        "svg",
        element("title", escape(", ".join(f"{p.title}: {'hit' if p.success else 'missed'}" for p in panels))),
        element("style", _style()),
        element("rect", width=width, height=height, rx=14.0, class_="page"),
        *(
            element("g", *stage.draw(shown), transform=f"translate({GAP + i * (SIDE + GAP):g} {HEAD:g})")
            for i, shown in enumerate(panels)
        ),
        text(footnote, width / 2, height - 12, class_="foot", text_anchor="middle"),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:g} {height:g}",
        class_="rollahead-animation",
        role="img",
    )


class Stage:
    """Clock and scale that the panels share. The longest panel sets the length; shorter ones wait at their end."""

    def __init__(self, panels: Sequence[Panel]) -> None:
        self._ticks = max(len(shown.tool) for shown in panels)
        self._tick_s = 1.0 / (panels[0].rate_hz * SPEED)
        self._total_s = self._ticks * self._tick_s + PAUSE_S
        everything = np.concatenate([points for p in panels for points in (p.tool, *p.objects.values())])
        low, high = everything.min(axis=0), everything.max(axis=0)
        self._middle = (low + high) / 2
        self._scale = (SIDE - 84.0) / max(float((high - low).max()), 1e-3)  # px/m

    def draw(self, shown: Panel) -> Iterator[str]:
        """Parts of a panel, with its field at (0, 0)."""
        size = min(26.0, SIDE / (0.62 * len(shown.title)))
        yield text(shown.title, 0.0, -13.0, class_="title", font_size=size, fill=f"var(--{shown.colour})")
        yield element("rect", width=SIDE, height=SIDE, rx=10.0, class_="field")
        for points in shown.objects.values():
            yield from self._object(shown, self._px(points))
        yield from self._tool(shown, self._px(shown.tool))
        yield from self._lamp(shown)
        yield from self._bar(shown)
        yield self._outcome(shown)

    def _px(self, points: FloatArray) -> FloatArray:
        return (points - self._middle) * (self._scale, -self._scale) + SIDE / 2

    def _object(self, shown: Panel, points: FloatArray) -> Iterator[str]:
        """Parts for the object, the place that it left, and a ring that shows the time left to reach it."""
        for place in dict.fromkeys(_pair(point) for point in points[: shown.event]):
            x, y = place.split()
            yield element("circle", cx=x, cy=y, r=11.0, class_="left")
        gone = self._discrete("opacity", [(0, "1"), (len(points), "1" if shown.success else "0.3")])
        body = element("g", element("circle", r=11.0, class_="mole"), element("circle", r=4.5, class_="nose"), gone)
        changes = [(i, _pair(points[i])) for i in _changes([_pair(point) for point in points])]
        move = self._discrete("transform", changes, element_name="animateTransform", type="translate")
        yield element("g", body, *self._ring(shown), move)

    def _ring(self, shown: Panel) -> Iterator[str]:
        if shown.window_s is None:
            return
        ticks = shown.window_s * shown.rate_hz
        n = len(shown.tool)
        spent = np.clip((np.arange(n + 1) - shown.event) / ticks, 0.0, 1.0)
        keys = [0, shown.event, n]
        drain = self._linear("stroke-dashoffset", [f"{100 * spent[i]:.1f}" for i in keys], keys)
        show = self._discrete("opacity", [(0, "0"), (shown.event, "1")])
        common = {"r": 18.0, "pathLength": 100, "stroke_dasharray": 100, "transform": "rotate(-90)"}
        yield element("circle", drain, show, class_="ring", **common)

    def _tool(self, shown: Panel, points: FloatArray) -> Iterator[str]:
        way = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        length = float(way[-1]) + 1.0
        path = "M" + "L".join(_pair(point) for point in points)
        keys = range(len(points))
        for class_, dash in (("way", length), ("trail", TRAIL)):
            offsets = [f"{dash - along:.1f}" for along in way]
            grow = self._linear("stroke-dashoffset", offsets, keys)
            dashes = f"{dash:.1f} {length + TRAIL:.1f}"
            yield element("path", grow, d=path, class_=class_, stroke=f"var(--{shown.colour})", stroke_dasharray=dashes)
        places = [_pair(point) for point in points]
        move = self._linear("transform", places, keys, element_name="animateTransform", type="translate")
        yield element("circle", move, r=9.0, class_="tool", fill=f"var(--{shown.colour})")

    def _lamp(self, shown: Panel) -> Iterator[str]:
        """Parts of the lamp, which is on while the robot holds."""
        lit = ["1" if source == "hold" else "0" for source in shown.sent] + ["0"]
        blink = self._discrete("opacity", [(i, lit[i]) for i in _changes(lit)])
        at = {"cx": 20, "cy": 20, "r": 8}
        yield element("circle", class_="socket", **at)
        on = element("circle", class_="lamp", **at)
        words = text("waits for the policy", 35.0, 26.5, class_="waits")
        yield element("g", on, words, blink)

    def _bar(self, shown: Panel) -> Iterator[str]:
        """Parts of the bar that shows what was sent, tick by tick, with a marker at the current tick."""
        width = SIDE / self._ticks
        y = SIDE + 12
        at = 0
        for source, ticks in groupby(shown.sent):
            n = len(list(ticks))
            low = BAR / 2 if source == "hold" else 0.0
            yield element("rect", x=at * width, y=y + low, width=n * width, height=BAR - low, class_=source)
            at += n
        x = shown.event * width
        yield element("path", d=f"M{x:.1f} {y - 4:g}v{BAR + 8:g}", class_="event")
        n = len(shown.sent)
        move = self._linear("x", ["0", f"{n * width:.1f}"], [0, n])
        yield element("rect", move, y=y - 4, width=3.0, height=BAR + 8, class_="head")

    def _outcome(self, shown: Panel) -> str:
        words = f"hit after {shown.time_s:.2f} s" if shown.success else "missed"
        show = self._discrete("opacity", [(0, "0"), (len(shown.tool), "1")])
        label = text(words, SIDE / 2, SIDE - 18, class_="hit" if shown.success else "missed", text_anchor="middle")
        return element("g", label, show, opacity=0)

    def _linear(self, attribute: str, values: Sequence[str], keys: Sequence[int], **options: str) -> str:
        """Animation with `values` at the heads of ticks `keys`, interpolated linearly, the last one kept to the end."""
        times = [*(self._share(key) for key in keys), "1"]
        return self._animate(attribute, [*values, values[-1]], times, calcMode="linear", **options)

    def _discrete(self, attribute: str, changes: Sequence[tuple[int, str]], **options: str) -> str:
        """Animation in which each value holds from its tick until the next one's."""
        times = [self._share(key) for key, _ in changes]
        return self._animate(attribute, [value for _, value in changes], times, calcMode="discrete", **options)

    def _share(self, tick: int) -> str:
        return f"{tick * self._tick_s / self._total_s:.5f}"

    def _animate(
        self,
        attribute: str,
        values: Sequence[str],
        times: Sequence[str],
        *,
        element_name: str = "animate",
        **options: str,
    ) -> str:
        return element(
            element_name,
            attributeName=attribute,
            values=";".join(values),
            keyTimes=";".join(times),
            dur=f"{self._total_s:.3f}s",
            repeatCount="indefinite",
            **options,
        )


def _changes(values: Sequence[str]) -> list[int]:
    """Indices where a value differs from the one before it; the first always does."""
    return [0, *(i for i, (old, new) in enumerate(pairwise(values), start=1) if old != new)]


def _pair(point: FloatArray) -> str:
    return f"{point[0]:.1f} {point[1]:.1f}"


def _style() -> str:
    root = ".rollahead-animation"
    rules = {
        "": 'font-family:system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif',
        " .page": "fill:var(--card)",
        " .field": "fill:var(--page);stroke:var(--line)",
        " .title": "font-weight:700",
        " .waits": "font-size:20px;fill:var(--hold)",
        " .foot": "font-size:20px;fill:var(--muted)",
        " .left": "fill:none;stroke:var(--muted);stroke-width:1.5;stroke-dasharray:3 3",
        " .mole": "fill:#8a5a3c",
        " .nose": "fill:#f4a7a0",
        " .ring": "fill:none;stroke:var(--good);stroke-width:4",
        " .way": "fill:none;stroke-width:2;opacity:.35",
        " .trail": "fill:none;stroke-width:6;opacity:.5;stroke-linejoin:round",
        " .tool": "stroke:var(--card);stroke-width:2.5",
        " .socket": "fill:none;stroke:var(--muted);stroke-width:1.5",
        " .lamp,{root} .hold": "fill:var(--hold)",
        " .before": "fill:var(--before)",
        " .after": "fill:var(--after)",
        " .event": "stroke:var(--ink);stroke-width:2;stroke-dasharray:3 2",
        " .head": "fill:var(--ink)",
        " .hit,{root} .missed": "font-size:26px;font-weight:700",
        " .hit": "fill:var(--good)",
        " .missed": "fill:var(--hold)",
    }
    return theme.css_variables(root) + "".join(
        f"{root}{selector.replace('{root}', root)}{{{rule}}}" for selector, rule in rules.items()
    )
