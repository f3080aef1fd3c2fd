import importlib
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from every import every
from rollahead.errors import ConfigError
from rollahead.policies.denoising.samplers import AUTO, SAMPLERS, integrate, make_sampler
from rollahead.policies.denoising.samplers.timesteps import SPACINGS, spaced
from rollahead.policies.process import Flow

from ..fakes import DEVIATION, MEAN, SHAPE, Gaussian, Once, cosine, draws

Config = Mapping[str, Any]

DDIM = [{"name": "ddim", "steps": 5, "spacing": spacing} for spacing in SPACINGS]
CASES: list[tuple[Config, Any]] = [
    *(({"name": "ddpm"}, cosine(prediction=prediction)) for prediction in ("epsilon", "sample")),
    *((config, cosine(prediction=prediction)) for config in DDIM for prediction in ("epsilon", "sample")),
    ({"name": "ddim", "timesteps": [80, 40, 3]}, cosine()),
    *(({"name": "euler", "steps": 4}, Flow(prediction)) for prediction in ("velocity", "sample")),
    ({"name": "one_shot"}, None),
]


def policy_of(process: Any, shape: tuple[int, int] = SHAPE) -> Any:
    return Once(shape=shape) if process is None else Gaussian(shape=shape, process=process)


def sample(config: Config, process: Any, noise: Any = None, shape: tuple[int, int] = SHAPE) -> torch.Tensor:
    policy = policy_of(process, shape)
    context = torch.ones(shape) if process is None else None
    return make_sampler(config, policy)(policy, context, draws(1, *shape) if noise is None else noise).chunks[0]


def refused(config: Config, process: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        make_sampler(config, policy_of(process))
    return str(caught.value)


def test_every_sampler_is_in_the_cases() -> None:
    assert {config["name"] for config, _ in CASES} == set(SAMPLERS)


@every(("config", "process"), CASES)
def test_every_sampler_gives_a_chunk_and_makes_as_many_calls_as_it_says(config: Config, process: Any) -> None:
    policy = policy_of(process)
    sampler = make_sampler(config, policy)
    drawn = sampler(policy, torch.ones(SHAPE), draws(1, *SHAPE))
    assert drawn.chunks.shape == (1, *SHAPE) and drawn.chunks.dtype == torch.float32
    assert drawn.steps == sampler.calls
    assert process is None or len(policy.asked) == sampler.calls
    assert all(later < t for t, later in pairwise(policy.asked))


@every(("config", "process"), CASES)
def test_all_noise_is_what_a_sampler_is_given(config: Config, process: Any) -> None:
    before = torch.get_rng_state()
    chunks = [sample(config, process, draws(1, *SHAPE, seed=seed)) for seed in (0, 0, 1)]
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(chunks[0], chunks[1])
    assert process is None or not torch.equal(chunks[0], chunks[2])


@every(("config", "process"), CASES)
def test_noise_is_drawn_once_by_what_is_deterministic_and_between_all_steps_by_ddpm(
    config: Config, process: Any
) -> None:
    drawn: list[int] = []
    sample(config, process, draws(1, *SHAPE, count=drawn))
    assert len(drawn) == {"ddpm": 100, "one_shot": 0}.get(config["name"], 1)


@pytest.mark.parametrize("prediction", ["velocity", "sample"])
def test_euler_converges_at_first_order_to_where_the_flow_leads(prediction: str) -> None:
    start = draws(1, *SHAPE)()
    exact = MEAN + DEVIATION * start[0]  # the flow keeps every number at its place in the distribution
    errors = [
        (sample({"name": "euler", "steps": n}, Flow(prediction)) - exact).abs().max().item() for n in (20, 40, 80)
    ]
    assert errors[0] < 0.05
    assert all(1.7 < coarse / fine < 2.3 for coarse, fine in pairwise(errors))


@pytest.mark.parametrize("prediction", ["epsilon", "sample"])
def test_ddim_converges_to_where_the_probability_flow_leads(prediction: str) -> None:
    process = cosine(k=1000, prediction=prediction)
    exact = MEAN + DEVIATION * draws(1, *SHAPE)()[0]
    config = {"name": "ddim", "spacing": "trailing"}
    errors = [(sample({**config, "steps": n}, process) - exact).abs().max().item() for n in (10, 20, 40)]
    assert errors[0] < 0.1
    assert all(coarse / fine > 1.6 for coarse, fine in pairwise(errors))


@pytest.mark.parametrize("prediction", ["epsilon", "sample"])
def test_ddpm_draws_from_the_distribution_the_better_the_more_steps_it_was_trained_with(prediction: str) -> None:
    chunks = [sample({"name": "ddpm"}, cosine(k, prediction), shape=(500, 40)) for k in (20, 100, 1000)]
    assert all(chunk.mean().item() == pytest.approx(MEAN, abs=0.01) for chunk in chunks)
    missing = [DEVIATION - chunk.std().item() for chunk in chunks]  # "fixed small" is a lower bound (section 3.2)
    assert missing[0] > 2 * missing[1] and abs(missing[2]) < 0.005


@every(("config", "process"), [(config, each) for config, each in CASES if each is not None])
def test_a_policy_that_knows_the_action_gives_it_whatever_the_steps(config: Config, process: Any) -> None:
    action = torch.linspace(-1, 1, SHAPE[0] * SHAPE[1]).reshape(SHAPE)

    class Sure(Gaussian):
        def clean(self, x: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
            return action[None]

    policy = Sure(process=process)
    drawn = make_sampler(config, policy)(policy, None, draws(1, *SHAPE))
    torch.testing.assert_close(drawn.chunks[0], action, rtol=0, atol=1e-3)


def test_integrating_takes_batches_as_chunk_by_chunk() -> None:
    starts = torch.cat([draws(1, *SHAPE, seed=seed)() for seed in range(3)])
    flow = Flow("velocity")

    def bend(x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        return torch.sin(x) * t[:, None, None]

    together = integrate(bend, flow, starts, 7)
    torch.testing.assert_close(together, torch.cat([integrate(bend, flow, each[None], 7) for each in starts]))


@every(
    ("process", "calls", "first"),
    [
        (cosine(prediction="epsilon"), 10, 90),
        (cosine(prediction="sample"), 10, 99),
        (cosine(k=4, prediction="sample"), 4, 3),
        (Flow("sample"), 5, 1),
        (Flow("velocity"), 5, 1),
        (None, 1, None),
    ],
)
def test_auto_serves_every_policy(process: Any, calls: int, first: int | None) -> None:
    policy = policy_of(process)
    sampler = make_sampler({"name": AUTO}, policy)
    sampler(policy, torch.ones(SHAPE), draws(1, *SHAPE))
    assert sampler.calls == calls
    assert first is None or policy.asked[0] == first


def test_auto_takes_options_of_what_it_picks() -> None:
    assert make_sampler({"name": AUTO, "steps": 3}, policy_of(Flow("sample"))).calls == 3


@every("name", SAMPLERS)
@every(
    ("process", "does", "use"),
    [(cosine(), "by diffusion", "ddim"), (Flow("sample"), "by flow matching", "euler"), (None, "at once", "one_shot")],
)
def test_a_sampler_that_a_policy_cannot_serve_is_refused_by_name(name: str, process: Any, does: str, use: str) -> None:
    if isinstance(process, SAMPLERS[name].needs):
        make_sampler({"name": name}, policy_of(process))
        return
    said = refused({"name": name}, process)
    assert said.startswith(f"sampler={name} needs a policy that ")
    assert "and the fake policy " in said and does in said
    assert said.endswith(f"use sampler={use}, or sampler=auto")


@every(
    ("config", "process", "words"),
    [
        ({"name": "dimm"}, cosine(), "there is no sampler 'dimm'; did you mean 'ddim' or 'ddpm'?"),
        ({"name": 3}, cosine(), "sampler.name is 3; give a text"),
        ({}, cosine(), "sampler.name is None; give a text"),
        ({"name": "ddim", "step": 3}, cosine(), "there is no option of the sampler 'step'; did you mean 'steps'"),
        ({"name": "ddim", "steps": 2.5}, cosine(), "sampler.steps is 2.5; give a whole number"),
        (
            {"name": "ddim", "steps": 101},
            cosine(),
            "sampler.steps is 101 and the policy was trained with 100; give 1 to",
        ),
        ({"name": "ddim", "steps": 0}, cosine(), "sampler.steps is 0 and the policy was trained with 100"),
        ({"name": "ddpm", "steps": 101}, cosine(), "sampler.steps is 101 and the policy was trained with 100"),
        (
            {"name": "ddim", "spacing": "even"},
            cosine(),
            "there is no spacing 'even'; Known: leading, linspace, trailing",
        ),
        (
            {"name": "ddim", "steps": 1, "spacing": "leading"},
            cosine(),
            "sampler.steps is 1, which spacing=leading puts",
        ),
        ({"name": "ddim", "timesteps": [3, 20]}, cosine(), "sampler.timesteps is [3, 20] and the policy was trained"),
        ({"name": "ddim", "timesteps": [20, 20]}, cosine(), "sampler.timesteps is [20, 20] and"),
        ({"name": "ddim", "timesteps": [100, 0]}, cosine(), "with 100; give falling whole numbers from 99 to 0"),
        ({"name": "ddim", "timesteps": [20, -1]}, cosine(), "sampler.timesteps is [20, -1] and"),
        ({"name": "ddim", "timesteps": [20.5]}, cosine(), "sampler.timesteps[0] is 20.5; give a whole number"),
        ({"name": "ddim", "timesteps": []}, cosine(), "sampler.timesteps is [] and"),
        ({"name": "ddim", "timesteps": "20"}, cosine(), "sampler.timesteps is '20'; give a list"),
        ({"name": "ddim", "timesteps": 20}, cosine(), "sampler.timesteps is 20; give a list"),
        ({"name": "euler", "steps": 0}, Flow("sample"), "sampler.steps is 0; give 1 to 1000"),
        ({"name": "euler", "steps": 1001}, Flow("sample"), "sampler.steps is 1001; give 1 to 1000"),
    ],
)
def test_what_cannot_be_is_refused_with_both_numbers_or_names(config: Config, process: Any, words: str) -> None:
    assert words in refused(config, process)


@pytest.mark.parametrize("timesteps", [[20, 10, 0], [0], (99,), [5]])
def test_steps_may_be_given_one_by_one(timesteps: Any) -> None:
    policy = policy_of(cosine())
    sampler = make_sampler({"name": "ddim", "steps": 7, "timesteps": timesteps}, policy)
    sampler(policy, None, draws(1, *SHAPE))
    assert policy.asked == list(timesteps) and sampler.calls == len(timesteps)


@every("spacing", SPACINGS)
@every("k", range(2, 13))
def test_spaced_steps_fall_from_noise_to_action_for_every_count(spacing: str, k: int) -> None:
    for n in range(2, k + 1):
        times = spaced(k, n, spacing)
        assert len(times) == n and all(later < t for t, later in pairwise(times))
        assert times[0] < k and times[-1] >= 0
        assert spacing == "leading" or times[0] == k - 1
        assert spacing == "trailing" or times[-1] == 0
    assert spaced(k, k, spacing) == tuple(range(k - 1, -1, -1))
    assert spaced(k, 1, "trailing") == (k - 1,)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_spaced_steps_are_those_of_diffusers(spacing: str) -> None:
    diffusers = importlib.import_module("diffusers.schedulers.scheduling_ddpm")
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=100, timestep_spacing=spacing)
    for n in range(2, 101):
        scheduler.set_timesteps(n)
        np.testing.assert_array_equal(spaced(100, n, spacing), scheduler.timesteps.numpy()[:n], err_msg=f"{n} steps")
