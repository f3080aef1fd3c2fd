"""What an error of the model costs: vlash with the robot's lag exact, identified, wrong, unsteady and seen with noise.

python -m benchmarks.model_error

Whack-a-mole with velocity actions at s = d = 8 (160 ms), in simulated time, on the same seeds in every case. A lag is
identified as `rollahead identify` does it, by a step test of the same simulated robot with the noise of its servos,
and of its sensors where the case has that. Policy and roller are given the same measurements; whether a mole is hit is
judged by what is true.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from itertools import chain
from multiprocessing import get_context
from typing import Any

import numpy as np

from benchmarks.figures import RESULTS, record, row
from rollahead.evaluation.evaluation import Cell, Episode, measure, run_episode, summarise
from rollahead.runtime.analysis.identify import Lag, calibration, identify, roller_of
from rollahead.runtime.analysis.steps import StepConfig, StepTest
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.recording.run_folder import finite, provenance
from rollahead.runtime.rolling.roll import StateRoller, still
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.seeds import generator
from rollahead.sim.mole import WhackAMole

TOPIC = "realtime"
COMMAND = "python -m benchmarks.model_error"
SEED, EPISODES, BATCH, WORKERS = 0, 400, 25, 2
STEP_SEED = 1_000_000  # of the step tests
DELAY, HORIZON = 8, 32
JITTER = {"name": "uniform", "low": DELAY - 2, "high": DELAY + 2}
STEADY = {"name": "fixed", "ticks": DELAY}
SENSOR = (0.002, 0.002, 0.02, 0.02)  # standard deviation of the noise on x, y in m, vx, vy in m/s
LONG_S = 60.0  # of an episode, for a step test


@dataclass(frozen=True, slots=True)
class Case:
    """roller: `exact`, `still`, or `lag`, whose tau is what was identified times `scale`; sensor: whether what is
    measured is noisy, also when it is identified."""

    name: str
    roller: str = "lag"
    scale: float = 1.0
    sensor: bool = False
    latency: Mapping[str, Any] | None = None


CASES = (
    Case("exact", roller="exact"),
    Case("identified"),
    Case("tau_plus50", scale=1.5),
    Case("tau_minus50", scale=0.5),
    Case("no_roller", roller="still"),
    Case("jitter2", latency=JITTER),
    Case("noise", sensor=True),
    Case("exact_noise", roller="exact", sensor=True),
    Case("all", sensor=True, latency=JITTER),
)


class Altered(WhackAMole):
    """Whack-a-mole, seen with noise if `sensor`, with another roller, or another plan in place of the expert's."""

    def __init__(
        self, sensor: bool, roller: StateRoller | None = None, plan: Plan | None = None, window_s: float = 0.9
    ) -> None:
        self._sensor = np.array(SENSOR) * sensor
        self._roller = roller
        self._plan = plan
        super().__init__(window_s=window_s)

    def reset(self, seed: int, *, event: bool = True) -> None:
        """With the noise of all its measurements, which are no others without the stimulus."""
        super().reset(seed, event=event)
        drawn = generator("sensor", seed).standard_normal((self.max_ticks + 1, len(SENSOR)))
        self._errors = self._sensor * drawn

    def state(self) -> FloatArray:
        """(4,), as it is measured."""
        return frozen(super().state() + self._errors[self._tick])

    def expert(self, horizon: int) -> Plan:
        """The plan in its place, if there is one."""
        return super().expert(horizon) if self._plan is None else self._plan

    def roller(self) -> StateRoller:
        """The other one, if there is one."""
        return super().roller() if self._roller is None else self._roller


def identified(*, sensor: bool) -> tuple[Lag, ...]:
    """The lags of the gantry, by a step test in simulated time."""
    spec = WhackAMole().spec
    test = StepTest(spec, StepConfig())
    task = Altered(sensor, still, test.plan(HORIZON), window_s=LONG_S)
    ticks = run_episode(_cell(STEADY), task, STEP_SEED).ticks[: test.ticks]
    assert len(ticks) == test.ticks, "the episode outlasts the test"
    return identify(spec, ticks["action"], ticks["state"])


def _cell(latency: Mapping[str, Any]) -> Cell:
    strategy = StrategyConfig("vlash", s=DELAY, d=DELAY)
    return Cell({"name": "mole"}, strategy, latency, episodes=EPISODES, seed=SEED, reactions=False)


def _roller(case: Case, lags: Sequence[Lag]) -> StateRoller | None:
    if case.roller == "lag":
        return roller_of(WhackAMole().spec, [replace(lag, tau_s=lag.tau_s * case.scale) for lag in lags])
    return still if case.roller == "still" else None


def _play(job: tuple[Case, Sequence[Lag], range]) -> list[Episode]:
    """Some episodes of a case, in a process of its own."""
    case, lags, seeds = job
    task = Altered(case.sensor, _roller(case, lags))
    return [measure(_cell(case.latency or STEADY), task, seed) for seed in seeds]


def model_error() -> None:
    """Success for each case."""
    lags = {sensor: identified(sensor=sensor) for sensor in (False, True)}
    batches = [range(seed, seed + BATCH) for seed in range(SEED, SEED + EPISODES, BATCH)]
    jobs = [(case, lags[case.sensor], seeds) for case in CASES for seeds in batches]
    with ProcessPoolExecutor(WORKERS, mp_context=get_context("spawn")) as pool:
        played = list(pool.map(_play, jobs))
    figures = {
        case.name: summarise(list(chain(*played[i * len(batches) : (i + 1) * len(batches)])))
        for i, case in enumerate(CASES)
    }
    found = {"noiseless": lags[False], "noisy": lags[True]}
    _write_table(figures, {name: calibration(WhackAMole().spec, each) for name, each in found.items()})
    rows = [
        row(f"model_error_{name}_success_d8", each["success"], "%", ci=each["success_ci"], command=COMMAND, seed=SEED)
        for name, each in figures.items()
    ]
    for name, (lag, *_) in found.items():
        ci = [1000 * end for end in lag.tau_s_ci]
        rows.append(row(f"model_error_tau_{name}_ms", 1000 * lag.tau_s, "ms", ci=ci, command=COMMAND, seed=STEP_SEED))
    record(TOPIC, rows)


def _write_table(figures: Mapping[str, Mapping[str, Any]], found: Mapping[str, Any]) -> None:
    path = RESULTS / "tables" / f"{TOPIC}_model_error.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    keys = ("episodes", "success", "success_ci", "time_s", "time_s_ci", "rows_lost")
    cells = [{**asdict(case), **{key: figures[case.name][key] for key in keys}} for case in CASES]
    content = {"cells": cells, "identified": found, "sensor": SENSOR, "step_seed": STEP_SEED, **provenance(SEED)}
    path.write_text(json.dumps(finite(content), indent=1, allow_nan=False) + "\n")


def main(arguments: Sequence[str]) -> int:
    """Takes none."""
    if arguments:
        print(f"there is no option {arguments[0]!r}; the command is {COMMAND}")
        return 2
    model_error()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
