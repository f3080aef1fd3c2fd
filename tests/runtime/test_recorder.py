import threading
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from rollahead.errors import ControlError
from rollahead.runtime import recorder
from rollahead.runtime.arrays import frozen
from rollahead.runtime.recorder import Recorder
from rollahead.runtime.spec import Dim, RobotSpec
from rollahead.runtime.trace import InferenceRecord, TickStatus, Trace

SPEC = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), 50.0)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "EVERY_S", 0.001)


def tick(trace: Trace, k: int) -> None:
    trace.tick(k, 0, TickStatus.OK, None, -1, frozen([0.5 * k]), frozen([float(k)]), frozen(np.zeros(0)))


def inference(trace: Trace, k: int) -> None:
    origin = None if k % 3 == 0 else k + 2
    trace.inference(InferenceRecord(k, 0, k + 1, 2, 1, "placed", k, 1, 8, origin, origin, 0))


@pytest.mark.parametrize("group", [1, 7, 4096])
def test_every_record_is_on_disk_in_its_order(group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "GROUP", group)
    trace = Trace(SPEC, 1000)
    with Recorder(trace, tmp_path, seed=3) as written:
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


def test_what_was_written_over_before_it_was_read_is_counted(tmp_path: Path) -> None:
    trace = Trace(SPEC, 10)
    for k in range(25):
        tick(trace, k)
    with Recorder(trace, tmp_path) as written:
        pass
    assert pq.read_table(tmp_path / "ticks.parquet")["tick"].to_pylist() == list(range(15, 25))
    assert written.lost == 15


def test_a_run_without_a_tick_leaves_files_without_a_row(tmp_path: Path) -> None:
    with Recorder(Trace(SPEC, 10), tmp_path):
        pass
    assert pq.read_table(tmp_path / "ticks.parquet").num_rows == 0
    assert pq.read_table(tmp_path / "inferences.parquet").num_rows == 0


def test_a_full_disk_stops_the_recorder_and_not_the_run_and_is_told_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full, failed = threading.Event(), threading.Event()

    def no_space(self: object, table: object) -> None:
        if full.is_set():
            failed.set()
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", no_space)
    monkeypatch.setattr(recorder, "GROUP", 1)
    trace = Trace(SPEC, 100)
    with pytest.raises(ControlError, match=r"No space left on device.*the robot ran on"), Recorder(trace, tmp_path):
        full.set()
        tick(trace, 0)
        assert failed.wait(30)
        for k in range(1, 50):
            tick(trace, k)
    assert trace.tick_ring.count == 50
    assert list(tmp_path.iterdir()) == []


def test_what_is_raised_in_the_run_comes_before_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(self: object, table: object) -> None:
        raise OSError(28, "No space left on device")

    trace = Trace(SPEC, 100)
    monkeypatch.setattr("pyarrow.parquet.ParquetWriter.write_table", no_space)
    with pytest.raises(KeyError), Recorder(trace, tmp_path):
        tick(trace, 0)
        raise KeyError
