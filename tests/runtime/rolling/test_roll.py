"""Rollers, held to each other on an arm that tracks perfectly, and to closed forms and exponential series."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.rolling.roll import (
    Absolute,
    Chain,
    Delta,
    FirstOrderLag,
    Pose,
    StateRoller,
    Velocity,
    VelocityLag,
    check_lookback,
    for_spec,
    lookback_of,
    still,
    unanchor,
)
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

PERIOD_S = 0.02
TAU_S = 0.07
NONE = np.empty(0, np.intp)
THREE = np.arange(3)


def straight(joints: FloatArray = THREE) -> FloatArray:
    return np.zeros(len(joints), np.bool_)


# state: nine numbers, of which the rollers roll the first three or six; action: six
ROLLERS: dict[str, StateRoller] = {
    "still": still,
    "absolute": Absolute(THREE, THREE),
    "delta": Delta(THREE, THREE, straight()),
    "delta_wrapped": Delta(THREE, THREE, ~straight()),
    "velocity": Velocity(THREE, THREE, THREE + 3, PERIOD_S),
    "velocity_unmeasured": Velocity(THREE, THREE, NONE, PERIOD_S),
    "first_order_lag": FirstOrderLag(THREE, THREE, TAU_S, PERIOD_S),
    "velocity_lag": VelocityLag(THREE, THREE, THREE + 3, TAU_S, PERIOD_S),
    "pose_base": Pose(np.arange(6), THREE, THREE + 3, scale=PERIOD_S),
    "pose_body": Pose(np.arange(6), THREE, THREE + 3, scale=PERIOD_S, body=True),
    "delayed_lag": FirstOrderLag(THREE, THREE, TAU_S, PERIOD_S, delay=3),
    "delayed_velocity_lag": VelocityLag(THREE, THREE, THREE + 3, TAU_S, PERIOD_S, delay=2),
    "chain": Chain((Absolute(THREE[:1], THREE[:1]), Velocity(THREE[1:], THREE[1:], NONE, PERIOD_S))),
    "delayed_chain": Chain(
        (
            FirstOrderLag(THREE[:1], THREE[:1], TAU_S, PERIOD_S, delay=1),
            Velocity(THREE[1:2], THREE[1:2], NONE, PERIOD_S),
            FirstOrderLag(THREE[2:], THREE[2:], TAU_S, PERIOD_S, delay=4),
        )
    ),
}
SIX = {"velocity", "velocity_lag", "delayed_velocity_lag", "pose_base", "pose_body"}
ROLLED = {name: 0 if name == "still" else 6 if name in SIX else 3 for name in ROLLERS}


def samples(seed: int, n: int = 20) -> list[tuple[FloatArray, FloatArray]]:
    """States (9,) and rows (0 to 11, 6), read-only."""
    rng = np.random.default_rng(seed)
    return [(frozen(rng.uniform(-1.5, 1.5, 9)), frozen(rng.uniform(-2, 2, (i % 12, 6)))) for i in range(n)]


@every("name", ROLLERS)
def test_no_rows_leave_the_state_as_it_is(name: str) -> None:
    for state, rows in samples(0):
        np.testing.assert_allclose(ROLLERS[name](state, rows[:0]), state, atol=1e-14)
        np.testing.assert_allclose(ROLLERS[name](state, rows[: lookback_of(ROLLERS[name])]), state, atol=1e-14)


@every("name", ROLLERS)
def test_rolling_in_two_parts_is_rolling_at_once(name: str) -> None:
    roll = ROLLERS[name]
    back = lookback_of(roll)
    for state, rows in samples(1):
        for i in range(len(rows) - back + 1):
            np.testing.assert_allclose(roll(roll(state, rows[: back + i]), rows[i:]), roll(state, rows), atol=1e-12)


@every("name", ROLLERS)
def test_what_a_roller_does_not_roll_stays_as_it_was_measured(name: str) -> None:
    for state, rows in samples(2):
        np.testing.assert_array_equal(ROLLERS[name](state, rows)[ROLLED[name] :], state[ROLLED[name] :])


@every("name", [name for name in ROLLERS if name != "still"])
def test_a_roller_gives_a_new_state(name: str) -> None:
    for state, rows in samples(3, n=3):
        ROLLERS[name](state, rows)[:] = 99.0  # neither raises, nor writes the read-only state


# ---- an arm that reaches every target within its tick -------------------------------------------------------------


def path(seed: int) -> FloatArray:
    """(T + 1, 3), where the arm is at the head of each tick."""
    return np.cumsum(np.random.default_rng(seed).uniform(-0.2, 0.2, (13, 3)), axis=0)


@every("seed", range(10))
def test_all_action_spaces_agree_with_an_arm_that_tracks_perfectly(seed: int) -> None:
    arm = path(seed)
    anchor = arm[4]
    relative = arm[1:] - anchor
    spaces: dict[str, tuple[StateRoller, FloatArray]] = {
        "absolute": (Absolute(THREE, THREE), arm[1:]),
        "delta": (Delta(THREE, THREE, straight()), np.diff(arm, axis=0)),
        "chunk-relative": (Absolute(THREE, THREE), unanchor(relative, anchor, THREE, THREE)),
        "velocity": (Velocity(THREE, THREE, NONE, PERIOD_S), np.diff(arm, axis=0) / PERIOD_S),
        "lag without inertia": (FirstOrderLag(THREE, THREE, 1e-6, PERIOD_S), arm[1:]),
        "base twist": (
            Pose(np.arange(6), THREE, THREE + 3, scale=PERIOD_S),
            np.pad(np.diff(arm, axis=0) / PERIOD_S, ((0, 0), (0, 3))),
        ),
    }
    for name, (roll, rows) in spaces.items():
        for start in range(len(arm)):
            for stop in range(start, len(arm)):
                state = np.zeros(6)
                state[:3] = arm[start]
                rolled = roll(state, rows[start:stop])[:3]
                np.testing.assert_allclose(rolled, arm[stop], atol=1e-9, err_msg=name)


def test_measured_velocities_become_the_last_one_sent() -> None:
    for state, rows in samples(4):
        rolled = ROLLERS["velocity"](state, rows)
        np.testing.assert_array_equal(rolled[3:6], rows[-1, :3] if len(rows) else state[3:6])


# ---- angles -------------------------------------------------------------------------------------------------------

ANGLE = Delta(np.array([0]), np.array([0]), np.array([True]))


def test_an_angle_is_wrapped_to_the_same_angle() -> None:
    rng = np.random.default_rng(6)
    for _ in range(200):
        start, steps = rng.uniform(-np.pi, np.pi), rng.uniform(-4, 4, (int(rng.integers(0, 9)), 1))
        angle = ANGLE(np.array([start]), steps)[0]
        assert -np.pi <= angle < np.pi
        assert np.cos(angle - start - steps.sum()) == pytest.approx(1.0, abs=1e-12)


@every("turns", range(-3, 4))
@every("past", [0.0, 4e-16, -4e-16, 1e-9, -1e-9])
def test_an_angle_at_half_a_turn_is_in_the_half_open_range(turns: int, past: float) -> None:
    angle = ANGLE(np.array([(2 * turns + 1) * np.pi + past]), np.zeros((1, 1)))[0]
    assert -np.pi <= angle < np.pi


def test_a_joint_that_turns_past_pi_is_rolled_to_where_it_will_be() -> None:
    joint = Dim("q", "rad", low=-2 * np.pi, high=2 * np.pi)  # most arms have one
    roll = for_spec(RobotSpec((Dim("dq", "rad", Kind.DELTA, drives="q"),), (joint,), rate_hz=50.0))
    np.testing.assert_allclose(roll(np.array([3.0]), np.full((4, 1), 0.1)), [3.4], atol=1e-12)
    np.testing.assert_allclose(roll(np.array([4.0]), np.empty((0, 1))), [4.0], atol=1e-12)


def spec_of_a_joint(unit: str, low: float, high: float, drive: Kind = Kind.DELTA) -> RobotSpec:
    return RobotSpec((Dim("dq", unit, drive, drives="q"),), (Dim("q", unit, low=low, high=high),), rate_hz=50.0)


@pytest.mark.parametrize("drive", [Kind.DELTA, Kind.VELOCITY])
def test_no_rows_leave_a_turn_as_it_was_measured_to_the_bit(drive: Kind) -> None:
    roll = for_spec(spec_of_a_joint("rad", -np.pi, np.pi, drive))
    for angle in (-np.pi, 0.1, 3.0, np.pi, 4.0):  # also what the robot should not have given
        assert roll(np.array([angle]), np.empty((0, 1)))[0] == angle


@every("unit", ["rad", "deg", ""])
@every("low", [-np.inf, -2 * np.pi, -np.pi, -3.0, 0.0])
@every("high", [3.0, np.pi, 2 * np.pi, np.inf])
def test_only_what_is_measured_in_rad_from_minus_pi_to_pi_is_turned(unit: str, low: float, high: float) -> None:
    rolled = for_spec(spec_of_a_joint(unit, low, high))(np.array([3.0]), np.full((4, 1), 0.1))
    turns = (unit, low, high) == ("rad", -np.pi, np.pi)
    np.testing.assert_allclose(rolled, [3.4 - 2 * np.pi if turns else 3.4], atol=1e-12)


# ---- lags ---------------------------------------------------------------------------------------------------------


def lag(delay: int = 0) -> FirstOrderLag:
    return FirstOrderLag(THREE, THREE, TAU_S, PERIOD_S, delay)


def velocity_lag(delay: int = 0) -> VelocityLag:
    return VelocityLag(THREE, THREE, THREE + 3, TAU_S, PERIOD_S, delay)


def test_a_lag_answers_changing_targets_with_the_sum_of_its_step_responses() -> None:
    for state, rows in samples(8):
        left = np.exp(-PERIOD_S / TAU_S * np.arange(len(rows), -1, -1))  # of what was there at the head of each tick
        expected = left[0] * state[:3] + np.diff(left) @ rows[:, :3]
        np.testing.assert_allclose(lag()(state, rows)[:3], expected, atol=1e-12)


@every("delay", range(6))
def test_after_a_pure_delay_the_robot_does_what_it_was_told_that_many_ticks_ago(delay: int) -> None:
    for state, rows in samples(9, n=36):
        moved, pipe = state, deque(rows[:delay])  # told before it was measured
        for row in rows[delay:]:
            pipe.append(row)
            moved = lag()(moved, pipe.popleft()[None])
        np.testing.assert_allclose(lag(delay)(state, rows), moved, atol=1e-12)


@every("delay", range(6))
def test_a_delayed_rate_is_rolled_as_the_rate_without_delay_over_what_is_in_effect(delay: int) -> None:
    for state, rows in samples(11, n=36):
        moved, pipe = state, deque(rows[:delay])
        for row in rows[delay:]:
            pipe.append(row)
            moved = velocity_lag()(moved, pipe.popleft()[None])
        np.testing.assert_allclose(velocity_lag(delay)(state, rows), moved, atol=1e-12)


def test_a_lag_beats_the_last_action_on_an_arm_that_lags() -> None:
    truth = lag()
    for state, rows in samples(10):
        if len(rows):
            arm = truth(state, rows)
            proxy = Absolute(THREE, THREE)(state, rows)
            assert np.abs(lag()(state, rows) - arm).max() < 1e-12 < np.abs(proxy - arm).max()


def test_a_velocity_lag_answers_changing_rates_with_the_sum_of_its_pulse_responses() -> None:
    for state, rows in samples(12):
        left = np.exp(-PERIOD_S / TAU_S * np.arange(len(rows), -1, -1))
        came = np.diff(left)  # the share of each pulse that is in the rate at the end
        x = state[:3] + TAU_S * (1 - left[0]) * state[3:6] + (PERIOD_S - TAU_S * came) @ rows[:, :3]
        rolled = ROLLERS["velocity_lag"](state, rows)
        np.testing.assert_allclose(rolled[:3], x, atol=1e-12)
        np.testing.assert_allclose(rolled[3:6], left[0] * state[3:6] + came @ rows[:, :3], atol=1e-12)


LAGS: dict[str, Callable[[float, int], StateRoller]] = {
    "first_order_lag": lambda tau, delay: FirstOrderLag(THREE, THREE, tau, PERIOD_S, delay),
    "velocity_lag": lambda tau, delay: VelocityLag(THREE, THREE, THREE + 3, tau, PERIOD_S, delay),
}


@pytest.mark.parametrize("name", LAGS)
@pytest.mark.parametrize("tau", [0.0, -0.1])
def test_a_time_constant_that_is_not_positive_is_refused(name: str, tau: float) -> None:
    with pytest.raises(ConfigError, match=f"tau_s is {tau}"):
        LAGS[name](tau, 0)


@pytest.mark.parametrize("name", LAGS)
def test_a_delay_is_what_a_lag_looks_back_and_a_negative_one_is_refused(name: str) -> None:
    assert [lookback_of(LAGS[name](TAU_S, delay)) for delay in range(4)] == [0, 1, 2, 3]
    with pytest.raises(ConfigError, match="delay -1"):
        LAGS[name](TAU_S, -1)


# ---- lookback -----------------------------------------------------------------------------------------------------


@dataclass
class Told:
    """A user's roller that keeps what rows it was given."""

    lookback: int
    rows: list[FloatArray] = field(default_factory=list)

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        self.rows.append(rows)
        return state


@pytest.mark.parametrize("lookbacks", list(product(range(4), repeat=3)), ids=str)
def test_a_chain_looks_back_as_far_as_any_of_its_parts_and_gives_each_what_it_wants(lookbacks: tuple[int, ...]) -> None:
    parts = [Told(n) for n in lookbacks]
    chain = Chain((*parts, still))
    assert lookback_of(chain) == max(lookbacks)
    rows = np.arange(16.0)[:, None]
    chain(np.zeros(1), rows)
    for part in parts:
        np.testing.assert_array_equal(part.rows[0], rows[max(lookbacks) - part.lookback :])


def test_what_says_nothing_of_it_looks_back_on_nothing() -> None:
    assert [lookback_of(roll) for roll in (still, Absolute(THREE, THREE), Chain(()), lag())] == [0, 0, 0, 0]


@every(("lookback", "horizon"), list(product(range(6), repeat=2)))
def test_a_roller_may_look_back_as_far_as_a_chunk_lasts(lookback: int, horizon: int) -> None:
    if lookback <= horizon:
        roll = Told(lookback)
        assert check_lookback(roll, horizon) is roll
    else:
        with pytest.raises(ConfigError, match=f"delay of {lookback} ticks, .* H = {horizon} ticks"):
            check_lookback(Told(lookback), horizon)


# ---- poses --------------------------------------------------------------------------------------------------------


def hat(w: FloatArray) -> FloatArray:
    return np.array([[0, -w[2], w[1]], [w[2], 0, -w[0]], [-w[1], w[0], 0]], dtype=np.float64)


def twist_matrix(twist: FloatArray) -> FloatArray:
    """(4, 4), the element of se(3)."""
    matrix = np.zeros((4, 4))
    matrix[:3, :3], matrix[:3, 3] = hat(twist[3:]), twist[:3]
    return matrix


def exponential(matrix: FloatArray, terms: int = 40) -> FloatArray:
    """The power series of exp."""
    total = term = np.eye(len(matrix))
    for n in range(1, terms):
        term = term @ matrix / n
        total = total + term
    return total


def pose_matrix(state: FloatArray) -> FloatArray:
    matrix = exponential(twist_matrix(np.concatenate([np.zeros(3), state[3:6]])))
    matrix[:3, 3] = state[:3]
    return matrix


def twists(size: float, seed: int) -> list[tuple[FloatArray, FloatArray]]:
    """Poses (9,) of a state, and rows (1 to 5, 6) of twists that turn by about `size`."""
    return [(state, rows[:5] * ([1.0] * 3 + [size] * 3)) for state, rows in samples(seed) if len(rows)]


SIZES = [0.0, 1e-9, 1e-7, 0.9e-6, 1.1e-6, 1e-4, 1e-2, 1.0]


@every("size", SIZES)
def test_body_twists_compose_as_exponentials_from_the_right(size: float) -> None:
    roll = Pose(np.arange(6), THREE, THREE + 3, body=True)
    for state, rows in twists(size, 14):
        pose = pose_matrix(state)
        for row in rows:
            pose = pose @ exponential(twist_matrix(row))
        np.testing.assert_allclose(pose_matrix(roll(state, rows)), pose, atol=1e-9)


@every("size", SIZES)
def test_base_twists_add_their_linear_parts_and_turn_from_the_left(size: float) -> None:
    roll = Pose(np.arange(6), THREE, THREE + 3)
    for state, rows in twists(size, 15):
        turned = pose_matrix(state)[:3, :3]
        for row in rows:
            turned = exponential(hat(row[3:])) @ turned
        rolled = roll(state, rows)
        np.testing.assert_allclose(pose_matrix(rolled)[:3, :3], turned, atol=1e-9)
        np.testing.assert_allclose(rolled[:3], state[:3] + rows[:, :3].sum(axis=0), atol=1e-12)


@every("body", [True, False])
@every("size", SIZES)
def test_the_inverse_twists_in_reverse_undo_the_way(body: bool, size: float) -> None:
    roll = Pose(np.arange(6), THREE, THREE + 3, body=body)
    for state, rows in twists(size, 16):
        back = roll(roll(state, rows), -rows[::-1])
        np.testing.assert_allclose(pose_matrix(back), pose_matrix(state), atol=1e-9)


@pytest.mark.parametrize("body", [True, False])
def test_rates_in_seconds_are_steps_of_a_period(body: bool) -> None:
    for state, rows in twists(1.0, 18):
        rates = Pose(np.arange(6), THREE, THREE + 3, scale=PERIOD_S, body=body)(state, rows)
        steps = Pose(np.arange(6), THREE, THREE + 3, body=body)(state, rows * PERIOD_S)
        np.testing.assert_array_equal(rates, steps)


# ---- chunk-relative rows, and what a spec calls for ---------------------------------------------------------------


def test_unanchoring_with_another_state_jumps_by_what_the_robot_moved_between_the_two() -> None:
    rng = np.random.default_rng(20)
    action, state_of = np.array([2, 0]), np.array([1, 4])
    for _ in range(20):
        relative, bound, other = frozen(rng.normal(size=(5, 3))), rng.normal(size=6), rng.normal(size=6)
        jump = unanchor(relative, other, action, state_of) - unanchor(relative, bound, action, state_of)
        expected = np.zeros((5, 3))
        expected[:, action] = (other - bound)[state_of]
        np.testing.assert_allclose(jump, expected, atol=1e-12)


KINDS: dict[Kind, Callable[[float, FloatArray], float]] = {
    Kind.POSITION: lambda x, a: a[-1],
    Kind.DISCRETE: lambda x, a: a[-1],
    Kind.ROTATION: lambda x, a: a[-1],
    Kind.DELTA: lambda x, a: x + a.sum(),
    Kind.VELOCITY: lambda x, a: x + a.sum() * PERIOD_S,
}


def test_a_spec_rolls_each_dimension_by_its_kind_alone_and_together() -> None:
    groups = [[kind] for kind in Kind] + [list(Kind), list(reversed(Kind)), [Kind.DELTA, Kind.DELTA, Kind.POSITION]]
    for kinds in groups:
        names = [f"x{j}" for j in range(len(kinds))]
        spec = RobotSpec(
            action=tuple(Dim(f"a{j}", kind=kind, drives=names[j]) for j, kind in enumerate(kinds)),
            state=tuple(map(Dim, ["load", *reversed(names)])),
            rate_hz=1 / PERIOD_S,
        )
        for state, rows in samples(21):
            state, rows = state[: len(spec.state)], rows[:, : len(kinds)]
            rolled = for_spec(spec)(state, rows)
            assert rolled[0] == state[0]
            for j, kind in enumerate(kinds):
                i = len(kinds) - j
                expected = KINDS[kind](state[i], rows[:, j]) if len(rows) else state[i]
                assert rolled[i] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("without", [(), ("a0",), ("a1", "a3"), tuple(f"a{j}" for j in range(len(Kind)))], ids=str)
def test_what_is_left_to_other_rollers_stays_as_it_is_and_the_rest_rolls(without: tuple[str, ...]) -> None:
    spec = RobotSpec(
        action=tuple(Dim(f"a{j}", kind=kind, drives=f"x{j}") for j, kind in enumerate(Kind)),
        state=tuple(Dim(f"x{j}") for j in range(len(Kind))),
        rate_hz=1 / PERIOD_S,
    )
    for state, rows in samples(22):
        some, whole = for_spec(spec, without)(state[:5], rows), for_spec(spec)(state[:5], rows)
        left = [f"a{j}" in without for j in range(len(Kind))]
        np.testing.assert_array_equal(some, np.where(left, state[:5], whole))


@pytest.mark.parametrize("kind", [Kind.DELTA, Kind.VELOCITY, Kind.DISCRETE])
def test_a_dimension_that_drives_nothing_rolls_nothing(kind: Kind) -> None:
    roll = for_spec(RobotSpec((Dim("a", kind=kind),), (Dim("x"),), rate_hz=50.0))
    np.testing.assert_array_equal(roll(np.array([0.3]), np.ones((4, 1))), [0.3])
