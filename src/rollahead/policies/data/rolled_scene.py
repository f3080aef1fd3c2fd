"""Environments of a data set rolled forward in time, as the roller of a run will roll them.

A run whose roller moves the environment (`roller=scene`, `roller=attached`) gives the policy an environment and a robot
state of one time. A policy that is trained with temporal offsets must be given the same. Otherwise it learns from
scenes that it never meets in a run, such as an object that lags behind the gripper that holds it.
"""

from itertools import pairwise

import numpy as np

from rollahead.policies.data.frames import Floats, Frames
from rollahead.runtime.rolling.roll import SceneRoller, lookback_of
from rollahead.runtime.types.arrays import frozen


def rolled_scenes(frames: Frames, scene: SceneRoller, offsets: int) -> Floats:
    """(N, offsets + 1, E): at [t, k] the environment of frame t - k, rolled to frame t by the actions sent in between.

    Where an episode has no k frames before t, the value must not be used. [t, k] is made from [t - 1, k - 1], which
    comes from the same frame, by one more tick.
    """
    rolled = np.repeat(frames.environment[:, None], offsets + 1, axis=1)
    for first, last in pairwise(frames.bounds.tolist()):
        for t in range(first + 1, last):
            state, rows = frozen(frames.state[t - 1]), frozen(_rows(frames.sent, first, t, lookback_of(scene)))
            for k in range(1, min(offsets, t - first) + 1):
                rolled[t, k] = scene(frozen(rolled[t - 1, k - 1]), state, rows)
    return rolled


def _rows(sent: Floats, first: int, t: int, lookback: int) -> Floats:
    """(lookback + 1, A), the actions sent in the ticks before `t`; the first of the episode is repeated."""
    return sent[np.maximum(np.arange(t - 1 - lookback, t), first)]
