from itertools import product

import pytest

from every import every
from rollahead.runtime.planning.latency import Latency
from rollahead.runtime.planning.timer import EARLY, NO_DEADLINE, ClockTimer, LatencyTimer
from rollahead.runtime.system.clock import FakeClock, Grid

STEPS = 10


def test_without_a_timer_there_is_time_for_everything() -> None:
    assert NO_DEADLINE.left(0.0) == NO_DEADLINE.left(1.0) == float("inf")


def test_by_the_clock_it_is_the_time_to_a_little_before_the_head_of_the_deadline() -> None:
    clock, grid = FakeClock(), Grid(0, 10.0)
    timer = ClockTimer(clock, grid, deadline=4)
    assert timer.left(0.0) == pytest.approx(4 - EARLY)
    clock.advance(250_000_000)  # two and a half ticks
    assert timer.left(0.9) == pytest.approx(1.5 - EARLY)
    clock.advance(250_000_000)
    assert timer.left(1.0) == pytest.approx(-1 - EARLY)


@every("spare", range(6))
def test_by_a_latency_a_step_takes_its_share_of_what_comes_after_the_state_is_bound(spare: int) -> None:
    for done in range(1, 8):
        for bind, share in product(range(done), (0.0, 0.25, 0.5, 1.0)):
            timer = LatencyTimer(Latency(bind, done), spare)
            assert timer.left(share) == pytest.approx(spare - bind - share * (done - bind))
            assert timer.share == share


def test_what_ends_within_the_time_left_is_done_by_the_deadline_and_what_does_not_later() -> None:
    for done in range(1, 8):
        for bind, i, spare in product(range(done), range(1, STEPS + 1), range(9)):
            timer = LatencyTimer(Latency(bind, done), spare)
            left = timer.left(i / STEPS)
            assert (timer.done <= spare) == (left >= -1e-9)
            assert bind <= timer.done <= done


def test_what_is_not_cut_takes_the_whole_latency() -> None:
    assert LatencyTimer(Latency(2, 7), 4).done == 7
