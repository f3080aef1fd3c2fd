"""A terminal as a picture, from what a command printed to it:

FORCE_COLOR=1 COLUMNS=84 rollahead train task=mole name=my_mole > printed.txt
python docs/images/terminal.py "rollahead train task=mole name=my_mole" printed.txt docs/images/train.svg
"""

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS = 84


def picture(command: str, log: str) -> str:
    """The SVG. Of a line that was written over again, as bars are, it shows what it came to."""
    lines = [line.rsplit("\r", 1)[-1] for line in log.rstrip("\n").split("\n")]
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in (f"$ \x1b[1m{command}\x1b[0m", *lines, ""):  # the last one's letters would be cut off below
        console.print(Text.from_ansi(line))
    svg = console.export_svg(title=command.split()[0], unique_id="terminal")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)  # nothing from outside


if __name__ == "__main__":
    Path(sys.argv[3]).write_text(picture(sys.argv[1], Path(sys.argv[2]).read_bytes().decode()), encoding="utf-8")
