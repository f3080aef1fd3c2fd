"""The cost of the first hour: the demo, the tests, and the share of the code that is tests.

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
    """Records the ratio of lines of tests to lines of source, without blank lines."""
    ratio = lines_of(ROOT / "tests") / lines_of(ROOT / "src")
    return row("test_to_source_lines", ratio, "", goal=">= 0.9", command=f"{COMMAND} lines")


def lines_of(folder: Path) -> int:
    """Number of lines of the Python files in `folder` that are not blank."""
    return sum(bool(line.strip()) for path in folder.rglob("*.py") for line in path.read_text().splitlines())


def demo() -> Row:
    """Records the time of the whole demo, with everything installed."""
    program = Path(sys.executable).parent / "rollahead"
    with tempfile.TemporaryDirectory() as folder:
        took = minutes([str(program), "demo"], Path(folder))
    return row("demo_minutes", took, "min", goal="<= 5", command=f"{COMMAND} demo")


def tests() -> Row:
    """Records the time of `make test`, with everything installed."""
    took = minutes(["make", "--no-print-directory", "test"], ROOT)
    return row("first_use_test_minutes", took, "min", goal="<= 15", command=f"{COMMAND} tests")


def minutes(command: list[str], folder: Path) -> float:
    """The time that `command` takes in `folder`, in minutes. Raises: CalledProcessError, if it fails."""
    began = time.monotonic()
    subprocess.run(command, cwd=folder, check=True)
    return (time.monotonic() - began) / 60


FIGURES: Mapping[str, Callable[[], Row]] = {"lines": lines, "demo": demo, "tests": tests}


def main(names: list[str]) -> None:
    """Runs the named benchmarks, and records each figure as soon as it is measured."""
    for name in names:
        record(TOPIC, [FIGURES[name]()])


if __name__ == "__main__":
    main(sys.argv[1:])
