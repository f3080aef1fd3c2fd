"""Noise processes: how an action x0 and noise e are mixed to x_t, and what a network predicts of the mixture.

Diffusion   x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) e      t = 0 .. K - 1, whole (DDPM, arXiv 2006.11239, eq. 4)
Flow        x_t = (1 - t) x0 + t e,    v = e - x0           t in [0, 1] (LeRobot's direction: 1 is noise)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from rollahead.errors import unknown_name

PREDICTIONS = ("velocity", "sample")  # of a flow policy: v or x0
Denoise = Callable[[Any, torch.Tensor, torch.Tensor], torch.Tensor]  # a context, (B, T, A), (B,) -> (B, T, A)


@dataclass(frozen=True, slots=True, eq=False)
class Diffusion:
    """abar: (K,), the product of 1 - beta up to each step, on the CPU; prediction: `epsilon` (e) or `sample` (x0);
    clip: the predicted x0 is kept within plus and minus this; None for no limit."""

    abar: torch.Tensor
    prediction: str
    clip: float | None = None

    def __post_init__(self) -> None:
        if self.prediction not in ("epsilon", "sample"):
            raise unknown_name("prediction of a diffusion policy", self.prediction, ("epsilon", "sample"))

    @property
    def steps(self) -> int:
        """K, that the network was trained with."""
        return len(self.abar)

    def predict(self, denoise: Denoise, context: Any, x: torch.Tensor, t: int) -> tuple[torch.Tensor, torch.Tensor]:
        """x0 and e, (B, T, A) each, of the mixtures `x` at step `t`, as `denoise` sees them. x0 is clipped; e goes with
        x0 as it was before (so does diffusers). Phase: hot."""
        times = torch.full(x.shape[:1], t, dtype=torch.long, device=x.device)
        predicted = denoise(context, x, times)
        signal, noise = self.abar[t].sqrt(), (1 - self.abar[t]).sqrt()
        if self.prediction == "epsilon":
            x0, e = (x - noise * predicted) / signal, predicted
        else:
            x0, e = predicted, (x - signal * predicted) / noise
        return (x0 if self.clip is None else x0.clamp(-self.clip, self.clip)), e


@dataclass(frozen=True, slots=True)
class Flow:
    """prediction: `velocity` (v) or `sample` (x0)."""

    prediction: str

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            raise unknown_name("prediction of a flow policy", self.prediction, PREDICTIONS)

    def velocity(self, predicted: torch.Tensor, x: torch.Tensor, t: float) -> torch.Tensor:
        """v of the mixture `x` at time `t` > 0, of what the network `predicted`: (B, T, A) each. Phase: hot."""
        return predicted if self.prediction == "velocity" else (x - predicted) / t


Process = Diffusion | Flow
