import pytest

from rollahead.errors import ConfigError
from rollahead.runtime.analysis.forecast import forecast
from rollahead.runtime.analysis.rehearsal import rehearse
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.latency import Fixed, Lognormal

LATENCY = Lognormal(3.0, 6.0)


@pytest.mark.parametrize("strategy", ["sync", "naive", "vlash"])
def test_a_rehearsal_comes_to_its_forecast_with_speed_up_too(strategy: str) -> None:
    config = StrategyConfig(strategy, s=5, d=4, q=2)
    found = rehearse(config, 33, LATENCY, ticks=200, seed=3)
    assert found == forecast(config, 16, LATENCY, ticks=200, seed=3)


def test_other_seeds_are_other_latencies() -> None:
    config = StrategyConfig("vlash", s=5, d=4)
    assert rehearse(config, 16, LATENCY, ticks=200, seed=3) != rehearse(config, 16, LATENCY, ticks=200, seed=4)


def test_a_schedule_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigError, match="d = 6"):
        rehearse(StrategyConfig("vlash", s=5, d=6), 16, Fixed(4), ticks=10)
