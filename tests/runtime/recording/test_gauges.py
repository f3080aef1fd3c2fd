"""Gauges on traces that are made by hand."""

import pickle
from collections.abc import Mapping

import numpy as np
import pytest

from every import every
from rollahead.runtime.control.trace import InferenceRecord, TickStatus, Trace
from rollahead.runtime.recording.gauges import KEPT_S, Gauges
from rollahead.runtime.safety.guard import Flag
from rollahead.runtime.system.clock import FakeClock
from rollahead.runtime.types.spec import Dim, RobotSpec

RATE_HZ = 100.0
PERIOD_NS = 10_000_000
SPEC = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), RATE_HZ)
ONE, NONE = np.zeros(1), np.zeros(0)


class ResultFlags:
    """A trace, and gauges that follow it. late_ns: of each tick; None for one that was skipped."""

    def __init__(self, capacity: int = 500, start_ns: int = 7_000) -> None:
        self.clock = FakeClock()
        self.trace = Trace(SPEC, capacity, self.clock)
        self.start_ns = start_ns
        self.gauges = Gauges(RATE_HZ)

    def ticks(self, late_ns: list[int | None], first: int = 0, guard: int = 0) -> None:
        for k, late in enumerate(late_ns, first):
            self.clock.sleep_until_ns(self.start_ns + k * PERIOD_NS + (late or 0))
            self.trace.begin()
            status = TickStatus.OVERRUN if late is None else TickStatus.UNDERRUN if k % 2 else TickStatus.OK
            self.trace.tick(k, 0, status, None, -1, ONE, ONE, NONE, guard)

    def inference(
        self, delay: int, outcome: str = "placed", lost: int = 0, stages: Mapping[str, int] | None = None
    ) -> None:
        self.trace.inference(InferenceRecord(0, 0, delay, 4, delay, outcome, 0, 1, 8, 0, 0, lost, **(stages or {})))

    def follow(self) -> None:
        self.gauges.follow(self.trace, self.start_ns)


def test_lateness_is_from_the_deadline_and_jitter_from_tick_to_tick() -> None:
    made = ResultFlags()
    made.ticks([1000, 3000, 2000, 2000])
    made.follow()
    figures = made.gauges.figures()
    assert figures["late_us"]["max"] == pytest.approx(3.0)
    assert figures["late_us"]["p50"] == pytest.approx(2.0, rel=0.01)
    assert figures["uneven_us"]["max"] == pytest.approx(2.0)
    assert figures["rate_hz"] == pytest.approx(3 / (3 * 0.01 + 1e-6))


@pytest.mark.parametrize("parts", [[9], [1] * 9, [4, 5], [8, 1]])
def test_however_often_it_looks_it_counts_everything_once(parts: list[int]) -> None:
    made, whole = ResultFlags(), ResultFlags()
    late: list[int | None] = [100 * k for k in range(9)]
    whole.ticks(late)
    whole.follow()
    first = 0
    for n in parts:
        made.ticks(late[first : first + n], first)
        made.follow()
        first += n
    assert made.gauges.figures() == whole.gauges.figures()


def test_skipped_ticks_count_and_have_no_lateness() -> None:
    made = ResultFlags()
    made.ticks([0, None, None, 500])
    made.follow()
    figures = made.gauges.figures()
    assert (figures["ticks"], figures["skipped"], figures["status"]) == (4, 2, "underrun")
    assert figures["late_us"]["max"] == pytest.approx(0.5)
    assert figures["uneven_us"]["max"] == pytest.approx(20_000.5)  # the gap of two ticks is seen


def test_a_window_is_of_the_newest_ticks_and_counts_are_of_all() -> None:
    made = ResultFlags()
    made.ticks([9000] * 100 + [1000] * 100)
    made.follow()
    figures = made.gauges.figures(last_s=1.0)
    assert figures["late_us"]["max"] == pytest.approx(1.0)
    assert (figures["ticks"], figures["underruns"]) == (200, 100)


def test_what_the_guard_did_is_counted_by_name() -> None:
    made = ResultFlags()
    made.ticks([0, 0], guard=Flag.RATE | Flag.RANGE)
    made.ticks([0], first=2, guard=Flag.RATE)
    made.follow()
    assert made.gauges.figures()["guard"] == {"rate": 3, "range": 2} or made.gauges.figures()["guard"] == {
        "range": 2,
        "rate": 3,
    }


def test_delays_are_of_the_results_of_this_epoch_and_outcomes_of_all() -> None:
    made = ResultFlags()
    for delay, outcome in ((4, "placed"), (6, "late"), (90, "dropped")):
        made.inference(delay, outcome, lost=2)
    made.follow()
    figures = made.gauges.figures()
    assert (figures["placed"], figures["late"], figures["dropped"], figures["expired"]) == (1, 1, 1, 0)
    assert figures["delay_ticks"]["max"] == 6
    assert (figures["inferences"], figures["delay_planned"], figures["rows_lost"]) == (3, 4, 2)  # of a late chunk


def test_no_answer_is_counted_and_its_delay_and_times_are_not() -> None:
    made = ResultFlags()
    made.inference(4)
    made.inference(90, "no_answer", stages={"infer_ns": 7_000_000})
    made.follow()
    figures = made.gauges.figures()
    assert (figures["inferences"], figures["no_answer"], figures["rows_lost"]) == (2, 1, 0)
    assert figures["delay_ticks"]["max"] == 4
    assert figures["stages_us"]["infer"]["max"] is None


def test_stages_that_are_reported_have_their_times_and_the_others_none() -> None:
    made = ResultFlags()
    for ms in (1, 2, 30):
        made.inference(4, stages={"infer_ns": ms * 1_000_000, "encode_ns": 500_000})
    made.follow()
    stages = made.gauges.figures()["stages_us"]
    assert stages["infer"]["p50"] == pytest.approx(2000, rel=0.01)
    assert stages["infer"]["max"] == 30_000
    assert stages["encode"]["p99"] == pytest.approx(500, rel=0.01)
    assert stages["bind"] == {"p50": None, "p95": None, "p99": None, "max": None}


def test_one_run_after_another_adds_up_and_the_time_between_is_no_jitter() -> None:
    made = ResultFlags()
    made.ticks([0, 0])
    made.follow()
    second = ResultFlags(start_ns=9_000_000_000)
    second.ticks([0, 0])
    made.gauges.follow(second.trace, second.start_ns)
    figures = made.gauges.figures()
    assert figures["ticks"] == 4
    assert figures["uneven_us"]["max"] == pytest.approx(0.0)


def test_nothing_yet_is_none_and_no_number() -> None:
    made = ResultFlags()
    made.follow()
    figures = made.gauges.figures()
    assert (figures["ticks"], figures["status"], figures["rate_hz"]) == (0, "none", None)
    assert figures["late_us"] == {"p50": None, "p95": None, "p99": None, "max": None}
    assert figures["delay_planned"] is None


def held_bytes(gauges: Gauges) -> int:
    """What is in memory for good."""
    return len(pickle.dumps({name: value for name, value in vars(gauges).items() if name != "_trace"}))


def test_what_gauges_hold_does_not_grow_with_the_run() -> None:
    made, held = ResultFlags(capacity=2000), []
    for n in range(12):
        made.ticks([1000 + 7 * k for k in range(1500)], first=1500 * n)
        for _ in range(1500):
            made.inference(4)
        made.follow()
        held.append(held_bytes(made.gauges))
    assert max(held[2:]) - min(held[2:]) < 100
    assert held[-1] < 400_000
    assert made.gauges.figures()["ticks"] == 18_000


@every("seed", range(20))
def test_figures_over_everything_are_those_of_numpy_within_a_hundredth_and_of_a_window_exactly(seed: int) -> None:
    rng = np.random.default_rng(seed)
    late_ns = [int(value) for value in rng.lognormal(11, 2, 3000)]
    made = ResultFlags(capacity=5000)
    for first in range(0, 3000, 100):
        made.ticks(late_ns[first : first + 100], first)
        made.inference(int(rng.integers(200)))
        made.follow()
    late_us = made.trace.ticks["began_ns"] - made.start_ns - np.arange(3000) * PERIOD_NS
    delays = [record.delay for record in made.trace.inferences]
    everything, window = made.gauges.figures(), made.gauges.figures(last_s=5.0)
    for q in (50, 95, 99):
        assert everything["late_us"][f"p{q}"] == pytest.approx(np.quantile(late_us, q / 100) / 1e3, rel=0.01)
        assert window["late_us"][f"p{q}"] == pytest.approx(np.quantile(late_us[-500:], q / 100) / 1e3)
        assert everything["delay_ticks"][f"p{q}"] == pytest.approx(np.quantile(delays, q / 100), rel=1e-12)
    assert everything["late_us"]["max"] == late_us.max() / 1e3


def test_more_seconds_than_are_kept_are_those_that_are_kept() -> None:
    made = ResultFlags(capacity=5000)
    made.ticks([9000] * 1000 + [1000] * round(KEPT_S * RATE_HZ))
    made.follow()
    assert made.gauges.figures(last_s=1000.0)["late_us"]["max"] == pytest.approx(1.0)
