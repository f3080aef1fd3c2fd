import time

import pytest

from every import every
from rollahead.runtime.system.clock import FakeClock, MonotonicClock


@every("start", [0, 3, 10**18])
@every("steps", [(0,), (1, 2), (7, 0, 10**12)])
def test_a_fake_clock_moves_by_just_what_it_is_told(start: int, steps: tuple[int, ...]) -> None:
    clock = FakeClock(start)
    for step in steps:
        clock.advance(step)
    assert clock.now_ns() == start + sum(steps)


@every("now", range(4))
@every("deadline", range(-1, 6))
def test_sleeping_ends_at_the_deadline_or_at_once_if_it_has_passed(now: int, deadline: int) -> None:
    clock = FakeClock(now)
    clock.sleep_until_ns(deadline)
    assert clock.now_ns() == max(now, deadline)


def test_a_fake_clock_never_goes_back() -> None:
    clock = FakeClock(4)
    with pytest.raises(ValueError, match="back by 3 ns"):
        clock.advance(-3)
    assert clock.now_ns() == 4


def test_the_monotonic_clock_never_goes_back() -> None:
    clock = MonotonicClock()
    times = [clock.now_ns() for _ in range(1000)]
    assert times == sorted(times)


def test_the_monotonic_clock_returns_at_once_from_a_deadline_that_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("slept past its deadline"))
    clock = MonotonicClock()
    for late_ns in (0, 1, 10**9):
        clock.sleep_until_ns(clock.now_ns() - late_ns)


def test_the_monotonic_clock_sleeps_on_when_the_system_wakes_it_early(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000]
    asked = []

    def wake_early(seconds: float) -> None:
        asked.append(round(seconds * 1e9))
        now[0] += max(asked[-1] // 2, 1)

    monkeypatch.setattr(time, "monotonic_ns", lambda: now[0])
    monkeypatch.setattr(time, "sleep", wake_early)
    MonotonicClock().sleep_until_ns(2_000)
    assert now[0] >= 2_000
    assert asked[:3] == [1000, 500, 250]


@pytest.mark.parametrize("spin_ns", [0, 200, 5000])
def test_the_last_of_a_sleep_is_spent_awake_and_never_ends_early(spin_ns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds * 1e9)
        now[0] += round(seconds * 1e9)

    def monotonic_ns() -> int:
        now[0] += 10  # looking takes time
        return now[0]

    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "monotonic_ns", monotonic_ns)
    MonotonicClock(spin_ns).sleep_until_ns(4000)
    assert now[0] >= 4000
    assert sum(slept) == pytest.approx(max(4000 - 10 - spin_ns, 0), abs=1)
