"""Runs every command of the pages that a LeRobot user reads first, word for word, as that user has it: with a data set
and a checkpoint that LeRobot wrote, and LeRobot's own SO-101 class on a simulated bus.

    python -m benchmarks.documented     20 minutes at most

Options are only added at a command's end, to make it short. A command that asks for something to be filled in (`...`)
counts as one that did not run.
"""

import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.pages import DOCS, blocks, commands

TOPIC = "first_hour"
COMMAND = "python -m benchmarks.documented"
PAGES = ("quickstart", "robots", "train", "safety")
PROGRAM = Path(sys.executable).parent / "rollahead"
IN_TEXT = r"`rollahead ([a-z]+(?: [^`]*=[^`]*)?)`"
ALONE = ("doctor",)  # commands that are whole without an option; any other is only named
SHORT = {
    "eval": ("episodes=2", "workers=1"),
    "train": (
        "training.steps=4",
        "watch.every=2",
        "watch.episodes=1",
        "evaluation.episodes=1",
        "demonstrations.count=12",
        "workers=1",
    ),
    "doctor": (),
    "report": (),
}


@dataclass(frozen=True, slots=True)
class Ran:
    """One command of a page and how it ended. status: 0 if it ran; said: what it wrote to stderr."""

    page: str
    arguments: tuple[str, ...]
    status: int
    said: str


def documented(page: str) -> list[tuple[str, ...]]:
    """The commands of `page`: those of its blocks in their order, then those in its text that stand nowhere else."""
    path = DOCS / f"{page}.md"
    shown = [tuple(command) for block in blocks(path) for command in commands(block)]
    named = [tuple(words.split()) for words in re.findall(IN_TEXT, path.read_text())]
    whole = [command for command in named if len(command) > 1 or command[0] in ALONE]
    return list(dict.fromkeys([*shown, *whole]))


def shortened(command: Sequence[str]) -> list[str]:
    """The same command with options at its end that make it short."""
    program, *arguments = command
    if "--help" in arguments:
        return [*command]
    if program == "run":
        return [*command, "seconds=2" if any(one.startswith("robot=") for one in arguments) else "episodes=1"]
    if program == "calibrate":
        moved = any(one.startswith("robot=") for one in arguments)
        return [*command, *(("hold_s=0.2", "repeats=1") if moved else ("episodes=2", "workers=1"))]
    if any(one.startswith("resume=") for one in arguments):
        return [*command]
    return [*command, *SHORT[program]]


def run_all(pages: Sequence[str], folder: Path, environment: dict[str, str]) -> Iterator[Ran]:
    """Runs the commands of `pages` one after the other in `folder`."""
    for page in pages:
        for command in documented(page):
            ran = subprocess.run(
                [PROGRAM, *shortened(command)], cwd=folder, env=environment, capture_output=True, text=True, check=False
            )
            yield Ran(page, command, ran.returncode, ran.stderr)
