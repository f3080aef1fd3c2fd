"""Ancestral sampling of a diffusion policy (DDPM, arXiv 2006.11239, algorithm 2)."""

import math
from collections.abc import Sequence

import torch

from rollahead.policies.denoising.samplers.sampler import Noise, Steps
from rollahead.policies.denoising.samplers.timesteps import checked, spaced
from rollahead.policies.process import Diffusion

LEAST_VARIANCE = 1e-20


def ancestral(
    process: Diffusion, x: torch.Tensor, x0: torch.Tensor, e: torch.Tensor, t: float, s: float, noise: Noise
) -> None:
    """Replaces `x` by x_s, drawn from q(x_s | x_t, x0) with the predicted x0 (eq. 6 and 7).

    The variance is beta tilde ("fixed small"). Phase: hot.
    """
    abar_t, abar_s = process.bars[int(t)], process.bars[int(s)]
    alpha = abar_t / abar_s
    beta = 1 - alpha
    x.mul_(math.sqrt(alpha) * (1 - abar_s) / (1 - abar_t)).add_(x0, alpha=math.sqrt(abar_s) * beta / (1 - abar_t))
    x.add_(noise(), alpha=math.sqrt(max((1 - abar_s) / (1 - abar_t) * beta, LEAST_VARIANCE)))


def make_ddpm(process: Diffusion, steps: int | None = None, timesteps: Sequence[int] | None = None) -> Steps:
    """A DDPM sampler.

    Args:
        process: Noise process of the policy.
        steps: Number of denoising steps, spaced as in LeRobot (`leading`); None for all that the policy was trained
            with.
        timesteps: The steps themselves, instead of `steps`.

    Raises: ConfigError, if the policy was not trained with such steps.
    """
    if timesteps is not None:
        return Steps(process, checked(process.steps, timesteps), ancestral)
    return Steps(process, spaced(process.steps, process.steps if steps is None else steps, "leading"), ancestral)
