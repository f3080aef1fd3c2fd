"""Ancestral sampling of a diffusion policy (DDPM, arXiv 2006.11239, algorithm 2)."""

from dataclasses import dataclass
from itertools import pairwise

import torch

from rollahead.policies.policy import Context, Denoiser
from rollahead.policies.process import Diffusion
from rollahead.policies.samplers.sampler import Noise
from rollahead.policies.samplers.timesteps import spaced

LEAST_VARIANCE = 1e-20


@dataclass(frozen=True, slots=True)
class Ddpm:
    """timesteps: those taken, falling."""

    process: Diffusion
    timesteps: tuple[int, ...]

    @property
    def calls(self) -> int:
        """Of the network, per chunk."""
        return len(self.timesteps)

    @torch.inference_mode()
    def __call__(self, policy: Denoiser, context: Context, noise: Noise) -> torch.Tensor:
        """From each step t to the next, s, by q(x_s | x_t, x0) at the x0 that is predicted (eq. 6 and 7; the variance
        is beta tilde, "fixed small"); the last x0 is the chunk. Phase: hot."""
        x, abar = noise()[None], self.process.abar
        for t, s in pairwise(self.timesteps):
            x0 = self._clean(policy, context, x, t)
            alpha = abar[t] / abar[s]
            beta = 1 - alpha
            mean = (abar[s].sqrt() * beta / (1 - abar[t])) * x0 + (alpha.sqrt() * (1 - abar[s]) / (1 - abar[t])) * x
            variance = (1 - abar[s]) / (1 - abar[t]) * beta
            x = mean + variance.clamp(LEAST_VARIANCE).sqrt() * noise()
        return self._clean(policy, context, x, self.timesteps[-1])[0]

    def _clean(self, policy: Denoiser, context: Context, x: torch.Tensor, t: int) -> torch.Tensor:
        return self.process.predict(policy.denoise, context, x, t)[0]


def make_ddpm(process: Diffusion, steps: int | None = None) -> Ddpm:
    """steps: how many, spaced as LeRobot does (`leading`); None for all that the policy was trained with."""
    return Ddpm(process, spaced(process.steps, process.steps if steps is None else steps, "leading"))
