"""Runs every command of the pages that a LeRobot user reads first, word for word.

    python -m benchmarks.documented     10 minutes

It has the user's files: a data set and a checkpoint that LeRobot wrote, and LeRobot's own SO-101 class on a simulated
bus. Options are only added at a command's end, to make it short. A command with a part to fill in (`...`) cannot be
run, and counts as failed.
"""

import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import lerobot_user
from benchmarks.figures import record, row
from benchmarks.pages import DOCS, NEEDS, blocks, commands, unfinished
from benchmarks.so101 import ID, PORT, arms, cameras

TOPIC = "first_hour"
COMMAND = "python -m benchmarks.documented"
PAGES = ("quickstart", "robots", "train", "safety")
PROGRAM = (sys.executable, "-c", "from rollahead.cli import main; main()")
ARMS = {PORT: ID}
PAIR = {"/dev/ttyACM0": "left", "/dev/ttyACM1": "right"}
IN_TEXT = r"`rollahead ([a-z-]+(?: [^`]*=[^`]*)?)`"
ALONE = ("doctor",)  # commands that are whole without an option; any other is only named
SHORT = {
    "eval": ("episodes=2", "workers=1"),
    "train": ("training.steps=4", "training.batch=8", "watch.every=2", "workers=1"),
    "doctor": (),
    "report": (),
}
QUICK = {  # options that make other commands short
    "recommend": ("episodes=2", "workers=1"),
    "tune": ("inferences=4",),
    "identify": ("hold_s=0.2", "repeats=1"),
    "train-corrector": ("training.steps=4", "training.batch=8", "evaluation.episodes=1", "workers=1"),
}
SHORT_OF_A_TASK = ("watch.episodes=1", "evaluation.episodes=1", "demonstrations.count=12")
LATENCIES = "0.11\n0.16\n0.14\n"  # the recording that the reader is said to have


@dataclass(frozen=True, slots=True)
class Ran:
    """One command of a page and its result. `status`: 0 if it ran; `said`: its output on stderr."""

    page: str
    words: str
    status: int
    said: str


def documented(page: str) -> list[tuple[str, ...]]:
    """The commands of `page`: those of its blocks in order, then those in its text that are in no block."""
    path = DOCS / f"{page}.md"
    shown = [tuple(command) for block in blocks(path) for command in commands(block)]
    named = [tuple(words.split()) for words in re.findall(IN_TEXT, path.read_text())]
    whole = [words for words in named if (len(words) > 1 or words[0] in ALONE) and not _asks(" ".join(words))]
    return list(dict.fromkeys([*shown, *whole]))


def _asks(words: str) -> bool:
    """Whether a command has a part to fill in."""
    return any(need in words for need in (*NEEDS, "…"))


def shortened(command: Sequence[str]) -> list[str]:
    """A command with options at its end that make it short."""
    program, *arguments = command
    real = any(one.startswith("robot=") and one != "robot=sim" for one in arguments)
    if "--help" in arguments or any(one.startswith("resume=") for one in arguments):
        return [*command]
    if program == "run":
        return [*command, "seconds=2" if real else "episodes=1"]
    if program in QUICK:
        return [*command, *QUICK[program]]
    on_task = program == "train" and not any(one.startswith("dataset=") for one in arguments)
    return [*command, *SHORT[program], *(SHORT_OF_A_TASK if on_task else ())]


def prepared(folder: Path) -> dict[str, str]:
    """Writes the user's files into `folder`, and returns the environment variables of that user's programs."""
    arms(folder / "arms", ARMS)
    environment = cameras(arms(folder / "arms", PAIR))  # with the calibration of before, on the port of the first
    environment |= {"HF_HOME": str(folder / "huggingface"), "HF_HUB_OFFLINE": "1", "COLUMNS": "120"}
    program = [sys.executable, "-m", "benchmarks.lerobot_user"]
    paths = f"{DOCS.parent}:{environment['PYTHONPATH']}"
    subprocess.run(
        program, cwd=folder, env={**environment, "PYTHONPATH": paths}, check=True, capture_output=True, text=True
    )
    (folder / "latencies.txt").write_text(LATENCIES)
    return environment


def run_all(pages: Sequence[str], folder: Path, environment: dict[str, str]) -> Iterator[Ran]:
    """Runs the commands of `pages` one after the other in `folder`."""
    for page in pages:
        for words in unfinished(DOCS / f"{page}.md"):
            yield Ran(page, words, 1, "something is to be filled in")
        before: tuple[str, ...] = ()
        for command in documented(page):
            if (resumed := command[-1].partition("resume=")[2]) and (folder / resumed).exists():
                shutil.rmtree(folder / resumed)
                _interrupt([*PROGRAM, *shortened(before), "training.steps=100"], folder, environment, folder / resumed)
            ran = subprocess.run(
                [*PROGRAM, *shortened(command)],
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                check=False,
            )
            yield Ran(page, " ".join(command), ran.returncode, ran.stderr)
            before = command


def _interrupt(program: Sequence[str], folder: Path, environment: dict[str, str], run: Path) -> None:
    """Begins a training and presses Ctrl-C as soon as it can be resumed. `run`: the folder that it writes."""
    begun = subprocess.Popen(program, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (run / "training.pt").exists() and begun.poll() is None:
        time.sleep(0.01)
    begun.send_signal(signal.SIGINT)
    begun.wait()


def main() -> None:
    """Records the figure, and prints each command with its result."""
    with tempfile.TemporaryDirectory() as folder:
        ran = []
        for one in run_all(PAGES, Path(folder), prepared(Path(folder))):
            print(f"{one.page}: {'ok' if one.status == 0 else 'FAILED'}: {one.words}", flush=True)
            print(one.said if one.status else "", end="")
            ran.append(one)
    share = sum(one.status == 0 for one in ran) / len(ran)
    print(f"{len(ran)} commands, LeRobot {lerobot_user.version()}")
    record(TOPIC, [row("documented_commands_run_share", share, "", goal=">= 1", command=COMMAND)])


if __name__ == "__main__":
    main()
