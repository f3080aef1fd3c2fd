"""Noise processes: how an action x0 and noise e are mixed into x_t, and which part of the mixture a network predicts.

    Diffusion   x_t = sqrt(abar_t) x0 + sqrt(1 - abar_t) e      t = 0 .. K - 1, integer (DDPM, arXiv 2006.11239, eq. 4)
    Flow        x_t = (1 - t) x0 + t e,    v = e - x0           t in [0, 1] (LeRobot's direction: 1 is noise)

Hot path: everything but the constructors. Methods with `into` write into given tensors and allocate nothing; without it
they return new tensors, through which gradients flow.
"""

from dataclasses import dataclass, field

import torch

from rollahead.errors import unknown_name

PREDICTIONS = ("velocity", "sample")  # what a flow policy may predict: v or x0
Pair = tuple[torch.Tensor, torch.Tensor]  # x0 and e, (B, T, A) each


@dataclass(frozen=True, slots=True, eq=False)
class Diffusion:
    """The noise process of a diffusion policy.

    Attributes:
        abar: (K,), on the CPU, the product of 1 - beta up to each step.
        prediction: What the network predicts, `epsilon` (e) or `sample` (x0).
        clip: Bound on the absolute value of a predicted x0, None for no bound.
        signal: (K,), the factor of x0 at each step.
        noise: (K,), the factor of e at each step.
        bars: (K,), `abar` as floats.
    """

    abar: torch.Tensor
    prediction: str
    clip: float | None = None
    signal: tuple[float, ...] = field(init=False)
    noise: tuple[float, ...] = field(init=False)
    bars: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        if self.prediction not in ("epsilon", "sample"):
            raise unknown_name("prediction of a diffusion policy", self.prediction, ("epsilon", "sample"))
        object.__setattr__(self, "bars", tuple(self.abar.tolist()))
        object.__setattr__(self, "signal", tuple(self.abar.sqrt().tolist()))
        object.__setattr__(self, "noise", tuple((1 - self.abar).sqrt().tolist()))

    @property
    def steps(self) -> int:
        """K, the number of steps that the network was trained with."""
        return len(self.abar)

    def times(self, x: torch.Tensor, t: float) -> torch.Tensor:
        """The step `t` as the network takes it, (B,) int64."""
        return torch.full(x.shape[:1], int(t), dtype=torch.long, device=x.device)

    def as_flow(self, t: float) -> tuple[float, float]:
        """The flow time u of the mixture at step `t`, and a factor c, so that x_t = c ((1 - u) x0 + u e)."""
        signal, noise = self.signal[int(t)], self.noise[int(t)]
        return noise / (signal + noise), signal + noise

    def split(self, predicted: torch.Tensor, x: torch.Tensor, t: float, into: Pair | None = None) -> Pair:
        """x0 and e of the mixture `x` at step `t`, from what the network `predicted` (B, T, A).

        The returned x0 is clipped. e belongs to the x0 before clipping, as in diffusers.
        """
        signal, noise = self.signal[int(t)], self.noise[int(t)]
        x0, e = into or (None, None)
        if self.prediction == "epsilon":
            e = predicted if e is None else e.copy_(predicted)
            x0 = torch.div(torch.sub(x, torch.mul(e, noise, out=x0), out=x0), signal, out=x0)
        else:
            e = torch.div(torch.sub(x, predicted, alpha=signal, out=e), noise, out=e)
            x0 = predicted if x0 is None else x0.copy_(predicted)
        return (x0 if self.clip is None else torch.clamp(x0, -self.clip, self.clip, out=into and into[0])), e

    def mix(self, x0: torch.Tensor, e: torch.Tensor, t: float, into: torch.Tensor | None = None) -> torch.Tensor:
        """The mixture x_t, (B, T, A). With `into`, `e` is overwritten."""
        return _sum(x0, self.signal[int(t)], e, self.noise[int(t)], into)


@dataclass(frozen=True, slots=True)
class Flow:
    """The noise process of a flow-matching policy. `prediction`: `velocity` (v) or `sample` (x0)."""

    prediction: str

    def __post_init__(self) -> None:
        if self.prediction not in PREDICTIONS:
            raise unknown_name("prediction of a flow policy", self.prediction, PREDICTIONS)

    def times(self, x: torch.Tensor, t: float) -> torch.Tensor:
        """The time `t` as the network takes it, (B,)."""
        return x.new_full(x.shape[:1], t)

    def as_flow(self, t: float) -> tuple[float, float]:
        """The time `t` itself and the factor 1, as in `Diffusion.as_flow`."""
        return t, 1.0

    def split(self, predicted: torch.Tensor, x: torch.Tensor, t: float, into: Pair | None = None) -> Pair:
        """x0 and e of the mixture `x` at time `t` > 0, from what the network `predicted` (B, T, A)."""
        x0, e = into or (None, None)
        if self.prediction == "velocity":
            return torch.sub(x, predicted, alpha=t, out=x0), torch.add(x, predicted, alpha=1 - t, out=e)
        e = torch.div(torch.sub(x, predicted, alpha=1 - t, out=e), t, out=e)
        return predicted if x0 is None else x0.copy_(predicted), e

    def mix(self, x0: torch.Tensor, e: torch.Tensor, t: float, into: torch.Tensor | None = None) -> torch.Tensor:
        """The mixture x_t, (B, T, A). With `into`, `e` is overwritten."""
        return _sum(x0, 1 - t, e, t, into)


def _sum(x0: torch.Tensor, signal: float, e: torch.Tensor, noise: float, into: torch.Tensor | None) -> torch.Tensor:
    if into is None:
        return x0 * signal + e * noise
    return torch.mul(x0, signal, out=into).add_(e.mul_(noise))  # two roundings, as in diffusers


Process = Diffusion | Flow
