"""`rollahead run`, on simulated robots and on one that is where it was told to be."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hydra import compose, initialize_config_module

from rollahead.assembly.sine import Sine
from rollahead.commands.view import lines
from rollahead.errors import ConfigError, RobotError
from rollahead.runtime.control.corrector import Head, HeadCard
from rollahead.runtime.control.trace import TickStatus
from rollahead.runtime.recording.gauges import Gauges
from rollahead.runtime.recording.records import read_parquet
from rollahead.runtime.recording.run_folder import RunFolder
from rollahead.runtime.types.robot import Frame
from rollahead.runtime.types.spec import Camera

from .conftest import Ran, refusal

Command = Callable[..., Ran]
PROGRAM = Path(sys.executable).parent / "rollahead"
ARM = ("robot=loopback", "planner=sine", "name=mine")
CAR = (
    "task=gym",
    "task.id=MountainCarContinuous-v0",
    "task.rate_hz=30",
    "task.state={position: 0, velocity: 1}",
    "task.action={push: {kind: delta, drives: velocity, scale: 0.0015}}",
    "task.max_ticks=15",
    "planner=sine",
)

REFUSED = {
    "no planner for it": (["robot=loopback"], ("planner=scripted", "there is no task", "planner=sine")),
    "no such robot": (["robot=lopback"], ("no robot 'lopback'", "did you mean 'loopback'")),
    "no time": (["seconds=0"], ("seconds 0", "a positive time or null")),
    "no episodes": (["episodes=0"], ("episodes is 0",)),
    "an isolation": (["isolation=proces"], ("no isolation 'proces'", "did you mean 'process'")),
    "an option of the guard": (["guard.ramp=1"], ("no option 'guard.ramp'", "did you mean 'guard.ramp_s'")),
    "a priority": (["tuning.fifo=100"], ("priority fifo is 100", "from 1 to 99")),
    "endless": (["seconds=inf"], ("seconds is inf", "a finite number")),
    "one core": ([*ARM, "tuning.cores=3"], ("tuning.cores is 3", "a list")),
    "cores of no number": ([*ARM, "tuning.cores=[a]"], ("tuning.cores[0] is 'a'", "a whole number")),
    "no robots of a pair": (["robot=pair", "planner=sine", "robot.robots=3"], ("robot.robots is 3", "names with")),
    "a list of a pair": (["robot=pair", "planner=sine", "robot.robots=[1]"], ("robot.robots is [1]",)),
    "a robot of a pair": (
        ["robot=pair", "planner=sine", "robot.robots={a: {name: loopback, 3: 4}}"],
        ("a name in robot.robots.a is 3", "a text"),
    ),
    "a number for LeRobot": (["robot=lerobot", "robot.type=a", "robot.config=3"], ("robot.config is 3", "or null")),
    "a list for LeRobot": (["robot=lerobot", "robot.type=a", "robot.config=[1]"], ("robot.config is [1]", "or null")),
    "substeps": (["substeps=0"], ("substeps is 0",)),
    "a shape": (["shape=cubicle"], ("cubicle", "cubic")),
    "a delay that it cannot bear": (["latency=fixed", "latency.ticks=12"], ("s = 8", "d = 12", "d <= s")),
    "a limit of nothing": (["robot.limits={vz: {rate_limit: 1}}"], ("no dimension of the robot 'vz'", "default, vx")),
    "no positive limit": (["robot.limits={vx: {rate_limit: 0}}"], ("'vx' has rate_limit 0", "a positive one")),
    "lags of nothing": (["roller=identified", "roller.path=gone.json"], ("gone.json",)),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_in_one_sentence(name: str, rollahead: Command) -> None:
    arguments, words = REFUSED[name]
    sentence = refusal(rollahead("run", *arguments), "run")
    for word in words:
        assert word in sentence


def test_options_of_lerobots_own_and_limits_of_any_name_can_be_given() -> None:
    given = [
        "robot=lerobot",
        "robot.type=gantry",
        "robot.config={port: x}",
        "robot.limits={default: {low: -1}, a.pos: {}}",
    ]
    with initialize_config_module("rollahead.configs", version_base="1.3"):
        robot = compose("run", overrides=given).robot
    assert robot.config == {"port": "x"}
    assert robot.limits == {"default": {"low": -1}, "a.pos": {}}


def summary(name: str = "mine") -> Any:
    return json.loads((Path("runs") / name / "summary.json").read_text())


def test_a_simulated_robot_plays_its_episodes_and_leaves_what_lockstep_leaves(rollahead: Command) -> None:
    ran = rollahead("run", "latency=fixed", "latency.ticks=4", "episodes=2", "name=mine")
    assert (ran.status, ran.err) == (0, "")
    for words in ("sim · vlash, s = 8 · thread", "Hz of 50 Hz", "planned 4", "vlash", "report: runs/mine"):
        assert words in ran.out
    left = {path.name for path in Path("runs/mine").iterdir()}
    assert left == {
        "config.yaml",
        "summary.json",
        "episodes.parquet",
        "ticks.parquet",
        "inferences.parquet",
        "report.html",
    }
    found = summary()
    assert found["cells"][0]["figures"]["episodes"] == 2
    assert found["realtime"][0]["gauges"]["delay_planned"] == 4
    assert "switch_interval" in found["tuned"]
    assert "In real time" in Path("runs/mine/report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["naive", "ensemble"])
def test_rows_that_are_late_by_design_are_no_fault_of_a_chunk(strategy: str, rollahead: Command) -> None:
    given = ("latency=fixed", "latency.ticks=4", f"strategy={strategy}", "task.mode=absolute", "episodes=1")
    ran = rollahead("run", *given, "name=mine")
    assert (ran.status, ran.err) == (0, "")
    counted = next(line for line in ran.out.splitlines() if line.strip().startswith("chunks"))
    assert "placed 0" not in counted
    assert "late 0" in counted
    assert "rows lost 0" in counted


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_limits_of_a_simulated_robot_are_kept_in_real_time(isolation: str, rollahead: Command) -> None:
    given = ("latency=fixed", "latency.ticks=8", "strategy=naive", "task.mode=absolute", f"isolation={isolation}")
    ran = rollahead("run", *given, "robot.limits={default: {rate_limit: 0.5}}", "episodes=1", "name=mine")
    assert (ran.status, ran.err) == (0, "")
    (cell,) = summary()["cells"]
    assert cell["limits"] == {"default": {"rate_limit": 0.5}}
    assert cell["figures"]["guard_hits"] > 10
    ticks = pq.read_table("runs/mine/ticks.parquet").to_pydict()
    assert 0 < np.abs(np.diff([ticks["action.x"], ticks["action.y"]])).max() <= 0.01 + 1e-9


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_robot_is_driven_for_the_time_it_is_told_and_every_tick_is_on_disk(
    isolation: str, rollahead: Command
) -> None:
    ran = rollahead("run", *ARM, "seconds=1", f"isolation={isolation}")
    assert (ran.status, ran.err) == (0, "")
    ticks = pq.read_table("runs/mine/ticks.parquet").to_pydict()
    assert ticks["tick"] == list(range(len(ticks["tick"])))
    assert len(ticks["tick"]) >= 50
    assert "action.joint_1" in ticks
    found = summary()
    assert found["cells"] == []
    assert found["rate_hz"] == 50.0
    assert found["realtime"][0]["gauges"]["ticks"] == len(ticks["tick"])
    assert found["realtime"][0]["gauges"]["guard"].get("ramp", 0) > 0  # a real robot starts by a ramp
    page = Path("runs/mine/report.html").read_text()
    assert "drove a robot with vlash for 1" in page


def test_setpoints_between_ticks_are_sent_at_the_servo_rate(rollahead: Command) -> None:
    ran = rollahead("run", *ARM, "seconds=0.5", "substeps=2", "shape=cubic")
    assert (ran.status, ran.err) == (0, "")


def test_a_head_that_sees_images_is_run_with_the_eye_in_its_file(
    rollahead: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rollahead.policies.correctors import image_encoder
    from rollahead.runtime.robots import loopback

    stamps = count()

    class Filmed(loopback.NullRobot):
        def frames(self) -> dict[str, Frame]:
            return {"top": Frame(np.zeros((6, 8, 3), np.uint8), next(stamps))}

    def arm(joints: int, rate_hz: float) -> Filmed:
        return Filmed(replace(plain(joints, rate_hz).spec, cameras=(Camera("top", 6, 8),)))

    plain = loopback.arm
    monkeypatch.setattr(loopback, "arm", arm)
    net = image_encoder.make_net(1, 1)
    for weight in net.state_dict().values():
        weight.fill_(0.01)
    matrix = np.zeros((6, 1))
    matrix[4] = 100.0  # what its images come to, the same in every tick
    card = HeadCard(("joint_1",), (), (), 32, cameras=("top",), latent=1, image_age=10)
    Head(card, [(matrix, np.zeros(1))], np.zeros(6), np.ones(6), np.ones(1)).save(
        Path("head.npz"), image_encoder.arrays_of(net)
    )
    ran = rollahead("run", *ARM, "seconds=1", "strategy.corrector.path=head.npz", "guard.enabled=false")
    assert (ran.status, ran.err) == (0, "")
    assert max(pq.read_table("runs/mine/ticks.parquet")["action.joint_1"].to_pylist()) > 0.9


def test_a_run_that_fails_says_why_and_leaves_its_records(rollahead: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from rollahead.runtime.robots.loopback import NullRobot

    written = NullRobot.write
    count = iter(range(10**6))

    def write(self: NullRobot, setpoint: Any) -> None:
        if next(count) == 20:
            raise OSError("the cable is out")
        written(self, setpoint)

    monkeypatch.setattr(NullRobot, "write", write)
    sentence = refusal(rollahead("run", *ARM, "seconds=5"), "run")
    assert "the robot failed in tick 20 (OSError: the cable is out); it was held and stopped" in sentence
    assert summary()["error"] == sentence
    assert len(pq.read_table("runs/mine/ticks.parquet")) >= 20


def test_a_run_that_fails_in_an_episode_keeps_those_before_it(
    rollahead: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rollahead.commands import simulated

    played = simulated.play

    def play(world: Any, live: Any, seed: int, *others: Any) -> Any:
        if seed == 2:
            raise RobotError("the cable is out")
        return played(world, live, seed, *others)

    monkeypatch.setattr(simulated, "play", play)
    assert "the cable is out" in refusal(rollahead("run", "name=mine", "episodes=5"), "run")
    assert (summary()["error"], summary()["cells"][0]["figures"]["episodes"]) == ("the cable is out", 2)
    assert set(pq.read_table("runs/mine/ticks.parquet")["episode"].to_pylist()) == {0, 1}


def test_records_that_the_recorder_lost_are_told(rollahead: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from rollahead.commands import view

    class Slow(view.Recorder):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.lost = 3

    monkeypatch.setattr(view, "Recorder", Slow)
    ran = rollahead("run", *ARM, "seconds=0.5")
    assert "3 records were written over before the recorder had read them" in ran.out
    assert summary()["records_lost"] == 3


def until(holds: Callable[[], bool]) -> None:
    """Waits for what another process does."""
    for _ in range(6000):
        if holds():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it never came to that")


def recorded(folder: Path) -> dict[str, list[Any]]:
    """The ticks that a run has recorded so far."""
    try:
        found: dict[str, list[Any]] = read_parquet(folder / "ticks.parquet").to_pydict()
    except ConfigError:  # not yet
        return {"tick": [], "episode": []}
    return found


KILLED = {
    "a robot, executor in a thread": ((*ARM, "seconds=60"), lambda ticks: len(ticks["tick"]) > 50),
    "a robot, executor in a process": ((*ARM, "isolation=process"), lambda ticks: len(ticks["tick"]) > 50),
    "a simulated robot": (("name=mine", "episodes=100"), lambda ticks: len(set(ticks["episode"])) > 1),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", KILLED)
def test_a_run_that_is_killed_loses_a_second_of_its_records_and_has_a_report(
    what: str, rollahead: Command, tmp_path: Path
) -> None:
    arguments, long_enough = KILLED[what]
    program = subprocess.Popen([PROGRAM, "run", *arguments], cwd=tmp_path, stdout=subprocess.DEVNULL)
    try:
        until(lambda: long_enough(recorded(tmp_path / "runs/mine")))
        threading.Event().wait(1.5)
    finally:
        killed_ns = time.monotonic_ns()
        program.kill()
        program.wait()
    ticks = recorded(tmp_path / "runs/mine")
    assert long_enough(ticks)
    assert killed_ns - ticks["sent_ns"][-1] < 1.5e9
    ran = rollahead("report", "run=runs/mine")
    assert (ran.status, ran.err) == (0, "")
    assert "no summary.json: it was killed, or still goes on; ticks.arrows and inferences.arrows are read" in ran.out
    page = Path("runs/mine/report.html").read_text()
    assert "It left no summary" in page
    assert 'id="last"' in page


def test_an_interrupt_while_the_summary_is_written_does_not_lose_it(
    rollahead: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = RunFolder.write_json

    def interrupted(self: RunFolder, name: str, content: Any) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return write(self, name, content)

    monkeypatch.setattr(RunFolder, "write_json", interrupted)
    rollahead("run", *ARM, "seconds=0.5")
    assert summary()["realtime"][0]["gauges"]["ticks"] >= 25
    assert len(pq.read_table("runs/mine/ticks.parquet")) >= 25


def test_ctrl_c_ends_a_run_with_its_records_and_the_robot_at_rest(tmp_path: Path) -> None:
    program = subprocess.Popen(
        [PROGRAM, "run", *ARM, "seconds=null"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: len(recorded(tmp_path / "runs/mine")["tick"]) > 20)
    os.killpg(program.pid, signal.SIGINT)
    try:
        out, err = program.communicate(timeout=60)
    finally:
        program.kill()
    assert (program.returncode, err) == (0, "")
    assert "report: runs/mine" in out
    status = pq.read_table(tmp_path / "runs/mine/ticks.parquet")["status"].to_pylist()
    assert status[-1] == TickStatus.PAUSED


@pytest.mark.slow
@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_terminal_that_is_closed_ends_a_run_with_its_records_and_the_robot_at_rest(
    isolation: str, tmp_path: Path
) -> None:
    ours, theirs = pty.openpty()
    in_it = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.argv[1], sys.argv[1:])"
    program = subprocess.Popen(
        [sys.executable, "-c", in_it, PROGRAM, "run", *ARM, "seconds=null", f"isolation={isolation}"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while b"q ends" not in shown:
        shown += os.read(ours, 4096)
    threading.Event().wait(0.5)
    os.close(ours)
    assert program.wait(60) == 0
    folder = tmp_path / "runs/mine"
    assert "error" not in json.loads((folder / "summary.json").read_text())
    assert pq.read_table(folder / "ticks.parquet")["status"].to_pylist()[-1] == TickStatus.PAUSED
    assert (folder / "report.html").exists()


@pytest.mark.parametrize("raised", [KeyboardInterrupt, None])
def test_an_interrupt_does_not_hide_that_the_robot_could_not_be_stopped(
    raised: type[BaseException] | None, rollahead: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rollahead.commands import view
    from rollahead.runtime.robots.loopback import NullRobot

    def stop(self: NullRobot) -> None:
        raise OSError("the cable is out")

    def look(self: view.Watch, runtime: Any) -> bool:
        if raised is not None and len(runtime.trace.ticks) > 5:
            os.kill(os.getpid(), signal.SIGTERM)
        return False

    monkeypatch.setattr(NullRobot, "stop", stop)
    monkeypatch.setattr(view.Watch, "__call__", look)
    sentence = refusal(rollahead("run", *ARM, "seconds=1"), "run")
    assert "the robot could not be stopped (OSError: the cable is out)" in sentence
    assert summary()["error"] == sentence


def test_in_a_terminal_it_shows_how_it_goes_and_q_ends_it(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [PROGRAM, "run", *ARM, "seconds=null"],
        cwd=tmp_path,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
        start_new_session=True,
    )
    os.close(theirs)
    shown = b""
    while b"q ends" not in shown:
        shown += os.read(ours, 4096)
    os.write(ours, b"q")
    while b"report: runs/mine" not in shown:
        shown += os.read(ours, 4096)
    assert program.wait(60) == 0
    os.close(ours)
    for words in ("loopback", "jitter", "underruns", "guard", "space pauses"):
        assert words in shown.decode(errors="ignore")


def test_a_run_of_which_nothing_is_known_yet_is_shown_without_numbers() -> None:
    said = lines(Gauges(50.0).figures(), 50.0)
    assert said["rate"] == "- Hz of 50 Hz"
    assert said["guard"] == "nothing to do"


def test_an_environment_of_gymnasium_is_driven_in_real_time_to_its_end(rollahead: Command) -> None:
    ran = rollahead("run", *CAR, "episodes=2", "name=mine")
    assert (ran.status, ran.err) == (0, "")
    (cell,) = json.loads(Path("runs/mine/summary.json").read_text())["cells"]
    assert cell["figures"]["episodes"] == 2 and cell["figures"]["time_s"] is None
    assert pq.read_table("runs/mine/episodes.parquet")["event_tick"].to_pylist() == [None, None]


@pytest.mark.parametrize("given, told", [((), "up to the flag"), (("task_text=down again",), "down again")])
def test_a_planner_is_given_the_instruction_of_the_task_where_the_user_gives_no_text(
    given: tuple[str, ...], told: str, rollahead: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = set()
    plan = Sine.__call__
    monkeypatch.setattr(Sine, "__call__", lambda self, seen, rng: (texts.add(seen.task), plan(self, seen, rng))[1])
    ran = rollahead("run", *CAR, "task.instruction=up to the flag", *given, "episodes=1", "name=mine")
    assert (ran.status, ran.err) == (0, "")
    assert texts == {told}
