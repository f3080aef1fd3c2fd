"""Draws a timeline as SVG: a strip of what was sent, a lane per chunk beneath it, and an axis.

The drawing is made once per width, not scaled, so that its letters have their nominal size. Colours come from the page.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from zlib import crc32

from rollahead.report.theme import element, text
from rollahead.report.timeline import Lane, Picture, Row

TOP = 22  # px above the strip, for the event's label
STRIP = 18  # px
AXIS = 34  # px
MINUS = "\N{MINUS SIGN}"
DRAWN = {Row.USED: 0.0, Row.AVERAGED: 0.0, Row.LATE: 0.0, Row.PREFIX: 0.0, Row.UNUSED: 0.36}  # share left free above


@dataclass(frozen=True, slots=True)
class Layout:
    """Sizes of the drawing.

    Attributes:
        width: Width of the whole, in px.
        gutter: Space left of the ticks, for text, in px.
        right: Space right of the ticks, in px.
        lane: Height of a lane, in px.
        every: Ticks from label to label.
    """

    width: float
    gutter: float
    right: float
    lane: float
    every: int

    def tick_px(self, picture: Picture) -> float:
        """Width of a tick in px."""
        return (self.width - self.gutter - self.right) / (picture.stop - picture.start)


WIDE = Layout(width=1082, gutter=104, right=16, lane=20, every=5)
NARROW = Layout(width=326, gutter=14, right=10, lane=14, every=10)


@dataclass(frozen=True, slots=True)
class Canvas:
    """Coordinates of the drawing in px."""

    picture: Picture
    layout: Layout
    prefix: str  # prefix of the ids in the drawing

    def x(self, tick: int) -> float:
        """Left edge of a tick."""
        inside = min(max(tick, self.picture.start), self.picture.stop)
        return self.layout.gutter + (inside - self.picture.start) * self.layout.tick_px(self.picture)

    def y(self, lane: int) -> float:
        """Top of a lane."""
        return TOP + STRIP + 10 + lane * self.layout.lane

    @property
    def bottom(self) -> float:
        """Bottom of the last lane."""
        return self.y(len(self.picture.lanes)) + 2

    def visible(self, ticks: Iterable[int]) -> list[int]:
        """Ticks that are inside the drawing."""
        return [tick for tick in ticks if self.picture.start <= tick < self.picture.stop]

    def box(self, tick: int, y: float, height: float, stop: int | None = None, **attributes: object) -> str:
        """Rectangle over ticks `[tick, stop)`, with a small gap before the next."""
        width = self.x(tick + 1 if stop is None else stop) - self.x(tick)
        gap = min(1.0, self.layout.tick_px(self.picture) / 6)
        return element("rect", x=self.x(tick) + gap / 2, y=y, width=max(width - gap, 0.0), height=height, **attributes)


def draw(picture: Picture, layout: Layout, rate_hz: float, title: str) -> str:
    """SVG of the drawing, `layout.width` px wide.

    title: no two drawings of a page may have both the same title and the same width.
    """
    canvas = Canvas(picture, layout, f"hatch-{crc32(title.encode()):x}-{layout.width:g}")
    height = canvas.bottom + AXIS
    return element(
        "svg",
        element("title", escape(title)),
        _hatch(canvas),
        *_holds(canvas),
        *_grid(canvas, rate_hz),
        *_strip(canvas),
        *(part for i, lane in enumerate(picture.lanes) for part in _lane(canvas, i, lane)),
        *_event(canvas),
        viewBox=f"0 0 {layout.width:g} {height:g}",
        width=layout.width,
        height=height,
        class_="lanes",
        role="img",
    )


def runs(ticks: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Rising `ticks` as half-open ranges."""
    start = stop = None
    for tick in ticks:
        if start is None or stop is None or tick != stop:
            if start is not None and stop is not None:
                yield start, stop
            start = tick
        stop = tick + 1
    if start is not None and stop is not None:
        yield start, stop


def _hatch(canvas: Canvas) -> str:
    stroke = element("path", d="M0 0V6", class_="hatching")
    pattern = element(
        "pattern",
        stroke,
        id=canvas.prefix,
        width=5,
        height=6,
        patternUnits="userSpaceOnUse",
        patternTransform="rotate(45)",
    )
    return element("defs", pattern)


def _holds(canvas: Canvas) -> Iterator[str]:
    """Parts for holds: a band behind all lanes, and in the strip one mark per tick."""
    top = TOP + STRIP
    for start, stop in runs(canvas.picture.holds):
        yield canvas.box(start, top, canvas.bottom - top, stop, class_="hold-band")
    for tick in canvas.picture.holds:
        yield canvas.box(tick, TOP, STRIP, class_="hold", fill=f"url(#{canvas.prefix})", data_tick=tick)


def _grid(canvas: Canvas, rate_hz: float) -> Iterator[str]:
    picture = canvas.picture
    first = picture.start - picture.event
    for tick in range(first, picture.stop - picture.event + 1):
        if tick % canvas.layout.every == 0:
            x = canvas.x(tick + picture.event)
            yield element("path", d=f"M{x:.2f} {TOP}V{canvas.bottom + 4:.2f}", class_="grid")
            yield from _labels(x, canvas.bottom + 16, tick, rate_hz, seconds=tick % 10 == 0)


def _labels(x: float, y: float, tick: int, rate_hz: float, *, seconds: bool) -> Iterator[str]:
    yield text(signed(tick), x, y, class_="label", text_anchor="middle")
    if seconds:
        yield text(f"{tick / rate_hz:.1f} s".replace("-", MINUS), x, y + 14, class_="label faint", text_anchor="middle")


def signed(tick: int) -> str:
    """Formats a tick counted from the event: '+3', '0', and with a true minus sign '-12'."""
    return f"{tick:+d}".replace("-", MINUS) if tick else "0"


def _strip(canvas: Canvas) -> Iterator[str]:
    """Parts for what was sent: a mark per tick, and a line where another chunk takes over."""
    picture = canvas.picture
    if canvas.layout.gutter > 40:
        yield text("sent", canvas.layout.gutter - 8, TOP + 13, class_="label strong", text_anchor="end")
    for tick, request in picture.source.items():
        yield canvas.box(tick, TOP, STRIP, class_="sent aware" if picture.aware(request) else "sent")
    for tick in picture.skipped:
        yield canvas.box(tick, TOP, STRIP, class_="skipped", data_tick=tick)
    rows = {lane.request: i for i, lane in enumerate(picture.lanes)}
    for tick in picture.switches:
        lane = rows.get(picture.source[tick], 0)
        path = f"M{canvas.x(tick):.2f} {TOP - 4}V{canvas.y(lane) + canvas.layout.lane - 2:.2f}"
        yield element("path", d=path, class_="switch", data_tick=tick)


def _lane(canvas: Canvas, i: int, lane: Lane) -> Iterator[str]:
    y, height = canvas.y(i), canvas.layout.lane - 4
    if canvas.layout.gutter > 40:
        words = f"asked at {signed(lane.request - canvas.picture.event)}"
        yield text(words, canvas.layout.gutter - 8, y + height - 3, class_="label", text_anchor="end")
    yield from _thinking(canvas, y, height, lane)
    aware = " aware" if lane.aware else ""
    for tick in canvas.visible(lane.rows):
        kind = lane.rows[tick]
        free = DRAWN[kind] * height
        yield canvas.box(tick, y + free, height - 2 * free, class_=f"row {kind.value}{aware}", data_tick=tick)
    for start, stop in runs(canvas.visible(lane.committed)):
        yield canvas.box(start, y + height, 2.5, stop, class_="committed", data_tick=start)
    yield from _heads(canvas, y + height / 2, lane)


def _thinking(canvas: Canvas, y: float, height: float, lane: Lane) -> Iterator[str]:
    stop = canvas.picture.ended if lane.accepted is None else lane.accepted
    if stop > canvas.picture.start and lane.request < canvas.picture.stop:
        yield canvas.box(lane.request, y, height, stop, rx=height / 2, class_="thinking")
    if lane.accepted is not None and not lane.rows and lane.accepted < canvas.picture.stop:
        yield text("✕", canvas.x(lane.accepted) + 3, y + height - 3, class_="label lost")


def _heads(canvas: Canvas, y: float, lane: Lane) -> Iterator[str]:
    """Parts for the circle at the request, and the diamond at the tick whose state the policy was given."""
    picture, size, given = canvas.picture, canvas.layout.lane / 4.5, lane.given
    asked = canvas.x(lane.request)
    if given is not None and picture.start <= lane.request < given < picture.stop:
        yield element("path", d=f"M{asked:.2f} {y:.2f}H{canvas.x(given) - size:.2f}", class_="roll")
    if picture.start <= lane.request < picture.stop:
        yield element("circle", cx=asked, cy=y, r=size, class_="asked", data_tick=lane.request)
    if given is not None and picture.start <= given < picture.stop:
        left = f"M{canvas.x(given) - size:.2f} {y:.2f}"
        path = f"{left}l{size:.2f} {-size:.2f}l{size:.2f} {size:.2f}l{-size:.2f} {size:.2f}z"
        yield element("path", d=path, class_="given", data_tick=given)


def _event(canvas: Canvas) -> Iterator[str]:
    x = canvas.x(canvas.picture.event)
    yield element("path", d=f"M{x:.2f} {TOP - 6}V{canvas.bottom:.2f}", class_="event")
    yield text(canvas.picture.mark, x, TOP - 10, class_="label strong", text_anchor="middle")
