"""Runs that left records and no summary."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rollahead.errors import ConfigError
from rollahead.report.load import load
from rollahead.report.page import make
from rollahead.report.unfinished import note
from rollahead.runtime.control.trace import InferenceRecord, TickStatus, Trace
from rollahead.runtime.recording.gauges import Gauges
from rollahead.runtime.recording.recorder import Recorder
from rollahead.runtime.recording.records import Stream, make_table, stream_of
from rollahead.runtime.system.clock import FakeClock
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.chunk import Chunk
from rollahead.runtime.types.spec import Dim, RobotSpec

SPEC = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), 50.0)
PERIOD_NS = 20_000_000
S = 8  # ticks from chunk to chunk
CONFIG = "strategy: {name: vlash, s: 8}\n"


def ran(ticks: int, start_ns: int = 10**9) -> Trace:
    """A run with a chunk of 12 rows every S ticks, which come 3 ticks after they were asked for."""
    clock = FakeClock()
    trace = Trace(SPEC, ticks + 1, clock)
    for k in range(ticks):
        clock.sleep_until_ns(start_ns + k * PERIOD_NS + 1000 * (k % 50))
        trace.begin()
        first, asked = k - k % S, k - k % S - 3
        chunk = Chunk(frozen(np.zeros((12, 1))), first, first, asked, asked, asked, 0, first) if asked >= 0 else None
        if chunk and k == first:
            trace.inference(InferenceRecord(asked, 0, k, 3, 3, "placed", asked, 1, 12, first, first, 0))
        status = TickStatus.OK if chunk else TickStatus.UNDERRUN
        trace.tick(k, 0, status, chunk, -1 if k % S < 5 else k - k % S + 5, frozen([0.1]), frozen([0.1]), frozen([]))
    return trace


@contextmanager
def unfinished(folder: Path) -> Iterator[Recorder]:
    """What is left in `folder` of a run that records, and is killed at the end."""
    recorder = Recorder(folder).__enter__()
    (folder / "config.yaml").write_text(CONFIG)
    yield recorder
    for stream in recorder._streams.values():
        stream.close()


def killed(folder: Path, *traces: Trace) -> Path:
    with unfinished(folder) as recorder:
        for episode, trace in enumerate(traces):
            with recorder.follow(trace, **({"cell": 0, "episode": episode} if len(traces) > 1 else {})):
                pass
    return folder


def test_its_figures_are_those_that_a_summary_would_have(tmp_path: Path) -> None:
    trace, gauges = ran(400), Gauges(50.0)
    gauges.follow(trace, 10**9)
    (one,) = load(killed(tmp_path, trace)).realtime
    assert one["gauges"] == gauges.figures()
    assert (one["strategy"]["name"], one["figures"]) == ("vlash", None)


def test_the_figures_of_several_episodes_add_up_and_the_time_between_is_no_jitter(tmp_path: Path) -> None:
    traces, gauges = (ran(100), ran(170, 5 * 10**9)), Gauges(50.0)
    gauges.follow(traces[0], 10**9)
    gauges.follow(traces[1], 5 * 10**9)
    (one,) = load(killed(tmp_path, *traces)).realtime
    assert one["gauges"] == gauges.figures()


def test_the_last_ticks_are_of_the_last_episode(tmp_path: Path) -> None:
    last = load(killed(tmp_path, ran(100), ran(70, 5 * 10**9))).last
    assert last is not None
    assert last.ticks["tick"].tolist() == list(range(70))
    assert [record.accepted for record in last.inferences] == list(range(S, 70, S))


def test_of_a_long_run_no_more_is_read_than_is_shown(tmp_path: Path) -> None:
    with unfinished(tmp_path) as recorder:
        for first in range(0, 5000, 50):
            trace = Trace(SPEC, 100)
            for k in range(first, first + 50):
                trace.tick(k, 0, TickStatus.OK, None, -1, frozen([0.0]), frozen([0.0]), frozen([]))
            with recorder.follow(trace):
                pass
    last = load(tmp_path).last
    assert last is not None
    assert last.ticks["tick"].tolist() == list(range(4600, 5000))


def test_the_page_says_that_it_left_no_summary_and_shows_the_last_ticks(tmp_path: Path) -> None:
    html = make(load(killed(tmp_path, ran(400))))
    assert "drove a robot with vlash for 8.0 s. It left no summary: it was killed, or still goes on." in html
    for present in ('id="realtime"', 'id="last"', "The last 60 ticks", ">end</text>"):
        assert present in html
    for absent in (">event</text>", "the event", 'id="figures"', "No episode of this run"):
        assert absent not in html


def test_a_run_that_was_killed_before_its_first_tick_has_a_page(tmp_path: Path) -> None:
    html = make(load(killed(tmp_path, Trace(SPEC, 1))))
    assert 'id="last"' not in html
    assert "for 0.0 s. It left no summary" in html


def test_streams_that_were_cut_off_and_one_that_became_a_table_are_read(tmp_path: Path) -> None:
    killed(tmp_path, ran(400))
    make_table(tmp_path / "ticks.parquet")
    stream = tmp_path / "inferences.arrows"
    stream.write_bytes(stream.read_bytes()[:-5])
    (one,) = load(tmp_path).realtime
    assert (one["gauges"]["ticks"], one["gauges"]["inferences"]) == (400, 0)


def test_one_line_says_what_is_read(tmp_path: Path) -> None:
    assert note(tmp_path) is None
    killed(tmp_path, ran(40))
    both = f"{tmp_path}: no summary.json: it was killed, or still goes on; ticks.arrows and inferences.arrows are read"
    assert str(note(tmp_path)).startswith(both)
    make_table(tmp_path / "ticks.parquet")
    (tmp_path / "summary.json").write_text("{}")
    assert str(note(tmp_path)).startswith(f"{tmp_path}: inferences.arrows is read")
    make_table(tmp_path / "inferences.parquet")
    assert note(tmp_path) is None


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "no configuration": (lambda run: (run / "config.yaml").unlink(), "holds no summary.json"),
    "no inferences": (lambda run: (run / "inferences.arrows").unlink(), "holds no summary.json"),
    "a configuration cut off": (lambda run: (run / "config.yaml").write_text("a: {"), "config.yaml cannot be read"),
    "another command's": (lambda run: (run / "config.yaml").write_text("a: 1"), "config.yaml cannot be read"),
    "ticks of nothing": (lambda run: (run / "ticks.arrows").write_bytes(b""), "ticks.arrows cannot be read"),
    "other ticks": (
        lambda run: (run / "ticks.arrows").write_bytes((run / "inferences.arrows").read_bytes()),
        "no column tick",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_folder_that_cannot_be_read_is_named_with_what_to_do(tmp_path: Path, how: str) -> None:
    killed(tmp_path, ran(40))
    spoil, words = BROKEN[how]
    spoil(tmp_path)
    with pytest.raises(ConfigError, match=words) as caught:
        load(tmp_path)
    message = str(caught.value)
    assert "\n" not in message
    assert "; give run=" in message or "; make the run again" in message


def test_a_run_with_a_summary_whose_tables_the_disk_did_not_take_is_read_from_its_streams(
    run: Path, tmp_path: Path
) -> None:
    whole, copy = load(run).cells[4].recording(1), Path(shutil.copytree(run, tmp_path / "copy"))
    for name in ("ticks.parquet", "inferences.parquet"):
        table = pq.read_table(copy / name)
        stream = Stream(stream_of(copy / name), table.schema, 50.0)
        for batch in table.to_batches(100):
            stream.append(batch)
        stream.close()
        (copy / name).unlink()
    found = load(copy)
    read = found.cells[4].recording(1)
    assert found.last is None
    assert read.inferences == whole.inferences
    assert {name: values.tolist() for name, values in read.ticks.items()} == {
        name: values.tolist() for name, values in whole.ticks.items()
    }
