"""Real-time iteration against cold samplers, at equal network calls: success, task time, changes of target.

    python -m benchmarks.rti train      the policies that are not shipped, about 2 hours of two cores
    python -m benchmarks.rti play       plays what has not been played yet
    python -m benchmarks.rti play=two   only the policies whose names begin so; `figures` keeps the others as they are
    python -m benchmarks.rti figures    the figures and the table, from the played cells

Episodes are paired: the same seeds everywhere. Samplers that are chosen among several (`CHOICES`) are chosen on other
seeds.
"""

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.figures import RESULTS, Row, record, row
from benchmarks.study import paired_gain
from rollahead.evaluation.evaluation import Cell, Episode, evaluate_all
from rollahead.evaluation.metrics import wilson
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.types.messages import ResultFlags
from rollahead.sim.pool import processes

TOPIC, CLAIMS = "denoise", "claims"
PLAYED, TRAINED = Path("runs") / "rti", Path("runs") / "trained"
SEED, CHOOSING, WORKERS = 0, 2_000_000, 2
MANY, FEW, TO_CHOOSE = 400, 200, 100  # episodes
DELAYS, SHORT = (0, 4, 8), 8  # ticks; the execution horizon is not below SHORT
SLOW = 0.1  # of the action's range: below, nobody can tell where the tool is going


@dataclass(frozen=True, slots=True)
class Net:
    """A policy of the comparison. `task`: options; `recipe`: options of its training, None for a shipped one."""

    task: Mapping[str, Any]
    recipe: Mapping[str, Any] | None = None


FLOW = {"policy": "flow", "prefixes": 8, "training.steps": 30_000}
DIFFUSION = {"policy": "diffusion", "training.steps": 6_000, "training.batch": 128}
LONG = {"policy": "diffusion", "training.steps": 40_000, "training.batch": 256}
MOLE = {"name": "mole"}
TWO, STRIKE = {"name": "mole", "targets": 2}, {"name": "mole", "strike": True}
NETS: Mapping[str, Net] = {
    "mole_epsilon": Net(MOLE, {"task": "mole", **DIFFUSION, "policy.prediction": "epsilon"}),
    "mole_diffusion": Net(MOLE),
    "mole_velocity": Net(MOLE, {"task": "mole", **FLOW, "policy.prediction": "velocity"}),
    "mole_flow": Net(MOLE),
    "two_diffusion": Net(TWO, {"task": "two", **LONG}),
    "two_flow": Net(TWO, {"task": "two", **FLOW}),
    "interception_flow": Net({"name": "interception"}),
    "interception_diffusion": Net({"name": "interception"}),
    "strike_flow": Net(STRIKE, {"task": "strike", **FLOW}),
    "strike_velocity": Net(
        STRIKE, {"task": "strike", **FLOW, "policy.prediction": "velocity", "training.steps": 20_000}
    ),
    "strike_velocity_scaled": Net(
        STRIKE,
        {
            "task": "strike",
            **FLOW,
            "policy.prediction": "velocity",
            "training.steps": 20_000,
            "scale": "{strike: 0.1}",
        },
    ),
}


def ddim(steps: int, spacing: str = "trailing") -> dict[str, Any]:
    """A cold start with DDIM."""
    return {"name": "ddim", "steps": steps, "spacing": spacing}


def euler(steps: int) -> dict[str, Any]:
    """A cold start with Euler's method."""
    return {"name": "euler", "steps": steps}


def rti(*warm: float, base: str = "auto", **options: Any) -> dict[str, Any]:
    """A warm start from the given levels on."""
    return {"name": "rti", "base": base, "warm": list(warm), **options}


COLD_DIFFUSION = {f"ddim {n}": ddim(n) for n in (1, 2, 3, 5, 10)}
COLD_LEADING = {f"ddim {n} leading": ddim(n, "leading") for n in (2, 3, 5, 10)}
COLD_FLOW = {f"euler {n}": euler(n) for n in (1, 2, 3, 5, 10)}
WARM_DIFFUSION = {
    f"rti {levels}": rti(*levels, base="ddim") for levels in ([20], [40], [20, 10], [20, 10, 0], [40, 20, 0])
}
DEEP = {f"rti {levels}": rti(*levels, base="ddim") for levels in ([60, 30], [80, 40], [60, 30, 0], [80, 40, 0])}
WARM_FLOW = {f"rti [{t}]": rti(t) for t in (0.1, 0.3, 0.6)}
GUARDED = {"rti [20, 10, 0], rejecting": rti(20, 10, 0, base="ddim", reject=0.15)}
GUARDED_FLOW = {"rti [0.3], rejecting": rti(0.3, reject=0.15)}
DDPM = {"ddpm 100": {"name": "ddpm"}}
SCALED = {f"rti [{t}], keep": rti(t) for t in (0.1, 0.2, 0.3)}
LOCKED = {f"rti [{t}], {way}": rti(t, discrete=way) for t in (0.1, 0.2, 0.3) for way in ("keep", "clip", "cold")}

Key = tuple[str, str, int, int]  # net, sampler, s, d
CHOICES: Mapping[str, tuple[str, Mapping[str, Any], int, int]] = {  # of a net, among samplers, at s and d
    "mole, few calls": ("mole_epsilon", DEEP | {"rti [20, 10, 0]": WARM_DIFFUSION["rti [20, 10, 0]"]}, SHORT, 8),
    "two, one call": ("two_diffusion", {name: WARM_DIFFUSION[name] for name in ("rti [20]", "rti [40]")}, SHORT, 4),
    "two flow, one call": ("two_flow", {name: WARM_FLOW[name] for name in ("rti [0.3]", "rti [0.6]")}, SHORT, 4),
    "interception, cold": ("interception_flow", {name: COLD_FLOW[name] for name in ("euler 1", "euler 2")}, SHORT, 0),
    "interception, warm": ("interception_flow", WARM_FLOW, SHORT, 0),
    "interception diffusion, cold": ("interception_diffusion", COLD_DIFFUSION, 1, 0),
    "interception diffusion, warm": ("interception_diffusion", WARM_DIFFUSION, 1, 0),
    "strike, cured": (
        "strike_velocity",
        {f"rti [{t}], clip": LOCKED[f"rti [{t}], clip"] for t in (0.1, 0.2, 0.3)},
        SHORT,
        0,
    ),
}


def keys() -> Iterator[tuple[Key, dict[str, Any], int]]:
    """The cells to play: key, sampler and number of episodes, the most important first."""
    headline = {**DDPM, "rti [20, 10, 0]": WARM_DIFFUSION["rti [20, 10, 0]"], "ddim 3": ddim(3), "ddim 10": ddim(10)}
    yield from _each("mole_epsilon", headline, (8,), MANY)
    yield from _each("mole_epsilon", DEEP, (8,), MANY)
    yield from _each("two_diffusion", COLD_DIFFUSION | WARM_DIFFUSION, (4, 0), 400)
    yield from _each("two_flow", COLD_FLOW | WARM_FLOW, (4, 0), 400)
    yield from _each("strike_velocity", COLD_FLOW | LOCKED, (0,), FEW)
    yield from _each("strike_flow", COLD_FLOW | LOCKED, (0, 4), FEW)
    yield from _each("interception_flow", COLD_FLOW | WARM_FLOW | GUARDED_FLOW, (0, 8), FEW)
    yield from _each("two_flow", COLD_FLOW | WARM_FLOW, (0,), FEW, s=1)
    yield from _each("strike_velocity_scaled", COLD_FLOW | SCALED, (0,), FEW)
    yield from _each("mole_epsilon", COLD_DIFFUSION | COLD_LEADING | WARM_DIFFUSION, (0, 8), FEW)
    yield from _each("mole_flow", COLD_FLOW | WARM_FLOW, (0, 8), FEW)
    yield from _each("mole_velocity", COLD_FLOW | WARM_FLOW, (0, 8), FEW)
    yield from _each("mole_diffusion", COLD_DIFFUSION | WARM_DIFFUSION, (0, 8), FEW)
    yield from _each("mole_epsilon", {"rti [2, 1, 0] of ddpm": rti(2, 1, 0, base="ddpm")}, (0,), FEW, s=1)
    yield from _each("mole_epsilon", {"rti [2, 1, 0] of ddpm": rti(2, 1, 0, base="ddpm")}, (0, 8), FEW)
    yield from _each("interception_diffusion", COLD_DIFFUSION | WARM_DIFFUSION | GUARDED, (0, 8), FEW)
    yield from _each("interception_diffusion", COLD_DIFFUSION | WARM_DIFFUSION, (0,), FEW, s=1)


def _each(
    net: str, samplers: Mapping[str, Any], delays: Sequence[int], episodes: int, s: int = SHORT
) -> Iterator[tuple[Key, dict[str, Any], int]]:
    for d in delays:
        for name, config in samplers.items():
            yield (net, name, max(s, d), d), config, episodes


def cell_of(key: Key, sampler: Mapping[str, Any], episodes: int, seed: int = SEED) -> Cell:
    """The cell to play. Its ticks are recorded if changes of target are counted."""
    net, _, s, d = key
    checkpoint = net if NETS[net].recipe is None else str(TRAINED / net / "checkpoint")
    return Cell(
        task=NETS[net].task,
        strategy=StrategyConfig("vlash", s=s, d=d),
        latency={"name": "fixed", "ticks": d},
        planner={"name": "policy", "checkpoint": checkpoint},
        sampler=sampler,
        episodes=episodes,
        seed=seed,
        reactions=False,
        traces=episodes,
    )


# ---- playing --------------------------------------------------------------------------------------------------------


def train() -> None:
    """Trains the policies that are missing."""
    program = str(Path(sys.executable).parent / "rollahead")
    for name, net in NETS.items():
        if net.recipe is not None and not (TRAINED / name / "checkpoint").exists():
            given = [f"{key}={value}" for key, value in net.recipe.items()]
            subprocess.run([program, "train", *given, "seed=10000000", f"name={name}", f"runs={TRAINED}"], check=True)


def play(only: str = "") -> None:
    """Plays the missing cells, and writes a file for each. `only`: beginning of the policies' names."""
    wanted = [(PLAYED, SEED, key, sampler, episodes) for key, sampler, episodes in keys()]
    for net, samplers, s, d in CHOICES.values():
        chosen = [((net, name, max(s, d), d), sampler) for name, sampler in samplers.items()]
        wanted += [(PLAYED / "choosing", CHOOSING, key, sampler, TO_CHOOSE) for key, sampler in chosen]
    wanted = [one for one in wanted if one[2][0].startswith(only)]
    with processes(WORKERS) as pool:
        for folder, seed, key, sampler, episodes in wanted:
            path = folder / name_of(key)
            if path.exists():
                continue
            folder.mkdir(parents=True, exist_ok=True)
            began = time.monotonic()
            (played,) = evaluate_all([cell_of(key, sampler, episodes, seed)], workers=WORKERS, pool=pool)
            said = described(key, played, time.monotonic() - began)
            path.write_text(json.dumps(said))
            print(f"{key}: {100 * np.mean(said['hits']):.1f} %, {said['calls_per_s']:.1f} calls/s", flush=True)


def name_of(key: Key) -> str:
    """The file of a cell."""
    net, sampler, s, d = key
    name = "".join(letter if letter.isalnum() or letter == "." else "_" for letter in sampler)
    return f"{net}-{name}-s{s}-d{d}.json"


def described(key: Key, played: Sequence[Episode], took_s: float) -> dict[str, Any]:
    """The stored description of a played cell."""
    inferences = [one for episode in played if episode.trace for one in episode.trace.inferences]
    made = np.array([one.made for one in inferences])
    return {
        "key": key,
        "hits": [episode.success for episode in played],
        "time_s": [episode.time_s if episode.success else None for episode in played],
        "calls_per_s": float(np.mean([episode.calls_per_s for episode in played])),
        "calls": float(np.mean([one.calls for one in inferences])),
        "warm": float(np.mean((made & ResultFlags.WARM) > 0)),
        "rejected": float(np.mean((made & ResultFlags.REJECTED) > 0)),
        "jerk": float(np.nanmean([episode.jerk for episode in played])),
        "flips": [flips(episode) for episode in played] if key[0].startswith("two") else [],
        "took_s": took_s,
    }


def flips(episode: Episode) -> int:
    """The share of ticks in which the tool changes its target between two moles, after they jumped.

    Counted are the ticks with a command to move, in which its direction is nearer to the other mole than in the tick
    before.
    """
    assert episode.trace is not None, "kept"
    ticks = episode.trace.ticks
    ticks = ticks[ticks["tick"] >= episode.event_tick]
    moves = ticks["action"][:, :2]
    speed = np.linalg.norm(moves, axis=1)
    ways = ticks["environment"].reshape(len(ticks), 2, 2) - ticks["state"][:, None, :2]
    near = np.einsum("nj,nmj->nm", moves, ways) / np.maximum(np.linalg.norm(ways, axis=2), 1e-9)
    chosen = near.argmax(axis=1)[speed > SLOW * speed.max(initial=0.0)]
    return int((np.diff(chosen) != 0).sum())


# ---- figures --------------------------------------------------------------------------------------------------------


def read(folder: Path | None = None) -> dict[Key, dict[str, Any]]:
    """All played cells."""
    found = {}
    for path in sorted((folder or PLAYED).glob("*.json")):
        said = json.loads(path.read_text())
        net, sampler, s, d = said["key"]
        found[net, sampler, s, d] = said
    return found


def choice(name: str) -> str:
    """The sampler of `CHOICES` that succeeds most often on seeds that are not reported."""
    net, samplers, s, d = CHOICES[name]
    tried = read(PLAYED / "choosing")
    shares = {sampler: hits(tried[net, sampler, max(s, d), d]).mean() for sampler in samplers}
    return max(shares, key=lambda sampler: float(shares[sampler]))


def hits(said: Mapping[str, Any]) -> NDArray[np.bool_]:
    """(n,), 1.0 where an episode succeeded, by seed."""
    return np.array(said["hits"], np.bool_)


def figures() -> None:
    """Records the figures of the played cells, and the table of all cells."""
    cells = read()
    command = "python -m benchmarks.rti play figures"
    for topic, rows_of in (
        *((TOPIC, each) for each in (_headline, _two, _two_flow, _flips, _interception, _strike)),
        *((CLAIMS, each) for each in (_two_diffusion, _interception_diffusion)),
    ):
        try:
            record(topic, list(rows_of(cells, command)))
        except KeyError as missing:
            print(f"{rows_of.__name__[1:]}: {missing} was not played yet")
    write_table(cells)


def _headline(cells: Mapping[Key, Mapping[str, Any]], command: str) -> Iterator[Row]:
    names = ("ddpm 100", "ddim 3", choice("mole, few calls"))
    full, cold, warm = (cells["mole_epsilon", name, 8, 8] for name in names)
    ratio = full["calls_per_s"] / warm["calls_per_s"]
    loss, (low, high) = paired_gain(hits(full), hits(warm))
    yield row("rti_calls_ratio_vs_ddpm100", ratio, "x", goal=">= 30", command=command)
    yield row("rti_success_loss_d8", loss, "points", ci=[low, high], command=command)
    yield row("rti_success_loss_d8_upper", high, "points", goal="<= 2", command=command)
    yield row("rti_task_time_ratio_vs_ddpm100", time_ratio(warm, full), "x", goal="<= 1.05", command=command)
    gain, ci = paired_gain(hits(warm), hits(cold))
    yield row("rti_gain_over_cold_ddim3_d8", gain, "points", ci=ci, command=command)


def _two(cells: Mapping[Key, Mapping[str, Any]], command: str) -> Iterator[Row]:
    cold, warm = (hits(cells["two_diffusion", name, 8, 4]) for name in ("ddim 1", choice("two, one call")))
    gain, ci = paired_gain(warm, cold)
    yield row("rti_gain_two_targets_1call_d4", gain, "points", ci=ci, goal=">= 20", command=command)


def _two_flow(cells: Mapping[Key, Mapping[str, Any]], command: str) -> Iterator[Row]:
    cold, warm = (hits(cells["two_flow", name, 8, 4]) for name in ("euler 1", choice("two flow, one call")))
    gain, ci = paired_gain(warm, cold)
    yield row("rti_gain_two_targets_1call_d4_flow", gain, "points", ci=ci, command=command)


def time_ratio(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> float:
    """The ratio of the mean task times, over the episodes that both solve."""
    both = [(a, b) for a, b in zip(ours["time_s"], theirs["time_s"], strict=True) if a is not None and b is not None]
    return float(np.mean([a for a, _ in both]) / np.mean([b for _, b in both])) if both else math.nan


def _flips(cells: Mapping[Key, Mapping[str, Any]], command: str) -> Iterator[Row]:
    cold, warm = (cells["two_flow", name, 1, 0] for name in ("euler 10", "rti [0.3]"))
    ratio = float(np.mean(warm["flips"]) / max(np.mean(cold["flips"]), 1e-9))
    yield row("rti_flip_ratio_two_targets", ratio, "x", goal="<= 0.25", command=command)


def _interception(cells: Mapping[Key, Mapping[str, Any]], command: str) -> Iterator[Row]:
    cold = hits(cells["interception_flow", choice("interception, cold"), 8, 0])
    warm = choice("interception, warm")
    for name, sampler in (("", warm), ("_rejecting", "rti [0.3], rejecting")):
        loss, ci = paired_gain(cold, hits(cells["interception_flow", sampler, 8, 0]))
        yield row(f"rti_interception_loss_s8{name}", loss, "points", ci=ci, command=command)


def _two_diffusion(cells: Mapping[Key, Mapping[str, Any]], command: str) -> Iterator[Row]:
    played = hits(cells["two_diffusion", "ddim 10", SHORT, 0])
    ci = [100 * end for end in wilson(int(played.sum()), len(played))]
    value = 100 * float(played.mean())
    yield row("two_diffusion_success_d0", value, "%", ci=ci, goal=">= 90", command=command)


def _interception_diffusion(cells: Mapping[Key, Mapping[str, Any]], command: str) -> Iterator[Row]:
    cold, warm = (
        hits(cells["interception_diffusion", choice(f"interception diffusion, {how}"), 1, 0])
        for how in ("cold", "warm")
    )
    loss, ci = paired_gain(cold, warm)
    yield row("rti_interception_diffusion_loss_s1", loss, "points", ci=ci, goal="<= 2", command=command)


def _strike(cells: Mapping[Key, Mapping[str, Any]], command: str) -> Iterator[Row]:
    chosen = choice("strike, cured")
    cold, locked, cured = (
        hits(cells["strike_velocity", name, 8, 0]) for name in ("euler 2", chosen.replace("clip", "keep"), chosen)
    )
    yield row("rti_lock_uncured_binary", 100 * locked.mean(), "%", goal="<= 70", command=command)
    loss, ci = paired_gain(cold, cured)
    yield row("rti_binary_success_loss_cured", loss, "points", ci=ci, goal="<= 2", command=command)


def write_table(cells: Mapping[Key, Mapping[str, Any]]) -> None:
    """Writes `benchmarks/results/rti.parquet`: a row per cell. Cells that were not played now stay as they are."""
    rows = [cell for cell in read_table() if tuple(cell[name] for name in ("net", "sampler", "s", "d")) not in cells]
    rows += [
        {
            "net": net,
            "sampler": sampler,
            "s": s,
            "d": d,
            "episodes": len(said["hits"]),
            "success": 100.0 * float(hits(said).mean()),
            "time_s": _mean([each for each in said["time_s"] if each is not None]),
            "flips": _mean(said["flips"]),
            **{name: said[name] for name in ("calls_per_s", "calls", "warm", "rejected", "jerk", "took_s")},
        }
        for (net, sampler, s, d), said in cells.items()
    ]
    rows.sort(key=lambda cell: (cell["net"], cell["sampler"], cell["s"], cell["d"]))
    pq.write_table(pa.Table.from_pylist(rows), RESULTS / "rti.parquet", compression="zstd")


def read_table() -> list[dict[str, Any]]:
    """The rows of `benchmarks/results/rti.parquet`."""
    rows: list[dict[str, Any]] = pq.read_table(RESULTS / "rti.parquet").to_pylist()
    return rows


def table(net: str) -> str:
    """The cells of a policy as a Markdown table.

    It has a row for each sampler, ordered by its calls, and a column for each schedule: success, its interval, and
    network calls per second of control.
    """
    cells = {(cell["sampler"], cell["s"], cell["d"]): cell for cell in read_table() if cell["net"] == net}
    if not cells:
        return "Not played yet."
    columns = sorted({key[1:] for key in cells})
    calls = {sampler: min(cell["calls"] for key, cell in cells.items() if key[0] == sampler) for sampler, *_ in cells}
    headings = [f"{20 * d} ms, s = {s}" for s, d in columns]
    lines = [f"| | {' | '.join(headings)} |", f"|---|{'---|' * len(headings)}"]
    for sampler in sorted(calls, key=lambda name: (calls[name], name)):
        lines.append(f"| {sampler} | {' | '.join(_share(cells.get((sampler, *column))) for column in columns)} |")
    return "\n".join(lines)


def _share(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "\N{EN DASH}"
    low, high = (100 * end for end in wilson(round(cell["success"] * cell["episodes"] / 100), cell["episodes"]))
    flips = "" if cell["flips"] is None else f", {cell['flips']:.2f} turns"
    return f"{cell['success']:.0f} <sub>{low:.0f}..{high:.0f}, {cell['calls_per_s']:.0f}/s{flips}</sub>"


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


FIGURES: Mapping[str, Callable[..., None]] = {"train": train, "play": play, "figures": figures}


def main(names: list[str]) -> None:
    """Runs the named benchmarks. An option stands behind the name, as in play=two."""
    for name in names:
        name, _, only = name.partition("=")
        FIGURES[name](*[only] if only else [])


if __name__ == "__main__":
    main(sys.argv[1:])
