"""Lines of configuration that an environment of gymnasium's needs to be a task, with what functions reach in it.

    python -m benchmarks.gym_task     1 minute

The configurations are those that docs/tasks.md prints: Push-T, with absolute positions, and FetchReach, with steps.
Each is tried as `rollahead doctor` does, and played without a delay and with one of 4 ticks by a function of the
observation. A Push-T counts as a success with half of the full reward at the end, since the function does not turn the
T: by the environment's own rule it solves none. Half was chosen among 0.3, 0.5 and 0.7 on the seeds 0 to 9, and is
played on others. Needs gym-pusht and gymnasium-robotics.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from benchmarks.figures import Row, record, row
from benchmarks.pages import DOCS, blocks
from rollahead.assembly.planning import Planning
from rollahead.errors import ControlError
from rollahead.evaluation.evaluation import Cell, measure, summarise
from rollahead.evaluation.task_trials import try_task
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.planner import Plan, ScriptedPlanner
from rollahead.runtime.rolling.roll import for_spec
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.sim.task import make_task

TOPIC, COMMAND = "redesign", "python -m benchmarks.gym_task"
EPISODES, HORIZON = 50, 16
FIRST_SEED = 1000
DELAYS = (0, 4)
STEP_M = 0.03  # per tick, towards the goal
STEP, REACH, AWAY = 18.0, 95.0, 120.0  # of Push-T, in its pixels: a tick, behind the block, and round it
CENTRE = 45.0  # from the block's origin to the middle of the T
HALF = 0.5  # the reward of a Push-T that counts as half done


def printed(name: str) -> str:
    """The configuration `name` of docs/tasks.md."""
    (block,) = (block for block in blocks(DOCS / "tasks.md") if block.file == f"conf/task/{name}.yaml")
    return block.text


def lines(name: str) -> int:
    """Counts the lines of that configuration."""
    return len([line for line in printed(name).splitlines() if line.strip()])


def config(name: str) -> dict[str, Any]:
    """The options of that configuration, without cameras."""
    options = OmegaConf.to_container(OmegaConf.create(printed(name)))
    assert isinstance(options, dict), "it names options"
    return {str(key): value for key, value in options.items() if key != "cameras"}


def to_goal(seen: Observation, rng: np.random.Generator) -> FloatArray:
    """Goes straight to the goal of FetchReach."""
    left = seen.environment - seen.state
    share = np.minimum(1.0, STEP_M * np.arange(HORIZON + 1) / max(float(np.linalg.norm(left)), 1e-9))
    return np.column_stack([np.diff(share)[:, None] * left, np.zeros(HORIZON)])


def push(seen: Observation, rng: np.random.Generator) -> FloatArray:
    """Pushes the middle of the T to its place, whatever its angle, and goes round it first where that is needed."""
    block, goal = (_middle(*pose) for pose in (seen.environment, (256.0, 256.0, math.pi / 4)))
    far = float(np.linalg.norm(goal - block))
    ahead = (goal - block) / max(far, 1e-9)
    at, rows = seen.state, []
    for _ in range(HORIZON):
        along = float((at - block) @ ahead)
        aside = at - block - along * ahead
        wide = float(np.linalg.norm(aside))
        target = block - REACH * ahead
        if far < 4.0:
            target = at
        elif along < -40.0 and wide < 14.0:
            target = block - 20.0 * ahead
        elif along > -70.0 and wide < 90.0:
            way = aside / wide if wide > 1.0 else np.array([-ahead[1], ahead[0]])
            target = block + AWAY * way + (along - 60.0) * ahead
        left = target - at
        at = np.clip(at + left * min(1.0, STEP / max(float(np.linalg.norm(left)), 1e-9)), 0.0, 512.0)
        rows.append(at)
    return np.array(rows)


def _middle(x: float, y: float, angle: float) -> FloatArray:
    return np.array([x - CENTRE * math.sin(angle), y + CENTRE * math.cos(angle)])


PLANS: Mapping[str, tuple[Plan, Mapping[str, Any]]] = {
    "pusht": (push, {"success": HALF}),
    "fetch": (to_goal, {}),
}


def played(name: str, delay: int, episodes: int = EPISODES) -> dict[str, Any]:
    """The figures of the function for `name` at a latency of `delay` ticks."""
    plan, changes = PLANS[name]
    options = {**config(name), **changes}
    task = make_task(**options)
    planning = Planning(ScriptedPlanner(plan, for_spec(task.spec)), HORIZON)
    cell = Cell(options, StrategyConfig("vlash", s=4), {"name": "fixed", "ticks": delay}, episodes=episodes)
    return summarise([measure(cell, task, seed, planning) for seed in range(FIRST_SEED, FIRST_SEED + episodes)])


def main() -> None:
    """Records the figures. Raises: ControlError, if a configuration is not that of a task which does what it must."""
    rows: list[Row] = []
    for name in PLANS:
        if wrong := [finding for finding in try_task(config(name), episodes=2) if finding.ok is False]:
            raise ControlError(f"{name}: {wrong[0].says}")
        for delay in DELAYS:
            figures = played(name, delay)
            called = f"gym_{name}_success_{delay}_ticks"
            rows.append(row(called, figures["success"], "%", ci=figures["success_ci"], command=COMMAND))
    most = max(map(lines, PLANS))
    record(TOPIC, [row("gym_task_lines", most, "lines", goal="<= 15", command=COMMAND), *rows])


if __name__ == "__main__":
    main()
