"""The study: every strategy on every task, scripted and trained, over delays, fixed and variable.

    python -m benchmarks.study recording   what inferences of a diffusion policy take here, for `latency=diffusion`
    python -m benchmarks.study run         plays it, as `rollahead eval --multirun` does; goes on where it was ended
    python -m benchmarks.study figures     its figures and tables, from what was played
"""

import sys
import time
from collections.abc import Callable, Mapping

from rollahead.runtime import recordings
from rollahead.runtime.build import Drive, StrategyConfig, make_executor
from rollahead.runtime.delay import DelayEstimator
from rollahead.runtime.trace import Trace
from rollahead.sim.evaluation import Cell, evaluate
from rollahead.sim.planners import make_planning
from rollahead.sim.pool import processes
from rollahead.sim.robot import SimRobot
from rollahead.sim.rollers import Scene, make_rollers
from rollahead.sim.task import make_task

INFERENCES, WARM_UP, LOAD = 500, 20, 100_000
RECORDED = "diffusion_busy"
WORKERS = 2
FIXED = {"name": "fixed", "ticks": 8}


def recording() -> None:
    """Times LeRobot's Diffusion Policy of whack-a-mole with all its 100 steps, on one thread, one inference after the
    other, while both cores are busy with episodes of another policy."""
    import torch

    torch.set_num_threads(1)
    task = make_task("mole")
    scene = Scene(task.spec, task)
    planner = {"name": "policy", "checkpoint": "mole_diffusion"}
    planning = make_planning(planner, scene, make_rollers({"name": "robot"}, scene), sampler={"name": "ddpm"})
    drive = Drive(StrategyConfig("vlash"), planning.horizon, planning.n_obs)
    executor = make_executor(drive, SimRobot(task), DelayEstimator(fixed=8), Trace(task.spec, 1))
    task.reset(0)
    executor.warm()
    asked = executor.outbox.peek()
    assert asked is not None and asked.request is not None
    seconds = []
    with processes(WORKERS) as pool:
        busy = [pool.submit(evaluate, _load(seed)) for seed in range(LOAD)]
        busy[0].result()
        for _ in range(WARM_UP + INFERENCES):
            begin = time.perf_counter()
            planning.planner.infer(asked.request, lambda: asked)
            seconds.append(time.perf_counter() - begin)
        assert not busy[-1].done(), "the load must last"
    recordings.path(RECORDED).write_text("".join(f"{each:.4f}\n" for each in seconds[WARM_UP:]))


def _load(seed: int) -> Cell:
    """An episode that keeps a core busy for a moment."""
    planner = {"name": "policy", "checkpoint": "interception_flow"}
    return Cell({"name": "interception"}, StrategyConfig("vlash"), FIXED, planner, episodes=1, seed=seed)


FIGURES: Mapping[str, Callable[[], None]] = {"recording": recording}


def main(names: list[str]) -> None:
    """Runs what is named."""
    for name in names:
        FIGURES[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
