import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import numpy as np
import pytest

from noted import DISCONNECT, STOP, NotedRobot, Notes
from rollahead.errors import InferenceError
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.drivers.realtime import WARM_UPS, Realtime
from rollahead.runtime.drivers.worker import AFTER_HEAD, BEFORE_HEAD, Worker
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Fixed, LatencyModel
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.planning.timed_latency import Scheduled
from rollahead.runtime.planning.timer import EARLY, NO_DEADLINE, Timer
from rollahead.runtime.system.clock import FakeClock, Grid
from rollahead.runtime.transport.mailbox import Channel, Mailbox
from rollahead.runtime.transport.wake_event import WakeEvent
from rollahead.runtime.transport.wire import SharedInbox, SharedOutbox
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Failure, Observation, Request, Result, ResultFlags, Snapshot
from rollahead.runtime.types.spec import Dim, RobotSpec

RATE_HZ = 10.0
PERIOD_NS = 100_000_000
GRID = Grid(7 * PERIOD_NS, RATE_HZ)
SPEC = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), RATE_HZ)
H = 4


class Desk:
    """A worker between two mailboxes; its planner takes `takes_ns` and gives the state, H times."""

    def __init__(self, latency: LatencyModel | None = None, takes_ns: int = 0) -> None:
        self.clock = FakeClock(GRID.start_ns)
        self.inbox: Mailbox[Result | Failure] = Mailbox()
        self.outbox: Mailbox[Snapshot] = Mailbox()
        self.takes_ns = takes_ns
        inference = Inference(ScriptedPlanner(self.plan), SpeedUp(SPEC, 1), horizon=H, action_dim=1)
        self.worker = Worker(inference, self.outbox, self.inbox, self.clock, latency)

    def plan(self, seen: Observation, rng: np.random.Generator) -> FloatArray:
        self.clock.advance(self.takes_ns)
        return np.full((H, 1), seen.state[0])

    def publish(self, tick: int, asked: Request | None = None, *, ask: bool = False) -> Request | None:
        none = frozen(np.zeros((0, 1)))
        snapshot = Snapshot(tick, (Observation(tick, frozen([float(tick)])),), none, none, 0, 0, asked)
        if ask:
            snapshot = snapshot.with_request(Request(snapshot, tick + 2, tick + 2, None, 2))
        self.outbox.put(snapshot)
        return snapshot.request

    def result(self) -> Result:
        result = self.inbox.peek()
        assert isinstance(result, Result)
        return result


def test_a_request_is_answered_once() -> None:
    desk = Desk()
    assert not desk.worker.step(GRID)
    desk.publish(0)
    assert not desk.worker.step(GRID)
    asked = desk.publish(1, ask=True)
    assert desk.worker.step(GRID)
    assert desk.result().request is asked
    desk.publish(2, asked)
    assert not desk.worker.step(GRID)
    other = desk.publish(3, ask=True)
    assert desk.worker.step(GRID)
    assert desk.result().request is other


@pytest.mark.parametrize("late", [0.0, 0.3, 1.7])
def test_what_it_cost_is_counted_from_the_head_of_the_tick_that_it_was_seen_in(late: float) -> None:
    desk = Desk(takes_ns=250_000_000)
    desk.publish(3, ask=True)
    desk.clock.sleep_until_ns(GRID.due_ns(3 + late))
    desk.worker.step(GRID)
    assert desk.result().cost == pytest.approx(2.5 + late)


@pytest.mark.parametrize("ticks", [1, 3, 8])
def test_an_injected_latency_ends_half_a_period_before_its_tick(ticks: int) -> None:
    desk = Desk(Fixed(ticks))
    desk.publish(5, ask=True)
    desk.worker.step(GRID)
    assert desk.clock.now_ns() == GRID.due_ns(5 + ticks - BEFORE_HEAD)
    assert desk.result().cost == ticks


def test_an_injected_latency_that_depends_on_time_is_that_of_the_tick_in_which_the_worker_begins() -> None:
    desk = Desk(Scheduled([0, 6], [2, 7]))
    for tick, ticks in ((5, 2), (20, 7)):
        desk.clock.sleep_until_ns(GRID.due_ns(tick))
        desk.publish(tick, ask=True)
        desk.worker.step(GRID)
        assert desk.clock.now_ns() == GRID.due_ns(tick + ticks - BEFORE_HEAD)
        assert desk.result().cost == ticks


def test_with_a_late_binding_the_state_is_that_of_the_tick_it_is_bound_in() -> None:
    desk = Desk(Fixed(8, bind_fraction=0.5))
    asked = desk.publish(5, ask=True)
    slept = desk.clock.sleep_until_ns

    def sleep(deadline_ns: int) -> None:
        slept(deadline_ns)
        if deadline_ns == GRID.due_ns(9 + AFTER_HEAD):
            desk.publish(9, asked)
            seen.append(9)

    seen: list[int] = []
    desk.clock.sleep_until_ns = sleep  # type: ignore[method-assign]
    desk.worker.step(GRID)
    assert seen == [9]


class Deadline:
    """A planner that looks at its timer, and ends after 2 of 4 steps, which saves it 3 ticks."""

    def __init__(self) -> None:
        self.left: list[float] = []

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result:
        self.left = [timer.left(0.0), timer.left(0.5)]
        rows = frozen(np.zeros((H, 1)))
        return Result(request, rows, newest().tick, frozen([0.0]), 3.0, 2, 2, ResultFlags.CUT)


def hurried(latency: LatencyModel | None) -> tuple[Desk, Deadline]:
    desk, planner = Desk(latency), Deadline()
    inference = Inference(planner, SpeedUp(SPEC, 1), horizon=H, action_dim=1)
    desk.worker = Worker(inference, desk.outbox, desk.inbox, desk.clock, latency)
    desk.publish(3, ask=True)
    desk.clock.sleep_until_ns(GRID.due_ns(3.5))
    desk.worker.step(GRID)
    return desk, planner


def test_a_planner_is_told_the_time_to_its_deadline_and_what_it_saves_counts_as_if_it_had_been_taken() -> None:
    desk, planner = hurried(None)
    assert planner.left == pytest.approx([1.5 - EARLY] * 2)
    assert desk.result().cost == pytest.approx(0.5 + 3.0)


def test_of_an_injected_latency_only_the_share_that_was_made_is_waited_for() -> None:
    desk, planner = hurried(Fixed(8))
    assert planner.left == [2.0, -2.0]  # 2 ticks to the deadline; half of 8 are 2 too many
    assert desk.clock.now_ns() == GRID.due_ns(3 + 4 - BEFORE_HEAD)
    assert desk.result().cost == 8.0


def test_warming_up_answers_nothing_and_leaves_the_request_taken() -> None:
    desk = Desk(takes_ns=50_000_000)
    desk.publish(0, ask=True)
    costs = desk.worker.warm(5, RATE_HZ)
    assert [cost for cost in costs] == [pytest.approx(0.5)] * 5
    assert desk.inbox.peek() is None
    assert not desk.worker.step(GRID)


def test_warming_up_says_how_far_it_is() -> None:
    desk, said = Desk(), list[str]()

    def stage(name: str) -> AbstractContextManager[Callable[[str], None]]:
        said.append(name)
        return nullcontext(said.append)

    desk.publish(0, ask=True)
    desk.worker.warm(3, RATE_HZ, stage)
    assert said == ["warming up", "1 of 3", "2 of 3", "3 of 3"]


@pytest.mark.parametrize(
    "broken, words",
    [
        (np.full((H, 1), np.nan), "NaN"),
        (np.zeros((H, 2)), "2"),
        (np.zeros((0, 1)), "0"),
        (np.zeros(H), r"\(4,\)"),
    ],
)
def test_rows_that_cannot_be_used_end_it_with_words_for_the_executor(broken: FloatArray, words: str) -> None:
    desk = Desk()
    desk.plan = lambda seen, rng: broken  # type: ignore[method-assign]
    desk.worker._inference = Inference(ScriptedPlanner(desk.plan), SpeedUp(SPEC, 1), horizon=H, action_dim=1)
    desk.publish(0, ask=True)
    desk.worker.run(WakeEvent(), GRID)
    failure = desk.inbox.peek()
    assert isinstance(failure, Failure)
    assert desk.worker.error is not None
    with pytest.raises(type(desk.worker.error), match=words):
        raise desk.worker.error


def test_whatever_a_planner_raises_ends_it_with_words_for_the_executor() -> None:
    desk = Desk()

    def broken(seen: Observation, rng: np.random.Generator) -> FloatArray:
        raise ZeroDivisionError("by the policy")

    desk.worker._inference = Inference(ScriptedPlanner(broken), SpeedUp(SPEC, 1), horizon=H, action_dim=1)
    desk.publish(0, ask=True)
    desk.worker.run(WakeEvent(), GRID)
    failure = desk.inbox.peek()
    assert isinstance(failure, Failure)
    assert "by the policy" in failure.message


class Unspeakable(Exception):
    """An error whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


class UnspeakableOfOurs(InferenceError):
    """The same, of a planner that raises our errors."""

    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError("no file \udcff"), r"raised OSError (no file \udcff)"),
        (InferenceError("no file \udcff"), r"no file \udcff"),
        (Unspeakable(), "raised Unspeakable (it cannot be put into words)"),
        (UnspeakableOfOurs(), "it cannot be put into words"),
        (SystemExit("\udcff"), r"SystemExit: \udcff"),
        (ValueError("ä" * 5000), "raised ValueError (ä"),
    ],
    ids=lambda case: type(case).__name__,
)
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_an_error_of_any_text_is_told_to_the_executor(error: BaseException, words: str, isolation: str) -> None:
    desk = Desk()
    inbox: Channel[Result | Failure] = (
        SharedInbox(SPEC, H, SharedOutbox(SPEC, H, 1)) if isolation == "process" else Mailbox()
    )

    def broken(seen: Observation, rng: np.random.Generator) -> FloatArray:
        raise error

    inference = Inference(ScriptedPlanner(broken), SpeedUp(SPEC, 1), horizon=H, action_dim=1)
    worker = Worker(inference, desk.outbox, inbox, desk.clock)
    desk.publish(0, ask=True)
    worker.run(WakeEvent(), GRID)
    failure = inbox.peek()
    assert isinstance(failure, Failure)
    assert words in failure.message
    assert worker.error is not None


def test_it_sleeps_until_the_bell_and_ends_when_told() -> None:
    desk, wake = Desk(), WakeEvent()
    thread = threading.Thread(target=desk.worker.run, args=(wake, GRID))
    thread.start()
    asked = desk.publish(1, ask=True)
    wake.ring()
    while desk.inbox.peek() is None:
        assert thread.is_alive()
    desk.worker.end(wake)
    thread.join(30)
    assert not thread.is_alive()
    assert desk.result().request is asked


class Faulty:
    """A planner of noted robots that raises an error with a text of no text, or says a wrong cost, once it is warm."""

    def __init__(self, fault: str) -> None:
        self._fault, self._calls = fault, 0

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result:
        self._calls += 1
        broken = self._calls > WARM_UPS
        if broken and self._fault == "text":
            raise OSError("no file \udcff")
        cost = float(self._fault) if broken else 0.0
        seen = newest().observation
        return Result(request, frozen(np.full((16, 2), 1.0)), seen.state_tick, seen.state, cost)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("text", r"raised OSError \(no file \\udcff\)"),
        ("nan", "gave cost nan at the request"),
    ],
)
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_the_robot_comes_to_rest_and_the_planner_is_blamed_for_what_it_says(
    isolation: str, fault: str, words: str
) -> None:
    notes = Notes()
    drive = Drive(StrategyConfig("vlash", s=4, d=2), 16)
    runtime = Realtime(drive, partial(NotedRobot, notes.ring), Faulty(fault), isolation=isolation)
    with pytest.raises(InferenceError, match=f"the planner {words}"), runtime:
        runtime.run(30.0)
    assert notes.sent[-1][1] == 0.0
    assert notes.order[-2:] == [STOP, DISCONNECT]
