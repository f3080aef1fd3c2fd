import numpy as np
import pytest

from rollahead.report.load import CellResult, Results
from rollahead.report.timeline import BEFORE, SHOWN, Picture, Row, picture, window
from rollahead.runtime.control.trace import TickStatus

from .conftest import STRATEGIES
from .records import inference, recording

EVERYTHING = (0, 10_000)
EVERY = list(range(len(STRATEGIES)))


def whole(cell: CellResult, episode: int = 0) -> Picture:
    """All of an episode."""
    event = cell.episodes[episode].event_tick
    return picture(cell.recording(episode), str(cell.strategy["name"]), event, *EVERYTHING)


@pytest.mark.parametrize("i", EVERY, ids=STRATEGIES)
def test_each_lane_has_as_many_late_rows_as_its_inference_lost(results: Results, i: int) -> None:
    cell = results.cells[i]
    lost = {record.request: record.lost for record in cell.recording(0).inferences if record.origin is not None}
    late = {lane.request: len(lane.ticks(Row.LATE)) for lane in whole(cell).lanes if lane.request in lost}
    assert late == lost


@pytest.mark.parametrize("i", EVERY, ids=STRATEGIES)
def test_holds_are_exactly_the_ticks_of_an_underrun(results: Results, i: int) -> None:
    ticks = results.cells[i].recording(0).ticks
    assert list(whole(results.cells[i]).holds) == ticks["tick"][ticks["status"] == TickStatus.UNDERRUN].tolist()


@pytest.mark.parametrize("i", EVERY, ids=STRATEGIES)
def test_a_used_row_is_that_of_a_tick_whose_action_came_from_the_chunk(results: Results, i: int) -> None:
    cell = results.cells[i]
    ticks = cell.recording(0).ticks
    for lane in whole(cell).lanes:
        assert lane.ticks(Row.USED) == ticks["tick"][ticks["chunk"] == lane.request].tolist()


@pytest.mark.parametrize("i", EVERY, ids=STRATEGIES)
def test_a_switch_is_at_the_first_of_a_chunks_used_rows(results: Results, i: int) -> None:
    drawn = whole(results.cells[i])
    firsts = [min(used) for lane in drawn.lanes if (used := lane.ticks(Row.USED))]
    assert sorted(drawn.switches) == sorted(firsts)


@pytest.mark.parametrize("i", EVERY, ids=STRATEGIES)
def test_every_row_of_a_placed_chunk_has_a_fate(results: Results, i: int) -> None:
    cell = results.cells[i]
    rows = {record.request: record.rows for record in cell.recording(0).inferences if record.origin is not None}
    assert {lane.request: len(lane.rows) for lane in whole(cell).lanes if lane.rows} == rows


def test_sync_holds_exactly_while_its_policy_thinks(results: Results) -> None:
    drawn = whole(results.cells[0])
    thinking = {k for lane in drawn.lanes for k in range(lane.request, lane.accepted or drawn.ended)}
    assert set(drawn.holds) == {k for k in thinking if k < drawn.ended}


def test_vlash_takes_as_given_what_runs_while_its_policy_thinks(results: Results) -> None:
    cell = results.cells[4]
    taken = sorted(k for lane in whole(cell).lanes for k in lane.committed)
    asked = [record.request for record in cell.recording(0).inferences[1:]]
    assert taken == [k for request in asked for k in range(request, request + 8)]


def test_vlash_starts_from_the_state_at_its_first_row_and_naive_from_that_at_the_request(results: Results) -> None:
    naive, vlash = (whole(results.cells[i]).lanes for i in (1, 4))
    assert all(lane.given == min(lane.rows) for lane in vlash if lane.rows)
    assert all(lane.given == lane.request for lane in naive if lane.rows)


def test_only_as_many_rows_are_committed_as_were_planned_to_run() -> None:
    records = [inference(0, 0, origin=0, start=0), inference(2, 6, origin=4, start=6, delay_planned=2, lost=2)]
    (running, _) = picture(recording([0] * 6 + [2] * 4, records), "vlash", 9, *EVERYTHING).lanes
    assert running.committed == (2, 3)


@pytest.mark.parametrize("name", ["sync", "naive", "naive_arrival", "ensemble"])
def test_strategies_that_plan_from_what_they_see_take_no_row_as_given(results: Results, name: str) -> None:
    assert not any(lane.committed for lane in whole(results.cells[STRATEGIES.index(name)]).lanes)


def test_rows_before_a_planned_start_are_a_prefix_and_not_late() -> None:
    running = inference(0, 0, origin=0, start=0)
    on_time = inference(3, 5, origin=3, start=5)
    (_, lane) = picture(recording([0] * 5 + [3] * 5, [running, on_time]), "rtc", 9, *EVERYTHING).lanes
    assert lane.ticks(Row.PREFIX) == [3, 4]
    assert lane.ticks(Row.LATE) == []


def test_of_a_prefix_strategy_only_rows_past_the_planned_start_are_late() -> None:
    running = inference(0, 0, origin=0, start=0)
    late = inference(3, 7, origin=3, start=7, lost=2)
    (_, lane) = picture(recording([0] * 7 + [3] * 3, [running, late]), "rtc", 9, *EVERYTHING).lanes
    assert lane.ticks(Row.PREFIX) == [3, 4]
    assert lane.ticks(Row.LATE) == [5, 6]


def test_an_older_chunk_is_averaged_where_the_strategy_is_a_mean_and_unused_elsewhere() -> None:
    records = [inference(0, 0, origin=0, start=0), inference(4, 4, origin=4, start=4)]
    seen = recording([0] * 4 + [4] * 6, records)
    assert picture(seen, "ensemble", 9, *EVERYTHING).lanes[0].ticks(Row.AVERAGED) == [4, 5, 6, 7]
    assert picture(seen, "naive", 9, *EVERYTHING).lanes[0].ticks(Row.UNUSED) == [4, 5, 6, 7]


def test_a_chunk_that_expired_has_a_lane_without_rows() -> None:
    (lane,) = picture(recording([None] * 6, [inference(0, 4, None, None, lost=8)]), "naive", 3, *EVERYTHING).lanes
    assert (lane.accepted, lane.rows) == (4, {})


def test_a_request_without_an_answer_has_a_lane_that_never_ends() -> None:
    (lane,) = picture(recording([None] * 6, requests=[-1, -1, 2, 2, 2, 2]), "sync", 3, *EVERYTHING).lanes
    assert (lane.request, lane.accepted, lane.given) == (2, None, None)


def test_skipped_ticks_are_neither_holds_nor_sent() -> None:
    drawn = picture(recording([0, 0, None, 0], [inference(0, 0, 0, 0)], skipped=[2]), "naive", 1, *EVERYTHING)
    assert (drawn.skipped, drawn.holds) == ((2,), ())
    assert list(drawn.source) == [0, 1, 3]


def test_the_first_action_that_knows_is_of_a_request_at_the_event_or_after() -> None:
    records = [inference(k, k, origin=k, start=k) for k in (0, 3, 5)]
    seen = recording([0] * 3 + [3] * 2 + [5] * 3, records)
    assert picture(seen, "naive", 3, *EVERYTHING).first_aware == 3
    assert picture(seen, "naive", 4, *EVERYTHING).first_aware == 5
    assert picture(seen, "naive", 6, *EVERYTHING).first_aware is None


def test_a_lane_of_which_only_unused_rows_are_in_the_window_is_left_out() -> None:
    records = [inference(0, 0, origin=0, start=0), inference(4, 4, origin=4, start=4)]
    drawn = picture(recording([0] * 4 + [4] * 6, records), "naive", 6, 5, 10)
    assert [lane.request for lane in drawn.lanes] == [4]


def test_nothing_outside_the_window_is_marked(results: Results) -> None:
    cell = results.cells[0]
    event = cell.episodes[0].event_tick
    drawn = picture(cell.recording(0), "sync", event, event - 5, event + 20)
    marks = np.array([*drawn.holds, *drawn.switches, *drawn.source])
    assert ((event - 5 <= marks) & (marks < event + 20)).all()


def test_the_window_opens_before_the_event_and_is_bounded() -> None:
    assert window(50, [recording([None] * 300)]) == (50 - BEFORE, 50 - BEFORE + SHOWN)


def test_the_window_ends_with_the_longest_episode() -> None:
    assert window(50, [recording([None] * 60), recording([None] * 70)]) == (50 - BEFORE, 70)


def test_the_window_does_not_open_before_the_first_tick() -> None:
    assert window(3, [recording([None] * 20)]) == (0, 20)
