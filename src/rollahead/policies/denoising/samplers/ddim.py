"""Deterministic sampling of a diffusion policy (DDIM, arXiv 2010.02502, with eta = 0)."""

from collections.abc import Sequence

from rollahead.policies.denoising.samplers.sampler import Steps, deterministic
from rollahead.policies.denoising.samplers.timesteps import checked, spaced
from rollahead.policies.process import Diffusion


def make_ddim(
    process: Diffusion, steps: int = 10, spacing: str = "trailing", timesteps: Sequence[int] | None = None
) -> Steps:
    """A DDIM sampler.

    Args:
        process: Noise process of the policy.
        steps: Number of denoising steps.
        spacing: How they are spaced, a key of `timesteps.SPACINGS`.
        timesteps: The steps themselves, such as [20, 10, 0], instead of `steps` and `spacing`.

    Raises: ConfigError, if the policy was not trained with such steps.
    """
    if timesteps is not None:
        return Steps(process, checked(process.steps, timesteps), deterministic)
    return Steps(process, spaced(process.steps, steps, spacing), deterministic)
