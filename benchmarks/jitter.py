"""Regularity of setpoints beside a busy inference thread: LeRobot 0.6.1's own loop and ours, interleaved.

    python -m benchmarks.jitter lerobot        both loops, same policy, at 30 and 50 Hz (35 minutes)
    python -m benchmarks.jitter python_load    our loop beside Python that never leaves the interpreter (7 minutes)
    python -m benchmarks.jitter servo          our loop at 500 Hz, ten setpoints per row of 50 Hz, beside the policy,
                                               and a bare loop alone (6 minutes)
    options: seconds=60 repetitions=5, and of lerobot rate_hz=50

Each run is a process in the peers' environment (`make peers`). Each repetition runs all sides, so that other load of
the machine affects them equally. A ratio is that of two runs of the same repetition; a figure is the median over the
repetitions, with their range.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import RESULTS, Row, record, row, run_named
from rollahead.runtime.recording.run_folder import provenance

TOPIC = "realtime"
ROOT = Path(__file__).parents[1]
PYTHON = ROOT / ".venv-peers" / "bin" / "python"
WARM_S = 2.0  # left out at the start of each run
OURS = ("thread", "process")
SIDES = ("lerobot", *OURS)
SHOWN = (  # in words, the figure, what it is multiplied by, digits
    ("commands per second", "rate_hz", 1.0, 2),
    ("drift from the grid, ms per s", "drift_us_per_s", 1e-3, 3),
    ("from command to command, off by: p50, ms", "dt_us_p50", 1e-3, 3),
    ("p99, ms", "dt_us_p99", 1e-3, 2),
    ("processor time per tick, ms", "tick_cpu_us", 1e-3, 2),
)

Found = dict[str, Any]  # the figures of one run
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Setting:
    """One run of each repetition. `side`: a loop of `benchmarks.peers.loop`; `load`: what runs beside it."""

    side: str
    rate_hz: float
    load: str

    @property
    def name(self) -> str:
        """The name of the run, such as 'thread_50hz_policy'."""
        return f"{self.side}_{self.rate_hz:g}hz_{self.load}"


def figures_of(at_ns: Times, cpu_ns: Times, rate_hz: float, start_ns: int | None) -> Found:
    """The figures of one run.

    Args:
        at_ns: Times at which commands were sent.
        cpu_ns: Processor time that their thread had used by then.
        rate_hz: Rate of the loop.
        start_ns: Start of the grid of deadlines; None for a loop without one, whose commands are compared with a
            period.
    """
    warm = at_ns >= at_ns[0] + WARM_S * 1e9
    at, cpu, period_ns = at_ns[warm], cpu_ns[warm], 1e9 / rate_hz
    uneven_us = np.abs(np.diff(at) - period_ns) / 1e3
    since = (at - (at[0] if start_ns is None else start_ns)).astype(np.float64)
    period = np.arange(len(at)) if start_ns is None else np.floor(since / period_ns)
    late_us = (since - period * period_ns) / 1e3
    return {
        "commands": len(at),
        **_quantiles("dt_us", uneven_us),
        **({} if start_ns is None else _quantiles("late_us", late_us)),
        "drift_us_per_s": float(np.polyfit(period, late_us, 1)[0] * rate_hz),
        "rate_hz": float((len(at) - 1) / ((at[-1] - at[0]) * 1e-9)),
        "tick_cpu_us": float(np.median(np.diff(cpu)) / 1e3),
    }


def _quantiles(name: str, values: NDArray[np.float64]) -> Found:
    p50, p99, p999, most = np.quantile(values, [0.5, 0.99, 0.999, 1.0])
    return {f"{name}_p50": p50, f"{name}_p99": p99, f"{name}_p999": p999, f"{name}_max": most}


def run_all(settings: Sequence[Setting], seconds: float, repetitions: int) -> dict[str, list[Found]]:
    """The figures of each setting by its name, one per repetition."""
    if not PYTHON.exists():
        raise SystemExit("the peers' environment is not there; make it with `make peers PYTHON312=...`")
    runs: dict[str, list[Found]] = {setting.name: [] for setting in settings}
    for n in range(repetitions):
        for setting in settings:
            found = _run(setting, seconds)
            runs[setting.name].append(found)
            p50, p99 = found["dt_us_p50"], found["dt_us_p99"]
            print(f"{n + 1}/{repetitions} {setting.name}: dt p50 {p50:.0f} us, p99 {p99:.0f} us", flush=True)
    return runs


def _run(setting: Setting, seconds: float) -> Found:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run.npz"
        options = {
            "side": setting.side,
            "rate_hz": setting.rate_hz,
            "seconds": seconds,
            "load": setting.load,
            "out": out,
        }
        before = _processor()
        subprocess.run(
            [PYTHON, "-m", "benchmarks.peers.loop", *(f"{key}={value}" for key, value in options.items())],
            check=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "HF_HUB_OFFLINE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stolen, total = (after - then for after, then in zip(_processor(), before, strict=True))
        with np.load(out) as noted:
            said = json.loads(str(noted["said"]))
            found = figures_of(noted["at_ns"], noted["cpu_ns"], setting.rate_hz, said.pop("start_ns", None))
    return {**found, **said, "steal_share": stolen / total}


def _processor() -> tuple[int, int]:
    """The processor time so far, in ticks: stolen by other guests of the host, and in total."""
    numbers = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:]]
    return numbers[7], sum(numbers)


def ratio_row(name: str, over: Sequence[float], under: Sequence[float], goal: str | None, command: str) -> Row:
    """The median of ratios within repetitions, with their range."""
    ratios = np.array(over) / np.array(under)
    return row(name, float(np.median(ratios)), "", ci=[ratios.min(), ratios.max()], goal=goal, command=command)


def value_row(name: str, values: Sequence[float], unit: str, goal: str | None, command: str) -> Row:
    """The median over repetitions, with their range."""
    return row(name, float(np.median(values)), unit, ci=[min(values), max(values)], goal=goal, command=command)


def lerobot(seconds: float = 60.0, repetitions: float = 5, rate_hz: float | None = None) -> None:
    """Measures LeRobot's loop and ours beside the same policy, at 50 and 30 Hz, or at one of them."""
    rates = (50.0, 30.0) if rate_hz is None else (rate_hz,)
    settings = [Setting(side, rate, "policy") for rate in rates for side in SIDES]
    runs = run_all(settings, seconds, int(repetitions))
    command = _command("lerobot", seconds, repetitions) + ("" if rate_hz is None else f" rate_hz={rate_hz:g}")
    record(TOPIC, [figure for rate in rates for figure in _against_lerobot(runs, f"{rate:g}hz", command)])
    _write_table("lerobot", runs)


def _against_lerobot(runs: Mapping[str, Sequence[Found]], rate: str, command: str) -> list[Row]:
    of = {side: lambda figure, side=side: [abs(run[figure]) for run in runs[f"{side}_{rate}_policy"]] for side in SIDES}
    goals = rate == "50hz"  # the figures with goals are of this rate; drift and processor time have no rate in the name
    suffix = "" if goals else f"_{rate}"

    def goal(text: str) -> str | None:
        return text if goals else None

    def ratio(name: str, side: str, figure: str, text: str | None) -> Row:
        return ratio_row(name, of[side](figure), of["lerobot"](figure), text and goal(text), command)

    p99_ms = [value / 1e3 for value in of["thread"]("dt_us_p99")]
    return [
        ratio(f"drift_ratio_vs_lerobot{suffix}", "thread", "drift_us_per_s", "<= 0.01"),
        ratio(f"dt_p50_ratio_vs_lerobot_{rate}", "thread", "dt_us_p50", "<= 0.25"),
        ratio(f"dt_p50_ratio_process_{rate}", "process", "dt_us_p50", None),
        ratio(f"dt_p99_ratio_thread_{rate}", "thread", "dt_us_p99", "<= 0.3"),
        value_row(f"dt_p99_ms_thread_{rate}", p99_ms, "ms", goal("<= 1"), command),
        ratio(f"dt_p99_ratio_process_{rate}", "process", "dt_us_p99", "<= 0.1"),
        ratio(f"tick_cpu_ratio_vs_lerobot{suffix}", "thread", "tick_cpu_us", "<= 0.6"),
        ratio(f"tick_cpu_ratio_process_vs_lerobot{suffix}", "process", "tick_cpu_us", None),
    ]


def python_load(seconds: float = 20.0, repetitions: float = 5) -> None:
    """Measures our loop beside Python code that holds the interpreter all the time."""
    settings = [Setting(side, rate_hz, "python") for rate_hz in (50.0, 500.0) for side in OURS]
    runs = run_all(settings, seconds, int(repetitions))
    command = _command("python_load", seconds, repetitions)
    rows = []
    for setting in settings:
        kept, late = ([run[name] for run in runs[setting.name]] for name in ("rate_hz", "dt_us_p99"))
        name = f"{setting.rate_hz:g}hz_{setting.side}_python_load"
        goal = ">= 497" if (setting.side, setting.rate_hz) == ("process", 500.0) else None
        rows += [value_row(f"rate_kept_{name}", kept, "Hz", goal, command)]
        rows += [value_row(f"dt_p99_us_{name}", late, "us", None, command)]
    record(TOPIC, rows)
    _write_table("python_load", runs)


def servo(seconds: float = 20.0, repetitions: float = 5) -> None:
    """Measures the lateness of our setpoints at 500 Hz beside the policy, and of an empty loop on an idle machine."""
    idle, ours = Setting("idle", 500.0, "policy"), [Setting(side, 500.0, "policy") for side in OURS]
    runs = run_all([idle, *ours], seconds, int(repetitions))
    command = _command("servo", seconds, repetitions)
    goals = {"process": "<= 1.5"}
    rows = []
    for setting in ours:
        late, floor = ([run["late_us_p99"] for run in runs[name]] for name in (setting.name, idle.name))
        name = f"late_p99_ratio_{setting.side}_500hz_vs_idle_loop"
        rows += [ratio_row(name, late, floor, goals.get(setting.side), command)]
    record(TOPIC, rows)
    _write_table("servo", runs)


def _command(name: str, seconds: float, repetitions: float) -> str:
    return f"python -m benchmarks.jitter {name} seconds={seconds:g} repetitions={repetitions:g}"


def _write_table(name: str, runs: Mapping[str, Sequence[Found]]) -> None:
    path = RESULTS / "tables" / f"{TOPIC}_jitter_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    before = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps({**before, **runs, **provenance(0)}, indent=1) + "\n")


def lerobot_table(runs: Mapping[str, Any]) -> str:
    """The results of `lerobot` for both loops at 50 Hz as a Markdown table: medians over the repetitions."""
    lines = ["| beside the same busy policy, 50 Hz | LeRobot 0.6.1 | thread | process |", "|---|---|---|---|"]
    for words, figure, scale, digits in SHOWN:
        medians = (float(np.median([abs(run[figure]) for run in runs[f"{side}_50hz_policy"]])) for side in SIDES)
        lines.append(f"| {words} | " + " | ".join(f"{scale * value:.{digits}f}" for value in medians) + " |")
    return "\n".join(lines)


BENCHMARKS: Mapping[str, Callable[..., None]] = {"lerobot": lerobot, "python_load": python_load, "servo": servo}


if __name__ == "__main__":
    run_named(BENCHMARKS, sys.argv[1:])
