"""Options that had another name."""

from collections.abc import Callable

import pytest

from rollahead.cli import COMMANDS
from rollahead.commands.config_files import members
from rollahead.commands.offered import options
from rollahead.commands.renamed import CHOICES, GROUPS, OPTIONS, renamed

from .conftest import Ran, refusal

Command = Callable[..., Ran]
WHERE = {"text": ["run"], "demonstrations.wander": ["train"], "planner.hurries": ["eval", "planner=flow"]}
WHERE |= {
    old: [
        "eval",
        "strategy=bid" if ".bid." in new else "strategy=ensemble" if ".ensemble." in new else "strategy=vlash",
    ]
    for old, new in OPTIONS.items()
    if old.startswith("strategy.")
}


@pytest.mark.parametrize("old", OPTIONS)
def test_an_option_with_its_old_name_is_refused_with_its_new_one_which_there_is(old: str, rollahead: Command) -> None:
    command, *arguments = WHERE[old]
    new = OPTIONS[old]
    said = refusal(rollahead(command, *arguments, f"{old}=1"), command)
    assert said == f"the option {old} is called {new} now; write {new}=1"
    assert new in options(command, arguments)[0]


@pytest.mark.parametrize("old", GROUPS)
def test_an_option_that_is_a_group_now_is_refused_unless_all_of_it_is_given(old: str, rollahead: Command) -> None:
    new = GROUPS[old]
    for value in ("true", "head.npz", "null"):
        said = refusal(rollahead("eval", f"{old}={value}"), "eval")
        assert said == f"the option {old} is called {new} now; write {new}={value}"
    assert renamed(f"{old}={{{new.rpartition('.')[2]}: null}}") is None
    assert new in options("eval", ["strategy=vlash"])[0]


@pytest.mark.parametrize("group, old", [(group, old) for group, names in CHOICES.items() for old in names])
def test_a_choice_with_its_old_name_is_refused_with_its_new_one_which_there_is(
    group: str, old: str, rollahead: Command
) -> None:
    new = CHOICES[group][old]
    assert (
        refusal(rollahead("run", f"{group}={old}"), "run") == f"{group}={old} is called {group}={new} now; write that"
    )
    assert new in members(group)


FORMS = {  # other ways to write an option, and a part of the sentence
    "+planner=wave": "planner=sine now",
    "roller=still,robot": "roller=none,robot now",
    "~strategy.decay": "write strategy.ensemble.decay",
    "--planner.hurries=true": "write planner.deadline_aware=true",
}


@pytest.mark.parametrize("written", FORMS)
def test_an_old_name_is_found_in_every_form_of_an_option(written: str) -> None:
    assert FORMS[written] in (renamed(written) or "")


MOVED = {  # what was written, and what is to be written now
    "calibrate": "identify",
    "calibrate robot=loopback share=0.03": "identify robot=loopback share=0.03",
    "calibrate run=runs/old": "identify run=runs/old",
    "calibrate --help": "identify --help",
    "calibrate latency=fixed latency.ticks=8 warm=false": "recommend latency=fixed latency.ticks=8",
    "calibrate planner=flow task=belt": "recommend planner=flow task=belt",
    "calibrate planner=flow warm=true inferences=9": "tune planner=flow inferences=9",
    "calibrate planner=diffusion warm=True workers=4": "tune planner=diffusion",
    "calibrate planner=wave": "recommend planner=sine",
    "calibrate latency=null planner=null": "identify",
    "train policy=a2c2 demonstrations.wander=0 offsets=0": "train-corrector demonstrations.exploration_ticks=0",
    "train policy=a2c2 policy.base=mole_flow policy.strays=0 seed=3": (
        "train-corrector corrector.base=mole_flow corrector.negative_fraction=0 seed=3"
    ),
    "train policy=a2c2 policy.sight=3": "train-corrector corrector.image_age=3",
}


@pytest.mark.parametrize("written", MOVED)
def test_a_command_that_was_split_is_refused_with_the_new_one_written_out(written: str, rollahead: Command) -> None:
    command, *arguments = written.split()
    said = refusal(rollahead(command, *arguments), command)
    assert said.endswith(f"; write rollahead {MOVED[written]}")
    assert MOVED[written].split()[0] in COMMANDS
