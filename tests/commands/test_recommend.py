"""`rollahead recommend` with a latency, or with a planner to measure."""

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rollahead.policies.checkpoints.shipped import find
from rollahead.runtime.analysis.forecast import forecast
from rollahead.runtime.analysis.recommend import walked
from rollahead.runtime.config.build import StrategyConfig, make_latency

from .conftest import Ran, refusal

Command = Callable[..., Ran]
HEAVY = ["latency=spikes", "latency.ticks=6", "latency.probability=0.2", "latency.low=10", "latency.high=14"]


def summary_of(name: str = "mine") -> Any:
    return json.loads(Path("runs", name, "summary.json").read_text())


def shown(name: str) -> Any:
    return next(one for one in summary_of()["shown"] if one["name"] == name)


def test_a_latency_is_answered_with_a_schedule_and_the_command_that_uses_it(rollahead: Command) -> None:
    ran = rollahead("recommend", *HEAVY, "name=mine", "episodes=0")
    assert (ran.status, ran.err) == (0, "")
    assert "take 6 ticks of 20 ms at the median, 13 at the p95, 14 at most; chunks have 32 rows" in ran.out
    assert "use vlash, s = 6, d = 6, q = 1: actions move the robot from where it is" in ran.out
    assert "the largest speed-up that its chunks would bear is q = 1" in ran.out
    assert "to use it: rollahead run strategy=vlash strategy.s=6 strategy.d=6\n" in ran.out
    assert " % of the plans will be late: see what strategy.late=moved makes of them" in ran.out
    assert "this is the forecast alone: no episode was played" in ran.out
    estimated = "strategy.s=6 strategy.d=null strategy.quantile=0.4\n"
    assert f"where the latency drifts over some 50 inferences or more, with d estimated: {estimated}" in ran.out
    assert "success %" in ran.out
    assert (ran.out.count(" predicted "), ran.out.count(" lockstep ")) == (5, 4)
    assert max(map(len, ran.out.splitlines()[5:18])) <= 120
    assert {path.name for path in Path("runs/mine").iterdir()} == {"config.yaml", "summary.json"}


@pytest.mark.slow
def test_episodes_of_a_recommendation_keep_the_limits_of_the_robot(rollahead: Command) -> None:
    given = ("latency=fixed", "episodes=1", "workers=1", "task.mode=absolute")
    said = refusal(rollahead("recommend", *given, "robot.limits={vz: {rate_limit: 1}}"), "recommend")
    assert "there is no dimension of the robot 'vz'; Known: default, x, y" in said
    hits = {}
    for name, limits in (("free", "null"), ("kept", "{default: {rate_limit: 0.5}}")):
        assert rollahead("recommend", *given, f"robot.limits={limits}", f"name={name}").status == 0
        hits[name] = [one["episodes"]["guard_hits"] for one in summary_of(name)["shown"]]
    assert max(hits["free"]) == 0 < min(hits["kept"])


def test_what_was_predicted_stands_beside_what_lockstep_did_with_other_latencies(rollahead: Command) -> None:
    assert rollahead("recommend", *HEAVY, "name=mine", "episodes=0").status == 0
    summary = summary_of()
    assert (summary["command"], summary["seed"], summary["rate_hz"], summary["horizon"]) == ("recommend", 0, 50.0, 32)
    assert summary["latency"]["ticks"] == {"p50": 6, "p95": 13, "p99": 14, "p100": 14}
    assert [one["name"] for one in summary["shown"]] == [
        "recommended",
        "d at the p95",
        "d estimated",
        "late plans moved",
        "sync",
    ]
    latency = make_latency("spikes", 50.0, ticks=6, probability=0.2, low=10, high=14)
    schedule = StrategyConfig("vlash", s=6, d=6)
    made = forecast(schedule, 32, latency, ticks=walked(schedule, 6))
    assert shown("recommended")["predicted"] == asdict(made)
    for one in summary["shown"]:
        assert one["episodes"] is None
        if one["name"] == "late plans moved":
            assert one["measured"] is None  # lockstep knows of no moves
            continue
        assert one["measured"] != one["predicted"]
        assert one["measured"]["underruns"] == pytest.approx(one["predicted"]["underruns"], abs=0.02)
        assert one["measured"]["reaction_p50"] == pytest.approx(one["predicted"]["reaction_p50"], abs=1.0)
    assert len(summary["candidates"]) > 50
    assert {"machine", "versions", "date"} <= set(summary)


def test_a_task_plays_the_shortlist_and_its_episodes_advise_and_the_forecast_is_quoted(rollahead: Command) -> None:
    latency = ["latency=spikes", "latency.ticks=3", "latency.probability=0.5", "latency.low=11", "latency.high=11"]
    ran = rollahead("recommend", *latency, "name=mine", "episodes=12", "workers=1")
    assert (ran.status, ran.err) == (0, "")
    summary = summary_of()
    played = {one["name"]: one for one in summary["shown"]}
    assert {"recommended", "as forecast", "naive", "sync"} <= set(played)
    assert {one["episodes"]["episodes"] for one in played.values()} == {12}
    assert summary["chosen"] == played["recommended"]["strategy"]
    assert summary["chosen"]["late"] == "moved"
    assert (summary["forecast"]["s"], summary["forecast"]["d"], summary["forecast"]["late"]) == (11, 11, "tick")
    success = {name: one["episodes"]["success"] for name, one in played.items()}
    assert success["recommended"] > success["naive"]
    best = summary["chosen"]
    said = f"use vlash, s = {best['s']}, d = {best['d']}, late = moved, q = 1: of {len(summary['screened'])} schedules"
    assert f"{said} that were played it came out first" in ran.out
    assert f"of which it solves {success['recommended']:.0f} %, none beats it beyond chance" in ran.out
    forecast = f"the forecast had said vlash, s = 11, d = 11, which solves {success['as forecast']:.0f} % of the same"
    assert f"{forecast} episodes: actions move the robot from where it is" in ran.out
    used = f"strategy.s={best['s']} strategy.d={best['d']} strategy.late=moved"
    assert f"to use it: rollahead run strategy=vlash {used}\n" in ran.out
    assert "with d estimated" not in ran.out
    assert ran.out.count(" episodes   ") == len(summary["shown"])


@pytest.mark.slow
def test_what_the_forecast_advises_and_its_own_episodes_show_losing_is_not_advised(rollahead: Command) -> None:
    ran = rollahead(
        "recommend", "task=belt", "latency=fixed", "latency.ticks=8", "name=mine", "episodes=16", "workers=1"
    )
    assert (ran.status, ran.err) == (0, "")
    played = {one["name"]: one["episodes"]["success"] for one in summary_of()["shown"]}
    assert summary_of()["forecast"]["name"] == "vlash"  # rolls the robot on, and not the belt
    assert played["recommended"] == max(played.values())
    assert played["as forecast"] < played["recommended"] - 25


@pytest.mark.slow
def test_the_same_schedule_is_advised_again_and_with_more_processes(rollahead: Command) -> None:
    for name, workers in (("one", 1), ("two", 2)):
        ran = rollahead("recommend", "latency=throttled", f"name={name}", "episodes=4", f"workers={workers}")
        assert (ran.status, ran.err) == (0, "")
    assert summary_of("one")["shown"] == summary_of("two")["shown"]
    assert summary_of("one")["screened"] == summary_of("two")["screened"]


def test_without_a_task_or_with_no_episodes_the_forecasts_advice_stands_and_says_so(rollahead: Command) -> None:
    latency = ["latency=throttled", "latency.ticks=[4, 8]"]
    for arguments in (["robot=loopback", "robot.rate_hz=50"], ["episodes=0"]):
        ran = rollahead("recommend", *latency, *arguments, "name=mine")
        assert (ran.status, ran.err) == (0, "")
        assert "this is the forecast alone: no episode was played" in ran.out
        assert summary_of()["chosen"] == summary_of()["forecast"]
        assert summary_of()["screened"] == []
        shutil.rmtree("runs")


def test_a_robot_without_a_task_has_its_rate_and_no_episodes(rollahead: Command) -> None:
    arguments = ["robot=loopback", "robot.rate_hz=20", "latency=uniform", "latency.low=2", "latency.high=5"]
    ran = rollahead("recommend", *arguments, "name=mine", "horizon=16")
    assert (ran.status, ran.err) == (0, "")
    assert "of 50 ms at the median" in ran.out
    assert "use naive, s = 3, d = 3, q = 1: actions are absolute targets" in ran.out
    planner = "planner=policy planner.checkpoint=CHECKPOINT"
    assert f"run strategy=naive strategy.s=3 strategy.d=3 robot=loopback robot.rate_hz=20 {planner}\n" in ran.out
    assert shown("recommended")["episodes"] is None


USED: dict[str, list[str]] = {
    "a robot": ["robot=loopback", "robot.rate_hz=20", "seed=2"],
    "rows": ["horizon=20", "speed=2", "inferences=3", "task.mode=velocity"],
    "no planner": ["planner=null", "roller=robot"],
    "a name with a space": ["planner=policy", "planner.checkpoint=my policy"],
}


@pytest.mark.parametrize("name", USED)
def test_the_command_that_uses_it_is_taken_by_a_shell_and_by_run(name: str, rollahead: Command) -> None:
    shutil.copytree(find("mole_flow"), "my policy")
    ran = rollahead("recommend", "latency=fixed", "latency.ticks=4", *USED[name], "episodes=0")
    assert (ran.status, ran.err) == (0, "")
    (line,) = [line for line in ran.out.splitlines() if line.startswith("to use it: rollahead run")]
    words = shlex.split(line.removeprefix("to use it: rollahead run"))
    assert ("planner.horizon=20" in words) == (name == "rows")
    composed = rollahead("run", "--cfg", "job", *words)
    assert (composed.status, composed.err) == (0, "")


@pytest.mark.slow
def test_a_planner_is_measured_and_what_it_took_is_kept_and_replayed(rollahead: Command) -> None:
    ran = rollahead("recommend", "planner=scripted", "planner.horizon=24", "inferences=30", "episodes=2", "name=mine")
    assert (ran.status, ran.err) == (0, "")
    assert "inferences (30 measured) take 1 ticks of 20 ms" in ran.out
    assert "chunks have 24 rows" in ran.out
    assert "the forecast had said " in ran.out
    assert " planner=scripted planner.horizon=24\n" in ran.out
    seconds = np.loadtxt("runs/mine/latencies.txt")
    assert seconds.tolist() == pytest.approx(summary_of()["latency"]["measured_s"], abs=1e-6)
    assert len(seconds) == 30
    assert summary_of()["latency"]["source"] == {"name": "recorded", "path": "runs/mine/latencies.txt"}
    assert shown("recommended")["episodes"]["success"] == 100.0


def test_with_both_the_latency_is_what_was_given_and_the_horizon_the_planners(rollahead: Command) -> None:
    planner = ["planner=scripted", "planner.horizon=20"]
    ran = rollahead("recommend", *planner, "latency=fixed", "latency.ticks=4", "name=mine", "episodes=0")
    assert (ran.status, ran.err) == (0, "")
    assert "(4 ticks) take 4 ticks" in ran.out
    assert "chunks have 20 rows" in ran.out
    assert summary_of()["latency"]["measured_s"] == []


def test_a_recorded_run_gives_its_latencies(rollahead: Command) -> None:
    Path("old.txt").write_text("0.1\n0.1\n0.1\n0.3\n")
    ran = rollahead("recommend", "latency=recorded", "latency.path=old.txt", "name=mine", "episodes=0")
    assert (ran.status, ran.err) == (0, "")
    assert "use vlash, s = 5, d = 5" in ran.out


def test_a_run_gives_its_latencies_and_the_rows_of_its_chunks_unless_others_are_given(rollahead: Command) -> None:
    played = ("planner.horizon=24", "latency.ticks=5", "episodes=1", "reactions=false", "workers=1", "name=old")
    assert rollahead("eval", *played).status == 0
    recommended = ("recommend", "latency=recorded", "episodes=0")
    for path in ("runs/old", "runs/old/inferences.parquet"):
        ran = rollahead(*recommended, f"latency.path={path}")
        assert (ran.status, ran.err) == (0, "")
        assert "take 5 ticks of 20 ms at the median, 5 at the p95, 5 at most; chunks have 24 rows" in ran.out
        assert " planner.horizon=24\n" in ran.out
    assert "chunks have 20 rows" in rollahead(*recommended, "latency.path=runs/old", "horizon=20").out


def test_the_recording_that_comes_with_it_is_answered_though_chunks_are_too_short_to_follow_it(
    rollahead: Command,
) -> None:
    ran = rollahead("recommend", "latency=diffusion", "name=mine", "episodes=0")
    assert (ran.status, ran.err) == (0, "")
    assert "use vlash, s = 32, d = 32" in ran.out
    assert "with d estimated" not in ran.out
    assert "d estimated" not in [one["name"] for one in summary_of()["shown"]]


@pytest.mark.parametrize(("roller", "said"), [("robot", 1), ("scene", 0)])
def test_a_scene_that_moves_on_its_own_is_spoken_of_unless_it_is_rolled_too(
    roller: str, said: int, rollahead: Command
) -> None:
    ran = rollahead("recommend", "task=belt", f"roller={roller}", "latency=fixed", "episodes=0")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.count("use roller=scene, or a policy that was trained with offsets") == said


@pytest.mark.parametrize(("roller", "said"), [("robot", 1), ("attached", 0)])
def test_what_a_gripper_may_hold_is_spoken_of_unless_it_is_rolled_too(
    roller: str, said: int, rollahead: Command
) -> None:
    ran = rollahead("recommend", "task=pick", f"roller={roller}", "latency=fixed", "episodes=0")
    assert (ran.status, ran.err) == (0, "")
    assert "use vlash" in ran.out
    assert ran.out.count("what it holds is seen where it was") == said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "words"), [("belt", "use roller=scene, or a policy"), ("pick", "what it holds is seen where it was")]
)
def test_what_was_left_behind_is_spoken_of_also_where_the_episodes_decide_against_vlash(
    task: str, words: str, rollahead: Command
) -> None:
    ran = rollahead("recommend", f"task={task}", "latency=fixed", "latency.ticks=8", "episodes=8")
    assert (ran.status, ran.err) == (0, "")
    assert "use vlash" not in ran.out
    assert ran.out.count(words) == 1


def test_advice_that_solves_next_to_nothing_is_said_to_be_none(rollahead: Command) -> None:
    ran = rollahead("recommend", "latency=fixed", "latency.ticks=100", "horizon=120", "episodes=4")
    assert (ran.status, ran.err) == (0, "")
    assert "that is next to nothing: make inferences faster" in ran.out


@pytest.mark.parametrize(("ticks", "said"), [(8, 0), (16, 1)])
def test_it_is_not_of_a_policy_that_was_trained_with_offsets_as_large_as_the_delay(
    ticks: int, said: int, rollahead: Command
) -> None:
    latency = ["latency=fixed", f"latency.ticks={ticks}"]
    ran = rollahead("recommend", "task=belt", "planner=flow", *latency, "episodes=0")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.count(f"a policy that was trained with offsets of {ticks} or more") == said


def test_a_speed_is_a_q_and_stands_in_the_command(rollahead: Command) -> None:
    ran = rollahead("recommend", "latency=fixed", "latency.ticks=4", "speed=2", "episodes=0")
    assert (ran.status, ran.err) == (0, "")
    assert "use vlash, s = 4, d = 4, q = 2" in ran.out
    assert "rollahead run strategy=vlash strategy.s=4 strategy.d=4 strategy.q=2\n" in ran.out


def test_what_takes_longer_than_a_chunk_is_waited_for_and_why_is_said(rollahead: Command) -> None:
    ran = rollahead("recommend", "latency=fixed", "latency.ticks=40", "episodes=0")
    assert (ran.status, ran.err) == (0, "")
    assert "use sync, s = 32, q = 1: 56 % of the ticks are without an action" in ran.out
    assert "to use it: rollahead run strategy=sync strategy.s=32\n" in ran.out
    assert "no schedule has less than 1 %: chunks last 32 ticks" in ran.out


REFUSED: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "no such latency": (["latency=fixd"], ("'fixd'", "'fixed'")),
    "no latency at all": (["latency=none"], ("latency=none", "rollahead run alone", "planner=...")),
    "no recording": (["latency=recorded", "latency.path=gone.txt"], ("no recording at gone.txt",)),
    "no schedule": (["latency=scheduled"], ("latency.at_s and latency.ticks must be given",)),
    "a time too many": (["latency=throttled", "latency.at_s=[0,1,2]"], ("at_s has 3 times", "2 latencies")),
    "no way to replay": (["latency=diffusion", "latency.replay=tme"], ("'tme'", "'time'")),
    "no path": (["latency=recorded"], ("latency.path must be given",)),
    "an option of the latency": (["latency=fixed", "latency.tick=3"], ("'latency.tick'", "'latency.ticks'")),
    "another option": (["latency=fixed", "latency.ticks=3", "episode=3"], ("'episode'", "'episodes'")),
    "no speed": (["latency=fixed", "speed=0.5"], ("speed is 0.5", "at least 1")),
    "half a speed": (["latency=fixed", "speed=1.5"], ("speed is 1.5", "whole number")),
    "chunks too short": (["latency=fixed", "horizon=3", "speed=4"], ("3 rows is too short", "speed=4")),
    "no rows": (["latency=fixed", "horizon=0"], ("horizon is 0",)),
    "rows without end": (["latency=fixed", "horizon=100000"], ("lasts 100000 ticks", "a horizon of at most 1000")),
    "a latency without end": (["latency=fixed", "latency.ticks=100000"], ("take 100000 ticks", "at most 1000")),
    "nothing to measure": (["planner=scripted", "inferences=0"], ("inferences 0",)),
    "a real robot's planner": (["robot=loopback", "planner=sine"], ("robot is real", "latency=recorded")),
    "another task's planner": (["planner=policy", "planner.checkpoint=mole_flo"], ("'mole_flo'", "mole_flow")),
    "a planner without a checkpoint": (["planner=policy"], ("planner.checkpoint must be given",)),
    "a record of lags": (["latency=fixed", "run=runs/old"], ("run is an option of rollahead identify",)),
    "nothing": ([], ("there is no latency to recommend a strategy for", "planner=...")),
    "no joints": (["robot=loopback", "robot.joints=0", "latency=fixed"], ("joints is 0",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence_and_leaves_nothing(name: str, rollahead: Command) -> None:
    arguments, parts = REFUSED[name]
    message = refusal(rollahead("recommend", *arguments), "recommend")
    for part in parts:
        assert part in message
    assert not Path("runs").exists()


@pytest.mark.parametrize("text", ["", "0.1\nslow\n"])
def test_a_recording_that_holds_no_latencies_is_refused(text: str, rollahead: Command) -> None:
    Path("old.txt").write_text(text)
    message = refusal(rollahead("recommend", "latency=recorded", "latency.path=old.txt"), "recommend")
    assert "empty" in message or "holds no latencies" in message
    assert not Path("runs").exists()
