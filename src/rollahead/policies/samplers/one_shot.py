"""No sampling: a policy that makes its chunk at once."""

from dataclasses import dataclass

import torch

from rollahead.policies.policy import Context, OneShot
from rollahead.policies.samplers.sampler import Noise


@dataclass(frozen=True, slots=True)
class Once:
    """Asks the policy, and that is it."""

    @property
    def calls(self) -> int:
        """Of the network, per chunk."""
        return 1

    @torch.inference_mode()
    def __call__(self, policy: OneShot, context: Context, noise: Noise) -> torch.Tensor:
        """(T, A), without noise. Phase: hot."""
        return policy.act(context)


def make_one_shot(process: None) -> Once:
    """Of a policy that has no process."""
    return Once()
