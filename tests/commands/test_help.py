"""What `--help` prints, and that it is quick."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from every import every
from rollahead.cli import COMMANDS
from rollahead.commands.config_files import read_config
from rollahead.commands.help import WIDE, help_of

from .conftest import Ran, refusal

Command = Callable[..., Ran]


@every("command", COMMANDS)
def test_help_shows_every_option_with_its_value_and_its_comment_at_100_columns(command: str) -> None:
    text = help_of(command, ["--help"]) or ""
    assert text.startswith(f"rollahead {command}: {read_config('', command).title}\n")
    words = " ".join(text.split())
    for line in read_config("", command).options:
        assert (
            f" {line.name}={line.value} {line.comment} " in words
            or f" {line.name}.* {line.comment} " in words
            or (f" {line.name}=<must be given> {line.comment} " in words)
        )
    assert f"\n  rollahead {command}" in text.partition("Examples:")[2]
    assert all(len(line) <= WIDE for line in text.splitlines() if not line.startswith("  rollahead "))
    assert "${" not in text.partition("Options:")[2].partition("\n\n")[0]


def test_help_names_every_member_of_a_group_with_what_it_is_and_marks_the_chosen_one() -> None:
    text = help_of("eval", []) or ""
    assert "  * vlash          Future-state rolling (VLASH)" in text
    assert "    sync           Observe, hold still" in text
    assert "  strategy.guidance.enabled=false" in text


def test_help_after_an_option_shows_the_options_of_what_is_chosen_and_the_values_given() -> None:
    text = help_of("eval", ["strategy=sync", "strategy.s=5", "episodes=7", "--help"]) or ""
    assert "  * sync  " in text
    assert "  strategy.s=5 " in text
    assert "  episodes=7 " in text
    assert "guidance" not in text
    assert "strategy.bid.candidates=16" in (help_of("eval", ["strategy=bid"]) or "")


def test_help_of_several_members_shows_the_options_of_all_each_once() -> None:
    text = help_of("eval", ["--multirun", "strategy=sync,rtc"]) or ""
    assert "  * sync " in text
    assert "  * rtc " in text
    assert text.count("strategy.corrector.path=") == 1
    assert "strategy.guidance.mask=" in text


def test_the_options_of_a_group_that_is_not_chosen_are_not_shown() -> None:
    text = help_of("eval", ["latency=null"]) or ""
    assert "\n  latency.ticks" not in text
    assert "    fixed " in text


@pytest.mark.parametrize("flag", ["--help", "-h"])
@pytest.mark.parametrize("command", ["eval", "demo", "doctor"])
def test_help_is_printed_and_leaves_nothing(command: str, flag: str, rollahead: Command) -> None:
    ran = rollahead(command, flag)
    assert (ran.status, ran.err) == (0, "")
    assert ran.out == help_of(command, [])
    assert not Path("runs").exists()


MISTAKES = {
    ("strategy=vlahs",): "there is no strategy 'vlahs'; did you mean 'vlash'",
    ("strategy.k=3",): "there is no option 'strategy.k'",
    ("strategy.decay=3",): "the option strategy.decay is called strategy.ensemble.decay now",
    ("stratgy",): "'stratgy' is no option",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_beside_help_is_answered_by_one_sentence(arguments: tuple[str, ...], rollahead: Command) -> None:
    assert MISTAKES[arguments] in refusal(rollahead("eval", *arguments, "--help"), "eval")


def test_what_only_hydra_understands_is_understood_beside_help(rollahead: Command) -> None:
    ran = rollahead("eval", "+study=strategies", "--help")
    assert (ran.status, ran.out) == (0, help_of("eval", []))
    ran = rollahead("eval", "++strategy.s=5", "--help")
    assert "  strategy.s=5 " in ran.out


@pytest.mark.parametrize("flags, words", [(["--hydra-help"], "--cfg"), (["--cfg", "job"], "episodes: 200")])
def test_the_flags_of_hydra_are_still_there(flags: list[str], words: str, tmp_path: Path) -> None:
    program = [str(Path(sys.executable).with_name("rollahead")), "eval", *flags]  # it sets up logging: not in here
    ran = subprocess.run(program, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (ran.returncode, words in ran.stdout) == (0, True)
