"""Tasks: the seam, and how one is found by its name.

A task is one class and one registration, an entry point in the group `rollahead.tasks`; other packages add theirs the
same way (docs/tasks.md).
"""

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.options import call, check_kind
from rollahead.runtime.planner import Plan
from rollahead.runtime.roll import StateRoller
from rollahead.runtime.spec import RobotSpec

GROUP = "rollahead.tasks"


class Task(Protocol):
    """A robot in a scene with something to do. One episode: `reset`, then `advance` until `done`.

    The stimulus is the event that the robot has to react to. The same seed gives the same episode to the bit, whatever
    the robot does; without the stimulus, the same one in which the event never comes.
    """

    @property
    def spec(self) -> RobotSpec: ...

    @property
    def max_ticks(self) -> int:
        """No episode is longer."""
        ...

    @property
    def stimulus_tick(self) -> int:
        """The tick at whose head the event can first be seen in this episode."""
        ...

    @property
    def done(self) -> bool: ...

    @property
    def success(self) -> bool: ...

    def reset(self, seed: int, *, stimulus: bool = True) -> None:
        """Begins an episode at tick 0."""
        ...

    def state(self) -> FloatArray:
        """(S,), a new array."""
        ...

    def environment(self) -> FloatArray:
        """(E,), a new array."""
        ...

    def advance(self, action: FloatArray) -> None:
        """One tick under `action` (A,)."""
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


def make_task(name: str, **options: object) -> Task:
    """The task registered as `name`, made with `options`.

    Raises: ConfigError, if there is none of that name, it cannot be imported, or it takes no such option.
    """
    return call(load_task(name), options, "task")


def load_task(name: str) -> Callable[..., Task]:
    """What makes the task registered as `name`.

    Raises: ConfigError, if there is none of that name, or it cannot be imported.
    """
    check_kind("task.name", name, str)
    found = entry_points(group=GROUP)
    if name not in found.names:
        raise unknown_name("task", name, found.names)
    try:
        make: Callable[..., Task] = found[name].load()
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"task {name!r} cannot be imported ({error}); install what it needs, e.g. rollahead[sim]"
        ) from error
    return make
