import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from rollahead.cli import main


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that has ended: its exit status, and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def rollahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """`rollahead <arguments>`, run in this process and in an empty folder. Errors that are not ours are raised."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")  # the command sets it; so it is put back
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["rollahead", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return Ran(int(ended.value.code or 0), printed.out, printed.err)

    return run


def refusal(ran: Ran, command: str) -> str:
    """The one sentence that a refused command prints."""
    assert ran.status == 2
    assert ran.err.startswith(f"rollahead {command}: ")
    assert ran.err.count("\n") == 1, ran.err
    return ran.err.removeprefix(f"rollahead {command}: ").rstrip("\n")
