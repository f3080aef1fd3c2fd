"""What the commands share, through `rollahead eval` and `rollahead demo`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from full_disk import files_no_longer_than
from rollahead.commands.app import console, group, start
from rollahead.errors import ConfigError, InferenceError, RobotError

from .conftest import Ran, refusal

Command = Callable[..., Ran]
PROGRAM = Path(sys.executable).parent / "rollahead"
SMALL = ("episodes=1", "workers=1", "reactions=false", "strategy=sync", "strategy.s=24", "latency.ticks=0")

UNKNOWN = {
    "strategy": (["strategy=vlahs"], ("no strategy 'vlahs'", "did you mean 'vlash'")),
    "task": (["task=moel"], ("no task 'moel'", "did you mean 'mole'")),
    "latency": (["latency=lognrmal"], ("no latency 'lognrmal'", "did you mean 'lognormal'")),
    "planner": (["planner=scriptd"], ("no planner 'scriptd'", "did you mean 'scripted'")),
    "option": (["epsodes=3"], ("no option 'epsodes'", "did you mean 'episodes'")),
    "option of a group": (["task.windw_s=1"], ("no option 'task.windw_s'", "did you mean 'task.window_s'")),
    "option with a plus": (["+strategy.quantle=1"], ("no option of the strategy 'quantle'", "did you mean 'quantile'")),
    "option of the task": (["+task.windw_s=1"], ("no option of the task 'windw_s'", "did you mean 'window_s'")),
    "trigger": (["strategy.trigger=evry"], ("no trigger 'evry'", "did you mean 'every'")),
    "mode": (["task.mode=velocty"], ("no action mode 'velocty'", "did you mean 'velocity'")),
    "name of a strategy": (["strategy.name=vlahs"], ("no strategy 'vlahs'", "did you mean 'vlash'")),
    # an option of the group's default that the chosen one does not have
    "option of another choice": (["strategy=sync", "strategy.trigger=asap"], ("'strategy.trigger'", "strategy.s")),
    "option of another latency": (["latency=lognormal", "latency.ticks=9"], ("'latency.ticks'", "latency.p50")),
    # an option that exists nowhere, but that a plus makes: it is not passed over in silence
    "option made up": (["+epsodes=3"], ("epsodes",)),
}

WRONG_TYPE = (
    "episodes=many",
    "episodes=2.5",
    "workers=0",
    "strategy.s=long",
    "strategy.s=8.5",
    "strategy.q=1.5",
    "strategy.d=soon",
    "planner.horizon=far",
    "latency.ticks=2.5",
    "task.window_s=short",
    "reactions=maybe",
    "task.window_s=[1,2]",
    "task.mode=[velocity]",
    "strategy.q=[1,2]",
    "+strategy.options=3",
    "+strategy.options=[3]",
    "search.s=3",
    "search.s=[2,a]",
    "task=null",
    "task.name=null",
)

ENDLESS = ("task.window_s", "task.noise", "latency.median", "latency.bind_fraction")

NOT_KEY_VALUE = {
    "no value": (["episodes"], ("episodes", "=")),
    "no bracket": (["task.mode=[velocity"], ("task.mode=[velocity",)),
    "a group taken away": (["~task"], ("task",)),
    "several without multirun": (["strategy=sync,vlash"], ("strategy=sync,vlash", "--multirun")),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_unknown_is_one_sentence_with_a_near_miss(name: str, rollahead: Command) -> None:
    arguments, parts = UNKNOWN[name]
    message = refusal(rollahead("eval", *arguments, "episodes=1", "workers=1", "reactions=false"), "eval")
    for part in parts:
        assert part in message
    assert not Path("runs").exists()


@pytest.mark.parametrize("wrong", WRONG_TYPE)
def test_a_value_of_the_wrong_kind_is_one_sentence_that_names_it(wrong: str, rollahead: Command) -> None:
    key, _, value = wrong.removeprefix("+").partition("=")
    others = [argument for argument in SMALL if argument.split("=")[0] != key]
    message = refusal(rollahead("eval", *others, wrong), "eval")
    assert key.rpartition(".")[2] in message
    assert value.strip("[]").split(",")[-1] in message or value == "null"
    assert "supported between" not in message  # Python's words are not the user's
    assert not Path("runs").exists()


@pytest.mark.parametrize("key", ENDLESS)
@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_number_that_is_not_finite_is_one_sentence_that_names_it(key: str, number: str, rollahead: Command) -> None:
    message = refusal(rollahead("eval", *SMALL, f"{key}={number}"), "eval")
    assert message.startswith(f"{key} is {number}; give a ")
    assert not Path("runs").exists()


@pytest.mark.parametrize("name", NOT_KEY_VALUE)
def test_what_is_not_a_key_and_a_value_is_one_sentence_that_says_how(name: str, rollahead: Command) -> None:
    arguments, parts = NOT_KEY_VALUE[name]
    message = refusal(rollahead("eval", *arguments), "eval")
    for part in parts:
        assert part in message


@pytest.mark.parametrize("name", ["", ".", "a/b", "null"])
def test_what_is_no_plain_name_of_a_folder_is_refused(name: str, rollahead: Command) -> None:
    message = refusal(rollahead("eval", *SMALL, f"name={name}"), "eval")
    said = "None" if name == "null" else repr(name)
    assert message.startswith(f"name is {said}; give the plain name of a new folder")
    assert not Path("runs").exists()


@pytest.mark.parametrize(("value", "said"), [("null", "None"), ("", "''")])
def test_what_is_no_place_for_run_folders_is_refused(value: str, said: str, rollahead: Command) -> None:
    for command, others in (("eval", SMALL), ("doctor", ())):
        message = refusal(rollahead(command, *others, f"runs={value}"), command)
        assert message == f"runs is {said}; give the folder that run folders are made in, such as runs=runs"
    assert list(Path().iterdir()) == []


def test_where_standard_output_was_closed_nothing_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it then
    console().print("to nobody")


def test_where_standard_error_was_closed_a_refusal_is_the_status_alone(
    rollahead: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert rollahead("eval", *SMALL, "runs=null").status == 2


def test_runs_may_be_anywhere_and_a_numeric_name_is_a_name(rollahead: Command) -> None:
    assert rollahead("eval", *SMALL, "runs=deep/er", "name=5").status == 0
    assert Path("deep/er/5/summary.json").is_file()
    assert not Path("runs").exists()


def test_a_value_that_must_be_given_is_asked_for_by_its_name(rollahead: Command) -> None:
    message = refusal(rollahead("eval", "latency=recorded"), "eval")
    assert message == "latency.path must be given; add latency.path=..."
    assert not Path("runs").exists()


def test_missing_values_are_found_in_a_group_alone_and_all_at_once() -> None:
    config = OmegaConf.create({"latency": {"name": "recorded", "path": "???", "rate": "???"}, "task": {"name": "mole"}})
    assert group(config, "task") == {"name": "mole"}
    with pytest.raises(ConfigError, match=r"latency\.path and latency\.rate must be given"):
        group(config, "latency")


# --- run folders ---


def test_a_run_folder_that_exists_is_never_written_over(rollahead: Command) -> None:
    (old := Path("runs/mine")).mkdir(parents=True)
    (old / "summary.json").write_text("of another run")
    message = refusal(rollahead("eval", *SMALL, "name=mine"), "eval")
    assert "runs/mine exists already" in message
    assert "name=" in message
    assert [(path.name, path.read_text()) for path in old.iterdir()] == [("summary.json", "of another run")]


def test_a_folder_that_cannot_be_made_is_one_sentence(rollahead: Command) -> None:
    Path("runs").write_text("a file, where the folder should be")
    message = refusal(rollahead("eval", *SMALL, "name=mine"), "eval")
    assert "runs/mine cannot be made" in message
    assert "runs=" in message


def refused_for_room(rollahead: Command, runs: Path) -> str:
    """What a run says that the disk does not take. Nothing half-written is left of it, and no figures."""
    message = refusal(rollahead("eval", *SMALL, f"runs={runs}", "name=full"), "eval")
    left = [path.name for path in (runs / "full").iterdir()]
    assert "summary.json" not in left
    assert not [name for name in left if name.endswith(".unfinished")]
    assert "could not be written" in message
    assert "free some space" in message
    return message


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a disk of a few kilobytes")
def test_a_full_disk_is_one_sentence_and_leaves_nothing_half_written(rollahead: Command, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24k", "none", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no disk may be mounted here")
    try:
        assert "No space left on device" in refused_for_room(rollahead, disk / "runs")
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_file_larger_than_allowed_is_one_sentence_and_leaves_nothing_half_written(
    rollahead: Command, tmp_path: Path
) -> None:
    with files_no_longer_than(8192):
        assert "File too large" in refused_for_room(rollahead, tmp_path / "runs")


# --- sweeps ---


def test_a_sweep_leaves_numbered_folders_and_a_refused_cell_does_not_end_it(rollahead: Command) -> None:
    ran = rollahead("eval", "--multirun", *SMALL[:4], "strategy.s=24,99,12", "latency.ticks=0", "name=sweep")
    assert "s = 99" in refusal(ran, "eval")
    assert sorted(path.name for path in Path("runs/sweep").iterdir() if path.is_dir()) == ["0", "2"]
    s = [OmegaConf.load(f"runs/sweep/{n}/config.yaml").strategy.s for n in (0, 2)]
    assert s == [24, 12]
    assert all(Path(f"runs/sweep/{n}/summary.json").is_file() for n in (0, 2))


def test_a_sweep_leaves_nothing_but_its_folder(rollahead: Command) -> None:
    rollahead("eval", "--multirun", "strategy.s=99,100", "name=sweep")
    assert [str(path) for path in Path().iterdir() if path.name != "runs"] == []


def test_a_sweep_is_in_one_folder_however_long_it_takes(rollahead: Command) -> None:
    slower = [option for option in SMALL if not option.startswith("episodes")]
    assert rollahead("eval", "--multirun", *slower, "episodes=60", "seed=1,2,3").status == 0
    (sweep,) = Path("runs").iterdir()
    assert sorted(path.name for path in sweep.iterdir() if path.is_dir()) == ["0", "1", "2"]


def test_a_sweep_into_a_folder_that_exists_is_refused(rollahead: Command) -> None:
    Path("runs/mine").mkdir(parents=True)
    ran = rollahead("eval", "--multirun", *SMALL, "name=mine", "seed=1,2")
    assert ran.status == 2
    assert "runs/mine exists already" in ran.err
    assert list(Path("runs/mine").iterdir()) == []


def test_a_sweep_whose_first_cell_is_refused_is_not_written_into_a_folder_that_exists(rollahead: Command) -> None:
    Path("runs/mine").mkdir(parents=True)
    ran = rollahead("eval", "--multirun", *SMALL[:4], "latency.ticks=0", "name=mine", "strategy.s=99,24")
    assert ran.status == 2
    assert list(Path("runs/mine").iterdir()) == []


# --- tab completion ---


def test_the_script_for_tab_completion_is_printed(rollahead: Command) -> None:
    ran = rollahead("eval", "-sc", "install=bash")
    assert ran.status == 0
    assert "complete " in ran.out
    assert "rollahead" in ran.out


def test_tab_completion_offers_the_strategies_and_leaves_the_shells_eval_alone(tmp_path: Path) -> None:
    script = """
        eval "$(rollahead --completion)"
        compopt() { :; }  # only there while the shell completes
        COMP_WORDS=(rollahead eval strategy=v) COMP_CWORD=2
        $(complete -p rollahead | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        echo "offers ${COMPREPLY[@]}"
        complete -p eval 2>/dev/null || echo 'eval is as it was'
    """
    environment = {**os.environ, "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    ran = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert ran.stderr == ""
    assert "offers strategy=vlash" in ran.stdout
    assert "eval is as it was" in ran.stdout


# --- errors ---


@pytest.mark.parametrize("error", [ConfigError("no, s = 3"), InferenceError("no rows"), RobotError("no robot")])
def test_every_error_of_ours_is_one_sentence_and_exit_status_2(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def main(config: DictConfig) -> None:
        raise error

    assert start("doctor", main, []) == 2
    assert capsys.readouterr().err == f"rollahead doctor: {error}\n"


def test_an_interrupt_is_two_words_and_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def main(config: DictConfig) -> None:
        raise KeyboardInterrupt

    assert start("doctor", main, []) != 0
    assert capsys.readouterr().err == "rollahead doctor: interrupted\n"


def test_an_error_that_is_not_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    def main(config: DictConfig) -> None:
        raise ZeroDivisionError("a bug of ours")

    with pytest.raises(ZeroDivisionError, match="a bug of ours"):
        start("doctor", main, [])


CELL = """
from collections.abc import Sequence
from rollahead.runtime.robots.loopback import NullRobot, arm

def cell(speeds: Sequence[float] = (1.0, 2.0), names: list[str] = ["here"]) -> NullRobot:
    assert list(speeds) == [3, 4] and names == ["here"], (speeds, names)
    return arm()
"""


def test_a_list_option_of_another_packages_robot_can_be_given(
    rollahead: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (package := tmp_path / "site/cell_of_lists").mkdir(parents=True)
    (package / "__init__.py").write_text(CELL)
    (known := tmp_path / "site/cell_of_lists-0.1.dist-info").mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: cell_of_lists\nVersion: 0.1\n")
    (known / "entry_points.txt").write_text("[rollahead.robots]\ncell = cell_of_lists:cell\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    ran = rollahead("run", "robot=cell", "planner=sine", "seconds=0.1", "robot.speeds=[3,4]")
    assert (ran.status, ran.err) == (0, "")
    refused = refusal(rollahead("run", "robot=cell", "planner=sine", "robot.speeds=3"), "run")
    assert refused == "robot.speeds is 3; give a list, as in [a, b]"


LOOPBACK = ("robot=loopback", "planner=sine", "seconds=0.2")


@pytest.mark.parametrize(
    "arguments", [("run", "episodes=1"), ("run", *LOOPBACK, "isolation=process"), ("eval", "episodes=1")]
)
@pytest.mark.parametrize("limit", [16, 24])
def test_too_few_files_are_told_in_one_sentence_with_the_limit(
    arguments: tuple[str, ...], limit: int, tmp_path: Path
) -> None:
    program = [sys.executable, "-c", "from rollahead.cli import main; main()", *arguments]
    shell = ["bash", "-c", f'ulimit -n {limit}; exec "$@"', "bash", *program]
    ran = subprocess.run(shell, cwd=tmp_path, capture_output=True, text=True, check=False)
    if ran.returncode:  # some are enough for some
        sentence, _, remedy = ran.stderr.rstrip("\n").rpartition("; ")
        assert (ran.returncode, ran.stderr.count("\n")) == (2, 1), ran.stderr
        assert sentence == f"rollahead {arguments[0]}: this program may open {limit} files, which are too few" or (
            "Too many open files" in sentence
        )
        assert remedy.startswith("let it open more, with ulimit -n 1024")
    else:
        assert limit > 16
