"""`rollahead.load_policy`."""

from pathlib import Path

import pytest

from rollahead import ConfigError, load_policy
from rollahead.policies.checkpoints.shipped import FOLDER


def test_a_policy_is_loaded_by_its_name_or_its_folder() -> None:
    by_name, by_folder = load_policy("mole_flow"), load_policy(FOLDER / "mole_flow")
    assert by_name.spec == by_folder.spec
    assert by_name.spec.horizon == 32
    assert by_name.checkpoint.folder == by_folder.checkpoint.folder


def test_a_damaged_policy_is_refused_when_it_is_loaded(tmp_path: Path) -> None:
    for file in (FOLDER / "mole_flow").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-9])
    with pytest.raises(ConfigError, match=r"model.safetensors is damaged or was not written to its end"):
        load_policy(tmp_path)


def test_what_is_no_policy_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ConfigError, match=r"there is no checkpoint 'mole_flo'; give the folder of one.*mole_flow"):
        load_policy("mole_flo")
