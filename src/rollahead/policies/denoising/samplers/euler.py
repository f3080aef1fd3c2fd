"""Euler's method for a flow-matching policy (arXiv 2210.02747; LeRobot's direction of time)."""

from collections.abc import Callable
from itertools import pairwise

import torch

from rollahead.errors import ConfigError
from rollahead.policies.denoising.samplers.sampler import Steps, deterministic
from rollahead.policies.process import Flow

MOST_STEPS = 1000


def make_euler(process: Flow, steps: int = 5) -> Steps:
    """steps: how many, all of the same length."""
    if not 1 <= steps <= MOST_STEPS:
        raise ConfigError(f"sampler.steps is {steps}; give 1 to {MOST_STEPS}")
    return Steps(process, [1 - i / steps for i in range(steps)], deterministic)


def integrate(
    denoise: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], process: Flow, x: torch.Tensor, steps: int
) -> torch.Tensor:
    """(B, T, A), the clean chunks that dx/dt = v leads the noise `x` to, from t = 1 to 0. denoise: what `process` says,
    of chunks (B, T, A) and times (B,). Gradients flow. Phase: hot."""
    for t, s in pairwise([1 - i / steps for i in range(steps + 1)]):
        x = process.mix(*process.split(denoise(x, process.times(x, t)), x, t), s)
    return x
