"""The loss of flow matching, with prefixes.

    x_t = (1 - t) x0 + t e,    loss = mean |net(x_t, t) - target|^2,    target = e - x0 (velocity) or x0 (sample)

over the rows that are neither given nor past the end of a demonstration (arXiv 2210.02747; prefixes: 2512.05964). The
mean is over all these rows of a batch (LeRobot, and the authors of training-time RTC), or over the means of its
examples, by which a row counts the more the longer the prefix before it.
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
    average: str = "rows",
) -> torch.Tensor:
    """The loss of a batch: x0, noise (B, T, A), condition (B, C), t (B,) in [0, 1].

    given: (B, T), rows that are clean, at time 0; counted: (B, T), rows that are learned from; average: over what the
    loss is a mean, one of `AVERAGES`.
    """
    times = torch.where(given, 0.0, t[:, None])
    x = torch.lerp(x0, noise, times[..., None])
    wrong = (net(x, times, condition) - TARGETS[prediction](x0, noise)).square().mean(-1)
    return AVERAGES[average](wrong, counted.to(wrong.dtype))


def _over_examples(wrong: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return ((wrong * weights).sum(1) / weights.sum(1).clamp(min=1.0)).mean()


def _over_rows(wrong: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (wrong * weights).sum() / weights.sum().clamp(min=1.0)


AVERAGES: Mapping[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "examples": _over_examples,
    "rows": _over_rows,
}
