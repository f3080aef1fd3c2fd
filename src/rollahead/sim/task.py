"""Tasks: the protocol that every task satisfies, its optional capabilities, and the lookup of a task by name.

`Task` is the core. Everything else is a capability, a small protocol that a command asks for where it needs it: an
event, an expert, a model of the robot or of the scene, drawing, teaching. A command that needs a capability that the
task lacks says so in one sentence.

A task is one class and one registration, an entry point in the group `rollahead.tasks`; other packages add theirs the
same way (docs/tasks.md).
"""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeGuard, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rollahead.blame import blamed
from rollahead.errors import ConfigError
from rollahead.runtime.config.extensions import load
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import SceneRoller, StateRoller
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import RobotSpec

GROUP = "rollahead.tasks"


class Task(Protocol):
    """A simulated robot in a scene with something to do. An episode is `reset`, then `advance` until `done`.

    A seed determines its episode to the bit; what the robot does changes the scene only once it touches something.
    """

    @property
    def spec(self) -> RobotSpec:
        """The robot's spec: its actions, states and cameras, what is seen of the scene, and the control rate."""
        ...

    @property
    def max_ticks(self) -> int:
        """The largest number of ticks that an episode lasts."""
        ...

    @property
    def instruction(self) -> str:
        """The task text that a policy is given when the user gives none; empty if there is none."""
        ...

    @property
    def done(self) -> bool:
        """Whether the episode has ended."""
        ...

    @property
    def success(self) -> bool:
        """Whether the episode has succeeded so far."""
        ...

    def reset(self, seed: int) -> None:
        """Begins an episode at tick 0."""
        ...

    def state(self) -> FloatArray:
        """The robot's state (S,) at the start of this tick, a new array."""
        ...

    def environment(self) -> FloatArray:
        """The observed numbers of the scene (E,), a new array; (0,) if the spec names none."""
        ...

    def frames(self) -> Mapping[str, NDArray[np.uint8]]:
        """The image (height, width, 3) RGB of each camera of the spec, rendered by this call; empty without cameras.

        It is called only when an image is needed, and does not change the episode.
        """
        ...

    def advance(self, action: FloatArray) -> None:
        """Simulates one tick under `action` (A,), which is read-only."""
        ...


class TaskBase:
    """Base class with the members of a task that has no cameras and no instruction."""

    instruction: str = ""

    def frames(self) -> Mapping[str, NDArray[np.uint8]]:
        """An empty mapping: the task has no cameras."""
        return {}


class Eventful(Task, Protocol):
    """A task with an unforeseeable event in each episode, from which reaction latency is measured.

    Without the event, a seed gives the same episode in which the event never comes.
    """

    @property
    def event_tick(self) -> int:
        """The tick of this episode at whose start the event can first be seen."""
        ...

    def reset(self, seed: int, *, event: bool = True) -> None:
        """Begins an episode at tick 0, in which the event comes if `event` is True."""
        ...


class Scripted(Task, Protocol):
    """A task with an expert, for `planner=scripted`, for demonstrations and for the direction of a reaction."""

    def expert(self, horizon: int) -> Plan:
        """Function of a scripted planner: from any observation to a chunk of `horizon` rows that solves the task."""
        ...


class Modelled(Task, Protocol):
    """A task with a model of its robot, for `roller=robot`."""

    def roller(self) -> StateRoller:
        """The model of the robot: a function from a state and the actions that follow to the later state."""
        ...


@runtime_checkable
class Drawable(Protocol):
    """A task that MuJoCo can render, by a camera called `top`."""

    model: Any
    data: Any

    def show(self, state: FloatArray, environment: FloatArray) -> None:
        """Sets the scene to a recorded `state` (S,) and `environment` (E,)."""
        ...


@runtime_checkable
class Teachable(Protocol):
    """A task that can record demonstrations, which begin anywhere and in which nothing unforeseeable happens."""

    def scatter(self, seed: int) -> None:
        """Begins a demonstration with robot and scene in any state that an episode may reach.

        It has no end of its own: it lasts as long as `advance` is called.
        """
        ...

    def demonstrator(self) -> Plan:
        """The expert for the demonstration that was begun last; row 0 of its chunk is the action of this tick."""
        ...


@runtime_checkable
class MovingScene(Protocol):
    """A task whose scene moves on its own."""

    def scene_roller(self) -> SceneRoller:
        """The model of the scene: a function that gives its later numbers, if nothing unforeseeable happens."""
        ...


def has_event(task: Task) -> TypeGuard[Eventful]:
    """Whether the task claims to have an event: by an `event_tick`, or by a `reset` that takes `event`."""
    reset = getattr(task, "reset", None)
    return _has(task, "event_tick") or (callable(reset) and "event" in _parameters(reset))


def has_expert(task: Task) -> TypeGuard[Scripted]:
    """Whether the task has an expert."""
    return _has(task, "expert")


def has_robot_model(task: Task) -> TypeGuard[Modelled]:
    """Whether the task has a model of its robot."""
    return _has(task, "roller")


def event_tick_of(task: Task) -> int | None:
    """The tick of the event in this episode; None if the task has no event."""
    return task.event_tick if has_event(task) else None


def begin(task: Task, seed: int, *, event: bool = True) -> None:
    """Begins an episode of `task`; `event` False leaves out the event if the task has one."""
    if event or not has_event(task):
        task.reset(seed)
    else:
        task.reset(seed, event=False)


def _has(task: Task, name: str) -> bool:
    """Whether `task` has a member `name` that is not None; a property is not called."""
    return inspect.getattr_static(task, name, None) is not None


def _parameters(method: Callable[..., object]) -> Mapping[str, inspect.Parameter]:
    try:
        return inspect.signature(method).parameters
    except ValueError:  # a function written in C may have no signature
        return {}


def make_task(name: str, **options: object) -> Task:
    """The task registered as `name`, made with `options`.

    Raises: ConfigError, if no task has that name, it cannot be imported or takes no such option, its constructor
    raises, or its spec is no `RobotSpec`.
    """
    make = load_task(name)
    with blamed(f"task {name!r}", make):
        task = call(make, options, "task")
        spec = getattr(task, "spec", None)
    if not isinstance(spec, RobotSpec):
        raise ConfigError(f"task {name!r} has a spec of type {type(spec).__name__}; give a RobotSpec (docs/tasks.md)")
    return task


def load_task(name: str) -> Callable[..., Task]:
    """The class or function that makes the task registered as `name`.

    Raises: ConfigError, if no task has that name, or it cannot be imported.
    """
    return load(GROUP, "task", name, "install what it needs, e.g. rollahead[sim]")
