"""`rollahead tune`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from rollahead.policies.checkpoints.shipped import find

from .conftest import Ran, refusal

Command = Callable[..., Ran]
SMALL = ("inferences=6", "name=mine")
REFUSED = {
    "no policy": (["planner=scripted"], "give planner=policy with its checkpoint"),
    "no planner": ([], "give planner=policy with its checkpoint"),
    "no inferences": (["planner=flow", "inferences=0"], "inferences is 0; give at least 1"),
    "an option": (["planner=flow", "inference=3"], "did you mean 'inferences'"),
    "a warm sampler": (["planner=flow", "sampler=rti"], "from a sampler of cold starts; leave rti out"),
}


def test_a_policy_that_comes_with_it_is_measured_and_left_as_it_is(rollahead: Command) -> None:
    before = sorted(path.name for path in find("mole_flow").iterdir())
    ran = rollahead("tune", "planner=flow", *SMALL)
    assert (ran.status, ran.err) == (0, "")
    assert "6 requests; two cold starts differ by" in ran.out
    said = json.loads(Path("runs/mine/rti.json").read_text())
    assert said["requests"] == 6
    assert len(said["tried"]) == 21
    assert sorted(path.name for path in find("mole_flow").iterdir()) == before


def test_beside_ones_own_checkpoint_it_is_found_by_the_next_warm_start(rollahead: Command, tmp_path: Path) -> None:
    own = Path(shutil.copytree(find("mole_flow"), tmp_path / "own"))
    planner = ("planner=policy", f"planner.checkpoint={own}")
    assert rollahead("tune", *planner, *SMALL).status == 0
    said = json.loads((own / "rti.json").read_text())
    assert said["chosen"] is not None
    played = rollahead("eval", *planner, "sampler=rti", "episodes=2", "reactions=false", "name=played")
    assert (played.status, played.err) == (0, "")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_and_leaves_nothing(name: str, rollahead: Command) -> None:
    arguments, words = REFUSED[name]
    assert words in refusal(rollahead("tune", *SMALL, *arguments), "tune")
    assert not Path("runs/mine").exists()


@pytest.mark.parametrize("horizon", [1, 2, 8])
def test_chunks_that_are_short_are_asked_for_as_often_as_they_overlap(
    horizon: int, rollahead: Command, tmp_path: Path
) -> None:
    small = ("policy.width=8", "policy.depth=1", f"policy.horizon={horizon}", "offsets=0", "delay_input=false")
    few = ("demonstrations.count=2", "demonstrations.ticks=20", "training.steps=1", "training.batch=4", "workers=1")
    played = ("watch.episodes=1", "evaluation.episodes=1", "evaluation.delays=[0]")
    assert rollahead("train", "task=mole", "policy=flow", *small, *few, *played, "name=short").status == 0
    given = ("planner=policy", "planner.checkpoint=runs/short/checkpoint")
    if horizon == 1:
        assert "are over when the next is made" in refusal(rollahead("tune", *given, *SMALL), "tune")
        return
    ran = rollahead("tune", *given, *SMALL)
    assert (ran.status, ran.err) == (0, "")
    assert "6 requests" in ran.out
