"""The floor: how late a loop that does nothing is on this machine, and what its threads are permitted.

No control loop here can be more even than this one; `rollahead doctor` prints it beside what a run has.

Threads: one of its own, which is tuned as an executor is.
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
    """late_us: of each tick of the bare loop; tuned: what was set for it, in words."""

    late_us: FloatArray
    tuned: dict[str, str]


def measure_floor(seconds: float, tuning: Tuning, rate_hz: float = RATE_HZ, clock: Clock | None = None) -> Floor:
    """Runs the bare loop for so long."""
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
    """What came, in words, of asking for SCHED_FIFO and for locked memory: tried in a process of its own, for locking
    touches all that a process has."""
    trial = subprocess.run([sys.executable, "-c", _TRIAL], capture_output=True, text=True, check=False)
    words = trial.stdout.splitlines() if trial.returncode == 0 else ["not permitted (the trial failed)"] * 2
    return dict(zip(("scheduling", "memory"), words, strict=True))


_TRIAL = f"""
from rollahead.runtime.system.tuning import Tuning, tuned_process, tuned_thread
with tuned_thread(Tuning(fifo={PRIORITY})) as thread, tuned_process(Tuning(lock_memory=True)) as process:
    print(thread["scheduling"], process["memory"], sep="\\n")
"""
