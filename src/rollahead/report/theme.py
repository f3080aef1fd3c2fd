"""Colours, light and dark, and the helper that writes SVG elements.

The palette follows Okabe and Ito's, which colour-blind readers can tell apart; what differs in colour also differs in
marker, hatching or height. Drawings name a colour as `var(--name)`, so that one drawing serves both themes.
"""

from collections.abc import Iterable
from html import escape

LIGHT = {
    "page": "#f6f7f8",
    "card": "#ffffff",
    "ink": "#1a1f24",
    "muted": "#5a646e",
    "line": "#dfe3e7",
    "before": "#82909d",
    "after": "#008c66",
    "hold": "#b84a00",
    "late": "#b0005e",
    "good": "#00795a",
    "series0": "#a86700",
    "series1": "#a2478b",
    "series2": "#0072b2",
    "series3": "#4d5660",
    "series4": "#8c1c1c",
    "series5": "#6a3fd0",
}
DARK = {
    "page": "#121518",
    "card": "#1b2025",
    "ink": "#e9ecef",
    "muted": "#a0aab4",
    "line": "#343b43",
    "before": "#6b7783",
    "after": "#2fbf92",
    "hold": "#ff8f3f",
    "late": "#ff7ac0",
    "good": "#37c99b",
    "series0": "#f2b84b",
    "series1": "#e08fcb",
    "series2": "#56b4e9",
    "series3": "#c3cbd3",
    "series4": "#f07171",
    "series5": "#a58bff",
}
MARKERS = ("o", "s", "D", "^", "v", "P")  # matplotlib's names
SYMBOLS = ("●", "■", "◆", "▲", "▼", "✚")
FAMILIAR = {"sync": 0, "naive": 1, "vlash": 2, "ensemble": 3, "naive_arrival": 4}


def css_variables(selector: str) -> str:
    """Style sheet that gives `selector` the colours of the reader's theme."""
    light, dark = (";".join(f"--{name}:{value}" for name, value in theme.items()) for theme in (LIGHT, DARK))
    return f"{selector}{{{light}}}@media screen and (prefers-color-scheme:dark){{{selector}{{{dark}}}}}"


def styles(series: Iterable[str]) -> dict[str, int]:
    """Index of the colour and marker of each of `series`.

    A known strategy has its own, if no other series has it; else one that is free.
    """
    chosen: dict[str, int] = {}
    for name in series:
        taken = set(chosen.values())
        own = [FAMILIAR[word] for word in (name.replace(",", " ").split()[0],) if word in FAMILIAR]
        free = [i for i in (*own, *reversed(range(len(MARKERS)))) if i not in taken]
        chosen[name] = free[0] if free else len(chosen) % len(MARKERS)
    return chosen


def element(name: str, *content: str, **attributes: object) -> str:
    """Formats an SVG element.

    `class_` stands for class, `stroke_width` for stroke-width; attributes that are None are left out.

    >>> element("rect", x=1.5, class_="late")
    '<rect x="1.5" class="late"/>'
    """
    words = [f'{_attribute(key)}="{_value(value)}"' for key, value in attributes.items() if value is not None]
    opening = " ".join([name, *words])
    return f"<{opening}>{''.join(content)}</{name}>" if content else f"<{opening}/>"


def text(words: str, x: float, y: float, **attributes: object) -> str:
    """SVG element with a line of text at (x, y)."""
    return element("text", escape(words), x=x, y=y, **attributes)


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else escape(str(value))
