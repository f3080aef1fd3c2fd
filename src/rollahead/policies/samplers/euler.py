"""Euler's method for a flow-matching policy (arXiv 2210.02747; LeRobot's direction of time)."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from rollahead.errors import ConfigError
from rollahead.policies.policy import Context, Denoiser
from rollahead.policies.process import Flow
from rollahead.policies.samplers.sampler import Noise

MOST_STEPS = 1000


@dataclass(frozen=True, slots=True)
class Euler:
    """steps: from t = 1 to t = 0, all of the same length."""

    process: Flow
    steps: int

    def __post_init__(self) -> None:
        if not 1 <= self.steps <= MOST_STEPS:
            raise ConfigError(f"sampler.steps is {self.steps}; give 1 to {MOST_STEPS}")

    @property
    def calls(self) -> int:
        """Of the network, per chunk."""
        return self.steps

    @torch.inference_mode()
    def __call__(self, policy: Denoiser, context: Context, noise: Noise) -> torch.Tensor:
        """See `integrate`. Phase: hot."""
        return integrate(partial(policy.denoise, context), self.process, noise()[None], self.steps)[0]


def integrate(
    denoise: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], process: Flow, x: torch.Tensor, steps: int
) -> torch.Tensor:
    """(B, T, A), the clean chunks that dx/dt = v leads the noise `x` to, from t = 1 to 0. denoise: what `process` says,
    of chunks (B, T, A) and times (B,). Phase: hot."""
    for i in range(steps):
        t, dt = 1 - i / steps, -1 / steps
        v = process.velocity(denoise(x, x.new_full((len(x),), t)), x, t)
        x = x + dt * v
    return x


def make_euler(process: Flow, steps: int = 5) -> Euler:
    """steps: how many, all of the same length."""
    return Euler(process, steps)
