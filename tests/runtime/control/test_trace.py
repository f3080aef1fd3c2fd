from itertools import product

import numpy as np
import pyarrow as pa

from rollahead.runtime.control.strategy import address
from rollahead.runtime.control.trace import Outcome, TickStatus, Trace, inference_record
from rollahead.runtime.types.arrays import frozen, unknown
from rollahead.runtime.types.chunk import Chunk
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

SPEC = RobotSpec((Dim("x", drives="x"), Dim("grip", kind=Kind.DISCRETE)), (Dim("x"),), 50.0, environment=(Dim("cube"),))
CHUNK = Chunk(frozen(np.zeros((8, 2))), origin=3, start=4, obs_tick=1, state_tick=2, request=2, epoch=0, accepted=4)


def record(trace: Trace, k: int, chunk: Chunk | None = None, status: TickStatus = TickStatus.OK) -> None:
    """Everything that is recorded of tick k says so."""
    trace.tick(k, k // 4, status, chunk, k - 1, frozen([k, -k]), frozen([10.0 * k]), frozen([0.5 * k]))


def filled(capacity: int, ticks: int) -> Trace:
    trace = Trace(SPEC, capacity)
    for k in range(ticks):
        record(trace, k)
    return trace


def result(*, rows: int = 6, delay: int = 2, calls: int = 1) -> Result:
    nothing = frozen(np.empty((0, 2)))
    asked = Snapshot(10, (Observation(10, frozen([0.0])),), nothing, nothing, epoch=3, seed=0)
    request = Request(asked, 10, 10, None, delay)
    return Result(request, frozen(np.zeros((rows, 2))), 9, frozen([0.0]), 1.0, calls=calls)


# ---- ticks --------------------------------------------------------------------------------------------------------


def test_a_trace_keeps_the_newest_ticks_in_order() -> None:
    for capacity in range(1, 7):
        for n in range(3 * capacity + 2):
            assert filled(capacity, n).ticks["tick"].tolist() == list(range(n))[-capacity:]


def test_each_record_holds_what_its_tick_was_told() -> None:
    for ticks in (3, 5, 9):
        for seen in filled(5, ticks).ticks:
            k = int(seen["tick"])
            assert (seen["epoch"], seen["status"], seen["request"]) == (k // 4, TickStatus.OK, k - 1)
            assert seen["action"].tolist() == [k, -k]
            assert (seen["state"].tolist(), seen["environment"].tolist()) == ([10.0 * k], [0.5 * k])


def test_an_action_of_a_chunk_says_which_row_of_which_request_and_how_old_it_is() -> None:
    trace = Trace(SPEC, 20)
    for k in range(CHUNK.start, CHUNK.stop):
        record(trace, k, CHUNK)
    for seen in trace.ticks:
        k = int(seen["tick"])
        assert (seen["chunk"], seen["row"], seen["age"]) == (CHUNK.request, k - CHUNK.origin, k - CHUNK.obs_tick)


def test_a_hold_is_of_no_chunk_and_what_is_not_known_may_be_told_as_nan() -> None:
    trace = Trace(SPEC, 5)
    trace.tick(0, 0, TickStatus.OVERRUN, None, -1, *map(unknown, (2, 1, 1)))
    assert [int(trace.ticks[0][name]) for name in ("status", "chunk", "row", "age", "request")] == [2, -1, -1, -1, -1]
    assert all(np.isnan(trace.ticks[0][name]).all() for name in ("action", "state", "environment"))


def test_what_was_read_does_not_change_as_the_trace_goes_on() -> None:
    for n in (2, 3, 7):
        trace = filled(3, n)
        read = trace.ticks
        before = read.copy()
        record(trace, 99)
        np.testing.assert_array_equal(read, before)
        read["tick"] = -5
        assert -5 not in trace.ticks["tick"]


def test_columns_are_one_per_field_and_one_per_named_dimension() -> None:
    columns = filled(4, 6).tick_columns(seed=7, strategy="vlash")
    assert list(columns) == [
        "seed", "strategy", "tick", "epoch", "status", "guard", "chunk", "row", "age", "state_age", "request",
        "began_ns", "sent_ns",
        "action.x", "action.grip", "state.x", "environment.cube",
    ]  # fmt: skip
    assert {len(column) for column in columns.values()} == {4}
    assert columns["seed"].tolist() == [7] * 4
    assert columns["strategy"].tolist() == ["vlash"] * 4
    assert columns["action.grip"].tolist() == [-2.0, -3.0, -4.0, -5.0]
    assert columns["state.x"].tolist() == [20.0, 30.0, 40.0, 50.0]


# ---- inferences ---------------------------------------------------------------------------------------------------


def test_the_record_of_an_inference_tells_when_it_came_and_what_was_lost() -> None:
    for rows, took in product(range(1, 5), range(7)):
        made = result(rows=rows, calls=3)
        chunk = address(made, 10 + took)
        outcome = Outcome.EXPIRED if chunk is None else Outcome.LATE if took else Outcome.PLACED
        seen = inference_record(made, chunk, outcome, 10 + took)
        assert (seen.request, seen.epoch, seen.accepted, seen.state_tick) == (10, 3, 10 + took, 9)
        assert (seen.delay, seen.delay_planned, seen.calls, seen.rows) == (took, 2, 3, rows)
        assert seen.lost == min(rows, took)
        if took < rows:
            assert (seen.outcome, seen.origin, seen.start) == (outcome.value, 10, 10 + took)
        else:
            assert (seen.outcome, seen.origin, seen.start) == ("expired", None, None)


def test_inferences_are_rows_with_the_constants_first() -> None:
    trace = Trace(SPEC, 3)
    for took in range(3):
        trace.inference(inference_record(result(), address(result(), 10 + took), Outcome.LATE, 10 + took))
    rows = trace.inference_rows(seed=4, cell="a")
    assert [list(row)[:3] for row in rows] == [["seed", "cell", "request"]] * 3
    assert [row["delay"] for row in rows] == [0, 1, 2]
    assert pa.Table.from_pylist(rows).num_rows == 3  # plain values, which any table takes
