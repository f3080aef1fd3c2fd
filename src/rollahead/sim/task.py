"""Tasks: the seam, and how one is found by its name.

A task is one class and one registration, an entry point in the group `rollahead.tasks`; other packages add theirs the
same way (docs/tasks.md).
"""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

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
    """Interface of a simulated robot in a scene with something to do. One episode: `reset`, then `advance` until
    `done`.

    The event is the event that the robot has to react to. The same seed gives the same episode to the bit, whatever
    the robot does until it touches something; without the event, the same one in which the event never comes.
    """

    @property
    def spec(self) -> RobotSpec: ...

    @property
    def max_ticks(self) -> int:
        """No episode is longer."""
        ...

    @property
    def event_tick(self) -> int:
        """The tick at whose head the event can first be seen in this episode."""
        ...

    @property
    def done(self) -> bool: ...

    @property
    def success(self) -> bool: ...

    def reset(self, seed: int, *, event: bool = True) -> None:
        """Begins an episode at tick 0."""
        ...

    def state(self) -> FloatArray:
        """(S,), a new array."""
        ...

    def environment(self) -> FloatArray:
        """(E,), a new array."""
        ...

    def advance(self, action: FloatArray) -> None:
        """One tick under `action` (A,), which is read-only."""
        ...

    def expert(self, horizon: int) -> Plan:
        """A scripted planner's function: chunks of `horizon` rows that solve the task from any observation."""
        ...

    def roller(self) -> StateRoller:
        """The robot's model: where it will be."""
        ...


@runtime_checkable
class Drawable(Protocol):
    """A task that MuJoCo can render, by a camera called `top`."""

    model: Any
    data: Any

    def show(self, state: FloatArray, environment: FloatArray) -> None:
        """Puts the scene as a trace has it: state (S,), environment (E,)."""
        ...


@runtime_checkable
class Teachable(Protocol):
    """A task whose demonstrations begin anywhere, and in which nothing then happens that could not be foreseen."""

    def scatter(self, seed: int) -> None:
        """Begins a demonstration: robot and scene anywhere that they may come to be. It goes on as long as it is
        advanced."""
        ...

    def demonstrator(self) -> Plan:
        """The expert, with the intention of the demonstration begun last; its row 0 is the action of now."""
        ...


@runtime_checkable
class MovingScene(Protocol):
    """A task whose scene moves on its own."""

    def scene_roller(self) -> SceneRoller:
        """What the scene's numbers will be, if nothing happens that cannot be foreseen."""
        ...


def make_task(name: str, **options: object) -> Task:
    """The task registered as `name`, made with `options`.

    Raises: ConfigError, if there is none of that name, it cannot be imported or takes no such option, its constructor
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
    """What makes the task registered as `name`.

    Raises: ConfigError, if there is none of that name, or it cannot be imported.
    """
    return load(GROUP, "task", name, "install what it needs, e.g. rollahead[sim]")
