import math
from fractions import Fraction

import numpy as np
import pytest

from every import every
from rollahead.errors import InferenceError
from rollahead.runtime.control.delay import DelayEstimator


def fed(costs: list[float], **options: object) -> DelayEstimator:
    estimator = DelayEstimator(**options)
    for cost in costs:
        estimator.add(cost)
    return estimator


def test_before_anything_was_measured_the_delay_is_zero() -> None:
    assert DelayEstimator().delay == 0


def test_the_delay_is_the_smallest_cost_that_a_share_of_quantile_stays_within() -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        n = int(rng.integers(1, 30))
        quantile = Fraction(int(rng.integers(0, 33)), 32)  # exact as a float
        costs = rng.integers(0, 12, n).tolist()
        within = [cost for cost in sorted(costs) if sum(other <= cost for other in costs) >= quantile * n]
        assert fed(costs, quantile=float(quantile)).delay == within[0]


@every("cost", [0.0, 0.2, 1.0, 1.0000000001, 1.01, 3.7, 4.0])
def test_a_delay_is_rounded_up_to_whole_ticks(cost: float) -> None:
    assert fed([cost]).delay == math.ceil(round(cost, 6))


@every("window", [1, 2, 5, 20])
@every("quantile", [0.0, 0.5, 0.95, 1.0])
def test_a_spike_is_forgotten_after_window_others(window: int, quantile: float) -> None:
    estimator = fed([3.0] * window + [100.0], window=window, quantile=quantile)
    for _ in range(window - 1):
        estimator.add(3.0)
    if quantile == 1.0:
        assert estimator.delay == 100  # the window's maximum, for as long as it is in the window
    estimator.add(3.0)
    assert estimator.delay == 3


def test_the_median_of_two_modes_is_one_of_them_and_no_mean() -> None:
    rng = np.random.default_rng(2)
    for n in range(1, 60, 6):
        costs = rng.choice([3.0, 11.0], n).tolist()
        assert fed(costs, window=60).delay in set(costs)


@pytest.mark.parametrize("fixed", range(4))
def test_a_fixed_delay_is_never_estimated(fixed: int) -> None:
    estimator = fed([50.0] * 60, fixed=fixed)
    assert estimator.delay == fixed


@every("cost", [math.nan, math.inf, -math.inf, -1.0, -999.0])
def test_a_cost_that_is_no_number_of_ticks_is_not_taken(cost: float) -> None:
    estimator = fed([2.0, 3.0])
    with pytest.raises(InferenceError, match=f"said to have cost {cost} ticks; give a finite number, 0 or more"):
        estimator.add(cost)
    assert (estimator.costs, estimator.delay) == ([2.0, 3.0], 2)
