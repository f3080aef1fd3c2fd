"""Benchmarks of safety: lost e-stops, hung robots, signals, limits, records after SIGKILL, memory.

python -m benchmarks.safety            all but the soak
python -m benchmarks.safety limits     one or several by name
python -m benchmarks.safety soak minutes=60
"""

import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks import realtime
from benchmarks.episodes import T, episode, play
from benchmarks.figures import record, row, run_named
from benchmarks.signal_trials import drawn, trial
from rollahead.errors import ControlError
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.recording.records import read_parquet
from rollahead.runtime.robots.loopback import NullRobot
from rollahead.runtime.transport.shared import Ring
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.spec import RobotSpec

TOPIC = "safety"
COMMAND = "python -m benchmarks.safety"
ISOLATIONS = ("thread", "process")
CORES = 2
SPEC = realtime.arm(7, rate_limit=3.0, accel_limit=20.0)
DRIVE = Drive(StrategyConfig("vlash", s=8), realtime.HORIZON)

# ---- commands of two threads ----------------------------------------------------------------------------------------


def estops(count: float = 100_000) -> None:
    """Counts lost e-stops: one thread commands `count` e-stops while another one commands tasks."""
    count = int(count)
    with Realtime(DRIVE, partial(NullRobot, SPEC), ScriptedPlanner(realtime.wave)) as runtime:
        runtime.start()
        done = threading.Event()
        beside = threading.Thread(target=_order_tasks, args=(runtime, done))
        beside.start()
        for _ in range(count):
            runtime.estop()
        done.set()
        beside.join()
        commands = runtime._isolation.links.commands.peek()  # what the executor reads
        seen = 0 if commands is None else commands.estops
    record(TOPIC, [row("estops_lost", count - seen, "e-stops", goal="<= 0", command=f"{COMMAND} estops count={count}")])


def _order_tasks(runtime: Realtime, done: threading.Event) -> None:
    n = 0
    while not done.is_set():
        runtime.set_task(f"task {n}")
        n += 1


# ---- a robot that hangs ---------------------------------------------------------------------------------------------

GIVEN_UP_S = 8.0  # result of a trial in which nothing stopped the robot
HANGS_AT = 25  # number of the read that hangs
HANGS, STOPS = range(2)  # kinds of notes


class HangingRobot(NullRobot):
    """A robot whose read hangs for ever; it notes the times of that and of `stop`."""

    def __init__(self, spec: RobotSpec, notes: Ring) -> None:
        super().__init__(spec)
        self._notes = notes
        self._reads = 0

    def read(self) -> Reading:
        """Hangs, from call `HANGS_AT` on."""
        self._reads += 1
        if self._reads >= HANGS_AT:
            self._notes.append((HANGS, time.monotonic_ns()))
            threading.Event().wait()
        return super().read()

    def stop(self) -> None:
        """Notes the time."""
        self._notes.append((STOPS, time.monotonic_ns()))


def hang(trials: float = 5) -> None:
    """Measures the worst time from a read that hangs to `Robot.stop`, or to the death of the executor's process.

    The executor is in a thread in the first case. The user's thread sleeps meanwhile.
    """
    took = {isolation: [_hang_s(isolation) for _ in range(int(trials))] for isolation in ISOLATIONS}
    command = f"{COMMAND} hang trials={trials:g}"
    rows = [row(f"hang_to_stop_s_{name}", max(each), "s", command=command) for name, each in took.items()]
    worst = max(max(each) for each in took.values())
    record(TOPIC, [row("hang_to_stop_s", worst, "s", goal="<= 1.5", command=command), *rows])


def _hang_s(isolation: str) -> float:
    notes = Ring([("what", "i8"), ("at_ns", "i8")], 100, shared=True)
    make = partial(HangingRobot, SPEC, notes)
    runtime = Realtime(DRIVE, make, ScriptedPlanner(realtime.wave), isolation=isolation)
    took_s = GIVEN_UP_S
    with suppress(ControlError), runtime:
        executor = runtime.processes[1:]
        runtime.start()
        began_ns = _first_ns(lambda: _noted_ns(notes, HANGS))  # this thread never calls the runtime from here on
        ended_ns = _first_ns(lambda: _dead_ns(executor[0]) if executor else _noted_ns(notes, STOPS))
        took_s = (ended_ns - began_ns) / 1e9 if ended_ns else GIVEN_UP_S
    return took_s


def _first_ns(when: Callable[[], int]) -> int:
    """Polls `when` until it returns a time in ns, and returns it; 0 if it has not within `GIVEN_UP_S`."""
    until = time.monotonic() + GIVEN_UP_S
    while not (at_ns := when()) and time.monotonic() < until:
        time.sleep(0.001)
    return at_ns


def _noted_ns(notes: Ring, what: int) -> int:
    """The time in ns of the first note of the kind `what`; 0 if there is none."""
    found = [int(note["at_ns"]) for note in notes.newest() if note["what"] == what]
    return found[0] if found else 0


def _dead_ns(pid: int) -> int:
    """The time now in ns, if the process is dead; 0 otherwise."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        state = "X"
    return time.monotonic_ns() if state in "ZX" else 0


# ---- signals --------------------------------------------------------------------------------------------------------


def signals(trials: float = 200, seed: float = 0) -> None:
    """Counts trials with signals after which the robot was not at rest, stopped and disconnected.

    A trial in which the user was not informed counts too.

    A trial has one or two signals at random moments. Both isolations are used in turn.
    """
    for number in (signal.SIGINT, signal.SIGHUP):  # a shell has them ignored in what it runs in the background
        signal.signal(number, signal.SIG_DFL)
    failed = Counter[str]()
    for n in range(int(trials)):
        isolation = ISOLATIONS[n % 2]
        outcome = trial(*drawn(int(seed) + n, isolation))
        failed[isolation] += not outcome.safe
    command = f"{COMMAND} signals trials={trials:g} seed={seed:g}"
    goal = "<= 0"
    record(
        TOPIC,
        [row("signal_trials_not_at_rest", failed.total(), "trials", goal=goal, command=command, seed=int(seed))],
    )


# ---- limits ---------------------------------------------------------------------------------------------------------

BATCH = 100


def limits(episodes: float = 20_000, seed: float = 0) -> None:
    """Counts random episodes of the executor in which an independent checker finds a broken limit.

    The episodes have pauses, resets and e-stops in motion.
    """
    batches = range(int(seed), int(seed) + int(episodes) // BATCH)
    with ProcessPoolExecutor(CORES, get_context("spawn")) as pool:
        broken = [rules for batch in pool.map(_broken, batches) for rules in batch]
    for rule, count in Counter(rule for rules in broken for rule in rules).most_common():
        print(f"{rule}: in {count} episodes")
    command = f"{COMMAND} limits episodes={episodes:g} seed={seed:g}"
    played = len(batches) * BATCH
    record(
        TOPIC,
        [
            row("limit_violations", len(broken), "episodes", goal="<= 0", command=command, seed=int(seed)),
            row("limit_episodes", played, "episodes", goal=">= 20000", command=command, seed=int(seed)),
        ],
    )


def _broken(batch: int) -> list[set[str]]:
    """The broken rules of each episode of a batch in which any rule is broken."""
    rng = np.random.default_rng(batch)

    def choose(options: Sequence[T]) -> T:
        return options[int(rng.integers(len(options)))]

    played = [{broken.rule for broken in play(episode(choose))} for _ in range(BATCH)]
    return [rules for rules in played if rules]


# ---- records after SIGKILL ------------------------------------------------------------------------------------------

STARTS_S = 60.0  # time limit for a program to begin to drive
DRIVEN_S = (1.5, 6.0)  # shortest and longest time before it is killed
TABLE = "ticks.parquet"


def sigkill(trials: float = 20, seed: float = 0) -> None:
    """Measures the seconds of records that are lost when `rollahead run` is killed at a random moment.

    The worst trial counts.
    """
    rng = random.Random(int(seed))
    lost_s = [_lost_s(ISOLATIONS[n % 2], rng.uniform(*DRIVEN_S)) for n in range(int(trials))]
    command = f"{COMMAND} sigkill trials={trials:g} seed={seed:g}"
    figure = row("trace_lost_s_after_sigkill", max(lost_s), "s", goal="<= 1.5", command=command, seed=int(seed))
    record(TOPIC, [figure])


def _lost_s(isolation: str, driven_s: float) -> float:
    """Time in s from the last tick that can be read to the kill."""
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "robot=loopback",
            "planner=sine",
            "seconds=600",
            f"isolation={isolation}",
            f"runs={folder}",
            "name=run",
        ]
        program = subprocess.Popen(
            [sys.executable, "-c", "from rollahead.cli import main; main()", "run", *words],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            began_s = _driving_since_s(Path(folder), program)
            time.sleep(driven_s)
        finally:
            killed_s = time.monotonic()
            program.send_signal(signal.SIGKILL)
            program.wait()
        return killed_s - max(_last_tick_s(Path(folder)), began_s)


def _driving_since_s(folder: Path, program: "subprocess.Popen[bytes]") -> float:
    """Waits until the program has a file for its ticks. Returns the time then, in s."""
    until = time.monotonic() + STARTS_S
    while not any(folder.rglob("ticks.*")):
        if program.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"the program did not begin to drive (exit status {program.poll()})")
        time.sleep(0.01)
    return time.monotonic()


def _last_tick_s(folder: Path) -> float:
    """Time in s at which the last tick began that can be read from the run's folder; 0 if there is none."""
    run = next(folder.rglob("ticks.*")).parent
    with suppress(ControlError):
        began_ns = read_parquet(run / TABLE, columns=["began_ns"])["began_ns"].to_numpy()
        return float(began_ns.max(initial=0)) / 1e9
    return 0.0


# ---- time and memory ------------------------------------------------------------------------------------------------

SETTLED_MIN = 10.0  # minutes after which memory must not grow


def soak(minutes: float = 60.0) -> None:
    """Measures the growth of memory at 50 Hz after it has settled, with both isolations; the worse counts."""
    with ProcessPoolExecutor(len(ISOLATIONS), get_context("spawn")) as side_by_side:
        runs = dict(
            zip(ISOLATIONS, side_by_side.map(partial(realtime._soak, minutes=minutes), ISOLATIONS), strict=True)
        )
    growth = {isolation: _growth_mb_per_h(run["memory_kb"]) for isolation, run in runs.items()}
    command = f"{COMMAND} soak minutes={minutes:g}"
    rows = [row(f"soak_mb_per_h_{isolation}", value, "MB/h", command=command) for isolation, value in growth.items()]
    record(TOPIC, [row("soak_mb_per_h", max(growth.values()), "MB/h", goal="<= 2", command=command), *rows])


def _growth_mb_per_h(memory_kb: Sequence[float]) -> float:
    """Slope of memory in MB/h after the first ten minutes, or the first half of a shorter run.

    `memory_kb`: a sample every `realtime.SAMPLE_S`.
    """
    first = min(round(SETTLED_MIN * 60 / realtime.SAMPLE_S), len(memory_kb) // 2)
    settled = np.array(memory_kb[first:]) / 1024
    hours = np.arange(len(settled)) * realtime.SAMPLE_S / 3600
    return float(np.polyfit(hours, settled, 1)[0]) if len(settled) > 1 else 0.0


BENCHMARKS: Mapping[str, Callable[..., None]] = {
    "estops": estops,
    "hang": hang,
    "signals": signals,
    "limits": limits,
    "sigkill": sigkill,
    "soak": soak,
}
LONG = ("soak",)


if __name__ == "__main__":
    run_named(BENCHMARKS, sys.argv[1:], LONG)
