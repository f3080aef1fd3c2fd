"""The same numbers as LeRobot's own code, of its own checkpoints, in the version that is installed."""

import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch
from benchmarks.policy_parity import COMPARISONS, HORIZON, A, S, noise_after, observe

from benchmarks import figures, policy_parity
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.policy import EncoderInput

CLOSE = 1e-5
CLOSEST = {"normalise": 1e-6}


@pytest.mark.parametrize("name", [name for name in COMPARISONS if not name.startswith("ensemble")])
def test_ours_is_lerobots(name: str, tmp_path: Path) -> None:
    assert COMPARISONS[name](tmp_path / "checkpoint") <= CLOSEST.get(name.split("_")[0], CLOSE)


@pytest.mark.parametrize("folder", ["diffusion_folder", "seeing_folder", "act_folder"])
def test_what_is_compared_depends_on_all_that_is_seen(folder: str, request: pytest.FixtureRequest) -> None:
    """Else equality would say nothing."""
    policy = load_policy(request.getfixturevalue(folder))
    cameras, n = len(policy.spec.cameras), policy.spec.n_obs
    sampler = make_sampler({"name": "auto"}, policy)

    def chunk(state: float, environment: float, dark: str | None) -> torch.Tensor:
        seen = observe(n, cameras)
        for one in seen:
            for name, shift in (("state", state), ("environment", environment)):
                object.__setattr__(one, name, getattr(one, name) + shift)
            images = {name: image * (name != dark) for name, image in one.images.items()}
            object.__setattr__(one, "images", images)
        context = policy.bind(policy.encode(EncoderInput.of(seen)), seen, 0)
        return sampler(policy, context, noise_after(torch.zeros(HORIZON, A))).chunks

    plain = chunk(0, 0, None)
    for changed in (chunk(0.5, 0, None), chunk(0, 0.5, None), *(chunk(0, 0, name) for name in policy.spec.cameras)):
        assert (changed - plain).abs().max() > 10 * CLOSE


def test_the_figure_is_the_largest_difference_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    monkeypatch.setattr(policy_parity, "COMPARISONS", {"a": lambda folder: 2e-6, "b": lambda folder: 3e-5})
    policy_parity.main([])
    (figure,) = json.loads((tmp_path / "train.json").read_text())
    assert (figure["name"], figure["value"], figure["goal"], figure["unit"]) == ("parity_max_abs", 3e-5, "<= 1e-5", "")
    assert "missed" in capsys.readouterr().out
    assert S != A, "so that one cannot be taken for the other"


@pytest.mark.parametrize("folder", ["diffusion_folder", "seeing_folder", "act_folder"])
def test_no_tensor_of_a_context_is_an_inference_tensor_which_no_gradient_can_use(
    folder: str, request: pytest.FixtureRequest
) -> None:
    policy = load_policy(request.getfixturevalue(folder))
    seen = observe(policy.spec.n_obs, len(policy.spec.cameras))
    context = policy.bind(policy.encode(EncoderInput.of(seen)), seen, 0)
    tensors = list(_tensors([getattr(context, field.name) for field in fields(context)]))
    assert tensors
    assert not any(tensor.is_inference() for tensor in tensors)


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    else:
        for part in value.values() if isinstance(value, dict) else value:
            yield from _tensors(part)
