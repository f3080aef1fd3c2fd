from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.policy_parity import observe

from rollahead.errors import ConfigError
from rollahead.policies.checkpoint import read_checkpoint
from rollahead.policies.device import device_of
from rollahead.policies.local import LocalPlanner
from rollahead.policies.samplers import make_sampler
from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.build import StrategyConfig
from rollahead.sim.evaluation import Cell, planning_of, run_episode
from rollahead.sim.task import make_task

from .elsewhere import ELSEWHERE, elsewhere
from .fakes import draws


def has(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool = False) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("cuda", "kind"), [(0, "cpu"), (1, "cuda")])
def test_the_device_is_cuda_if_there_is_one(cuda: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, cuda, mps=True)
    assert device_of(None) == torch.device(kind)


@pytest.mark.parametrize("name", ["cpu", "cuda", "cuda:1", "mps"])
def test_a_device_that_is_there_is_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, 2, mps=True)
    assert device_of(name) == torch.device(name)


@pytest.mark.parametrize("name", ["cuda", "mps", "cuda:1", "gpu", "", "meta", "cpu:1"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, 0)
    with pytest.raises(ConfigError) as caught:
        device_of(name)
    assert str(caught.value) == f"planner.device is {name!r}, which this machine does not have; give cpu"


def test_a_second_gpu_that_is_not_there_is_refused_with_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    has(monkeypatch, 1)
    with pytest.raises(ConfigError, match="is 'cuda:1', which this machine does not have; give cpu or cuda"):
        device_of("cuda:1")


@pytest.mark.parametrize(
    ("policy", "strategy", "sampler"),
    [
        ("flow", {"name": "vlash"}, {"name": "auto"}),
        ("flow", {"name": "vlash", "pull": True}, {"name": "auto"}),
        ("flow", {"name": "rtc", "jacobian": "full"}, {"name": "auto"}),
        ("flow", {"name": "tt_rtc"}, {"name": "auto"}),
        ("diffusion", {"name": "vlash"}, {"name": "ddpm", "steps": 4}),
        ("diffusion", {"name": "rtc", "jacobian": "identity"}, {"name": "ddim", "steps": 4}),
        ("diffusion", {"name": "bid", "candidates": 6}, {"name": "ddim", "steps": 4}),
        ("flow", {"name": "bid", "candidates": 6, "weak": "mole_flow"}, {"name": "auto"}),
        ("diffusion", {"name": "vlash"}, {"name": "rti", "base": "ddim", "steps": 4, "stall": 1.0, "reject": 1.0}),
        ("diffusion", {"name": "vlash"}, {"name": "rti", "base": "ddpm", "steps": 4, "renoise": "forward"}),
    ],
    ids=lambda given: given if isinstance(given, str) else "-".join(map(str, given.values())),
)
def test_all_that_plans_is_on_the_device_of_the_policy_and_plans_the_same(
    policy: str, strategy: dict[str, Any], sampler: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = Cell(
        {"name": "mole"},
        StrategyConfig(**{"s": 6, "d": 2, **strategy}),
        {"name": "fixed", "ticks": 2},
        planner={"name": "policy", "checkpoint": f"mole_{policy}"},
        sampler=sampler,
        reactions=False,
    )
    task = make_task("mole")
    expected = run_episode(cell, task, 0).ticks["action"]
    monkeypatch.setattr("rollahead.policies.device.device_of", lambda name: ELSEWHERE)
    with elsewhere():
        planning = planning_of(cell, task)
        assert isinstance(planning.planner, LocalPlanner)
        assert planning.planner.policy.device == ELSEWHERE  # type: ignore[attr-defined]
        np.testing.assert_array_equal(run_episode(cell, task, 0, planning=planning).ticks["action"], expected)


@pytest.mark.parametrize("name", ["seeing_folder", "told_folder", "act_folder"])
def test_what_a_policy_sees_is_on_its_device(name: str, request: pytest.FixtureRequest) -> None:
    read = read_checkpoint(request.getfixturevalue(name))

    def rows(device: torch.device) -> FloatArray:
        policy: Any = read.policy(device)
        environment = 2 if policy.trained.delay_input else len(policy.spec.environment)
        seen = observe(policy.spec.n_obs, len(policy.spec.cameras), environment)
        context = policy.bind(policy.encode([each.images for each in seen], ""), seen, 1)
        noise = draws(1, *policy.shape)
        drawn = make_sampler({"name": "auto"}, policy)(policy, context, lambda: noise().to(device))
        assert drawn.chunks.device == policy.normalised(policy.rows(drawn.chunks[0])).device == device
        made: FloatArray = policy.rows(drawn.chunks[0])
        return made

    expected = rows(torch.device("cpu"))
    with elsewhere() as device:
        np.testing.assert_array_equal(rows(device), expected)
