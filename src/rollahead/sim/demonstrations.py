"""Demonstrations: episodes in which a task's expert acts, recorded tick by tick.

The recorded action is the one that the expert wants. The executed action has noise added, so the demonstrations leave
the expert's path and show how to return to it (DART, arXiv 1703.09327).
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.blame import blamed
from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.types import spec
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import Kind, RobotSpec, mask
from rollahead.sim import render
from rollahead.sim.pool import processes
from rollahead.sim.task import Drawable, Task, Teachable, has_expert, make_task
from rollahead.sim.task_calls import demonstrator_of, expert_of, lacking
from rollahead.sim.task_check import check_task, checked_rows, look

BATCH = 10  # demonstrations that one process records at a time
FILMED = 2  # the same with images, which are large
AHEAD = 2  # batches per process that may wait to be taken
STRIDE = 4  # ticks for which an exploring robot keeps its action


@dataclass(frozen=True, slots=True, eq=False)
class Demonstration:
    """One demonstration of n ticks.

    Attributes:
        state: (n, S), the state at the head of each tick.
        environment: (n, E), the environment at the head of each tick.
        action: (n, A), the action that the expert wants.
        images: (n, height, width, 3) of each camera.
        executed: (n, A), the action that is sent instead, None if it is the same.
    """

    state: FloatArray
    environment: FloatArray
    action: FloatArray
    images: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)
    executed: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """Options of demonstrations.

    Attributes:
        task: `name` and options of the task.
        ticks: Ticks per demonstration of a `Teachable` task. Any other task is played until it is done.
        noise: Standard deviation of the added noise, as a share of half the range of each action.
        exploration_ticks: First ticks of a demonstration of a `Teachable` task in which the robot moves at random. So
            the expert begins anywhere, with a past in which the environment was observed.
        cameras: Cameras to record, by the names in the task's MuJoCo model.
    """

    task: Mapping[str, Any]
    ticks: int
    noise: float = 0.1
    exploration_ticks: int = 0
    cameras: tuple[spec.Camera, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.exploration_ticks < self.ticks or not 0 <= self.noise <= 1:
            raise ConfigError(
                f"ticks is {self.ticks}, exploration_ticks {self.exploration_ticks} and noise {self.noise}; give "
                "at least 1 tick, fewer of them to explore, and a noise from 0 to 1"
            )


def record(
    task: Mapping[str, Any],
    count: int,
    ticks: int,
    seed: int,
    noise: float = 0.1,
    *,
    exploration_ticks: int = 0,
    cameras: Sequence[spec.Camera] = (),
    workers: int = 1,
) -> Iterator[Demonstration]:
    """Records demonstrations of a task.

    With cameras they are made in other processes, even for one worker, because MuJoCo must find its GL backend set.

    Args:
        task: `name` and options of the task.
        count: Number of demonstrations.
        ticks: See `Recording`.
        seed: Seed of the first demonstration. The k-th one depends on seed + k alone.
        noise: See `Recording`.
        exploration_ticks: See `Recording`.
        cameras: See `Recording`.
        workers: Number of processes.

    Raises: ConfigError, if there is no such task or camera, nothing can be rendered, or an action has no range for the
    noise.
    """
    if count < 1 or workers < 1 or seed < 0:
        raise ConfigError(f"count is {count}, workers {workers} and seed {seed}; give at least 1, 1 and 0")
    recording = Recording(task, ticks, noise, exploration_ticks, tuple(cameras))
    _check(recording, seed)
    seeds = range(seed, seed + count)
    batch = FILMED if cameras else BATCH
    jobs = [(recording, seeds[i : i + batch]) for i in range(0, count, batch)]
    if workers == 1 and not cameras:
        return (each for job in jobs for each in _record_batch(job))
    return _recorded_elsewhere(jobs, workers, render.backend() if cameras else None)


def demonstrate(task: Task, recording: Recording, seed: int) -> Demonstration:
    """Plays one demonstration of `task` without images. The episode is begun here."""
    plan, last = _begin(task, recording.ticks, seed)
    scale, negative, intention = (
        _scale(task.spec, recording.noise),
        generator("negative", seed),
        generator("expert", seed),
    )
    low, high = _range(task.spec)
    explorations = _explorations(task, recording, seed)
    seen: list[Observation] = []
    actions: list[FloatArray] = []
    executed: list[FloatArray] = []
    while len(actions) < last and (isinstance(task, Teachable) or not task.done):
        seen.append(Observation(tick=len(actions), state=task.state(), environment=task.environment()))
        actions.append(plan(seen[-1], intention)[0])
        wanted = next(explorations, actions[-1])
        executed.append(np.clip(wanted + scale * negative.standard_normal(len(scale)), low, high))
        task.advance(executed[-1])
    states, environments = ([getattr(each, part) for each in seen] for part in ("state", "environment"))
    return Demonstration(frozen(states), frozen(environments), frozen(actions), executed=frozen(executed))


def _check(recording: Recording, seed: int) -> None:
    task = make_task(**recording.task)
    if not (has_expert(task) or isinstance(task, Teachable)):
        remedy = "give a data set (dataset=...), or add expert(horizon) to the task (docs/tasks.md)"
        raise lacking("recording demonstrations", "an expert or a demonstrator", task, remedy)
    _scale(task.spec, recording.noise)
    check_task(task, recording.task["name"], seed, expert=has_expert(task), event=False)
    _check_demonstrator(task, recording, seed)
    if not recording.cameras:
        return
    name = recording.task["name"]
    if not isinstance(task, Drawable):
        raise ConfigError(f"task {name!r} cannot be drawn, so it has no cameras; leave them out")
    known = [task.model.camera(i).name for i in range(task.model.ncam)]
    for camera in recording.cameras:
        if camera.name not in known:
            raise unknown_name(f"camera in task {name!r}:", camera.name, known)
    if render.backend() is None:
        raise ConfigError(f"no images can be recorded: {render.explain()}")


def _check_demonstrator(task: Task, recording: Recording, seed: int) -> None:
    with blamed(f"task {recording.task['name']!r}: its demonstration of seed {seed}", task):
        plan, _ = _begin(task, recording.ticks, seed)
        checked_rows(plan(look(task, 0), generator("expert", seed))[:1], task.spec, 1, "demonstrator")


def _recorded_elsewhere(
    jobs: Sequence[tuple[Recording, range]], workers: int, gl: str | None
) -> Iterator[Demonstration]:
    waiting: deque[Future[list[Demonstration]]] = deque()
    with processes(workers, gl) as pool:
        for job in jobs:
            waiting.append(pool.submit(_record_batch, job))
            if len(waiting) > AHEAD * workers:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()


def _record_batch(job: tuple[Recording, range]) -> list[Demonstration]:
    recording, seeds = job
    task: Any = make_task(**recording.task)
    lenses = {each.name: render.Camera(task.model, each.name, each.height, each.width) for each in recording.cameras}
    return [_filmed(task, lenses, demonstrate(task, recording, seed)) for seed in seeds]


def _filmed(task: Any, lenses: Mapping[str, render.Camera], shown: Demonstration) -> Demonstration:
    """`shown` with images of a task, which is `Drawable` if there are `lenses`."""
    images: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in lenses}
    for state, environment in zip(shown.state, shown.environment, strict=True) if lenses else ():
        task.show(state, environment)
        for name, lens in lenses.items():
            images[name].append(lens.picture(task.data))
    return replace(shown, images={name: np.stack(pictures) for name, pictures in images.items()})


def _begin(task: Task, ticks: int, seed: int) -> tuple[Plan, int]:
    """Begins a demonstration. Returns the expert, and the number of ticks that the demonstration lasts at most."""
    if isinstance(task, Teachable):
        task.scatter(seed)
        return demonstrator_of(task), ticks
    task.reset(seed)
    return expert_of(task, 1), task.max_ticks


def _explorations(task: Task, recording: Recording, seed: int) -> Iterator[FloatArray]:
    """Random actions for the first ticks, uniform over the actions' ranges and constant for `STRIDE` ticks each."""
    rng = generator("exploration_ticks", seed)
    low, high = _range(task.spec)
    for tick in range(recording.exploration_ticks if isinstance(task, Teachable) else 0):
        if tick % STRIDE == 0:
            wanted = rng.uniform(low, high)
        yield wanted


def _range(robot: RobotSpec) -> tuple[FloatArray, FloatArray]:
    """(A,) and (A,), the low and the high end of each action's range."""
    return np.array([dim.low for dim in robot.action]), np.array([dim.high for dim in robot.action])


def _scale(robot: RobotSpec, noise: float) -> FloatArray:
    """(A,), the standard deviation of the noise on each action. Raises: ConfigError, if an action has no range."""
    low, high = _range(robot)
    half = (high - low) / 2
    noisy = ~mask(robot.action, Kind.DISCRETE) & (noise > 0)
    if endless := [dim.name for dim, at in zip(robot.action, noisy & ~np.isfinite(half), strict=True) if at]:
        raise ConfigError(f"{', '.join(endless)} has no range to take noise from; give it low and high, or noise=0")
    return noise * np.where(noisy, half, 0.0)
