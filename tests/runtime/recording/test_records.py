"""Records on the disk: tables, and streams that were cut off anywhere."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from full_disk import files_no_longer_than
from rollahead.errors import ConfigError, ControlError
from rollahead.runtime.recording import records
from rollahead.runtime.recording.records import (
    Stream,
    batches,
    make_table,
    rate_of,
    read_parquet,
    schema_of,
    source_of,
    stream_of,
    whole_batches,
    write_parquet,
)


def tables() -> list[pa.Table]:
    return [pa.table({"tick": range(6 - n, 6), "seed": [n] * n}) for n in (2, 4)]


DAMAGES = [slice(0), slice(6), slice(100), slice(-1), slice(50, None)]  # what is left of the bytes


@pytest.mark.parametrize("left", [None, *DAMAGES])
def test_a_table_that_is_missing_or_damaged_is_refused_by_its_name(left: slice | None, tmp_path: Path) -> None:
    path = tmp_path / "ticks.parquet"
    if left is not None:
        write_parquet(path, tables())
        path.write_bytes(path.read_bytes()[left])
    with pytest.raises(ConfigError, match=r"ticks\.parquet cannot be read \(.+\); make the run again") as caught:
        read_parquet(path)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_tables_are_read_back_one_after_the_other(tmp_path: Path) -> None:
    write_parquet(tmp_path / "ticks.parquet", tables())
    read = pq.read_table(tmp_path / "ticks.parquet")
    assert read["tick"].to_pylist() == [4, 5, 2, 3, 4, 5]
    assert read["seed"].to_pylist() == [2, 2, 4, 4, 4, 4]
    assert read.equals(pa.concat_tables(tables()))


@pytest.mark.parametrize("size", [0, 1, 200])
def test_a_disk_that_fills_up_leaves_nothing_half_written(size: int, tmp_path: Path) -> None:
    with (
        files_no_longer_than(size),
        pytest.raises(ControlError, match=r"ticks\.parquet could not be written to .*; free"),
    ):
        write_parquet(tmp_path / "ticks.parquet", tables())
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_file_of_before_as_it_was(tmp_path: Path) -> None:
    write_parquet(tmp_path / "ticks.parquet", tables()[:1])
    with files_no_longer_than(100), pytest.raises(ControlError):
        write_parquet(tmp_path / "ticks.parquet", tables())
    assert pq.read_table(tmp_path / "ticks.parquet").num_rows == 2
    assert [path.name for path in tmp_path.iterdir()] == ["ticks.parquet"]


# ---- streams ------------------------------------------------------------------------------------------------------


def batch(first: int, n: int = 3) -> pa.RecordBatch:
    columns = {"tick": range(first, first + n), "episode": [first // 6] * n, "outcome": ["placed"] * n}
    return pa.record_batch({name: pa.array(values) for name, values in columns.items()})


def written(folder: Path, batches: int = 4) -> Path:
    """The name of the table of a stream of so many batches."""
    stream = Stream(folder / "ticks.arrows", batch(0).schema, 50.0)
    for i in range(batches):
        stream.append(batch(3 * i))
    stream.close()
    return folder / "ticks.parquet"


def test_a_stream_cut_off_anywhere_is_read_up_to_its_last_whole_batch(tmp_path: Path) -> None:
    path = written(tmp_path)
    stream, one = stream_of(path), len(memoryview(batch(0).serialize()))
    content = stream.read_bytes()
    head = len(content) - 4 * one
    for cut in range(head, len(content) + 1, 5):
        stream.write_bytes(content[:cut])
        assert read_parquet(path)["tick"].to_pylist() == list(range(3 * ((cut - head) // one)))


@pytest.mark.parametrize("tail", [bytes(100), bytes(8), b"\xff" * 100, b"\x01\x02\x03"])
def test_what_a_power_cut_leaves_behind_the_last_batch_is_passed_over(tail: bytes, tmp_path: Path) -> None:
    path = written(tmp_path)
    with stream_of(path).open("ab") as file:
        file.write(tail)
    assert read_parquet(path)["tick"].to_pylist() == list(range(12))


@pytest.mark.parametrize("left", [0, 1, 100])
def test_a_stream_that_does_not_say_what_is_in_it_is_refused_by_its_name(left: int, tmp_path: Path) -> None:
    path = written(tmp_path)
    stream_of(path).write_bytes(stream_of(path).read_bytes()[:left])
    for read in (read_parquet, schema_of, rate_of):
        with pytest.raises(ConfigError, match=r"ticks\.arrows cannot be read"):
            read(path)


def test_a_stream_is_read_as_its_table_would_be(tmp_path: Path) -> None:
    path = written(tmp_path)
    options = {"columns": ["tick"], "filters": [("episode", "==", 1)]}
    assert [batch.schema.names for batch in batches(path, ["episode"])] == [["episode"]] * 4
    streamed, whole, names = read_parquet(path, **options), read_parquet(path), schema_of(path).names
    make_table(path)
    assert source_of(path) == path
    assert read_parquet(path, **options).equals(streamed)
    assert read_parquet(path).equals(whole)
    assert pa.Table.from_batches(batches(path)).equals(whole)
    assert schema_of(path).names == names == ["tick", "episode", "outcome"]


def test_a_stream_and_its_table_say_the_rate_of_the_run(tmp_path: Path) -> None:
    path = written(tmp_path)
    assert rate_of(path) == 50.0
    make_table(path)
    assert rate_of(path) == 50.0
    write_parquet(path, tables())
    assert rate_of(path) is None


@pytest.mark.parametrize("group", [1, 5, 100])
def test_a_table_is_made_in_groups_and_the_stream_goes_when_it_is_whole(
    group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "GROUP", group)
    path = written(tmp_path)
    make_table(path)
    assert [file.name for file in tmp_path.iterdir()] == ["ticks.parquet"]
    assert pq.read_table(path)["tick"].to_pylist() == list(range(12))
    assert pq.ParquetFile(path).num_row_groups == {1: 4, 5: 2, 100: 1}[group]


def test_a_table_that_the_disk_does_not_take_leaves_its_stream(tmp_path: Path) -> None:
    path = written(tmp_path)
    with files_no_longer_than(200), pytest.raises(ControlError, match=r"ticks\.parquet could not be written"):
        make_table(path)
    assert [file.name for file in tmp_path.iterdir()] == ["ticks.arrows"]
    assert read_parquet(path)["tick"].to_pylist() == list(range(12))


def test_a_stream_of_which_not_all_can_be_read_stays(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = bytearray(stream_of(path).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)  # damaged in the middle
    stream_of(path).write_bytes(content)
    with pytest.raises(ControlError, match=r"ticks\.arrows has 12 records, and only the first \d+ can be read"):
        make_table(path, 12)
    assert [file.name for file in tmp_path.iterdir()] == ["ticks.arrows"]


def test_a_stream_beside_its_whole_table_is_not_read(tmp_path: Path) -> None:
    path = written(tmp_path)
    content = stream_of(path).read_bytes()
    make_table(path)
    stream_of(path).write_bytes(content[:-1])  # killed between the two
    assert read_parquet(path).num_rows == 12


WRITES = """
import pyarrow as pa
from pathlib import Path
from rollahead.runtime.recording.records import Stream
one = pa.record_batch({"tick": pa.array([0])})
stream = Stream(Path("ticks.arrows"), one.schema, 50.0)
for tick in range(10**9):
    stream.append(pa.record_batch({"tick": pa.array([tick])}))
    print(tick, flush=True)
"""


def test_a_process_that_is_killed_leaves_all_that_it_appended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITES], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = [int(process.stdout.readline()) for _ in range(20)]
        os.kill(process.pid, signal.SIGKILL)
        said += [int(line) for line in process.stdout]
    assert process.returncode == -signal.SIGKILL
    assert read_parquet(tmp_path / "ticks.parquet")["tick"].to_pylist()[: len(said)] == said


def test_making_a_table_holds_no_more_of_a_longer_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "GROUP", 60)

    def most(batches: int) -> int:
        path = tmp_path / str(batches) / "ticks.parquet"
        path.parent.mkdir()
        written(path.parent, batches)
        groups = [group.nbytes for group in records._groups(whole_batches(stream_of(path)))]
        assert len(groups) > 1
        return max(groups)

    assert most(400) == most(80)
