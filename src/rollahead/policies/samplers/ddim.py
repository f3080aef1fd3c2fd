"""Deterministic sampling of a diffusion policy (DDIM, arXiv 2010.02502, with eta = 0)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from rollahead.policies.policy import Context, Denoiser
from rollahead.policies.process import Diffusion
from rollahead.policies.samplers.sampler import Noise
from rollahead.policies.samplers.timesteps import checked, spaced


@dataclass(frozen=True, slots=True)
class Ddim:
    """timesteps: those taken, falling."""

    process: Diffusion
    timesteps: tuple[int, ...]

    @property
    def calls(self) -> int:
        """Of the network, per chunk."""
        return len(self.timesteps)

    @torch.inference_mode()
    def __call__(self, policy: Denoiser, context: Context, noise: Noise) -> torch.Tensor:
        """From each step t to the next, s, with the x0 and e that are predicted (eq. 12); the last x0 is the chunk.
        Phase: hot."""
        x, abar = noise()[None], self.process.abar
        for t, s in pairwise(self.timesteps):
            x0, e = self.process.predict(policy.denoise, context, x, t)
            x = abar[s].sqrt() * x0 + (1 - abar[s]).sqrt() * e
        return self.process.predict(policy.denoise, context, x, self.timesteps[-1])[0][0]


def make_ddim(
    process: Diffusion, steps: int = 10, spacing: str = "trailing", timesteps: Sequence[int] | None = None
) -> Ddim:
    """steps, spacing: how many, and which (see `timesteps.SPACINGS`); timesteps: these instead, such as [20, 10, 0]."""
    if timesteps is not None:
        return Ddim(process, checked(process.steps, timesteps))
    return Ddim(process, spaced(process.steps, steps, spacing))
