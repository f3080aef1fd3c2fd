"""Real-time iteration: each denoising starts from the last plan (RTI-DP, arXiv 2508.05396, algorithm 1).

    the last chunk, shifted (the warm start)  -- a few noise levels, from a low one on -->  the chunk
    noise                                     -- all levels ----------------------------->  the chunk, if there is none

Deterministic steps between levels are our addition (`ddim`, `euler`). With `ddpm` the levels are the paper's. `Guards`
decide when a warm start is not used, because the policy has changed to another plan.

Threads: the worker's alone. The sampler counts chunks, and restarts the count at each cold start.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import torch

from rollahead.errors import ConfigError, unknown_name
from rollahead.policies.denoising.samplers.ddpm import ancestral
from rollahead.policies.denoising.samplers.sampler import COLD, Noise, SampleRequest, SampleResult, Steps, WarmStart
from rollahead.policies.denoising.samplers.timesteps import checked
from rollahead.policies.policy import Context, Denoiser
from rollahead.policies.process import Diffusion, Flow
from rollahead.runtime.types.messages import ResultFlags

TENTH = 0.1  # normalised distance from the middle to which `clip` brings a discrete dimension: a few steps can turn it
SHARES = (0.2, 0.1, 0.0)  # default levels of a warm start, as shares of the diffusion's steps
TIMES = (0.3,)  # default levels of a warm start with a flow


@dataclass(frozen=True, slots=True)
class Guards:
    """Rules for not using a warm start, each None to switch it off.

    Attributes:
        reject: Largest root mean square distance of a chunk from its warm start, normalised. A chunk beyond it is made
            again from noise.
        stall: A warm start that is closer than this to the one before is stuck, and noise is added to it (STEP, arXiv
            2602.08245, section 3.3).
        stall_noise: Standard deviation of that noise.
        refresh: One chunk in so many starts from noise.
    """

    reject: float | None = None
    stall: float | None = None
    stall_noise: float = 0.1
    refresh: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("reject", 0.0), ("stall", 0.0), ("stall_noise", 0.0), ("refresh", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                never = "" if name == "stall_noise" else ", or null"
                raise ConfigError(f"sampler.{name} is {value}; give {least} or more{never}")


class Rti:
    """A sampler that starts from the last plan where there is one.

    Args:
        cold: Sampler for starts from noise.
        warm: Sampler for warm starts, at the first of its levels.
        guards: Rules for not using a warm start.
        discrete: What is done with the discrete dimensions of a warm start, a key of `DISCRETE`.
        forward: Whether the warm start is mixed with noise to the first level (SDEdit). If not, it is used as a chunk
            of that level.
    """

    def __init__(self, cold: Steps, warm: Steps, guards: Guards, discrete: str, *, forward: bool) -> None:
        self._cold, self._warm, self._guards, self._forward = cold, warm, guards, forward
        self._discrete = DISCRETE[discrete]
        self._since_cold = 0
        self._before: torch.Tensor | None = None  # the last warm start
        self._tried = False  # whether the first, unused warm start was made

    @property
    def process(self) -> Diffusion | Flow:
        """The noise process of the policy."""
        return self._cold.process

    @property
    def calls(self) -> int:
        """Number of network calls per chunk that starts from noise."""
        return self._cold.calls

    @property
    def varies(self) -> bool:
        """Whether chunks from the same warm start differ, because of noise."""
        return self._forward or self._warm.advance is ancestral

    def __call__(self, policy: Denoiser, context: Context, noise: Noise, draw: SampleRequest = COLD) -> SampleResult:
        """Chunks for a bound `context`, from the warm start of `draw` or from noise. Phase: hot."""
        warm_start = draw.warm_start
        if warm_start is None or self._since_cold + 1 == self._guards.refresh:
            self._since_cold, self._before = 0, None
            result = self._cold(policy, context, noise, draw)
            self._try_once(policy, context, noise, result.chunks)
            return result
        e = noise()
        result = self._warm(policy, context, noise, replace(draw, start=self._start(warm_start, e)))
        if self._guards.reject is not None and _apart(result.chunks, warm_start.chunk) > self._guards.reject:
            self._since_cold = 0
            cold = self._cold(policy, context, noise, replace(draw, start=e))
            return SampleResult(cold.chunks, result.steps + cold.steps, cold.made | int(ResultFlags.REJECTED))
        self._since_cold += 1
        return replace(result, made=result.made | int(ResultFlags.WARM))

    def _try_once(self, policy: Denoiser, context: Context, noise: Noise, chunks: torch.Tensor) -> None:
        """Runs one unused warm start at the first chunk, so that later ones find their tensors allocated.

        A runtime makes its first chunk before its first tick.
        """
        if not self._tried:
            self._tried = True
            self._warm(policy, context, noise, SampleRequest(start=chunks))

    def _start(self, warm_start: WarmStart, e: torch.Tensor) -> torch.Tensor:
        """The chunks at which the denoising starts, (B, T, A). `e`: noise, (B, T, A)."""
        start = warm_start.chunk.expand_as(e).clone()
        if self._stalled(warm_start):
            start.add_(e, alpha=self._guards.stall_noise)
        if self._forward:
            start = self.process.mix(start, e, self._warm.levels[0])
        self._before = warm_start.chunk
        return torch.where(warm_start.discrete, self._discrete(start, e, warm_start.middle), start)

    def _stalled(self, warm_start: WarmStart) -> bool:
        before, least = self._before, self._guards.stall
        return least is not None and before is not None and _apart(warm_start.chunk, before) < least


def _apart(chunks: torch.Tensor, other: torch.Tensor) -> float:
    return float((chunks - other).square().mean().sqrt())


DISCRETE: Mapping[str, Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]] = {
    # from a start and its noise (B, T, A), and the middle of each dimension (A,)
    "keep": lambda start, e, middle: start,
    "clip": lambda start, e, middle: middle + TENTH * torch.sign(start - middle),
    "cold": lambda start, e, middle: e,
}


def make_rti(
    cold: Steps,
    warm: Sequence[float] | None = None,
    renoise: str = "none",
    discrete: str = "keep",
    reject: float | None = None,
    stall: float | None = None,
    stall_noise: float = 0.1,
    refresh: int | None = None,
) -> Rti:
    """A sampler that starts from the last plan.

    Args:
        cold: Sampler for starts from noise.
        warm: Noise levels of a warm start, decreasing: steps of a diffusion, or times of a flow. None for a default.
        renoise: How a warm start is brought to the first level, a key of `RENOISE`.
        discrete: What is done with discrete dimensions, a key of `DISCRETE`.
        reject: See `Guards`.
        stall: See `Guards`.
        stall_noise: See `Guards`.
        refresh: See `Guards`.

    Raises: ConfigError, if a value is unknown or out of range.
    """
    if renoise not in RENOISE:
        raise unknown_name("renoise", renoise, RENOISE)
    if discrete not in DISCRETE:
        raise unknown_name("way with discrete dimensions", discrete, DISCRETE)
    levels = _levels(cold, warm)
    guards = Guards(reject, stall, stall_noise, refresh)
    return Rti(cold, cold.at(levels), guards, discrete, forward=RENOISE[renoise])


RENOISE: Mapping[str, bool] = {"none": False, "forward": True}


def _levels(cold: Steps, warm: Sequence[float] | None) -> tuple[float, ...]:
    process: Any = cold.process
    if isinstance(process, Flow):
        levels = tuple(TIMES if warm is None else warm)
        if not levels or not all(0 < t <= 1 for t in levels) or any(s >= t for t, s in pairwise(levels)):
            raise ConfigError(
                f"sampler.warm is {warm!r}; give falling times of a flow, up to 1 and above 0, as in [0.3]"
            )
        return levels
    steps = [round(share * process.steps) for share in SHARES] if warm is None else warm
    if not all(float(t).is_integer() for t in steps):
        raise ConfigError(f"sampler.warm is {warm!r}; give whole steps of a diffusion, as in [20, 10, 0]")
    levels = checked(process.steps, [int(t) for t in steps], "warm")
    if cold.advance is ancestral and levels[-1] != 0:
        raise ConfigError(
            f"sampler.warm is {list(levels)} and ends at {levels[-1]}, where a step of ddpm leaves noise; end it with "
            "0, or use sampler.base=ddim"
        )
    return levels
