"""Measures how late an empty control loop is on this machine, and which real-time settings are permitted.

No control loop on the machine can keep its time better than this one; `rollahead doctor` prints the figure to compare a
run with.

Threads: `measure_floor` starts a thread of its own, which is tuned like an executor's.
"""

import subprocess
import sys
import threading
from dataclasses import dataclass

import numpy as np

from rollahead.runtime.system.clock import Clock, Grid, MonotonicClock
from rollahead.runtime.system.tuning import Tuning, tuned_thread
from rollahead.runtime.types.arrays import FloatArray

RATE_HZ = 500.0
PRIORITY = 50


@dataclass(frozen=True, slots=True)
class Floor:
    """Timing of a loop that does nothing.

    Attributes:
        late_us: (n,), how many microseconds after its deadline each tick began.
        tuned: Text by setting of what was set for the loop's thread, or why not.
    """

    late_us: FloatArray
    tuned: dict[str, str]


def measure_floor(seconds: float, tuning: Tuning, rate_hz: float = RATE_HZ, clock: Clock | None = None) -> Floor:
    """Runs a loop that does nothing for so many `seconds` at `rate_hz`, and returns its timing."""
    found: list[Floor] = []

    def loop() -> None:
        with tuned_thread(tuning) as tuned:
            found.append(Floor(_late_us(clock or MonotonicClock(), rate_hz, round(seconds * rate_hz)), tuned))

    thread = threading.Thread(target=loop, name="rollahead floor")
    thread.start()
    thread.join()
    return found[0]


def _late_us(clock: Clock, rate_hz: float, ticks: int) -> FloatArray:
    grid = Grid(clock.now_ns(), rate_hz)
    late_ns = np.zeros(ticks)
    for k in range(ticks):
        clock.sleep_until_ns(grid.due_ns(k))
        late_ns[k] = clock.now_ns() - grid.due_ns(k)
    return late_ns / 1e3


def permitted() -> dict[str, str]:
    """Whether SCHED_FIFO ("scheduling") and locked memory ("memory") are permitted, as a text each.

    Both are tried in a process of its own, because locking memory touches every page that a process has.
    """
    trial = subprocess.run([sys.executable, "-c", _TRIAL], capture_output=True, text=True, check=False)
    words = trial.stdout.splitlines() if trial.returncode == 0 else ["not permitted (the trial failed)"] * 2
    return dict(zip(("scheduling", "memory"), words, strict=True))


_TRIAL = f"""
from rollahead.runtime.system.tuning import Tuning, tuned_process, tuned_thread
with tuned_thread(Tuning(fifo={PRIORITY})) as thread, tuned_process(Tuning(lock_memory=True)) as process:
    print(thread["scheduling"], process["memory"], sep="\\n")
"""
