import errno
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rollahead.errors import ControlError
from rollahead.runtime.control.trace import InferenceRecord, TickStatus, Trace
from rollahead.runtime.recording import recorder, records
from rollahead.runtime.recording.recorder import Recorder
from rollahead.runtime.recording.records import Stream, read_parquet
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.spec import Dim, RobotSpec

SPEC = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), 50.0)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "EVERY_S", 0.001)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(disk)], capture_output=True).returncode:
        pytest.skip("only root may mount a disk")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # a writer that failed may not have let go yet


def tick(trace: Trace, k: int) -> None:
    trace.tick(k, 0, TickStatus.OK, None, -1, frozen([0.5 * k]), frozen([float(k)]), frozen(np.zeros(0)))


def inference(trace: Trace, k: int) -> None:
    origin = None if k % 3 == 0 else k + 2
    trace.inference(InferenceRecord(k, 0, k + 1, 2, 1, "placed", k, 1, 8, origin, origin, 0))


def ticks_of(folder: Path) -> list[int]:
    return list(read_parquet(folder / "ticks.parquet")["tick"].to_pylist())


def until_there(folder: Path, last: int) -> None:
    """Waits until the recorder has written tick `last`."""
    for _ in range(3000):
        if ticks_of(folder)[-1:] == [last]:
            return
        threading.Event().wait(0.005)
    raise AssertionError("it was never written")


@pytest.mark.parametrize("group", [1, 7, 4096])
def test_every_record_is_on_disk_in_its_order(group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "GROUP", group)
    trace = Trace(SPEC, 1000)
    with Recorder(tmp_path) as written, written.follow(trace, seed=3):
        for k in range(500):
            tick(trace, k)
            inference(trace, k)
    ticks, inferences = (pq.read_table(tmp_path / f"{name}.parquet") for name in ("ticks", "inferences"))
    assert ticks["tick"].to_pylist() == list(range(500))
    assert ticks["action.x"].to_pylist() == [0.5 * k for k in range(500)]
    assert set(ticks["seed"].to_pylist()) == {3}
    assert inferences["request"].to_pylist() == list(range(500))
    assert inferences["origin"].to_pylist() == [None if k % 3 == 0 else k + 2 for k in range(500)]
    assert set(inferences["outcome"].to_pylist()) == {"placed"}
    assert written.lost == 0
    assert {path.name for path in tmp_path.iterdir()} == {"ticks.parquet", "inferences.parquet"}


def test_what_is_recorded_can_be_read_while_the_run_goes_on(tmp_path: Path) -> None:
    trace = Trace(SPEC, 100)
    with Recorder(tmp_path) as written, written.follow(trace):
        for k in range(20):
            tick(trace, k)
        until_there(tmp_path, 19)
        assert ticks_of(tmp_path) == list(range(20))
        assert not (tmp_path / "ticks.parquet").exists()


def test_episodes_stand_in_the_table_one_after_the_other(tmp_path: Path) -> None:
    with Recorder(tmp_path) as written:
        for episode in (4, 7):
            trace = Trace(SPEC, 100)
            with written.follow(trace, episode=episode):
                for k in range(3):
                    tick(trace, k)
    ticks = pq.read_table(tmp_path / "ticks.parquet")
    assert ticks["episode"].to_pylist() == [4, 4, 4, 7, 7, 7]
    assert ticks["tick"].to_pylist() == [0, 1, 2, 0, 1, 2]


def test_what_was_written_over_before_it_was_read_is_counted(tmp_path: Path) -> None:
    trace = Trace(SPEC, 10)
    for k in range(25):
        tick(trace, k)
    with Recorder(tmp_path) as written, written.follow(trace):
        pass
    assert pq.read_table(tmp_path / "ticks.parquet")["tick"].to_pylist() == list(range(15, 25))
    assert written.lost == 15


def test_a_run_without_a_tick_leaves_files_without_a_row(tmp_path: Path) -> None:
    with Recorder(tmp_path) as written, written.follow(Trace(SPEC, 10)):
        pass
    assert pq.read_table(tmp_path / "ticks.parquet").num_rows == 0
    assert pq.read_table(tmp_path / "inferences.parquet").num_rows == 0


def test_a_disk_that_fills_up_stops_the_recorder_and_not_the_run_and_what_was_written_stays(small_disk: Path) -> None:
    trace, k = Trace(SPEC, 10_000), 0
    with (
        pytest.raises(ControlError, match=r"No space left on device.*the robot ran on"),
        Recorder(small_disk) as written,
        written.follow(trace),
    ):
        while written._error is None:
            tick(trace, k)
            k += 1
            threading.Event().wait(0.0005)
    kept = ticks_of(small_disk)
    assert kept == list(range(len(kept)))
    assert len(kept) > 50
    assert trace.tick_ring.count == k
    assert {path.name for path in small_disk.iterdir()} == {"ticks.arrows", "inferences.arrows"}


def test_a_disk_that_is_full_at_the_end_loses_no_record(small_disk: Path) -> None:
    trace = Trace(SPEC, 100)
    with (
        pytest.raises(ControlError, match=r"ticks.parquet could not be written.*report reads ticks.arrows"),
        Recorder(small_disk) as written,
        written.follow(trace),
    ):
        for k in range(60):
            tick(trace, k)
        until_there(small_disk, 59)
        fill(small_disk / "other")
    assert ticks_of(small_disk) == list(range(60))


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC


def test_a_run_whose_records_the_disk_does_not_take_at_all_does_not_begin(small_disk: Path) -> None:
    fill(small_disk / "other")
    began = False
    with (
        pytest.raises(ControlError, match=r"ticks.arrows could not be written.*No space left on device"),
        Recorder(small_disk) as written,
        written.follow(Trace(SPEC, 10)),
    ):
        began = True
    assert not began
    assert [path.name for path in small_disk.iterdir()] == ["other"]


def test_what_is_raised_in_the_run_comes_before_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stream, "append", no_space)
    trace = Trace(SPEC, 100)
    with pytest.raises(KeyError), Recorder(tmp_path) as written, written.follow(trace):
        tick(trace, 0)
        raise KeyError


def test_a_full_disk_is_told_when_an_interrupt_comes_while_it_ends_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_table(path: Path, rows: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        raise ControlError("no space")

    monkeypatch.setattr(recorder, "make_table", no_table)
    with pytest.raises(ControlError, match="no space"), Recorder(tmp_path) as written, written.follow(Trace(SPEC, 9)):
        pass


def test_a_full_disk_is_told_of_a_run_that_was_interrupted_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stream, "append", no_space)
    trace = Trace(SPEC, 100)
    with pytest.raises(ControlError, match="No space"), Recorder(tmp_path) as written, written.follow(trace):
        tick(trace, 0)
        raise KeyboardInterrupt


def no_space(self: object, batch: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_an_interrupt_while_the_tables_are_made_waits_until_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = recorder.make_table

    def interrupted(path: Path, rows: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        make(path, rows)

    monkeypatch.setattr(recorder, "make_table", interrupted)
    trace = Trace(SPEC, 100)
    with pytest.raises(KeyboardInterrupt), Recorder(tmp_path) as written, written.follow(trace):
        tick(trace, 0)
    assert pq.read_table(tmp_path / "ticks.parquet").num_rows == 1
    assert pq.read_table(tmp_path / "inferences.parquet").num_rows == 0
