import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.policy_parity import HORIZON, A, E, S, observe, ours, save_policy, theirs
from safetensors.torch import load_file, save_file

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.checkpoint import load_policy, read_checkpoint
from rollahead.policies.denoising.samplers import SampleRequest, make_sampler
from rollahead.policies.denoising.samplers.sampler import Free
from rollahead.policies.denoising.steering import RTCGuidance
from rollahead.policies.policy import EncoderInput
from rollahead.policies.process import Diffusion
from rollahead.runtime.types.messages import Observation

from ..fakes import draws


def bound(policy: Any, seen: list[Observation], delay: int = 0) -> Any:
    return policy.bind(policy.encode(EncoderInput.of(seen)), seen, delay)


def test_its_spec_says_what_the_checkpoint_takes_and_gives(seeing_folder: Path) -> None:
    policy = load_policy(seeing_folder)
    assert policy.spec.state == ("s_0", "s_1", "s_2") and policy.spec.action == ("a_0", "a_1", "a_2", "a_3")
    assert policy.spec.cameras == ("camera_0", "camera_1") and len(policy.spec.environment) == E
    assert (policy.spec.n_obs, policy.spec.horizon, policy.spec.rate_hz) == (2, HORIZON - 1, 50.0)
    assert policy.spec.state_in == "bind"
    assert policy.shape == (HORIZON, A)
    assert policy.name == "LeRobot's Diffusion Policy"


@pytest.mark.parametrize(
    ("options", "prediction", "clip", "steps"),
    [
        ({}, "epsilon", 1.0, 100),
        ({"prediction_type": "sample", "clip_sample_range": 2.0}, "sample", 2.0, 100),
        ({"clip_sample": False, "num_train_timesteps": 7}, "epsilon", None, 7),
    ],
)
def test_its_process_is_that_of_its_scheduler(
    options: dict[str, Any], prediction: str, clip: float | None, steps: int, tmp_path: Path
) -> None:
    process = load_policy(save_policy(tmp_path / "checkpoint", "diffusion", **options)).process  # type: ignore[attr-defined]
    assert isinstance(process, Diffusion)
    assert (process.prediction, process.clip, process.steps) == (prediction, clip, steps)
    assert bool((process.abar.diff() < 0).all())


def test_rows_of_the_past_are_dropped_and_the_rest_is_in_robot_units(diffusion_folder: Path) -> None:
    policy = load_policy(diffusion_folder)
    chunk = draws(HORIZON, A)()
    rows = policy.rows(chunk)
    assert rows.shape == (HORIZON - 1, A) and rows.dtype == np.float64 and not rows.flags.writeable
    scaled = (rows - rows.mean(0)) / np.ptp(rows, 0)
    expected = chunk.double().numpy()[1:]
    np.testing.assert_allclose(scaled[:, 1:], ((expected - expected.mean(0)) / np.ptp(expected, 0))[:, 1:], atol=1e-5)


def test_many_chunks_are_denoised_at_once_as_one_by_one(diffusion_folder: Path) -> None:
    policy: Any = load_policy(diffusion_folder)
    context, x = bound(policy, observe(2, 0)), draws(3, HORIZON, A)()
    t = torch.tensor([3, 50, 99])
    together = policy.denoise(context, x, t)
    apart = torch.cat([policy.denoise(context, x[i : i + 1], t[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, apart, rtol=0, atol=1e-5)


def test_a_frame_that_was_seen_before_gives_the_same_chunk(seeing_folder: Path) -> None:
    seen = observe(3, 2)
    fresh, used = load_policy(seeing_folder), load_policy(seeing_folder)
    bound(used, seen[:2])  # so that the second frame is known
    chunks = [
        make_sampler({"name": "auto"}, policy)(policy, bound(policy, seen[1:]), draws(1, HORIZON, A)).chunks
        for policy in (fresh, used)
    ]
    assert (chunks[0] - chunks[1]).abs().max() <= 1e-5


def test_binding_again_keeps_what_was_seen_and_changes_the_state(diffusion_folder: Path) -> None:
    policy: Any = load_policy(diffusion_folder)
    first, second = observe(4, 0)[:2], observe(4, 0)[2:]
    context = policy.encode(EncoderInput([{}, {}], [{}, {}]))
    once, _, again = (policy.bind(context, seen, 0) for seen in (first, second, first))
    assert torch.equal(once.condition, again.condition)
    assert not torch.equal(once.condition, policy.bind(context, second, 0).condition)
    assert once.condition.shape == (1, 2 * (S + E))


def test_a_policy_that_is_told_the_delay_asks_no_robot_for_it(told_folder: Path) -> None:
    policy: Any = load_policy(told_folder)
    assert policy.spec.environment == ("e_0", "e_1")
    assert policy.trained.offsets == 7 and policy.trained.delay_input
    seen = observe(1, 0)
    conditions = [bound(policy, seen, delay).condition for delay in (0, 3, 7, 50)]
    assert not torch.equal(conditions[0], conditions[1]) and torch.equal(conditions[2], conditions[3])
    assert torch.equal(conditions[0][:, :-1], conditions[1][:, :-1])


def test_nothing_of_the_network_is_trained_any_more(diffusion_folder: Path) -> None:
    policy: Any = load_policy(diffusion_folder)
    assert not policy._model.training
    assert not any(parameter.requires_grad for parameter in policy._model.parameters())


def test_it_serves_no_sampler_of_flows(diffusion_folder: Path) -> None:
    with pytest.raises(
        ConfigError, match="sampler=euler needs a policy that denoises by flow matching, and LeRobot's D"
    ):
        make_sampler({"name": "euler"}, load_policy(diffusion_folder))


def test_compiled_weights_are_taken_as_what_they_are(diffusion_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(diffusion_folder, tmp_path / "compiled"))
    tensors = load_file(folder / "model.safetensors")
    renamed = {name.replace("diffusion.unet.", "diffusion.unet._orig_mod."): each for name, each in tensors.items()}
    save_file(renamed, folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "compile_model": True}))
    plain, compiled = load_policy(diffusion_folder), load_policy(folder)
    seen, x, t = observe(2, 0), draws(1, HORIZON, A)(), torch.tensor([50])
    assert torch.equal(plain.denoise(bound(plain, seen), x, t), compiled.denoise(bound(compiled, seen), x, t))  # type: ignore[attr-defined]


def test_weights_of_imagenet_are_not_asked_for(seeing_folder: Path, tmp_path: Path) -> None:
    """LeRobot would download them, and overwrite them with those of the checkpoint."""
    folder = Path(shutil.copytree(seeing_folder, tmp_path / "pretrained"))
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_backbone_weights"] = "ResNet18_Weights.IMAGENET1K_V1"
    (folder / "config.json").write_text(json.dumps(config))
    load_policy(folder)


def test_guidance_goes_back_through_the_network_to_a_policy_that_sees_images(seeing_folder: Path) -> None:
    policy: Any = load_policy(seeing_folder)
    context = bound(policy, observe(2, 2))
    sampler = make_sampler({"name": "ddim", "steps": 3}, policy)
    target, weights = torch.zeros(policy.shape), torch.ones(policy.shape[0], 1)
    steering = RTCGuidance(target, weights, 5.0, policy.process, full=True)
    noise = draws(1, *policy.shape)()
    with torch.no_grad():
        made = [
            sampler(policy, context, lambda: noise.clone(), SampleRequest(steering=each)).chunks
            for each in (steering, Free())
        ]
    assert made[0].square().mean() < made[1].square().mean()


def test_a_camera_of_another_size_is_resized_if_the_checkpoint_was_trained_so(tmp_path: Path) -> None:
    folder = save_policy(
        tmp_path, "diffusion", cameras=1, resize_shape=(32, 32), noise_scheduler_type="DDIM", num_inference_steps=4
    )
    read = read_checkpoint(folder)
    assert read.resizes_images and read.camera_sizes == {}
    seen = observe(1, 1)
    large = np.kron(seen[0].images["camera_0"], np.ones((2, 3, 1), np.uint8))
    object.__setattr__(seen[0], "images", {"camera_0": large})
    start = draws(1, HORIZON, A, seed=3)()[0]
    sampler = {"name": "ddim", "steps": 4, "spacing": "leading"}
    assert float(np.abs(ours(folder, sampler, seen, start) - theirs(folder, "diffusion", seen, start)).max()) == 0.0
