import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rollahead.errors import ConfigError
from rollahead.policies.adapters.flow.adapter import FlowAdapter
from rollahead.policies.adapters.flow.modeling_flow import FlowPolicy
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.lerobot.features import ACTION, STATE
from rollahead.policies.policy import Trained
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import Observation

from ...trainers import NAMES, save_flow

TOLD = Trained(offsets=6, delay_input=True, prefixes=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_flow(tmp_path_factory.mktemp("flow") / "checkpoint", TOLD)


@pytest.fixture
def policy(folder: Path) -> FlowAdapter:
    made = load_policy(folder)
    assert isinstance(made, FlowAdapter)
    return made


def seen(tick: int = 0, shift: float = 0.0) -> Observation:
    return Observation(tick, frozen([1.0 + shift, 5.0, 2.5]), frozen([4.0, 2.0 + shift]))


def condition(policy: FlowAdapter, delay: int, *observations: Observation) -> torch.Tensor:
    return policy.bind(None, observations, delay).condition


def test_it_says_what_it_is_made_for(policy: FlowAdapter) -> None:
    assert (policy.spec.state, policy.spec.environment, policy.spec.action) == tuple(NAMES.values())
    assert (policy.spec.horizon, policy.spec.rate_hz, policy.spec.n_obs) == (8, 50.0, 1)
    assert (policy.shape, policy.trained) == ((8, 2), TOLD)


@pytest.mark.parametrize("delay", range(7))
def test_the_delay_is_the_last_number_that_the_network_sees_in_ticks(policy: FlowAdapter, delay: int) -> None:
    told = [policy.bind(None, [seen()], d).condition[0] for d in (delay, 0)]
    assert torch.equal(told[0][:-1], told[1][:-1])
    step = policy.bind(None, [seen()], 1).condition[0, -1] - told[1][-1]
    torch.testing.assert_close(told[0][-1], told[1][-1] + delay * step)
    assert step > 0


@pytest.mark.parametrize("delay, told", [(7, 6), (100, 6), (-1, 0)])
def test_a_delay_beyond_what_was_trained_is_told_as_the_longest_that_was(
    policy: FlowAdapter, delay: int, told: int
) -> None:
    assert torch.equal(condition(policy, delay, seen()), condition(policy, told, seen()))


def test_the_newest_observation_counts(policy: FlowAdapter) -> None:
    both = condition(policy, 2, seen(0, shift=9.0), seen(1))
    assert torch.equal(both, condition(policy, 2, seen(1)))
    assert not torch.equal(both, condition(policy, 2, seen(0, shift=9.0)))


def test_one_time_for_all_rows_is_the_same_as_that_time_for_each(policy: FlowAdapter) -> None:
    x, context = torch.randn(2, 8, 2), policy.bind(None, [seen()], 2)
    t = torch.tensor([0.4, 0.9])
    each = policy.denoise(context, x, t[:, None].expand(2, 8))
    assert torch.equal(policy.denoise(context, x, t), each)
    apart = torch.where(torch.arange(8) < 3, 0.0, t[:, None])
    assert not torch.allclose(policy.denoise(context, x, apart), each)


def test_rows_are_in_robot_units_and_the_clean_chunk_of_the_data_comes_back(folder: Path, policy: FlowAdapter) -> None:
    low, high = (policy.rows(torch.full((8, 2), end)) for end in (-1.0, 1.0))
    rows = policy.rows(torch.zeros(8, 2))
    np.testing.assert_allclose(rows, (low + high) / 2, atol=1e-6)
    assert (high > low).all()
    assert rows.dtype == np.float64
    assert not rows.flags.writeable


def test_the_network_is_ready_for_inference_and_has_the_saved_weights(folder: Path, policy: FlowAdapter) -> None:
    ours, theirs = policy._net.state_dict(), FlowPolicy.from_pretrained(folder).net.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert not policy._net.training
    assert not any(weight.requires_grad for weight in policy._net.parameters())


@pytest.mark.parametrize("key", ["horizon", "variant", "width", "depth", "prediction"])
def test_a_configuration_that_leaves_something_out_is_refused_by_its_name(key: str, tmp_path: Path) -> None:
    folder = save_flow(tmp_path / "saved")
    config = json.loads((folder / "config.json").read_text())
    del config[key]
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(ConfigError, match=rf"does not say its {key}; copy its config.json again"):
        load_policy(folder)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    folder, other = save_flow(tmp_path / "saved"), save_flow(tmp_path / "other", width=24)
    (folder / "model.safetensors").write_bytes((other / "model.safetensors").read_bytes())
    with pytest.raises(ConfigError, match=r"does not fit config\.json"):
        load_policy(folder)


def test_what_it_takes_and_gives_is_of_the_features_of_the_checkpoint(policy: FlowAdapter) -> None:
    assert condition(policy, 0, seen()).shape == (1, len(NAMES[STATE]) + 2 + 1)
    assert policy.rows(torch.zeros(8, 2)).shape == (8, len(NAMES[ACTION]))
