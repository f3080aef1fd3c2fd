from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.runtime.control.strategy import (
    Chunked,
    Ensemble,
    Naive,
    Strategy,
    Sync,
    Vlash,
    address,
    moving_weights,
    taken_up,
)
from rollahead.runtime.control.trigger import Every, Overlap
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.chunk import Chunk, Mean, newest
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

T_OBS = 10
TRIGGER = Every(3)
STRATEGIES: dict[str, Strategy] = {
    "sync": Sync(s=3),
    "naive": Naive(TRIGGER),
    "naive_arrival": Naive(TRIGGER, arrival=True),
    "ensemble": Ensemble(TRIGGER, np.array([False]), decay=0.2),
    "vlash": Vlash(TRIGGER),
}


def snapshot(tick: int = T_OBS) -> Snapshot:
    rows = frozen(np.zeros((4, 1)))
    seen = Observation(tick, frozen([0.0]), image_ticks={"top": tick - 2}, state_age=1)
    return Snapshot(tick, (seen,), rows, rows, epoch=3, seed=5)


def result(request: Request, horizon: int) -> Result:
    """Row i reads i."""
    rows = frozen(np.arange(horizon, dtype=np.float64)[:, None])
    return Result(request, rows, state_tick=T_OBS - 1, anchor=frozen([0.0]), cost=1.0)


def usable(chunk: Chunk | None) -> dict[int, float]:
    """The rows that may be sent, by tick."""
    ticks = range(T_OBS - 5, T_OBS + 30)
    return (
        {}
        if chunk is None
        else {k: float(chunk.between(k, k + 1)[0, 0]) for k in ticks if chunk.start <= k < chunk.stop}
    )


def addressed() -> Iterator[tuple[int, int, int, int]]:
    """All (horizon, origin, start, tick of acceptance) of a small domain, early and late ones."""
    for horizon, origin in product(range(1, 7), range(T_OBS, T_OBS + 4)):
        for start in range(origin, origin + horizon + 1):
            for k in range(T_OBS, origin + horizon + 3):
                yield horizon, origin, start, k


def test_row_i_is_used_at_tick_origin_plus_i_from_start_and_acceptance_on_or_never() -> None:
    for horizon, origin, start, k in addressed():
        request = Request(snapshot(), origin, start, None, delay=0)
        expected = {origin + i: float(i) for i in range(horizon) if origin + i >= max(start, k)}
        chunk = address(result(request, horizon), k)
        assert usable(chunk) == expected
        assert (chunk is None) == (not expected)


def test_rows_that_came_too_late_are_counted() -> None:
    for horizon, origin, start, k in addressed():
        chunk = address(result(Request(snapshot(), origin, start, None, delay=0), horizon), k)
        if chunk is not None:
            assert chunk.lost == sum(start <= origin + i < k for i in range(horizon))


def test_a_chunk_says_where_it_comes_from() -> None:
    chunk = address(result(Request(snapshot(), 12, 13, None, delay=2), 5), 11)
    assert chunk is not None
    assert (chunk.origin, chunk.start, chunk.stop) == (12, 13, 17)
    assert (chunk.obs_tick, chunk.state_tick, chunk.request) == (T_OBS - 2, T_OBS - 1, T_OBS)
    assert (chunk.epoch, chunk.accepted) == (3, 11)
    assert not chunk.rows.flags.writeable


@every("name", STRATEGIES)
def test_a_request_is_of_the_snapshot_and_the_delay_it_was_planned_for(name: str) -> None:
    for tick, delay in product(range(5), range(6)):
        asked = snapshot(tick)
        request = STRATEGIES[name].plan(asked, delay)
        assert request.asked is asked
        assert (request.delay, request.deadline) == (delay, tick + delay)


# what each strategy promises (the table in the module head): row 0, usable from, state of which tick; d, k: arrival
PROMISED = {
    "sync": lambda d, k: (k, k, None),
    "naive": lambda d, k: (T_OBS, k, None),
    "naive_arrival": lambda d, k: (k, k, None),
    "ensemble": lambda d, k: (T_OBS, k, None),
    "vlash": lambda d, k: (T_OBS + d, max(T_OBS + d, k), T_OBS + d),
}


@every("name", STRATEGIES)
def test_each_strategy_addresses_its_answer_as_the_table_says(name: str) -> None:
    strategy = STRATEGIES[name]
    for horizon, delay, took in product(range(1, 8), range(6), range(9)):
        request = strategy.plan(snapshot(), delay)
        row_0, start, roll_to = PROMISED[name](delay, T_OBS + took)
        rows = min(horizon, 3) if name == "sync" else horizon
        assert request.roll_to == roll_to
        assert usable(strategy.schedule(result(request, horizon), T_OBS + took)) == {
            row_0 + i: float(i) for i in range(rows) if row_0 + i >= start
        }


def test_a_vlash_chunk_takes_over_at_just_its_origin_be_it_there_early_or_not() -> None:
    for delay in range(6):
        request = STRATEGIES["vlash"].plan(snapshot(), delay)
        for took in range(delay + 1):
            chunk = STRATEGIES["vlash"].schedule(result(request, 8), T_OBS + took)
            assert chunk is not None
            assert (chunk.start, chunk.lost) == (T_OBS + delay, 0)
            assert request.roll_to == chunk.origin  # the state that it was planned from is that of its row 0


def test_an_ensemble_averages_with_its_decay_and_spares_its_exempt_dimensions() -> None:
    exempt = np.array([True, False])
    blend = Ensemble(TRIGGER, exempt, decay=0.7).blend
    assert isinstance(blend, Mean)
    assert blend.decay == 0.7
    assert blend.exempt is exempt


@pytest.mark.parametrize("name", ["sync", "naive", "naive_arrival", "vlash"])
def test_all_others_send_the_newest_chunk(name: str) -> None:
    assert STRATEGIES[name].blend is newest


def test_sync_asks_when_its_chunk_is_used_up_and_the_others_as_they_are_told() -> None:
    assert STRATEGIES["sync"].trigger == Overlap(0)
    assert all(STRATEGIES[name].trigger is TRIGGER for name in STRATEGIES if name != "sync")


@pytest.mark.parametrize("discards", [False, True])
def test_a_chunk_that_outran_the_rows_it_was_given_is_discarded_if_asked_and_one_in_time_never_is(
    discards: bool,
) -> None:
    strategy = Chunked(TRIGGER, discards=discards)
    for delay, took in product(range(4), range(8)):
        placed = usable(strategy.schedule(result(strategy.plan(snapshot(), delay), 8), T_OBS + took))
        kept = {T_OBS + i: float(i) for i in range(8) if i >= max(delay, took)}
        assert placed == ({} if discards and took > delay else kept)


# ---- late plans that are taken up ---------------------------------------------------------------------------------

MOVING = frozen([1.0])


def late(ahead: list[float], delay: int, k: int, rows: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0)) -> int:
    """The row that a plan of `rows` begins with at tick T_OBS + k, where `ahead` was sent from T_OBS on."""
    seen = Observation(T_OBS, frozen([0.0]))
    planned = frozen(np.array(ahead)[:, None])
    asked = Snapshot(T_OBS, (seen,), planned[:0], planned, epoch=3, seed=5)
    request = Vlash(TRIGGER).plan(asked, delay)
    made = Result(request, frozen(np.array(rows)[:, None]), T_OBS, frozen([0.0]), 1.0)
    chunk = Vlash(TRIGGER, moving=MOVING).schedule(made, T_OBS + k)
    assert chunk is not None
    assert chunk.lost == max(chunk.start - chunk.origin, 0)
    assert chunk.start == max(T_OBS + k, T_OBS + delay)
    return chunk.start - chunk.origin


def test_a_robot_that_stood_still_begins_a_late_plan_with_row_0() -> None:
    assert [late([0.0] * 5, delay, k) for delay in range(4) for k in range(delay, 6)] == [0] * 18


def test_one_that_went_the_way_of_the_plan_goes_on_with_the_row_of_the_tick() -> None:
    for delay, k in ((0, 3), (1, 3), (2, 4), (3, 3)):
        assert late([9.0] * delay + [1.0, 2.0, 3.0, 4.0, 5.0], delay, k) == k - delay


@every(("sent", "row"), [(1.4, 1), (1.0, 1), (0.4, 0), (-2.0, 0), (1.6, 2), (30.0, 3)])
def test_one_that_went_some_of_it_begins_at_the_row_before_which_it_is_nearest(sent: float, row: int) -> None:
    assert late([7.0, sent, 0.0, 0.0, 0.0], 1, 4, (1.0, 1.0, 1.0, 1.0, 1.0)) == row


def test_of_rows_that_are_as_near_the_earliest_begins_also_where_the_way_of_the_plan_led_back() -> None:
    there_and_back = [1.0, -1.0, 2.0, -2.0]
    assert [late(there_and_back, 0, k, (*there_and_back, 5.0)) for k in (1, 2, 3, 4)] == [1, 0, 3, 0]
    assert late([0.5, 0.0, 0.0], 0, 1, (1.0, 1.0)) == 0


def test_a_plan_that_is_in_time_is_left_as_it_is_and_so_is_one_later_than_what_was_known() -> None:
    assert [late([1.0] * 5, 3, k) for k in range(4)] == [0, 0, 0, 0]
    assert late([0.0] * 3, 1, 4) == 3


def test_a_plan_that_is_late_by_more_than_its_rows_still_gives_one() -> None:
    assert late([0.0] * 9, 0, 8, (1.0, 2.0)) == 0
    assert late([5.0] * 9, 0, 8, (1.0, 2.0)) == 1


def test_nothing_is_put_off_unless_it_is_asked_for() -> None:
    request = Vlash(TRIGGER).plan(snapshot(), 1)
    assert usable(Vlash(TRIGGER).schedule(result(request, 5), T_OBS + 3)) == {T_OBS + 3 + i: 2.0 + i for i in range(3)}
    assert taken_up(result(request, 5), T_OBS + 1, MOVING).request is request


def test_each_action_weighs_as_a_share_of_its_range_and_discrete_ones_nothing() -> None:
    dims = (Dim("v", kind=Kind.VELOCITY, low=-1.5, high=2.5), Dim("w", kind=Kind.DELTA), Dim("g", kind=Kind.DISCRETE))
    assert moving_weights(RobotSpec(dims, (), rate_hz=50.0)).tolist() == [0.25, 1.0, 0.0]
