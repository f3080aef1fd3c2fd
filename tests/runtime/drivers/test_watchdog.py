"""The watchdog, with a fake executor that says what it is told, on a clock that moves only when it looks."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from benchmarks.signal_trials import trial

from rollahead.runtime.drivers import watchdog
from rollahead.runtime.drivers.executor_main import Ended, Ready, Rested
from rollahead.runtime.drivers.watchdog import LOOK_S, PATIENCE_S, Watchdog

STALL_S, CONNECT_S = 1.0, 30.0


class FakeIsolation:
    """`at[n]` is said, or called, at look number n; ticks end as long as `ticking`, and looks take `look_s`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at: dict[int, Any] = {}
        self.looks = 0
        self.now_s = 0.0
        self.look_s = LOOK_S
        self.ticking = self.living = True
        self.stops: list[float] = []
        self.given_up: list[float] = []
        self.ring = SimpleNamespace(count=0)
        self.links: Any = SimpleNamespace(trace=SimpleNamespace(tick_ring=self.ring))
        self.control: Any = self
        self.processes: list[int] = []
        monkeypatch.setattr(watchdog, "time", SimpleNamespace(monotonic=lambda: self.now_s))
        self.watchdog = Watchdog(
            self, stall_s=STALL_S, connect_s=CONNECT_S, give_up=lambda: self.given_up.append(self.now_s)
        )

    def poll(self, timeout_s: float) -> bool:
        if timeout_s:
            self.now_s += self.look_s
            self.looks += 1
            self.ring.count += self.ticking
        due = self.at.get(self.looks)
        if isinstance(due, Callable):  # type: ignore[arg-type]
            self.at.pop(self.looks)()
            return False
        assert self.looks < 10_000, "it never ended"
        return due is not None

    def recv(self) -> Any:
        message = self.at.pop(self.looks)
        if isinstance(message, Exception):
            raise message
        return message

    def alive(self) -> bool:
        return self.living

    def death(self, *, begun: bool) -> str:
        return f"it died, begun {begun}"

    def stop_hung(self) -> str:
        self.stops.append(self.now_s)
        return "it was told to stop"

    def launch(self) -> None: ...

    def end(self) -> None: ...

    def run(self) -> Ended | None:
        self.watchdog._run()
        assert self.watchdog.heard.is_set()
        assert self.watchdog.over.is_set()
        return self.watchdog.ended


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeIsolation:
    return FakeIsolation(monkeypatch)


def hang(fake: FakeIsolation) -> Callable[[], None]:
    return lambda: setattr(fake, "ticking", False)


def test_what_the_executor_says_is_heard_until_it_has_ended(fake: FakeIsolation) -> None:
    fake.at = {3: Ready({"a": "b"}), 5: fake.watchdog.started, 50: Rested(), 60: Ended()}
    assert fake.run() == Ended()
    assert fake.watchdog.ready == Ready({"a": "b"})
    assert fake.stops == []


def test_an_executor_that_ends_no_tick_is_given_up_and_then_stopped_in_time(fake: FakeIsolation) -> None:
    fake.at = {1: Ready({}), 2: fake.watchdog.started, 10: hang(fake)}
    ended = fake.run()
    assert ended is not None
    assert ended.message == "no tick has ended for 1 s, so a call of the robot hangs; it was told to stop"
    assert fake.given_up == fake.stops == [pytest.approx(10 * LOOK_S + STALL_S + LOOK_S, abs=1.1 * LOOK_S)]


@pytest.mark.parametrize("away_s", [1.0, 10.0, 3600.0])
def test_time_in_which_it_did_not_run_itself_counts_for_two_looks(fake: FakeIsolation, away_s: float) -> None:
    def away() -> None:
        fake.now_s += away_s  # Ctrl-Z, and fg; or a planner that kept Python to itself

    silent = [Ready({}), fake.watchdog.started, hang(fake), away, away]
    fake.at = {
        **dict(enumerate(silent, 1)),
        8: lambda: setattr(fake, "ticking", True),
        20: Rested(),
        21: Ended(),
    }
    assert fake.run() == Ended()
    assert fake.stops == []


def test_nothing_hangs_before_it_is_started_however_long_that_takes(fake: FakeIsolation) -> None:
    fake.ticking = False
    fake.at = {1: Ready({}), 5000: Rested(), 5001: Ended()}
    assert fake.run() == Ended()


def test_letting_go_may_take_longer_than_a_tick_and_no_longer_than_connecting(fake: FakeIsolation) -> None:
    fake.at = {1: Ready({}), 2: fake.watchdog.started, 10: Rested(), 11: hang(fake)}
    ended = fake.run()
    assert ended is not None
    assert ended.message.startswith("the robot was not disconnected for 30 s, so a call of the robot hangs")
    assert fake.stops == [pytest.approx(11 * LOOK_S + CONNECT_S, abs=3 * LOOK_S)]


def test_one_that_was_told_to_end_before_the_start_and_says_nothing_is_given_up(fake: FakeIsolation) -> None:
    fake.ticking = False
    fake.at = {4: fake.watchdog.ending}
    ended = fake.run()
    assert ended is not None
    assert ended.message.startswith(f"the robot was not disconnected for {PATIENCE_S:g} s")


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("broken", [EOFError(), ConnectionResetError(), BrokenPipeError()])
def test_one_that_dies_is_told_with_whether_it_had_begun(fake: FakeIsolation, begun: bool, broken: Exception) -> None:
    fake.at = {**({1: Ready({})} if begun else {}), 4: broken}
    assert fake.run() == Ended("RobotError", f"it died, begun {begun}")


def test_one_that_dies_without_a_word_on_the_pipe_is_told_too(fake: FakeIsolation) -> None:
    fake.at = {4: lambda: setattr(fake, "living", False)}
    assert fake.run() == Ended("RobotError", "it died, begun False")


def test_a_watchdog_that_fails_itself_lets_nobody_wait_for_ever(fake: FakeIsolation) -> None:
    fake.at = {4: ValueError("no message")}
    ended = fake.run()
    assert ended is not None
    assert ended.message == "the watchdog failed (ValueError: no message)"


@pytest.mark.slow
@pytest.mark.parametrize("fake", ["thread", "process"])
def test_a_program_that_was_stopped_by_the_terminal_for_a_while_goes_on(fake: str) -> None:
    begun_s = {"thread": 0.3, "process": 1.2}[fake]
    outcome = trial(fake, ["STOP", "CONT"], [begun_s, 1.5], seed=0)
    assert outcome.notes[-1] == "ended"
    assert outcome.at_rest
    assert outcome.stopped
    assert outcome.disconnected
    assert outcome.status == 0
