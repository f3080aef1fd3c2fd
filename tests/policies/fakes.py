"""Policies in closed form: what a perfect network would say if every number of an action were drawn from one normal."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from rollahead.policies.policy import EncoderInput, Trained
from rollahead.policies.process import Diffusion, Flow
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import PolicySpec

MEAN, DEVIATION = 0.3, 0.2
SHAPE = (6, 2)


def cosine(k: int = 100, prediction: str = "epsilon", clip: float | None = None) -> Diffusion:
    """Of `k` steps, the noisiest with nearly no signal (arXiv 2102.09672, eq. 17)."""
    bar = [math.cos((t / k + 0.008) / 1.008 * math.pi / 2) ** 2 for t in range(k + 1)]
    beta = [min(1 - after / before, 0.999) for before, after in pairwise(bar)]
    return Diffusion(torch.cumprod(1 - torch.tensor(beta), 0), prediction, clip)


@dataclass
class Fake:
    """Has what every policy has; asked: the times that it was asked at."""

    name: str = "the fake policy"
    warm: tuple[float, ...] | None = None
    shape: tuple[int, int] = SHAPE
    trained: Trained = field(default_factory=Trained)
    asked: list[float] = field(default_factory=list)

    @property
    def spec(self) -> PolicySpec:
        names = tuple(f"a_{i}" for i in range(self.shape[1]))
        return PolicySpec(action=names, state=names, horizon=self.shape[0], rate_hz=50.0)

    def encode(self, seen: EncoderInput) -> Any:
        return None

    def bind(self, context: Any, observations: Sequence[Observation], delay: int) -> Any:
        return context

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        return frozen(chunk.double().numpy())

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        return torch.tensor(rows, dtype=torch.float32)


@dataclass
class Gaussian(Fake):
    """Of actions from N(MEAN, DEVIATION), told by `process` what to predict of a mixture."""

    process: Diffusion | Flow = field(default_factory=cosine)

    def clean(self, x: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
        """The mean of x0, given that `signal` x0 + `noise` e is x."""
        gain = signal * DEVIATION**2 / (signal**2 * DEVIATION**2 + noise**2)
        return MEAN + gain * (x - signal * MEAN)

    def denoise(self, context: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        assert x.shape[1:] == self.shape
        assert t.shape == x.shape[:1]
        assert t.device == x.device
        assert (t == t[0]).all()
        t = t[0]
        self.asked.append(t.item())
        if isinstance(self.process, Flow):
            signal, noise = 1 - t.item(), t.item()
        else:
            assert t.dtype == torch.long
            abar = self.process.abar[t.item()].item()
            signal, noise = math.sqrt(abar), math.sqrt(1 - abar)
        x0 = self.clean(x, signal, noise)
        e = (x - signal * x0) / noise
        return {"sample": x0, "epsilon": e, "velocity": e - x0}[self.process.prediction]


@dataclass
class Once(Fake):
    """Makes the context its chunk."""

    def act(self, context: Any) -> torch.Tensor:
        return torch.as_tensor(context)


def draws(*shape: int, seed: int = 0, count: list[int] | None = None) -> Any:
    """Standard normal noise of `shape`, the same for a seed; count: grows by one element per call."""
    rng = np.random.default_rng(seed)

    def draw() -> torch.Tensor:
        if count is not None:
            count.append(len(count))
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    return draw
