"""The loop in which a chunk is made of a policy's predictions, step by step.

    x_t  -- network -->  x0, e  -- advance -->  x_s  -- network -->  ...  -->  x0, the chunk

Every step has a whole chunk to show, its x0: so the loop can end after any of them, as when time is up. Where it starts
(noise, or what is known of the chunk), what holds it to rows that are given, and when it ends is the `SampleRequest`'s
affair.

Hot path: all of it, in the worker. After the first call a step allocates nothing, but for what the network and a
steering do, and all shapes are the same at each call.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import torch

from rollahead.policies.policy import Context, Denoiser
from rollahead.policies.process import Pair, Process
from rollahead.runtime.types.messages import ResultFlags

Noise = Callable[[], torch.Tensor]  # (B, T, A), standard normal, on the policy's device; new at each call
Predict = Callable[[torch.Tensor, torch.Tensor, Pair | None], Pair]  # x (B, T, A), times (B,) or (B, T) -> x0 and e


class Steering(Protocol):
    """What holds a chunk to rows that are known."""

    def predict(self, predict: Predict, x: torch.Tensor, times: torch.Tensor, t: float, into: Pair) -> Pair:
        """x0 and e of `x` at time `t`, `times` (B,), as they shall be."""
        ...


class Free:
    """Nothing is known."""

    def predict(self, predict: Predict, x: torch.Tensor, times: torch.Tensor, t: float, into: Pair) -> Pair:
        """As the network says. Phase: hot."""
        return predict(x, times, into)


def always(to_come: int) -> bool:
    """There is time for every step."""
    return True


@dataclass(frozen=True, slots=True, eq=False)
class WarmStart:
    """What the last plan says of a chunk. chunk: (T, A), normalised; discrete: (A,), which dimensions are; middle:
    (A,), where these turn from one value to the other, normalised."""

    chunk: torch.Tensor
    discrete: torch.Tensor
    middle: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class SampleRequest:
    """How a chunk is drawn. start: (B, T, A), to begin from at the sampler's first level, None for noise alone; guess:
    for samplers that start from it; more: asked before every step but the first, with how many are to come, whether
    there is time for one."""

    start: torch.Tensor | None = None
    warm_start: WarmStart | None = None
    steering: Steering = field(default_factory=Free)
    more: Callable[[int], bool] = always


COLD = SampleRequest()


@dataclass(frozen=True, slots=True, eq=False)
class SampleResult:
    """chunks: (B, T, A), normalised; steps: that were taken; made: how, beside that, as `ResultFlags`."""

    chunks: torch.Tensor
    steps: int
    made: int = 0


class Sampler(Protocol):
    """One way to make a chunk."""

    @property
    def calls(self) -> int:
        """Of the network, per chunk, if there is time for all."""
        ...

    def __call__(self, policy: Any, context: Context, noise: Noise, draw: SampleRequest = COLD) -> SampleResult:
        """Chunks for the `context` that `policy` has bound, as many as `noise` has. Phase: hot, in the worker."""
        ...


class Advance(Protocol):
    """From one level of noise to the next."""

    def __call__(
        self, process: Any, x: torch.Tensor, x0: torch.Tensor, e: torch.Tensor, t: float, s: float, noise: Noise
    ) -> None:
        """Makes x_s of `x`, which is x_t, in place; x0 and e: as they are predicted of it."""
        ...


class Steps:
    """levels: of noise, at which the network is asked, falling: steps of diffusion, or times of a flow."""

    def __init__(self, process: Process, levels: Sequence[float], advance: Advance) -> None:
        self.process = process
        self.levels = tuple(levels)
        self.advance = advance
        self._scratch: _Scratch | None = None

    @property
    def calls(self) -> int:
        """Of the network, per chunk, if there is time for all."""
        return len(self.levels)

    def __call__(self, policy: Denoiser, context: Context, noise: Noise, draw: SampleRequest = COLD) -> SampleResult:
        """See the module. Phase: hot."""
        start = noise() if draw.start is None else draw.start
        if self._scratch is None or not self._scratch.fits(start):
            self._scratch = _Scratch(self.process, self.levels, start)
        scratch = self._scratch
        x, pair = scratch.x.copy_(start), scratch.pair
        last, cut = len(self.levels) - 1, False
        for i, t in enumerate(self.levels):
            predict = partial(self._predict, policy, context, t)
            pair = draw.steering.predict(predict, x, scratch.times[i], t, scratch.pair)
            if i == last or (cut := not draw.more(last - i)):
                break
            self.advance(self.process, x, *pair, t, self.levels[i + 1], noise)
        return SampleResult(pair[0].clone(), i + 1, int(ResultFlags.CUT) if cut else 0)

    def at(self, levels: Sequence[float]) -> "Steps":
        """The same at other levels."""
        return Steps(self.process, levels, self.advance)

    def _predict(
        self,
        policy: Denoiser,
        context: Context,
        t: float,
        x: torch.Tensor,
        times: torch.Tensor,
        into: Pair | None,
    ) -> Pair:
        return self.process.split(policy.denoise(context, x, times), x, t, into)


class _Scratch:
    """Tensors for chunks as `like`, which are written again and again."""

    def __init__(self, process: Process, levels: Sequence[float], like: torch.Tensor) -> None:
        self.x = torch.empty_like(like)
        self.pair = torch.empty_like(like), torch.empty_like(like)
        self.times = [process.times(like, t) for t in levels]

    def fits(self, like: torch.Tensor) -> bool:
        return self.x.shape == like.shape and self.x.device == like.device


def deterministic(
    process: Process, x: torch.Tensor, x0: torch.Tensor, e: torch.Tensor, t: float, s: float, noise: Noise
) -> None:
    """x_s with the x0 and e that are predicted: DDIM with eta = 0 (arXiv 2010.02502, eq. 12); of a flow, Euler's method
    (x_s = x + (s - t) v). Phase: hot."""
    process.mix(x0, e, s, x)
