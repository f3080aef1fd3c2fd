"""What counts as the same episode in both times."""

import numpy as np
import pytest
from benchmarks.parity import Pair, _overrun, _switches, rows_of

from rollahead.runtime.control.trace import InferenceRecord, TickStatus

TICKS = np.dtype([("tick", "i8"), ("status", "i1"), ("began_ns", "i8")])


def ticks(*late: float, status: TickStatus = TickStatus.OK) -> np.ndarray:
    """Ticks of 20 ms, each begun so late, in periods."""
    return np.array([(k, status, round((k + of) * 20e6) + 5) for k, of in enumerate(late)], TICKS)


def pair(seed: int, *, equal: bool = True, overrun: bool = False, real: bool = True) -> Pair:
    return Pair(seed, lockstep=True, realtime=real, equal=equal, same_actions=equal, overrun=overrun)


def inference(accepted: int, start: int = 9) -> InferenceRecord:
    return InferenceRecord(1, 0, accepted, 8, accepted - 1, "placed", 1, 1, 32, start, start, 0)


@pytest.mark.parametrize("late, overrun", [((0.0, 0.1, 0.49), False), ((0.0, 0.51, 0.0), True)])
def test_a_tick_that_began_after_the_margin_is_an_overrun(late: tuple[float, ...], overrun: bool) -> None:
    assert _overrun(ticks(*late), 5, 50.0) is overrun


def test_so_is_one_that_was_skipped() -> None:
    assert _overrun(ticks(0.0, status=TickStatus.OVERRUN), 5, 50.0)


def test_switches_are_the_same_by_ticks_and_only_those_of_the_episode_count() -> None:
    assert _switches([inference(9), inference(17)], 20) == _switches([inference(9), inference(17), inference(25)], 20)
    assert _switches([inference(9)], 20) != _switches([inference(10)], 20)
    assert _switches([inference(9, start=9)], 20) != _switches([inference(9, start=10)], 20)


def test_an_episode_with_an_overrun_does_not_count_against_equal_switches_and_one_without_does() -> None:
    excused = rows_of("vlash", [pair(0), pair(1, equal=False, overrun=True)], "python")
    found = {row.name: row for row in excused}
    assert found["parity_vlash_switches_equal"].value == 100.0
    assert found["parity_vlash_switches_equal"].verdict == "met"
    assert found["parity_vlash_overrun"].value == 1
    assert found["parity_vlash_same_actions"].value == 50.0
    unexplained = {row.name: row for row in rows_of("vlash", [pair(0), pair(1, equal=False)], "python")}
    assert unexplained["parity_vlash_switches_equal"].verdict == "missed"


def test_success_is_of_each_side_with_its_interval() -> None:
    found = {row.name: row for row in rows_of("sync", [pair(0), pair(1, real=False)], "python")}
    assert (found["parity_sync_success_lockstep"].value, found["parity_sync_success_realtime"].value) == (100.0, 50.0)
    low, high = found["parity_sync_success_realtime"].ci or (0, 0)
    assert low < 50.0 < high
