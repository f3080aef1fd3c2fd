"""Everything that plans is on the device of its policy."""

from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.policy_parity import observe

from rollahead.evaluation.evaluation import Cell, planning_of, run_episode
from rollahead.policies.checkpoints.checkpoint import read_checkpoint
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.local import LocalPlanner
from rollahead.policies.policy import EncoderInput
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.options import call
from rollahead.sim.task import make_task

from .elsewhere import ELSEWHERE, elsewhere
from .fakes import draws


@pytest.mark.parametrize(
    ("policy", "strategy", "sampler"),
    [
        ("flow", {"name": "vlash"}, {"name": "auto"}),
        ("flow", {"name": "vlash", "guidance": {"enabled": True}}, {"name": "auto"}),
        ("flow", {"name": "rtc", "guidance": {"jacobian": "full"}}, {"name": "auto"}),
        ("flow", {"name": "tt_rtc"}, {"name": "auto"}),
        ("diffusion", {"name": "vlash"}, {"name": "ddpm", "steps": 4}),
        ("diffusion", {"name": "rtc", "guidance": {"jacobian": "identity"}}, {"name": "ddim", "steps": 4}),
        ("diffusion", {"name": "bid", "bid": {"candidates": 6}}, {"name": "ddim", "steps": 4}),
        ("flow", {"name": "bid", "bid": {"candidates": 6, "weak": "mole_flow"}}, {"name": "auto"}),
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
        call(StrategyConfig, {"s": 6, "d": 2, **strategy}),
        {"name": "fixed", "ticks": 2},
        planner={"name": "policy", "checkpoint": f"mole_{policy}"},
        sampler=sampler,
        reactions=False,
    )
    task = make_task("mole")
    expected = run_episode(cell, task, 0).ticks["action"]
    monkeypatch.setattr("rollahead.policies.device.device_of", lambda name: str(ELSEWHERE))
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
        context = policy.bind(policy.encode(EncoderInput.of(seen)), seen, 1)
        noise = draws(1, *policy.shape)
        drawn = make_sampler({"name": "auto"}, policy)(policy, context, lambda: noise().to(device))
        assert drawn.chunks.device == policy.normalised(policy.rows(drawn.chunks[0])).device == device
        made: FloatArray = policy.rows(drawn.chunks[0])
        return made

    expected = rows(torch.device("cpu"))
    with elsewhere() as device:
        np.testing.assert_array_equal(rows(device), expected)
