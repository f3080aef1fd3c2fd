"""Histograms against numpy's quantile."""

import numpy as np
import pytest

from every import every
from rollahead.runtime.recording.histogram import LARGEST, RATIO, TICKS, TIMES, Histogram, classes

AT = (0.0, 0.1, 0.5, 0.95, 0.99, 0.999, 1.0)


def made(values: np.ndarray, of: np.ndarray = TIMES, parts: int = 7) -> Histogram:
    histogram = Histogram(of)
    for part in np.array_split(values, parts):
        histogram.add(part)
    return histogram


DRAWN = {
    "lognormal": lambda rng, n: rng.lognormal(4, 3, n),
    "two far apart": lambda rng, n: rng.choice([0.07, 3e6], n) * rng.uniform(1, 1.5, n),
    "uniform": lambda rng, n: rng.uniform(0, 1e4, n),
    "with zeros": lambda rng, n: rng.exponential(50, n) * rng.integers(0, 2, n),
    "of a wide range": lambda rng, n: 10 ** rng.uniform(-2, 11, n),
}


@every("drawn", DRAWN)
@every("n", [1, 2, 3, 10, 1000])
def test_each_quantile_is_within_a_hundredth_of_the_exact_one(drawn: str, n: int) -> None:
    for seed in range(30):
        values = DRAWN[drawn](np.random.default_rng(seed), n)
        histogram = made(values)
        np.testing.assert_allclose(histogram.quantiles(AT), np.quantile(values, AT), rtol=0.01, atol=0.0005)
        assert histogram.most == values.max()


def test_ticks_up_to_a_thousand_are_exact() -> None:
    for seed in range(30):
        values = np.random.default_rng(seed).integers(0, 1001, 200)
        assert made(values, TICKS).quantiles(AT) == pytest.approx(np.quantile(values, AT), rel=1e-12)


def test_ticks_beyond_are_within_a_hundredth() -> None:
    values = np.arange(1001, 60_000, 13)
    np.testing.assert_allclose(made(values, TICKS).quantiles(AT), np.quantile(values, AT), rtol=0.01)


def test_what_is_out_of_range_counts_at_its_edge_and_the_maximum_is_exact() -> None:
    histogram = made(np.array([-5.0, 1e-9, 3 * LARGEST]))
    assert histogram.count == 3
    assert histogram.quantiles([0.5]) == [0.0]
    assert histogram.most == 3 * LARGEST


@pytest.mark.parametrize("of", [TIMES, TICKS, classes(1.0, exact=3)])
def test_classes_rise_by_no_more_than_two_in_a_hundred_or_by_one(of: np.ndarray) -> None:
    steps = np.diff(of[1:])
    assert (steps > 0).all()
    assert ((steps <= of[1:-1] * (RATIO - 1) * (1 + 1e-9)) | (steps <= 1.1)).all()
    assert of[-1] >= LARGEST
