"""Rolled scenes: what was seen of the scene some ticks ago, rolled to now as the run will roll it.

A run whose roller moves what is seen (`roller=scene`, `roller=attached`) gives the policy a scene and a robot of one
time. A policy that is trained with temporal offsets must be given the same, or it learns from scenes that it never
meets: an object in the gripper that lies behind it, once by two ticks and once by ten.
"""

from itertools import pairwise

import numpy as np

from rollahead.policies.data.frames import Floats, Frames
from rollahead.runtime.rolling.roll import SceneRoller, lookback_of
from rollahead.runtime.types.arrays import frozen


def rolled_scenes(frames: Frames, scene: SceneRoller, offsets: int) -> Floats:
    """(N, offsets + 1, E): at [t, k] what was seen k frames before t, rolled to t by what the robot did in between.
    Where an episode has no k frames before t it is of no use.

    Each is made from [t - 1, k - 1], which was seen in the same frame, by one tick more.
    """
    rolled = np.repeat(frames.environment[:, None], offsets + 1, axis=1)
    for first, last in pairwise(frames.bounds.tolist()):
        for t in range(first + 1, last):
            state, rows = frozen(frames.state[t - 1]), frozen(_rows(frames.done, first, t, lookback_of(scene)))
            for k in range(1, min(offsets, t - first) + 1):
                rolled[t, k] = scene(frozen(rolled[t - 1, k - 1]), state, rows)
    return rolled


def _rows(done: Floats, first: int, t: int, lookback: int) -> Floats:
    """(lookback + 1, A): what was done in the tick before `t` and before that, the first of the episode repeated."""
    return done[np.maximum(np.arange(t - 1 - lookback, t), first)]
