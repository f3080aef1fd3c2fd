import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.policy_parity import HORIZON, A, observe, save_policy

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.policy import EncoderInput

from ..fakes import draws


def test_its_spec_says_what_the_checkpoint_takes_and_gives(act_folder: Path) -> None:
    policy = load_policy(act_folder)
    assert policy.spec.cameras == ("camera_0", "camera_1") and policy.spec.environment == ("e_0", "e_1")
    assert (policy.spec.n_obs, policy.spec.horizon, policy.shape) == (1, HORIZON, (HORIZON, A))
    assert policy.name == "LeRobot's ACT"


def test_a_chunk_is_all_there_as_rows_in_robot_units(act_folder: Path) -> None:
    policy: Any = load_policy(act_folder)
    seen = observe(1, 2)
    chunk = policy.act(policy.bind(policy.encode(EncoderInput.of(seen[:1])), seen, 0))
    assert chunk.shape == (HORIZON, A)
    rows = policy.rows(chunk)
    assert rows.shape == (HORIZON, A) and rows.dtype == np.float64 and not rows.flags.writeable


def test_the_backbone_runs_before_the_state_is_bound_and_only_once_a_frame(act_folder: Path) -> None:
    policy: Any = load_policy(act_folder)
    calls: list[int] = []
    for key, encode in policy._vision._encoders.items():
        policy._vision._encoders[key] = lambda image, encode=encode: calls.append(len(image)) or encode(image)
    first, second = observe(1, 2), observe(2, 2)[1:]
    context = policy.encode(EncoderInput.of(first[:1]))
    assert calls == [1, 1]
    chunks = [policy.act(policy.bind(context, seen, 0)) for seen in (first, second)]
    policy.encode(EncoderInput.of(first[:1]))
    assert calls == [1, 1]
    assert not torch.equal(chunks[0], chunks[1])


def test_only_the_newest_observation_counts(act_folder: Path) -> None:
    policy: Any = load_policy(act_folder)
    older, newest = observe(2, 2)
    long = policy.bind(policy.encode(EncoderInput.of([older, newest])), [older, newest], 0)
    short = policy.bind(policy.encode(EncoderInput.of([newest])), [newest], 0)
    assert torch.equal(policy.act(long), policy.act(short))


@pytest.mark.parametrize("name", ["ddpm", "ddim", "euler"])
def test_a_sampler_that_denoises_is_refused(act_folder: Path, name: str) -> None:
    policy = load_policy(act_folder)
    with pytest.raises(
        ConfigError, match=f"sampler={name} needs a policy that denoises by .*, and LeRobot's ACT makes"
    ):
        make_sampler({"name": name}, policy)
    assert make_sampler({"name": "auto"}, policy).calls == 1


def test_lerobots_own_ensembling_is_left_out(tmp_path: Path) -> None:
    folder = save_policy(tmp_path / "checkpoint", "act", n_action_steps=1, temporal_ensemble_coeff=0.01)
    policy: Any = load_policy(folder)
    assert policy.spec.horizon == HORIZON
    seen = observe(1, 0)
    context = policy.bind(policy.encode(EncoderInput([{}], [{}])), seen, 0)
    sampler = make_sampler({"name": "one_shot"}, policy)
    assert torch.equal(*(sampler(policy, context, draws()).chunks for _ in range(2)))


def test_weights_of_imagenet_are_not_asked_for(act_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(act_folder, tmp_path / "pretrained"))
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_backbone_weights"] = "ResNet18_Weights.IMAGENET1K_V1"
    (folder / "config.json").write_text(json.dumps(config))
    load_policy(folder)
