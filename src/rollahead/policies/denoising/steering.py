"""Steering: what holds a chunk to the rows of the last one while it is denoised.

    RTCGuidance          real-time chunking (RTC, arXiv 2506.07339): the clean chunk is pulled towards a target, softly
    PrefixConditioning   training-time RTC (arXiv 2512.05964): the first rows are the prefix, clean from the start on

Row 0 is for the tick of the observation. `PrefixConditioning` is for flow policies; `RTCGuidance` also for diffusion
policies: their mixture at a step is that of a flow at some time, times a factor. T: rows of the network; n: rows that
are known.

Hot path: all of it, in the worker.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from rollahead.policies.denoising.samplers.sampler import Predict
from rollahead.policies.process import Pair, Process

# ---- soft masks -----------------------------------------------------------------------------------------------------


def soft_mask(kind: str, start: int, end: int, rows: int) -> torch.Tensor:
    """(rows,), how much each row is held to the target (arXiv 2506.07339, eq. 5): 1 before `start`, falling to nothing
    at `end`, 0 from there on. kind: one of `MASKS`."""
    start = min(start, end)
    falling = 1 - (torch.arange(rows) - start + 1) / (end - start + 1)
    return torch.where(torch.arange(rows) < end, MASKS[kind](falling.clamp(0, 1)), 0.0)


MASKS: Mapping[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "linear": lambda w: w,
    "exp": lambda w: w * torch.expm1(w) / torch.expm1(torch.ones(())),
    "ones": torch.ones_like,
    "zeros": lambda w: (w == 1).to(w.dtype),
}


# ---- guidance -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class RTCGuidance:
    """Guidance of a denoising towards the rows of the last chunk (RTC, arXiv 2506.07339).

    target: (T, A), normalised; weights: (T, 1), 0 where there is no target; max_guidance_weight: the greatest weight of
    the pull (beta); process: what is denoised; full: the pull goes back through the network (a vector-Jacobian product,
    as published), else its Jacobian is taken to be the identity, as LeRobot 0.6.1 does."""

    target: torch.Tensor
    weights: torch.Tensor
    max_guidance_weight: float
    process: Process
    full: bool = True

    def predict(self, predict: Predict, x: torch.Tensor, times: torch.Tensor, t: float, into: Pair) -> Pair:
        """x0 and e with v' = v - w g, where g = (d x0 / d x)^T (weights (target - x0)) (arXiv 2506.07339, eq. 2 to 4,
        here with a time u of the flow that is 1 for noise). Phase: hot."""
        u, factor = self.process.as_flow(t)
        if self.full:
            with torch.enable_grad():
                x = x.detach().requires_grad_(True)
                x0, e = predict(x, times, None)
                pull = self.weights * (self.target - x0.detach())
                (pull,) = torch.autograd.grad(x0, x, factor * pull)
                x0, e = into[0].copy_(x0.detach()), into[1].copy_(e.detach())
        else:
            x0, e = predict(x, times, into)
            pull = self.weights * (self.target - x0)
        w = guidance_weight(u, self.max_guidance_weight)
        return x0.add_(pull, alpha=u * w), e.sub_(pull, alpha=(1 - u) * w)


def guidance_weight(t: float, max_guidance_weight: float) -> float:
    """Weight of the guidance at time `t`, at most `max_guidance_weight`: ((1 - t)^2 + t^2) / (t (1 - t)) (arXiv
    2506.07339, eq. 3 with tau = 1 - t)."""
    return max_guidance_weight if t >= 1 else min(max_guidance_weight, ((1 - t) ** 2 + t**2) / (t * (1 - t)))


# ---- prefixes -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class PrefixConditioning:
    """prefix: (n, A), normalised, the first rows of the chunk."""

    prefix: torch.Tensor

    def predict(self, predict: Predict, x: torch.Tensor, times: torch.Tensor, t: float, into: Pair) -> Pair:
        """The network sees the prefix clean, at time 0; it stands in x0 to the bit (arXiv 2512.05964, algorithm 1).
        Phase: hot."""
        n = len(self.prefix)
        x[:, :n] = self.prefix
        own = times[:, None].expand(x.shape[:2]).clone()
        own[:, :n] = 0.0
        x0, e = predict(x, own, into)
        x0[:, :n] = self.prefix
        return x0, e
