"""The blocks of a documentation page in order, and the commands in them."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
NEEDS = ("<", "...")  # in what a reader has to fill in
RECORDED = r"""rollahead() { printf '%s\x1f' "$@"; printf '\x1e'; }
"""


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a page.

    `language`: empty for commands; `file`: the file name in the line above it, empty if there is none.
    """

    language: str
    text: str
    file: str


def blocks(page: Path) -> list[Block]:
    """All blocks of `page`."""
    fenced = r"^(?:`([\w./-]+)`:\n\n)?```(\w*)\n(.*?)^```$"
    return [Block(language, text, file) for file, language, text in re.findall(fenced, page.read_text(), re.M | re.S)]


def commands(block: Block) -> list[list[str]]:
    """The arguments of each `rollahead ...` in `block`, as bash splits them.

    Those with a part to fill in are left out.
    """
    if block.language:
        return []
    wanted = [line for line in _statements(block.text) if re.match(r"rollahead |[A-Z]+=", line)]
    script = [line for line in wanted if not any(need in line for need in NEEDS)]
    said = subprocess.run(["bash", "-euc", RECORDED + "\n".join(script)], capture_output=True, text=True, check=True)
    return [one.split("\x1f")[:-1] for one in said.stdout.split("\x1e")[:-1]]


def unfinished(page: Path) -> list[str]:
    """The commands `rollahead ...` in the blocks of `page` that have a part to fill in."""
    lines = [line for block in blocks(page) if not block.language for line in _statements(block.text)]
    return [line for line in lines if line.startswith("rollahead ") and any(need in line for need in NEEDS)]


def _statements(text: str) -> Iterator[str]:
    """Lines, each joined with the indented ones that follow."""
    return (found.group() for found in re.finditer(r"^\S.*\n(?:[ \t]+\S.*\n)*", text, re.M))
