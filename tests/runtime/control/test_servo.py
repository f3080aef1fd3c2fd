import itertools

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.control.servo import SHAPES, Servo
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.rotation import matrix_from_rotvec
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

KINDS = (Kind.POSITION, Kind.VELOCITY, Kind.DELTA, Kind.DISCRETE)
SPEC = RobotSpec(
    tuple(Dim(kind.value, kind=kind, drives="x" if kind is Kind.POSITION else None) for kind in KINDS),
    (Dim("x"),),
    50.0,
)
ROTATION = RobotSpec(
    (Dim("x", drives="x"), *(Dim(f"r{axis}", kind=Kind.ROTATION, drives="x") for axis in "xyz")), (Dim("x"),), 50.0
)
BEFORE, ROW, AFTER = frozen([1.0, 2.0, 0.4, 0.0]), frozen([2.0, 4.0, 0.8, 1.0]), frozen([4.0, 8.0, 0.2, 0.0])
GRID = list(itertools.product((2, 3, 5, 10), SHAPES))


@every("n, shape", GRID)
def test_each_kind_is_spread_over_the_tick_in_its_own_way(n: int, shape: str) -> None:
    sent = Servo(SPEC, n, shape).setpoints(BEFORE, ROW, AFTER)
    assert sent.shape == (n, 4)
    position, velocity, delta, discrete = sent.T
    assert position[0] == 2.0
    np.testing.assert_allclose(velocity, 4.0 + 4.0 * np.arange(n) / n)
    np.testing.assert_allclose(delta, 0.8 / n)
    assert (discrete == 1.0).all()


@pytest.mark.parametrize("n", [2, 4, 7])
def test_linear_positions_lead_straight_to_the_next_row(n: int) -> None:
    position = Servo(SPEC, n, "linear").setpoints(BEFORE, ROW, AFTER)[:, 0]
    np.testing.assert_allclose(position, 2.0 + 2.0 * np.arange(n) / n)


@pytest.mark.parametrize("n", [4, 10, 100])
def test_cubic_positions_have_no_kink_at_a_row(n: int) -> None:
    servo = Servo(SPEC, n, "cubic")
    rows = [frozen([x, 0.0, 0.0, 0.0]) for x in (0.0, 1.0, 3.0, 2.0, 2.5)]
    path = np.concatenate([servo.setpoints(*rows[i : i + 3])[:, 0] for i in range(3)])
    np.testing.assert_allclose(path[::n], [1.0, 3.0, 2.0])
    speeds = np.diff(path) * n
    for k in (n, 2 * n):
        assert abs(speeds[k] - speeds[k - 1]) < 12 / n  # it falls with the time between setpoints


@every("n, shape", GRID)
def test_from_rest_the_first_tick_leads_straight_to_the_next_row(n: int, shape: str) -> None:
    path = Servo(SPEC, n, shape).setpoints(None, ROW, AFTER)[:, 0]
    np.testing.assert_allclose(path, 2.0 + 2.0 * np.arange(n) / n)


@every("n, shape", GRID)
def test_a_steady_stream_stays_a_straight_line_in_either_shape(n: int, shape: str) -> None:
    servo = Servo(SPEC, n, shape)
    rows = [frozen([0.5 * k, 1.0, 0.1, 0.0]) for k in range(5)]
    path = np.concatenate([servo.setpoints(*rows[i : i + 3])[:, 0] for i in range(3)])
    np.testing.assert_allclose(np.diff(path), 0.5 / n, atol=1e-12)


@every("n, shape", GRID)
def test_what_a_tick_comes_to_is_the_row_where_that_is_a_sum_and_the_last_target_where_it_is_not(
    n: int, shape: str
) -> None:
    servo = Servo(SPEC, n, shape)
    sent = servo.setpoints(BEFORE, ROW, AFTER)
    effect = servo.effect(ROW, sent)
    assert effect[0] == sent[-1, 0]
    assert effect[1] == pytest.approx(sent[:, 1].mean())
    assert effect[2] == pytest.approx(0.8)
    assert effect[3] == 1.0


def test_rotations_turn_at_a_steady_rate_the_short_way() -> None:
    row, after = frozen([0.0, 0.0, 0.0, 3.0]), frozen([0.0, 0.0, 0.0, -3.0])  # 0.283 rad apart, through pi
    sent = Servo(ROTATION, 4).setpoints(None, row, after)[:, 1:]
    turns = [matrix_from_rotvec(a).T @ matrix_from_rotvec(b) for a, b in itertools.pairwise([*sent, after[1:]])]
    angles = [np.arccos((np.trace(turn) - 1) / 2) for turn in turns]
    np.testing.assert_allclose(angles, (2 * np.pi - 6.0) / 4, atol=1e-6)


def test_one_setpoint_a_tick_is_the_row() -> None:
    assert Servo(SPEC).setpoints(BEFORE, ROW, AFTER).tolist() == [ROW.tolist()]


def test_what_cannot_be_spread_is_refused() -> None:
    with pytest.raises(ConfigError, match="substeps is 0"):
        Servo(SPEC, 0)
    with pytest.raises(ConfigError, match=r"no shape of setpoints 'cubik'.*cubic"):
        Servo(SPEC, 2, "cubik")
    two = RobotSpec(
        (Dim("a", kind=Kind.ROTATION, drives="x"), Dim("b", kind=Kind.ROTATION, drives="x")), (Dim("x"),), 50.0
    )
    with pytest.raises(ConfigError, match="the rotations a, b are no rotation vectors"):
        Servo(two, 2)
    Servo(two, 1)
