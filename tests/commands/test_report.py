import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Ran, refusal

Command = Callable[..., Ran]
SMALL = ("episodes=2", "workers=1", "reactions=false", "latency.ticks=2", "name=mine")


def test_a_report_is_made_again_in_the_folder_of_its_run(rollahead: Command) -> None:
    rollahead("eval", *SMALL)
    page = Path("runs/mine/report.html")
    page.unlink(missing_ok=True)
    ran = rollahead("report", "run=runs/mine")
    assert ran.status == 0
    assert ran.out == f"report: {page}\n"
    assert page.stat().st_size > 10_000


def test_a_report_makes_no_run_folder_of_its_own(rollahead: Command) -> None:
    rollahead("eval", *SMALL)
    before = sorted(Path.cwd().rglob("*"))
    rollahead("report", "run=runs/mine")
    assert set(Path.cwd().rglob("*")) - set(before) <= {Path.cwd() / "runs/mine/report.html"}


def test_a_report_without_a_run_says_what_to_give(rollahead: Command) -> None:
    assert "run must be given; add run=" in refusal(rollahead("report"), "report")
    assert "run must be given; add run=" in refusal(rollahead("report", "run=null"), "report")


def test_a_report_of_a_folder_that_is_not_there_is_refused(rollahead: Command) -> None:
    assert "there is no run folder runs/other" in refusal(rollahead("report", "run=runs/other"), "report")


def test_the_help_names_the_one_option_and_an_example(rollahead: Command) -> None:
    ran = rollahead("report", "--help")
    assert "run=<must be given>" in ran.out
    assert "rollahead report run=runs/demo" in ran.out
    assert "name=" not in ran.out


def test_without_its_extra_a_report_says_what_to_install(rollahead: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "rollahead.report.page", raising=False)
    assert "install rollahead[viz]" in refusal(rollahead("report", "run=runs/mine"), "report")
