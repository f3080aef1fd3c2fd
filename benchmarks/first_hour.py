"""A first run on a LeRobot robot plug-in with cameras and a policy: the planned delay, and the output on the terminal.

    python -m benchmarks.first_hour warmup silence     three minutes

Real commands, on LeRobot's own policy classes with random weights, and the plug-in in `benchmarks/plugins`.
"""

import os
import pty
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

from benchmarks.figures import Row, record, row
from benchmarks.policy_parity import CONFIGS, POLICIES, features_of, stats_of
from rollahead.policies.checkpoints.card import Card, write_card
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, STATE
from rollahead.policies.policy import Trained

TOPIC = "first_hour"
COMMAND = "python -m benchmarks.first_hour"
PLUGINS = Path(__file__).parent / "plugins"
NAMES = ("shoulder.pos", "elbow.pos")
CAMERAS, HEIGHT, WIDTH = ("front", "wrist"), 240, 320  # of the plug-in's robot
RATES_HZ = (50.0, 30.0)
WARMUP = "warmup_to_measured_delay_ratio"
TRIALS = 3  # runs of each kind
CONNECTS_S = 4.0  # what the robot of `silence` takes to connect
CHUNKS: Mapping[str, Mapping[str, Any]] = {  # options of LeRobot's; encoders and images as large as in use
    "act": {"chunk_size": 50, "n_action_steps": 50, "dim_model": 256, "n_heads": 8, "n_encoder_layers": 2},
    "diffusion": {
        "n_obs_steps": 2,
        "horizon": 32,
        "n_action_steps": 31,
        "num_inference_steps": 4,
        "noise_scheduler_type": "DDIM",
        "down_dims": (64, 128),
    },
}


def checkpoint(folder: Path, kind: str, rate_hz: float) -> Path:
    """Saves a policy of LeRobot's for the plug-in's robot at `rate_hz` into `folder`, as LeRobot does it.

    `kind`: `act` or `diffusion`.
    """
    images = {f"observation.images.{name}": (3, HEIGHT, WIDTH) for name in CAMERAS}
    inputs = {STATE: (len(NAMES),), **images}
    torch.manual_seed(0)
    outputs = features_of({ACTION: (len(NAMES),)})
    config = CONFIGS[kind](input_features=features_of(inputs), output_features=outputs, device="cpu", **CHUNKS[kind])
    policy = compat.made(POLICIES[kind], config)
    policy.save_pretrained(folder)
    for processor in compat.make_pre_post_processors(config, dataset_stats=stats_of({**inputs, ACTION: (2,)})):
        processor.save_pretrained(folder)
    write_card(folder, Card(NAMES, NAMES, rate_hz, (), Trained()))
    return folder


def command(policy: Path, rate_hz: float, *options: str) -> list[str]:
    """`rollahead run` of the plug-in's robot at `rate_hz` with `policy`."""
    program = str(Path(sys.executable).parent / "rollahead")
    limits = "robot.limits={default: {low: -3, high: 3, rate_limit: 2}}"
    robot = ("robot=lerobot", "robot.type=desk", f"robot.rate_hz={rate_hz:g}", limits)
    return [program, "run", *robot, "planner=policy", f"planner.checkpoint={policy}", "name=mine", *options]


def environment() -> dict[str, str]:
    """Environment variables with which LeRobot finds the plug-in."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(PLUGINS), os.environ.get("PYTHONPATH", "")])}


# ---- the delay that is planned at the start -------------------------------------------------------------------------


def warmup() -> list[Row]:
    """Records the delay planned at the start over the median of the measured ones.

    The figure is the lower one of ACT and Diffusion.
    """
    rows = []
    for rate_hz in RATES_HZ:
        ratios = {kind: [ratio(kind, rate_hz) for _ in range(TRIALS)] for kind in CHUNKS}
        worst = min(ratios.values(), key=statistics.median)
        name = WARMUP if rate_hz == RATES_HZ[0] else f"{WARMUP}_{rate_hz:g}hz"
        told, goal = [min(worst), max(worst)], ">= 0.8" if name == WARMUP else None
        rows.append(row(name, statistics.median(worst), "", ci=told, goal=goal, command=f"{COMMAND} warmup"))
    return rows


def ratio(kind: str, rate_hz: float) -> float:
    """The ratio of one run with one kind of policy."""
    with tempfile.TemporaryDirectory() as folder:
        policy = checkpoint(Path(folder) / "policy", kind, rate_hz)
        ran = command(policy, rate_hz, "seconds=8", "view=false", "strategy.s=24")
        subprocess.run(ran, cwd=folder, env=environment(), check=True, stdout=subprocess.DEVNULL)
        chunks = pq.read_table(Path(folder) / "runs/mine/inferences.parquet")
    planned, measured = chunks["delay_planned"].to_numpy()[0], np.median(chunks["delay"].to_numpy())
    found = f"planned for {planned} ticks at the start, measured {measured:g}, the median of {len(chunks)} chunks"
    print(f"{kind}, {rate_hz:g} Hz: {found}")
    return float(planned / measured)


# ---- the time without a word ----------------------------------------------------------------------------------------


def silence() -> list[Row]:
    """Records the longest time without output on the terminal, from the start of the program to the first tick."""
    with tempfile.TemporaryDirectory() as folder:
        policy = checkpoint(Path(folder) / "policy", "diffusion", RATES_HZ[0])
        ran = command(policy, RATES_HZ[0], f"robot.config={{slow_s: {CONNECTS_S}}}", "seconds=1")
        times = list(said(ran, Path(folder)))
    longest, total = max(np.diff(times)), times[-1]
    print(f"{total:.1f} s from the start to the first tick")
    return [row("first_tick_silence_s", float(longest), "s", goal="<= 3", command=f"{COMMAND} silence")]


def said(ran: Sequence[str], folder: Path, shown: Callable[[str], object] = lambda words: None) -> Iterator[float]:
    """Runs `ran` in a terminal, and returns the times of its output, in s since its start.

    The first time is 0; the last is that of the first picture of the live view. `shown`: called with each piece of
    output.
    """
    ours, theirs = pty.openpty()
    began, told = time.monotonic(), {**environment(), "TERM": "xterm", "COLUMNS": "120"}
    program = subprocess.Popen(
        ran, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=told, start_new_session=True
    )
    os.close(theirs)
    yield 0.0
    words = ""
    try:
        while "q ends" not in words:
            words += (piece := os.read(ours, 4096).decode(errors="replace"))
            shown(piece)
            yield time.monotonic() - began
        while program.poll() is None:
            os.read(ours, 4096)
    except OSError:  # it has ended
        program.wait()
    finally:
        program.kill()
        program.wait()
        os.close(ours)


FIGURES: Mapping[str, Callable[[], list[Row]]] = {"warmup": warmup, "silence": silence}


def main(names: Sequence[str]) -> None:
    """Runs the named benchmarks."""
    for name in names:
        record(TOPIC, FIGURES[name]())


if __name__ == "__main__":
    main(sys.argv[1:])
