"""What was seen some frames ago is rolled to now by the roller of the run, over what was done in between."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from rollahead.policies.data.frames import Frames
from rollahead.policies.data.rolled_scene import rolled_scenes
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.runtime.types.arrays import FloatArray

LENGTHS = (3, 1, 9)
OFFSETS = 4


def frames() -> Frames:
    n = sum(LENGTHS)
    rng = np.random.default_rng(0)
    return Frames(
        folder=Path("frames"),
        fps=50.0,
        state=np.arange(n, dtype=np.float32)[:, None],
        environment=rng.uniform(-1, 1, (n, 2)).astype(np.float32),
        action=rng.uniform(-1, 1, (n, 1)).astype(np.float32),
        bounds=np.concatenate([[0], np.cumsum(LENGTHS)]),
        names={STATE: ("a",), ENVIRONMENT: ("x", "y"), ACTION: ("v",)},
        stats={},
    )


class Noted:
    """A scene roller that doubles and adds, so that order counts; `asked`: the states and rows that it was given."""

    def __init__(self, lookback: int = 0) -> None:
        self.lookback = lookback
        self.asked: list[tuple[float, list[float]]] = []

    def __call__(self, environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray:
        self.asked.append((float(state[0]), rows[:, 0].tolist()))
        for row in rows[self.lookback :]:
            environment = 2 * environment + row + state
        return environment


def test_each_is_what_was_seen_rolled_tick_by_tick_from_there_in_its_own_episode() -> None:
    data, scene = frames(), Noted()
    rolled = rolled_scenes(data, scene, OFFSETS)
    assert rolled.shape == (sum(LENGTHS), OFFSETS + 1, 2)
    for first, last in pairwise(data.bounds.tolist()):
        for t in range(first, last):
            for k in range(min(OFFSETS, t - first) + 1):
                at: Any = data.environment[t - k].astype(float)
                for j in range(t - k, t):
                    at = scene(at, data.state[j].astype(float), data.action[j : j + 1].astype(float))
                np.testing.assert_allclose(rolled[t, k], at, rtol=1e-5)


def test_a_roller_with_a_lookback_is_given_the_rows_of_before_and_at_first_the_first_again() -> None:
    data, scene = frames(), Noted(lookback=2)
    rolled_scenes(data, scene, 1)
    done = data.action[:, 0].tolist()
    given = dict(scene.asked)
    assert given[0.0] == [done[0], done[0], done[0]]
    assert given[1.0] == [done[0], done[0], done[1]]
    assert given[4.0] == [done[4], done[4], done[4]]
    assert given[8.0] == [done[6], done[7], done[8]]
