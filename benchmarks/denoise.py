"""Denoising that meets its deadline: the real-time chunking family beside the strategies, deadlines, LeRobot's code.

python -m benchmarks.denoise parity     our RTC (identity Jacobian) against LeRobot's RTCProcessor
python -m benchmarks.denoise train      what does not come with rollahead: heads, and a policy for prefixes (25 minutes)
python -m benchmarks.denoise play       the comparison, each strategy at its own best s; goes on where it was ended
python -m benchmarks.denoise figures    its figures and its table
python -m benchmarks.denoise deadline   fewer steps where there is no time for all, under spikes
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.figures import RESULTS, record, row
from benchmarks.study import paired_gain
from rollahead.errors import ConfigError
from rollahead.policies import compat
from rollahead.policies.process import Flow
from rollahead.policies.samplers.euler import make_euler
from rollahead.policies.samplers.sampler import Draw
from rollahead.policies.steering import MASKS, Guided, soft_mask
from rollahead.runtime.build import StrategyConfig
from rollahead.runtime.run_folder import finite
from rollahead.runtime.seeds import generator
from rollahead.sim.evaluation import Cell, evaluate_all, summarise
from rollahead.sim.pool import processes
from rollahead.sim.search import Search, candidates, find_best

TOPIC = "denoise"
Net = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # chunks (B, T, A), times (B,) -> velocities
ROWS, A = 16, 3


def rtc_processor(mask: str, most: float) -> Any:
    """LeRobot's, with that schedule and greatest weight."""
    schedule = compat.RTCAttentionSchedule[mask.upper()]
    return compat.RTCProcessor(compat.RTCConfig(prefix_attention_schedule=schedule, max_guidance_weight=most))


def through_lerobot(
    net: Net, x: torch.Tensor, target: torch.Tensor, steps: int, mask: str, most: float, delay: int, end: int
) -> torch.Tensor:
    """The chunk (1, T, A) that LeRobot's processor leads the noise `x` to, by Euler's method as its policies do it."""
    lerobots = rtc_processor(mask, most)
    for i in range(steps):
        t = 1 - i / steps
        v = lerobots.denoise_step(
            x, target, delay, t, lambda x, t=t: net(x, torch.full(x.shape[:1], t)), execution_horizon=end
        )
        x = x - v / steps
    return x


class _Net:
    """A denoiser of random weights."""

    process = Flow("velocity")

    def __init__(self) -> None:
        rng = generator("rtc", 0)
        size = ROWS * A
        self._in, self._out = (
            torch.tensor(rng.standard_normal(shape, dtype=float) / size**0.5, dtype=torch.float32)
            for shape in ((size + 1, 64), (64, size))
        )

    def denoise(self, context: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """A velocity of everything."""
        seen = torch.cat([x.flatten(1), t[:, None]], 1)
        return (torch.tanh(seen @ self._in) @ self._out).view(x.shape)


def rtc_difference() -> float:
    """The largest over masks, delays, ends and steps."""
    net, worst = _Net(), 0.0
    start, target = (torch.tensor(generator(name, 0).standard_normal((ROWS, A)), dtype=torch.float32) for name in "xy")
    for mask, (steps, most), delay, end in product(MASKS, ((5, 5.0), (10, 10.0)), (0, 1, 4, 12), (0, 4, 10, ROWS)):
        theirs = through_lerobot(partial(net.denoise, None), start[None], target, steps, mask, most, delay, end)
        steering = Guided(target, soft_mask(mask, delay, end, ROWS)[:, None], most)
        ours = make_euler(net.process, steps)(net, None, lambda: start[None], Draw(steering=steering))  # type: ignore[arg-type]
        worst = max(worst, float((ours.chunks - theirs).abs().max()))
    return worst


def parity() -> None:
    """On the LeRobot that is installed."""
    name = f"rtc_parity_max_abs_{compat.version().rsplit('.', 1)[0].replace('.', '_')}"
    record(TOPIC, [row(name, rtc_difference(), "", goal="<= 1e-5", command="python -m benchmarks.denoise parity")])


# ---- the comparison -------------------------------------------------------------------------------------------------

PLAYED, TRAINED = Path("runs") / "denoise", Path("runs") / "trained"
EPISODES, WORKERS = 200, 2
DELAYS = (0, 2, 4, 8, 12, 16)
HORIZONS = (4, 8, 16, 24)  # values of s that are tried
TASKS = ("mole", "interception")
SHOWN = ("success", "success_ci", "time_s", "calls_per_s", "jerk", "switch_step")
GAINS = {"mole": ("a2c2_proprio_gain_d12", ">= 5"), "interception": ("a2c2_proprio_gain_interception_d12", None)}
BEYOND = 8  # ticks of prefix that a policy was trained for


@dataclass(frozen=True, slots=True)
class Way:
    """A line of the table: a strategy with its options, a sampler, and whether a head corrects it; prefixes: the policy
    that was trained on what the robot did; lag: of the sensors, in ticks."""

    strategy: Mapping[str, Any]
    sampler: Mapping[str, Any] = field(default_factory=lambda: {"name": "euler", "steps": 5})
    head: str | None = None
    prefixes: bool = False
    lag: int = 0


RTI = {"name": "rti", "warm": [0.3]}
WAYS: Mapping[str, Way] = {
    "sync": Way({"name": "sync"}),
    "naive": Way({"name": "naive"}),
    "ensemble": Way({"name": "ensemble", "decay": -2.0}),
    "vlash": Way({"name": "vlash"}),
    "rtc": Way({"name": "rtc"}),
    "rtc, short pull": Way({"name": "rtc", "end": 0}),  # ends at d: set for each delay
    "tt_rtc": Way({"name": "tt_rtc"}, prefixes=True),
    "bid": Way({"name": "bid", "candidates": 8}),
    "naive + a2c2": Way({"name": "naive"}, head="fresh"),
    "naive + a2c2, state only": Way({"name": "naive"}, head="state"),
    "vlash + rti": Way({"name": "vlash"}, RTI),
    "vlash + a2c2": Way({"name": "vlash"}, head="fresh"),
    "vlash + a2c2, state only": Way({"name": "vlash"}, head="state"),
    "vlash, sensors 1 tick late": Way({"name": "vlash"}, lag=1),
    "vlash + a2c2, sensors 1 tick late": Way({"name": "vlash"}, head="late", lag=1),
}
HEADS = {"fresh": {}, "state": {"policy.fresh": "false"}, "late": {"policy.lag": "1"}}


def train() -> None:
    """Heads for each task, and a policy for prefixes."""
    program = str(Path(sys.executable).parent / "rollahead")
    for task in TASKS:
        wanted: dict[str, dict[str, Any]] = {
            f"{task}_{name}": {"policy": "a2c2", "training.steps": 10_000, **options} for name, options in HEADS.items()
        }
        steps = 30_000 if task == "mole" else 40_000
        wanted[f"{task}_prefix"] = {"policy": "flow", "prefixes": BEYOND, "training.steps": steps}
        for name, options in wanted.items():
            if not (TRAINED / name / "summary.json").exists():
                given = [f"{key}={value}" for key, value in options.items()]
                rest = [f"task={task}", "seed=10000000", f"name={name}", f"runs={TRAINED}"]
                subprocess.run([program, "train", *given, *rest], check=True)


def cell_of(task: str, way: Way, d: int, s: int) -> Cell:
    """One cell of the comparison."""
    options = dict(way.strategy)
    if "end" in options:
        options["end"] = d
    head = None if way.head is None else str(TRAINED / f"{task}_{way.head}" / "head.npz")
    checkpoint = str(TRAINED / f"{task}_prefix" / "checkpoint") if way.prefixes else f"{task}_flow"
    return Cell(
        task={"name": task},
        strategy=StrategyConfig(**options, s=s, d=d, corrector=head),
        latency={"name": "fixed", "ticks": d},
        planner={"name": "policy", "checkpoint": checkpoint},
        sampler=way.sampler,
        episodes=EPISODES,
        reactions=False,
        lag=way.lag,
    )


def play() -> None:
    """A file for each cell, with what the search has tried."""
    PLAYED.mkdir(parents=True, exist_ok=True)
    with processes(WORKERS) as pool:
        run = partial(evaluate_all, workers=WORKERS, pool=pool)
        for task, d, name in product(TASKS, DELAYS, WAYS):
            path = PLAYED / f"{task}-{name.replace(' ', '_')}-d{d}.json"
            if path.exists() or (name == "tt_rtc" and d > BEYOND):
                continue
            began = time.monotonic()
            try:
                tried, _ = candidates(cell_of(task, WAYS[name], d, max(HORIZONS[0], d)), Search(list(HORIZONS)))
                best, results = find_best(tried, run)
                (played,) = run([replace(cell_of(task, WAYS[name], d, best.s), strategy=best)])
            except ConfigError as error:
                print(f"{task}, {name}, d = {d}: {error}", flush=True)
                continue
            figures = summarise(played)
            said = {"task": task, "way": name, "d": d, "s": best.s, "tried": [one.row for one in results]}
            said |= {
                key: figures[key] for key in ("success", "success_ci", "time_s", "calls_per_s", "jerk", "switch_step")
            }
            said |= {"hits": [episode.success for episode in played], "took_s": time.monotonic() - began}
            path.write_text(json.dumps(finite(said)))
            print(f"{task}, {name}, d = {d}: {said['success']:.1f} % at s = {best.s}", flush=True)


def read() -> dict[tuple[str, str, int], dict[str, Any]]:
    """All that was played."""
    found = [json.loads(path.read_text()) for path in sorted(PLAYED.glob("*.json"))]
    return {(said["task"], said["way"], said["d"]): said for said in found}


def figures() -> None:
    """The rows of the topic, and the cells as a table of their own."""
    cells = read()
    command = "python -m benchmarks.denoise play figures"
    rows = []
    for task in TASKS:
        plain, headed = (cells[task, name, 12] for name in ("vlash", "vlash + a2c2, state only"))
        gain, ci = paired_gain(np.array(headed["hits"]), np.array(plain["hits"]))
        name, goal = GAINS[task]
        rows.append(row(name, gain, "points", ci=ci, goal=goal, command=command))
    record(TOPIC, rows)
    kept = [{key: value for key, value in said.items() if key != "hits"} for said in cells.values()]
    pq.write_table(pa.Table.from_pylist(kept), RESULTS / "denoise.parquet", compression="zstd")


# ---- deadlines ------------------------------------------------------------------------------------------------------

SPIKES = {"name": "spikes", "ticks": 6, "probability": 0.05, "low": 15, "high": 20}


def deadline() -> None:
    """Of 10 steps of DDIM as many as fit, or all, under spikes that are two to three times as long as is planned."""
    command = "python -m benchmarks.denoise deadline"
    shares, found = {}, {}
    for hurries in (False, True):
        planner = {"name": "policy", "checkpoint": "mole_diffusion", "hurries": hurries}
        strategy = StrategyConfig("vlash", s=8, d=6)
        cell = Cell({"name": "mole"}, strategy, SPIKES, planner, sampler={"name": "ddim"}, episodes=400)
        cell = replace(cell, reactions=False, traces=cell.episodes)
        (played,) = evaluate_all([cell], workers=WORKERS)
        inferences = [one for episode in played if episode.trace for one in episode.trace.inferences]
        shares[hurries] = float(np.mean([one.delay > one.delay_planned for one in inferences]))
        found[hurries] = np.array([episode.success for episode in played])
    gain, ci = paired_gain(found[True], found[False])
    record(
        TOPIC,
        [
            row("deadline_miss_rate", shares[True], "", goal="<= 0.01", command=command),
            row("deadline_miss_rate_all_steps", shares[False], "", command=command),
            row("deadline_success_gain_spikes", gain, "points", ci=ci, command=command),
        ],
    )


FIGURES: Mapping[str, Callable[[], None]] = {
    "parity": parity,
    "train": train,
    "play": play,
    "figures": figures,
    "deadline": deadline,
}


def main(names: list[str]) -> None:
    """Runs what is named."""
    for name in names:
        FIGURES[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
