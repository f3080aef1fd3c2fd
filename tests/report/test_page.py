import json
import re
import shutil
import time
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from rollahead.errors import ConfigError
from rollahead.report import theme, timeline
from rollahead.report.comparison import name_cells
from rollahead.report.load import Results, load
from rollahead.report.page import animation, make, write_report
from rollahead.report.words import sentence

from . import records
from .records import edit_summary, marked, parse, seen, write_study, write_training

VOID = {"meta", "link", "br", "img", "hr"}


class Page(HTMLParser):
    """Reads a page; `open` are the elements that were not closed, `words` what a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.sections: list[str] = []
        self.drawings: Counter[str] = Counter()
        self.text: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.drawings.update([found.get("class") or "legend"] if tag == "svg" else [])
        self.sections += [found["id"] or ""] if tag == "section" and "id" in found else []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def html(results: Results) -> str:
    return make(results)


def copied(run: Path, tmp_path: Path, name: str = "copy") -> Path:
    return Path(shutil.copytree(run, tmp_path / name))


def test_the_report_is_one_file_that_needs_nothing_else(html: str) -> None:
    links = [link for link in re.findall(r'https?://[^"\s<]+', html) if link != "http://www.w3.org/2000/svg"]
    assert links == []
    for word in ("<script", "<link", "<img", "@import", " src=", "javascript:"):
        assert word not in html
    assert all(
        target.startswith("#")
        for target in re.findall(r'url\(([^)]+)\)|href="([^"]+)"', html)
        for target in target
        if target
    )


def test_the_report_is_small(html: str) -> None:
    assert len(html.encode()) < 1_500_000


def test_every_element_is_closed_and_every_id_is_one_of_its_kind(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))


def test_every_cells_success_is_there_with_its_interval(html: str, results: Results) -> None:
    cells = re.findall(r'data-label="success, %"[^>]*><span class="value">(\d+)</span><small>([\d to]+)</small>', html)
    expected = [
        (f"{cell.figures['success']:.0f}", "{:.0f} to {:.0f}".format(*cell.figures["success_ci"]))
        for cell in results.cells
    ]
    assert sorted(cells) == sorted(expected)


def test_a_full_report_has_all_of_its_parts(html: str) -> None:
    assert Page(html).sections == ["found", "figures", "timelines", "signals", "about"]


def test_every_drawing_stands_in_the_page_as_one(html: str) -> None:
    drawings = Page(html).drawings
    assert drawings.pop("legend") >= 6
    assert drawings == {"plot": 2 + 2, "lanes": 2 * 5, "rollahead-animation": 1}


def test_the_page_begins_with_what_was_found_and_shows_it(html: str) -> None:
    lead = re.search(r'<p class="lead">([^<]+)</p>', html)
    assert lead
    assert re.match(r"With 160 ms of inference, the robot succeeds in \d+\s% of episodes with sync", lead[1])
    assert 0 < html.index(lead[0]) < html.index('class="rollahead-animation"') < html.index('id="figures"')


def test_figures_of_many_settings_are_folded_but_those_of_what_is_shown(html: str) -> None:
    folded = re.findall(r"<details( open=\"open\")?><summary>latency ([^<]+)</summary>", html)
    assert folded == [("", "4 ticks (80 ms)"), (' open="open"', "8 ticks (160 ms)")]


def test_a_study_is_one_page_with_a_panel_for_each_condition(study: Path) -> None:
    html = make(load(study))
    page = Page(html)
    assert page.open == []
    assert page.sections == ["overview", "task-1", "task-2", "about"]
    assert page.drawings["panel"] == 2 * 2 * 2
    assert html.count('class="strip"') == 1  # one legend for all
    assert len(re.findall(r"<summary>Table: success", html)) == len(re.findall(r"<summary>Values of s", html)) == 2
    for words in ("vlash beside the best other strategy", "1 h 00 min, 120 runs together", "24,000, in 120 cells"):
        assert words in page.words


def test_every_success_of_a_study_is_there_with_its_interval_and_its_s(study: Path) -> None:
    results = load(study)
    written = re.findall(
        r'<span class="value">(\d+)</span><small>([\d to]+)</small><small>(s=\d+)[^<]*</small>', make(results)
    )
    assert sorted(written) == sorted(
        (
            f"{cell.figures['success']:.0f}",
            "{:.0f} to {:.0f}".format(*cell.figures["success_ci"]),
            f"s={cell.strategy['s']}",
        )
        for cell in results.cells
    )


def test_a_strategy_looks_the_same_in_every_panel(study: Path) -> None:
    html = make(load(study))
    looks = set(re.findall(r'class="line" stroke="var\(--series(\d)\)" data-series="(\w+)"', html))
    assert looks == {(str(style), name) for name, style in theme.FAMILIAR.items()}


def test_a_small_study_keeps_its_tables_and_its_scene(tmp_path: Path) -> None:
    for i, (name, task, ticks) in enumerate(product(("sync", "vlash"), ("mole", "belt"), (0, 8))):
        cell = replace(records.cell(name, ticks, episodes=1, traces=1), task={"name": task})
        records.write_run(tmp_path / str(i), [cell])
    page = Page(make(load(tmp_path)))
    assert page.sections == ["overview", "found", "task-1", "task-2", "figures", "timelines", "signals", "about"]
    assert "latency 8 ticks (160 ms), belt" in page.words
    assert page.drawings["panel"] == 2


FLAT = {"guidance": False, "mask": "exp", "end": None, "beta": None, "most": 1.0, "decay": 0.01, "corrector": None}


def test_a_run_whose_options_of_the_strategy_were_not_grouped_yet_is_reported(tmp_path: Path) -> None:
    folder = records.write_run(tmp_path / "older", [records.cell("sync", 8, episodes=1), records.cell("vlash", 8)])
    html = make(load(folder))
    cells = json.loads((folder / "summary.json").read_text())["cells"]
    for cell in cells:
        kept = {name: value for name, value in cell["strategy"].items() if not isinstance(value, dict)}
        cell["strategy"] = {**kept, **FLAT}
    edit_summary(folder, cells=cells)
    assert Page(make(load(folder))).words == Page(html).words


def test_of_a_large_study_only_what_stands_in_no_panel_has_a_table(study: Path, tmp_path: Path) -> None:
    copy = copied(study, tmp_path)
    summary = json.loads((copy / "0" / "summary.json").read_text())
    summary["cells"][0]["latency"] = {"name": "lognormal", "p50": 4.0, "p95": 6.0, "median": None}
    edit_summary(copy / "0", cells=summary["cells"])
    page = Page(make(load(copy)))
    assert page.sections == ["overview", "task-1", "task-2", "figures", "about"]
    assert page.words.count("rows lost") == 2  # a heading and its definition


@pytest.mark.slow
def test_the_page_of_840_runs_is_small_and_soon_made(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "all", tasks=("mole", "interception", "belt"))
    begin = time.process_time()
    html = make(load(folder))
    assert time.process_time() - begin < 60
    assert len(html.encode()) < 3_000_000


def test_the_page_says_what_was_run_and_where(html: str, results: Results) -> None:
    words = Page(html).words
    assert sentence(name_cells(results.cells), "eval") in words
    assert results.machine in words
    assert results.date in words


def test_each_strategy_has_a_timeline_for_wide_and_one_for_narrow_pages(html: str) -> None:
    drawings = re.findall(r'<svg [^>]*class="lanes".*?</svg>', html, flags=re.DOTALL)
    assert len(drawings) == 2 * 5
    for wide, narrow in zip(drawings[::2], drawings[1::2], strict=True):
        for kind in ("late", "hold", "switch", "asked", "used", "committed"):
            assert marked(wide, kind) == marked(narrow, kind)


def test_a_sweep_is_reported_as_one(sweep: Path) -> None:
    words = Page(make(load(sweep))).words
    assert "measured sync, naive and vlash on mole at a latency of 2 ticks" in words
    assert "run 1 of this sweep left no figures" in words


def test_one_latency_has_no_plot_over_delay(sweep: Path) -> None:
    assert Page(make(load(sweep))).ids.count("delay") == 0


def test_without_records_the_page_says_what_is_not_there(unrecorded: Path) -> None:
    page = Page(make(load(unrecorded)))
    assert page.sections == ["figures", "about"]
    assert "kept its ticks, so there is no timeline and no animation" in page.words


def test_a_task_that_cannot_be_seen_from_above_has_no_animation(run: Path, tmp_path: Path) -> None:
    copy = copied(run, tmp_path)
    ticks = pq.read_table(copy / "ticks.parquet")
    pq.write_table(
        ticks.rename_columns([name.replace("mole_", "m") for name in ticks.column_names]), copy / "ticks.parquet"
    )
    words = Page(make(load(copy))).words
    assert "No animation: the task records no state.x" in words
    assert "Chunks and switches" in words


def test_the_animation_is_to_be_had_alone(results: Results, unrecorded: Path) -> None:
    svg = animation(results)
    assert svg
    assert parse(svg).attrib["viewBox"]
    assert animation(load(unrecorded)) is None


def test_the_page_of_a_training_begins_with_how_it_went(trained: Path) -> None:
    page = Page(make(load(trained)))
    assert page.sections == ["training", "found", "figures", "about"]
    assert page.open == []
    assert page.drawings == {"plot": 2 + 2}
    for words in (
        "rollahead train made a policy for mole",
        "2,000 steps of 64 examples",
        "Error of a cold step",
        "Success in play, %",
    ):
        assert words in page.words


def test_of_a_training_without_a_task_only_how_it_went_is_shown(tmp_path: Path) -> None:
    run = write_training(tmp_path / "run", looks=[seen(2000)], task=None, dataset="data/cups")
    page = Page(make(load(run)))
    assert page.sections == ["training", "about"]
    assert page.drawings == {"plot": 1}
    assert "rollahead train made a policy (flow, 2,000 steps on data set data/cups)." in page.words


def test_a_sweep_of_trainings_has_a_line_for_each(tmp_path: Path) -> None:
    for i, name in enumerate(("flow", "act")):
        write_training(tmp_path / str(i), policy={"name": name})
    page = Page(make(load(tmp_path)))
    assert page.drawings == {"plot": 2}
    assert "0 flow : 2,000 steps" in page.words
    assert "1 act : 2,000 steps" in page.words


def test_a_page_without_a_training_says_nothing_of_one(html: str) -> None:
    assert "training" not in Page(html).sections


def test_the_time_that_is_left_is_told_of_only_where_it_is_shown(run: Path, html: str, tmp_path: Path) -> None:
    copy = copied(run, tmp_path)
    cells = json.loads((copy / "summary.json").read_text())["cells"]
    for cell in cells:
        cell["task"]["window_s"] = 0.9
    edit_summary(copy, cells=cells)
    assert "the ring round it" in Page(make(load(copy))).words
    assert "the ring round it" not in Page(html).words


def test_an_episode_that_goes_on_after_what_is_shown_says_so(results: Results, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "SHOWN", 20)
    assert re.search(r"ends \d+ ticks after what is shown", Page(make(results)).words)


def test_names_are_written_and_not_obeyed(run: Path, tmp_path: Path) -> None:
    copy = copied(run, tmp_path, "<b>&")
    summary = json.loads((copy / "summary.json").read_text())
    for cell in summary["cells"]:
        cell["strategy"]["name"] += "<i>&"
    edit_summary(copy, cells=summary["cells"], machine="<script>alert(1)</script>")
    html = make(load(copy))
    assert Page(html).open == []
    for tag in ("<script", "<i>", "<b>&"):
        assert tag not in html


def test_the_report_goes_into_the_folder_and_replaces_an_old_one(unrecorded: Path, tmp_path: Path) -> None:
    copy = copied(unrecorded, tmp_path)
    (copy / "report.html").write_text("old")
    assert write_report(copy) == copy / "report.html"
    assert (copy / "report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert not list(copy.glob("*.unfinished"))


def test_a_report_is_the_same_each_time(html: str, results: Results) -> None:
    assert make(results) == html


def test_a_folder_without_a_run_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"holds no summary\.json"):
        write_report(tmp_path)
    assert not list(tmp_path.iterdir())


def test_cells_without_differences_have_no_star(unrecorded: Path) -> None:
    html = make(load(unrecorded))
    assert "★" not in html
