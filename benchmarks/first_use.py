"""What the first hour costs: the demo, the tests, and how much of the code is tests.

python -m benchmarks.first_use lines demo tests     the demo takes up to 5 minutes, and the tests to 15
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from benchmarks.figures import Row, record, row

TOPIC = "evidence"
ROOT = Path(__file__).parents[1]
COMMAND = "python -m benchmarks.first_use"


def lines() -> Row:
    """Lines of tests to lines of source, blank ones left out."""
    ratio = lines_of(ROOT / "tests") / lines_of(ROOT / "src")
    return row("test_to_source_lines", ratio, "", goal=">= 0.9", command=f"{COMMAND} lines")


def lines_of(folder: Path) -> int:
    """Those of the Python files in `folder` that are not blank."""
    return sum(bool(line.strip()) for path in folder.rglob("*.py") for line in path.read_text().splitlines())


def demo() -> Row:
    """The whole demo, as it is once everything is installed."""
    program = Path(sys.executable).parent / "rollahead"
    with tempfile.TemporaryDirectory() as folder:
        took = minutes([str(program), "demo"], Path(folder))
    return row("demo_minutes", took, "min", goal="<= 5", command=f"{COMMAND} demo")


def tests() -> Row:
    """`make test`, installed already."""
    took = minutes(["make", "--no-print-directory", "test"], ROOT)
    return row("test_minutes", took, "min", goal="<= 15", command=f"{COMMAND} tests")


def minutes(command: list[str], folder: Path) -> float:
    """How long `command` takes in `folder`. Raises: CalledProcessError, if it fails."""
    began = time.monotonic()
    subprocess.run(command, cwd=folder, check=True)
    return (time.monotonic() - began) / 60


FIGURES: Mapping[str, Callable[[], Row]] = {"lines": lines, "demo": demo, "tests": tests}


def main(names: list[str]) -> None:
    """Makes the figures that are named, each put down as soon as it is there."""
    for name in names:
        record(TOPIC, [FIGURES[name]()])


if __name__ == "__main__":
    main(sys.argv[1:])
