"""A real browser, where there is one, for the tests of the pages.

It shows pages side by side, each in a frame of its own width and theme, with a script in front that notes what is
wrong. One start of the browser serves for all of them.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape, unescape
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom"),
    *("--virtual-time-budget=3000", "--disable-background-networking", "--no-first-run"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--window-size=1400,900"),
)
PATIENCE_S = 300.0
HOST = """<!DOCTYPE html><meta charset="utf-8"><script>
addEventListener("message", event => document.documentElement.append(JSON.stringify(event.data) + "\\n"));
</script>"""
PROBE = """<script>
const wrong = [];
document.addEventListener("securitypolicyviolation", event => wrong.push("blocked: " + event.blockedURI));
addEventListener("error", event => wrong.push("error: " + (event.message || event.target.outerHTML)), true);
const visible = () => [...document.querySelectorAll("svg, img")].filter(one => one.checkVisibility());
const told = elements => elements.slice(0, 3).map(one => one.outerHTML.slice(0, 150)).join(" | ");
function wide() {
    const width = document.scrollingElement.scrollWidth;
    const far = [...document.querySelectorAll("body *")].filter(one => one.getBoundingClientRect().right > innerWidth);
    return width > innerWidth ? [`scrolls to ${width}: ${told(far)}`] : [];
}
function empty() {
    const boxes = visible().map(one => [one, one.getBoundingClientRect()]);
    const small = boxes.filter(([_, box]) => box.width < 5 || box.height < 5).map(([one, _]) => one);
    return small.length ? ["no size: " + told(small)] : [];
}
addEventListener("load", () => {
    wrong.push(...wide());
    document.querySelectorAll("details").forEach(one => one.open = true);
    wrong.push(...wide(), ...empty());
    wrong.push(...performance.getEntriesByType("resource").map(one => "fetched: " + one.name));
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    parent.postMessage({name: NAME, width: innerWidth, dark: dark, drawn: visible().length, wrong: wrong}, "*");
});
</script>"""


@dataclass(frozen=True)
class Seen:
    """A page as it was shown. drawn: how many pictures; wrong: what should not be."""

    name: str
    width: int
    dark: bool
    drawn: int
    wrong: list[str]


@cache
def browser() -> str | None:
    """The first that is installed."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def show(pages: Mapping[str, str], folder: Path, widths: tuple[int, ...]) -> tuple[list[Seen], list[str]]:
    """Each page at each width, light and dark; and what the console said. There must be a browser."""
    frames = "".join(
        _frame(name, html, width, scheme)
        for name, html in pages.items()
        for width in widths
        for scheme in ("light", "dark")
    )
    host = folder / "host.html"
    host.write_text(HOST + frames, encoding="utf-8")
    command = [str(browser()), *OPTIONS, f"--user-data-dir={folder / 'profile'}", host.as_uri()]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    notes = re.findall(r'^.*(\{"name":.*\})$', ran.stdout, flags=re.MULTILINE)
    said = [line for line in ran.stderr.splitlines() if "CONSOLE" in line]
    return [Seen(**json.loads(unescape(note))) for note in notes], said


def _frame(name: str, html: str, width: int, scheme: str) -> str:
    probe = PROBE.replace("NAME", json.dumps(name))
    probed = html.replace("<head>", f"<head>{probe}", 1)
    style = f"width:{width}px;height:900px;border:0;color-scheme:{scheme}"
    return f'<iframe style="{style}" srcdoc="{escape(probed)}"></iframe>'
