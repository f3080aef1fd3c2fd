import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.analysis.steps import StepConfig, StepTest
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

SPEC = RobotSpec(
    (
        Dim("x", "m", low=-1.0, high=1.0, drives="x"),
        Dim("grip", kind=Kind.DISCRETE, low=0.0, high=1.0, drives="grip"),
        Dim("vy", "m/s", Kind.VELOCITY, -2.0, 2.0, drives="y"),
        Dim("z", "m", low=0.0, high=4.0, drives="z"),
    ),
    (Dim("z"), Dim("y"), Dim("vy", rate_of="y"), Dim("x"), Dim("grip")),
    rate_hz=50.0,
)
HOME = (3.0, 0.7, 0.0, 0.25, 1.0)  # z, y, vy, x, grip
AT_HOME = [0.25, 1.0, 0.0, 3.0]  # what is sent there
H = 8


def seen(k: int, state: tuple[float, ...] = HOME) -> Observation:
    return Observation(k, frozen(state))


def rows_of(test: StepTest, ticks: int, state: tuple[float, ...] = HOME) -> FloatArray:
    """(ticks, A), what it plans from tick 0 on."""
    return test.plan(ticks)(seen(0, state), np.random.default_rng(0))


@every("repeats", [1, 2, 4])
@every("hold_s", [0.02, 0.1, 0.25])
def test_one_axis_after_the_other_goes_through_its_steps_and_the_rest_stays_home(hold_s: float, repeats: int) -> None:
    test = StepTest(SPEC, StepConfig(hold_s, repeats, share=0.1))
    n = round(hold_s * 50)
    expected = [AT_HOME] * n
    for j, levels in ((0, (0.2, 0, -0.2, 0)), (2, (0.4, -0.4, 0)), (3, (0.4, 0, -0.4, 0))):
        for level in levels * repeats:
            expected += [[*AT_HOME[:j], AT_HOME[j] + level, *AT_HOME[j + 1 :]]] * n
    assert test.ticks == len(expected)
    np.testing.assert_allclose(rows_of(test, test.ticks), expected, atol=1e-12)
    assert test.amplitudes == {"x": pytest.approx(0.2), "vy": pytest.approx(0.4), "z": pytest.approx(0.4)}


def test_what_is_planned_for_a_tick_is_the_same_from_whenever_it_is_planned_and_whatever_is_seen_then() -> None:
    test = StepTest(SPEC, StepConfig(0.1, 1))
    whole = rows_of(test, test.ticks + 3 * H)
    plan = test.plan(H)
    plan(seen(0), np.random.default_rng(0))
    for k in (*range(test.ticks + 2 * H), 3, 0):  # in any order
        elsewhere = (9.0, -9.0, 9.0, float(k), 0.0)
        np.testing.assert_array_equal(plan(seen(k, elsewhere), np.random.default_rng(k)), whole[k : k + H])


def test_home_is_where_the_robot_is_first_seen_in_each_plan() -> None:
    test = StepTest(SPEC, StepConfig(0.1, 1))
    for x in (-0.5, 0.0, 0.5):
        assert rows_of(test, 1, (*HOME[:3], x, 1.0))[0, 0] == x


def test_at_its_end_every_axis_is_where_it_began_and_stays_there() -> None:
    test = StepTest(SPEC, StepConfig(0.1, 3))
    rows = rows_of(test, test.ticks + 50)
    np.testing.assert_array_equal(rows[test.ticks - 1 :], [AT_HOME] * 51)
    assert rows[:, 2].sum() == pytest.approx(0.0, abs=1e-12)  # so is what its velocity moves


@every("x", [-1.0, -0.95, 0.0, 0.9, 1.0, 1.2])
def test_no_step_leaves_the_range(x: float) -> None:
    rows = rows_of(test := StepTest(SPEC, StepConfig(0.1, 1, share=0.4)), 400, (*HOME[:3], x, 1.0))
    low, high = ([getattr(dim, end) for dim in SPEC.action] for end in ("low", "high"))
    assert (rows >= low).all()
    assert (rows <= high).all()
    assert rows[-1, 0] == min(x, 1.0)
    assert test.amplitudes["x"] == pytest.approx(0.8)


def velocity(low: float, high: float, **limits: Any) -> RobotSpec:
    dim = Dim("v", "m/s", Kind.VELOCITY, low, high, drives="x", **limits)
    return RobotSpec((dim,), (Dim("x"), Dim("vx", rate_of="x")), rate_hz=50.0)


@pytest.mark.parametrize(("low", "high", "most"), [(-1.0, 3.0, 1.0), (-3.0, 0.5, 0.5), (-math.inf, 2.0, 2.0)])
def test_a_velocity_is_as_fast_back_as_there(low: float, high: float, most: float) -> None:
    spec = velocity(low, high)
    test = StepTest(spec, StepConfig(0.1, 1, amplitude=9.0))
    assert test.amplitudes == {"v": most}
    assert set(rows_of(test, test.ticks, (0.0, 0.0))[:, 0]) == {0.0, most, -most}


def test_no_step_is_farther_than_a_setpoint_may_jump() -> None:
    for spec, size in ((velocity(-2.0, 2.0, jump_limit=0.5), 0.25), (position(jump_limit=0.5), 0.5)):
        test = StepTest(spec, StepConfig(0.1, 2, amplitude=9.0))
        assert set(test.amplitudes.values()) == {size}
        assert np.abs(np.diff(rows_of(test, test.ticks, (0.0, 0.0)), axis=0)).max() <= 0.5 + 1e-12


def position(**limits: Any) -> RobotSpec:
    return RobotSpec((Dim("x", drives="x", **limits),), (Dim("x"), Dim("vx", rate_of="x")), rate_hz=50.0)


def test_an_amplitude_is_taken_as_it_is_where_an_axis_has_no_range() -> None:
    assert StepTest(position(), StepConfig(amplitude=0.3)).amplitudes == {"x": 0.3}


REFUSED: dict[str, tuple[Callable[[], object], tuple[str, ...]]] = {
    "no range": (lambda: StepTest(position(), StepConfig()), ("x goes from -inf to inf", "limits", "amplitude=")),
    "half a range": (lambda: StepTest(position(low=0.0), StepConfig()), ("from 0.0 to inf",)),
    "one way": (lambda: StepTest(velocity(0.0, 1.0), StepConfig()), ("v goes from 0.0 to 1.0", "around 0")),
    "no time": (lambda: StepConfig(hold_s=0.0), ("hold_s is 0.0",)),
    "endless": (lambda: StepConfig(hold_s=math.inf), ("hold_s is inf",)),
    "hours": (lambda: StepConfig(hold_s=3601.0), ("hold_s is 3601.0", "3600 s together")),
    "hours of repeats": (lambda: StepConfig(repeats=10**400), ("hold_s is 0.5", "repeats 1000", "3600 s together")),
    "no repeat": (lambda: StepConfig(repeats=0), ("repeats 0",)),
    "no share": (lambda: StepConfig(share=0.0), ("share is 0.0",)),
    "more than there is": (lambda: StepConfig(share=0.6), ("share is 0.6", "up to 0.5")),
    "no amplitude": (lambda: StepConfig(amplitude=-1.0), ("amplitude -1.0",)),
    "no number": (lambda: StepConfig(share=math.nan), ("share is nan",)),
}


@every("name", REFUSED)
def test_what_cannot_be_a_step_is_refused(name: str) -> None:
    make, parts = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        make()
    for part in parts:
        assert part in str(caught.value)
