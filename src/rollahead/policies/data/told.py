"""Position targets as a policy's state (VLASH, arXiv 2512.01031, section 4.2).

With temporal offsets, a policy is trained on a state from a later time than its other inputs. For a robot that is
driven by position targets, this may be the recorded state, or the target sent in the tick before (the authors'
default). The roller `told` gives the latter in a run.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.policies.data.frames import Frames
from rollahead.policies.lerobot.features import ACTION, STATE
from rollahead.runtime.rolling.roll import ABSOLUTE
from rollahead.runtime.types.spec import RobotSpec

OFFSET_STATES = ("recorded", "told")
REMEDY = "use offset_state=recorded"
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


def told_pairs(frames: Frames, robot: RobotSpec | None) -> Pairs:
    """Indices (n,) of the actions in `frames`, and indices (n,) of the state dimensions that they drive.

    `robot`: says which action drives which state. Without one, each action drives the state of the same name, and is
    taken to be an absolute position.

    Raises: ConfigError, if an action that moves the robot is not an absolute position, or the state that it drives is
    not in `frames`.
    """
    action, state = frames.names[ACTION], frames.names[STATE]
    drives = {name: name for name in action} if robot is None else _absolute(robot)
    for name, driven in drives.items():
        if driven not in state:
            raise ConfigError(
                f"offset_state=told gives the targets sent as the state, and data set {frames.folder} has no state "
                f"{driven!r} for action {name!r} (only {', '.join(state)}); rename one of the two, or {REMEDY}"
            )
    return _indices(action, list(drives)), _indices(state, list(drives.values()))


def _absolute(robot: RobotSpec) -> dict[str, str]:
    """The state dimension that each action drives, by the action's name."""
    for dim in robot.action:
        if dim.kind not in ABSOLUTE:
            raise ConfigError(
                f"offset_state=told gives the targets sent as the state, and action {dim.name!r} is a "
                f"{dim.kind.value}, not an absolute position; {REMEDY}"
            )
    return {dim.name: dim.drives for dim in robot.action if dim.drives is not None}


def _indices(names: Sequence[str], wanted: Sequence[str]) -> NDArray[np.intp]:
    return np.array([names.index(name) for name in wanted], np.intp)
