import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.policy_parity import HORIZON, A, noise_after, observe, save_policy
from safetensors.torch import load_file, save_file

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.card import CARD
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.lerobot.old_config import modern
from rollahead.policies.policy import EncoderInput
from rollahead.runtime.types.arrays import FloatArray

from .old_layout import as_before_0_2, as_before_0_4

OPTIONS: dict[str, dict[str, Any]] = {
    "diffusion": {"n_obs_steps": 2, "use_separate_rgb_encoder_per_camera": False},
    "act": {},
}


def rows(folder: Path) -> FloatArray:
    policy = load_policy(folder, device="cpu")
    seen = observe(policy.spec.n_obs, len(policy.spec.cameras))
    context = policy.bind(policy.encode(EncoderInput.of(seen)), seen, 0)
    drawn = make_sampler({"name": "auto"}, policy)(policy, context, noise_after(torch.zeros(HORIZON, A)))
    return policy.rows(drawn.chunks[0])


@pytest.fixture(scope="module", params=["diffusion", "act"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp(request.param) / "checkpoint"
    return save_policy(made, request.param, cameras=2, **OPTIONS[request.param])


@pytest.mark.parametrize("layout", [as_before_0_4, as_before_0_2])
def test_an_old_checkpoint_gives_the_same_actions_to_the_bit(
    folder: Path, layout: Callable[[Path], Path], tmp_path: Path
) -> None:
    old = layout(Path(shutil.copytree(folder, tmp_path / "old")))
    assert not list(old.glob("policy_*"))
    assert any(name.startswith("normalize_inputs.") for name in load_file(old / "model.safetensors"))
    expected = rows(folder)
    assert abs(rows(old) - expected).max() == 0.0
    statistics = load_file(old / "model.safetensors")
    statistics["unnormalize_outputs.buffer_action." + ("max" if "diffusion" in str(folder) else "std")] += 1.0
    save_file(statistics, old / "model.safetensors")
    assert abs(rows(old) - expected).max() > 0.1, "and they are of these statistics"


def test_the_names_of_an_old_checkpoint_are_those_of_its_data_set(diffusion_folder: Path, tmp_path: Path) -> None:
    old = as_before_0_2(Path(shutil.copytree(diffusion_folder, tmp_path / "old")))
    (old / CARD).unlink()
    names = {"observation.state": "s", "observation.environment_state": "e", "action": "a"}
    sizes = dict(zip(names, (3, 2, 4), strict=True))
    features = {key: {"names": [f"{names[key]}_{i}" for i in range(n)]} for key, n in sizes.items()}
    (tmp_path / "data/meta").mkdir(parents=True)
    (tmp_path / "data/meta/info.json").write_text(json.dumps({"fps": 30, "features": features}))
    spec = load_policy(old, dataset=tmp_path / "data", device="cpu").spec
    assert (spec.state, spec.action, spec.rate_hz) == (("s_0", "s_1", "s_2"), ("a_0", "a_1", "a_2", "a_3"), 30.0)


def test_statistics_that_training_never_filled_are_refused(diffusion_folder: Path, tmp_path: Path) -> None:
    """LeRobot made them infinite, until the statistics of a data set were loaded."""
    old = as_before_0_4(Path(shutil.copytree(diffusion_folder, tmp_path / "old")))
    weights = load_file(old / "model.safetensors")
    weights["normalize_inputs.buffer_observation_state.min"].fill_(float("inf"))
    save_file(weights, old / "model.safetensors")
    with pytest.raises(ConfigError, match=r"the min of observation\.state in .*model\.safetensors is \[inf"):
        load_policy(old, device="cpu")


def test_statistics_without_a_word_on_how_they_are_used_are_refused(diffusion_folder: Path, tmp_path: Path) -> None:
    old = as_before_0_4(Path(shutil.copytree(diffusion_folder, tmp_path / "old")))
    config = json.loads((old / "config.json").read_text())
    del config["normalization_mapping"]
    (old / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=r"has statistics, and config\.json no normalization_mapping"):
        load_policy(old, device="cpu")


def test_a_configuration_of_today_is_left_as_it_is(diffusion_folder: Path) -> None:
    config = json.loads((diffusion_folder / "config.json").read_text())
    assert modern(config) == config


def test_features_of_one_kind_that_are_normalised_in_two_ways_are_refused_with_both() -> None:
    modes = {"observation.images.a": "mean_std", "observation.images.b": "min_max"}
    with pytest.raises(
        ConfigError, match=r"normalises VISUAL features by MEAN_STD and by MIN_MAX \(observation\.image"
    ):
        modern({"type": "act", "input_normalization_modes": modes})
