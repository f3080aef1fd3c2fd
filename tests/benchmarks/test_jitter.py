import numpy as np
import pytest
from benchmarks.jitter import WARM_S, figures_of, ratio_row, value_row

RATE_HZ = 50.0
PERIOD_NS = 20_000_000
START_NS = 10**12
N = 500


def figures(at_ns: np.ndarray, *, grid: bool = True, cpu_us: float = 100.0) -> dict[str, float]:
    cpu = (np.arange(len(at_ns)) * cpu_us * 1000).astype(np.int64)
    return figures_of(at_ns.astype(np.int64), cpu, RATE_HZ, START_NS if grid else None)


def even(n: int = N) -> np.ndarray:
    return START_NS + PERIOD_NS * np.arange(n)


def test_an_even_stream_has_no_jitter_no_drift_and_its_rate() -> None:
    found = figures(even() + 100_000)
    assert found["dt_us_p99"] == found["dt_us_max"] == 0.0
    assert found["late_us_p50"] == pytest.approx(100.0)
    assert found["drift_us_per_s"] == pytest.approx(0.0, abs=1e-3)
    assert found["rate_hz"] == pytest.approx(RATE_HZ)
    assert found["tick_cpu_us"] == pytest.approx(100.0)
    assert found["commands"] == N - WARM_S * RATE_HZ


@pytest.mark.parametrize("us_per_s", [10.0, -200.0, 16_000.0])
def test_a_loop_that_is_late_by_a_little_more_each_time_drifts(us_per_s: float) -> None:
    longer = us_per_s / RATE_HZ * 1e3  # ns per period
    found = figures(even() + longer * np.arange(N), grid=False)
    assert found["drift_us_per_s"] == pytest.approx(us_per_s, rel=1e-3)
    assert found["dt_us_p50"] == pytest.approx(abs(longer) / 1e3, rel=1e-3)


def test_a_period_that_was_left_out_on_a_grid_is_no_drift_and_is_missed_in_the_rate() -> None:
    at = np.delete(even(), slice(300, 310)) + 50_000
    found = figures(at)
    assert found["drift_us_per_s"] == pytest.approx(0.0, abs=1e-3)
    assert found["dt_us_max"] == pytest.approx(10 * 20_000)
    assert found["rate_hz"] == pytest.approx(RATE_HZ * (len(at) - 101) / (N - 101), rel=1e-6)


def test_the_start_of_a_run_does_not_count() -> None:
    at = even()
    at[: int(WARM_S * RATE_HZ)] += np.arange(int(WARM_S * RATE_HZ)) % 2 * 5_000_000
    assert figures(at)["dt_us_max"] == 0.0


def test_a_ratio_is_of_the_same_repetition_and_its_interval_the_range() -> None:
    figure = ratio_row("r", [1.0, 8.0, 3.0], [2.0, 2.0, 3.0], "<= 0.9", "python -m x")
    assert (figure.value, list(figure.ci or ()), figure.verdict) == (1.0, [0.5, 4.0], "missed")
    figure = value_row("v", [1.0, 8.0, 3.0], "ms", "<= 3", "python -m x")
    assert (figure.value, list(figure.ci or ()), figure.verdict) == (3.0, [1.0, 8.0], "met")
