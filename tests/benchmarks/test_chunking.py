"""The comparison of the chunking family: what is played, and that what is told of it is what was played."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks.chunking import LATENCIES, MEDIAN, WAYS, cell_of

from benchmarks import chunking
from every import every
from rollahead.evaluation.evaluation import check
from rollahead.runtime.config.build import make_latency

HEADLESS = [name for name, way in WAYS.items() if way.head is None and way.base == "flow" and not way.weak]


@every("task", chunking.TASKS)
@every("name", HEADLESS)
def test_each_way_that_needs_no_training_can_be_played(task: str, name: str) -> None:
    check(replace(cell_of(task, WAYS[name], "4", 8), episodes=1))


@pytest.mark.parametrize("name", [name for name in LATENCIES if not name.isdigit()])
def test_latencies_that_vary_have_the_median_that_is_told(name: str) -> None:
    model = make_latency(rate_hz=50.0, **LATENCIES[name])
    ticks = np.array([model.sample(0, n).done for n in range(4000)])
    assert (ticks < MEDIAN).mean() < 0.52 < 0.04 + (ticks <= MEDIAN).mean()


def test_the_pull_ends_as_many_rows_after_d_as_its_name_says() -> None:
    ends = {
        ", pull" + name.split(", pull")[1]: cell_of("mole", WAYS[name], "8", 8).strategy.guidance.execution_horizon
        for name in WAYS
        if name.startswith("rtc, identity, pull")
    }
    assert ends == {", pull to d": 8, ", pull to d + 4": 12, ", pull to d + 10": 18}
    assert cell_of("mole", WAYS["rtc, pull to d"], "8", 8).strategy.guidance.execution_horizon == 8
    assert cell_of("mole", WAYS["rtc, pull to d"], "spikes", 8).strategy.guidance.execution_horizon == MEDIAN


def test_what_is_fixed_is_planned_and_what_varies_is_estimated() -> None:
    assert [cell_of("mole", WAYS["vlash"], name, 8).strategy.d for name in ("0", "12", "spikes")] == [0, 12, None]


def told(folder: Path, task: str, latency: str, way: str, hits: list[bool]) -> None:
    success = 100 * sum(hits) / len(hits)
    said = {"task": task, "latency": latency, "way": way, "s": 8, "tried": [], "episodes": len(hits), "hits": hits}
    said |= {"success": success, "success_ci": [success - 1, success + 1], "time_s": 0.5, "calls_per_s": 31.0}
    said |= {"jerk": 1.0, "switch_step": 0.1, "took_s": 1.0}
    (folder / f"{task}-{latency}-{way}.json").write_text(json.dumps(said))


def test_a_gain_is_that_of_the_pairs_and_a_cell_stands_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("PLAYED", "RESULTS"):
        monkeypatch.setattr(chunking, name, tmp_path)
    monkeypatch.setattr("benchmarks.figures.RESULTS", tmp_path)
    told(tmp_path, "mole", "12", "vlash", [True, False, False, False])
    told(tmp_path, "mole", "12", "vlash + a2c2, state only", [True, True, False, False])
    chunking.figures()
    (row,) = json.loads((tmp_path / "denoise.json").read_text())
    assert (row["name"], row["value"], row["goal"]) == ("a2c2_proprio_gain_d12", 25.0, ">= 5")
    lines = {line.split(" | ")[0]: line for line in chunking.table("mole").splitlines()}
    assert "25 <sub>24..26</sub>" in lines["| vlash"].split(" | ")[1 + list(LATENCIES).index("12")]
    assert set(lines["| sync"].removesuffix(" |").split(" | ")[1:]) == {"\N{EN DASH}"}
    assert "|  |" not in chunking.table("interception")


def test_the_jacobian_is_the_published_one_where_the_name_says_nothing() -> None:
    for name, way in WAYS.items():
        if way.strategy["name"] == "rtc" or way.strategy.get("guidance", {}).get("enabled"):
            assert cell_of("mole", way, "4", 8).strategy.guidance.jacobian == (
                "identity" if "identity" in name else "full"
            )


def test_cells_that_were_not_played_now_stay_as_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunking, "RESULTS", tmp_path)
    monkeypatch.setattr("benchmarks.figures.RESULTS", tmp_path)
    for successes, way in (([True], "vlash"), ([False], "rtc")):
        monkeypatch.setattr(chunking, "PLAYED", played := tmp_path / way)
        played.mkdir()
        told(played, "mole", "4", way, successes)
        chunking.figures()
    assert {said["way"]: said["success"] for said in chunking.read_table()} == {"vlash": 100, "rtc": 0}
    (row,) = json.loads((tmp_path / "claims.json").read_text())
    assert (row["name"], row["value"], row["goal"]) == ("rtc_full_success_mole_d4", 0.0, ">= 98")
