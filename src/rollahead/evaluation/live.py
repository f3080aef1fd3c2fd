"""Episodes of a simulated task in real time: the world runs in its own process, and the runtime drives its robot.

    with World(task) as world:
        played = play(world, live, seed=0)      the trace, and how the episode ended

As long as no tick is overrun, the ticks are those that lockstep plays: the world draws all random numbers from the
seed, and an injected latency ends half a period before its tick.

Threads: the caller's.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from rollahead.assembly.live import Live
from rollahead.evaluation.evaluation import Cell, Episode, measured, planning_of
from rollahead.runtime.config.build import Drive, make_latency
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.loop import REST_S
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.recording.gauges import Gauges
from rollahead.runtime.types.spec import RobotSpec
from rollahead.sim.task import Task, event_tick_of
from rollahead.sim.world import World

SPARE_S = 1.0  # spare length of a trace beyond the longest episode and the robot's coming to rest
LOOK_S = 0.05  # interval at which the end of the episode is checked

Watch = Callable[[Realtime], bool]
Record = Callable[[Trace, int], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """An episode that was played in real time.

    Attributes:
        seed: Seed of the episode.
        success: Whether it succeeded.
        event_tick: Tick of the event; None without an event.
        ticks: Number of ticks that the world moved.
        trace: The trace, which goes on after these ticks until the robot is at rest.
        start_ns: Time at which tick 0 was due.
    """

    seed: int
    success: bool
    event_tick: int | None
    ticks: int
    trace: Trace
    start_ns: int

    @property
    def records(self) -> NDArray[Any]:
        """The records of the ticks that belong to the episode."""
        ticks = self.trace.ticks
        return ticks[ticks["tick"] < self.ticks]


def play(
    world: World,
    live: Live,
    seed: int,
    watch: Watch = lambda runtime: False,
    record: Record = lambda trace, seed: nullcontext(),
) -> Played:
    """Plays the episode of `seed` to its end.

    Args:
        world: The world.
        live: Settings of the runtime.
        seed: Seed of the episode.
        watch: Called about every `LOOK_S` seconds during the episode; it ends the episode by returning True.
        record: Called with the episode's trace and seed; returns a context manager that is open during the episode.

    Raises: ControlError, if robot or planner fail; the robot is at rest by then.
    """
    world.reset(seed)
    task = world.task
    runtime = live.runtime(world.make_robot, seed, trace_s=task.max_ticks * task.spec.period_s + REST_S + SPARE_S)
    with record(runtime.trace, seed), runtime:
        runtime.start(task.max_ticks)
        while not (world.done or runtime.wait(LOOK_S) or watch(runtime)):
            pass
    return Played(seed, world.success, event_tick_of(task), world.ticks, runtime.trace, runtime.start_ns)


def live_of(cell: Cell, task: Task, *, isolation: str = "thread") -> Live:
    """The settings with which `cell` is played in real time; its latency is injected by waiting."""
    planning = planning_of(cell, task)
    return Live(
        drive=Drive(cell.strategy, planning.horizon, planning.n_obs, task=task.instruction, guard=cell.guard),
        planner=planning.planner,
        latency=make_latency(rate_hz=task.spec.rate_hz, **cell.latency),
        isolation=isolation,
    )


def evaluate_live(
    cell: Cell, world: World, *, isolation: str = "thread", told: Callable[[], object] = lambda: None
) -> tuple[list[Played], Gauges]:
    """Plays all episodes of `cell` in real time, one after the other.

    Args:
        cell: The cell.
        world: The world.
        isolation: See `Live`.
        told: Called after each episode.

    Returns:
        The episodes, and the gauges of all together.
    """
    live, gauges = live_of(cell, world.task, isolation=isolation), Gauges(world.task.spec.rate_hz)

    def follow(runtime: Realtime) -> bool:
        gauges.follow(runtime.trace, runtime.start_ns)
        return False

    played = []
    for seed in range(cell.seed, cell.seed + cell.episodes):
        played.append(play(world, live, seed, follow))
        gauges.follow(played[-1].trace, played[-1].start_ns)
        told()
    return played, gauges


def live_episode(played: Played, spec: RobotSpec) -> Episode:
    """Computes the metrics of an episode played in real time. Its trace is not kept, since a recorder writes it."""
    return measured(spec, played.seed, played.trace, played.records, played.success, played.event_tick, kept=False)
