"""`rollahead train-corrector`, from demonstrations to a head that `eval` takes."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rollahead.commands import train_corrector
from rollahead.policies.correctors.image_encoder import arrays_of, make_net, read_image_encoder
from rollahead.runtime.control.corrector import Head, HeadCard, read_head

from .conftest import Ran, refusal
from .test_train import SIDE, record_into, spec_of

Command = Callable[..., Ran]
SMALL = (
    "task=mole",
    "corrector.width=8",
    "corrector.every=12",
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
    "no such base": (["corrector.base=mole_flaw"], "no checkpoint 'mole_flaw'"),
    "an option": (["corrector.wide=3"], "did you mean 'corrector.width'"),
    "a size": (["corrector.width=0"], "corrector.width is 0; give at least 1"),
    "a lag": (["corrector.lag=1000"], "corrector.lag is 1000; give at most 5 ticks"),
    "a base": (["corrector.base=3"], "there is no checkpoint '3'; give the folder of one"),
    "a horizon": (["corrector.horizon=8"], "corrector.horizon"),
    "what a base is trained for": (
        ["offsets=3"],
        "offsets is an option of rollahead train, and not of train-corrector",
    ),
    "a scale": (["scale={vx: 0.5}"], "scale is an option of rollahead train, and not of train-corrector"),
    "images": (["corrector.image_age=3"], "corrector.image_age is of no use without corrector.cameras"),
    "a sampler of others": (["sampler=ddim"], "sampler=ddim needs a policy that denoises by diffusion"),
}


def test_a_head_for_late_sensors_is_played_with_late_sensors(rollahead: Command) -> None:
    assert rollahead("train-corrector", *SMALL, "corrector.lag=2").status == 0
    said = json.loads(Path("runs/mine/summary.json").read_text())
    assert [cell["lag"] for cell in said["cells"]] == [2, 2]


def test_a_head_does_not_learn_from_the_ticks_in_which_the_robot_wandered(
    rollahead: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads: list[int] = []
    stored = train_corrector.stored_chunks

    def noting(policy: Any, sampler: Any, frames: Any, config: Any, lead: int, seed: int) -> Any:
        leads.append(lead)
        return stored(policy, sampler, frames, config, lead, seed)

    monkeypatch.setattr(train_corrector, "stored_chunks", noting)
    assert rollahead("train-corrector", *SMALL, "demonstrations.exploration_ticks=9").status == 0
    assert leads == [9]


def test_a_head_is_trained_evaluated_beside_its_base_and_taken_by_eval(rollahead: Command) -> None:
    ran = rollahead("train-corrector", *SMALL)
    assert (ran.status, ran.err) == (0, "")
    assert "of the residuals of demonstrations held out" in ran.out
    said = json.loads(Path("runs/mine/summary.json").read_text())
    assert [bool(cell["strategy"]["corrector"]["path"]) for cell in said["cells"]] == [False, True]
    assert 0 < said["head"]["left"] < 2
    assert read_head("runs/mine/head.npz").card.base == "mole_flow"
    played = rollahead(
        "eval",
        "planner=flow",
        "strategy.corrector.path=runs/mine/head.npz",
        "episodes=2",
        "reactions=false",
        "name=played",
    )
    assert (played.status, played.err) == (0, "")


def test_a_head_that_takes_the_features_of_its_base_is_trained_and_played_with_it_and_with_no_other(
    rollahead: Command,
) -> None:
    ran = rollahead("train-corrector", *SMALL, "corrector.features=true", "corrector.negative_fraction=0")
    assert (ran.status, ran.err) == (0, "")
    assert read_head("runs/mine/head.npz").card.policy_features == 384
    headed = ("eval", "strategy.corrector.path=runs/mine/head.npz", "episodes=1", "reactions=false", "name=played")
    assert rollahead(*headed, "planner=flow").status == 0
    for planner, words in (
        ("planner=diffusion", "takes 384 features of its base policy, and .* gives 0; take the base that it was"),
        ("planner=scripted", "takes 384 features of its base policy, and this planner is none; use planner=policy"),
    ):
        assert re.search(words, refusal(rollahead(*headed, planner), "eval"))


def test_a_base_that_was_trained_on_told_states_is_refused(rollahead: Command) -> None:
    absolute = ("task=mole", "task.mode=absolute")
    small = ("demonstrations.count=6", "demonstrations.ticks=20", "watch.episodes=1", "evaluation.episodes=1")
    base = (*absolute, *NET, *FEW, *small, "evaluation.delays=[0]", "offset_state=told", "roller=told", "name=base")
    assert rollahead("train", *base).status == 0
    ran = rollahead("train-corrector", *SMALL, "task.mode=absolute", "corrector.base=runs/base/checkpoint")
    assert "was trained with offset_state=told" in refusal(ran, "train-corrector")


@pytest.mark.slow
@pytest.mark.parametrize("command", ["eval", "run"])
def test_a_policy_of_told_states_wants_their_roller_where_it_is_rolled(command: str, rollahead: Command) -> None:
    absolute = ("task=mole", "task.mode=absolute")
    small = ("demonstrations.count=6", "demonstrations.ticks=20", "watch.episodes=1", "evaluation.episodes=1")
    trained = (*absolute, *NET, *FEW, *small, "evaluation.delays=[0]", "offset_state=told", "roller=told", "name=base")
    assert rollahead("train", *trained).status == 0
    checkpoint = Path("runs/base/checkpoint").absolute()
    play = (command, *absolute, "planner=policy", f"planner.checkpoint={checkpoint}", "episodes=1", "seed=1000")
    words = "roller=robot gives it where the robot will be; use roller=told"
    short = ("strategy.s=4", "latency=fixed", "latency.ticks=2")
    assert words in refusal(rollahead(*play, "name=wrong", *short), command)
    assert rollahead(*play, "name=unrolled", "strategy=naive", *short).status == 0


# ---- heads that see images ------------------------------------------------------------------------------------------

NET = ("policy=flow", "policy.width=16", "policy.depth=1", "policy.horizon=8", "offsets=3")
FILMED = ("dataset=filmed", "corrector.width=8", "corrector.every=3", "corrector.cameras=[camera_1]")
FEW = ("training.steps=6", "training.batch=8", "workers=1")


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of a robot with two cameras."""
    return record_into(tmp_path_factory.mktemp("data") / "filmed", spec_of(0, 2))


def test_a_head_with_its_eye_is_trained_on_a_data_set_with_images_and_a_base_without(
    filmed: Path, rollahead: Command
) -> None:
    Path("filmed").symlink_to(filmed)
    assert rollahead("train", "dataset=filmed", "cameras=[]", *NET, *FEW, "watch.every=3", "name=base").status == 0
    ran = rollahead(
        "train-corrector", *FILMED, *FEW, "corrector.base=runs/base/checkpoint", "corrector.latent=4", "name=mine"
    )
    assert (ran.status, ran.err) == (0, "")
    card = read_head("runs/mine/head.npz").card
    assert (list(card.cameras), card.latent, card.image_age, card.horizon) == (["camera_1"], 4, 12, 8)
    assert read_image_encoder("runs/mine/head.npz")({"camera_1": np.zeros((SIDE, SIDE, 3), np.uint8)}).shape == (4,)
    assert json.loads(Path("runs/mine/summary.json").read_text())["cells"] == []


UNSEEN = {
    "a task": (["task=mole"], "corrector.cameras is for a data set with images, and simulated tasks have none"),
    "no data set": (["dataset=null"], "corrector.cameras is for a data set with images"),
    "no such camera": (["corrector.cameras=[top]"], "there is no camera 'top'; Known: camera_0, camera_1; give one"),
    "a camera of a policy": (["cameras=[camera_0]"], "cameras is an option of rollahead train, and not of"),
    "no number for them": (["corrector.latent=0"], "corrector.latent is 0; give at least 1"),
    "an evaluation of nothing": (["evaluation.episodes=3"], "evaluation.episodes is of no use without task=..."),
}


@pytest.mark.parametrize("name", UNSEEN)
def test_images_that_cannot_be_seen_are_refused_and_leave_nothing(name: str, filmed: Path, rollahead: Command) -> None:
    Path("filmed").symlink_to(filmed)
    arguments, words = UNSEEN[name]
    said = refusal(
        rollahead("train-corrector", *FILMED, "corrector.base=mole_flow", *arguments, "name=mine"), "train-corrector"
    )
    assert words in said
    assert not Path("runs/mine").exists()


def test_without_a_task_the_base_must_be_named(filmed: Path, rollahead: Command) -> None:
    Path("filmed").symlink_to(filmed)
    said = refusal(rollahead("train-corrector", *FILMED, "name=mine"), "train-corrector")
    assert "corrector.base must be given with dataset=" in said


def test_a_head_that_sees_images_is_for_a_robot_with_cameras_and_not_for_a_simulation(rollahead: Command) -> None:
    card = HeadCard((), (), (), 32, cameras=("top",), latent=2)
    corrector = Head(card, [(np.zeros((6, 0)), np.zeros(0))], np.zeros(6), np.ones(6), np.ones(0))
    corrector.save(Path("head.npz"), arrays_of(make_net(1, 2)))
    for command in (("eval",), ("run", "robot=loopback", "planner=sine", "planner.horizon=32")):
        said = refusal(rollahead(*command, "strategy.corrector.path=head.npz", "name=mine"), command[0])
        assert "there is no camera 'top'; Known: none" in said


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_and_leaves_nothing(name: str, rollahead: Command) -> None:
    arguments, words = REFUSED[name]
    assert words in refusal(rollahead("train-corrector", *SMALL, *arguments), "train-corrector")
    assert not Path("runs/mine").exists()


def test_a_corrector_that_is_none_is_refused_before_anything_is_played(rollahead: Command) -> None:
    said = refusal(rollahead("eval", "strategy.corrector.path=gone.npz", "name=mine"), "eval")
    assert "there is no corrector at gone.npz" in said
