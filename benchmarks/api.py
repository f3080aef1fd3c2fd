"""What the public Python API costs before it does anything.

python -m benchmarks.api     `import rollahead`, beyond the start of an interpreter that imports nothing
"""

import statistics
import subprocess
import sys

from benchmarks.figures import record, row, run_named

TOPIC = "redesign"
ROUNDS = 31
TIMED = "import time; began_ns = time.perf_counter_ns(); {}; print(time.perf_counter_ns() - began_ns)"


def importing() -> None:
    """Times `import rollahead` in new interpreters, in turns with importing nothing: the median of the differences."""
    pairs = [_took_ms("import rollahead") - _took_ms("pass") for _ in range(ROUNDS)]
    low, value, high = statistics.quantiles(pairs, n=4)
    figure = row("import_rollahead_ms", value, "ms", ci=(low, high), goal="<= 50", command="python -m benchmarks.api")
    record(TOPIC, [figure])


def _took_ms(code: str) -> float:
    """Returns how long `code` takes in an interpreter that has just started, in ms."""
    ran = subprocess.run([sys.executable, "-c", TIMED.format(code)], check=True, capture_output=True, text=True)
    return int(ran.stdout) / 1e6


if __name__ == "__main__":
    run_named({"import": importing}, sys.argv[1:])
