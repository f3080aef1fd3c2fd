"""The legend of a timeline: what its marks mean, each with a small drawing."""

from collections.abc import Iterable
from dataclasses import dataclass

from rollahead.report.theme import element, text
from rollahead.report.timeline import Picture

WIDTH, HEIGHT = 46, 18  # px


@dataclass(frozen=True, slots=True)
class Entry:
    """A mark, as SVG, and its meaning."""

    svg: str
    words: str


def legend(pictures: Iterable[Picture]) -> list[Entry]:
    """Entries for all marks that are in `pictures`."""
    shown = list(pictures)
    rows = {row for picture in shown for lane in picture.lanes for row in lane.rows.values()}
    seen = {row.value for row in rows}
    seen |= {"holds"} if any(picture.holds for picture in shown) else set()
    seen |= {"skipped"} if any(picture.skipped for picture in shown) else set()
    lanes = [lane for picture in shown for lane in picture.lanes]
    seen |= {"committed"} if any(lane.committed for lane in lanes) else set()
    seen |= {"nothing"} if any(lane.accepted is not None and not lane.rows for lane in lanes) else set()
    seen |= {picture.mark for picture in shown}
    return [Entry(_svg(*drawing), words) for needs, drawing, words in ENTRIES if needs is None or needs in seen]


def _svg(*parts: str) -> str:
    return element("svg", *parts, width=WIDTH, height=HEIGHT, viewBox=f"0 0 {WIDTH} {HEIGHT}", aria_hidden="true")


def _cells(class_: str, y: float = 2.0, height: float = 14.0, n: int = 4) -> tuple[str, ...]:
    return tuple(element("rect", x=2.5 + 10 * i, y=y, width=9.0, height=height, class_=class_) for i in range(n))


_DIAMOND = element("path", d="M32 9l5 -5l5 5l-5 5z", class_="given")
_THINKING = element("rect", x=6, y=2, width=34, height=14, rx=7, class_="thinking")
_HOLD = (
    element("rect", x=2.5, y=0, width=40, height=18, class_="hold-band"),
    *(element("path", d=f"M{x} 16l10 -14", class_="hatching") for x in (4, 12, 20, 28)),
)

ENTRIES: tuple[tuple[str | None, tuple[str, ...], str], ...] = (
    (
        "event",
        (element("path", d="M23 0V18", class_="event"),),
        "The event: something happens that the robot must react to. Ticks are counted from here.",
    ),
    (
        None,
        (_THINKING, element("circle", cx=7, cy=9, r=4.5, class_="asked")),
        "The robot observes and requests a plan (a chunk); the bar is the time until the plan is there.",
    ),
    (
        None,
        (_DIAMOND, element("path", d="M4 9H31", class_="roll")),
        "The state that the plan starts from: the one measured at the request, or one rolled ahead from it (dots).",
    ),
    (
        "event",
        _cells("used"),
        "Rows that were used, from a plan requested before the event: the plan does not know of it.",
    ),
    ("end", _cells("used"), "Rows that were used."),
    ("start", _cells("used"), "Rows that were used."),
    (
        "event",
        _cells("used aware"),
        "Rows that were used, from a plan requested after the event: the plan knows of it.",
    ),
    (
        None,
        (element("path", d="M23 0V18", class_="switch"),),
        "A switch: from this tick on, the actions come from another chunk.",
    ),
    ("averaged", _cells("averaged aware"), "Rows that were averaged with a newer chunk's."),
    ("late", _cells("late"), "Rows that came too late: their ticks had passed when the plan was there."),
    ("prefix", _cells("prefix aware"), "Rows that only repeat what was committed."),
    (
        "unused",
        _cells("unused", 7.0, 4.0),
        "Rows that were never used: another plan had taken over, or the strategy uses fewer rows.",
    ),
    (
        "committed",
        (*_cells("used", 1.0, 11.0), element("rect", x=2.5, y=13, width=39, height=3, class_="committed")),
        "Committed rows: they are sent in any case, and the next plan is made to follow them.",
    ),
    ("holds", _HOLD, "A hold: no plan has an action for the tick, and the robot waits."),
    ("skipped", _cells("skipped"), "A skipped tick: its deadline had passed, and nothing was sent."),
    (
        "nothing",
        (text("✕", 18, 14, class_="label lost"),),
        "A plan that came so late that none of its rows could be used.",
    ),
)
