"""Any gymnasium environment as a task, by options alone (configs/task/gym.yaml).

    task = GymTask(
        "MountainCarContinuous-v0",
        state={"position": 0, "velocity": 1},
        action={"push": {"kind": "delta", "drives": "velocity", "scale": 0.0015}},
        rate_hz=30.0,
    )

A tick is a step of the environment, an episode one from `reset(seed=...)` until it is terminated or truncated. The task
has neither event nor expert: planners are policies, a sine, or functions of the user's.

Threads: whoever drives the task.
"""

import difflib
import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError, counted, one_line
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec
from rollahead.sim.gym_fields import fields_of, leaves_of

TERMINATED = "terminated"  # success is the end of the episode, before the last step that it may have
RENDER = "render"  # a camera that is the environment's own rendering
NEAR = 3  # names that are offered for one that is not there


@dataclass(frozen=True, slots=True)
class ActionOptions:
    """Meaning of one number of the action space.

    kind: of `Kind`; drives: the state dimension that it moves; scale: of the robot's unit per unit of the environment;
    threshold: of a discrete one.
    """

    kind: str = Kind.POSITION.value
    drives: str | None = None
    unit: str = ""
    scale: float = 1.0
    threshold: float | None = None

    def dim(self, name: str, low: float, high: float) -> Dim:
        """The dimension of the robot's action, for a number from `low` to `high`.

        Raises: ConfigError, if a value cannot be.
        """
        if not self.scale > 0:
            raise ConfigError(f"task.action.{name}.scale is {self.scale:g}; give a positive number")
        kind, low, high = Kind(self.kind), low * self.scale, high * self.scale
        return Dim(name, self.unit, kind, low, high, drives=self.drives, threshold=self.threshold)


class GymTask:
    """A task that is a gymnasium environment."""

    def __init__(
        self,
        id: str,
        state: Mapping[str, int | str],
        action: Mapping[str, Mapping[str, Any]],
        rate_hz: float | None = None,
        environment: Mapping[str, int | str] | None = None,
        cameras: Mapping[str, str] | None = None,
        success: str | float = TERMINATED,
        max_ticks: int | None = None,
        imports: Sequence[str] | None = None,
        options: Mapping[str, Any] | None = None,
        instruction: str = "",
    ) -> None:
        """Makes the environment, and resets it once to see what it observes.

        The arguments are those of configs/task/gym.yaml.

        Raises: ConfigError, if there is no such environment, it has no continuous actions, or it does not observe what
        is named.
        """
        self.instruction = instruction
        self._id, self._wanted_success, self._cameras = id, success, dict(cameras or {})
        given = dict(options or {}) | ({"render_mode": "rgb_array"} if RENDER in self._cameras.values() else {})
        meanings = {name: call(ActionOptions, each, f"task.action.{name}") for name, each in action.items()}
        self._env = _made(id, imports or (), given, max_ticks)
        self.max_ticks = _limit(self._env, id, max_ticks)
        self.reset(0)
        self._state = fields_of("task.state", state, self._seen)
        self._environment = fields_of("task.environment", environment or {}, self._seen)
        self.spec = RobotSpec(
            action=_dims(self._env.action_space, id, meanings),
            state=tuple(map(Dim, self._state.names)),
            environment=tuple(map(Dim, self._environment.names)),
            rate_hz=_rate(self._env, id, rate_hz),
            cameras=tuple(Camera(name, *self._picture(name).shape[:2]) for name in self._cameras),
        )
        self._scale = np.array([one.scale for one in meanings.values()])

    def reset(self, seed: int) -> None:
        """Begins the episode that the environment makes of `seed`."""
        self._seen, info = self._env.reset(seed=seed)
        self._told = dict.fromkeys(info)  # keys of info so far
        self._pictures: dict[str, NDArray[np.uint8]] = {}  # of this tick
        self._ticks = 0
        self.done = self.success = False

    def state(self) -> FloatArray:
        """(S,), the numbers named in `state`."""
        return frozen(self._state(self._seen))

    def environment(self) -> FloatArray:
        """(E,), the numbers named in `environment`."""
        return frozen(self._environment(self._seen))

    def frames(self) -> Mapping[str, NDArray[np.uint8]]:
        """The image of each camera in this tick; the first call in a tick renders, others give the same images."""
        return {name: self._picture(name) for name in self._cameras}

    def advance(self, action: FloatArray) -> None:
        """One step of the environment.

        Raises: ConfigError, if at the end of an episode info had never said whether it succeeded.
        """
        space = self._env.action_space
        asked = np.reshape(action / self._scale, space.shape).astype(space.dtype)
        self._seen, reward, terminated, truncated, info = self._env.step(np.clip(asked, space.low, space.high))
        self._told |= dict.fromkeys(info)
        self._pictures = {}
        self._ticks += 1
        self.success = self._succeeded(float(reward), bool(terminated), info)
        self.done = bool(terminated or truncated) or self._ticks >= self.max_ticks
        if self.done and isinstance(self._wanted_success, str):
            self._check_told(self._wanted_success)

    def _succeeded(self, reward: float, terminated: bool, info: Mapping[str, Any]) -> bool:
        """Whether the step was a success, as the option `success` says it."""
        if not isinstance(self._wanted_success, str):
            return reward >= self._wanted_success
        return terminated if self._wanted_success == TERMINATED else bool(info.get(self._wanted_success, False))

    def _check_told(self, key: str) -> None:
        if key != TERMINATED and key not in self._told:
            raise ConfigError(
                f"task.success is {key!r}, and info of {self._id} has {', '.join(self._told) or 'no keys'}; give "
                f"one of its keys, {TERMINATED}, or the least reward that is a success"
            )

    def _picture(self, camera: str) -> NDArray[np.uint8]:
        """(height, width, 3), the image of `camera` in this tick. Raises: ConfigError, if it is none."""
        if camera not in self._pictures:
            self._pictures[camera] = _image(camera, self._cameras[camera], self._taken(self._cameras[camera]))
        return self._pictures[camera]

    def _taken(self, source: str) -> Any:
        if source == RENDER:
            return self._env.render()
        images = dict(leaves_of(self._seen))
        if source not in images:
            known = ", ".join(filter(None, [RENDER, *images]))
            raise ConfigError(
                f"task.cameras names {source!r}, and the observation of {self._id} has none; give {known}"
            )
        return images[source]


def _made(id: str, imports: Sequence[str], options: Mapping[str, Any], max_ticks: int | None) -> Any:
    """The environment. Raises: ConfigError, if there is none such, or it cannot be made."""
    try:
        import gymnasium
    except ImportError as error:
        raise ConfigError(
            f"task=gym needs gymnasium ({one_line(error)}); install it with pip install 'rollahead[gym]'"
        ) from error
    for name in imports:
        _import(name)
    if id not in gymnasium.registry:
        near = difflib.get_close_matches(id, gymnasium.registry, n=NEAR, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ConfigError(
            f"gymnasium has no environment {id!r} among {len(gymnasium.registry)}; {hint}Name the package that "
            "registers it in task.imports=[...]"
        )
    try:
        return gymnasium.make(id, max_episode_steps=max_ticks, disable_env_checker=True, **options)
    except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
        raise ConfigError(
            f"environment {id} cannot be made ({one_line(error)}); install what it needs, or change task.options"
        ) from error


def _import(name: str) -> None:
    try:
        importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"task.imports names {name!r}, which cannot be imported ({one_line(error)}); install the package"
        ) from error


def _limit(env: Any, id: str, max_ticks: int | None) -> int:
    """The number of steps of the longest episode. Raises: ConfigError, if there is no limit, or it is not positive."""
    most = max_ticks if max_ticks is not None else env.spec.max_episode_steps
    if most is None:
        raise ConfigError(f"environment {id} has no limit of steps; give task.max_ticks=...")
    return int(most)


def _rate(env: Any, id: str, rate_hz: float | None) -> float:
    """The steps per second. Raises: ConfigError, if it is not given."""
    if rate_hz is None:
        fps = env.metadata.get("render_fps")
        hint = f" ({id} is rendered at {fps:g} frames per second, which may be its rate)" if fps else ""
        raise ConfigError(f"task.rate_hz must be given, in steps per second{hint}; add task.rate_hz={fps or '...'}")
    return rate_hz


def _dims(space: Any, id: str, meanings: Mapping[str, ActionOptions]) -> tuple[Dim, ...]:
    """The dimensions of the robot's action.

    Raises: ConfigError, if the action space is no box of real numbers, or they are not all named.
    """
    if not (hasattr(space, "low") and np.issubdtype(space.dtype, np.floating)):
        raise ConfigError(
            f"the actions of {id} are {space}, and a robot is sent real numbers; take an environment whose action "
            "space is a Box of them (some have an option for it, as in task.options={continuous: true})"
        )
    low, high = (np.ravel(end).astype(np.float64).tolist() for end in (space.low, space.high))
    if len(meanings) != len(low):
        raise ConfigError(
            f"task.action names {', '.join(meanings) or 'nothing'}, and {id} takes {counted(len(low), 'number')}; name "
            "each, in its order"
        )
    given = zip(meanings.items(), low, high, strict=True)
    return tuple(meaning.dim(name, least, most) for (name, meaning), least, most in given)


def _image(camera: str, source: str, given: Any) -> NDArray[np.uint8]:
    """A copy of the image that was `given`. Raises: ConfigError, if it is no RGB image."""
    image = np.asarray(given)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ConfigError(
            f"camera {camera!r} ({source}) gives shape {image.shape} of {image.dtype}; give one whose images are "
            "(height, width, 3) of uint8"
        )
    copy = image.copy()
    copy.flags.writeable = False
    return copy
