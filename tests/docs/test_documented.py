"""Every command of the pages that a LeRobot user reads first runs as it is written."""

from pathlib import Path

import pytest
from benchmarks.documented import PAGES, documented, prepared, run_all, shortened
from benchmarks.pages import DOCS, unfinished


@pytest.mark.parametrize("page", PAGES)
def test_no_command_of_a_page_has_to_be_filled_in(page: str) -> None:
    assert unfinished(DOCS / f"{page}.md") == []


def test_commands_are_only_added_to_when_they_are_made_short() -> None:
    for command in (command for page in PAGES for command in documented(page)):
        assert tuple(shortened(command)[: len(command)]) == command


def test_the_commands_of_the_pages_are_found() -> None:
    assert {page: len(documented(page)) >= least for page, least in zip(PAGES, (13, 5, 12, 0), strict=True)} == (
        dict.fromkeys(PAGES, True)
    )


@pytest.mark.slow
def test_every_command_runs_word_for_word_with_lerobots_own_files_and_arm(tmp_path: Path) -> None:
    ran = list(run_all(PAGES, tmp_path, prepared(tmp_path)))
    assert [(one.words, one.said) for one in ran if one.status != 0] == []
