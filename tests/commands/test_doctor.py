import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from faulty import UNMADE, WideState, registered
from rollahead.commands.config_files import members
from rollahead.commands.doctor import findings
from rollahead.evaluation.task_trials import TRIALS
from rollahead.runtime.recording.run_folder import machine
from rollahead.sim.render import REMEDY, backend

from .conftest import Ran, refusal

Command = Callable[..., Ran]


def test_doctor_prints_what_it_found_in_a_table_and_leaves_nothing(rollahead: Command) -> None:
    ran = rollahead("doctor")
    assert (ran.status, ran.err) == (0, "")
    for words in (
        "python",
        platform.python_version(),
        "free disk",
        "[sim]",
        "[viz]",
        "tasks",
        "mole",
        "pictures",
        "timer",
    ):
        assert words in ran.out
    assert list(Path().iterdir()) == []


def test_each_finding_is_a_name_a_state_and_what_to_do(tmp_path: Path) -> None:
    found = {what: (state, remedy) for what, state, remedy in findings(tmp_path)}
    assert found["python"] == (f"{platform.python_version()} ({sys.executable})", "")
    assert found["machine"][0] == machine()
    assert "mole" in found["tasks"][0]
    assert found["pictures"][1] == ("" if backend() else REMEDY)
    assert "late (median)" in found["timer"][0]
    for what in found:
        if what.startswith("["):
            assert "not installed" not in found[what][0]  # the tests need them all
            assert found[what][1] == ""


def test_lerobot_torch_and_every_task_are_found_with_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "lerobot_robot_desk").mkdir()
    (tmp_path / "lerobot_robot_desk/__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    found = {what: (state, remedy) for what, state, remedy in findings(tmp_path)}
    assert found["LeRobot"] == (version("lerobot"), "")
    assert "lerobot_robot_desk" in found["LeRobot plug-ins"][0].split(", ")
    assert found["torch"][0].startswith(f"{torch.__version__}, devices: cpu")
    assert found["tasks"][0].split(", ") == members("task")
    monkeypatch.setattr("rollahead.runtime.robots.lerobot.version.version", lambda: "0.9.0")
    found = {what: (state, remedy) for what, state, remedy in findings(tmp_path)}
    assert found["LeRobot"][0].startswith("LeRobot 0.9.0 is installed, and rollahead works with")
    assert found["LeRobot"][1].startswith("use one of these: pip install 'lerobot")


def test_the_disk_is_that_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    found = {what: state for what, state, _ in findings(tmp_path / "no/such/runs")}
    assert found["free disk"].endswith(f"at {tmp_path}")


def test_the_command_looks_at_the_disk_that_runs_would_go_to(
    rollahead: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    assert f"at {tmp_path.parent} " in rollahead("doctor", f"runs={tmp_path.parent}/elsewhere/runs").out


# --- a task ---


def test_a_task_that_does_what_it_must_is_ok_in_every_trial(rollahead: Command) -> None:
    ran = rollahead("doctor", "task=mole", "task.mode=absolute", "episodes=2")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.count(" ok ") == len(TRIALS) and "wrong" not in ran.out
    assert "solves 2 of 2 episodes" in ran.out
    assert list(Path().iterdir()) == []


def test_a_task_with_a_fault_is_told_what_to_do_and_the_status_says_so(rollahead: Command) -> None:
    ran = rollahead("doctor", "task=mole", "task.window_s=0.3", "episodes=2")
    assert (ran.status, ran.err) == (1, "")
    assert ran.out.count(" ok ") == len(TRIALS) - 1
    words = " ".join(ran.out.split())
    assert "the expert solves 0 of 2 episodes, asked in every tick and without delay; it should solve 90 %" in words


def test_the_table_of_another_packages_task_has_its_faults_in_words(
    rollahead: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(registered(tmp_path_factory.mktemp("site"), rail=WideState))
    monkeypatch.setenv("COLUMNS", "200")
    ran = rollahead("doctor", "task=rail")
    assert ran.status == 1
    assert "wrong   state() gives shape (2,) in tick 0, and the spec's state has 1 dimension (x); make them" in ran.out
    assert ran.out.count("-       not tried, since what is said above comes first") == len(TRIALS) - 1


@pytest.mark.parametrize("fault", UNMADE)
def test_a_task_whose_constructor_raises_or_that_has_no_spec_is_one_sentence(
    fault: str, rollahead: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, words = UNMADE[fault]
    monkeypatch.syspath_prepend(registered(tmp_path_factory.mktemp("site"), rail=make))
    assert refusal(rollahead("doctor", "task=rail"), "doctor").startswith(words)


def test_a_task_that_cannot_be_made_or_tried_is_refused(rollahead: Command) -> None:
    assert refusal(rollahead("doctor", "task=mole", "episodes=0"), "doctor") == (
        "episodes is 0 and seed 0; give at least 1, and 0 or more"
    )
    assert "no task 'moel'; did you mean 'mole'" in refusal(rollahead("doctor", "task=moel"), "doctor")


def test_trials_of_what_a_task_cannot_do_are_left_out_and_are_no_fault(rollahead: Command) -> None:
    car = ("task.id=MountainCarContinuous-v0", "task.rate_hz=30", "task.state={position: 0, velocity: 1}")
    push = "task.action={push: {kind: delta, drives: velocity, scale: 0.0015}}"
    ran = rollahead("doctor", "task=gym", *car, push, "task.max_ticks=60", "episodes=2")
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.count("not tried: the task has no expert") == 3
    assert ran.out.count("not tried: the task has no event") == 1
    assert "wrong" not in ran.out
