"""The loss of flow matching, with prefixes.

    x_t = (1 - t) x0 + t e,    loss = mean |net(x_t, t) - target|^2,    target = e - x0 (velocity) or x0 (sample)

over the rows that are neither given nor past the end of a demonstration (arXiv 2210.02747; prefixes: 2512.05964). The
mean is over all these rows of a batch (as in LeRobot and by the authors of training-time RTC), or over the means of
its examples, with which a row has the more weight the longer the prefix before it.
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
    """Flow-matching loss of a batch.

    Args:
        net: The network.
        prediction: What the network predicts, a key of `TARGETS`.
        x0: Clean chunks, (B, T, A).
        condition: Condition, (B, C).
        noise: Standard normal noise, (B, T, A).
        t: Times (B,) in [0, 1].
        given: Rows that are given clean, at time 0, (B, T).
        counted: Rows that count in the loss, (B, T).
        average: Averaging of the loss, a key of `AVERAGES`.
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
