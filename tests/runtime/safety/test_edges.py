"""Edges: how far something goes on while it brakes, and what was sent since a reading. The rest is in `test_guard`."""

import numpy as np
import pytest

from every import every
from rollahead.runtime.safety.edges import Edges, stopping
from rollahead.runtime.safety.follower import Follower
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

RATE_HZ = 10.0


@every("brake", [0.01, 0.1, 1.0, np.inf])
@every("jerk", [0.001, 0.05, 1.0, np.inf])
def test_nothing_goes_on_farther_than_the_bound_says_while_it_brakes_within_its_limits(
    brake: float, jerk: float
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(15):
        follower = Follower(np.array([brake]), np.array([jerk]))
        follower.begin(frozen([0.0]))
        speeds = [0.0, 0.0]
        for asked in rng.uniform(0.0, 3.0, rng.integers(1, 25)):
            speeds.append(_next(follower, asked))
        if speeds[-1] <= 0:
            continue
        bound = stopping(
            np.array([speeds[-1]]), np.array([speeds[-1] - speeds[-2]]), np.array([brake]), np.array([jerk])
        )
        follower.to_zero(np.array([True]))
        went = 0.0
        while (speed := _next(follower, 0.0)) > 1e-12:
            went += speed
        assert went <= bound[0] + 1e-9


def _next(follower: Follower, asked: float) -> float:
    target = frozen([asked])
    to, _, _ = follower.toward(target)
    follower.went(target, frozen(to))
    return float(to[0])


@every("kind, moved", [(Kind.VELOCITY, 0.1), (Kind.DELTA, 1.0)])
@every("age", range(4))
def test_the_room_left_counts_all_that_was_sent_since_the_reading_and_velocities_in_skipped_ticks(
    kind: Kind, moved: float, age: int
) -> None:
    spec = RobotSpec((Dim("a", kind=kind, drives="y"),), (Dim("y", low=-9.0, high=9.0),), RATE_HZ)
    edges = Edges(spec, 1 / RATE_HZ, np.array([np.inf]), np.array([np.inf]), 10)
    sent = [0.1, 0.2, None, 0.4]  # None: a tick that was skipped
    went = []
    for value in sent:
        edges.tick()
        if value is None:
            edges.left_out(frozen([0.2]), 1)
            went.append(0.2 * moved if kind is Kind.VELOCITY else 0.0)
        else:
            edges.sent(frozen([value]))
            went.append(value * moved)
    edges.tick()
    up, down = edges.room(frozen([0.0]), age)
    since = sum(went[len(went) - age :])
    assert (up[0], down[0]) == (pytest.approx(9.0 - since), pytest.approx(9.0 + since))
