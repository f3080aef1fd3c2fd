"""Euler's method for a flow-matching policy (arXiv 2210.02747; time runs in LeRobot's direction)."""

from collections.abc import Callable
from itertools import pairwise

import torch

from rollahead.errors import ConfigError
from rollahead.policies.denoising.samplers.sampler import Steps, deterministic
from rollahead.policies.process import Flow

MOST_STEPS = 1000


def make_euler(process: Flow, steps: int = 5) -> Steps:
    """A sampler with `steps` steps of equal length. Raises: ConfigError, if the number is out of range."""
    if not 1 <= steps <= MOST_STEPS:
        raise ConfigError(f"sampler.steps is {steps}; give 1 to {MOST_STEPS}")
    return Steps(process, [1 - i / steps for i in range(steps)], deterministic)


def integrate(
    denoise: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], process: Flow, x: torch.Tensor, steps: int
) -> torch.Tensor:
    """The clean chunks (B, T, A) at the end of dx/dt = v from the noise `x` at t = 1 to t = 0.

    Args:
        denoise: The network: a prediction for chunks (B, T, A) and times (B,).
        process: Noise process of the policy.
        x: Noise, (B, T, A).
        steps: Number of steps of equal length.

    Gradients flow through the result. Phase: hot.
    """
    for t, s in pairwise([1 - i / steps for i in range(steps + 1)]):
        x = process.mix(*process.split(denoise(x, process.times(x, t)), x, t), s)
    return x
