import errno
import json
import os
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from full_disk import files_no_longer_than
from rollahead import __version__
from rollahead.errors import ConfigError, ControlError
from rollahead.runtime.recording.run_folder import RunFolder, finite, machine, provenance, written_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_run_is_never_written_over_another(what: str, tmp_path: Path) -> None:
    path = tmp_path / "a"
    _ = path.mkdir() if what == "folder" else path.write_text("mine")
    with pytest.raises(ConfigError, match=re.escape(f"the run folder {path} exists already; give another name=")):
        RunFolder(path)


def test_a_folder_that_cannot_be_made_is_one_sentence_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file where a folder should be")
    with pytest.raises(ControlError, match=r"cannot be made \(Not a directory\); give another runs=") as caught:
        RunFolder(tmp_path / "runs" / "a")
    assert not isinstance(caught.value, ConfigError)


@pytest.mark.parametrize("text", ["", "one line\n", "naïve ± 2 ms, √2\n", "x" * 100_000])
def test_a_text_is_read_back_as_it_was_written(text: str, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    assert folder.write_text("note.txt", text) == folder.path / "note.txt"
    assert (folder.path / "note.txt").read_bytes() == text.encode()
    assert names(folder.path) == ["note.txt"]


def test_json_is_read_back_in_its_order_and_ends_with_a_newline(tmp_path: Path) -> None:
    content = {"success": 97.5, "ci": [95.0, 99.0], "machine": "a", "none": None, "nested": {"b": 1, "a": 2}}
    path = RunFolder(tmp_path / "a").write_json("summary.json", content)
    assert path.read_text().endswith("}\n")
    assert list(json.loads(path.read_text()).items()) == list(content.items())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_figure_that_is_no_number_leaves_json_that_every_reader_takes(value: float, tmp_path: Path) -> None:
    path = RunFolder(tmp_path / "a").write_json("summary.json", {"jerk": value})
    json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON (RFC 8259, section 6)"))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), np.float64("nan")])
def test_a_figure_that_is_no_number_is_null_however_deep_it_is_and_all_else_is_as_it_was(value: float) -> None:
    content = {"a": value, "b": [1.5, value, {"c": (value, 2)}], "d": {"e": [[value]]}, "f": ["nan", True, None, 0]}
    null = {"a": None, "b": [1.5, None, {"c": [None, 2]}], "d": {"e": [[None]]}, "f": ["nan", True, None, 0]}
    assert finite(content) == null
    assert content["a"] is value  # what was given is not written


@pytest.mark.parametrize("size", [0, 1, 5000])
def test_a_disk_that_fills_up_leaves_nothing_half_written(size: int, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    with (
        files_no_longer_than(size),
        pytest.raises(ControlError, match=r"note.txt could not be written to .* \(File too large\); free some space"),
    ):
        folder.write_text("note.txt", "x" * 100_000)
    assert names(folder.path) == []


def test_a_full_disk_is_told_by_its_name(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    (folder.path / "note.txt.unfinished").symlink_to("/dev/full")  # a device that is always full
    with pytest.raises(ControlError, match=r"\(No space left on device\); free some space"):
        folder.write_text("note.txt", "x" * 100_000)
    assert names(folder.path) == []


def test_what_was_there_stays_whole_when_its_successor_cannot_be_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    folder.write_text("note.txt", "before")
    with files_no_longer_than(10), pytest.raises(ControlError):
        folder.write_text("note.txt", "x" * 100_000)
    assert (folder.path / "note.txt").read_text() == "before"
    assert names(folder.path) == ["note.txt"]


def test_a_text_that_cannot_be_encoded_leaves_nothing_half_written(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "a")
    with pytest.raises(UnicodeEncodeError):
        folder.write_text("note.txt", "half a surrogate pair: \ud800")
    assert names(folder.path) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError("not a table")])
def test_whatever_else_stops_a_write_is_raised_as_it_is_and_leaves_nothing(
    error: BaseException | type[BaseException], tmp_path: Path
) -> None:
    with (
        pytest.raises(type(error) if isinstance(error, BaseException) else error),
        written_whole(tmp_path / "a.txt") as unfinished,
    ):
        unfinished.write_text("half")
        raise error
    assert names(tmp_path) == []


def test_what_is_written_takes_its_name_at_the_end_and_not_before(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with written_whole(tmp_path / "a.txt") as unfinished:
        unfinished.write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_every_trouble_of_a_disk_is_one_sentence_with_its_cause(code: int, tmp_path: Path) -> None:
    trouble = OSError(code, os.strerror(code))
    with pytest.raises(ControlError) as caught, written_whole(tmp_path / "a.txt"):
        raise trouble
    assert str(caught.value).startswith(f"a.txt could not be written to {tmp_path} ({os.strerror(code)}); ")
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is trouble


def test_a_figure_says_machine_versions_seed_and_date() -> None:
    found = provenance(seed=42)
    assert list(found) == ["machine", "versions", "seed", "date"]
    assert found["seed"] == 42
    assert found["versions"]["rollahead"] == __version__
    assert {"numpy", "pyarrow", "python"} <= set(found["versions"])
    assert abs((date.fromisoformat(found["date"]) - date.today()).days) <= 1  # the date is of UTC
    assert json.loads(json.dumps(found)) == found


def test_a_machine_is_its_processor_cores_and_system() -> None:
    assert re.fullmatch(r".+, \d+ cores, \w+ [\w.]+", machine())
    assert f"{os.cpu_count()} cores" in machine()
