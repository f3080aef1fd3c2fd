"""Checked calls of a task's methods that return functions: the expert, the demonstrator and the rollers.

A method that is missing, takes other arguments or returns no function is a ConfigError that names class and method.
`lacking` is the error of a command that needs a capability which the task does not have.
"""

import inspect
from collections.abc import Sequence
from typing import Any

from rollahead.blame import blamed
from rollahead.errors import ConfigError
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import SceneRoller, StateRoller
from rollahead.sim.task import MovingScene, Task, Teachable


def expert_of(task: Task, horizon: int) -> Plan:
    """The task's expert, for chunks of `horizon` rows. Raises: ConfigError, if `expert` raises or gives no function."""
    plan: Plan = _function(task, "expert", "(seen, rng) -> rows", horizon=horizon)
    return plan


def demonstrator_of(task: Teachable) -> Plan:
    """The task's demonstrator. Raises: ConfigError, if `demonstrator` raises or gives no function."""
    plan: Plan = _function(task, "demonstrator", "(seen, rng) -> rows")
    return plan


def robot_roller_of(task: Task) -> StateRoller:
    """The task's model of the robot. Raises: ConfigError, if `roller` raises or gives no function."""
    roller: StateRoller = _function(task, "roller", "(state, rows) -> state, such as for_spec(spec)")
    return roller


def scene_roller_of(task: MovingScene) -> SceneRoller:
    """The task's model of the scene. Raises: ConfigError, if `scene_roller` raises or gives no function."""
    roller: SceneRoller = _function(task, "scene_roller", "(environment, state, rows) -> environment")
    return roller


def lacking(needed_by: str, capability: str, task: object, remedy: str) -> ConfigError:
    """The error for a task without a capability.

    Args:
        needed_by: The option or command that needs it.
        capability: The capability, with its article.
        task: The task.
        remedy: What the user can do.

    >>> str(lacking("planner=scripted", "an expert", 0, "use planner=policy"))
    'planner=scripted needs an expert, and the task has none (int); use planner=policy'
    """
    return ConfigError(f"{needed_by} needs {capability}, and the task has none ({type(task).__name__}); {remedy}")


def _function(task: object, method: str, wanted: str, **given: int) -> Any:
    """Calls `method` of `task` with the numbers `given` and returns the function that it gives.

    `wanted`, arguments and result of that function, is for the message.

    Raises: ConfigError, if the method raises or gives no function.
    """
    check_takes(task, method, list(given))
    said = f"{type(task).__name__}.{method}({', '.join(map(str, given.values()))})"
    with blamed(said, task):
        made = getattr(task, method)(*given.values())
    if not callable(made):
        raise ConfigError(f"{said} gives {type(made).__name__}; give a function {wanted} (docs/tasks.md)")
    return made


def check_takes(task: object, method: str, by_position: Sequence[str] = (), by_name: Sequence[str] = ()) -> None:
    """Checks that a method of a task can be called with the arguments of these names.

    Raises: ConfigError, if `task` has no such method, or it does not take these arguments.
    """
    name = type(task).__name__
    with blamed(f"{name}.{method}", task):
        found = getattr(task, method, None)
    called = f"{method}({', '.join([*by_position, *(f'{each}=...' for each in by_name)])})"
    if found is not None and not callable(found):
        raise ConfigError(
            f"{name}.{method} is {type(found).__name__}, and no method; write it as {called} (docs/tasks.md)"
        )
    if found is None:
        raise ConfigError(f"{name} has no method {called}; add it (docs/tasks.md)")
    try:
        signature = inspect.signature(found)
    except ValueError:  # a function written in C may have no signature
        return
    try:
        signature.bind(*by_position, **dict.fromkeys(by_name))
    except TypeError as error:
        raise ConfigError(
            f"{name}.{method}({', '.join(signature.parameters)}) cannot be called as {called}: {error}; let it take "
            "these arguments (docs/tasks.md)"
        ) from error
