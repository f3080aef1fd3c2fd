"""The loop that makes a chunk from a policy's predictions, step by step.

    x_t  -- network -->  x0, e  -- advance -->  x_s  -- network -->  ...  -->  x0, the chunk

Every step gives a complete chunk, its x0. So the loop can end after any step, for example when time is up. The
`SampleRequest` decides where it starts (noise, or a warm start), which rows are given, and when it ends.

Hot path: all of it, in the worker. After the first call a step allocates nothing, except for what the network and a
steering allocate, and all shapes are the same in each call.
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
    """A method that holds a chunk to known rows while it is denoised."""

    def predict(self, predict: Predict, x: torch.Tensor, times: torch.Tensor, t: float, into: Pair) -> Pair:
        """The steered x0 and e of `x` (B, T, A) at time `t`.

        Args:
            predict: The network's prediction, without steering.
            x: The noisy chunks, (B, T, A).
            times: `t` as the network takes it, (B,).
            t: Noise level.
            into: Tensors to write x0 and e into.
        """
        ...


class Free:
    """No steering: no rows are known."""

    def predict(self, predict: Predict, x: torch.Tensor, times: torch.Tensor, t: float, into: Pair) -> Pair:
        """x0 and e as the network predicts them. Phase: hot."""
        return predict(x, times, into)


def always(to_come: int) -> bool:
    """True: there is time for every step."""
    return True


@dataclass(frozen=True, slots=True, eq=False)
class WarmStart:
    """The last plan, as the start of a denoising.

    Attributes:
        chunk: (T, A), normalised.
        discrete: (A,), mask of the discrete dimensions.
        middle: (A,), the value at which these turn from one end to the other, normalised.
    """

    chunk: torch.Tensor
    discrete: torch.Tensor
    middle: torch.Tensor


@dataclass(frozen=True, slots=True, eq=False)
class SampleRequest:
    """The inputs of one sampling, beside context and noise.

    Attributes:
        start: (B, T, A), chunks at the sampler's first level to start from, None for noise.
        warm_start: The last plan, for samplers that start from it.
        steering: Known rows that the chunks are held to.
        more: Function that says whether there is time for another step, given the number of steps to come. Called
            before every step but the first.
    """

    start: torch.Tensor | None = None
    warm_start: WarmStart | None = None
    steering: Steering = field(default_factory=Free)
    more: Callable[[int], bool] = always


COLD = SampleRequest()


@dataclass(frozen=True, slots=True, eq=False)
class SampleResult:
    """Sampled chunks.

    Attributes:
        chunks: (B, T, A), normalised.
        steps: Number of denoising steps taken.
        made: How they were made, `ResultFlags` as an integer.
    """

    chunks: torch.Tensor
    steps: int
    made: int = 0


class Sampler(Protocol):
    """An algorithm that makes chunks from a policy's predictions."""

    @property
    def calls(self) -> int:
        """Number of network calls per chunk, if there is time for all steps."""
        ...

    def __call__(self, policy: Any, context: Context, noise: Noise, draw: SampleRequest = COLD) -> SampleResult:
        """Chunks for the `context` that `policy` has bound, as many as `noise` has. Phase: hot, in the worker."""
        ...


class Advance(Protocol):
    """The step from one noise level to the next."""

    def __call__(
        self, process: Any, x: torch.Tensor, x0: torch.Tensor, e: torch.Tensor, t: float, s: float, noise: Noise
    ) -> None:
        """Replaces `x`, which is x_t, by x_s in place. `x0`, `e`: the predictions for x_t."""
        ...


class Steps:
    """A sampler with fixed noise levels.

    Args:
        process: Noise process of the policy.
        levels: Noise levels at which the network is called, decreasing: steps of a diffusion, or times of a flow.
        advance: Step from one level to the next.
    """

    def __init__(self, process: Process, levels: Sequence[float], advance: Advance) -> None:
        self.process = process
        self.levels = tuple(levels)
        self.advance = advance
        self._scratch: _Scratch | None = None

    @property
    def calls(self) -> int:
        """Number of network calls per chunk, if there is time for all steps."""
        return len(self.levels)

    def __call__(self, policy: Denoiser, context: Context, noise: Noise, draw: SampleRequest = COLD) -> SampleResult:
        """Chunks for a bound `context`, made by the loop of this module. Phase: hot."""
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
        """A copy of this sampler with other noise levels."""
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
    """Tensors for chunks with the shape of `like`, which are overwritten in each call."""

    def __init__(self, process: Process, levels: Sequence[float], like: torch.Tensor) -> None:
        self.x = torch.empty_like(like)
        self.pair = torch.empty_like(like), torch.empty_like(like)
        self.times = [process.times(like, t) for t in levels]

    def fits(self, like: torch.Tensor) -> bool:
        """Whether the tensors have the shape and the device of `like`."""
        return self.x.shape == like.shape and self.x.device == like.device


def deterministic(
    process: Process, x: torch.Tensor, x0: torch.Tensor, e: torch.Tensor, t: float, s: float, noise: Noise
) -> None:
    """Replaces `x` by x_s with the predicted x0 and e.

    This is DDIM with eta = 0 (arXiv 2010.02502, eq. 12), and Euler's method for a flow (x_s = x + (s - t) v).
    Phase: hot.
    """
    process.mix(x0, e, s, x)
