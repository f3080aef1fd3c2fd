from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec


def spec(**limits: float) -> RobotSpec:
    """An action of each kind."""
    action = tuple(Dim(kind.value, kind=kind, drives="x", **limits) for kind in Kind)
    return RobotSpec(action, (Dim("x"),), rate_hz=50.0)


SPEC = spec()
LIMITED = spec(low=-1.0, high=2.0)
COLUMN = {kind: j for j, kind in enumerate(Kind)}
SIZES = list(product(range(1, 6), range(1, 13)))  # q, H


def planned(horizon: int, seed: int = 0) -> FloatArray:
    return frozen(np.random.default_rng(seed).uniform(-1, 2, (horizon, len(Kind))))


@every(("q", "horizon"), SIZES)
def test_each_kind_is_sped_up_group_by_group_and_a_short_last_group_is_dropped(q: int, horizon: int) -> None:
    rows = planned(horizon)
    groups = [rows[i : i + q] for i in range(0, horizon, q)]
    whole = [group for group in groups if len(group) == q]
    faster = SpeedUp(SPEC, q)(rows)
    assert faster.shape == (len(whole), len(Kind))
    for made, group in zip(faster, whole, strict=True):
        for kind, j in COLUMN.items():
            expected = {Kind.DELTA: sum(group[:, j]), Kind.VELOCITY: q * group[-1, j]}.get(kind, group[-1, j])
            assert made[j] == pytest.approx(expected, abs=1e-12)


@every(("q", "horizon"), SIZES)
def test_deltas_lead_as_far_as_they_did_up_to_the_last_whole_group(q: int, horizon: int) -> None:
    rows = planned(horizon)
    kept = horizon - horizon % q
    summed = SpeedUp(SPEC, q)(rows)[:, COLUMN[Kind.DELTA]].sum()
    assert summed == pytest.approx(rows[:kept, COLUMN[Kind.DELTA]].sum(), abs=1e-12)


@pytest.mark.parametrize("q", range(2, 6))
def test_every_absolute_target_sent_is_one_that_was_planned(q: int) -> None:
    rows = planned(12)
    faster = SpeedUp(LIMITED, q)(rows)
    for kind in (Kind.POSITION, Kind.DISCRETE, Kind.ROTATION):
        np.testing.assert_array_equal(faster[:, COLUMN[kind]], rows[q - 1 :: q, COLUMN[kind]][: len(faster)])


@every("kind", [Kind.DELTA, Kind.VELOCITY])
@every("q", range(1, 6))
def test_deltas_and_velocities_stay_within_the_range_of_the_robot(q: int, kind: Kind) -> None:
    rows = planned(10)
    unlimited, limited = (SpeedUp(spec, q)(rows)[:, COLUMN[kind]] for spec in (SPEC, LIMITED))
    np.testing.assert_array_equal(limited, np.clip(unlimited, -1.0, 2.0))
    assert q == 1 or (limited != unlimited).any()


def test_as_planned_is_as_planned_to_the_bit() -> None:
    for horizon in range(1, 13):
        rows = planned(horizon)
        np.testing.assert_array_equal(SpeedUp(LIMITED, 1)(rows), rows)
