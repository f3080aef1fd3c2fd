import numpy as np
import pytest

from rollahead.runtime.agreement import Agreement
from rollahead.runtime.arrays import frozen
from rollahead.runtime.robots import Reading
from rollahead.runtime.spec import Dim, Kind, RobotSpec

SPEC = RobotSpec((Dim("x", low=-2.0, high=2.0, rate_limit=3.0, drives="x"),), (Dim("x"), Dim("load")), 10.0)


def agreed(*values: float, spec: RobotSpec = SPEC) -> list[bool]:
    agrees = Agreement(spec)
    return [agrees(k, Reading(frozen([value, 0.0][: len(spec.state)]))) for k, value in enumerate(values)]


@pytest.mark.parametrize("apart, close", [(0.63, True), (0.65, False), (-0.63, True), (-0.65, False)])
def test_readings_agree_that_are_no_farther_apart_than_two_ticks_at_the_rate_limit_and_some_noise(
    apart: float, close: bool
) -> None:
    assert agreed(0.0, apart) == [True, close]


def test_after_a_wrong_reading_the_next_but_one_agrees_again() -> None:
    assert agreed(1.0, 10.0, 1.0, 1.0) == [True, False, False, True]


def test_a_number_that_no_action_drives_or_no_limit_holds_may_jump() -> None:
    free = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), 10.0)
    assert agreed(0.0, 1e9, spec=free) == [True, True]
    agrees = Agreement(SPEC)
    assert agrees(0, Reading(frozen([0.0, 0.0])))
    assert agrees(1, Reading(frozen([0.0, 1e9])))


@pytest.mark.parametrize("kind, most", [(Kind.VELOCITY, 0.4), (Kind.DELTA, 4.0)])
def test_an_axis_may_move_twice_as_far_as_its_greatest_velocity_or_step_moves_it(kind: Kind, most: float) -> None:
    spec = RobotSpec((Dim("a", kind=kind, low=-2.0, high=2.0, drives="y"),), (Dim("y"),), 10.0)
    assert agreed(0.0, most - 0.01, spec=spec)[-1]
    assert not agreed(0.0, most + 0.01, spec=spec)[-1]


def test_a_reading_that_is_no_newer_proves_nothing() -> None:
    agrees = Agreement(SPEC)
    found = [agrees(k, Reading(frozen([x, 0.0]), age=age)) for k, x, age in ((0, 0.0, 0), (1, 9.0, 0), (2, 9.0, 1))]
    assert found == [True, False, False]
    assert agrees(3, Reading(frozen([9.0, 0.0]), age=0))


def test_an_angle_that_turns_is_close_across_its_end() -> None:
    turn = Dim("x", "rad", low=-np.pi, high=np.pi)
    spec = RobotSpec((Dim("x", "rad", rate_limit=1.0, drives="x"),), (turn,), 10.0)
    assert agreed(3.1, -3.1, spec=spec)[-1]
