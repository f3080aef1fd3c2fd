"""Latencies that vary: the forecasts of the recommendation, and the gain of planning for the body instead of the tail.

    python -m benchmarks.latency                     all of it
    python -m benchmarks.latency recommendation      forecasts of schedules against the core in lockstep
    python -m benchmarks.latency miss                the weight of a late plan, measured on seeds that are not reported
    python -m benchmarks.latency lognormal           a mild tail against none at the same p95
    python -m benchmarks.latency spikes              few inferences that take very long
    python -m benchmarks.latency p95                 the recommended plan against one for the p95

Whack-a-mole with velocity actions at 50 Hz, chunks of 32 rows, the scripted planner, in simulated time. Compared
schedules are played on the same seeds. Latencies are in ticks of 20 ms.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import RESULTS, Row, load, record, row, table
from rollahead.evaluation.evaluation import Cell, evaluate
from rollahead.evaluation.metrics import mean_interval, wilson
from rollahead.runtime.analysis.drawn import drawn
from rollahead.runtime.analysis.recommend import MISS, Setting, candidate, rank, recommend, sampled, walked
from rollahead.runtime.analysis.rehearsal import rehearse
from rollahead.runtime.config.build import StrategyConfig, make_latency
from rollahead.runtime.recording.run_folder import finite, provenance
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import RobotSpec
from rollahead.sim.task import make_task

TOPIC = "evidence"
MOLE: Mapping[str, Any] = {"name": "mole"}
HORIZON, RATE_HZ = 32, 50.0
SEED, EPISODES = 0, 800
MISS_SEED, MISS_EPISODES = 1_000_000, 200
REHEARSED, OTHER_SEED = 750, 77  # inferences, and the seed of their latencies
MADE_WITH: Mapping[str, Mapping[str, Any]] = {  # what the weight of a late plan was chosen on
    "lognormal 6, 12": {"name": "lognormal", "p50": 6.0, "p95": 12.0},
    "lognormal 8, 12": {"name": "lognormal", "p50": 8.0, "p95": 12.0},
    "lognormal 4, 9": {"name": "lognormal", "p50": 4.0, "p95": 9.0},
    "uniform 4 to 12": {"name": "uniform", "low": 4, "high": 12},
    "6, 20 % of 10 to 14": {"name": "spikes", "ticks": 6, "probability": 0.2, "low": 10, "high": 14},
    "4, 5 % of 15 to 20": {"name": "spikes", "ticks": 4, "probability": 0.05, "low": 15, "high": 20},
}
HELD_OUT: Mapping[str, Mapping[str, Any]] = {  # nothing was chosen on these
    "a recorded policy": {"name": "recorded", "path": "diffusion_busy", "median": 6},
    "bimodal": {"name": "spikes", "ticks": 3, "probability": 0.35, "low": 9, "high": 12},
    "uniform 2 to 9": {"name": "uniform", "low": 2, "high": 9},
}
DELAYS = (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14)  # that are tried for the weight
WEIGHTS = (0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 9.0, 19.0)  # 19 is the p95
HEAVY: Mapping[str, Any] = {"name": "spikes", "ticks": 6, "probability": 0.2, "low": 10, "high": 14}


def setting_of(latency: Mapping[str, Any], spec: RobotSpec | None = None) -> Setting:
    """The setting of whack-a-mole under `latency`."""
    model = drawn(make_latency(rate_hz=RATE_HZ, **latency))
    return Setting(spec or make_task(**MOLE).spec, HORIZON, model, seed=MISS_SEED)


def plain(d: int, **options: Any) -> StrategyConfig:
    """`vlash` with a planned delay `d`, at its shortest execution horizon."""
    return StrategyConfig("vlash", s=max(d, 1), d=d, **options)


def hits(strategy: StrategyConfig, latency: Mapping[str, Any], episodes: int, seed: int = SEED) -> np.ndarray[Any, Any]:
    """(episodes,), 1.0 where the mole was hit."""
    cell = Cell(MOLE, strategy, latency, episodes=episodes, seed=seed, reactions=False)
    return np.array([float(episode.success) for episode in evaluate(cell)])


# ---- what is foreseen ---------------------------------------------------------------------------------------------


def recommendation() -> None:
    """Records the largest difference between forecast and observed underruns, for held-out latencies.

    All candidates are compared.
    """
    command = "python -m benchmarks.latency recommendation"
    found = {name: errors(setting_of(latency)) for name, latency in HELD_OUT.items()}
    worst = {key: max(one[key] for each in found.values() for one in each) for key in ("underruns", "reaction_p50")}
    count = sum(len(each) for each in found.values())
    chosen = max(each[0]["underruns"] for each in found.values())
    record(
        TOPIC,
        [
            row("recommendation_error_underruns", worst["underruns"], "", goal="<= 0.02", command=command),
            row("recommendation_error_underruns_chosen", chosen, "", command=command),
            row("recommendation_error_reaction_p50", worst["reaction_p50"], "ticks", command=command),
            row("recommendation_schedules_compared", count, "schedules", command=command),
        ],
    )
    _write("recommendation", found, command)


def errors(setting: Setting) -> list[dict[str, Any]]:
    """Differences between the forecast and the lockstep result under other latencies.

    That of the chosen schedule comes first.
    """
    advice, body = recommend(setting), rank(sampled(setting), 0.5)
    found = []
    for one in (advice.chosen, *advice.candidates):
        ticks = walked(one.strategy, body, REHEARSED)
        there = rehearse(one.strategy, setting.horizon, setting.latency, ticks=ticks, seed=OTHER_SEED)
        apart = {key: abs(getattr(there, key) - getattr(one.forecast, key)) for key in ("underruns", "reaction_p50")}
        found.append({"strategy": one.strategy.name, "s": one.strategy.s, "d": one.strategy.d, **apart})
    return found


# ---- the weight of a late plan ------------------------------------------------------------------------------------


def miss() -> None:
    """Records the loss of each weight's choice of d against the best d, in the mean over latencies."""
    command = "python -m benchmarks.latency miss"
    found = {name: measured_delays(latency) for name, latency in MADE_WITH.items()}
    rows = [
        row(f"miss_loss_w{weight:g}", regret(found, weight), "points", command=command, seed=MISS_SEED)
        for weight in WEIGHTS
    ]
    record(TOPIC, rows)
    _write("miss", found, command)


def measured_delays(latency: Mapping[str, Any]) -> list[dict[str, float]]:
    """The success with each d, and the forecast from which a weight chooses."""
    setting = setting_of(latency)
    body, found = rank(sampled(setting), 0.5), []
    for d in DELAYS:
        made = candidate(setting, plain(d), body).forecast
        success = 100.0 * hits(plain(d), latency, MISS_EPISODES, MISS_SEED).mean()
        found.append({"d": d, "success": success, "reaction": made.reaction_mean, "lost": made.lost})
    return found


def regret(found: Mapping[str, Sequence[Mapping[str, float]]], weight: float) -> float:
    """Points lost by choosing d with `weight`, in the mean over latencies."""
    chosen = [min(each, key=lambda one: one["reaction"] + weight * one["lost"]) for each in found.values()]
    best = [max(one["success"] for one in each) for each in found.values()]
    return float(np.mean([most - one["success"] for most, one in zip(best, chosen, strict=True)]))


# ---- what it buys -------------------------------------------------------------------------------------------------


def lognormal() -> None:
    """Records the points lost under a lognormal latency with a p95 of 6 ticks, against 6 ticks always; both plan 6."""
    command = "python -m benchmarks.latency lognormal"
    mild = {"name": "lognormal", "p50": 4.0, "p95": 6.0}
    steady = hits(plain(6), {"name": "fixed", "ticks": 6}, EPISODES)
    advised = recommend(setting_of(mild)).chosen.strategy
    rows = [_success("lognormal_success_fixed6", steady, command)]
    for name, strategy, goal in (("", plain(6), "<= 1"), ("_recommended", advised, None)):
        played = hits(strategy, mild, EPISODES)
        rows.append(_points(f"lognormal_latency_loss{name}", steady - played, command, goal))
        rows.append(_success(f"lognormal_latency_success{name}", played, command))
    record(TOPIC, rows)


def spikes() -> None:
    """Records the points lost by spikes.

    5 % of the inferences take 15 to 20 ticks and the others 3 or 4, compared with no such spikes.
    """
    command = "python -m benchmarks.latency spikes"
    with spiky(0.0) as calm, spiky(0.05) as rough:
        advised = recommend(setting_of(rough)).chosen.strategy
        tried = {
            "_s8_d4": StrategyConfig("vlash", s=8, d=4),
            "_s8_d8": StrategyConfig("vlash", s=8, d=8),
            "_recommended": advised,
            "_s8_d4_moved": StrategyConfig("vlash", s=8, d=4, late="moved"),
            "": replace(advised, late="moved"),
        }
        rows = []
        for name, strategy in tried.items():
            without, played = hits(strategy, calm, EPISODES), hits(strategy, rough, EPISODES)
            goal = None if name else "<= 4"
            rows.append(_points(f"spike_latency_loss{name}", without - played, command, goal))
            rows.append(_success(f"spike_latency_success{name}", played, command))
    record(TOPIC, rows)


@contextmanager
def spiky(probability: float, count: int = 20_000) -> Iterator[dict[str, Any]]:
    """A recording in which a share `probability` takes 15 to 20 ticks, the others 3 or 4."""
    rng = generator("spiky", SEED)
    others, slow = rng.integers(3, 4, count, endpoint=True), rng.integers(15, 20, count, endpoint=True)
    ticks = np.where(rng.random(count) < probability, slow, others)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "latencies.txt"
        path.write_text("".join(f"{(one - 0.5) / RATE_HZ:.4f}\n" for one in ticks))
        yield {"name": "recorded", "path": str(path)}


def p95() -> None:
    """Records the points gained by the recommended d over the d of the p95, and over other plans.

    20 % of the inferences take 10 to 14 ticks and the others 6.
    """
    command = "python -m benchmarks.latency p95"
    setting = setting_of(HEAVY)
    ticks = sampled(setting)
    advised = recommend(setting).chosen.strategy
    plans = {
        "recommended": advised,
        "median": plain(rank(ticks, 0.5)),
        "mean": plain(round(float(np.mean(ticks)))),
        "p95": plain(rank(ticks, 0.95)),
        "recommended_moved": replace(advised, late="moved"),
        "p95_moved": plain(rank(ticks, 0.95), late="moved"),
    }
    played = {name: hits(strategy, HEAVY, EPISODES) for name, strategy in plans.items()}
    gain = played["recommended"] - played["p95"]
    record(
        TOPIC,
        [
            _points("recommended_d_gain_over_p95", gain, command, ">= 10"),
            *(_success(f"heavy_tail_success_{name}", each, command) for name, each in played.items()),
            *(row(f"heavy_tail_d_{name}", one.d, "ticks", command=command) for name, one in plans.items()),
        ],
    )


def _points(name: str, differences: np.ndarray[Any, Any], command: str, goal: str | None = None) -> Row:
    """A mean of paired differences, with its bootstrap interval, in points."""
    ci = [100.0 * end for end in mean_interval(differences)]
    return row(name, 100.0 * float(differences.mean()), "points", command=command, goal=goal, ci=ci, seed=SEED)


def _success(name: str, played: np.ndarray[Any, Any], command: str) -> Row:
    ci = [100.0 * end for end in wilson(int(played.sum()), len(played))]
    return row(name, 100.0 * float(played.mean()), "%", command=command, ci=ci, seed=SEED)


def _write(name: str, found: Mapping[str, Any], command: str) -> None:
    path = RESULTS / "tables" / f"{TOPIC}_latency_{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"latencies": found, "command": command, **provenance(SEED)}
    path.write_text(json.dumps(finite(content), indent=1, allow_nan=False) + "\n")


def figures_table() -> str:
    """The figures of these commands as a Markdown table for docs/calibrate.md."""
    rows = {figure.name: figure for figure in load() if figure.command.startswith("python -m benchmarks.latency")}
    head, rule, *lines = table(TOPIC).splitlines()
    return "\n".join([head, rule, *(line for line in lines if line.split("`")[1] in rows)])


def delays_table(found: Mapping[str, Sequence[Mapping[str, float]]]) -> str:
    """Success for each d and latency as a Markdown table, with the recommended d in bold."""
    lines = ["| `s` = `d` = | " + " | ".join(str(d) for d in DELAYS) + " |", "|---" * (1 + len(DELAYS)) + "|"]
    for name, each in found.items():
        chosen = min(each, key=lambda one: one["reaction"] + MISS * one["lost"])
        cells = [f"**{one['success']:.0f}**" if one is chosen else f"{one['success']:.0f}" for one in each]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


COMMANDS: Mapping[str, Callable[[], None]] = {
    "recommendation": recommendation,
    "miss": miss,
    "lognormal": lognormal,
    "spikes": spikes,
    "p95": p95,
}


def main(arguments: Sequence[str]) -> int:
    """Runs the named benchmarks, or all."""
    if unknown := [name for name in arguments if name not in COMMANDS]:
        print(f"there is no figure {unknown[0]!r}; there are {', '.join(COMMANDS)}")
        return 2
    for name in arguments or COMMANDS:
        COMMANDS[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
