"""What README.md says to do works."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.figures import load, table
from benchmarks.jitter import lerobot_table
from benchmarks.skeleton import study_table
from benchmarks.train import MOVING, TASKS, delay_table

from benchmarks import chunking, recipes, rti, study
from every import every

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]


def test_the_example_in_the_readme_runs_and_shows_vlash_ahead():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *strategies, policy = ran.stdout.splitlines()
    hits = {line.split()[0]: float(line.split()[2].removesuffix("%")) for line in strategies}
    assert hits["vlash"] > hits["sync"] > hits["naive"]
    assert policy.startswith("Evaluation(episodes=20, success=")


@pytest.mark.parametrize(("study", "page"), [("velocity", "README.md"), ("absolute", "docs/benchmarks.md")])
def test_a_table_of_a_study_is_that_of_its_results(study: str, page: str) -> None:
    table = json.loads((ROOT / "benchmarks" / "results" / "tables" / f"skeleton_{study}.json").read_text())
    assert study_table(table) in (ROOT / page).read_text()


def test_the_table_beside_lerobots_loop_is_that_of_its_results() -> None:
    runs = json.loads((ROOT / "benchmarks" / "results" / "tables" / "realtime_jitter_lerobot.json").read_text())
    assert lerobot_table(runs) in (ROOT / "README.md").read_text()


def test_the_figures_of_the_realtime_driver_are_those_of_its_results() -> None:
    assert table("realtime") in (ROOT / "docs" / "benchmarks.md").read_text()


def test_the_figures_of_safety_are_those_of_its_results() -> None:
    assert table("safety") in (ROOT / "docs" / "benchmarks.md").read_text()


def test_the_figures_of_trained_policies_are_those_of_their_results() -> None:
    assert table("train") in (ROOT / "docs" / "benchmarks.md").read_text()


@every(
    ("played", "page", "task"),
    [
        *(("success", "benchmarks.md", task) for task in TASKS),
        *(("offsets", "train.md", task) for task in MOVING),
    ],
)
def test_a_table_over_delays_is_that_of_its_results(played: str, page: str, task: str) -> None:
    found = json.loads((ROOT / "benchmarks" / "results" / "tables" / f"train_{played}.json").read_text())
    assert delay_table(found, task) in (ROOT / "docs" / page).read_text()


@pytest.mark.parametrize("name", ["states", "prefixes", "late"])
def test_the_tables_of_recipes_are_those_of_their_results(name: str) -> None:
    assert recipes.table(name) in (ROOT / "docs" / "train.md").read_text()


@pytest.mark.parametrize("task", ["mole", "interception", "belt"])
def test_the_tables_of_the_study_are_those_of_its_results(task: str) -> None:
    cells = study.read_table()
    choosing, benchmarks = ((ROOT / "docs" / page).read_text() for page in ("choosing.md", "benchmarks.md"))
    assert study.delay_table(cells, task, "flow") in choosing
    assert study.latency_table(cells, task, "flow", 6.0) in choosing
    assert study.delay_table(cells, task, "scripted") in benchmarks


def test_the_figures_of_denoising_are_those_of_their_results() -> None:
    assert table("denoise") in (ROOT / "docs" / "benchmarks.md").read_text()


@pytest.mark.parametrize("task", chunking.TASKS)
def test_the_tables_of_the_chunking_family_are_those_of_their_results(task: str) -> None:
    assert chunking.table(task) in (ROOT / "docs" / "benchmarks.md").read_text()


@every("net", rti.NETS)
def test_the_tables_of_real_time_iteration_are_those_of_their_results(net: str) -> None:
    assert rti.table(net) in (ROOT / "docs" / "benchmarks.md").read_text()


def test_what_the_readme_says_of_each_part_was_measured() -> None:
    words = (ROOT / "README.md").read_text()
    found = {row.name: row.value or 0.0 for row in load()}
    assert f"{found['rti_calls_ratio_vs_ddpm100']:.0f} times fewer calls" in words
    assert found["rti_success_loss_d8"] <= 0
    late = found["deadline_miss_rate"], found["deadline_miss_rate_all_steps"]
    assert "{:.0f} % of inferences late instead of {:.1f} %".format(*(100 * share for share in late)) in words
    cells = {(cell["task"], cell["latency"], cell["way"]): cell["success"] for cell in chunking.read_table()}
    shares = [cells["mole", "8", way] for way in ("tt_rtc", "rtc, pull to d", "bid")]
    assert "`tt_rtc` {:.0f} %, `rtc` and `bid` {:.0f} %".format(*shares[:2]) in words and shares[1] == shares[2]
    soon = found["reaction_p95_ratio_a2c2"], found["reaction_p95_ratio_a2c2_lag2"]
    assert "reacts {:.0f} times sooner than `sync` (p95) with sensors in time, {:.0f} times".format(*soon) in words


def test_the_figures_of_the_evidence_are_those_of_their_results() -> None:
    assert table("evidence") in (ROOT / "docs" / "benchmarks.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page):
    targets = re.findall(r"\]\((?!http)([^)#]*)", page.read_text())
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert missing == []
