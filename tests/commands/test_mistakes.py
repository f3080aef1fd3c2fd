"""What a person may get wrong on the command line: one sentence each, with what to write."""

import doctest
import shlex
from collections.abc import Callable

import pytest
from benchmarks.flag_hints import HINTS

from rollahead.commands import lerobot_flags
from rollahead.commands.config_files import members
from rollahead.commands.lerobot_flags import FOLDERS, OPTIONS, in_our_words
from rollahead.commands.offered import options

from .conftest import Ran, refusal

Command = Callable[..., Ran]

MISTAKES = {  # arguments, and what the sentence says
    ("run", "help"): "'help' is no option; write rollahead run --help",
    ("run", "--hlep"): "there is no flag '--hlep'; did you mean '--help'",
    ("run", "---help"): "there is no flag '---help'; did you mean '--help'",
    ("eval", "latency.ticks==8"): "latency.ticks==8 has two equals signs; write latency.ticks=8",
    ("eval", "strategy=", "sync"): "write strategy=sync",
    ("eval", "latency.ticks", "=", "8"): "write latency.ticks=8",
    ("eval", "strategy:sync"): "write strategy=sync",
    ("eval", "strategy.s = 8"): "write strategy.s=8",
    (
        "eval",
        "search.s=4,8",
    ): 'search.s=4,8 has several values; add --multirun to run one after the other, or write "sea',
    ("eval", "strategy=sync,vlash"): "add --multirun to run one after the other",
    (
        "eval",
        "-m",
        "strategy=[sync,vlash]",
    ): "strategy=[sync,vlash] is a list; to run one after the other write strategy=s",
    ("eval", "+strategy=sync"): "+strategy=sync is chosen already; write strategy=sync without the plus",
    ("eval", "latency=0.16"): 'latency=fixed "latency.ticks=<seconds times control rate>"',
    (
        "eval",
        "latency.path=x.txt",
    ): "latency.path is an option of latency=recorded, and latency is fixed; add latency=rec",
    ("run", "latency.ticks=8"): "latency.ticks is an option of latency=fixed, and latency is none; add latency=fixed",
    ("eval", "task_text=Pick up"): "task_text is an option of rollahead run, and not of eval",
    ("eval", "planner=./x"): "a checkpoint is planner=policy planner.checkpoint=./x",
    ("eval", "planner=mole_flow"): "a checkpoint is planner=policy planner.checkpoint=mole_flow",
    ("eval", "task=pick up the cube"): 'what a policy is told to do is "task_text=pick up the cube" of rollahead run',
    ("run", "robot=loopback", "robot.port=/dev/x"): "there is no option 'robot.port'",
    ("run", "guard=off"): "guard is 'off'; give its options by their names, as guard.<option>=...",
    ("run", "robot=lerobot", "robot.config={port: my arm, left"): "cannot be read; close its brackets and quotes",
    (
        "run",
        "robot.limits={null: {rate_limit: 2}}",
    ): "a name in robot.limits={null: {rate_limit: 2}} is null; give a text",
    ("run", "robot.limits={1: {rate_limit: 2}}"): "a name in robot.limits is 1; give a text",
    ("run", "rest_pose={1: 2}", "robot=loopback", "planner=sine"): "a name in rest_pose is 1; give a text",
    (
        "eval",
        "planner=flow",
        "planner.rename={1: 2}",
    ): "planner.rename is {1: 2}; give {the policy's name: the robot's}",
    ("train", "scale={1: 2}"): "a name in scale is 1; give a text",
    ("run", "seed=-5"): "seed is -5; give 0 to 2147483638",
    ("run", "seed=1e20"): "seed is 1e+20; give a whole number",
    ("run", "seed=100000000000000000000"): "seed is 100000000000000000000; give 0 to 2147483638",
    ("eval", "seed=-5"): "seed -5; give at least 1, and a seed from 0 to",
    ("eval", "episodes=100000000000000000000"): "episodes is 100000000000000000000; give at most 2147483648",
    ("identify", "seed=-5"): "seed is -5; give 0 to 2147483647",
    ("train", "seed=-5"): "seed is -5; give 0 to ",
    ("train", "seed=100000000000000000000"): "seed is 100000000000000000000; give 0 to ",
    ("doctor", "task=mole", "seed=100000000000000000000"): "seed is 100000000000000000000; give 0 to ",
    (
        "eval",
        "latency=lognormal",
        "latency.p50=1e-300",
    ): "p50 is 1e-300 ticks and its p95 6.0; give 0 < p50 < p95 <= 10",
    ("eval", "latency.ticks=160"): "give latencies in ticks of 20 ms, 8 where 160 is meant in ms",
}


@pytest.mark.parametrize(("arguments", "said"), MISTAKES.items(), ids=[" ".join(each) for each in MISTAKES])
def test_a_mistake_is_one_sentence_with_what_to_write(
    arguments: tuple[str, ...], said: str, rollahead: Command
) -> None:
    command, *others = arguments
    assert said in refusal(rollahead(command, *others), command)


@pytest.mark.parametrize(("line", "part"), HINTS, ids=[line for line, _ in HINTS])
def test_a_flag_of_lerobots_gets_the_option_that_stands_for_it(line: str, part: str, rollahead: Command) -> None:
    command, *arguments = shlex.split(line)
    message = refusal(rollahead(command, *arguments), command)
    assert part in message
    assert "Lexer" not in message
    assert "hydra" not in message


@pytest.mark.parametrize(("names", "commands", "template"), OPTIONS, ids=[row[0] for row in OPTIONS])
def test_what_stands_for_a_flag_is_an_option_of_the_command(names: str, commands: list[str], template: str) -> None:
    for command in commands:
        written = [word for word in template.split() if "=" in word]
        groups = [word for word in written if word.split("=")[0] in members_of(command) and "{" not in word]
        driven = ["planner=policy"] if command != "train" else []
        known, _ = options(command, [*groups, *driven])
        for word in written:
            assert word.split("=")[0] in known, (command, word)
            if word in groups:
                assert word.split("=")[1] in members(word.split("=")[0])


def members_of(command: str) -> list[str]:
    """The groups of `command`."""
    return [group for group in options(command, [])[1] if "/" not in group]


def test_flags_of_lerobots_are_put_together_in_one_command_line() -> None:
    flags = {"robot.type": "so101_follower", "robot.port": "/dev/ttyACM0", "policy.path": "me/act", "duration": "60"}
    said = in_our_words("run", flags, [f"--{name}={value}" for name, value in flags.items()])
    assert said.endswith(
        "are LeRobot's; here they are robot=lerobot robot.type=so101_follower planner=policy planner.checkpoint=me/act "
        'seconds=60 "robot.config={port: /dev/ttyACM0}"'
    )


def test_no_command_with_a_run_folder_lets_argparse_answer(rollahead: Command) -> None:
    for command in (*FOLDERS, "report", "doctor", "demo"):
        for flag in ("--robot.port=/dev/x", "--nonsense=1", "--nonsense", "-q"):
            assert "usage" not in refusal(rollahead(command, flag), command)


def test_the_example_in_the_docstring_holds() -> None:
    assert doctest.testmod(lerobot_flags) == (0, 1)
