"""The plan that moves every joint."""

import numpy as np
import pytest

from rollahead.assembly.sine import Sine
from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

SPEC = RobotSpec(
    (
        Dim("a", low=-1.0, high=1.0, drives="a"),
        Dim("b", kind=Kind.VELOCITY, low=-2.0, high=2.0, drives="b"),
        Dim("grip", kind=Kind.DISCRETE, low=0.0, high=1.0, drives="grip"),
    ),
    (Dim("a"), Dim("b"), Dim("grip")),
    50.0,
)
RNG = np.random.default_rng(0)


def seen(tick: int, *state: float) -> Observation:
    return Observation(tick, frozen(state))


def test_a_wave_begins_where_the_robot_was_seen_and_comes_back_after_a_period() -> None:
    wave = Sine(SPEC, 201, share=0.2, period_s=4.0)
    rows = wave(seen(0, 0.3, 0.7, 1.0), RNG)
    assert rows[0].tolist() == pytest.approx([0.3, 0.4, 1.0])
    np.testing.assert_allclose(rows[200], rows[0], atol=1e-9)
    assert rows[50, 0] == pytest.approx(0.5)  # a quarter of the period: home and the share of half the range
    assert set(rows[:, 2]) == {1.0}  # the grip stays


def test_a_wave_is_one_motion_whatever_tick_it_is_asked_at() -> None:
    wave = Sine(SPEC, 40, share=0.2, period_s=2.0)
    first = wave(seen(0, 0.0, 0.0, 0.0), RNG)
    later = wave(seen(17, 0.9, 0.0, 0.0), RNG)  # where it is by now is no matter
    np.testing.assert_allclose(later[:23], first[17:])


def test_a_wave_stays_within_the_range() -> None:
    rows = Sine(SPEC, 400, share=1.0, period_s=2.0)(seen(0, 0.9, 0.0, 0.0), RNG)
    assert rows[:, 0].max() == 1.0
    assert rows[:, 0].min() >= -1.0


def test_a_new_run_waves_about_where_the_robot_is_then() -> None:
    wave = Sine(SPEC, 4, share=0.2, period_s=2.0)
    wave(seen(0, 0.0, 0.0, 0.0), RNG)
    wave(seen(50, 0.0, 0.0, 0.0), RNG)
    assert wave(seen(0, 0.6, 0.0, 0.0), RNG)[0, 0] == pytest.approx(0.6)


@pytest.mark.parametrize("share, period_s", [(0.0, 1.0), (1.1, 1.0), (0.1, 0.0)])
def test_a_wave_of_no_size_or_no_time_is_refused(share: float, period_s: float) -> None:
    with pytest.raises(ConfigError, match=f"share is {share} and period_s {period_s}"):
        Sine(SPEC, 8, share, period_s)


def test_a_joint_without_a_range_is_refused_by_name() -> None:
    endless = RobotSpec((Dim("lift", drives="lift"),), (Dim("lift"),), 50.0)
    with pytest.raises(
        ConfigError,
        match=r"no range to wave in: lift; give low and high, as in robot.limits=\{lift: \{low",
    ):
        Sine(endless, 8, 0.1, 4.0)
