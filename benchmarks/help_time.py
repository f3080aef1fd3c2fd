"""How long `rollahead eval --help` takes, as a whole process.

    python -m benchmarks.help_time

The processes of others on the machine only lengthen it, so the figure is the median of the shortest half of the runs.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.figures import record, row

TOPIC, RUNS, WARM = "redesign", 40, 5


def main() -> None:
    """Writes the figure `help_s`."""
    program = str(Path(sys.executable).parent / "rollahead")
    took = sorted(_seconds([program, "eval", "--help"]) for _ in range(WARM + RUNS))[: RUNS // 2]
    value, command = statistics.median(took), "python -m benchmarks.help_time"
    record(TOPIC, [row("help_s", value, "s", goal="<= 0.25", ci=[took[0], took[-1]], command=command)])


def _seconds(program: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(program, check=True, capture_output=True)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
