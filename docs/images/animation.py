"""The animation of a run's report as a picture of its own:

rollahead demo name=demo
python docs/images/animation.py runs/demo docs/images/demo.svg
"""

import sys
from pathlib import Path

from rollahead.report.load import load
from rollahead.report.page import animation


def main(run: str, path: str) -> None:
    """Writes the SVG."""
    svg = animation(load(Path(run)))
    assert svg is not None, "the demo keeps episodes that can be seen from above"
    Path(path).write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
