from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.runtime.safety.hold import MOVING, Hold
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

RATE_HZ = 50.0
KEPT = tuple(kind for kind in Kind if kind not in MOVING)


def hold_of(kind: Kind, rate_limit: float = np.inf, drives: str | None = "s") -> Hold:
    action = Dim("a", kind=kind, rate_limit=rate_limit, drives=drives)
    return Hold(RobotSpec((action,), (Dim("s"),), rate_hz=RATE_HZ))


@every("kind", KEPT)
@every("value", [-2.5, 0.0, 0.3, 7.0])
def test_what_does_not_move_by_itself_is_repeated_to_the_bit(kind: Kind, value: float) -> None:
    rows = hold_of(kind, rate_limit=0.1).rows(frozen([value]), 5)
    np.testing.assert_array_equal(rows, np.full((5, 1), value))


@every("kind", MOVING)
@every("limit", [0.5, 10.0, 50.0, 1000.0, np.inf])
@every("value", [-3.0, -0.01, 0.0, 0.2, 1.0])
def test_what_moves_is_braked_to_zero_at_the_rate_limit_and_not_past_it(kind: Kind, limit: float, value: float) -> None:
    rows = hold_of(kind, limit).rows(frozen([value]), 40)[:, 0]
    sizes = [max(abs(value) - n * limit / RATE_HZ, 0.0) for n in range(1, 41)]
    np.testing.assert_allclose(rows, np.sign(value) * np.array(sizes), atol=1e-12)
    steps = np.abs(np.diff([value, *rows]))
    assert (steps <= limit / RATE_HZ + 1e-12).all()


def mixed() -> Hold:
    dims = tuple(Dim(kind.value, kind=kind, rate_limit=4.0, drives=f"{kind.value}_state") for kind in Kind)
    return Hold(RobotSpec(dims, tuple(Dim(f"{kind.value}_state") for kind in reversed(Kind)), rate_hz=RATE_HZ))


def test_holds_told_one_by_one_are_the_holds_told_at_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        last = frozen(rng.uniform(-1, 1, len(Kind)))
        n, i = int(rng.integers(1, 12)), int(rng.integers(0, 12))
        rows = mixed().rows(last, n + i)
        later = mixed().rows(rows[i - 1] if i else last, n)
        np.testing.assert_allclose(later, rows[i:], atol=1e-12)


def test_the_first_action_of_an_epoch_holds_positions_where_they_are_measured() -> None:
    state = frozen(np.arange(10.0, 10.0 + len(Kind)))  # the state's order is the reverse of the action's
    for last in (None, frozen(np.full(len(Kind), 0.5))):
        first = dict(zip(Kind, mixed().first(state, last), strict=True))
        measured = dict(zip(reversed(Kind), state, strict=True))
        assert first[Kind.POSITION] == measured[Kind.POSITION]
        assert first[Kind.ROTATION] == measured[Kind.ROTATION]


def test_the_first_action_of_a_robot_that_stands_moves_nothing_that_moved_before() -> None:
    last = frozen(np.full(len(Kind), 0.5))
    first = dict(zip(Kind, mixed().first(frozen(np.zeros(len(Kind))), last), strict=True))
    for kind in MOVING:
        assert first[kind] == 0.0


def test_the_first_action_of_all_moves_nothing() -> None:
    first = dict(zip(Kind, mixed().first(frozen(np.ones(len(Kind))), None), strict=True))
    assert [first[kind] for kind in MOVING] == [0.0, 0.0]


def test_after_a_reset_a_gripper_keeps_what_it_was_last_sent() -> None:
    hold = Hold(RobotSpec((Dim("grip", kind=Kind.DISCRETE, drives="opening"),), (Dim("opening"),), rate_hz=RATE_HZ))
    half_shut_on_an_object = frozen([0.4])
    for sent in (0.0, 1.0):
        np.testing.assert_array_equal(hold.first(half_shut_on_an_object, frozen([sent])), [sent])


@pytest.mark.parametrize("kind", KEPT)
def test_before_anything_was_sent_what_does_not_move_by_itself_is_held_as_measured(kind: Kind) -> None:
    np.testing.assert_array_equal(hold_of(kind).first(frozen([0.4]), None), [0.4])


def test_a_discrete_value_that_drives_nothing_is_held_as_it_was_sent() -> None:
    hold = hold_of(Kind.DISCRETE, drives=None)
    np.testing.assert_array_equal(hold.first(frozen([9.0]), frozen([0.7])), [0.7])


@every("kind", Kind)
@every("value", [-1.5, 0.0, 2.0])
def test_in_a_skipped_tick_a_delta_did_nothing_and_all_else_went_on(kind: Kind, value: float) -> None:
    did = hold_of(kind, rate_limit=0.1).skipped(frozen([value]))
    np.testing.assert_array_equal(did, [0.0 if kind is Kind.DELTA else value])


def test_a_hold_never_writes_what_it_was_given() -> None:
    for method, moved in product(("rows", "first", "skipped"), (0.0, 0.4)):
        last, state = np.full(len(Kind), moved), np.ones(len(Kind))
        call = {"rows": lambda a, s: mixed().rows(a, 3), "first": lambda a, s: mixed().first(s, a)}
        made = call.get(method, lambda a, s: mixed().skipped(a))(last, state)
        made[...] = 99.0
        np.testing.assert_array_equal(last, np.full(len(Kind), moved))
        np.testing.assert_array_equal(state, np.ones(len(Kind)))


@pytest.mark.parametrize("apart, far", [(0.24, False), (0.26, True), (-0.26, True), (-0.24, False)])
def test_a_robot_is_far_from_its_target_if_its_rate_limit_takes_a_quarter_of_a_second_to_get_there(
    apart: float, far: bool
) -> None:
    spec = RobotSpec((Dim("x", rate_limit=1.0, drives="x"), Dim("free", drives="y")), (Dim("x"), Dim("y")), RATE_HZ)
    found = Hold(spec).far(frozen([3.0 + apart, 99.0]), frozen([3.0, 0.0]))
    assert (None if found is None else found.tolist()) == ([True, False] if far else None)


def test_without_a_rate_limit_it_is_never_far_for_it_is_being_held_there() -> None:
    spec = RobotSpec((Dim("x", low=-1.0, high=1.0, drives="x"),), (Dim("x"),), RATE_HZ)
    assert Hold(spec).far(frozen([0.9]), frozen([-0.9])) is None


def test_an_angle_is_far_the_short_way_round() -> None:
    turn = Dim("x", "rad", low=-np.pi, high=np.pi)
    hold = Hold(RobotSpec((replace(turn, rate_limit=1.0, drives="x"),), (turn,), RATE_HZ))
    assert hold.far(frozen([-3.1]), frozen([3.1])) is None
