"""The loss of flow matching, with prefixes.

    x_t = (1 - t) x0 + t e,    loss = mean |net(x_t, t) - target|^2,    target = e - x0 (velocity) or x0 (sample)

over the rows that are neither given nor past the end of a demonstration (arXiv 2210.02747; prefixes: 2512.05964).
"""

from collections.abc import Callable, Mapping

import torch
from torch import nn

TARGETS: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "velocity": lambda x0, e: e - x0,
    "sample": lambda x0, e: x0,
}


def flow_loss(
    net: nn.Module,
    prediction: str,
    x0: torch.Tensor,
    condition: torch.Tensor,
    noise: torch.Tensor,
    t: torch.Tensor,
    given: torch.Tensor,
    counted: torch.Tensor,
) -> torch.Tensor:
    """The loss of a batch: x0, noise (B, T, A), condition (B, C), t (B,) in [0, 1].

    given: (B, T), rows that are clean, at time 0; counted: (B, T), rows that are learned from. Each example counts as
    one, however many of its rows do.
    """
    times = torch.where(given, 0.0, t[:, None])
    x = torch.lerp(x0, noise, times[..., None])
    wrong = (net(x, times, condition) - TARGETS[prediction](x0, noise)).square().mean(-1)
    weights = counted.to(wrong.dtype)
    return ((wrong * weights).sum(1) / weights.sum(1).clamp(min=1.0)).mean()
