"""The contract of the executor's tick (DESIGN §4), held to every small schedule.

Each claim compares what a run did with what `Words` says, or with the sentence itself. `walk` plays a schedule once and
holds every claim to it; the tests below walk one family of schedules each. `walk_all` counts them and takes the time.
"""

import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.config.feasibility import check_schedule
from rollahead.runtime.control.trace import TickStatus
from rollahead.runtime.planning.latency import Lognormal
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Request

from . import schedules as walks
from .schedules import ADDRESSED, STRATEGIES, Arm, Run, Schedule, Thinker, make_executor, run
from .words import Words


class Case:
    """A schedule, what it did and what it must do. effect: (T, A), what was sent, and in a skipped tick what the robot
    in effect did, which nobody knows (NaN) before `first`, the first tick sent."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.run: Run = run(schedule)
        self.words = Words(schedule, self.run.arm.measured)
        self.written = [k for k, _ in self.run.arm.writes]
        self.first = self.written[0]
        self.effect: FloatArray = np.full((schedule.ticks, 4), np.nan)
        self.effect[self.written] = [action for _, action in self.run.arm.writes]
        for k in sorted(schedule.skipped):
            if k > self.first:  # the target stays, the rate goes on, no step is made, the grip stays
                self.effect[k] = self.effect[k - 1] * [1.0, 1.0, 0.0, 1.0]

    def requests(self) -> list[Request]:
        """All that were published, each once."""
        seen = {head.request.tick: head.request for head in self.run.heads if head is not None and head.request}
        return list(seen.values())

    def epoch(self, k: int) -> int:
        """The epoch of tick `k`."""
        return sum(end <= k for end in (*self.schedule.resets, *self.schedule.tasks))


# --- Claims ----------------------------------------------------------------------------------------------------------


def every_tick_is_sent_once_or_skipped(case: Case) -> None:
    """§4.1: one action for each tick index that is not skipped, in order; nothing is caught up or renumbered."""
    schedule = case.schedule
    assert case.written == [k for k in range(schedule.ticks) if k not in schedule.skipped]
    assert case.run.trace.ticks["tick"].tolist() == list(range(schedule.ticks))


def what_is_sent_is_what_the_words_say(case: Case) -> None:
    """§4.2 and §4.6: the row of the newest accepted chunk that covers the tick and has started, or the hold; to the
    bit, but for a mean."""
    tolerance = 1e-9 if case.schedule.strategy == "ensemble" else 0.0
    due = np.array([tick.action for tick in case.words.ticks[case.first :]])
    wrong = np.abs(case.effect[case.first :] - due).max(axis=1) > tolerance
    k = int(wrong.argmax())
    assert not wrong.any(), f"tick {case.first + k}: sent {case.effect[case.first + k]}, and {due[k]} was due"


def a_row_is_only_used_at_its_tick(case: Case) -> None:
    """§4.2: row i at tick origin + i, after it was accepted, and not before start. Decoded from what was sent."""
    numbered = {answer.number: answer for answer in case.words.answers if answer.placed}
    for k in case.written if case.schedule.strategy != "ensemble" else ():
        if case.words.ticks[k].status is TickStatus.OK:
            n, row = divmod(int(case.effect[k, 0]) - 100, 100)
            answer = numbered.get(n)
            assert answer is not None, f"tick {k} sent {case.effect[k]}, which no chunk has"
            assert k == answer.origin + row, f"tick {k} used row {row} of inference {n}"
            assert k >= max(answer.start, answer.accepted), f"tick {k} used inference {n} before its start"


def holds_are_counted_and_sources_traced(case: Case) -> None:
    """§4.6: a hold is an underrun, a skipped tick an overrun. The trace says which request, row and age is behind each
    action, which request is open, in which epoch, and what was sent."""
    ticks, due = case.run.trace.ticks, case.words.ticks
    assert ticks["status"].tolist() == [tick.status for tick in due]
    source = zip(*(ticks[name].tolist() for name in ("chunk", "row", "age")), strict=True)
    assert list(source) == [tick.source for tick in due]
    assert ticks["request"].tolist() == [tick.open.asked if tick.open else -1 for tick in due]
    assert ticks["epoch"].tolist() == [case.epoch(k) for k in range(case.schedule.ticks)]
    assert np.array_equal(ticks["action"], case.effect, equal_nan=True)


def late_rows_are_lost_and_counted(case: Case) -> None:
    """§4.2 and §4.4: the record of each inference. Its delay is a difference of tick indices, skipped ones included;
    what came after its first tick is lost; what came too early is not."""
    assert len(case.run.trace.inferences) == len(case.words.answers)
    for record, answer in zip(case.run.trace.inferences, case.words.answers, strict=True):
        asked = (record.request, record.epoch, record.delay_planned, record.rows)
        assert asked == (answer.asked, answer.epoch, answer.delay, case.schedule.horizon)
        assert (record.accepted, record.delay) == (answer.accepted, answer.accepted - answer.asked)
        assert record.outcome == answer.outcome, f"asked at {answer.asked}: {record.outcome}, not {answer.outcome}"
        if answer.placed:
            assert (record.origin, record.start) == (answer.origin, answer.first)
            assert record.lost == answer.first - answer.start
        elif not answer.dropped:
            assert (record.origin, record.start, record.lost) == (None, None, case.schedule.horizon)


def requests_are_made_when_due(case: Case) -> None:
    """§3: one request is open at a time, asked when the trigger says, and published at every tick until it is
    answered; its seed is of the run, the epoch and the tick."""
    for k, (head, tick) in enumerate(zip(case.run.heads, case.words.ticks, strict=True)):
        if head is not None:
            asked = head.request.tick if head.request else None
            assert asked == (tick.asked.asked if tick.asked else None), f"at tick {k} the request of {asked} is open"
            assert (head.tick, head.epoch) == (k, case.epoch(k))
    for request in case.requests():
        assert request.seed == (0, case.epoch(request.tick), request.tick)


def history_is_what_was_sent(case: Case) -> None:
    """§4.1 and §4.3: a snapshot has the ticks before it, consecutive and at least a chunk's worth: what was sent, and
    for a skipped tick what the robot in effect did."""
    for k, head in enumerate(case.run.heads):
        if head is not None and head.request is not None:
            known = case.effect[case.first : max(case.first, k)]
            n = len(head.sent)
            assert n >= min(len(known), case.schedule.horizon)
            assert np.array_equal(head.sent, known[len(known) - n :]), f"tick {k}: history is {head.sent}"


def what_is_planned_is_sent_until_something_new_comes(case: Case) -> None:
    """§4.3: the planned rows of a snapshot are sent as they are, holds among them, up to the next skipped tick or reset
    and the first row of a chunk that was not there yet. They are a chunk's worth when a request is made, and reach to
    its deadline later."""
    for k, head in enumerate(case.run.heads):
        if head is not None and head.request is not None:
            n = case.schedule.horizon if k == head.request.tick else max(head.request.deadline - k, 1)
            assert len(head.planned) >= n, f"tick {k} planned {len(head.planned)} rows of {n}"
            known = min(_next_change(case, k) - k, len(head.planned))
            sent = case.effect[k : k + known]
            assert np.array_equal(head.planned[:known], sent), f"tick {k} planned {head.planned[:known]}, not {sent}"


def _next_change(case: Case, k: int) -> int:
    """The first tick from `k` on for which the snapshot of `k` need not be right."""
    new = [a.first for a in case.words.answers if a.placed and (a.accepted > k or (a.accepted == k and a.unseen))]
    happens = [tick for tick in (*case.schedule.skipped, *case.schedule.resets) if tick > k]
    return min([case.schedule.ticks, *new, *happens])


def what_is_committed_is_sent(case: Case) -> None:
    """§4.3: the rows of ticks [t_obs, t_obs + d) are sent as they were promised, skipped ticks apart. A reset ends the
    promise. A hold after a skipped tick may differ, for it follows what the robot did. Where `start` is the acceptance
    (all but vlash and rtc), a result that comes before t_obs + d takes over at once."""
    for request in case.requests():
        ends = [case.schedule.ticks, *(tick for tick in case.schedule.resets if tick > request.tick)]
        if case.schedule.strategy not in ("vlash", "rtc"):
            ends += [a.first for a in case.words.answers if a.placed and a.accepted >= request.tick]
        committed = request.committed
        assert len(committed) == request.delay
        for k in range(request.tick, min([request.tick + len(committed), *ends])):
            shaken = any(request.tick <= tick < k for tick in case.schedule.skipped)
            if k not in case.schedule.skipped and not (shaken and case.words.ticks[k].status is TickStatus.UNDERRUN):
                promised = committed[k - request.tick]
                assert np.array_equal(promised, case.effect[k]), f"tick {k}: {promised}, promised at {request.tick}"


def the_state_given_is_the_state_the_robot_will_have(case: Case) -> None:
    """§3 and §5: vlash plans from the state at t_obs + d, to the bit, whenever it is bound and however late the result
    comes; the others from the state as measured. Only a skipped tick or a push in between can make a difference."""
    for answer in (answer for answer in case.words.answers if not answer.dropped):
        assert answer.number < len(case.run.thinker.thoughts), f"what was asked at {answer.asked} was not thought of"
        thought = case.run.thinker.thoughts[answer.number]
        result = thought.result
        assert (result.request.tick, thought.seen) == (answer.asked, answer.bound)
        origin = answer.asked + answer.delay
        rolled = case.schedule.strategy == "vlash"
        source = thought.seen if rolled and thought.seen <= origin else answer.asked
        assert result.state_tick == source - case.schedule.age
        ahead = answer.delay if rolled else 0
        given = [(seen.tick, seen.state) for seen in thought.window]
        assert [k for k, _ in given] == [old.tick + ahead for old in result.request.observations][: len(given)]
        for k, state in [*given, (origin if rolled else answer.asked, result.anchor)]:
            true = _state(case, source, k) if rolled else case.run.arm.measured(k)
            assert true is None or np.array_equal(state, true), (
                f"asked at {answer.asked}, bound at {source}: given {state} for {k}, and it is {true}"
            )


def _state(case: Case, source: int, k: int) -> FloatArray | None:
    """(S,), the state at tick `k`, or None if nobody could know it at tick `source`."""
    skipped = any(source <= tick < k for tick in case.schedule.skipped)
    pushed = any(source - case.schedule.age < tick <= k for tick in case.schedule.resets)
    return None if skipped or pushed or k > case.schedule.ticks else case.run.arm.states[k]


def observations_are_one_tick_apart(case: Case) -> None:
    """§3 and §4.5: a request holds the n_obs newest observations since the last reset; for one that is missing the
    nearest older, or else the first."""
    for request in case.requests():
        since = max((tick for tick in case.schedule.resets if tick <= request.tick), default=0)
        seen = [k for k in range(since, request.tick + 1) if k not in case.schedule.skipped]
        back = range(request.tick - case.schedule.n_obs + 1, request.tick + 1)
        due = [max((k for k in seen if k <= tick), default=seen[0]) for tick in back]
        assert [observation.tick for observation in request.observations] == due


def nothing_of_an_old_epoch_is_sent(case: Case) -> None:
    """§4.5: after a reset no row of an older request is sent. Results in flight over a reset or a task change are
    dropped, and what is asked then is asked with the new task."""
    schedule, ticks = case.schedule, case.run.trace.ticks
    for record in ticks[ticks["chunk"] >= 0] if schedule.resets else ():
        over = [tick for tick in schedule.resets if tick <= record["tick"]]
        assert not over or record["chunk"] >= max(over), f"tick {record['tick']} is of request {record['chunk']}"
    ends = (*schedule.resets, *schedule.tasks)
    for inference in case.run.trace.inferences:
        crossed = any(inference.request < end <= inference.accepted for end in ends)
        assert (inference.outcome == "dropped") == crossed
    for request in case.requests():
        before = [k for k in schedule.tasks if k <= request.tick]
        assert request.observations[-1].task == (f"task of {max(before)}" if before else "")


def on_time_there_is_no_hold(case: Case) -> None:
    """§5: where every result takes just d, nothing happens, and requests are early enough, the first chunk is followed
    by no hold; for sync by exactly d of them after every s rows."""
    schedule = case.schedule
    early = not isinstance(schedule.trigger, int) or schedule.trigger >= schedule.d
    happens = schedule.skipped or schedule.resets or schedule.tasks or schedule.half or schedule.estimated
    if schedule.arrivals != (schedule.d,) or happens or not early:
        return
    status = case.run.trace.ticks["status"].tolist()
    rows, holds = [TickStatus.OK] * schedule.s, [TickStatus.UNDERRUN] * schedule.d
    cycle = [*rows, *holds] if schedule.strategy == "sync" else rows
    due = [*holds, *(cycle * schedule.ticks)]
    assert status == due[: schedule.ticks]


def messages_are_never_written_again(case: Case) -> None:
    """§4.7: the arrays of snapshots and results are read-only."""
    for head in (head for head in case.run.heads if head is not None):
        assert not (head.sent.flags.writeable or head.planned.flags.writeable)
        assert not head.observation.state.flags.writeable
    for thought in case.run.thinker.thoughts:
        assert not (thought.result.rows.flags.writeable or thought.result.anchor.flags.writeable)


CLAIMS = (
    every_tick_is_sent_once_or_skipped,
    what_is_sent_is_what_the_words_say,
    a_row_is_only_used_at_its_tick,
    holds_are_counted_and_sources_traced,
    late_rows_are_lost_and_counted,
    requests_are_made_when_due,
    history_is_what_was_sent,
    what_is_planned_is_sent_until_something_new_comes,
    what_is_committed_is_sent,
    the_state_given_is_the_state_the_robot_will_have,
    observations_are_one_tick_apart,
    nothing_of_an_old_epoch_is_sent,
    on_time_there_is_no_hold,
    messages_are_never_written_again,
)


# --- The walk --------------------------------------------------------------------------------------------------------


def walk(schedules: Iterable[Schedule]) -> int:
    """Plays each schedule and holds every claim to it; gives how many there were. Says of each broken claim the first
    schedule that breaks it, which is a smallest one."""
    broken: dict[str, str] = {}
    count = 0
    for schedule in schedules:
        case = Case(schedule)
        count += 1
        for claim in CLAIMS:
            try:
                claim(case)
            except AssertionError as error:
                broken.setdefault(claim.__name__, f"{schedule}\n    {error}")
    assert not broken, "\n".join(f"{name}: {where}" for name, where in broken.items())
    return count


Family = Callable[[str, int], Iterable[Schedule]]
DOMAIN: list[tuple[bool, Callable[[], Iterable[Schedule]]]] = []  # whether slow, and the schedules


def over(
    family: Family, horizons: range, slow: range = range(0), strategies: tuple[str, ...] = ADDRESSED
) -> pytest.MarkDecorator:
    """Parametrises a test by the schedules of `family`, a case for each strategy and horizon; enters them in DOMAIN."""
    cases = []
    for is_slow, horizon in [*((False, h) for h in horizons), *((True, h) for h in slow)]:
        for strategy in strategies:
            schedules = partial(family, strategy, horizon)
            DOMAIN.append((is_slow, schedules))
            cases.append(pytest.param(schedules, id=f"{strategy}-H{horizon}", marks=[pytest.mark.slow] * is_slow))
    return pytest.mark.parametrize("schedules", cases)


def walk_all(*, slow: bool = False) -> tuple[int, float]:
    """Walks all that the tests below walk, without the slow cases or with them: schedules, and seconds it took."""
    started = time.perf_counter()
    count = sum(walk(schedules()) for is_slow, schedules in DOMAIN if slow or not is_slow)
    return count, time.perf_counter() - started


Schedules = Callable[[], Iterable[Schedule]]


@over(walks.constant, range(1, 8), slow=range(8, 13))
def test_every_arrival_early_or_late_keeps_the_contract(schedules: Schedules) -> None:
    assert walk(schedules())


@pytest.mark.slow
@over(walks.long_chunks, range(8, 13), strategies=STRATEGIES)
def test_long_chunks_keep_it_too(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.alternating, range(1, 4), slow=range(4, 6))
def test_arrivals_that_change_keep_it(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.estimated, range(1, 5), slow=range(5, 7))
def test_a_delay_that_is_estimated_keeps_it(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.half_ticks, range(1, 5))
def test_a_result_between_snapshot_and_action_is_taken_in_that_tick(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.other_triggers, range(1, 5), slow=range(5, 7), strategies=ADDRESSED[1:])
def test_every_trigger_asks_when_it_says(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.late_binding, range(1, 4), slow=range(4, 6))
def test_a_state_bound_late_or_measured_early_is_rolled_to_origin(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.windows, range(1, 3), slow=range(3, 4), strategies=("naive", "vlash"))
def test_every_observation_of_a_window_is_rolled_to_its_own_tick(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.window_resets, range(1, 3), strategies=("naive", "vlash"))
def test_a_window_never_reaches_over_a_reset(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.skips, range(1, 4), slow=range(4, 5))
def test_a_skipped_tick_is_what_the_robot_did_and_moves_no_row(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.late_bound_skips, range(1, 3), slow=range(3, 4), strategies=("vlash",))
def test_a_state_bound_after_a_skipped_tick_knows_of_it(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.resets, range(1, 4), slow=range(4, 5))
def test_a_reset_drops_everything_and_holds(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.tasks, range(1, 4), slow=range(4, 5))
def test_a_task_change_drops_what_is_in_flight_and_runs_on(schedules: Schedules) -> None:
    assert walk(schedules())


@over(walks.pairs, range(1, 2), slow=range(2, 3))
def test_two_things_at_any_two_ticks_keep_it(schedules: Schedules) -> None:
    assert walk(schedules())


# --- What no family walks --------------------------------------------------------------------------------------------


@every("strategy", STRATEGIES)
def test_the_same_seed_gives_the_same_trace_to_the_bit(strategy: str) -> None:
    latency = Lognormal(p50=1.5, p95=4.0, bind_fraction=0.5)
    for s, d in walks.feasible(strategy, 4):
        schedule = Schedule(strategy, 4, s, d, (8,), estimated=d == 0, skipped=(5,), tasks=(8,), resets=(11,))
        one, two, other = (run(schedule, latency=latency, seed=seed, noisy=True).trace for seed in (7, 7, 8))
        assert one.ticks.tobytes() == two.ticks.tobytes() != other.ticks.tobytes()
        assert one.inferences == two.inferences != other.inferences


@every("strategy", STRATEGIES)
def test_a_schedule_is_refused_just_where_it_cannot_be(strategy: str) -> None:
    """§5, with `d + max(s, d) <= H` where rows count from the observation: one request is open at a time."""
    for horizon in range(1, 13):
        allowed = set(walks.feasible(strategy, horizon))
        for s, d in product(range(-1, horizon + 2), range(-1, horizon + 1)):
            if (s, d) in allowed:
                check_schedule(strategy, horizon, s, d)
            else:
                with pytest.raises(ConfigError):
                    check_schedule(strategy, horizon, s, d)


def test_before_the_first_chunk_the_measured_position_is_held() -> None:
    played = run(Schedule("naive", 2, 1, 0, (3,)))
    assert [action.tolist() for _, action in played.arm.writes[:3]] == [[7.0, 0.0, 0.0, 3.0]] * 3


def test_a_delay_counts_the_ticks_that_were_skipped() -> None:
    record = run(Schedule("naive_arrival", 2, 1, 0, (1,), skipped=(1, 2))).trace.inferences[0]
    assert (record.request, record.accepted, record.delay) == (0, 3, 3)


def test_a_hold_brakes_within_the_rate_limit() -> None:
    """Inference 0 gives one row: rate 100, step -100; they may change by 75 and 50 per tick."""
    played = run(Schedule("sync", 1, 1, 4, (4,)))
    held = [action[1:3].tolist() for _, action in played.arm.writes[4:8]]
    assert held == [[100.0, -100.0], [25.0, -50.0], [0.0, 0.0], [0.0, 0.0]]


@every("strategy", ADDRESSED)
@every("end", ["reset", "set_task"])
def test_a_result_that_lies_in_the_inbox_when_an_epoch_ends_is_dropped(strategy: str, end: str) -> None:
    """§4.5. The worker puts it there at any time, which lockstep never does between two ticks."""
    arm, thinker = Arm(), Thinker(2)
    executor = make_executor(Schedule(strategy, 2, 1, 1, (1,)), arm)
    executor.tick(0)
    asked = executor.outbox.peek()
    assert asked is not None and asked.request is not None
    executor.inbox.put(thinker.infer(asked.request, lambda: asked))
    executor.reset() if end == "reset" else executor.set_task("another")
    assert [executor.tick(k) for k in (1, 2, 3)] == [TickStatus.UNDERRUN] * 3
    assert [record.outcome for record in executor.trace.inferences] == ["dropped"]


class Grasping(Arm):
    """An arm with something between its fingers: they never close as far as they are told."""

    def measured(self, k: int) -> FloatArray:
        """(S,), g being half of what it was told."""
        return super().measured(k) * [0.5, 1.0, 1.0, 1.0]


def test_a_reset_keeps_the_discrete_value_that_was_sent() -> None:
    """§4.6: a hold keeps a discrete value. Where the fingers are is not what they were told, and must not be sent."""
    played = run(Schedule("naive", 3, 1, 0, (1,), resets=(3,)), arm=Grasping())
    before, after = played.arm.writes[2][1], played.arm.writes[3][1]
    assert after[3] == before[3]


def test_a_state_older_than_a_chunk_is_rolled_over_all_that_was_sent() -> None:
    """§4.3: rolling uses what was sent for past ticks, however many they are."""
    assert walk([Schedule("vlash", 1, 1, 1, (1,), age=2)])


def test_an_observation_next_to_a_skipped_tick_is_rolled_to_its_own_tick() -> None:
    """Asked at 5 with tick 4 skipped, the window is of ticks 3 and 5, and is rolled to 4 and 6; bound at 6, the newest
    snapshot has no state as old as 4, and a later one must not be given for it."""
    assert walk([Schedule("vlash", 2, 1, 1, (2,), bind=1, skipped=(4,), n_obs=2)])


def main() -> None:
    """Walks the default domain and says how many schedules there were."""
    count, seconds = walk_all()
    sys.stdout.write(f"{count} schedules walked in {seconds:.0f} s\n")


if __name__ == "__main__":
    main()
