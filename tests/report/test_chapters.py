import json
import shutil
from pathlib import Path

import pytest

from rollahead.report.chapters import StudyView, chapters
from rollahead.report.comparison import name_cells
from rollahead.report.load import load
from rollahead.report.study import study_of
from rollahead.report.theme import styles

from .records import KINDS, STUDIED, write_study


def view_of(folder: Path) -> StudyView:
    cells = load(folder).cells
    study = study_of(cells, name_cells(cells))
    assert study
    return chapters(study, styles(study.series))


@pytest.fixture(scope="module")
def view(study: Path) -> StudyView:
    return view_of(study)


def test_a_chapter_for_each_task_with_a_panel_for_each_condition(view: StudyView) -> None:
    assert [chapter.task for chapter in view.chapters] == ["mole", "belt"]
    assert [(panel.planner, panel.latency) for panel in view.chapters[0].panels] == [
        ("scripted", "fixed"),
        ("scripted", "lognormal"),
        ("mole_flow", "fixed"),
        ("mole_flow", "lognormal"),
    ]


def test_leads_are_signed_and_coloured_where_they_are_clear(view: StudyView) -> None:
    mole, belt = (chapter.panels[0].rows[0].leads for chapter in view.chapters)
    told = [[(lead.points, lead.standing, lead.share) for lead in leads if lead] for leads in (mole, belt)]
    assert told == [
        [("0", "level", 0), ("+72", "ahead", 37), ("+36", "ahead", 26)],
        [("0", "level", 0), ("\N{MINUS SIGN}5", "level", 0), ("\N{MINUS SIGN}13", "behind", 19)],
    ]


def test_what_is_told_of_a_task_is_of_its_own_panels(view: StudyView) -> None:
    mole, belt = view.chapters
    (told,) = mole.words
    assert told.startswith("vlash is ahead of the best other strategy in 8 of 12 comparisons")
    (told,) = belt.words
    assert "It is behind naive in 4" in told
    assert "100 % against" not in told
    assert "in 8 of 24 comparisons, level in 12 and behind in 4; most" in view.sentence


def test_every_panel_has_its_figures(view: StudyView) -> None:
    for chapter in view.chapters:
        for panel in chapter.panels:
            assert [row.series for row in panel.grid.rows] == list(STUDIED)
            assert panel.grid.searched


def test_where_nothing_was_measured_nothing_is_compared(tmp_path: Path) -> None:
    write_study(tmp_path, strategies=("sync", "vlash"), delays=(0, 8), planners=("scripted",), kinds=KINDS[:1])
    (tmp_path / "0" / "summary.json").unlink()  # sync on mole at 0 ticks
    view = view_of(tmp_path)
    assert [lead is None for lead in view.chapters[0].panels[0].rows[0].leads] == [True, False]


def test_a_study_of_one_strategy_compares_nothing(tmp_path: Path) -> None:
    write_study(tmp_path, strategies=("vlash",), delays=(0, 8), planners=("scripted",), kinds=KINDS[:1])
    view = view_of(tmp_path)
    assert not view.compared
    assert view.chapters[0].words == ()
    assert view.chapters[0].panels[0].rows == ()


def test_what_joined_has_a_row_and_a_sentence_of_its_own(study: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(study, tmp_path / "study"))
    for path in folder.glob("*/summary.json"):
        summary = json.loads(path.read_text())
        if summary["cells"][0]["strategy"]["name"] == "vlash" and summary["cells"][0]["task"]["name"] == "belt":
            summary["cells"][0]["roller"] = {"name": "scene"}
            run = folder / str(1000 + int(path.parent.name))
            shutil.copytree(path.parent, run)
            (run / "summary.json").write_text(json.dumps(summary))
    mole, belt = view_of(folder).chapters
    assert [row.series for row in belt.panels[0].rows] == ["vlash", "vlash (roller scene)"]
    assert [row.series for row in mole.panels[0].rows] == ["vlash"]
    assert (len(mole.words), len(belt.words), len(belt.panels[0].words)) == (1, 2, 2)
