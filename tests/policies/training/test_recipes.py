from typing import Any

import pytest
import torch

from every import every
from rollahead.errors import ConfigError
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.policy import Trained
from rollahead.policies.training.recipes import RECIPES, TrainablePolicy, make_trainable

from ..trainers import ACT, DIFFUSION, EACH, FLOW, POLICIES, sizes_of

B, T, A = 3, 8, 2


def trainable_of(name: str, **changed: Any) -> TrainablePolicy:
    torch.manual_seed(0)
    return make_trainable(POLICIES[name], sizes_of(**changed))


def seen_by(trainable: TrainablePolicy) -> dict[str, torch.Tensor]:
    """A normalised batch of what it sees."""
    generator = torch.Generator().manual_seed(0)
    time = (trainable.n_obs,) if trainable.timed else ()
    features = trainable.policy.config.input_features
    return {key: torch.randn(B, *time, *feature.shape, generator=generator) for key, feature in features.items()}


def noise(seed: int) -> torch.Tensor:
    return torch.randn(B, T, A, generator=torch.Generator().manual_seed(seed))


def test_every_recipe_is_tested() -> None:
    assert set(POLICIES) == set(RECIPES)


@pytest.mark.parametrize("name", EACH)
def test_a_trainee_is_lerobots_own_module_for_the_sizes_of_the_data(name: str) -> None:
    trainable = trainable_of(name)
    assert isinstance(trainable.policy, compat.PreTrainedPolicy)
    inputs, outputs = trainable.policy.config.input_features, trainable.policy.config.output_features
    assert {key: feature.shape for key, feature in inputs.items()} == {STATE: (3,), ENVIRONMENT: (2,)}
    assert {key: feature.shape for key, feature in outputs.items()} == {ACTION: (2,)}
    assert (trainable.rows, trainable.n_obs) == (T, 1)


@every("name, images", [("flow", 0), ("diffusion", 0), ("diffusion", 2), ("act", 0), ("act", 2)])
def test_a_cold_step_makes_chunks_and_noise_counts_only_where_there_is_any(name: str, images: int) -> None:
    trainable = trainable_of(name, images={f"camera_{i}": (64, 64) for i in range(images)})
    policy, batch = trainable.policy.eval(), seen_by(trainable)
    with torch.no_grad():
        made, again, other = (trainable.cold(policy, batch, noise(seed)) for seed in (0, 0, 1))
    assert made.shape == (B, T, A)
    assert torch.equal(made, again)
    if name == "act":
        assert torch.equal(made, other)


def test_a_cold_step_of_flow_is_what_the_network_says_of_noise_alone() -> None:
    trainable = trainable_of("flow")
    batch = seen_by(trainable)
    condition = torch.cat([batch[STATE], batch[ENVIRONMENT]], -1)
    made = trainable.cold(trainable.policy, batch, noise(0))
    torch.testing.assert_close(made, trainable.policy.net(noise(0), torch.ones(B, T), condition))


@pytest.mark.parametrize("prediction", ["sample", "epsilon"])
def test_a_cold_step_of_diffusion_is_the_clean_chunk_that_its_noisiest_step_says(prediction: str) -> None:
    trainable = make_trainable({**DIFFUSION, "prediction": prediction}, sizes_of())
    policy, batch = trainable.policy.eval(), seen_by(trainable)
    model = policy.diffusion
    last = torch.full((B,), 9)
    condition = torch.cat([batch[STATE], batch[ENVIRONMENT]], -1).flatten(1)
    with torch.no_grad():
        said = model.unet(noise(0), last, global_cond=condition)
        made = trainable.cold(policy, batch, noise(0))
    abar = model.noise_scheduler.alphas_cumprod[9]
    clean = said if prediction == "sample" else (noise(0) - (1 - abar).sqrt() * said) / abar.sqrt()
    assert prediction == "sample" or (clean.abs() > 1).any()
    torch.testing.assert_close(made, clean.clamp(-1, 1))


def test_a_cold_step_of_diffusion_is_not_clipped_where_play_does_not() -> None:
    trainable = trainable_of("diffusion")
    trainable.policy.config.clip_sample = False
    with torch.no_grad():
        assert trainable.cold(trainable.policy, seen_by(trainable), 9 * noise(0)).abs().max() > 1


def test_diffusion_does_not_learn_from_what_is_past_an_end() -> None:
    trainable = trainable_of("diffusion")
    padded = torch.ones(B, T, dtype=torch.bool)
    loss, *_ = trainable.policy({**seen_by(trainable), ACTION: noise(0), "action_is_pad": padded})
    assert loss == 0
    loss, *_ = trainable.policy({**seen_by(trainable), ACTION: noise(0), "action_is_pad": ~padded})
    assert loss > 0


REFUSED = {
    "a policy that there is none of": ({**FLOW, "name": "flwo"}, {}, "no policy 'flwo'; did you mean 'flow'"),
    "no name": ({"horizon": 8}, {}, "policy.name is None"),
    "an option of another policy": ({**FLOW, "heads": 2}, {}, "no option of the policy 'heads'"),
    "an option left out": ({"name": "act", "horizon": 8}, {}, "policy.width must be given"),
    "a kind of value": ({**FLOW, "width": "wide"}, {}, "policy.width is 'wide'; give a whole number"),
    "a flow network": ({**FLOW, "variant": "cnn"}, {}, "no flow network 'cnn'"),
    "a flow prediction": ({**FLOW, "prediction": "epsilon"}, {}, "no prediction of a flow policy 'epsilon'"),
    "no horizon": ({**FLOW, "horizon": 0}, {}, "number below 1"),
    "flow with images": (FLOW, {"images": {"top": (8, 8)}}, r"sees no images, and the data has top.*cameras=\[\]"),
    "diffusion with prefixes": (
        DIFFUSION,
        {"trained": Trained(prefixes=2)},
        "policy=diffusion cannot be.*prefixes is 2",
    ),
    "act with prefixes": (
        ACT,
        {"trained": Trained(prefixes=2)},
        "policy=act cannot be.*use policy=flow, or prefixes=0",
    ),
    "diffusion of a state alone": (
        DIFFUSION,
        {"environment": 0},
        "needs images or.*and is given neither; use policy=flow",
    ),
    "act of a state alone": (ACT, {"environment": 0}, "policy=act needs images or"),
    "a horizon that does not halve": (
        {**DIFFUSION, "horizon": 9},
        {},
        "policy=diffusion cannot be built with these options.*9",
    ),
    "no list of widths": (
        {**DIFFUSION, "down_dims": 32},
        {},
        r"policy.down_dims is 32; give a list, as in \[a, b\]",
    ),
    "widths without groups": ({**DIFFUSION, "down_dims": [7, 16]}, {}, "7"),
    "images of several sizes": (DIFFUSION, {"images": {"a": (64, 64), "b": (64, 80)}}, "observation.images.b"),
    "images too small": (DIFFUSION, {"images": {"a": (32, 32)}}, "nothing is left of a with"),
    "heads that do not divide": ({**ACT, "heads": 3}, {}, "cannot make a ACTPolicy of this configuration"),
}


@every("name", REFUSED)
def test_what_cannot_be_trained_is_refused_in_one_sentence(name: str) -> None:
    config, changed, words = REFUSED[name]
    with pytest.raises(ConfigError, match=words) as refused:
        make_trainable(config, sizes_of(**changed))
    assert "\n" not in str(refused.value)
