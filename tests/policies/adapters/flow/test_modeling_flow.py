"""The flow policy in LeRobot's hands, against ours."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from every import every
from rollahead.policies.adapters.flow.configuration_flow import FlowConfig
from rollahead.policies.adapters.flow.modeling_flow import NOISE_ALONE, FlowPolicy, times
from rollahead.policies.adapters.flow.net import NETS
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.policy import EncoderInput, Trained
from rollahead.policies.process import PREDICTIONS
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import Observation

from ...trainers import flow_policy, random_frames, save_flow, sizes_of, stats_of

NOISE = torch.randn(8, 2, generator=torch.Generator().manual_seed(3))
SEEN = Observation(tick=0, state=frozen([1.0, 5.0, 2.5]), environment=frozen([4.0, 2.0]))
TOLD = Trained(offsets=6, delay_input=True)


def batch_of(seen: Observation, *told: int) -> dict[str, torch.Tensor]:
    """As LeRobot's pipelines take it; the delay is the environment's last number."""
    environment = np.append(seen.environment, told)
    return {
        STATE: torch.tensor(seen.state, dtype=torch.float32),
        ENVIRONMENT: torch.tensor(environment, dtype=torch.float32),
    }


def sent_by_lerobot(folder: Path, seen: Observation, *told: int) -> np.ndarray:
    """(H, A), by LeRobot's own way from a folder to actions."""
    config = compat.PreTrainedConfig.from_pretrained(folder)
    policy = FlowPolicy.from_pretrained(folder, config=config)
    before, after = compat.make_pre_post_processors(policy.config, pretrained_path=str(folder))
    rows = [after(policy.select_action(before(batch_of(seen, *told)), noise=NOISE[None])) for _ in range(8)]
    return torch.cat(rows).double().numpy()


def made_by_us(folder: Path, seen: Observation, delay: int = 0) -> np.ndarray:
    policy = load_policy(folder)
    context = policy.bind(policy.encode(EncoderInput([{}], [{}])), [seen], delay)
    drawn = make_sampler({"name": "euler", "steps": 5}, policy)(policy, context, lambda: NOISE[None])
    return policy.rows(drawn.chunks[0])


@pytest.mark.parametrize("variant, prediction", list(product(NETS, PREDICTIONS)))
def test_a_saved_policy_acts_in_lerobot_as_it_does_here(variant: str, prediction: str, tmp_path: Path) -> None:
    folder = save_flow(tmp_path / "saved", variant=variant, prediction=prediction)
    np.testing.assert_allclose(sent_by_lerobot(folder, SEEN), made_by_us(folder, SEEN), rtol=0, atol=1e-5)


@pytest.mark.parametrize("delay", [0, 1, 6])
def test_the_delay_is_the_last_number_of_lerobots_environment(delay: int, tmp_path: Path) -> None:
    folder = save_flow(tmp_path / "saved", TOLD)
    np.testing.assert_allclose(sent_by_lerobot(folder, SEEN, delay), made_by_us(folder, SEEN, delay), rtol=0, atol=1e-5)
    assert np.abs(made_by_us(folder, SEEN, 3) - made_by_us(folder, SEEN, delay)).max() > 1e-4


def test_lerobots_factory_finds_config_policy_and_processors_by_their_names() -> None:
    from lerobot.policies.factory import get_policy_class, make_policy_config

    sizes = sizes_of()
    config = make_policy_config(
        "rollahead_flow", input_features=sizes.inputs, output_features=sizes.outputs, device="cpu"
    )
    assert isinstance(config, FlowConfig)
    assert get_policy_class(config.type) is FlowPolicy
    stats = stats_of(
        {key: np.random.default_rng(0).standard_normal((9, n)) for key, n in {STATE: 3, ACTION: 2}.items()}
    )
    before, _ = compat.make_pre_post_processors(config, dataset_stats=stats)
    normalised = before(batch_of(SEEN))[STATE][0]
    expected = (SEEN.state - stats[STATE]["mean"]) / stats[STATE]["std"]
    np.testing.assert_allclose(normalised, expected, rtol=1e-5)


def test_as_many_actions_are_sent_as_said_before_the_next_chunk_and_none_after_a_reset() -> None:
    policy = flow_policy(n_action_steps=3).eval()
    batch = {key: rows[None] for key, rows in batch_of(SEEN).items()}
    first, second = NOISE[None], -NOISE[None]
    chunks = [policy.predict_action_chunk(batch, noise=noise) for noise in (first, second)]
    sent = [policy.select_action(batch, noise=noise) for noise in (first, second, second, second)]
    for row, (chunk, i) in zip(sent, [(0, 0), (0, 1), (0, 2), (1, 0)], strict=True):
        torch.testing.assert_close(row, chunks[chunk][:, i])
    policy.reset()
    torch.testing.assert_close(policy.select_action(batch, noise=first), chunks[0][:, 0])


def test_a_batch_as_lerobot_draws_it_with_an_axis_for_time_is_the_same() -> None:
    policy = flow_policy()
    frames = random_frames()
    batch: dict[str, Any] = {
        STATE: torch.from_numpy(frames.state[:4].copy()),
        ENVIRONMENT: torch.from_numpy(frames.environment[:4].copy()),
        ACTION: torch.from_numpy(frames.action[:32].copy()).reshape(4, 8, 2),
    }
    timed = {**batch, STATE: batch[STATE][:, None], ENVIRONMENT: batch[ENVIRONMENT][:, None]}
    losses = []
    for each in (batch, timed):
        torch.manual_seed(0)
        losses.append(float(policy(each)[0].detach()))
    assert losses[0] == losses[1]


def test_half_of_a_batch_is_noise_alone_and_the_rest_uniform() -> None:
    torch.manual_seed(0)
    t = times(20_000, torch.device("cpu"))
    assert (t == 1).float().mean() == pytest.approx(NOISE_ALONE, abs=0.02)
    rest = t[t < 1]
    assert [float(rest.quantile(share)) for share in (0.1, 0.5, 0.9)] == pytest.approx([0.1, 0.5, 0.9], abs=0.02)


@every("given", range(8))
def test_a_prefix_in_the_batch_is_given_and_not_learned_from(given: int) -> None:
    policy = flow_policy(Trained(prefixes=7))
    batch = {key: rows[None] for key, rows in batch_of(SEEN).items()} | {"prefix": torch.tensor([given])}
    action = NOISE[None].clone().requires_grad_()
    seen: list[torch.Tensor] = []
    policy.net.register_forward_hook(lambda net, inputs, made: seen.extend([inputs[0], inputs[1], made]))
    loss, _ = policy({**batch, ACTION: action})
    x, t, made = seen
    assert (t[0] == 0).tolist() == [row < given for row in range(8)]
    assert torch.equal(x[0, :given], action[0, :given])
    expected = (made - action)[0, given:].square().mean()
    torch.testing.assert_close(loss, expected)


@pytest.mark.parametrize("end", [3, 7])
def test_what_is_past_an_end_is_not_learned_from(end: int) -> None:
    policy = flow_policy()
    padded = torch.arange(8) >= end
    batch = {key: rows[None] for key, rows in batch_of(SEEN).items()} | {"action_is_pad": padded[None]}
    seen: list[torch.Tensor] = []
    policy.net.register_forward_hook(lambda net, inputs, made: seen.append(made))
    loss, _ = policy({**batch, ACTION: NOISE[None]})
    torch.testing.assert_close(loss, (seen[0] - NOISE)[0, :end].square().mean())


@pytest.mark.parametrize(
    "features, words",
    [
        (sizes_of(images={"top": (8, 8)}).inputs, "sees no images, and is given.*observation.images.top"),
        ({ENVIRONMENT: sizes_of().inputs[ENVIRONMENT]}, "needs observation.state and action"),
    ],
    ids=["images", "no state"],
)
def test_features_that_it_cannot_take_are_refused_as_lerobots_policies_do(features: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        FlowPolicy(FlowConfig(input_features=features, output_features=sizes_of().outputs, device="cpu"))
