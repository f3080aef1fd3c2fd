"""What the redesign changed for those who read and test: modules in the runtime's folder, the suite's time, the tick.

python -m benchmarks.redesign rooms       modules directly in `runtime`
python -m benchmarks.redesign collect     seconds to collect the suite
python -m benchmarks.redesign suite       minutes of `make test`
python -m benchmarks.redesign own_work    a tick's own work, beside that of the commit before, taking turns
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import record, row, run_named

TOPIC = "redesign"
ROOT = Path(__file__).parents[1]
BEFORE = "7db2f4fc2f3288cd0afa2176013684ea9752b1e4"  # the last commit with one flat runtime
ROUNDS, TICKS = 7, 10_000
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
SUITE = (sys.executable, "-m", "pytest", "-q", "-m", "not slow")
OWN_WORK = (
    "import numpy as np; from benchmarks.realtime import _ticks_us, arm; "
    f"print(np.median(_ticks_us(arm(7, rate_limit=40.0, accel_limit=4000.0), {TICKS})))"
)


def rooms() -> None:
    """Counts the modules that lie directly in `runtime`."""
    flat = [path for path in (ROOT / "src/rollahead/runtime").glob("*.py") if path.name != "__init__.py"]
    record(TOPIC, [row("runtime_rooms_flat_modules", len(flat), "", goal="<= 12", command=_command("rooms"))])


def collect() -> None:
    """Times the collection of all tests that `make test` runs, in one process, compiled before: the median of three."""
    took = []
    for _ in range(4):
        began = time.monotonic()
        command = [*SUITE, "--collect-only", "-p", "no:cacheprovider"]
        subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=True, capture_output=True)
        took.append(time.monotonic() - began)
    took = took[1:]  # the first one compiles
    value = statistics.median(took)
    record(
        TOPIC,
        [row("collect_s", value, "s", ci=(min(took), max(took)), goal="<= 10", command=_command("collect"))],
    )


def suite() -> None:
    """Times `make test` on two processes, once. Raises: SystemExit, if a test fails."""
    command = [*SUITE, "-n", "2"]
    ran = subprocess.run(command, cwd=ROOT, env=ENVIRONMENT, check=False, capture_output=True, text=True)
    if ran.returncode:
        raise SystemExit(ran.stdout[-4000:])
    (seconds,) = re.findall(r" in ([\d.]+)s", ran.stdout.splitlines()[-1])
    record(TOPIC, [row("test_minutes", float(seconds) / 60, "min", goal="<= 6", command=_command("suite"))])


def own_work() -> None:
    """Compares the median of a tick's own work with that of the commit before, in turns: the median of the ratios."""
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        subprocess.run(
            ["git", "worktree", "add", "--detach", before, BEFORE], cwd=ROOT, check=True, capture_output=True
        )
        try:
            pairs = [(_tick_us(ROOT), _tick_us(before)) for _ in range(ROUNDS)]
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", before], cwd=ROOT, check=True)
    ratios = sorted(now / then for now, then in pairs)
    value, ci = statistics.median(ratios), (ratios[1], ratios[-2])
    name, command = "tick_own_work_ratio_before_after", _command("own_work")
    record(TOPIC, [row(name, value, "", ci=ci, goal="<= 1.1", command=command)])


def _tick_us(tree: Path) -> float:
    """Returns the median of a tick's own work with the code in `tree`, in a process of its own, in microseconds."""
    environment = {**os.environ, "PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}"}
    ran = subprocess.run(
        [sys.executable, "-c", OWN_WORK], cwd=tree, env=environment, check=True, capture_output=True, text=True
    )
    return float(ran.stdout)


def _command(what: str) -> str:
    return f"python -m benchmarks.redesign {what}"


if __name__ == "__main__":
    run_named({"rooms": rooms, "collect": collect, "suite": suite, "own_work": own_work}, sys.argv[1:])
