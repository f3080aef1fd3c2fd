"""Planners and rollers by name, for a robot and, where it is simulated, the task that it is in.

    scripted   the task's expert, as a perfect chunk predictor
    wave       every joint on a slow sine about where it was: to see a robot move before it is given a policy

A roller says where the robot will be: `robot`, the task's own model, or what the kinds of action call for;
`identified`, the lags that `rollahead calibrate` has found; `still`, where it is.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.hold import Hold
from rollahead.runtime.identify import read_lags, roller_of
from rollahead.runtime.messages import Observation
from rollahead.runtime.options import call, check_kind
from rollahead.runtime.planner import Planner, ScriptedPlanner
from rollahead.runtime.roll import StateRoller, check_lookback, for_spec, still
from rollahead.runtime.spec import Kind, RobotSpec
from rollahead.sim.task import Task

MOST_ROWS = 10_000  # of a chunk


@dataclass(frozen=True, slots=True)
class Scene:
    """What planners and rollers are made for. task: None for a real robot."""

    spec: RobotSpec
    task: Task | None = None


def make_planner(config: Mapping[str, Any], scene: Scene, roller: StateRoller, q: int = 1) -> Planner:
    """The planner of `config`, a `name` and options. q: policy rows per action.

    Raises: ConfigError, if there is none such, or not for this scene, or its chunks are too short for the roller.
    """
    planner: Planner = _make("planner", config, PLANNERS, scene, roller)
    check_lookback(roller, config["horizon"] // max(q, 1))
    return planner


def make_roller(config: Mapping[str, Any], scene: Scene) -> StateRoller:
    """The roller of `config`, a `name` and options. Raises: ConfigError, if there is none such, or it is not this
    robot's."""
    return _make("roller", config, ROLLERS, scene)


def _make(what: str, config: Mapping[str, Any], known: Mapping[str, Callable[..., Any]], *given: Any) -> Any:
    options = dict(config)
    name = options.pop("name", None)
    check_kind(f"{what}.name", name, str)
    if name not in known:
        raise unknown_name(what, name, known)
    return call(known[name](*given), options, what)


def _scripted(scene: Scene, roller: StateRoller) -> Callable[..., Planner]:
    def scripted(horizon: int) -> Planner:
        if scene.task is None:
            raise ConfigError(
                "planner=scripted is a task's expert, and there is no task; use robot=sim, or planner=wave"
            )
        return ScriptedPlanner(scene.task.expert(_checked(horizon)), roller)

    return scripted


def _wave(scene: Scene, roller: StateRoller) -> Callable[..., Planner]:
    def wave(horizon: int, share: float, period_s: float) -> Planner:
        return ScriptedPlanner(Wave(scene.spec, _checked(horizon), share, period_s), roller)

    return wave


def _checked(horizon: int) -> int:
    if not 1 <= horizon <= MOST_ROWS:
        raise ConfigError(f"planner.horizon is {horizon}; give from 1 to {MOST_ROWS} rows")
    return horizon


class Wave:
    """A plan: every position on a sine about where it was first seen, every velocity on a cosine, each `share` of half
    its range; what is neither is held."""

    def __init__(self, spec: RobotSpec, horizon: int, share: float, period_s: float) -> None:
        if not (0 < share <= 1 and period_s > 0):
            raise ConfigError(f"share is {share} and period_s {period_s}; give a share up to 1, and a positive time")
        if endless := [dim.name for dim in spec.action if not math.isfinite(dim.high - dim.low)]:
            raise ConfigError(f"{', '.join(endless)} has no range to wave in; give the robot its limits, low and high")
        kinds = [dim.kind for dim in spec.action]
        sizes = [share * (dim.high - dim.low) / 2 for dim in spec.action]
        self._sine = np.where([kind is Kind.POSITION for kind in kinds], sizes, 0.0)
        self._cosine = np.where([kind is Kind.VELOCITY for kind in kinds], sizes, 0.0)
        self._low, self._high = (np.array([getattr(dim, end) for dim in spec.action]) for end in ("low", "high"))
        self._hold = Hold(spec)
        self._home: FloatArray | None = None
        self._newest = 0  # the tick it was asked for last
        self._ticks = np.arange(horizon)
        self._turn = 2 * math.pi * spec.period_s / period_s  # per tick

    def __call__(self, seen: Observation, rng: np.random.Generator) -> FloatArray:
        """(H, A), from the tick of `seen` on."""
        if self._home is None or seen.tick < self._newest:  # another run has begun
            self._home = self._hold.first(seen.state, None)
        self._newest = seen.tick
        at = self._turn * (seen.tick + self._ticks)[:, None]
        return np.clip(self._home + self._sine * np.sin(at) + self._cosine * np.cos(at), self._low, self._high)


PLANNERS: Mapping[str, Callable[[Scene, StateRoller], Callable[..., Planner]]] = {"scripted": _scripted, "wave": _wave}


def _own(scene: Scene) -> Callable[..., StateRoller]:
    return lambda: for_spec(scene.spec) if scene.task is None else scene.task.roller()


def _identified(scene: Scene) -> Callable[..., StateRoller]:
    def identified(path: str) -> StateRoller:
        return roller_of(scene.spec, read_lags(path, scene.spec))

    return identified


ROLLERS: Mapping[str, Callable[[Scene], Callable[..., StateRoller]]] = {
    "robot": _own,
    "identified": _identified,
    "still": lambda scene: lambda: still,
}
