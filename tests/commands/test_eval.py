import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_module
from omegaconf import DictConfig, OmegaConf

from faulty import SEEN_BEFORE, UNMADE, registered
from rollahead.commands.app import console
from rollahead.commands.results import describe, table
from rollahead.commands.rig import guard_of
from rollahead.evaluation.evaluation import Cell, evaluate, summarise
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.latency import Recorded
from rollahead.sim.mole import WhackAMole
from rollahead.sim.task import make_task

from .conftest import Ran, refusal

Command = Callable[..., Ran]
SMALL = ("episodes=2", "workers=1", "name=mine")

INFEASIBLE = {
    "d over s": (["strategy.s=4", "latency.ticks=9"], ("H = 32", "s = 4", "d = 9", "d <= s", "raise s to d")),
    "s over H": (["strategy.s=33"], ("H = 32", "s = 33", "d = 8", "1 <= s <= H")),
    "a short H": (["planner.horizon=6", "strategy=sync"], ("H = 6", "s = 8")),
    "no H": (["planner.horizon=0"], ("planner.horizon is 0", "from 1 to 10000")),
    "no s": (["strategy=sync", "strategy.s=0"], ("s = 0",)),
    "late rows": (["strategy=naive", "latency.ticks=17"], ("H = 32", "s = 8", "d = 17", "d + max(s, d) <= H")),
    "an ensemble": (["strategy=ensemble", "strategy.s=30"], ("ensemble", "H = 32", "s = 30", "d = 8")),
    "a planned d": (["strategy.d=12"], ("d = 12", "s = 8")),
    "a negative d": (["strategy.d=-1"], ("-1",)),
    "a median": (["latency=lognormal", "latency.p50=10", "latency.p95=15"], ("s = 8", "d = 1")),
    "speed-up": (["strategy.q=5", "latency.ticks=2"], ("H = 6", "s = 8")),
    "no speed-up": (["strategy.q=0"], ("q is 0",)),
    "p95 under p50": (["latency=lognormal", "latency.p50=9"], ("p50 is 9", "p95 6")),
    "spikes": (["latency=spikes", "latency.low=3"], ("3", "20", "4", "0.05")),
    "a fraction": (["latency.bind_fraction=1.0"], ("bind_fraction is 1.0",)),
    "no median": (["latency.median=-1"], ("latency.median is -1",)),
    "a median of another kind": (["latency.median=soon"], ("latency.median is 'soon'", "a number or null")),
    "a median of nothing": (
        ["latency.ticks=0", "latency.median=4"],
        ("latency.median is 4", "median of the model is 0"),
    ),
    "no recording": (["latency=recorded", "latency.path=gone.txt"], ("no recording at gone.txt", "latency.path=")),
    "an overlap": (["strategy.trigger=overlap", "strategy.overlap=-1"], ("-1",)),
    "no episodes": (["episodes=0"], ("episodes is 0", "at least 1")),
    "a seed": (["seed=-1"], ("seed -1",)),
    "a window": (["task.window_s=-1"], ("window_s is -1",)),
    "a limit of nothing": (
        ["robot.limits={vz: {rate_limit: 1}}"],
        ("no dimension of the robot 'vz'", "Known: default, vx"),
    ),
    "no positive limit": (["robot.limits={vx: {accel_limit: -2}}"], ("'vx' has accel_limit -2", "a positive one")),
    "a limit of the range": (["robot.limits={vx: {low: 0}}"], ("no limit of vx 'low'", "rate_limit")),
    "limits of another kind": (["robot.limits=fast"], ("robot.limits is 'fast'", "names with their values")),
    "a real robot": (["robot=loopback"], ("robot=loopback is no simulated robot", "use robot=sim, or rollahead run")),
    "an option of the guard": (["guard.ramp=1"], ("no option 'guard.ramp'", "did you mean 'guard.ramp_s'")),
    "a ramp": (["guard.ramp_s=-1"], ("ramp takes -1 s",)),
    "a lag beyond the guard's": (["lag=3", "guard.stale_ticks=2"], ("lag is 3", "from 0 to 2", "guard.stale_ticks")),
}


def strict(path: Path) -> Any:
    """JSON as the standard has it: NaN and infinities, which Python would pass, are refused."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


@pytest.mark.parametrize("name", INFEASIBLE)
def test_what_does_not_go_together_is_refused_with_the_numbers_before_anything_is_made(
    name: str, rollahead: Command
) -> None:
    arguments, parts = INFEASIBLE[name]
    given = {argument.split("=")[0] for argument in arguments}
    message = refusal(rollahead("eval", *(a for a in SMALL if a.split("=")[0] not in given), *arguments), "eval")
    for part in parts:
        assert part in message
    assert not Path("runs").exists()


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A run of two episodes, seeds 7 and 8: the folder that it was run in, and what it printed."""
    folder = tmp_path_factory.mktemp("work")
    program = [Path(sys.executable).parent / "rollahead", "eval", *SMALL, "seed=7", "strategy.s=9"]
    ran = subprocess.run(program, cwd=folder, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return folder, ran.stdout


def read(mine: tuple[Path, str], name: str) -> Any:
    """The records of that name."""
    return pq.read_table(mine[0] / f"runs/mine/{name}.parquet")


def test_a_run_leaves_its_folder_and_nothing_else(mine: tuple[Path, str]) -> None:
    folder, printed = mine
    records = {"episodes.parquet", "ticks.parquet", "inferences.parquet"}
    assert {path.name for path in (folder / "runs/mine").iterdir()} >= {"config.yaml", "summary.json", *records}
    assert [path.name for path in folder.iterdir()] == ["runs"]
    assert [path.name for path in (folder / "runs").iterdir()] == ["mine"]
    assert "runs/mine" in printed
    assert "vlash" in printed
    assert "8 ticks" in printed


def test_the_configuration_of_a_run_is_left_whole_and_resolved(mine: tuple[Path, str]) -> None:
    config = OmegaConf.load(mine[0] / "runs/mine/config.yaml")
    assert isinstance(config, DictConfig)
    assert (config.name, config.seed, config.strategy.s, config.task.window_s) == ("mine", 7, 9, 0.9)
    assert "hydra" not in config


def test_the_summary_is_strict_json_with_figures_and_where_they_come_from(mine: tuple[Path, str]) -> None:
    summary = strict(mine[0] / "runs/mine/summary.json")
    assert summary["command"] == "eval"
    assert summary["seed"] == 7
    assert {"rollahead", "numpy", "mujoco", "python"} <= set(summary["versions"])
    assert "cores" in summary["machine"]
    assert len(summary["date"]) == len("2026-01-31")
    (cell,) = summary["cells"]
    assert (cell["task"]["name"], cell["strategy"]["name"], cell["strategy"]["s"]) == ("mole", "vlash", 9)
    assert (cell["latency"], cell["rate_hz"]) == (
        {"name": "fixed", "ticks": 8, "bind_fraction": 0.0, "median": None},
        50.0,
    )


def test_the_figures_are_those_of_the_same_cell_run_from_python(mine: tuple[Path, str]) -> None:
    (told,) = strict(mine[0] / "runs/mine/summary.json")["cells"]
    cell = Cell({"name": "mole"}, StrategyConfig("vlash", s=9), {"name": "fixed", "ticks": 8}, episodes=2, seed=7)
    assert told["figures"] == summarise(evaluate(cell))


def test_records_have_a_column_per_dimension_and_name_cell_and_episode(mine: tuple[Path, str]) -> None:
    ticks = read(mine, "ticks")
    spec = make_task("mole").spec
    dims = [f"{part}.{dim.name}" for part in ("action", "state", "environment") for dim in getattr(spec, part)]
    fields = ("cell", "episode", "tick", "epoch", "status", "guard", "chunk", "row", "age", "state_age", "request")
    fields += ("began_ns", "sent_ns")
    assert ticks.column_names == [*fields, *dims]
    assert set(ticks["episode"].to_pylist()) == {7, 8}
    assert set(ticks["cell"].to_pylist()) == {0}
    first = ticks.filter(ticks["episode"].to_numpy() == 7)
    assert first["tick"].to_pylist() == list(range(len(first)))
    task = WhackAMole()
    task.reset(7)
    assert [first[f"state.{name}"][0].as_py() for name in ("x", "y")] == task.state()[:2].tolist()


def test_records_of_inferences_and_episodes_agree_with_the_ticks(mine: tuple[Path, str]) -> None:
    episodes = read(mine, "episodes").to_pylist()
    assert list(episodes[0]) == ["cell", "episode", "success", "event_tick", "time_s", "reaction_s", "lost"]
    ticks = read(mine, "ticks")["episode"].to_pylist()
    for episode in episodes:
        after = ticks.count(episode["episode"]) - episode["event_tick"]
        assert episode["time_s"] == pytest.approx(after / 50)
    inferences = read(mine, "inferences").to_pylist()
    assert {row["delay"] for row in inferences} == {row["delay_planned"] for row in inferences} == {8}
    assert {row["outcome"] for row in inferences} == {"placed"}
    assert all(row["origin"] == row["start"] == row["request"] + 8 for row in inferences)


def test_the_inferences_of_a_run_may_be_played_back_as_latencies(mine: tuple[Path, str]) -> None:
    played = Recorded.from_file(mine[0] / "runs/mine/inferences.parquet", rate_hz=50.0)
    assert {played.sample(0, n).done for n in range(20)} == {8}


def test_what_never_happened_is_null_and_the_table_says_so(rollahead: Command) -> None:
    ran = rollahead("eval", *SMALL, "strategy=sync", "latency.ticks=400")
    figures = strict(Path("runs/mine/summary.json"))["cells"][0]["figures"]
    assert figures["success"] == 0
    assert figures["idle"] == 100
    assert figures["time_s"] is None
    assert figures["age_ticks"] == {"p50": None, "p95": None, "max": None}
    assert figures["reaction_s"] == {"p50": None, "p95": None, "max": None}
    assert "never/never" in ran.out


def test_what_of_a_search_is_not_made_is_said_and_left(rollahead: Command) -> None:
    quick = ("episodes=1", "search.episodes=1", "workers=1", "reactions=false", "traces=0")
    ran = rollahead("eval", *quick, "name=some", "search.s=[4,8,60,9]", "search.decay=[0.5]")
    assert ran.out.count("not tried: ") == 2
    assert "s = 4, d = 8" in ran.out
    assert "search.decay is of an ensemble's weights, and vlash has none: it is searched without" in ran.out
    assert "nothing is searched" not in ran.out
    (cell,) = strict(Path("runs/some/summary.json"))["cells"]
    assert [row["s"] for row in cell["search"]] == [8, 9]
    assert [row["s"] for row in cell["search_refused"]] == [4, 60]
    assert "s = 60" in cell["search_refused"][1]["why"]


def test_where_a_search_has_one_left_it_is_taken_and_said(rollahead: Command) -> None:
    ran = rollahead("eval", "episodes=1", "workers=1", "reactions=false", "traces=0", "name=one", "search.s=[4,9]")
    assert "so nothing is searched: s = 9 is what is left" in ran.out
    (cell,) = strict(Path("runs/one/summary.json"))["cells"]
    assert (cell["strategy"]["s"], "search" in cell) == (9, False)
    assert [row["s"] for row in cell["search_refused"]] == [4]


LIMITS = "robot.limits={default: {rate_limit: 1.5, accel_limit: 12}}"
LIMITED = ("task.mode=absolute", LIMITS, *SMALL, "reactions=false", "strategy=naive")


def test_limits_are_kept_and_told_with_guard_hits_and_jumps(rollahead: Command) -> None:
    ran = rollahead("eval", *LIMITED)
    assert (ran.status, ran.err) == (0, "")
    assert "guard" in ran.out
    (cell,) = strict(Path("runs/mine/summary.json"))["cells"]
    assert cell["limits"] == {"default": {"rate_limit": 1.5, "accel_limit": 12}}
    assert cell["guard"] == {}
    figures = cell["figures"]
    assert figures["guard_hits"] > 10
    assert 0 < figures["switch_step"] <= figures["switch_step_max"] <= math.hypot(1.5, 1.5) / 50 + 1e-9
    assert figures["action_unit"] == "m"
    targets = pq.read_table("runs/mine/ticks.parquet").to_pydict()
    steps = np.abs(np.diff([targets["action.x"], targets["action.y"]]))
    same = np.diff(targets["episode"]) == 0
    assert 0 < steps[:, same].max() <= 1.5 / 50 + 1e-9
    assert "guard hits" in Path("runs/mine/report.html").read_text()


def test_settings_of_the_guard_are_those_of_run_and_no_ramp_is_the_default(rollahead: Command) -> None:
    assert rollahead("eval", *LIMITED, "guard.enabled=false").status == 0
    (cell,) = strict(Path("runs/mine/summary.json"))["cells"]
    assert cell["guard"] == {"enabled": False}
    figures = cell["figures"]
    assert figures["guard_hits"] == 0
    assert figures["switch_step_max"] > 0.1
    with initialize_config_module("rollahead.configs", version_base="1.3"):
        ours, theirs = compose("eval"), compose("run")
    assert ours.guard == theirs.guard
    assert (guard_of(ours, simulated=True).ramp_s, guard_of(ours, simulated=False).ramp_s) == (0.0, 1.0)


def test_a_search_on_the_seeds_of_the_result_is_refused(rollahead: Command) -> None:
    said = refusal(rollahead("eval", *SMALL, "seed=1000000", "search.s=[8,9]"), "eval")
    assert "seed is 1000000 and episodes 2" in said
    assert not Path("runs").exists()


def test_no_figure_is_cut_off_where_the_output_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    latency = {"name": "spikes", "ticks": 4, "probability": 0.05, "low": 15, "high": 20, "bind_fraction": 0.0}
    never = {"p50": 0.25, "p95": math.inf}
    figures = {"success": 97.0, "success_ci": [93.0, 99.0], "time_s": 0.71, "reaction_s": never, "idle": 12.0}
    figures |= {"guard_hits": 33.0, "switch_step": None, "switch_step_max": None, "action_unit": "m"}
    cell = Cell({"name": "mole"}, StrategyConfig("naive_arrival", s=16), latency)
    monkeypatch.delenv("COLUMNS", raising=False)
    console().print(table([describe(cell, figures | {"age_ticks": {"p50": 11.0}})]))
    printed = capsys.readouterr().out
    for words in ("naive_arrival", "spikes", "16", "97 (93..99)", "0.71", "0.25/never", "11", "12", "33"):
        assert words in printed
    assert "…" not in printed


# --- a task with a fault ---


@pytest.mark.parametrize("fault", ["wide state", "out of range", "no seed", "late event"])
def test_a_task_with_a_fault_is_one_sentence_and_leaves_no_folder(
    fault: str, rollahead: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(registered(tmp_path_factory.mktemp("site"), rail=SEEN_BEFORE[fault][0]))
    said = refusal(rollahead("eval", "task=rail", "episodes=2", "workers=1"), "eval")
    assert said.startswith("task 'rail': ") and SEEN_BEFORE[fault][2] in said
    assert not Path("runs").exists()


@pytest.mark.parametrize("fault", UNMADE)
def test_a_task_that_cannot_be_made_is_one_sentence_and_leaves_no_folder(
    fault: str, rollahead: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, words = UNMADE[fault]
    monkeypatch.syspath_prepend(registered(tmp_path_factory.mktemp("site"), rail=make))
    assert refusal(rollahead("eval", "task=rail", "episodes=2", "workers=1"), "eval").startswith(words)
    assert not Path("runs").exists()


CAR = (
    "task=gym",
    "task.id=MountainCarContinuous-v0",
    "task.rate_hz=30",
    "task.state={position: 0, velocity: 1}",
    "task.action={push: {kind: delta, drives: velocity, scale: 0.0015}}",
    "task.max_ticks=40",
)


def test_an_environment_of_gymnasium_is_evaluated_without_reactions_and_says_so(rollahead: Command) -> None:
    ran = rollahead("eval", *CAR, "planner=sine", *SMALL)
    assert (ran.status, ran.err) == (0, "")
    assert "no reaction latency is measured: the task has no event (event_tick, docs/tasks.md)" in ran.out
    (cell,) = strict(Path("runs/mine/summary.json"))["cells"]
    assert cell["figures"]["reaction_s"] is None
    assert cell["figures"]["success_ci"][0] == 0.0
    assert pq.read_table("runs/mine/episodes.parquet")["event_tick"].to_pylist() == [None, None]
    page = Path("runs/mine/report.html").read_text()
    assert "in ticks from the start" in page and "knows of the stimulus" not in page


def test_a_planner_that_needs_an_expert_is_refused_for_a_task_without_one(rollahead: Command) -> None:
    said = refusal(rollahead("eval", *CAR, *SMALL), "eval")
    assert (
        "planner=scripted needs an expert, and the task has none (GymTask); use planner=policy or planner=sine" in said
    )


def test_an_environment_without_its_names_is_refused_with_the_options_that_must_be_given(rollahead: Command) -> None:
    assert "task.id and task.state must be given" in refusal(rollahead("eval", "task=gym", *SMALL), "eval")


def test_a_task_may_be_a_file_of_ones_own_and_an_option_that_is_not_in_it_is_refused(rollahead: Command) -> None:
    (folder := Path("conf/task")).mkdir(parents=True)
    (folder / "slow.yaml").write_text("name: mole\nwindow_s: 2.0\n")
    mine = ("--config-dir=conf", "task=slow", *SMALL, "reactions=false")
    assert rollahead("eval", *mine).status == 0
    said = refusal(rollahead("eval", *mine, "task.noise=0", "name=other"), "eval")
    assert said == "Could not override 'task.noise'; to append to your config use +task.noise=0"
    assert rollahead("eval", *mine, "+task.noise=0", "name=third").status == 0
