"""Texts and paths arrive as they were written, through Hydra's grammar and OmegaConf's interpolation."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import example, given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from every import every
from rollahead.commands.app import start
from rollahead.commands.literal import is_path, taken_literally, to_yaml

from .conftest import Ran, refusal

Command = Callable[..., Ran]
PROGRAM = Path(sys.executable).parent / "rollahead"

NASTY = (
    "Pick up the cube, then place it",
    "what's that",
    "Stop!",
    "拿起方块",
    'say "hello"',
    "a {b} [c] (d) <e>",
    "$HOME ${oc.env:HOME} \\${x} ${",
    "ends with \\",
    "a=b=c",
    "null",
    "true",
    "5",
    "???",
    "~/x",
    "-x",
    "two\nlines",
    "  spaces  ",
    "#no comment",
    "choice(a,b)",
    "",
)
PATHS = (
    "/runs/epoch=9-step=999",
    "my runs/first, second",
    "it's (here)/${x}",
    "läufe/日本",
    "a,b",
    "[x]",
    "{a: 1}",
)
OPTIONS = {  # one of each kind of path, with what else it needs
    "planner.checkpoint": ("eval", "planner=policy"),
    "planner.dataset": ("run", "planner=policy"),
    "latency.path": ("recommend", "latency=recorded"),
    "roller.path": ("run", "roller=identified"),
    "strategy.corrector.path": ("eval", "strategy=sync"),
    "runs": ("eval",),
    "dataset": ("train",),
    "resume": ("train",),
    "corrector.base": ("train-corrector",),
    "run": ("report",),
}


def arrived(command: str, *arguments: str) -> list[dict[str, Any]]:
    """The options with which `command` begins; with --multirun, each time."""
    got: list[Any] = []
    start(command, lambda config: got.append(OmegaConf.to_container(config, resolve=True)), list(arguments))
    assert got
    return got


def option_of(config: dict[str, Any], option: str) -> Any:
    """The value of `option` in `config`."""
    for key in option.split("."):
        config = config[key]
    return config


@pytest.fixture(autouse=True)
def _argv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [])  # `start` sets both, so that they are put back
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")


@pytest.mark.parametrize("text", NASTY, ids=repr)
def test_a_text_arrives_as_it_was_written(text: str) -> None:
    assert [config["task_text"] for config in arrived("run", f"task_text={text}")] == [text]


@settings(deadline=None, max_examples=300)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
@example("\\")
@example("\\\\'")
@example("\\\\${x}\\'")
def test_any_text_survives_grammar_interpolation_and_the_file_of_a_run(text: str) -> None:
    (override,) = taken_literally("run", [f"task_text={text}"], sweep=False)
    parsed = OverridesParser.create().parse_override(override)
    config = OmegaConf.create({"text": parsed.value()})
    assert OmegaConf.to_container(config, resolve=True) == {"text": text}
    if not set(text) & set("\x85\u2028\u2029"):  # line breaks to YAML alone
        again = OmegaConf.create(to_yaml(config))
        assert OmegaConf.to_container(again, resolve=True) == {"text": text}


@every("option", OPTIONS)
def test_every_path_arrives_as_it_was_written(option: str) -> None:
    command, *others = OPTIONS[option]
    assert is_path(command, option)
    for path in PATHS:
        (config,) = arrived(command, *others, f"{option}={path}")
        assert option_of(config, option) == path


@every("option", [option for option in OPTIONS if option not in ("runs", "run", "corrector.base")])
def test_null_is_no_path(option: str) -> None:
    command, *others = OPTIONS[option]
    (config,) = arrived(command, *others, f"{option}=null")
    assert option_of(config, option) is None


def test_a_tilde_is_the_home_folder_in_a_path_and_a_tilde_in_a_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    (config,) = arrived("run", "planner=policy", "planner.checkpoint=~/x", "task_text=~/x", "runs=~")
    assert (config["planner"]["checkpoint"], config["task_text"], config["runs"]) == ("/home/me/x", "~/x", "/home/me")


def test_with_multirun_paths_are_split_at_commas_outside_quotes_and_texts_are_not() -> None:
    arguments = ["planner=policy", "planner.checkpoint=a=1,'b, c', ~x/it's", "task_text=first, then"]
    seen = [(config["planner"]["checkpoint"], config["task_text"]) for config in arrived("run", "-m", *arguments)]
    assert seen == [("a=1", "first, then"), ("b, c", "first, then"), ("~x/it's", "first, then")]


def test_multirun_may_stand_anywhere() -> None:
    seen = arrived("run", "planner=policy", "planner.checkpoint=a,b", "--multirun", "seed=1")
    assert [config["planner"]["checkpoint"] for config in seen] == ["a", "b"]


def test_resume_of_an_evaluation_is_no_path() -> None:
    assert [config["resume"] for config in arrived("eval", "resume=true")] == [True]


def test_a_run_keeps_its_text_and_its_place_with_any_characters(tmp_path: Path) -> None:
    options = [
        "robot=loopback",
        "planner=sine",
        "seconds=0.2",
        "runs=läufe, 日本",
        "name=it's ${one}",
        "task_text=Stop, ${x}!",
    ]
    ran = subprocess.run([PROGRAM, "run", *options], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == 0, ran.stderr
    kept = OmegaConf.load(tmp_path / "läufe, 日本" / "it's ${one}" / "config.yaml")
    assert (kept.task_text, kept.name, kept.runs) == ("Stop, ${x}!", "it's ${one}", "läufe, 日本")


def test_a_run_whose_path_has_any_characters_can_be_gone_on_with(rollahead: Command) -> None:
    Path("${a}.txt").write_text("0.04\n")
    options = ["latency=recorded", "latency.path=${a}.txt", "episodes=1", "workers=1", "reactions=false", "name=x"]
    assert rollahead("eval", *options).status == 0
    again = rollahead("eval", *options, "resume=true")
    assert (again.status, "was run already" in again.out) == (0, True)


@pytest.mark.parametrize("option", ["task_text", "runs", "name"])
def test_bytes_that_are_no_text_are_refused_with_the_option(option: str, tmp_path: Path) -> None:
    bad = f"{option}=bad".encode() + b"\xff"
    ran = subprocess.run([PROGRAM, "run", bad], capture_output=True, text=True, cwd=tmp_path, check=False)
    message = refusal(Ran(ran.returncode, ran.stdout, ran.stderr), "run")
    assert message.startswith(f"{option}=bad\\xff holds bytes that are no text here; write it in UTF-8")
