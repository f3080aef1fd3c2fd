"""Frames: the numbers of a data set in memory, and checks that they fit a robot or a policy.

N: frames of all episodes, one after the other; S, E, A: dimensions of state, environment and action. Images stay on
disk (`rollahead.policies.data.pictures`).
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError, unknown_name
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, PARTS, STATE
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import RobotSpec, names_of

Floats = NDArray[np.float32]
Stats = dict[str, dict[str, FloatArray]]  # by feature, then by statistic: mean, std, min, max, q01, ...

CAMERA = "camera"
FIGURES = ("mean", "std", "min", "max")  # statistics that normalisation may use


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A data set without its images. All arrays are read-only.

    Dimensions that the data set does not name are called state_0, state_1, ...

    Attributes:
        folder: Root of the data set.
        fps: Frames per second.
        state: (N, S).
        environment: (N, E).
        action: (N, A), the action to learn.
        bounds: (M + 1,): episode k is the frames `[bounds[k], bounds[k + 1])`.
        names: Names of all dimensions, by LeRobot's feature.
        cameras: Name in the data set of each camera.
        sizes: (height, width) of each camera's images.
        stats: LeRobot's statistics, by feature.
        executed: (N, A), the action that was sent, None if the data set has none.
    """

    folder: Path
    fps: float
    state: Floats
    environment: Floats
    action: Floats
    bounds: NDArray[np.intp]
    names: Mapping[str, tuple[str, ...]]
    cameras: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    stats: Stats = field(default_factory=dict)
    executed: Floats | None = None

    def __post_init__(self) -> None:
        for array in (self.state, self.environment, self.action, self.bounds, self.sent):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.state)

    @property
    def sent(self) -> Floats:
        """(N, A), the action that was sent: `executed`, or `action` if the data set has no `executed`."""
        return self.action if self.executed is None else self.executed

    @property
    def episodes(self) -> int:
        """M, the number of episodes."""
        return len(self.bounds) - 1

    @property
    def lengths(self) -> NDArray[np.intp]:
        """(M,), the number of frames of each episode."""
        return np.diff(self.bounds)

    def place(self, frame: int) -> tuple[int, int]:
        """The episode of `frame`, and the frame's index within it."""
        episode = int(np.searchsorted(self.bounds, frame, side="right")) - 1
        return episode, frame - int(self.bounds[episode])


def check_finite(frames: Frames) -> None:
    """Checks that all numbers and statistics are finite.

    Raises: ConfigError, if a number or a statistic is NaN or infinite, or a statistic is missing. The message names it.
    """
    for feature, part in PARTS.items():
        values = getattr(frames, part)
        bad = np.argwhere(~np.isfinite(values))
        if len(bad):
            frame, dim = bad[0].tolist()
            episode, at = frames.place(frame)
            raise ConfigError(
                f"data set {frames.folder} has {values[frame, dim]} in {feature} {frames.names[feature][dim]!r}, frame "
                f"{at} of episode {episode}; delete the episode (lerobot-edit-dataset), or record it again"
            )
        _check_stats(frames, feature)


def _check_stats(frames: Frames, feature: str) -> None:
    dims = len(frames.names[feature])
    for figure in FIGURES if dims else ():
        values = frames.stats[feature].get(figure, np.empty(0))
        if np.atleast_1d(values).shape != (dims,) or not np.isfinite(values).all():
            raise ConfigError(
                f"data set {frames.folder} has {values.tolist() or 'nothing'} as the {figure} of {feature} in "
                f"meta/stats.json, and {dims} finite numbers are needed; let LeRobot recompute the statistics, or "
                "record it again"
            )


def narrowed(frames: Frames, shares: Mapping[str, float]) -> Frames:
    """A copy of `frames` with statistics that shrink some actions to a share of the normalised range.

    `shares`: by action, its share of the range that other actions have, above 0 and up to 1. A discrete action then
    changes its value within a few small denoising steps (RTI-DP, arXiv 2508.05396, its `scale`).

    Raises: ConfigError, if there is no such action, or a share is out of range.
    """
    stats = {figure: np.array(values, np.float64) for figure, values in frames.stats.get(ACTION, {}).items()}
    names = frames.names[ACTION]
    for name, share in shares.items():
        if name not in names:
            raise unknown_name("action to scale", name, names)
        if not 0 < share <= 1:
            raise ConfigError(f"scale.{name} is {share}; give a share of the range above 0 and up to 1, such as 0.1")
        i = names.index(name)
        middle = (stats["min"][i] + stats["max"][i]) / 2
        for figure in stats.keys() - {"count", "mean", "std"}:
            stats[figure][i] = middle + (stats[figure][i] - middle) / share
        stats["std"][i] /= share
    return replace(frames, stats={**frames.stats, ACTION: stats})


def check_lengths(frames: Frames, least: int, why: str) -> None:
    """Checks that every episode has at least `least` frames. `why`: the use that needs as many, for the message.

    Raises: ConfigError, if an episode is shorter.
    """
    shortest = int(frames.lengths.argmin())
    if frames.lengths[shortest] < least:
        raise ConfigError(
            f"episode {shortest} of data set {frames.folder} has {frames.lengths[shortest]} frames, and {why} needs "
            f"{least}; delete the episode (lerobot-edit-dataset), or ask for less"
        )


def check_rate(frames: Frames, rate_hz: float, who: str = "robot") -> None:
    """Checks that the data set was recorded at `rate_hz`. `who`: the user of that rate, for the message.

    Raises: ConfigError, if it was not.
    """
    if frames.fps != rate_hz:
        raise ConfigError(
            f"data set {frames.folder} was recorded at {frames.fps:g} Hz and the {who} runs at {rate_hz:g} Hz; drive "
            f"the {who} at {frames.fps:g} Hz, or record at {rate_hz:g} Hz"
        )


def check_robot(frames: Frames, robot: RobotSpec) -> None:
    """Checks that a policy trained on these frames could drive `robot`.

    The robot must give every state, environment and camera of the frames, and the frames must have every action of the
    robot. Raises: ConfigError, if a name is missing, or the rates differ.
    """
    check_rate(frames, robot.rate_hz)
    _check_all_in(frames, STATE, names_of(robot.state), "robot")
    _check_all_in(frames, ENVIRONMENT, names_of(robot.environment), "robot")
    _check_all_in(frames, CAMERA, [camera.name for camera in robot.cameras], "robot")
    _check_has_all(frames, ACTION, names_of(robot.action), "robot")


def _own(frames: Frames, feature: str) -> Sequence[str]:
    return tuple(frames.cameras) if feature == CAMERA else frames.names[feature]


def _check_all_in(frames: Frames, feature: str, theirs: Sequence[str], who: str) -> None:
    for name in _own(frames, feature):
        if name not in theirs:
            raise ConfigError(
                f"data set {frames.folder} has {feature} {name!r}, and the {who} has only {_listed(theirs)}; "
                f"rename it, as in rename={{{name!r}: {_near(name, theirs)!r}}}, or take the feature out"
            )


def _check_has_all(frames: Frames, feature: str, theirs: Sequence[str], who: str) -> None:
    own = _own(frames, feature)
    for name in theirs:
        if name not in own:
            raise ConfigError(
                f"the {who} has {feature} {name!r}, and data set {frames.folder} has only {_listed(own)}; "
                f"rename it, as in rename={{{_near(name, own)!r}: {name!r}}}, or record it"
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _near(name: str, names: Sequence[str]) -> str:
    """The name in `names` that is most similar to `name`."""
    return (*difflib.get_close_matches(name, names, n=1, cutoff=0.0), "its name")[0]
