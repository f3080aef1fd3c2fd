"""Measures how long a planner takes on this machine, on observations of a task.

Episodes are played in simulated time with an inference every tick, so that the planner gets observations of a whole
episode; each inference is timed. The first ones, in which everything is done for the first time, are not counted.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from rollahead.evaluation.evaluation import Cell, planning_of, run_episode
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.planner import Planner
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.system.tuning import Tuning, tuned_process
from rollahead.runtime.types.messages import Request, Result, Snapshot
from rollahead.sim.task import Task

COLD = 10  # number of first inferences that are not counted
EVERY_TICK = StrategyConfig("naive", s=1, d=0)
AT_ONCE = {"name": "fixed", "ticks": 0}


class Timed:
    """A planner that times `count` inferences of `planner` after the first `COLD`.

    After these it returns its last rows again.
    """

    def __init__(self, planner: Planner, count: int) -> None:
        self._planner = planner
        self._count = count
        self._seconds: list[float] = []
        self._last: Result | None = None

    @property
    def seconds(self) -> list[float]:
        """Duration in seconds of each inference that counts."""
        return self._seconds[COLD:]

    @property
    def done(self) -> bool:
        """Whether `count` inferences were timed."""
        return len(self.seconds) == self._count

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result | None:
        """Answers `request` as `planner` does, and times it."""
        if self.done and self._last is not None:
            return replace(self._last, request=request)
        began_ns = time.perf_counter_ns()
        result = self._planner.infer(request, newest, timer)
        if result is not None:
            self._last = result
            self._seconds.append((time.perf_counter_ns() - began_ns) * 1e-9)
        return result


def time_inferences(cell: Cell, task: Task, count: int) -> list[float]:
    """Durations in seconds of `count` inferences of the cell's planner on `task`.

    The process is tuned as `rollahead run` tunes it.
    """
    cell = replace(cell, strategy=replace(EVERY_TICK, q=cell.strategy.q), latency=AT_ONCE)
    planning = planning_of(cell, task)
    timed = Timed(planning.planner, count)
    seed = cell.seed
    with tuned_process(Tuning()):
        while not timed.done:
            run_episode(cell, task, seed, planning=replace(planning, planner=timed))
            seed += 1
    return timed.seconds
