from dataclasses import replace

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.safety.rest_pose import LEAST_S, Homing, RestPose
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

RATE_HZ = 50.0
SPEC = RobotSpec(
    action=(
        Dim("x", low=-2.0, high=2.0, rate_limit=0.5, drives="x"),
        Dim("y", low=-2.0, high=2.0, drives="y"),
        Dim("grip", kind=Kind.DISCRETE, low=0.0, high=1.0),
    ),
    state=(Dim("x"), Dim("y")),
    rate_hz=RATE_HZ,
)
START = frozen([1.5, 1.0, 1.0])


def steps(way: Homing) -> FloatArray:
    """(n, A), all of them."""
    rows = []
    while not way.over:
        rows.append(way.step())
    return np.array(rows)


def test_the_way_ends_at_the_pose_and_leaves_the_other_dimensions_where_they_are() -> None:
    rows = steps(RestPose(SPEC, {"x": -1.5}).way(START))
    assert rows[-1].tolist() == [-1.5, 1.0, 1.0]
    assert (rows[:, 1:] == [1.0, 1.0]).all()


@every("target", [-1.9, 0.0, 1.4])
@every("accel", [np.inf, 5.0, 0.2])
def test_the_way_keeps_the_limits_and_begins_and_ends_slowly(target: float, accel: float) -> None:
    spec = replace(SPEC, action=(replace(SPEC.action[0], accel_limit=accel), *SPEC.action[1:]))
    path = np.array([1.5, *steps(RestPose(spec, {"x": target}).way(START))[:, 0]])
    speeds = np.diff(path) * RATE_HZ
    assert np.abs(speeds).max() <= 0.5
    assert np.abs(np.diff(speeds)).max() * RATE_HZ <= accel
    assert np.abs(speeds[[0, -1]]).max() < np.abs(speeds).max() / 20


def test_a_way_without_a_rate_limit_takes_its_time() -> None:
    assert RestPose(SPEC, {"y": 0.0}).way(START).ticks == LEAST_S * RATE_HZ


@every(
    "targets, words",
    [
        ({"z": 0.0}, r"there is no position dimension of rest_pose 'z'"),
        ({"grip": 0.0}, r"there is no position dimension of rest_pose 'grip'"),
        ({"x": 3.0}, r"puts x at 3.0, and its range is -2 to 2"),
        ({"x": "low"}, r"puts x at low, and its range is -2 to 2"),
        ({"x": float("nan")}, r"puts x at nan"),
    ],
)
def test_a_pose_that_the_robot_cannot_take_is_refused(targets: dict[str, float], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        RestPose(SPEC, targets)
