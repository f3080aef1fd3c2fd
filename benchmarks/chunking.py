"""The real-time chunking family beside the other strategies, with RTI and correctors, over delays and latencies.

    python -m benchmarks.chunking train      what is not shipped: correctors, policies for prefixes (30 minutes)
    python -m benchmarks.chunking play       the comparison, each way at its own best s; resumes where it was stopped
    python -m benchmarks.chunking play=rtc   only the ways whose names begin so; `figures` keeps the others as they are
    python -m benchmarks.chunking figures    its figures and its table, from the played cells
    python -m benchmarks.chunking reaction   the reaction time of a corrector, with sensors in time and late
    python -m benchmarks.chunking proprio    a corrector with the newest state only, where the robot model is wrong

Whack-a-mole and interception with velocity actions at 50 Hz, H = 32, a flow policy with 5 steps of Euler's method. The
episodes are the same in each cell; s is searched on others.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from benchmarks.figures import RESULTS, Row, record, row
from benchmarks.study import paired_gain, share
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, Episode, evaluate_all, summarise
from rollahead.evaluation.search import Search, candidates, find_best
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.checkpoints.shipped import find
from rollahead.policies.correctors.residual import CorrectorTraining, CorrectorTrainingConfig, Stored
from rollahead.policies.data.dataset import read_dataset
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.recording.run_folder import finite
from rollahead.runtime.types.options import call
from rollahead.sim.pool import processes

TOPIC = "denoise"
PLAYED, TRAINED = Path("runs") / "chunking", Path("runs") / "trained"
EPISODES, WORKERS = 200, 2
TASKS = ("mole", "interception")
DELAYS = (0, 2, 4, 8, 12, 16)
MEDIAN = 6  # ticks, of latencies that vary
LATENCIES: Mapping[str, Mapping[str, Any]] = {
    **{str(d): {"name": "fixed", "ticks": d} for d in DELAYS},
    "lognormal": {"name": "lognormal", "p50": 4, "p95": 6, "median": MEDIAN},
    "spikes": {"name": "spikes", "ticks": MEDIAN, "probability": 0.05, "low": 15, "high": 20},
    "recorded": {"name": "recorded", "path": "diffusion_busy", "median": MEDIAN},
}
HORIZONS, TO_CHOOSE = (4, 8, 16, 24), 30  # values of s that are tried, and d; on so many episodes each
BEYOND = 8  # ticks of prefix that a policy was trained for
STEPS = 10_000  # training steps of a corrector
WEAK = 1_000  # training steps of a weaker policy
SHOWN = ("success", "success_ci", "time_s", "calls_per_s", "jerk", "switch_step")


EULER: Mapping[str, Any] = {"name": "euler", "steps": 5}


@dataclass(frozen=True, slots=True)
class Way:
    """A line of the table.

    Attributes:
        strategy: Options of the strategy.
        end: For `rtc`, rows after d at which the guidance ends.
        sampler: Options of the sampler.
        head: Corrector, by name.
        base: Policy: `flow`, `prefix` (trained on executed actions), `velocity` (a flow that predicts velocities),
            `epsilon` (a diffusion that predicts noise) or `none`, which rests.
        weak: Whether a weaker policy is given to it.
        lag: Age of the sensors' readings, in ticks.
        tasks: Tasks on which it is played.
    """

    strategy: Mapping[str, Any]
    end: int | None = None
    sampler: Mapping[str, Any] = field(default_factory=lambda: EULER)
    head: str | None = None
    base: str = "flow"
    weak: bool = False
    lag: int = 0
    tasks: Sequence[str] = TASKS


Options = dict[str, Any]
SYNC, NAIVE, VLASH, RTC = (Options(name=name) for name in ("sync", "naive", "vlash", "rtc"))
SAME = Options(guidance={"jacobian": "identity"})
BID = {"name": "bid", "bid": {"candidates": 15, "modes": 3, "rho": 0.5}}  # as the authors' script has it
RTI = {"name": "rti", "warm": [0.3]}
DDIM = {"name": "ddim", "steps": 5}
WAYS: Mapping[str, Way] = {
    "sync": Way(SYNC),
    "naive": Way(NAIVE),
    "ensemble": Way({"name": "ensemble", "ensemble": {"decay": -2.0}}),
    "vlash": Way(VLASH),
    "rtc": Way(RTC),
    "rtc, pull to d": Way(RTC, end=0),
    "rtc, identity": Way(RTC | SAME),
    "rtc, identity, pull to d": Way(RTC | SAME, end=0),
    "rtc, identity, pull to d + 4": Way(RTC | SAME, end=4),
    "rtc, identity, pull to d + 10": Way(RTC | SAME, end=10),
    "tt_rtc": Way({"name": "tt_rtc"}, base="prefix"),
    "bid": Way(BID),
    "bid, and a weaker policy": Way(BID, weak=True),
    "bid, agreement alone": Way({"name": "bid", "bid": {"candidates": 8, "modes": None}}),
    "vlash, pull to 4": Way({**VLASH, "guidance": {"enabled": True, "execution_horizon": 4}}),
    "vlash, identity, pull to 4": Way(
        {**VLASH, "guidance": {"enabled": True, "execution_horizon": 4, "jacobian": "identity"}}
    ),
    "naive + a2c2": Way(NAIVE, head="fresh"),
    "vlash + a2c2": Way(VLASH, head="fresh"),
    "naive + a2c2, state only": Way(NAIVE, head="state"),
    "vlash + a2c2, state only": Way(VLASH, head="state"),
    "vlash + rti": Way(VLASH, sampler=RTI),
    "a network at every tick, no plan": Way(NAIVE, head="reactive", base="none"),
    **{
        f"{name}, predicts {what}": Way(strategy, sampler=sampler, base=base, tasks=["mole"])
        for base, what, sampler in (("velocity", "velocities", EULER), ("epsilon", "noise", DDIM))
        for name, strategy in (("naive", NAIVE), ("vlash", VLASH), ("rtc", RTC), ("rtc, identity", RTC | SAME))
    },
    "vlash, sensors 1 tick late": Way(VLASH, lag=1),
    "vlash + a2c2, sensors 1 tick late": Way(VLASH, head="late", lag=1),
    "vlash, sensors 2 ticks late": Way(VLASH, lag=2),
    "vlash + a2c2, sensors 2 ticks late": Way(VLASH, head="later", lag=2),
}
HEADS: Mapping[str, Mapping[str, str]] = {
    "fresh": {},
    "state": {"corrector.fresh": "false"},
    "late": {"corrector.lag": "1"},
    "later": {"corrector.lag": "2"},
}
REST = {"name": "sine", "horizon": 32, "share": 1e-12, "period_s": 4.0}  # a plan to stay


# ---- training -------------------------------------------------------------------------------------------------------


def train() -> None:
    """Trains the correctors and policies that are missing."""
    for task in TASKS:
        for name, options in HEADS.items():
            _train(task, name, {"training.steps": STEPS, **options}, "train-corrector")
        flow = {"policy": "flow", "prefixes": BEYOND, "training.steps": 30_000 if task == "mole" else 40_000}
        _train(task, "prefix", flow)
        _train(task, "weak", {**flow, "training.steps": WEAK, "watch.every": WEAK // 2})
        _train_reactive(task)
    _train(
        "mole",
        "velocity",
        {"policy": "flow", "prefixes": BEYOND, "policy.prediction": "velocity", "training.steps": 30_000},
    )
    noise = {"policy": "diffusion", "training.steps": 6_000, "training.batch": 128, "policy.prediction": "epsilon"}
    _train("mole", "epsilon", noise)


def _train(task: str, name: str, options: Mapping[str, Any], command: str = "train") -> None:
    name = f"{task}_{name}"
    if not (TRAINED / name / "summary.json").exists():
        program = str(Path(sys.executable).parent / "rollahead")
        given = [f"{key}={value}" for key, value in options.items()]
        rest = [f"task={task}", "seed=10000000", f"name={name}", f"runs={TRAINED}"]
        subprocess.run([program, command, *given, *rest], check=True)


def _train_reactive(task: str) -> None:
    """Trains a corrector on plans to rest: a network that computes the action from the newest state, without a plan."""
    path = head_of(task, "reactive")
    if path.exists():
        return
    torch.set_num_threads(1)
    policy, frames = load_policy(find(f"{task}_flow")), read_dataset(TRAINED / f"{task}_fresh" / "dataset")
    at = np.arange(0, len(frames), CorrectorTrainingConfig().every)
    rows = np.zeros((len(at), policy.spec.horizon, len(policy.spec.action)))
    stored = Stored(at, at, rows, np.zeros((len(at), 0)))
    training = CorrectorTraining(policy, frames, stored, CorrectorTrainingConfig(), "none", seed=10_000_000, held=0.05)
    for _ in training.run(STEPS, 256, 1e-3):
        pass
    path.parent.mkdir(parents=True, exist_ok=True)
    training.corrector().save(path)


def head_of(task: str, name: str) -> Path:
    """The file of the corrector `name` for `task`."""
    return TRAINED / f"{task}_{name}" / "head.npz"


# ---- playing --------------------------------------------------------------------------------------------------------


def cell_of(task: str, way: Way, latency: str, s: int) -> Cell:
    """The cell of a way under one of `LATENCIES`. `d` is the fixed latency, or else estimated."""
    fixed = int(latency) if latency.isdigit() else None
    options = dict(way.strategy)
    if way.end is not None:
        end = (MEDIAN if fixed is None else fixed) + way.end
        options["guidance"] = {**options.get("guidance", {}), "execution_horizon": end}
    options["corrector"] = {"path": None if way.head is None else str(head_of(task, way.head))}
    checkpoint = f"{task}_flow" if way.base == "flow" else str(TRAINED / f"{task}_{way.base}" / "checkpoint")
    if way.weak:
        options["bid"] = {**options["bid"], "weak": str(TRAINED / f"{task}_weak" / "checkpoint")}
    rests = way.base == "none"
    return Cell(
        task={"name": task},
        strategy=call(StrategyConfig, {**options, "s": s, "d": fixed}),
        latency=LATENCIES[latency],
        planner=REST if rests else {"name": "policy", "checkpoint": checkpoint},
        sampler={"name": "auto"} if rests else way.sampler,
        episodes=EPISODES,
        reactions=False,
        lag=way.lag,
    )


def play(ways: str = "") -> None:
    """Plays the cells of all ways, or of those whose names begin with `ways`.

    It writes a file for each cell, with the tried values of s, and prints the cells that are impossible.
    """
    PLAYED.mkdir(parents=True, exist_ok=True)
    with processes(WORKERS) as pool:
        for task, latency, name in product(TASKS, LATENCIES, WAYS):
            path = PLAYED / f"{task}-{latency}-{_plain(name)}.json"
            if path.exists() or not name.startswith(ways) or task not in WAYS[name].tasks:
                continue
            began = time.monotonic()
            try:
                best, tried, episodes = _played(cell_of(task, WAYS[name], latency, HORIZONS[0]), pool)
            except ConfigError as error:
                print(f"{task}, {latency}, {name}: {error}", flush=True)
                continue
            figures = summarise(episodes)
            said = {"task": task, "latency": latency, "way": name, "s": best, "tried": tried, "episodes": EPISODES}
            said |= {key: figures[key] for key in SHOWN}
            said |= {"hits": [episode.success for episode in episodes], "took_s": time.monotonic() - began}
            path.write_text(json.dumps(finite(said)))
            print(f"{task}, {latency}, {name}: {said['success']:.1f} % at s = {best}", flush=True)


def _played(cell: Cell, pool: Any) -> tuple[int, list[dict[str, Any]], list[Episode]]:
    """The best s, the tried values, and the episodes of a cell."""
    d = cell.strategy.d or MEDIAN
    if cell.strategy.name == "tt_rtc" and d > BEYOND:
        raise ConfigError(f"the policy was trained for prefixes of {BEYOND}")
    run = partial(evaluate_all, workers=WORKERS, pool=pool)
    tried, _ = candidates(cell, Search(sorted({*HORIZONS, d}), episodes=TO_CHOOSE))
    best, results = find_best(tried, run)
    (episodes,) = run([replace(cell, strategy=best)])
    return best.s, [one.row for one in results], episodes


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name)


# ---- figures --------------------------------------------------------------------------------------------------------

Key = tuple[str, str, str]  # task, latency, way


def read() -> dict[Key, dict[str, Any]]:
    """All played cells."""
    found = [json.loads(path.read_text()) for path in sorted(PLAYED.glob("*.json"))]
    return {_key(said): said for said in found}


def _key(said: Mapping[str, Any]) -> Key:
    return said["task"], said["latency"], said["way"]


def hits(said: Mapping[str, Any]) -> NDArray[np.bool_]:
    """(n,), 1.0 where an episode succeeded, by seed."""
    return np.array(said["hits"], np.bool_)


GAINS = (  # name, task, latency, way, over, goal
    ("a2c2_proprio_gain_d12", "mole", "12", "vlash + a2c2, state only", "vlash", ">= 5"),
    ("a2c2_proprio_gain_naive_d12", "mole", "12", "naive + a2c2, state only", "naive", None),
    ("a2c2_proprio_gain_interception_d12", "interception", "12", "vlash + a2c2, state only", "vlash", None),
    ("a2c2_proprio_gain_recorded", "mole", "recorded", "vlash + a2c2, state only", "vlash", None),
    ("a2c2_gain_d12", "mole", "12", "vlash + a2c2", "vlash", None),
    ("a2c2_gain_interception_d12", "interception", "12", "vlash + a2c2", "vlash", None),
    ("a2c2_gain_lag1_d12", "mole", "12", "vlash + a2c2, sensors 1 tick late", "vlash, sensors 1 tick late", None),
    ("a2c2_gain_lag2_d12", "mole", "12", "vlash + a2c2, sensors 2 ticks late", "vlash, sensors 2 ticks late", None),
    ("vlash_gain_over_tt_rtc_d8", "mole", "8", "vlash", "tt_rtc", None),
    ("tt_rtc_gain_over_naive_d8", "mole", "8", "tt_rtc", "naive", None),
    ("vlash_gain_over_rtc_d8", "mole", "8", "vlash", "rtc, pull to d", None),
)
SUCCESSES = (  # name, task, latency, way, goal; in topic `claims`
    ("rtc_full_success_mole_d4", "mole", "4", "rtc", ">= 98"),
    ("rtc_full_success_interception_d2", "interception", "2", "rtc", ">= 85"),
    ("rtc_identity_success_mole_d4", "mole", "4", "rtc, identity", None),
    ("rtc_identity_success_interception_d2", "interception", "2", "rtc, identity", None),
)


def figures() -> None:
    """Records the figures of the played cells, and all cells as a table.

    Cells that were not played now stay as they are.
    """
    command, cells = "python -m benchmarks.chunking train play figures", read()
    rows: list[Row] = []
    for name, task, latency, way, over, goal in GAINS:
        if (task, latency, way) in cells and (task, latency, over) in cells:
            gain, ci = paired_gain(hits(cells[task, latency, way]), hits(cells[task, latency, over]))
            rows.append(row(name, gain, "points", ci=ci, goal=goal, command=command))
    record(TOPIC, rows)
    told = {_key(said): said for said in read_table()}
    told |= {key: {name: value for name, value in said.items() if name != "hits"} for key, said in cells.items()}
    record("claims", list(_successes(told, command)))
    pq.write_table(pa.Table.from_pylist(list(told.values())), RESULTS / "chunking.parquet", compression="zstd")


def _successes(told: Mapping[Key, Mapping[str, Any]], command: str) -> Iterator[Row]:
    for name, task, latency, way, goal in SUCCESSES:
        if (said := told.get((task, latency, way))) is not None:
            yield row(name, said["success"], "%", ci=said["success_ci"], goal=goal, command=command)


def read_table() -> list[dict[str, Any]]:
    """The rows of `benchmarks/results/chunking.parquet`, if it is there."""
    path = RESULTS / "chunking.parquet"
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist() if path.exists() else []
    return rows


def table(task: str) -> str:
    """Success in Markdown, a row for each way and a column for each latency: '41 <sub>37..46</sub>'."""
    cells = {(said["way"], said["latency"]): said for said in read_table() if said["task"] == task}
    headings = [f"{20 * int(name)} ms" if name.isdigit() else name for name in LATENCIES]
    lines = [f"| | {' | '.join(headings)} |", f"|---|{'---|' * len(headings)}"]
    for way in (name for name in WAYS if task in WAYS[name].tasks):
        lines.append(f"| {way} | {' | '.join(share(cells.get((way, latency))) for latency in LATENCIES)} |")
    return "\n".join(lines)


# ---- reactions ------------------------------------------------------------------------------------------------------


def reaction() -> None:
    """Measures the time from the jump of the mole to the first action that differs.

    At VLASH's published setting (inferences of 30 ms, 2 ticks; sync with 25 actions a chunk). The success of the
    compared ways is recorded too.
    """
    command = "python -m benchmarks.chunking train reaction"
    ways = {
        "sync": (WAYS["sync"], 25),
        "vlash": (WAYS["vlash"], 2),
        "a2c2": (WAYS["vlash + a2c2"], 8),
        "a2c2_lag1": (WAYS["vlash + a2c2, sensors 1 tick late"], 8),
        "a2c2_lag2": (WAYS["vlash + a2c2, sensors 2 ticks late"], 8),
        "reactive": (WAYS["a network at every tick, no plan"], 8),
    }
    cells = [replace(cell_of("mole", way, "2", s), reactions=True) for way, s in ways.values()]
    played = dict(zip(ways, map(summarise, evaluate_all(cells, workers=WORKERS)), strict=True))
    rows = []
    for name, figures in played.items():
        p95, success = figures["reaction_s"]["p95"], figures["success"]
        goal = ">= 17.4" if name == "a2c2" else None
        ratio = played["sync"]["reaction_s"]["p95"] / p95
        rows.append(row(f"reaction_p95_ratio_{name}", ratio, "x", goal=goal, command=command))
        rows.append(row(f"reaction_p95_ms_{name}", 1000 * p95, "ms", command=command))
        rows.append(row(f"reaction_hits_{name}", success, "%", ci=figures["success_ci"], command=command))
    record(TOPIC, rows)


# ---- a robot that is not as it is thought ----------------------------------------------------------------------------

WRONG = 1.5  # times the lag that was identified


def proprio() -> None:
    """Measures vlash with a wrong roller, with and without the corrector that takes the newest state only.

    The roller's lag is half as long again as the robot's, or there is no roller.
    """
    command = "python -m benchmarks.chunking train proprio"
    record(TOPIC, list(_proprio(command)))


def _proprio(command: str) -> Iterator[Row]:
    for named, roller in (("tau_plus50", {"name": "identified", "path": str(_wrong_lags())}), ("no_roller", STILL)):
        for d in (8, 12):
            plain, headed = (
                replace(cell_of("mole", WAYS[way], str(d), d), roller=roller)
                for way in ("vlash", "vlash + a2c2, state only")
            )
            without, with_head = (
                np.array([episode.success for episode in episodes])
                for episodes in evaluate_all([plain, headed], workers=WORKERS)
            )
            gain, ci = paired_gain(with_head, without)
            yield row(f"a2c2_proprio_gain_{named}_d{d}", gain, "points", ci=ci, command=command)
            yield row(f"vlash_success_{named}_d{d}", 100 * float(without.mean()), "%", command=command)


STILL = {"name": "none"}


def _wrong_lags() -> Path:
    """The lags that a step test of the robot identified (`benchmarks.model_error`), made wrong."""
    table = Path(__file__).parent / "results" / "tables" / "realtime_model_error.json"
    found = json.loads(table.read_text())["identified"]["noiseless"]
    lags = [{**lag, "tau_s": WRONG * lag["tau_s"]} for lag in found["lags"]]
    path = PLAYED / "wrong" / "calibration.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**found, "lags": lags}))
    return path


FIGURES: Mapping[str, Callable[..., None]] = {
    "train": train,
    "play": play,
    "figures": figures,
    "reaction": reaction,
    "proprio": proprio,
}


def main(names: list[str]) -> None:
    """Runs the named benchmarks. An option stands behind the name, as in play=rtc."""
    for word in names:
        name, _, option = word.partition("=")
        FIGURES[name](*[option] if option else [])


if __name__ == "__main__":
    main(sys.argv[1:])
