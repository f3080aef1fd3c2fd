"""Frames: what a policy is trained on, whole in memory, and whether it is what a robot or a policy takes.

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
Stats = dict[str, dict[str, FloatArray]]  # by feature, then by figure: mean, std, min, max, q01, ...

CAMERA = "camera"
FIGURES = ("mean", "std", "min", "max")  # by which a policy's numbers are normalised


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """A data set without its images.

    state: (N, S), environment: (N, E), action: (N, A), read-only; bounds: (M + 1,): episode k is the frames
    `[bounds[k], bounds[k + 1])`; names: of every dimension, by LeRobot's feature; cameras: of each camera what the data
    set calls it; sizes: of each (height, width); stats: LeRobot's, by feature; executed: (N, A), if it is told.

    Dimensions that the data set does not name are called state_0, state_1, ...
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
        for array in (self.state, self.environment, self.action, self.bounds, self.done):
            array.flags.writeable = False

    def __len__(self) -> int:
        return len(self.state)

    @property
    def done(self) -> Floats:
        """(N, A), what the robot did: what was executed, where the data set says it, else the action."""
        return self.action if self.executed is None else self.executed

    @property
    def episodes(self) -> int:
        """M."""
        return len(self.bounds) - 1

    @property
    def lengths(self) -> NDArray[np.intp]:
        """(M,), frames per episode."""
        return np.diff(self.bounds)

    def place(self, frame: int) -> tuple[int, int]:
        """The episode of `frame`, and its place in it."""
        episode = int(np.searchsorted(self.bounds, frame, side="right")) - 1
        return episode, frame - int(self.bounds[episode])


def check_finite(frames: Frames) -> None:
    """Raises: ConfigError, if a number is NaN or infinite, or a statistic, or there is none; it says which."""
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
    """The same, with statistics by which each action of `shares` takes up only that share of the range that others
    have: a discrete one turns in a few small steps then (RTI-DP, arXiv 2508.05396, its `scale`).

    Raises: ConfigError, if there is no such action, or a share is not above 0 and up to 1.
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
    """Raises: ConfigError, if an episode has fewer than `least` frames. why: what needs as many."""
    shortest = int(frames.lengths.argmin())
    if frames.lengths[shortest] < least:
        raise ConfigError(
            f"episode {shortest} of data set {frames.folder} has {frames.lengths[shortest]} frames, and {why} needs "
            f"{least}; delete the episode (lerobot-edit-dataset), or ask for less"
        )


def check_rate(frames: Frames, rate_hz: float, who: str = "robot") -> None:
    """Raises: ConfigError, if the data set was not recorded at `rate_hz`."""
    if frames.fps != rate_hz:
        raise ConfigError(
            f"data set {frames.folder} was recorded at {frames.fps:g} Hz and the {who} runs at {rate_hz:g} Hz; drive "
            f"the {who} at {frames.fps:g} Hz, or record at {rate_hz:g} Hz"
        )


def check_robot(frames: Frames, robot: RobotSpec) -> None:
    """Whether a policy of these frames could drive `robot`: all that it would see is there, all that is sent is made.

    Raises: ConfigError, if the rates differ, or a name has no partner.
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
    """Which of `names` is most like `name`."""
    return (*difflib.get_close_matches(name, names, n=1, cutoff=0.0), "its name")[0]
