"""Lags are found again in what a plant that has them did, simulated here in plain floats."""

import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.analysis.identify import (
    FILE,
    LEAST,
    MOVED,
    Lag,
    axes_of,
    calibration,
    identify,
    left_out,
    read_lags,
    roller_of,
)
from rollahead.runtime.analysis.steps import StepConfig, StepTest
from rollahead.runtime.recording.run_folder import RunFolder
from rollahead.runtime.rolling.roll import FirstOrderLag, VelocityLag, for_spec, lookback_of
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

PERIOD_S = 0.02
TAU_S = 0.07
KINDS = (Kind.POSITION, Kind.VELOCITY)
NOISE = 0.05  # of measurements, where what is sent goes from -1 to 1


def one_axis(kind: Kind) -> RobotSpec:
    action = Dim("a", "m", kind, -1.0, 1.0, drives="x")
    return RobotSpec((action,), (Dim("x", "m"), Dim("vx", "m/s", rate_of="x")), 1 / PERIOD_S)


def steps(seed: int, ticks: int = 240) -> FloatArray:
    """(ticks, 1), random levels held for 3 to 14 ticks."""
    rng = np.random.default_rng(seed)
    levels = [np.full(int(rng.integers(3, 15)), rng.uniform(-1, 1)) for _ in range(ticks // 3)]
    return frozen(np.concatenate(levels)[:ticks, None])


def plant(sent: FloatArray, tau_s: float, delay: int, start: float = 0.0) -> FloatArray:
    """(n,), what follows `sent` (n,), at the head of each tick; before the first it was sent `start`, and was there."""
    decay = math.exp(-PERIOD_S / tau_s)
    x, pipe, states = start, deque([start] * delay), []
    for target in sent.tolist():
        states.append(x)
        pipe.append(target)
        goal = pipe.popleft()
        x = goal + (x - goal) * decay
    return np.array(states)


def states_of(kind: Kind, follows: FloatArray) -> FloatArray:
    """(n, 2), with what follows in its place."""
    other = np.zeros_like(follows)
    return np.stack([follows, other] if kind is Kind.POSITION else [other, follows], axis=1)


def found(
    kind: Kind, sent: FloatArray, follows: FloatArray, *, max_delay: int = 5, starts: tuple[int, ...] = (0,)
) -> Lag:
    (lag,) = identify(one_axis(kind), sent, states_of(kind, follows), starts=starts, max_delay=max_delay)
    return lag


# ---- without noise ------------------------------------------------------------------------------------------------


@every("kind", KINDS)
@every("periods", [0.3, 1.0, 3.5, 12.0])
def test_without_noise_lag_and_delay_are_found_exactly(kind: Kind, periods: float) -> None:
    for delay in range(6):
        sent = steps(delay)
        lag = found(kind, sent, plant(sent[:, 0], periods * PERIOD_S, delay))
        assert lag.delay == delay
        assert lag.tau_s == pytest.approx(periods * PERIOD_S, rel=1e-6)
        assert lag.r2 == pytest.approx(1.0, abs=1e-9)
        assert lag.rms < 1e-8
        assert lag.samples == len(sent) - 5
        assert (lag.action, lag.position, lag.kind) == ("a", "x", kind)
        assert lag.state == ("x" if kind is Kind.POSITION else "vx")


@every(("start", "offset"), list(product((-3.0, 0.0, 2.0), (-0.5, 0.0, 4.0))))
def test_neither_where_it_began_nor_a_constant_offset_is_taken_for_a_lag(start: float, offset: float) -> None:
    sent = steps(1)
    lag = found(Kind.POSITION, sent, plant(sent[:, 0], TAU_S, 2, start) + offset)
    assert (lag.tau_s, lag.delay) == (pytest.approx(TAU_S, rel=1e-6), 2)
    assert lag.offset == pytest.approx(offset, abs=1e-8)


def test_an_axis_that_is_there_at_once_has_next_to_no_lag_and_no_delay() -> None:
    sent = steps(2)
    lag = found(Kind.POSITION, sent, np.append(0.0, sent[:-1, 0]))
    assert (lag.delay, lag.r2) == (0, pytest.approx(1.0))
    assert lag.tau_s < PERIOD_S / 10


def test_stretches_with_a_gap_between_are_fitted_together_and_glued_they_would_mislead() -> None:
    parts = [steps(seed, 90) for seed in (3, 4, 5)]
    follows = np.concatenate(
        [plant(part[:, 0], TAU_S, 1, start) for part, start in zip(parts, (0, 2, -2), strict=True)]
    )
    sent = np.concatenate(parts)
    apart = found(Kind.POSITION, sent, follows, starts=(0, 90, 180))
    assert (apart.tau_s, apart.delay, apart.samples) == (pytest.approx(TAU_S, rel=1e-6), 1, 270 - 3 * 5)
    assert found(Kind.POSITION, sent, follows).r2 < 0.9


def test_a_stretch_that_is_too_short_for_the_delay_is_left_out() -> None:
    sent = steps(6, 120)
    follows = plant(sent[:, 0], TAU_S, 1)
    assert found(Kind.POSITION, sent, follows, starts=(0, 100, 105, 113)).samples == (100 - 5) + (8 - 5)


def test_each_axis_is_told_by_its_own_state() -> None:
    spec = RobotSpec(
        (Dim("vy", kind=Kind.VELOCITY, drives="y"), Dim("grip", kind=Kind.DISCRETE), Dim("z", drives="z")),
        (Dim("z"), Dim("load"), Dim("y_rate", rate_of="y"), Dim("y")),
        1 / PERIOD_S,
    )
    sent = np.concatenate([steps(7), np.zeros((240, 1)), steps(8)], axis=1)
    z, y_rate = plant(sent[:, 2], 0.05, 1), plant(sent[:, 0], 0.11, 3)
    states = np.stack([z, np.zeros(240), y_rate, np.cumsum(y_rate)], axis=1)
    lags = {lag.action: lag for lag in identify(spec, sent, states, max_delay=4)}
    assert list(lags) == ["vy", "z"]
    assert (lags["vy"].tau_s, lags["vy"].delay) == (pytest.approx(0.11, rel=1e-6), 3)
    assert (lags["z"].tau_s, lags["z"].delay) == (pytest.approx(0.05, rel=1e-6), 1)
    assert (lags["vy"].state, lags["vy"].position) == ("y_rate", "y")


# ---- with noise ---------------------------------------------------------------------------------------------------


def noisy(seed: int, delay: int = 0) -> tuple[FloatArray, FloatArray]:
    """What was sent, and the state with white noise."""
    sent = steps(seed)
    return sent, plant(sent[:, 0], TAU_S, delay) + NOISE * np.random.default_rng(seed).normal(size=len(sent))


def test_the_interval_holds_the_truth_in_about_95_of_100_noisy_records() -> None:
    n = 120
    lags = [found(Kind.POSITION, *noisy(seed), max_delay=0) for seed in range(n)]
    inside = [lag.tau_s_ci[0] <= TAU_S <= lag.tau_s_ci[1] for lag in lags]
    assert np.mean(inside) == pytest.approx(0.95, abs=3 * math.sqrt(0.95 * 0.05 / n))
    assert all(0.01 < (lag.tau_s_ci[1] - lag.tau_s_ci[0]) / TAU_S < 0.5 for lag in lags)  # and it says something


def pushed(seed: int) -> tuple[FloatArray, FloatArray]:
    """What was sent, and the state of a robot whose every target is off by noise of its own."""
    sent = steps(seed, 480)
    return sent, plant(sent[:, 0] + 2 * NOISE * np.random.default_rng(seed).normal(size=len(sent)), TAU_S, 0)


def test_where_the_robot_is_pushed_about_the_interval_is_wider_and_still_holds_the_truth_in_most() -> None:
    n = 60
    lags = [found(Kind.POSITION, *pushed(seed), max_delay=0) for seed in range(n)]
    assert np.mean([lag.tau_s_ci[0] <= TAU_S <= lag.tau_s_ci[1] for lag in lags]) > 0.8


def one_step(sent: FloatArray, follows: FloatArray) -> float:
    """tau by regression of x(k + 1) - a(k) on x(k) - a(k), which noise in x makes too short."""
    before, after = follows[:-1] - sent[:-1, 0], follows[1:] - sent[:-1, 0]
    return -PERIOD_S / math.log(float(before @ after) / float(before @ before))


def test_noise_in_what_is_measured_does_not_bias_the_lag_as_it_does_one_step_ahead() -> None:
    records = [noisy(seed) for seed in range(60)]
    ours = np.array([found(Kind.POSITION, *record, max_delay=0).tau_s for record in records])
    theirs = np.array([one_step(*record) for record in records])
    error = ours.std() / math.sqrt(len(ours))
    assert abs(ours.mean() - TAU_S) < 3 * error
    assert theirs.mean() < TAU_S - 10 * error


def test_the_delay_is_found_under_noise_and_the_residual_is_the_noise() -> None:
    for seed, delay in product(range(4), range(4)):
        lag = found(Kind.VELOCITY, *noisy(seed, delay))
        assert lag.delay == delay
        assert lag.rms == pytest.approx(NOISE, rel=0.15)
        assert 0.9 < lag.r2 < 1.0
        assert lag.verdict(PERIOD_S) == "a first-order lag"


def test_what_does_not_follow_is_called_no_first_order_lag() -> None:
    sent = steps(9)
    slewing = accumulate(sent[:, 0], lambda x, a: x + float(np.clip(a - x, -0.04, 0.04)), initial=0.0)
    lag = found(Kind.POSITION, sent, np.array([*slewing])[:-1])  # at one speed, be it near or far
    assert lag.r2 < 0.9
    assert lag.verdict(PERIOD_S) == "not a first-order lag"


def walk(seed: int, sent: FloatArray) -> FloatArray:
    """(n,), a state that goes its own way."""
    return np.cumsum(0.05 * np.random.default_rng(seed).normal(size=len(sent)))


UNCLEAR: dict[str, Callable[[FloatArray], FloatArray]] = {
    "goes its own way": lambda sent: walk(3, sent),
    "drifts": lambda sent: np.linspace(0, 2, len(sent)) + 0.02 * np.random.default_rng(1).normal(size=len(sent)),
    "adds up what it is sent": lambda sent: np.cumsum(sent) - sent,
    "takes far longer than the record": lambda sent: plant(sent, 100.0, 0),
}


@pytest.mark.parametrize("how", UNCLEAR)
def test_a_lag_that_nothing_bounds_is_not_identifiable_and_it_is_said_what_to_do(how: str) -> None:
    sent = steps(9)
    lag = found(Kind.POSITION, sent, UNCLEAR[how](sent[:, 0]))
    assert lag.tau_s_ci[1] == math.inf and not lag.identified(PERIOD_S)
    assert lag.verdict(PERIOD_S) == "not identifiable"
    said = lag.why_not()
    assert said.startswith("the lag of a is not identifiable: tau is ") and "ms to infinity; use a longer" in said
    assert "longer hold_s and a larger share (or amplitude)" in said


def test_a_lag_with_an_interval_wider_than_itself_is_not_identifiable() -> None:
    lag = some_lag(tau_s=0.07, tau_s_ci=(0.02, 0.15))
    assert (lag.identified(0.02), lag.identified(0.2)) == (False, True)
    assert "tau is 70 ms and its 95 % interval goes from 20 ms to 150 ms; use a" in lag.why_not()


def test_an_axis_that_is_there_at_once_is_identified_under_noise_too() -> None:
    for seed in range(20):
        sent = steps(seed)
        noise = 0.005 * np.random.default_rng(seed).normal(size=len(sent))
        lag = found(Kind.POSITION, sent, np.append(0.0, sent[:-1, 0]) + noise)
        assert lag.identified(PERIOD_S) and lag.verdict(PERIOD_S) == "a first-order lag"
        assert lag.tau_s_ci[0] <= 0.1 * PERIOD_S and lag.tau_s_ci[1] < 0.5 * PERIOD_S


def test_a_robot_of_steps_is_refused_before_a_step_test_is_made_of_it() -> None:
    spec = RobotSpec((Dim("dx", "m", Kind.DELTA, -1.0, 1.0, drives="x"),), (Dim("x", "m"),), 50.0)
    with pytest.raises(ConfigError, match=r"no axis with a lag to find \(dx: .* it is a delta\); use roller=robot"):
        StepTest(spec, StepConfig())


# ---- what has a lag to be found -----------------------------------------------------------------------------------


def test_what_has_no_lag_to_be_found_is_named_with_the_reason() -> None:
    spec = RobotSpec(
        (
            Dim("x", drives="x"),
            Dim("dx", kind=Kind.DELTA, drives="x"),
            Dim("grip", kind=Kind.DISCRETE, drives="x"),
            Dim("r", kind=Kind.ROTATION, drives="x"),
            Dim("belt", kind=Kind.VELOCITY),
            Dim("vx", kind=Kind.VELOCITY, drives="x"),
        ),
        (Dim("x"),),
        rate_hz=50.0,
    )
    assert [axis.action for axis in axes_of(spec)] == [0]
    why = left_out(spec)
    assert list(why) == ["dx", "grip", "r", "belt", "vx"]
    for name, word in (("dx", "delta"), ("grip", "discrete"), ("r", "rotation")):
        assert why[name].endswith(word)
    assert "measured" in why["belt"]
    assert "the rate of x" in why["vx"]


def test_a_rate_of_what_is_not_measured_is_refused_with_its_near_miss() -> None:
    with pytest.raises(
        ConfigError, match=r"state 'vx' is the rate of a dimension that is not measured: .*'wrst'; did you mean 'wrist'"
    ):
        RobotSpec((), (Dim("wrist"), Dim("vx", rate_of="wrst")), rate_hz=50.0)


# ---- rollers ------------------------------------------------------------------------------------------------------


def some_lag(**values: Any) -> Lag:
    plain = Lag("a", "x", "x", Kind.POSITION, TAU_S, (0.06, 0.08), 2, 0.01, 0.99, 0.002, 400)
    return replace(plain, **values)


def test_what_was_found_rolls_its_axes_and_all_others_roll_as_the_spec_has_it() -> None:
    spec = RobotSpec(
        (Dim("step", kind=Kind.DELTA, drives="s"), Dim("vy", kind=Kind.VELOCITY, drives="y"), Dim("x", drives="x")),
        (Dim("x"), Dim("s"), Dim("y"), Dim("vy", rate_of="y")),
        1 / PERIOD_S,
    )
    rate = some_lag(action="vy", state="vy", position="y", kind=Kind.VELOCITY, tau_s=0.11, delay=1)
    roll = roller_of(spec, [some_lag(action="x", delay=3), rate])
    assert lookback_of(roll) == 3
    rng = np.random.default_rng(0)
    x, s, y, vy = (np.array([i]) for i in range(4))
    for n in range(6):
        state, rows = frozen(rng.normal(size=4)), frozen(rng.normal(size=(3 + n, 3)))
        rolled = roll(state, rows)
        assert rolled[x] == FirstOrderLag(np.array([2]), x, TAU_S, PERIOD_S, 3)(state, rows)[x]
        expected = VelocityLag(np.array([1]), y, vy, 0.11, PERIOD_S, 1)(state, rows[2:])
        np.testing.assert_array_equal(rolled[2:], expected[2:])
        assert rolled[s] == for_spec(spec)(state, rows[3:])[s]


# ---- on disk ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_calibration_is_read_back_as_it_was_written_by_file_or_folder(kind: Kind, tmp_path: Path) -> None:
    spec = one_axis(kind)
    sent, follows = noisy(11)
    lag = found(kind, sent, follows)
    path = RunFolder(tmp_path / "run").write_json(FILE, calibration(spec, [lag]))
    assert read_lags(path, spec) == read_lags(str(path.parent), spec) == (lag,)


NOT_ONES: dict[str, tuple[Callable[[dict[str, Any]], Any], tuple[str, ...]]] = {
    "another rate": (lambda content: content | {"rate_hz": 30.0}, ("30 Hz", "50 Hz")),
    "no rate": (lambda content: {"lags": content["lags"]}, ("no calibration", "rate_hz")),
    "a list": (lambda content: [1, 2], ("no calibration",)),
    "another axis": (lambda content: _with(content, action="b"), ("another robot", "'b'", "Known: a")),
    "another kind": (lambda content: _with(content, kind="velocity"), ("another robot", "velocity", "position")),
    "another state": (lambda content: _with(content, state="vx"), ("another robot", "vx", "x")),
    "no kind": (lambda content: _with(content, kind="spin"), ("no calibration", "spin")),
    "another field": (lambda content: _with(content, taus=3), ("no calibration", "taus")),
    "a rate in words": (lambda content: content | {"rate_hz": "50"}, ("no calibration", "rate_hz is '50'", "a number")),
    "no lags": (lambda content: {"rate_hz": content["rate_hz"]}, ("no calibration", "lags")),
    "lags of nothing": (lambda content: content | {"lags": None}, ("no calibration",)),
    "lags of other things": (lambda content: content | {"lags": ["a"]}, ("no calibration",)),
    "a time in words": (lambda content: _with(content, tau_s="0.1"), ("no calibration", "lags[0].tau_s is '0.1'")),
    "half a tick": (lambda content: _with(content, delay=0.5), ("no calibration", "lags[0].delay is 0.5")),
    "endless": (lambda content: _with(content, tau_s=math.inf), ("no calibration", "lags[0].tau_s is inf")),
    "one end": (lambda content: _with(content, tau_s_ci=[0.1]), ("no calibration",)),
    "a field left out": (lambda content: _without(content, "delay"), ("no calibration", "lags[0].delay must be given")),
}


def _with(content: dict[str, Any], **values: Any) -> dict[str, Any]:
    return content | {"lags": [content["lags"][0] | values]}


def _without(content: dict[str, Any], field: str) -> dict[str, Any]:
    return content | {"lags": [{name: value for name, value in content["lags"][0].items() if name != field}]}


@pytest.mark.parametrize("name", NOT_ONES)
def test_what_is_no_calibration_of_this_robot_is_refused(name: str, tmp_path: Path) -> None:
    spec = one_axis(Kind.POSITION)
    change, parts = NOT_ONES[name]
    (tmp_path / FILE).write_text(json.dumps(change(calibration(spec, [some_lag()]))))
    with pytest.raises(ConfigError) as caught:
        read_lags(tmp_path, spec)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize("text", ["", "{", "nonsense"])
def test_a_file_that_is_no_json_is_refused_and_so_is_none(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no calibration at .*; give one"):
        read_lags(tmp_path, one_axis(Kind.POSITION))
    (tmp_path / FILE).write_text(text)
    with pytest.raises(ConfigError, match=r"is no calibration .*; give one"):
        read_lags(tmp_path, one_axis(Kind.POSITION))


# ---- refusals -----------------------------------------------------------------------------------------------------


def test_a_fit_takes_so_many_samples_and_no_fewer() -> None:
    for ticks in (0, 10, LEAST + 4):
        with pytest.raises(
            ConfigError, match=rf"^\d+ samples are left of {ticks} ticks .* takes {LEAST}; give a longer"
        ):
            found(Kind.POSITION, steps(12)[:ticks], np.zeros(ticks))
    sent = steps(12)[: LEAST + 5]
    assert found(Kind.POSITION, sent, plant(sent[:, 0], TAU_S, 1)).samples == LEAST


@pytest.mark.parametrize("moved", [0.0, 0.05, 0.1])
def test_an_axis_that_was_hardly_moved_is_refused_with_how_much_it_was_against_its_noise(moved: float) -> None:
    sent = moved * np.sign(steps(13))
    follows = plant(sent[:, 0], TAU_S, 0) + 0.2 * np.random.default_rng(0).normal(size=240)
    assert np.ptp(sent) < MOVED * 0.2
    with pytest.raises(
        ConfigError, match=rf"^a was moved by {2 * moved:.3g} m, and the noise of x is 0.\d+ m, of which .*4"
    ):
        found(Kind.POSITION, sent, follows)


def test_an_axis_that_stood_still_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^a was moved by 0 m"):
        found(Kind.POSITION, steps(14), np.zeros(240))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("which", ["sent", "measured"])
def test_numbers_that_are_none_are_refused_with_their_row(bad: float, which: str) -> None:
    sent, states = steps(15).copy(), states_of(Kind.POSITION, plant(steps(15)[:, 0], TAU_S, 0))
    (sent if which == "sent" else states)[17, -1] = bad
    with pytest.raises(ConfigError, match=r"^row 17 of 240 holds NaN or infinity"):
        identify(one_axis(Kind.POSITION), sent, states)


def test_a_robot_without_an_axis_that_lags_is_refused_with_the_reasons() -> None:
    spec = RobotSpec((Dim("grip", kind=Kind.DISCRETE),), (Dim("x"),), rate_hz=50.0)
    with pytest.raises(ConfigError, match=r"no axis with a lag to find .grip: .* it is a discrete"):
        identify(spec, np.zeros((99, 1)), np.zeros((99, 1)))


def test_a_negative_delay_cannot_be_looked_for() -> None:
    with pytest.raises(ConfigError, match="max_delay is -1"):
        found(Kind.POSITION, steps(16), np.zeros(240), max_delay=-1)
