import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.policy_parity import A, E, S, as_lerobot, observe
from safetensors.torch import load_file, save_file

from rollahead.errors import ConfigError
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.lerobot.normalise import Normalisers
from rollahead.policies.lerobot.processors import (
    HARMLESS,
    POSTPROCESSOR,
    PREPROCESSOR,
    RENAMER,
    read_normalisers,
    renamed_features,
    state_statistics,
)

SIZES = {STATE: S, ENVIRONMENT: E, ACTION: A}


def read(folder: Path, sizes: dict[str, int] = SIZES) -> Normalisers:
    return read_normalisers(folder, sizes, json.loads((folder / "config.json").read_text()))


def edit(folder: Path, file: str, change: Callable[[dict[str, Any]], object]) -> None:
    """Changes the step of `file` that normalises."""
    written = json.loads((folder / file).read_text())
    change(next(step for step in written["steps"] if "normalizer" in step["registry_name"]))
    (folder / file).write_text(json.dumps(written))


def add(folder: Path, file: str, step: dict[str, Any]) -> None:
    written = json.loads((folder / file).read_text())
    written["steps"].insert(1, step)
    (folder / file).write_text(json.dumps(written))


@pytest.fixture
def folder(diffusion_folder: Path, tmp_path: Path) -> Path:
    """A checkpoint to break."""
    return Path(shutil.copytree(diffusion_folder, tmp_path / "broken"))


def refused(folder: Path, sizes: dict[str, int] = SIZES) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, sizes)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["diffusion_folder", "seeing_folder", "told_folder", "act_folder"])
def test_a_checkpoint_is_normalised_as_by_lerobots_own_pipelines(name: str, request: pytest.FixtureRequest) -> None:
    folder = request.getfixturevalue(name)
    config = json.loads((folder / "config.json").read_text())
    sizes = {key: each["shape"][0] for key, each in (config["input_features"] | config["output_features"]).items()}
    made = read(folder, sizes)
    policy_config = compat.PreTrainedConfig.from_pretrained(folder)
    before, after = compat.make_pre_post_processors(policy_config, pretrained_path=str(folder))
    cameras = sum("images" in key for key in sizes)
    seen = as_lerobot(observe(1, cameras, sizes.get(ENVIRONMENT, 0))[0])
    expected = before(dict(seen))
    assert set(made.inputs) == set(seen) == set(sizes) - {ACTION}
    for key, raw in seen.items():
        assert (made.inputs[key].normalise(raw) - expected[key][0]).abs().max() <= 1e-6
    chunk = torch.randn(16, A, generator=torch.Generator().manual_seed(0))
    assert (made.action.unnormalise(chunk) - after(chunk)).abs().max() <= 1e-6


@pytest.mark.parametrize("file", [PREPROCESSOR, POSTPROCESSOR])
def test_a_missing_file_is_named_with_the_remedy(folder: Path, file: str) -> None:
    (folder / file).unlink()
    assert f"the checkpoint has no {folder / file}, which says how" in refused(folder)
    assert "make_pre_post_processors" in refused(folder)


@pytest.mark.parametrize("file", [PREPROCESSOR, POSTPROCESSOR])
@pytest.mark.parametrize("text", ["", '{"steps": [', "[]", "{}", '{"steps": 3}', '{"steps": [{}]}', '{"steps": [3]}'])
def test_a_damaged_file_is_named(folder: Path, file: str, text: str) -> None:
    (folder / file).write_text(text)
    assert refused(folder).startswith(f"{folder / file} cannot be read (")


@pytest.mark.parametrize("file", [PREPROCESSOR, POSTPROCESSOR])
def test_a_step_that_would_change_numbers_is_refused_by_name(folder: Path, file: str) -> None:
    add(folder, file, {"registry_name": "libero_processor", "config": {}})
    assert f"{folder / file} has a step 'libero_processor', which changes numbers" in refused(folder)


def test_a_step_of_somebodys_own_is_refused_by_its_class(folder: Path) -> None:
    add(folder, PREPROCESSOR, {"class": "somebody.steps.Double"})
    assert "has a step 'somebody.steps.Double'" in refused(folder)


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_steps_that_change_no_number_are_let_through(folder: Path, name: str) -> None:
    add(folder, PREPROCESSOR, {"registry_name": name, "config": {}})
    read(folder)


@pytest.mark.parametrize("name", ["relative_actions_processor", "absolute_actions_processor"])
def test_relative_actions_are_refused_only_where_they_are_on(folder: Path, name: str) -> None:
    add(folder, POSTPROCESSOR, {"registry_name": name, "config": {"enabled": False}})
    read(folder)
    add(folder, POSTPROCESSOR, {"registry_name": name, "config": {"enabled": True}})
    assert f"has a step {name!r}" in refused(folder)


def test_two_normalising_steps_are_refused(folder: Path) -> None:
    add(folder, PREPROCESSOR, {"registry_name": "normalizer_processor"})
    assert "has 2 steps 'normalizer_processor'" in refused(folder)


@pytest.mark.parametrize(("file", "key"), [(PREPROCESSOR, STATE), (PREPROCESSOR, ENVIRONMENT), (POSTPROCESSOR, ACTION)])
def test_a_feature_without_statistics_is_named(folder: Path, file: str, key: str) -> None:
    edit(folder, file, lambda step: step["config"]["norm_map"].update(STATE="MEAN_STD", ENV="MEAN_STD"))
    step = next(step for step in json.loads((folder / file).read_text())["steps"] if "state_file" in step)
    state = folder / step["state_file"]
    save_file({name: each for name, each in load_file(state).items() if not name.startswith(key + ".")}, state)
    said = refused(folder)
    assert said.startswith(f"{key} in {folder / file} is normalised by ") and "has no " in said
    assert "set its mode to IDENTITY" in said


def test_no_statistics_at_all_is_the_same(folder: Path) -> None:
    edit(folder, PREPROCESSOR, lambda step: step.pop("state_file"))
    assert f"{STATE} in {folder / PREPROCESSOR} is normalised by MIN_MAX and has no min and max" in refused(folder)


def test_a_feature_that_is_not_normalised_needs_none(folder: Path) -> None:
    edit(folder, PREPROCESSOR, lambda step: step.pop("state_file"))
    edit(folder, PREPROCESSOR, lambda step: step["config"].update(norm_map={"STATE": "IDENTITY"}))
    x = torch.randn(2, S)
    assert torch.equal(read(folder).inputs[STATE].normalise(x), x)


def test_only_the_observations_that_a_step_lists_are_normalised(folder: Path) -> None:
    edit(folder, PREPROCESSOR, lambda step: step["config"].update(norm_map={"STATE": "MEAN_STD", "ENV": "MEAN_STD"}))
    edit(folder, PREPROCESSOR, lambda step: step["config"].update(normalize_observation_keys=[STATE]))
    inputs = read(folder).inputs
    assert inputs[ENVIRONMENT].normalise(torch.full((E,), 0.7)).tolist() == pytest.approx([0.7] * E)
    assert inputs[STATE].normalise(torch.full((S,), 0.7)).tolist() != pytest.approx([0.7] * S)


def test_a_step_has_its_own_eps(folder: Path) -> None:
    edit(folder, PREPROCESSOR, lambda step: step["config"].update(norm_map={"STATE": "MEAN_STD"}, eps=5.0))
    made = read(folder).inputs[STATE]
    torch.testing.assert_close(made.scale, made.gain + 5.0)


def test_a_missing_or_damaged_file_of_statistics_is_named(folder: Path) -> None:
    state = next(folder.glob("policy_preprocessor_step_*.safetensors"))
    state.write_bytes(state.read_bytes()[:-8])
    assert f"{state}, the statistics that {folder / PREPROCESSOR} names, cannot be read" in refused(folder)
    state.unlink()
    assert f"{state}, the statistics that {folder / PREPROCESSOR} names, cannot be read" in refused(folder)


def test_a_mode_that_is_not_known_is_refused(folder: Path) -> None:
    edit(folder, POSTPROCESSOR, lambda step: step["config"]["norm_map"].update(ACTION="MEAN_STDD"))
    assert f"there is no normalisation of {ACTION} in {folder / POSTPROCESSOR} 'MEAN_STDD'" in refused(folder)


def test_statistics_of_another_size_are_refused_with_both_numbers(folder: Path) -> None:
    said = refused(folder, {**SIZES, ACTION: 7})
    assert f"{folder / POSTPROCESSOR} has statistics of {A} numbers for 'action', and the policy has 7" in said


def test_a_feature_that_the_step_does_not_list_is_refused(folder: Path) -> None:
    assert "has no feature 'observation.images.top'" in refused(folder, {**SIZES, "observation.images.top": 3})


def test_statistics_of_one_number_are_not_those_of_four(folder: Path) -> None:
    for state in folder.glob("policy_postprocessor*.safetensors"):
        save_file({name: each[:1].clone() for name, each in load_file(state).items()}, state)
    assert f"{folder / POSTPROCESSOR} has statistics of 1 numbers for 'action', and the policy has {A}" in refused(
        folder
    )


def test_features_that_were_renamed_for_training_are_read(folder: Path) -> None:
    assert renamed_features(folder) == {}
    written = json.loads((folder / PREPROCESSOR).read_text())
    renamed = {"observation.joints": STATE, ENVIRONMENT: ENVIRONMENT}
    next(step for step in written["steps"] if step["registry_name"] == RENAMER)["config"] = {"rename_map": renamed}
    (folder / PREPROCESSOR).write_text(json.dumps(written))
    assert renamed_features(folder) == {"observation.joints": STATE}
    (folder / PREPROCESSOR).unlink()
    assert renamed_features(folder) == {}, "an old checkpoint has none"


def test_the_statistics_of_the_state_are_those_of_the_preprocessor(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    statistics = state_statistics(folder, config)
    assert {"mean", "std", "min", "max"} <= set(statistics)
    assert torch.as_tensor(statistics["mean"]).shape == (S,)


MALFORMED: dict[str, dict[str, Any]] = {  # what a step may have instead of what LeRobot writes
    "no options": {"config": None},
    "features in a list": {"config": {"features": []}},
    "no modes": {"config": {"norm_map": None}},
    "modes that are lists": {"config": {"norm_map": {"STATE": [], "ENV": [], "ACTION": []}}},
    "an eps that is a text": {"config": {"eps": "small"}},
    "an eps below zero": {"config": {"eps": -1.0}},
    "a file that is a number": {"state_file": 3},
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_processor_is_one_sentence(name: str, folder: Path) -> None:
    def change(step: dict[str, Any]) -> None:
        for key, value in MALFORMED[name].items():
            step[key] = {**step[key], **value} if isinstance(value, dict) else value

    edit(folder, PREPROCESSOR, change)
    assert str(folder) in refused(folder)


def test_a_renaming_that_is_no_mapping_is_one_sentence(folder: Path) -> None:
    add(folder, PREPROCESSOR, {"registry_name": RENAMER, "config": {"rename_map": "front"}})
    with pytest.raises(ConfigError, match=r"the processors in .* are not as LeRobot writes them"):
        renamed_features(folder)
