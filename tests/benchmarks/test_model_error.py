"""What the benchmark of model errors alters, and what it leaves as it is."""

import numpy as np
import pytest
from benchmarks.model_error import CASES, SENSOR, Altered, _play, identified

from rollahead.sim.mole import WhackAMole


def played(task: WhackAMole, seed: int, *, event: bool = True) -> list[list[float]]:
    """What is measured over 60 ticks of driving about."""
    task.reset(seed, event=event)
    states = []
    for k in range(60):
        states.append(task.state().tolist())
        task.advance(np.array([0.4 * np.sin(k / 5), 0.3]))
    return states


def test_noise_is_in_what_is_measured_and_moves_neither_the_robot_nor_the_mole() -> None:
    errors = np.concatenate([np.array(played(Altered(True), s)) - played(WhackAMole(), s) for s in range(20)])
    assert np.abs(errors.mean(axis=0) / SENSOR).max() < 0.15
    assert errors.std(axis=0) == pytest.approx(SENSOR, rel=0.1)
    assert played(Altered(False), 3) == played(WhackAMole(), 3)


def test_the_same_seed_is_seen_with_the_same_noise_with_and_without_the_stimulus() -> None:
    task = Altered(True)
    assert played(task, 5) == played(task, 5) == played(Altered(True), 5, event=False)
    assert played(task, 5) != played(task, 6)


@pytest.mark.parametrize("sensor", [False, True])
def test_the_lag_is_identified_the_same_each_time_and_near_what_it_is(sensor: bool) -> None:
    lags = identified(sensor=sensor)
    assert [lag.action for lag in lags] == ["vx", "vy"]
    assert all(lag.tau_s == pytest.approx(0.0739, rel=0.15) and lag.delay == 0 for lag in lags)
    assert identified(sensor=sensor) == lags


def test_each_case_plays_the_same_episodes_and_only_one_without_a_model_is_lost() -> None:
    lags = identified(sensor=False)
    found = {case.name: _play((case, lags, range(3))) for case in CASES}
    assert {tuple(e.event_tick for e in episodes) for episodes in found.values()} == {
        tuple(e.event_tick for e in found["exact"])
    }
    hits = {name: sum(e.success for e in episodes) for name, episodes in found.items()}
    assert hits["no_roller"] == 0
    assert min(hits["exact"], hits["identified"]) == 3
    assert {name for name, episodes in found.items() if any(e.lost for e in episodes)} == {"jitter2", "all"}
