"""The seam between a planner and whatever makes a chunk of a policy's predictions."""

from collections.abc import Callable
from typing import Any, Protocol

import torch

from rollahead.policies.policy import Context

Noise = Callable[[], torch.Tensor]  # (T, A), standard normal, on the policy's device; new at each call


class Sampler(Protocol):
    """One way to make a chunk."""

    @property
    def calls(self) -> int:
        """Of the network, per chunk."""
        ...

    def __call__(self, policy: Any, context: Context, noise: Noise) -> torch.Tensor:
        """(T, A), normalised, for the `context` that `policy` has bound. Phase: hot, in the worker."""
        ...
