from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rollahead.evaluation.evaluation import Cell, planning_of, run_episode
from rollahead.evaluation.timing import AT_ONCE, COLD, EVERY_TICK, Timed, time_inferences
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.planner import Planner
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.types.messages import Request, Result, Snapshot
from rollahead.sim.mole import WhackAMole

CELL = Cell({"name": "mole"}, StrategyConfig("vlash", s=8), {"name": "fixed", "ticks": 3}, seed=5)


@dataclass(slots=True)
class Kept:
    """`planner`, with all that it gives."""

    planner: Planner
    results: list[Result] = field(default_factory=list)

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result:
        self.results.append(self.planner.infer(request, newest, timer))
        return self.results[-1]


def test_so_many_inferences_are_timed_and_those_of_warming_up_are_not_among_them() -> None:
    for count in (1, 20):
        seconds = time_inferences(CELL, WhackAMole(), count)
        assert len(seconds) == count
        assert all(0 < one < 1 for one in seconds)


def test_where_one_episode_is_too_short_others_follow() -> None:
    task = WhackAMole()
    assert len(time_inferences(CELL, task, task.max_ticks)) == task.max_ticks


def test_what_is_timed_is_what_the_planner_gives_and_after_that_its_last_rows_again() -> None:
    task, cell = WhackAMole(), replace(CELL, strategy=EVERY_TICK, latency=AT_ONCE)
    planning = planning_of(cell, task)
    inner = Kept(planning.planner)
    timed = Timed(inner, 4)
    outer = Kept(timed)
    run_episode(cell, task, 0, planning=replace(planning, planner=outer))
    assert (len(inner.results), len(timed.seconds)) == (COLD + 4, 4)
    assert all(one is other for one, other in zip(inner.results, outer.results, strict=False))
    again = outer.results[COLD + 4 :]
    assert again
    assert all(one.rows is inner.results[-1].rows for one in again)
    assert [one.request.tick for one in outer.results] == list(range(len(outer.results)))
