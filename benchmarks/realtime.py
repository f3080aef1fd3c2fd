"""The figures of the realtime driver on this machine.

python -m benchmarks.realtime            all but the soak
python -m benchmarks.realtime own_work   one or several by name
python -m benchmarks.realtime soak minutes=60
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.figures import RESULTS, record, row, run_named
from rollahead.runtime.config.build import Drive, StrategyConfig, make_executor
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.isolation import TRACE_S
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.planning.latency import Lognormal
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.recording.recorder import Recorder
from rollahead.runtime.recording.run_folder import provenance
from rollahead.runtime.robots.loopback import NullRobot
from rollahead.runtime.system.clock import MonotonicClock
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Result
from rollahead.runtime.types.spec import Dim, RobotSpec

TOPIC = "realtime"
HORIZON = 32
RATE_HZ = 50.0
SAMPLE_S = 10.0  # of memory
SETTLED, SETTLED_S = 0.1, 60.0  # the share of a soak, and at least so long, after which memory must not grow
SHORT = 10.0  # minutes: a shorter soak gets a smaller trace, so that it is full before memory is compared
SHORT_TRACE_S = 20.0
GROWTH_KB = 1024.0  # per hour: what counts as growth
LEAST_KB = 512.0  # less than this is a page here and there, in however short a time
ISOLATIONS = ("thread", "process")
SOAKED = {"growth_kb_per_h": "kB/h", "drift_us_per_s": "us/s", "lost": "records", "skipped": "ticks"}
DRIFT_US = 1.0  # per second: what counts as drift, ten times the clock's own resolution over a minute


def arm(joints: int, **limits: Any) -> RobotSpec:
    """The spec of an arm with `joints` joints, in rad."""
    names = [f"joint_{j + 1}" for j in range(joints)]
    action = tuple(replace(Dim(name, "rad", low=-3.0, high=3.0, drives=name), **limits) for name in names)
    return RobotSpec(action, tuple(Dim(name, "rad") for name in names), RATE_HZ)


def wave(observation: Observation, rng: np.random.Generator) -> FloatArray:
    """(H, A), every joint on a slow sine of the ticks."""
    ticks = observation.tick + np.arange(HORIZON)[:, None]
    return np.sin(ticks / 50 + np.arange(len(observation.state)))


def own_work() -> None:
    """Records the time of a tick without the robot: guard with all limits, history, trace, snapshot.

    The robot does nothing. Ticks run back to back, so that the processor's caches are warm.
    """
    command = "python -m benchmarks.realtime own_work"
    rows = []
    for joints, goal in ((7, "<= 50"), (14, None)):
        took_us = _ticks_us(arm(joints, rate_limit=40.0, accel_limit=4000.0), 20_000)
        p50, p99 = np.quantile(took_us, [0.5, 0.99])
        name = "own_work_per_tick_us" if joints == 7 else f"own_work_per_tick_us_{joints}_joints"
        rows += [row(f"{name}_p50", float(p50), "us", goal=goal, command=command)]
        rows += [row(f"{name}_p99", float(p99), "us", command=command)]
    record(TOPIC, rows)


def _ticks_us(spec: RobotSpec, ticks: int) -> FloatArray:
    """The time of each tick in microseconds. A chunk is requested every 8 ticks and arrives 8 ticks later."""
    drive = Drive(StrategyConfig("vlash", s=8, d=8), HORIZON)
    executor = make_executor(drive, NullRobot(spec), DelayEstimator(fixed=8), Trace(spec, 6000, MonotonicClock()))
    took = np.zeros(ticks)
    for k in range(ticks):
        began = time.perf_counter_ns()
        executor.tick(k)
        took[k] = (time.perf_counter_ns() - began) / 1e3
        snapshot = executor.outbox.peek()
        request = None if snapshot is None else snapshot.request
        if request is not None and request.origin is not None and k == request.tick + 7:
            rows = np.sin((request.origin + np.arange(HORIZON)[:, None]) / 50 + np.arange(len(spec.action)))
            executor.inbox.put(Result(request, frozen(rows), request.tick, frozen(rows[0]), 8.0))
    return took[ticks // 10 :]


def soak(minutes: float = 60.0) -> None:
    """Records memory, drift and lost records over a long time.

    The executor runs in a thread and in a process, side by side, with a null robot, a scripted planner, lognormal
    latencies in real time, and the recorder.
    """
    with ProcessPoolExecutor(len(ISOLATIONS), get_context("spawn")) as side_by_side:
        found = side_by_side.map(partial(_soak, minutes=minutes), ISOLATIONS)
        runs = dict(zip(ISOLATIONS, found, strict=True))
    sound = all(run["sound"] for run in runs.values())
    command = f"python -m benchmarks.realtime soak minutes={minutes:g}"
    rows = [row("soak_minutes", minutes if sound else 0.0, "min", goal=">= 60", command=command)]
    for isolation, run in runs.items():
        rows += [row(f"soak_{isolation}_{name}", run[name], unit, command=command) for name, unit in SOAKED.items()]
    record(TOPIC, rows)
    _write_table("soak", runs)
    if not sound:
        raise SystemExit(
            "the soak was not sound: memory grew, the clock drifted, or a record was lost; see the rows above"
        )


def _soak(isolation: str, minutes: float) -> dict[str, Any]:
    spec = arm(7, rate_limit=40.0, accel_limit=4000.0)
    drive = Drive(StrategyConfig("vlash", s=12), HORIZON)
    runtime = Realtime(
        drive,
        partial(NullRobot, spec),
        ScriptedPlanner(wave),
        isolation=isolation,
        latency=Lognormal(4.0, 9.0),
        trace_s=SHORT_TRACE_S if minutes < SHORT else TRACE_S,
    )
    memory: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        with Recorder(Path(folder)) as recorder, recorder.follow(runtime.trace), runtime:
            runtime.start(round(minutes * 60 * RATE_HZ))
            while not runtime.wait(SAMPLE_S):
                memory.append((time.monotonic(), _resident_kb(runtime.processes)))
        ticks = pq.read_table(Path(folder) / "ticks.parquet", columns=["tick", "status", "began_ns"])
    k, began_ns = ticks["tick"].to_numpy(), ticks["began_ns"].to_numpy()
    status = ticks["status"].to_numpy()
    found: dict[str, Any] = {
        "minutes": minutes,
        "ticks": len(k),
        "missing": int(k[-1] + 1 - len(k)),
        "lost": recorder.lost,
        "skipped": int((status == 2).sum()),
        "growth_kb_per_h": _growth_kb_per_h(memory),
        "drift_us_per_s": _drift_us_per_s(began_ns - runtime.start_ns - k * (1e9 / RATE_HZ)),
        "memory_kb": [round(kb) for _, kb in memory],
    }
    sound = found["lost"] == found["missing"] == 0 and abs(found["drift_us_per_s"]) <= DRIFT_US
    hours = minutes / 60
    steady = found["growth_kb_per_h"] * hours <= max(GROWTH_KB * hours, LEAST_KB)
    return {**found, "sound": sound and steady and len(k) >= minutes * 60 * RATE_HZ}


def _drift_us_per_s(late_ns: FloatArray) -> float:
    """The median lateness of ticks in the second half minus that in the first, per second.

    By the median, single late ticks are not drift.
    """
    first, second = np.array_split(late_ns, 2)
    return float((np.median(second) - np.median(first)) / 1e3 / (len(late_ns) / 2 / RATE_HZ))


def _growth_kb_per_h(memory: list[tuple[float, float]]) -> float:
    """The slope of the memory in use, after it has settled."""
    first_s = max(SETTLED * (memory[-1][0] - memory[0][0]), SETTLED_S) + memory[0][0]
    at, kb = np.array([sample for sample in memory if sample[0] >= first_s] or memory[-1:]).T
    return float(np.polyfit(at - at[0], kb, 1)[0] * 3600) if len(at) > 1 else 0.0


def _resident_kb(processes: list[int]) -> float:
    """The memory that only these processes use, in total."""
    held = 0.0
    for pid in processes:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            held += float(line.split()[1]) if line.startswith("Private_Dirty") else 0.0
    return held


def _write_table(name: str, content: Mapping[str, Any]) -> None:
    path = RESULTS / "tables" / f"{TOPIC}_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**content, **provenance(0)}, indent=1) + "\n")


BENCHMARKS: Mapping[str, Callable[..., None]] = {"own_work": own_work, "soak": soak}
LONG = ("soak",)


if __name__ == "__main__":
    run_named(BENCHMARKS, sys.argv[1:], LONG)
