"""Realtime against lockstep: the same episodes, once in simulated time and once with the delay as real waiting.

python -m benchmarks.parity     100 episodes of each strategy at 160 ms, the executor in a thread (12 minutes)
options: episodes=100
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.figures import RESULTS, Row, record, row
from rollahead.evaluation.evaluation import Cell, run_episode
from rollahead.evaluation.live import Played, live_of, play
from rollahead.evaluation.metrics import wilson
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.control.trace import InferenceRecord, TickStatus, Trace
from rollahead.runtime.recording.run_folder import provenance
from rollahead.sim.task import make_task
from rollahead.sim.world import World

TOPIC = "realtime"
DELAY = 8  # ticks of 20 ms
SCHEDULES = {"sync": 24, "naive": 24, "vlash": 8}  # the best execution horizon of each at this delay
MARGIN = 0.5  # of a period: how long before its tick an injected delay ends


@dataclass(frozen=True, slots=True)
class Pair:
    """One episode in both drivers.

    Attributes:
        equal: Whether all switches came at the same ticks.
        same_actions: Whether the sent actions are the same to the bit.
        overrun: Whether a tick in real time was skipped, or began later than the margin.
    """

    seed: int
    lockstep: bool
    realtime: bool
    equal: bool
    same_actions: bool
    overrun: bool


def compare(cell: Cell, world: World) -> list[Pair]:
    """Plays every episode of `cell` twice."""
    task, live = make_task(**cell.task), live_of(cell, world.task)
    pairs = []
    for seed in range(cell.seed, cell.seed + cell.episodes):
        trace = run_episode(cell, task, seed)
        pairs.append(_pair(task.success, trace, play(world, live, seed), task.spec.rate_hz))
    return pairs


def _pair(success: bool, trace: Trace, played: Played, rate_hz: float) -> Pair:
    real, simulated = played.records, trace.ticks
    return Pair(
        played.seed,
        success,
        played.success,
        equal=_switches(trace.inferences, len(simulated)) == _switches(played.trace.inferences, len(simulated)),
        same_actions=np.array_equal(real["action"], simulated["action"], equal_nan=True),
        overrun=_overrun(real, played.start_ns, rate_hz),
    )


def _switches(inferences: Sequence[InferenceRecord], stop: int) -> list[tuple[Any, ...]]:
    """The ticks at which each inference before tick `stop` was requested, accepted, and could first be used."""
    before = (one for one in inferences if one.accepted < stop)
    return [(one.request, one.accepted, one.origin, one.start, one.outcome) for one in before]


def _overrun(ticks: NDArray[Any], start_ns: int, rate_hz: float) -> bool:
    late = (ticks["began_ns"] - start_ns) * 1e-9 * rate_hz - ticks["tick"]
    return bool((ticks["status"] == TickStatus.OVERRUN).any() or (late > MARGIN).any())


def rows_of(name: str, pairs: Sequence[Pair], command: str) -> list[Row]:
    """The figures of one strategy."""
    punctual = [pair for pair in pairs if not pair.overrun]
    share = 100.0 * float(np.mean([pair.equal for pair in punctual])) if punctual else 0.0
    rows = []
    for side in ("lockstep", "realtime"):
        hits = sum(getattr(pair, side) for pair in pairs)
        ends = [100.0 * end for end in wilson(hits, len(pairs))]
        rows.append(row(f"parity_{name}_success_{side}", 100.0 * hits / len(pairs), "%", ci=ends, command=command))
    equal = row(f"parity_{name}_switches_equal", share, "%", goal=">= 100", command=command)
    overrun = row(f"parity_{name}_overrun", sum(pair.overrun for pair in pairs), "episodes", command=command)
    same = 100.0 * float(np.mean([pair.same_actions for pair in pairs]))
    return [*rows, equal, overrun, row(f"parity_{name}_same_actions", same, "%", command=command)]


def main(arguments: Sequence[str]) -> None:
    """Runs all strategies."""
    episodes = int(dict(argument.split("=") for argument in arguments).get("episodes", 100))
    command = f"python -m benchmarks.parity episodes={episodes}"
    table: dict[str, Any] = {}
    latency: Mapping[str, Any] = {"name": "fixed", "ticks": DELAY}
    with World({"name": "mole"}) as world:
        for name, s in SCHEDULES.items():
            cell = Cell({"name": "mole"}, StrategyConfig(name, s=s), latency, episodes=episodes, reactions=False)
            pairs = compare(cell, world)
            record(TOPIC, rows_of(name, pairs, command))
            table[name] = [[int(getattr(pair, field)) for field in Pair.__slots__] for pair in pairs]
    path = RESULTS / "tables" / f"{TOPIC}_parity.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"columns": Pair.__slots__, **table, **provenance(0)}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
