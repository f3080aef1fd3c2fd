"""`rollahead train policy=a2c2`, from demonstrations to a head that `eval` takes."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from rollahead.runtime.corrector import read_head

from .conftest import Ran, refusal

Command = Callable[..., Ran]
SMALL = (
    "task=mole",
    "policy=a2c2",
    "policy.width=8",
    "policy.every=12",
    "demonstrations.count=20",
    "demonstrations.ticks=30",
    "training.steps=20",
    "training.batch=32",
    "evaluation.delays=[8]",
    "evaluation.episodes=2",
    "name=mine",
    "workers=1",
)
REFUSED = {
    "no such base": (["policy.base=mole_flaw"], "no checkpoint 'mole_flaw'"),
    "an option": (["policy.wide=3"], "did you mean 'policy.width'"),
    "a size": (["policy.width=0"], "too small; give sizes of at least 1"),
    "a sampler of others": (["sampler=ddim"], "sampler=ddim needs a policy that denoises by diffusion"),
}


def test_a_head_is_trained_evaluated_beside_its_base_and_taken_by_eval(rollahead: Command) -> None:
    ran = rollahead("train", *SMALL)
    assert (ran.status, ran.err) == (0, "")
    assert "of the residuals of demonstrations held out" in ran.out
    said = json.loads(Path("runs/mine/summary.json").read_text())
    assert [bool(cell["strategy"]["corrector"]) for cell in said["cells"]] == [False, True]
    assert 0 < said["head"]["left"] < 2
    assert read_head("runs/mine/head.npz").card.base == "mole_flow"
    played = rollahead(
        "eval", "planner=flow", "strategy.corrector=runs/mine/head.npz", "episodes=2", "reactions=false", "name=played"
    )
    assert (played.status, played.err) == (0, "")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_and_leaves_nothing(name: str, rollahead: Command) -> None:
    arguments, words = REFUSED[name]
    assert words in refusal(rollahead("train", *SMALL, *arguments), "train")
    assert not Path("runs/mine").exists()


def test_a_corrector_that_is_none_is_refused_before_anything_is_played(rollahead: Command) -> None:
    said = refusal(rollahead("eval", "strategy.corrector=gone.npz", "name=mine"), "eval")
    assert "there is no corrector at gone.npz" in said
