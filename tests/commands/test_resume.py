"""Runs and sweeps that were ended are gone on with: nothing that was played is played again."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from rollahead import __version__ as rollahead_version
from rollahead.assembly.planning import Planning
from rollahead.commands import resume
from rollahead.evaluation import evaluation
from rollahead.evaluation.evaluation import Cell, Episode
from rollahead.sim.task import Task

from .conftest import Ran, refusal

Command = Callable[..., Ran]
SMALL = ("workers=1", "reactions=false", "traces=0", "task.window_s=0.3", "name=mine")
KILLED = """
import os, signal, sys
from rollahead.cli import main
from rollahead.evaluation import evaluation

play = evaluation.measure

def measure(cell, task, seed, planning):
    if seed == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return play(cell, task, seed, planning)

evaluation.measure = measure
sys.argv = ["rollahead", *sys.argv[1:]]
main()
"""


class Played:
    """The episodes that were played, and an interrupt before one of them: (s, seed)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seeds: list[tuple[int, int]] = []
        self.until: tuple[int, int] | None = None
        self._measure = evaluation.measure
        monkeypatch.setattr(evaluation, "measure", self)

    def __call__(self, cell: Cell, task: Task, seed: int, planning: Planning) -> Episode:
        if (cell.strategy.s, seed) == self.until:
            raise KeyboardInterrupt
        self.seeds.append((cell.strategy.s, seed))
        return self._measure(cell, task, seed, planning)


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    return Played(monkeypatch)


def left(folder: str) -> tuple[Any, list[dict[str, Any]]]:
    """The cells of a run, and its episodes."""
    path = Path("runs") / folder
    summary = json.loads((path / "summary.json").read_text())
    return summary["cells"], pq.read_table(path / "episodes.parquet").to_pylist()


def test_a_run_that_was_interrupted_goes_on_with_the_episodes_that_it_lacks(rollahead: Command, played: Played) -> None:
    played.until = (8, 3)
    ran = rollahead("eval", *SMALL, "episodes=6")
    assert (ran.status, ran.err) == (2, "rollahead eval: interrupted\n")
    assert "the same with name=mine resume=true" in ran.out
    played.until = None
    assert rollahead("eval", *SMALL, "episodes=6", "resume=true").status == 0
    assert played.seeds == [(8, seed) for seed in range(6)]
    assert rollahead("eval", *SMALL[:-1], "name=whole", "episodes=6").status == 0
    assert left("mine") == left("whole")
    assert not Path("runs/mine/episodes.jsonl").exists()


def test_a_run_that_was_killed_loses_the_episode_that_it_was_at(
    tmp_path: Path, rollahead: Command, played: Played
) -> None:
    killed = [sys.executable, "-c", KILLED, "eval", *SMALL, "episodes=5"]
    assert subprocess.run(killed, cwd=tmp_path, capture_output=True, check=False).returncode == -9
    assert rollahead("eval", *SMALL, "episodes=5", "resume=true").status == 0
    assert played.seeds == [(8, 3), (8, 4)]
    assert [row["episode"] for row in left("mine")[1]] == list(range(5))


def test_what_the_search_has_played_is_not_played_again_either(rollahead: Command, played: Played) -> None:
    options = (*SMALL, "strategy=sync", "search.s=[4,12]", "search.episodes=2", "episodes=1", "resume=true")
    played.until = (12, 1_000_001)
    assert rollahead("eval", *options).status == 2
    played.until = None
    assert rollahead("eval", *options).status == 0
    searched = [(s, seed) for s in (4, 12) for seed in (1_000_000, 1_000_001)]
    assert played.seeds[:-1] == searched
    ((cell,), _) = left("mine")
    assert [row["s"] for row in cell["search"]] == [4, 12]
    assert played.seeds[-1] == (cell["strategy"]["s"], 0)


@pytest.mark.parametrize("traces", ["null", "2"])
def test_episodes_that_are_kept_tick_by_tick_are_not_played_again_either(
    traces: str, rollahead: Command, played: Played
) -> None:
    options = ("workers=1", "reactions=false", "task.window_s=0.3", "episodes=4", f"traces={traces}")
    played.until = (8, 3)
    assert rollahead("eval", *options, "name=mine").status == 2
    played.until = None
    assert rollahead("eval", *options, "name=mine", "resume=true").status == 0
    assert [seed for _, seed in played.seeds] == [0, 1, 2, 3]
    assert rollahead("eval", *options, "name=whole").status == 0
    assert left("mine") == left("whole")
    for table in ("ticks", "inferences"):
        mine, whole = (pq.read_table(f"runs/{name}/{table}.parquet") for name in ("mine", "whole"))
        assert mine.equals(whole)


def test_a_run_that_is_over_is_left_as_it_is(rollahead: Command, played: Played) -> None:
    assert rollahead("eval", *SMALL, "episodes=1").status == 0
    ran = rollahead("eval", *SMALL, "episodes=1", "resume=true", "workers=2")
    assert (ran.status, ran.out) == (0, "runs/mine was run already\n")
    assert len(played.seeds) == 1


def test_a_run_that_was_killed_before_its_report_gets_it(rollahead: Command, played: Played) -> None:
    assert rollahead("eval", *SMALL, "episodes=1").status == 0
    Path("runs/mine/report.html").unlink()
    Path("runs/mine/episodes.jsonl").touch()
    ran = rollahead("eval", *SMALL, "episodes=1", "resume=true")
    assert (ran.status, ran.out) == (0, "runs/mine was run already\nreport: runs/mine/report.html\n")
    assert Path("runs/mine/report.html").exists()
    assert not Path("runs/mine/episodes.jsonl").exists()
    assert len(played.seeds) == 1


def test_a_sweep_does_not_go_into_the_folder_of_a_single_run(rollahead: Command) -> None:
    assert rollahead("eval", *SMALL, "episodes=1").status == 0
    before = sorted(Path("runs/mine").iterdir())
    ran = rollahead("eval", "--multirun", *SMALL, "episodes=1", "strategy.s=8,9", "resume=true")
    assert ran.status == 2
    assert "runs/mine is the folder of a single run; give a sweep another name=..." in ran.err
    assert sorted(Path("runs/mine").iterdir()) == before


def test_a_single_run_does_not_go_on_with_a_sweep(rollahead: Command) -> None:
    assert rollahead("eval", "--multirun", *SMALL, "episodes=1", "strategy.s=8,9").status == 0
    assert "runs/mine is not the folder of a run" in refusal(rollahead("eval", *SMALL, "resume=true"), "eval")


@pytest.mark.parametrize("sweep", [False, True])
def test_what_another_process_plays_is_not_gone_on_with(sweep: bool, rollahead: Command, played: Played) -> None:
    options = ("eval", *(("--multirun", "strategy.s=8,9") if sweep else ("strategy.s=8",)), *SMALL, "episodes=2")
    played.until = (8, 1)
    assert rollahead(*options).status == 2
    program = [Path(sys.executable).parent / "rollahead", *options, "resume=true"]
    ran = subprocess.run(program, capture_output=True, text=True, check=False)  # this one holds it until it ends
    said = (
        "rollahead eval: runs/mine is being played by another process; wait until it ends, or give another name=...\n"
    )
    assert (ran.returncode, ran.stderr) == (2, said * (2 if sweep else 1))
    played.until = None
    assert rollahead(*options, "resume=true").status == 0
    assert played.seeds == [(s, seed) for s in ((8, 9) if sweep else (8,)) for seed in (0, 1)]


def test_a_run_of_other_options_is_not_gone_on_with(rollahead: Command) -> None:
    assert rollahead("eval", *SMALL, "episodes=1").status == 0
    said = refusal(rollahead("eval", *SMALL, "episodes=2", "resume=true"), "eval")
    assert said == "runs/mine was begun with episodes=1, and episodes is 2 now; give it the same, or another name=..."
    said = refusal(rollahead("eval", *SMALL, "episodes=1", "strategy.s=9", "resume=true"), "eval")
    assert "strategy.s=8, and strategy.s is 9 now" in said
    said = refusal(rollahead("eval", *SMALL, "episodes=1", "seed=1", "resume=true"), "eval")
    assert "seed=0, and seed is 1 now" in said


def test_a_run_whose_recording_has_changed_is_not_gone_on_with(rollahead: Command, played: Played) -> None:
    Path("lat.txt").write_text("0.16\n")
    options = (*SMALL, "episodes=2", "latency=recorded", "latency.path=lat.txt")
    played.until = (8, 1)
    assert rollahead("eval", *options).status == 2
    played.until = None
    Path("lat.txt").write_text("0.10\n")
    said = refusal(rollahead("eval", *options, "resume=true"), "eval")
    was, now = re.findall(r"[0-9a-f]{16}", said)
    assert was != now
    assert said == (
        f"runs/mine was begun with the contents of latency.path=lat.txt {was}, and it is {now} now; put that back, or "
        "give another name=..."
    )
    Path("lat.txt").write_text("0.16\n")
    assert rollahead("eval", *options, "resume=true").status == 0
    assert len(played.seeds) == 2


def test_a_sweep_whose_recording_has_changed_goes_on_with_the_other_runs(rollahead: Command, played: Played) -> None:
    for name in ("one", "two"):
        Path(name).write_text("0.16\n")
    options = ("eval", "--multirun", *SMALL, "episodes=1", "latency=recorded", "latency.path=one,two", "resume=true")
    assert rollahead(*options).status == 0
    Path("one").write_text("0.10\n")
    ran = rollahead(*options)
    assert ran.status == 2
    assert "runs/mine/0 was begun with the contents of latency.path=one" in ran.err
    assert "runs/mine/1 was run already" in ran.out
    assert len(played.seeds) == 2


def test_a_run_of_another_version_is_not_gone_on_with(rollahead: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert rollahead("eval", *SMALL, "episodes=1").status == 0
    monkeypatch.setattr(resume, "__version__", "9.9")
    said = refusal(rollahead("eval", *SMALL, "episodes=1", "resume=true"), "eval")
    assert said.startswith(f"runs/mine was begun with rollahead {rollahead_version}, and it is 9.9 now; ")


def _written(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_what_is_read_is_told_by_names_and_contents_of_files_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told() -> dict[str, str]:
        planner = {"name": "mine", "checkpoint": str(tmp_path / "net"), "dataset": str(tmp_path / "data")}
        return resume._inputs(OmegaConf.create({"planner": planner, "name": "runs", "seed": 0, "note": ""}))

    monkeypatch.chdir(tmp_path)
    for file in (
        "net/config.json",
        "net/inner/weights",
        "data/meta/info.json",
        "data/videos/0.mp4",
        "mine/x",
        "runs/x",
    ):
        _written(tmp_path / file, "some")
    first = told()
    assert len(first) == 3  # rollahead, checkpoint, dataset; not what is only called as a folder here is
    for file, changes in (
        ("net/inner/weights", True),
        ("net/more", True),
        ("data/meta/info.json", True),
        ("data/videos/0.mp4", False),  # nothing of it is read
        ("mine/x", False),
        ("runs/x", False),
    ):
        before = told()
        _written(tmp_path / file, "other")
        assert (told() != before) == changes, file


BROKEN = {
    "no YAML": "a: [",
    "a list": "- 3",
    "zeros": "\0\0",
    "a way to nowhere": "a: ${b}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_run_whose_configuration_is_damaged_is_not_gone_on_with(name: str, rollahead: Command) -> None:
    _written(Path("runs/mine/config.yaml"), BROKEN[name])
    said = refusal(rollahead("eval", *SMALL, "episodes=1", "resume=true"), "eval")
    assert "runs/mine/config.yaml cannot be read" in said


@pytest.mark.parametrize("name", BROKEN)
def test_a_sweep_leaves_a_run_alone_whose_configuration_is_damaged(
    name: str, rollahead: Command, played: Played
) -> None:
    options = ("eval", "--multirun", *SMALL, "episodes=1", "resume=true")
    _written(Path("runs/mine/0/config.yaml"), BROKEN[name])
    ran = rollahead(*options, "strategy.s=8,9")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.count("runs/mine/0 is left alone") == 1
    assert [left(f"mine/{n}")[0][0]["strategy"]["s"] for n in (1, 2)] == [8, 9]


def test_a_note_of_what_was_read_that_is_damaged_is_one_sentence(rollahead: Command) -> None:
    assert rollahead("eval", *SMALL, "episodes=1").status == 0
    for text in ("{", "3", "[3]", ""):
        Path("runs/mine/inputs.json").write_text(text)
        assert "runs/mine/inputs.json cannot be read" in refusal(
            rollahead("eval", *SMALL, "episodes=1", "resume=true"), "eval"
        )


def test_without_resume_nothing_is_written_over_another_run(rollahead: Command) -> None:
    assert rollahead("eval", *SMALL, "episodes=1").status == 0
    assert "exists already" in refusal(rollahead("eval", *SMALL, "episodes=1"), "eval")


def test_a_sweep_goes_on_at_the_episode_at_which_it_was_ended(rollahead: Command, played: Played) -> None:
    options = ("eval", "--multirun", *SMALL, "episodes=2", "resume=true")
    played.until = (9, 1)
    assert rollahead(*options, "strategy.s=8,9,10").status == 2
    assert rollahead("report", "run=runs/mine").status == 0
    assert "1" in Path("runs/mine/report.html").read_text()
    played.until = None
    assert rollahead(*options, "strategy.s=8,9,10").status == 0
    assert played.seeds == [(s, seed) for s in (8, 9, 10) for seed in (0, 1)]
    assert [left(f"mine/{n}")[0][0]["strategy"]["s"] for n in range(3)] == [8, 9, 10]


def test_a_sweep_may_be_given_more_runs_in_any_order(rollahead: Command, played: Played) -> None:
    options = ("eval", "--multirun", *SMALL, "episodes=1", "resume=true")
    assert rollahead(*options, "strategy.s=8,9").status == 0
    ran = rollahead(*options, "strategy.s=10,9,8,11")
    assert ran.status == 0
    assert ran.out.count("was run already") == 2
    assert [s for s, _ in played.seeds] == [8, 9, 10, 11]
    assert [left(f"mine/{n}")[0][0]["strategy"]["s"] for n in range(4)] == [8, 9, 10, 11]
    assert "4 cells" in ran.out or Path("runs/mine/report.html").exists()


def test_a_new_run_of_a_sweep_comes_after_the_last_though_one_was_taken_out(rollahead: Command) -> None:
    options = ("eval", "--multirun", *SMALL, "episodes=1", "resume=true")
    assert rollahead(*options, "strategy.s=8,9,10").status == 0
    shutil.copytree("runs/mine", "runs/other")
    shutil.rmtree("runs/other/1")
    assert rollahead(*options[:-1], "name=other", "resume=true", "strategy.s=8,11").status == 0
    assert sorted(path.name for path in Path("runs/other").iterdir() if path.is_dir()) == ["0", "2", "3"]
    assert left("other/3")[0][0]["strategy"]["s"] == 11


def test_options_of_a_run_are_checked_before_it_is_begun(rollahead: Command) -> None:
    for wrong, words in (
        ("workers=0", "workers is 0; give at least 1 process"),
        ("traces=-1", "traces is -1; give 0 or more episodes, or null for all"),
        ("search.s=[99]", "s = 99"),
        ("search.s=4", "search.s is 4; give a list"),
        ("search.seconds=4", "seconds"),
    ):
        given = [option for option in SMALL if option.split("=")[0] != wrong.split("=")[0]]
        assert words in refusal(rollahead("eval", *given, wrong), "eval")
        assert not Path("runs").exists()


def test_the_study_is_a_sweep_that_a_word_names(rollahead: Command) -> None:
    few = ("task=mole", "planner=scripted", "latency=fixed,spikes", "latency.median=2,4", "strategy=sync,vlash")
    tiny = ("episodes=1", "search.episodes=1", "search.s=[4,8]", "workers=1", "name=study")
    ran = rollahead("eval", "--multirun", "+study=strategies", *few, *tiny)
    assert (ran.status, ran.err) == (0, "")
    cells = [left(f"study/{n}")[0][0] for n in range(8)]
    assert {(c["latency"]["name"], c["latency"]["median"], c["strategy"]["name"]) for c in cells} == {
        (latency, median, strategy)
        for latency in ("fixed", "spikes")
        for median in (2, 4)
        for strategy in ("sync", "vlash")
    }
    assert all(len(cell["search"]) == 2 for cell in cells)
