import itertools

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.control.discrete import Discrete
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

GRIP = Dim("grip", kind=Kind.DISCRETE, low=0.0, high=1.0, threshold=0.6, hysteresis=0.2)
SPEC = RobotSpec((Dim("x", drives="x"), GRIP), (Dim("x"),), 10.0)


def snapped(value: float, last: float | None) -> float:
    before = None if last is None else frozen([7.0, last])
    return float(Discrete(SPEC)(frozen([3.0, value]), before)[1])


@every("value, last", list(itertools.product(np.linspace(-0.5, 1.5, 41), (0.0, 1.0))))
def test_it_switches_at_the_edges_and_stays_between_them(value: float, last: float) -> None:
    expected = 1.0 if value >= 0.7 else 0.0 if value <= 0.5 else last
    assert snapped(value, last) == expected


@every("value", np.linspace(-0.5, 1.5, 41))
def test_with_nothing_sent_before_the_middle_decides(value: float) -> None:
    assert snapped(value, None) == float(value >= 0.6)


@pytest.mark.parametrize("last", [0.3, 0.49, 0.51, 0.8])
def test_between_the_edges_it_goes_to_the_level_that_the_last_one_is_nearer_to(last: float) -> None:
    assert snapped(0.6, last) == round(last)


def test_a_policy_that_trembles_within_the_hysteresis_moves_nothing() -> None:
    rng = np.random.default_rng(0)
    last = 1.0
    for value in rng.uniform(0.501, 0.699, 200):
        last = snapped(float(value), last)
        assert last == 1.0


@every("sent", np.linspace(0.0, 1.0, 11))
def test_a_gripper_on_its_way_stays_as_decided_however_far_it_has_come(sent: float) -> None:
    discrete = Discrete(SPEC)
    assert discrete(frozen([0.0, 0.9]), frozen([0.0, 0.0]))[1] == 1.0
    assert discrete(frozen([0.0, 0.6]), frozen([0.0, sent]))[1] == 1.0  # between the edges
    assert discrete(frozen([0.0, 0.4]), frozen([0.0, sent]))[1] == 0.0


@every("sent", np.linspace(0.0, 1.0, 11))
def test_a_hold_keeps_what_was_decided_and_before_that_what_is_nearer(sent: float) -> None:
    discrete = Discrete(SPEC)
    assert discrete.hold(frozen([0.0, sent]))[1] == float(sent > 0.5)
    discrete(frozen([0.0, 0.9]), frozen([0.0, 0.0]))
    assert discrete.hold(frozen([0.0, sent]))[1] == 1.0
    discrete.forget()  # as a pause does, amid the way
    assert discrete.hold(frozen([0.0, sent]))[1] == 1.0


def test_nan_changes_nothing_of_what_was_decided() -> None:
    discrete = Discrete(SPEC)
    discrete(frozen([0.0, 0.9]), frozen([0.0, 0.0]))
    discrete(frozen([0.0, np.nan]), frozen([0.0, 1.0]))
    assert discrete.hold(frozen([0.0, 0.2]))[1] == 1.0


def test_nan_is_left_for_the_guard_and_other_dimensions_as_they_are() -> None:
    row = Discrete(SPEC)(frozen([3.3, np.nan]), frozen([1.0, 1.0]))
    assert row[0] == 3.3
    assert np.isnan(row[1])


def test_without_a_threshold_a_row_is_passed_on_itself() -> None:
    row = frozen([1.0, 0.4])
    free = RobotSpec((Dim("x", drives="x"), Dim("grip", kind=Kind.DISCRETE)), (Dim("x"),), 10.0)
    assert Discrete(free)(row, None) is row


def test_a_threshold_must_lie_inside_the_range_of_a_discrete_dimension() -> None:
    with pytest.raises(ConfigError, match=r"'x' has a threshold, and is position from -inf to inf"):
        Dim("x", threshold=0.5)
    with pytest.raises(ConfigError, match=r"'g' switches at 0.4 and 1.4, and goes from 0.0 to 1.0"):
        Dim("g", kind=Kind.DISCRETE, low=0.0, high=1.0, threshold=0.9, hysteresis=1.0)
    with pytest.raises(ConfigError, match=r"'g' switches at"):
        Dim("g", kind=Kind.DISCRETE, low=0.0, high=1.0, threshold=0.5, hysteresis=-0.1)


def test_a_switch_that_is_not_measured_is_first_held_low() -> None:
    switch = Dim("switch", kind=Kind.DISCRETE, low=-1.0, high=1.0, threshold=0.0)
    spec = RobotSpec((switch,), (Dim("x"),), 10.0)
    assert Discrete(spec).hold(frozen([0.0]))[0] == -1.0
