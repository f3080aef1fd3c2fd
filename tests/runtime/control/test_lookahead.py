"""`planned_rows` against the plainest model there is: tick by tick, the newest chunk that has a row, else a hold."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product, takewhile

import numpy as np
import pytest

from every import every
from rollahead.runtime.control.lookahead import planned_rows
from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.chunk import Chunk, Mean, Timeline
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

SPEC = RobotSpec(
    action=(Dim("x", drives="x"), Dim("v", kind=Kind.VELOCITY, rate_limit=10.0), Dim("grip", kind=Kind.DISCRETE)),
    state=(Dim("x"),),
    rate_hz=10.0,  # braking by 1 a tick
)
HOLD = Hold(SPEC)
HELD = frozen([0.5, 2.5, 1.0])


def held() -> FloatArray:
    """(A,), what a hold would send at the first tick."""
    return HELD


def chunk(name: int, origin: int, start: int, horizon: int) -> Chunk:
    rows = [[100 * name + origin + i, 3.0 + name + i % 2, i % 2] for i in range(horizon)]
    return Chunk(frozen(rows), origin, start, 0, 0, name, 0, accepted=0)


CHUNKS = [
    (origin, start, horizon)
    for origin, horizon in product(range(-2, 5), (1, 3, 4))
    for start in range(origin, origin + horizon)
]


def timelines() -> Iterator[Timeline]:
    yield Timeline()
    for one in CHUNKS:
        yield Timeline((chunk(1, *one),))
    for one, two in product(CHUNKS[::2], CHUNKS[::3]):
        yield Timeline((chunk(1, *one), chunk(2, *two)))
    for three in product(CHUNKS[::6], repeat=3):
        yield Timeline(tuple(chunk(name, *span) for name, span in enumerate(three)))


def naive(timeline: Timeline, k: int, n: int) -> list[list[float]]:
    """(n, A), each tick by itself: in a hold position and gripper repeat, the velocity brakes by 1."""
    hold = HELD.tolist()
    rows = []
    for tick in range(k, k + n):
        having = [made for made in timeline.chunks if made.start <= tick < made.origin + len(made.rows)]
        x, v, grip = having[-1].rows[tick - having[-1].origin].tolist() if having else hold
        rows.append([x, v, grip])
        hold = [x, max(v - 1.0, 0.0), grip]
    return rows


def test_a_hold_that_nothing_covers_is_sent_as_it_is_and_then_brakes() -> None:
    rows, _ = planned_rows(Timeline(), 7, 5, HOLD, held)
    np.testing.assert_array_equal(rows[0], HELD)
    assert rows[:, 1].tolist() == [2.5, 1.5, 0.5, 0.0, 0.0]


@pytest.mark.parametrize("k", [-1, 0, 2, 5])
def test_what_is_planned_is_what_would_be_sent_tick_by_tick(k: int) -> None:
    for timeline in timelines():
        rows, _ = planned_rows(timeline, k, 6, HOLD, held)
        assert np.abs(rows - naive(timeline, k, 6)).max() < 1e-12


@every("n", range(1, 10))
def test_as_many_rows_as_asked_for_each_the_same_however_far_one_looks(n: int) -> None:
    for timeline in [*timelines()][::40]:
        rows, _ = planned_rows(timeline, 0, n, HOLD, held)
        assert rows.shape == (n, 3)
        np.testing.assert_array_equal(rows, planned_rows(timeline, 0, 10, HOLD, held)[0][:n])


@every("epoch", [0, 1])
@every("k", [-1, 0, 2, 5])
def test_as_many_rows_are_covered_as_chunks_of_this_epoch_have_from_the_first_on(k: int, epoch: int) -> None:
    for timeline in timelines():
        chunks = tuple(replace(made, epoch=i % 2) for i, made in enumerate(timeline.chunks))
        mixed = Timeline(chunks)
        _, covered = planned_rows(mixed, k, 6, HOLD, held, epoch)
        newest = [mixed.covering(tick)[-1:] for tick in range(k, k + 6)]
        assert covered == len([*takewhile(lambda made: made and made[0].epoch == epoch, newest)])


def test_a_chunk_that_starts_in_the_future_is_awaited_in_a_hold() -> None:
    rows, _ = planned_rows(Timeline((chunk(1, 3, 3, 2),)), 0, 6, HOLD, held)
    assert rows[:, 0].tolist() == [0.5, 0.5, 0.5, 103.0, 104.0, 104.0]
    assert rows[:, 1].tolist() == [2.5, 1.5, 0.5, 4.0, 5.0, 4.0]


def test_where_a_chunk_has_the_first_row_no_hold_is_asked_for() -> None:
    for origin, start, horizon in CHUNKS:
        made = chunk(1, origin, start, horizon)
        for k in range(start, made.stop):
            rows, _ = planned_rows(Timeline((made,)), k, 6, HOLD, lambda: pytest.fail("not needed"))
            np.testing.assert_array_equal(rows[:1], made.between(k, k + 1))


def test_under_a_mean_each_planned_tick_is_the_timeline_s_action() -> None:
    blend = Mean(0.3, np.array([False, False, True]))
    for timeline in [*timelines()][::15]:
        mean = Timeline(timeline.chunks, blend)
        rows, _ = planned_rows(mean, 0, 7, HOLD, held)
        for k, row in enumerate(rows):
            action = mean.action(k)
            expected = action if action is not None else HOLD.rows(rows[k - 1], 1)[0] if k else HELD
            np.testing.assert_array_equal(row, expected)


def test_what_is_planned_cannot_be_written_and_writes_nothing() -> None:
    writable = HELD.copy()
    for timeline in [*timelines()][::40]:
        with pytest.raises(ValueError, match="read-only"):
            planned_rows(timeline, 0, 4, HOLD, lambda: writable)[0][0] = 1.0
    np.testing.assert_array_equal(writable, HELD)
