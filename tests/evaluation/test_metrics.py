import math
from collections.abc import Sequence
from itertools import permutations, product
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.evaluation import metrics
from rollahead.evaluation.metrics import REACTION_SHARE, reaction_tick
from rollahead.runtime.control.trace import TickStatus, Trace
from rollahead.runtime.safety.guard import Flag
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

ONE = RobotSpec(action=(Dim("a", low=-1.0, high=1.0, drives="x"),), state=(Dim("x"),), rate_hz=50.0)
TWO = RobotSpec(
    action=(Dim("a", low=-1.0, high=1.0, drives="x"), Dim("b", low=0.0, high=10.0, drives="y")),
    state=(Dim("x"), Dim("y"), Dim("z")),
    rate_hz=50.0,
)
ENOUGH = REACTION_SHARE * 2.0  # of the range of ONE's action


def ticks(actions: Sequence[Any], spec: RobotSpec = ONE, *, first: int = 0, states: Any = None) -> Any:
    """The records of ticks `first`, `first + 1`, ..., by hand."""
    rows = np.asarray(actions, dtype=np.float64).reshape(len(actions), len(spec.action))
    seen = np.zeros((len(rows), len(spec.state))) if states is None else np.asarray(states)
    trace = Trace(spec, max(len(rows), 1))
    for i, row in enumerate(rows):
        trace.tick(first + i, 0, TickStatus.OK, None, -1, row, seen[i], np.empty(0))
    return trace.ticks


def towards(*row: float) -> Any:
    """An expert that always sends `row`."""
    return lambda observation, rng: np.array([row])


def reacts(actions: Sequence[float], *, event: int = 2, expert: Any = None, first: int = 0) -> int | None:
    """The reaction of a robot that was sent `actions`, where without the event it would have been sent zeros."""
    without = ticks(np.zeros(len(actions)), first=first)
    return reaction_tick(ticks(actions, first=first), without, event, ONE, expert or towards(1.0))


# --- shares and means ---


@every(
    ("successes", "n", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998), table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # Brown, Cai and DasGupta, Statistical Science 16 (2001), and any table of n = 10
        (0, 10, 0.0000, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0000),
    ],
)
def test_the_wilson_interval_is_the_published_one(successes: int, n: int, low: float, high: float) -> None:
    assert metrics.wilson(successes, n) == pytest.approx((low, high), abs=6e-5)


def test_an_interval_holds_its_estimate_to_the_bit_so_that_an_error_bar_is_never_negative() -> None:
    for n in range(1, 501):
        for successes in {0, 1, n // 3, n - 1, n}:
            low, high = metrics.wilson(successes, n)
            assert 100.0 * low <= 100.0 * successes / n <= 100.0 * high
    for n in range(1, 60):
        equal = np.full(n, 0.1 * n)
        low, high = metrics.mean_interval(equal)
        assert low <= float(equal.mean()) <= high


def test_the_wilson_interval_holds_the_share_stays_within_0_and_1_and_mirrors() -> None:
    for n in range(1, 40):
        for successes in range(n + 1):
            low, high = metrics.wilson(successes, n)
            assert 0.0 <= low < high <= 1.0
            assert low <= successes / n <= high
            assert metrics.wilson(n - successes, n) == pytest.approx((1 - high, 1 - low), abs=1e-12)


def test_of_no_episodes_nothing_is_known() -> None:
    assert metrics.wilson(0, 0) == (0.0, 1.0)
    assert all(map(math.isnan, metrics.mean_interval(np.empty(0))))


def test_the_interval_of_a_mean_is_that_of_the_normal_where_that_holds() -> None:
    values = np.random.default_rng(1).normal(3.0, 2.0, 400)
    low, high = metrics.mean_interval(values)
    half = 1.96 * values.std() / math.sqrt(len(values))
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.02)
    assert metrics.mean_interval(values) == (low, high)  # the same again


def test_the_interval_of_equal_values_has_no_width() -> None:
    assert metrics.mean_interval(np.full(5, 0.5)) == (0.5, 0.5)


# --- reaction ---


def test_a_reaction_is_the_first_of_two_ticks_that_differ() -> None:
    assert reacts([0, 0, 0, 0, 1, 1, 1, 1]) == 4


def test_a_reaction_at_the_stimulus_itself_counts() -> None:
    assert reacts([0, 0, 1, 1, 1, 1]) == 2


def test_a_difference_before_the_stimulus_does_not_count() -> None:
    assert reacts([1, 1, 0, 0, 0, 0]) is None
    assert reacts([1, 1, 1, 0, 0, 0]) is None  # one tick of it is left
    assert reacts([0, 1, 1, 1, 0, 0]) == 2


def test_a_difference_of_one_tick_does_not_count_nor_does_one_now_and_then() -> None:
    assert reacts([0, 0, 0, 1, 0, 0]) is None
    assert reacts([0, 0, 1, 0, 1, 0, 1]) is None
    assert reacts([0, 0, 0, 1, 0, 1, 1, 0]) == 5


def test_at_the_end_two_ticks_are_still_needed() -> None:
    assert reacts([0, 0, 0, 0, 1]) is None
    assert reacts([0, 0, 0, 1, 1]) == 3


@pytest.mark.parametrize("size", [0.0, ENOUGH / 2, ENOUGH])
def test_a_difference_of_5_percent_of_the_range_or_less_does_not_count(size: float) -> None:
    assert reacts([0, 0, 0, size, size, size]) is None
    assert reacts([0, 0, 0, size + 1e-9, size + 1e-9, 0]) == (3 if size == ENOUGH else None)


def test_a_difference_away_from_the_experts_response_does_not_count() -> None:
    assert reacts([0, 0, -1, -1, -1, 1, 1]) == 5
    assert reacts([0, 0, -1, -1, -1, -1], expert=towards(-1.0)) == 2
    assert reacts([0, 0, 1, -1, 1, -1, 1]) is None


def test_the_response_is_measured_from_what_would_have_been_sent() -> None:
    sent, without = ticks([0.5] * 6), ticks([0.9] * 6)
    assert reaction_tick(sent, without, 0, ONE, towards(0.7)) == 0  # from 0.9 down to 0.7
    assert reaction_tick(sent, without, 0, ONE, towards(1.0)) is None


def test_the_expert_is_asked_about_what_the_robot_measured_then() -> None:
    asked = []

    def expert(observation: Observation, rng: np.random.Generator) -> FloatArray:
        asked.append((observation.tick, observation.state.tolist()))
        return np.array([[1.0]])

    sent = ticks([0, 0, 0, 1, 1], states=np.arange(5.0)[:, None] / 10)
    assert reaction_tick(sent, ticks([0] * 5), 1, ONE, expert) == 3
    assert asked == [(3, [0.3]), (4, [0.4])]


def test_one_dimension_that_differs_is_enough_and_each_has_its_own_range() -> None:
    zeros = ticks(np.zeros((4, 2)), TWO)
    small, big = ticks([[0, 0.5]] * 4, TWO), ticks([[0, 0.51]] * 4, TWO)  # 5 % of 10
    assert reaction_tick(small, zeros, 0, TWO, towards(0.0, 1.0)) is None
    assert reaction_tick(big, zeros, 0, TWO, towards(0.0, 1.0)) == 0


def test_ticks_are_counted_as_the_trace_counts_them() -> None:
    assert reacts([0, 0, 0, 1, 1], first=100, event=101) == 103


def test_only_the_ticks_that_both_runs_have_are_compared() -> None:
    sent = ticks([0, 0, 1, 1, 1])
    assert reaction_tick(sent, ticks([0] * 3), 0, ONE, towards(1.0)) is None
    assert reaction_tick(sent, ticks([0] * 9), 0, ONE, towards(1.0)) == 2


# --- percentiles ---


def test_percentiles_are_values_that_were_seen() -> None:
    for order in permutations([1.0, 2.0, 3.0, 4.0]):
        assert metrics.percentiles(order) == {"p50": 2.0, "p95": 4.0, "max": 4.0}
    assert metrics.percentiles(range(1, 101)) == {"p50": 50.0, "p95": 95.0, "max": 100.0}
    assert metrics.percentiles([7.0]) == {"p50": 7.0, "p95": 7.0, "max": 7.0}


def test_a_percentile_has_its_share_at_or_below_it_and_less_than_that_below_it() -> None:
    for n in range(1, 400):
        found = metrics.percentiles(range(1, n + 1))
        for name, percent in (("p50", 50), ("p95", 95)):
            assert 100 * (found[name] - 1) < percent * n <= 100 * found[name], (n, name)


def test_what_never_happened_is_in_the_tail() -> None:
    assert metrics.percentiles([math.inf, 1.0, 3.0, 2.0]) == {"p50": 2.0, "p95": math.inf, "max": math.inf}
    assert metrics.percentiles([math.inf] * 3) == {"p50": math.inf, "p95": math.inf, "max": math.inf}
    one_in_twenty_one = metrics.percentiles([math.inf, *[0.5] * 20])
    assert one_in_twenty_one == {"p50": 0.5, "p95": 0.5, "max": math.inf}


def test_percentiles_of_nothing_are_not_numbers() -> None:
    assert all(math.isnan(value) for value in metrics.percentiles([]).values())


# --- motion ---


def test_the_jerk_of_a_cubic_is_six_times_its_coefficient() -> None:
    t = np.arange(30) * ONE.period_s
    states = (2.5 * t**3 - 1.2 * t**2 + 0.3 * t + 4.0)[:, None]
    assert metrics.jerk(ticks(np.zeros(30), states=states), ONE) == pytest.approx(15.0, rel=1e-6)


def test_jerk_is_the_length_over_the_dimensions_that_are_driven() -> None:
    t = np.arange(10) / 50.0
    states = np.stack([3 * t**3, 4 * t**3, 100 * t**3], axis=1)  # z is driven by nothing
    assert metrics.jerk(ticks(np.zeros((10, 2)), TWO, states=states), TWO) == pytest.approx(6 * 5.0, rel=1e-6)


@pytest.mark.parametrize("n", range(4))
def test_fewer_than_four_ticks_have_no_jerk(n: int) -> None:
    assert math.isnan(metrics.jerk(ticks(np.zeros(n)), ONE))


def test_a_robot_whose_actions_drive_nothing_measured_has_no_jerk() -> None:
    spec = RobotSpec(action=(Dim("spin", kind=Kind.VELOCITY, low=0.0, high=1.0),), state=(Dim("x"),), rate_hz=50.0)
    assert math.isnan(metrics.jerk(ticks(np.zeros(9), spec), spec))


def test_steps_are_told_apart_by_whether_the_chunk_changes() -> None:
    records = ticks([[0, 0], [3, 4], [3, 4], [0, 4], [0, 4]], TWO)
    records["chunk"] = [0, 8, 8, 8, 16]  # a switch, two steps within, and another switch
    at_switch, elsewhere = metrics.steps(records, TWO)
    assert at_switch.tolist() == [5.0, 0.0]
    assert elsewhere.tolist() == [0.0, 3.0]


def test_a_step_counts_only_between_two_ticks_in_which_a_chunk_s_action_was_sent() -> None:
    for statuses, chunks in product(product(TickStatus, repeat=4), product((0, 8), repeat=4)):
        records = ticks([0.0, 1.0, 3.0, 7.0])
        records["status"], records["chunk"] = statuses, chunks
        sent = [i for i in range(3) if statuses[i] == statuses[i + 1] == TickStatus.OK]
        at_switch, elsewhere = metrics.steps(records, ONE)
        assert at_switch.tolist() == [2.0**i for i in sent if chunks[i] != chunks[i + 1]]
        assert elsewhere.tolist() == [2.0**i for i in sent if chunks[i] == chunks[i + 1]]


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_ticks_have_no_steps(n: int) -> None:
    assert [len(part) for part in metrics.steps(ticks(np.zeros(n)), ONE)] == [0, 0]


STRIKE = Dim("strike", kind=Kind.DISCRETE, low=0.0, high=1.0)
STRIKING = RobotSpec(action=(Dim("a", "m", drives="x"), STRIKE), state=(Dim("x"),), rate_hz=50.0)


def test_a_discrete_dimension_makes_no_step() -> None:
    at_switch, elsewhere = metrics.steps(ticks([[0.0, 0.0], [0.25, 1.0]], STRIKING), STRIKING)
    assert (at_switch.tolist(), elsewhere.tolist()) == ([], [0.25])


def test_the_unit_of_an_action_is_the_one_that_its_dimensions_share_discrete_ones_aside() -> None:
    assert metrics.action_unit(STRIKING) == "m"
    mixed = RobotSpec(action=(Dim("a", "m", drives="x"), Dim("b", "rad", drives="x")), state=(Dim("x"),), rate_hz=50.0)
    assert metrics.action_unit(mixed) == ""


def test_guard_hits_are_the_ticks_in_which_a_setpoint_was_changed_and_an_old_state_is_none() -> None:
    records = ticks(np.zeros(5))
    records["guard"] = [0, Flag.RATE, Flag.STALE, Flag.IMAGE, Flag.ACCEL | Flag.STALE]
    assert metrics.guard_hits(records) == 0.4
    assert math.isnan(metrics.guard_hits(records[:0]))


def test_idle_is_the_share_of_holds_and_no_skipped_tick_is_one() -> None:
    records = ticks(np.zeros(5))
    records["status"] = [TickStatus.UNDERRUN, TickStatus.OK, TickStatus.UNDERRUN, TickStatus.OVERRUN, TickStatus.OK]
    assert metrics.idle(records) == 0.4
    assert math.isnan(metrics.idle(records[:0]))
