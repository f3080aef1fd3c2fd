import sys

import numpy as np
import pytest

from rollahead.runtime.system.clock import FakeClock, MonotonicClock
from rollahead.runtime.system.floor import measure_floor, permitted
from rollahead.runtime.system.tuning import Tuning


class LateClock(FakeClock):
    """Every sleep ends a microsecond late."""

    def sleep_until_ns(self, deadline_ns: int) -> None:
        super().sleep_until_ns(deadline_ns + 1000)


def test_lateness_is_from_absolute_deadlines_so_it_does_not_add_up() -> None:
    floor = measure_floor(0.5, Tuning(), rate_hz=200.0, clock=LateClock())
    assert len(floor.late_us) == 100
    np.testing.assert_allclose(floor.late_us, 1.0)


def test_a_loop_on_the_machines_own_clock_is_never_early_and_runs_as_it_was_tuned() -> None:
    floor = measure_floor(0.1, Tuning(timer_slack_ns=5), rate_hz=500.0, clock=MonotonicClock())
    assert (floor.late_us >= 0).all()
    assert floor.tuned["timer_slack"].startswith("5 ns")


def test_what_came_of_asking_is_told_in_words() -> None:
    asked = {"scheduling": "SCHED_FIFO 50", "memory": "locked"}
    found = permitted()
    assert set(found) == set(asked)
    for name, words in found.items():  # a root of a container may be denied both
        assert words == asked[name] or words.startswith("not permitted (")


def test_a_trial_that_cannot_be_made_is_no_permission(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    assert all(words.startswith("not permitted") for words in permitted().values())
