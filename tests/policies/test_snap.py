"""Discrete actions, set to an end of their range."""

import numpy as np
import pytest

from rollahead.errors import ConfigError
from rollahead.policies.snap import Snap, middle_of
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

GRIP = Dim("grip", "", Kind.DISCRETE, -1.0, 1.0)
LAMP = Dim("lamp", "", Kind.DISCRETE, 0.0, 100.0, threshold=80.0)
LEFT = Dim("x", "m/s", Kind.VELOCITY, -1.0, 1.0)


def robot(*dims: Dim) -> RobotSpec:
    return RobotSpec(action=dims, state=(Dim("s"),), rate_hz=50.0)


def test_each_discrete_action_is_an_end_of_its_range_and_the_others_stay() -> None:
    rows = np.array([[0.1, 0.3, 79.0], [-0.1, -0.3, 81.0], [np.nan, 2.0, -5.0]])
    made = Snap(["grip", "x", "lamp"], robot(GRIP, LEFT, LAMP))(rows)
    np.testing.assert_array_equal(made, [[1.0, 0.3, 0.0], [-1.0, -0.3, 100.0], [np.nan, 2.0, 0.0]])
    assert rows[0, 0] == 0.1  # what was given is left as it is


def test_names_that_the_robot_does_not_take_stay() -> None:
    rows = np.array([[0.7, 0.1]])
    np.testing.assert_array_equal(Snap(["spare", "grip"], robot(GRIP))(rows), [[0.7, 1.0]])


@pytest.mark.parametrize(
    "dim, middle",
    [(GRIP, 0.0), (LAMP, 80.0), (Dim("g", "", Kind.DISCRETE, 0.0, 100.0), 50.0), (Dim("g", "", Kind.DISCRETE), 0.0)],
)
def test_a_discrete_dimension_turns_at_its_threshold_or_in_the_middle_of_its_range(dim: Dim, middle: float) -> None:
    assert middle_of(dim) == middle


def test_without_a_discrete_action_or_a_range_it_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"planner\.snap=true is for discrete actions, and the robot has none; leave"):
        Snap(["x"], robot(LEFT))
    with pytest.raises(
        ConfigError, match=r"'g' as the end of its range, which goes from -inf to inf; give .* a low and"
    ):
        Snap(["g"], robot(Dim("g", "", Kind.DISCRETE)))
