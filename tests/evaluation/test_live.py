"""Episodes in real time, against the same ones in simulated time."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from rollahead.assembly.live import Live
from rollahead.errors import InferenceError
from rollahead.evaluation.evaluation import Cell, run_episode, summarise
from rollahead.evaluation.live import evaluate_live, live_episode, live_of, play
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.isolation import TRACE_S
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.sim.task import make_task
from rollahead.sim.world import World

MOLE = {"name": "mole"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(MOLE) as made:
        yield made


def cell(name: str, s: int, delay: int, episodes: int = 1) -> Cell:
    latency = {"name": "fixed", "ticks": delay}
    return Cell(MOLE, StrategyConfig(name, s=s), latency, episodes=episodes, reactions=False)


@pytest.mark.slow
@pytest.mark.parametrize("name, s, delay", [("vlash", 8, 4), ("sync", 12, 4), ("naive", 8, 8)])
def test_what_ran_on_time_is_what_lockstep_plays(world: World, name: str, s: int, delay: int) -> None:
    one = cell(name, s, delay)
    live = live_of(one, world.task)
    task = make_task(**MOLE)
    simulated = run_episode(one, task, 3)
    for _ in range(5):  # until a run was on time: others share the machine
        played = play(world, live, seed=3)
        late = (played.records["began_ns"] - played.start_ns) / 20e6 - played.records["tick"]
        punctual = (late < 0.3).all() and len(played.records) == len(simulated.ticks)
        if punctual and np.array_equal(played.records["state"], simulated.ticks["state"]):  # the world was so too
            break
    records = [record for record in played.trace.inferences if record.accepted < len(simulated.ticks)]
    assert records == simulated.inferences
    np.testing.assert_array_equal(played.records["action"], simulated.ticks["action"])
    np.testing.assert_array_equal(played.records["state"], simulated.ticks["state"])
    assert played.success == task.success
    assert played.event_tick == task.event_tick


def test_an_episode_ends_when_the_task_is_done_and_with_the_robot_at_rest(world: World) -> None:
    played = play(world, live_of(cell("vlash", 8, 0), world.task), seed=0)
    assert played.success
    assert len(played.records) == played.ticks < world.task.max_ticks
    np.testing.assert_array_equal(played.trace.ticks["action"][-1], [0.0, 0.0])


def test_the_trace_of_an_episode_is_longer_than_an_episode_can_be() -> None:
    seen: list[Realtime] = []
    with World({**MOLE, "window_s": 2 * TRACE_S}) as lasting:
        task = lasting.task
        play(lasting, live_of(cell("vlash", 8, 0), task), 0, lambda runtime: seen.append(runtime) is None)
    assert seen[0].trace.tick_ring.capacity > task.max_ticks + task.spec.rate_hz


def test_it_can_be_ended_by_whoever_watches(world: World) -> None:
    seen: list[Realtime] = []

    def watch(runtime: Realtime) -> bool:
        seen.append(runtime)
        return len(seen) == 3

    played = play(world, live_of(cell("vlash", 8, 0), world.task), 0, watch)
    assert len(seen) == 3
    assert played.ticks < world.task.event_tick


def test_it_is_recorded_from_before_it_starts_until_it_is_at_rest(world: World) -> None:
    seen: list[tuple[int, int]] = []

    @contextmanager
    def record(trace: Trace, seed: int) -> Iterator[None]:
        seen.append((seed, trace.tick_ring.count))
        yield
        seen.append((seed, trace.tick_ring.count))

    played = play(world, live_of(cell("vlash", 8, 0), world.task), 4, record=record)
    assert seen == [(4, 0), (4, played.trace.tick_ring.count)]


def test_what_the_planner_raises_is_raised_here(world: World) -> None:
    def plan(seen: object, rng: object) -> np.ndarray:
        raise ZeroDivisionError("in the policy")

    with pytest.raises(InferenceError, match=r"warmed up.*in the policy"):
        play(world, Live(Drive(StrategyConfig("vlash"), 16), ScriptedPlanner(plan)), 0)


def test_episodes_are_measured_and_their_clock_is_gauged(world: World) -> None:
    told: list[None] = []
    played, gauges = evaluate_live(cell("vlash", 8, 2, episodes=2), world, told=lambda: told.append(None))
    assert [one.seed for one in played] == [0, 1]
    assert len(told) == 2
    figures = gauges.figures()
    assert figures["ticks"] == sum(len(one.trace.ticks) for one in played)
    assert figures["rate_hz"] == pytest.approx(50, abs=10)
    episodes = [live_episode(one, world.task.spec) for one in played]
    assert summarise(episodes)["episodes"] == 2
    assert [episode.time_s for episode in episodes] == [
        pytest.approx((one.ticks - one.event_tick) * 0.02) for one in played
    ]
