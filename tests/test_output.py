"""Standard output that cannot be written to, on the real command line."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

PROGRAM = str(Path(sys.executable).parent / "rollahead")
SHORT = {
    "run": "run robot=loopback planner=sine seconds=0.2",
    "eval": "eval episodes=1 workers=1 reactions=false",
    "recommend": "recommend latency=fixed episodes=0",
}
LOST = "rollahead: some output could not be printed (No space left on device); free some space for standard output\n"


def shell(line: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """`rollahead <line>`, as a shell runs it."""
    variables: Mapping[str, str] = {**os.environ, **environment}
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{PROGRAM} {line}"],
        capture_output=True,
        text=True,
        cwd=folder,
        env=variables,
        check=False,
    )


@pytest.mark.parametrize("command", SHORT)
def test_on_a_full_disk_the_work_is_done_and_the_lost_words_are_told(command: str, tmp_path: Path) -> None:
    ran = shell(f"{SHORT[command]} name=full > /dev/full", tmp_path)
    assert (ran.returncode, ran.stderr) == (2, LOST)
    assert (tmp_path / "runs/full/summary.json").is_file()


@pytest.mark.parametrize(
    "line", ["--help", "--version", "run --help", "eval --cfg job", "report run=runs/x", "frobnicate"]
)
def test_where_nothing_can_be_printed_the_status_says_so(line: str, tmp_path: Path) -> None:
    ran = shell(f"{line} > /dev/full", tmp_path)
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("command", SHORT)
@pytest.mark.parametrize("closed", [">&-", ">&- <&-", "| true"])
def test_without_a_reader_the_work_is_done_in_silence(command: str, closed: str, tmp_path: Path) -> None:
    ran = shell(f"{SHORT[command]} name=alone {closed}", tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (tmp_path / "runs/alone/summary.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("command", SHORT)
def test_what_ascii_has_not_is_printed_in_escapes(command: str, tmp_path: Path) -> None:
    ran = shell(f"{SHORT[command]} runs=läufe name=ascii", tmp_path, PYTHONIOENCODING="ascii", COLUMNS="160")
    assert (ran.returncode, ran.stderr) == (0, "")
    assert (tmp_path / "läufe/ascii/summary.json").is_file()
    assert command == "recommend" or r"l\xe4ufe/ascii" in ran.stdout


def test_a_locale_without_umlauts_says_what_to_set(tmp_path: Path) -> None:
    strict = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ran = shell("doctor runs=läufe", tmp_path, **strict)
    assert ran.returncode == 2
    assert "LC_ALL=C.UTF-8" in ran.stderr
    assert ran.stderr.count("\n") == 1
