"""The rig: the robot that a command drives in real time, either real or of a simulated task.

with rig(config) as driven:
    driven.begin(seed)                      a simulated world begins an episode; a real robot stays where it is
    Realtime(drive, driven.make_robot, ...)
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from omegaconf import DictConfig

from rollahead.assembly.live import RAMP_S
from rollahead.commands.app import console, group
from rollahead.commands.stages import stage
from rollahead.errors import ConfigError
from rollahead.runtime.robots.registry import make_robot
from rollahead.runtime.robots.spec_limits import Limits
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.types.options import call
from rollahead.runtime.types.robot import Robot
from rollahead.runtime.types.spec import Kind, RobotSpec

if TYPE_CHECKING:
    from rollahead.sim.task import Task
    from rollahead.sim.world import World

SIMULATED = "sim"
RATED = (Kind.POSITION, Kind.VELOCITY)  # kinds of dimensions that should have a rate limit


class Rig(Protocol):
    """A robot to be driven, with its world and task if it is simulated.

    Attributes:
        world: World of a simulated robot; None for a real one.
    """

    world: "World | None"

    @property
    def spec(self) -> RobotSpec:
        """The robot's spec."""
        ...

    @property
    def task(self) -> "Task | None":
        """The task of a simulated robot; None for a real one."""
        ...

    @property
    def make_robot(self) -> Callable[[], Robot]:
        """A function that makes the robot, if simulated for the last episode begun; it can be sent to a process."""
        ...

    def begin(self, seed: int) -> None:
        """Begins an episode of a simulated task; does nothing for a real robot."""
        ...


class Simulated:
    """The robot of a simulated task, in its world."""

    def __init__(self, world: "World") -> None:
        self.world: World | None = world
        self.task: Task | None = world.task
        self.spec = world.spec
        self._world = world

    @property
    def make_robot(self) -> Callable[[], Robot]:
        """A function that makes the robot for the last episode begun."""
        return self._world.make_robot

    def begin(self, seed: int) -> None:
        """Begins the episode of `seed` in the world."""
        self._world.reset(seed)


class Real:
    """A real robot, by its name and options."""

    world: "World | None" = None
    task: "Task | None" = None

    def __init__(self, config: dict[str, Any]) -> None:
        self.make_robot: Callable[[], Robot] = partial(make_robot, **config)
        with stage("loading the robot's driver"):
            self.spec = self.make_robot().spec
        if line := unlimited(self.spec):
            console().print(line, soft_wrap=True)

    def begin(self, seed: int) -> None:
        """Does nothing: a real robot has no episodes."""


def unlimited(spec: RobotSpec) -> str:
    """A warning that names the positions and velocities of `spec` without a rate limit; empty if all have one."""
    free = [dim.name for dim in spec.action if dim.kind in RATED and not math.isfinite(dim.rate_limit)]
    if not free:
        return ""
    return (
        f"no rate_limit: {', '.join(free)}; nothing limits how fast a plan may move them, nor the jump to a plan that "
        "comes late: give the robot its limits, as in robot.limits={default: {rate_limit: ...}}"
    )


@dataclass(frozen=True, slots=True)
class SimulatedOptions:
    """Options of `robot=sim`.

    Attributes:
        name: Name of the robot, `sim`.
        limits: Limits on how fast its actions may change, see `spec_limits`.
    """

    name: str
    limits: Mapping[str, Any] | None = None


def limits_of(config: DictConfig) -> Limits:
    """The limits of the simulated robot in `config`. Raises: ConfigError, if it chooses a real robot."""
    robot = group(config, "robot")
    if robot["name"] != SIMULATED:
        raise ConfigError(f"robot={robot['name']} is no simulated robot; use robot={SIMULATED}, or rollahead run")
    return call(SimulatedOptions, robot, "robot").limits or {}


def guard_of(config: DictConfig, *, simulated: bool) -> GuardConfig:
    """The settings of the guard in `config`. Raises: ConfigError, if the guard has no such option."""
    guard = group(config, "guard")
    if guard["ramp_s"] is None:
        guard["ramp_s"] = 0.0 if simulated else RAMP_S
    return call(GuardConfig, guard, "guard")


@contextmanager
def rig(config: DictConfig) -> Iterator[Rig]:
    """The rig of the group `robot`, and for `robot=sim` also of `task`. Raises: ConfigError, if it cannot be made."""
    robot = group(config, "robot")
    if robot["name"] != SIMULATED:
        yield Real(robot)
        return
    from rollahead.sim.world import World

    with World(group(config, "task"), limits_of(config)) as world:
        yield Simulated(world)
