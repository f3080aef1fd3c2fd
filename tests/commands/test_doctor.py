import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rollahead.commands.doctor import findings
from rollahead.runtime.run_folder import machine
from rollahead.sim.render import REMEDY, backend

from .conftest import Ran

Command = Callable[..., Ran]


def test_doctor_prints_what_it_found_in_a_table_and_leaves_nothing(rollahead: Command) -> None:
    ran = rollahead("doctor")
    assert (ran.status, ran.err) == (0, "")
    for words in (
        "python",
        platform.python_version(),
        "free disk",
        "[sim]",
        "[viz]",
        "tasks",
        "mole",
        "pictures",
        "timer",
    ):
        assert words in ran.out
    assert list(Path().iterdir()) == []


def test_each_finding_is_a_name_a_state_and_what_to_do(tmp_path: Path) -> None:
    found = {what: (state, remedy) for what, state, remedy in findings(tmp_path)}
    assert found["python"] == (f"{platform.python_version()} ({sys.executable})", "")
    assert found["machine"][0] == machine()
    assert "mole" in found["tasks"][0]
    assert found["pictures"][1] == ("" if backend() else REMEDY)
    assert "late (median)" in found["timer"][0]
    for what in found:
        if what.startswith("["):
            assert "not installed" not in found[what][0]  # the tests need them all
            assert found[what][1] == ""


def test_the_disk_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    found = {what: state for what, state, _ in findings(tmp_path / "no/such/runs")}
    assert found["free disk"].endswith(f"at {tmp_path}")


def test_the_command_looks_at_the_disk_that_runs_would_go_to(
    rollahead: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert f"at {tmp_path.parent} " in rollahead("doctor", f"runs={tmp_path.parent}/elsewhere/runs").out
