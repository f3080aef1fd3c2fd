"""A pair: several robots driven as one with one tick, such as two arms.

    Pair({"left": arm, "right": other})     "elbow.pos" of the first is "left_elbow.pos"

Threads: the executor's, as for any robot; the robots are read and written one after the other. Hot path: `read`,
`frames`, `write`.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.robots.registry import make_robot
from rollahead.runtime.system.patience import STOP_S, in_thread
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.robot import Frame, Reading, Robot
from rollahead.runtime.types.spec import Dim, RobotSpec


def make_pair(robots: Mapping[str, Mapping[str, Any]]) -> "Pair":
    """Makes the pair that `robots` describes: by prefix, the `name` of a robot, and its options.

    Raises ConfigError if one of them cannot be made, or their rates differ.
    """
    for prefix, options in robots.items():
        if not isinstance(options, Mapping) or "name" not in options:
            raise ConfigError(
                f"robots.{prefix} is {options!r}; give a robot's name and its options, as in {{name: loopback}}"
            )
    return Pair({prefix: make_robot(**options) for prefix, options in robots.items()})


class Pair:
    """Several robots as one. robots: at least one, by the prefix of its names, all at one rate."""

    def __init__(self, robots: Mapping[str, Robot]) -> None:
        self._robots = dict(robots)
        self.spec = _joined({prefix: robot.spec for prefix, robot in robots.items()})
        ends = [0, *accumulate(len(robot.spec.action) for robot in robots.values())]
        self._shares = [slice(start, stop) for start, stop in pairwise(ends)]

    def connect(self) -> None:
        """Connects one after the other; if one fails, those before it are disconnected again."""
        connected: list[Robot] = []
        try:
            for robot in self._robots.values():
                robot.connect()
                connected.append(robot)
        except BaseException:
            for robot in reversed(connected):
                with suppress(Exception):  # the first error says more
                    robot.disconnect()
            raise

    def read(self) -> Reading:
        """Readings of all robots, joined; as old as the oldest. Phase: hot."""
        readings = [robot.read() for robot in self._robots.values()]
        return Reading(
            frozen(np.concatenate([reading.state for reading in readings])),
            frozen(np.concatenate([reading.environment for reading in readings])),
            max(reading.age for reading in readings),
        )

    def frames(self) -> Mapping[str, Frame]:
        """Newest image of each camera of all robots. Phase: hot."""
        return {
            _named(prefix, name): frame
            for prefix, robot in self._robots.items()
            for name, frame in robot.frames().items()
        }

    def write(self, setpoint: FloatArray) -> None:
        """Sends each robot its part of `setpoint` (A,), also if another cannot be sent its part. Phase: hot."""
        robots = zip(self._robots.values(), self._shares, strict=True)
        _all(*(partial(robot.write, frozen(setpoint[share])) for robot, share in robots))

    def stop(self) -> None:
        """Stops all robots at once, also if one cannot be stopped or hangs. Raises the first error."""
        waits = [in_thread(f"stop ({prefix})", robot.stop) for prefix, robot in self._robots.items()]
        _all(*(partial(wait, 2 * STOP_S) for wait in waits))

    def disconnect(self) -> None:
        """Disconnects all robots, also if one cannot be disconnected. Raises the first error."""
        _all(*(robot.disconnect for robot in self._robots.values()))


def _all(*calls: Callable[[], None]) -> None:
    """Makes all calls, and then raises the first error."""
    errors: list[Exception] = []
    for do in calls:
        try:
            do()
        except Exception as error:
            errors.append(error)
    if errors:
        raise errors[0]


def _joined(specs: Mapping[str, RobotSpec]) -> RobotSpec:
    if not specs:
        raise ConfigError("robots is empty; give at least one")
    (first, spec), *others = specs.items()
    for prefix, other in others:
        if other.rate_hz != spec.rate_hz:
            raise ConfigError(
                f"{first} runs at {spec.rate_hz:g} Hz and {prefix} at {other.rate_hz:g} Hz; drive both at one rate"
            )
    each = specs.items()
    return RobotSpec(
        action=tuple(_renamed(prefix, dim) for prefix, spec in each for dim in spec.action),
        state=tuple(_renamed(prefix, dim) for prefix, spec in each for dim in spec.state),
        environment=tuple(_renamed(prefix, dim) for prefix, spec in each for dim in spec.environment),
        cameras=tuple(
            replace(camera, name=_named(prefix, camera.name)) for prefix, spec in each for camera in spec.cameras
        ),
        rate_hz=spec.rate_hz,
    )


def _renamed(prefix: str, dim: Dim) -> Dim:
    drives = None if dim.drives is None else _named(prefix, dim.drives)
    rate_of = None if dim.rate_of is None else _named(prefix, dim.rate_of)
    return replace(dim, name=_named(prefix, dim.name), drives=drives, rate_of=rate_of)


def _named(prefix: str, name: str) -> str:
    return f"{prefix}_{name}"
