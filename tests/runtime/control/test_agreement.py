import numpy as np
import pytest

from rollahead.runtime.control.agreement import Agreement
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

SPEC = RobotSpec((Dim("x", low=-2.0, high=2.0, rate_limit=3.0, drives="x"),), (Dim("x"), Dim("load")), 10.0)


def agreed(*values: float, spec: RobotSpec = SPEC) -> list[bool]:
    agrees = Agreement(spec)
    return [all(agrees(k, Reading(frozen([value, 0.0][: len(spec.state)])))) for k, value in enumerate(values)]


@pytest.mark.parametrize("apart, close", [(0.63, True), (0.65, False), (-0.63, True), (-0.65, False)])
def test_readings_agree_that_are_no_farther_apart_than_two_ticks_at_the_rate_limit_and_some_noise(
    apart: float, close: bool
) -> None:
    assert agreed(0.0, apart) == [True, close]


def test_after_a_wrong_reading_the_next_but_one_agrees_again() -> None:
    assert agreed(1.0, 10.0, 1.0, 1.0) == [True, False, False, True]


def test_a_number_that_no_action_drives_or_no_limit_holds_may_jump() -> None:
    free = RobotSpec((Dim("x", drives="x"),), (Dim("x", "widgets"),), 10.0)
    assert agreed(0.0, 1e9, spec=free) == [True, True]
    agrees = Agreement(SPEC)
    assert agrees(0, Reading(frozen([0.0, 0.0]))) == [True, True]
    assert agrees(1, Reading(frozen([0.0, 1e9]))) == [True, True]
    assert agrees(2, Reading(frozen([9.0, 0.0]))) == [False, True]  # each number by itself


@pytest.mark.parametrize("kind, most", [(Kind.VELOCITY, 0.4), (Kind.DELTA, 4.0)])
def test_an_axis_may_move_twice_as_far_as_its_greatest_velocity_or_step_moves_it(kind: Kind, most: float) -> None:
    spec = RobotSpec((Dim("a", kind=kind, low=-2.0, high=2.0, drives="y"),), (Dim("y"),), 10.0)
    assert agreed(0.0, most - 0.01, spec=spec)[-1]
    assert not agreed(0.0, most + 0.01, spec=spec)[-1]


def test_a_reading_that_is_no_newer_proves_nothing() -> None:
    agrees = Agreement(SPEC)
    readings = ((0, 0.0, 0), (1, 9.0, 0), (2, 9.0, 1), (3, 9.0, 0))
    found = [agrees(k, Reading(frozen([x, 0.0]), age=age))[0] for k, x, age in readings]
    assert found == [True, False, False, True]


def test_a_reading_that_is_kept_and_given_again_proves_nothing_however_its_age_is_rounded() -> None:
    agrees, kept = Agreement(SPEC), frozen([9.0, 0.0])
    assert agrees(0, Reading(kept, age=1))[0]
    assert not agrees(1, Reading(kept, age=1))[0]  # measured a tick later, by its age
    assert not agrees(2, Reading(kept, age=2))[0]


@pytest.mark.parametrize("ticks", [1, 3, 6])
def test_readings_that_are_several_ticks_apart_may_differ_by_as_many_times_as_much(ticks: int) -> None:
    for apart, close in ((0.64 * ticks - 0.01, True), (0.64 * ticks + 0.01, False)):
        agrees = Agreement(SPEC)
        agrees(0, Reading(frozen([0.0, 0.0])))
        assert agrees(ticks, Reading(frozen([apart, 0.0])))[0] == close
        assert agrees.steady == (close and ticks == 1)  # where a robot begins it has to stand nearly still


def test_an_angle_that_turns_is_close_across_its_end() -> None:
    turn = Dim("x", "rad", low=-np.pi, high=np.pi)
    spec = RobotSpec((Dim("x", "rad", rate_limit=1.0, drives="x"),), (turn,), 10.0)
    assert agreed(3.1, -3.1, spec=spec)[-1]
    assert not agreed(0.0, 2 * np.pi, spec=spec)[-1]  # a turn off is not in the range of such an angle


@pytest.mark.parametrize("unit, apart, close", [("deg", 4.9, True), ("deg", 5.1, False), ("rad", 0.11, False)])
def test_without_any_limit_the_unit_says_what_is_plausible(unit: str, apart: float, close: bool) -> None:
    free = RobotSpec((Dim("x", unit, drives="x"),), (Dim("x", unit),), 10.0)
    assert agreed(0.0, apart, spec=free)[-1] == close


def test_a_switch_agrees_within_half_of_its_range() -> None:
    grip = Dim("grip", kind=Kind.DISCRETE, low=0.0, high=1.0, drives="grip")
    spec = RobotSpec((grip,), (Dim("grip"),), 10.0)
    assert agreed(0.0, 0.4, spec=spec)[-1]
    assert not agreed(0.0, 6.0, spec=spec)[-1]
