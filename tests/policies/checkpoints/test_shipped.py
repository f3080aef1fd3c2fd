"""The checkpoints that come with rollahead."""

from pathlib import Path

import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.card import read_card
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.checkpoints.shipped import FOLDER, find, names

TASKS = ("belt", "interception", "mole")
MOST_BYTES = 5_000_000


def test_there_is_a_flow_and_a_diffusion_policy_for_each_task() -> None:
    assert names() == sorted(f"{task}_{policy}" for task in TASKS for policy in ("flow", "diffusion"))


@every("name", [f"{task}_{policy}" for task in TASKS for policy in ("flow", "diffusion")])
def test_each_is_whole_small_trained_with_offsets_and_says_how_it_does(name: str) -> None:
    folder = find(name)
    card = read_card(folder)
    assert card is not None
    assert card.task["name"] == name.split("_")[0]
    assert card.trained.offsets == 12
    assert card.trained.prefixes == (8 if name.endswith("flow") else 0)
    assert load_policy(folder).spec.action == card.action
    assert (folder / "evaluation.json").exists()
    assert sum(file.stat().st_size for file in folder.iterdir()) < MOST_BYTES


def test_a_folder_is_taken_as_it_is_and_a_name_that_is_neither_is_refused_with_those_that_there_are(
    tmp_path: Path,
) -> None:
    assert find(str(tmp_path)) == tmp_path
    assert find("mole_flow") == FOLDER / "mole_flow"
    with pytest.raises(
        ConfigError, match=r"no checkpoint 'mole_flaw'.*use planner=scripted.*belt_diffusion, belt_flow"
    ):
        find("mole_flaw")
