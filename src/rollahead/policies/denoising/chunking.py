"""The real-time chunking family: methods by which a new chunk continues the actions that run meanwhile.

    rtc      guided towards the last plan while it is denoised (arXiv 2506.07339)
    tt_rtc   given the rows that will run, by a policy trained for it (arXiv 2512.05964)
    bid      chosen among several (Bidirectional Decoding, arXiv 2408.17355, section 4)

Row 0 is for the tick of the observation. The first d rows run from the last plan, whatever the new chunk has there.
With `vlash`, row 0 is for the switch, and guidance (`strategy.guidance.enabled`) acts on the rows from there on. The
last plan is known as far as chunks cover it: holds are left out, so nothing is ever guided towards zeros.

Threads: the worker's alone.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Protocol

import torch

from rollahead.errors import ConfigError, InferenceError
from rollahead.policies.denoising.samplers import Sampler
from rollahead.policies.denoising.samplers.rti import Rti
from rollahead.policies.denoising.samplers.sampler import Free, Steering
from rollahead.policies.denoising.steering import PrefixConditioning, RTCGuidance, soft_mask
from rollahead.policies.policy import Policy
from rollahead.policies.process import Flow, Process
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.extensions import load
from rollahead.runtime.types.messages import Request
from rollahead.runtime.types.spec import PolicySpec

GROUP = "rollahead.verifiers"  # entry points of other packages
Verifier = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Chunking(Protocol):
    """A method that makes a chunk continue the last plan.

    `known` (n, A) in its methods: the normalised rows of the last plan from the tick of the observation on.
    """

    @property
    def candidates(self) -> int:
        """Number of chunks to sample."""
        ...

    def steering(self, request: Request, known: torch.Tensor) -> Steering:
        """The steering of the denoising. Phase: hot."""
        ...

    def choose(self, chunks: torch.Tensor, request: Request, known: torch.Tensor, weak: torch.Tensor) -> int:
        """The index of the chunk to send.

        Args:
            chunks: Sampled chunks, (B, T, A), normalised.
            request: The request that they answer.
            known: (n, A), see the class.
            weak: Chunks of the weaker policy from the tick of the observation on, (B, H, A); (0, H, A) without one.

        Phase: hot.
        """
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """No continuation: the chunk is used as the policy makes it."""

    candidates: int = 1

    def steering(self, request: Request, known: torch.Tensor) -> Steering:
        """No steering. Phase: hot."""
        return Free()

    def choose(self, chunks: torch.Tensor, request: Request, known: torch.Tensor, weak: torch.Tensor) -> int:
        """Index 0: there is one chunk only. Phase: hot."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance(Plain):
    """Guides a chunk towards the last plan while it is denoised (RTC, arXiv 2506.07339).

    Attributes:
        process: Noise process of the policy.
        rows: H.
        past: T - H, rows for ticks before the observation, which are not guided.
        mask: Name of the soft mask, a key of `steering.MASKS`.
        execution_horizon: The first row that is not guided.
        max_guidance_weight: Greatest weight of the guidance, see `RTCGuidance`.
        full: Whether the gradient goes through the network, see `RTCGuidance`.
        names: A, the leading numbers of a row that the robot has a name for; the others are not guided.
    """

    process: Process
    rows: int
    names: int
    past: int = 0
    mask: str = "exp"
    execution_horizon: int = 0
    max_guidance_weight: float = 5.0
    full: bool = True

    def steering(self, request: Request, known: torch.Tensor) -> Steering:
        """Guidance towards the last plan: at full weight in the rows before the switch, then decreasing. Phase: hot."""
        ahead = 0 if request.origin is None else request.origin - request.tick
        known = known[ahead:]
        n = min(len(known), self.rows)
        if not n:
            return Free()
        weights = soft_mask(self.mask, min(request.delay - ahead, n), min(self.execution_horizon, n), self.rows).to(
            known.device
        )
        target = torch.nn.functional.pad(known[:n], (0, 0, self.past, self.rows - n))
        named = torch.arange(target.shape[1], device=known.device) < self.names
        weights = torch.nn.functional.pad(weights, (self.past, 0))[:, None] * named
        return RTCGuidance(target, weights, self.max_guidance_weight, self.process, self.full)


@dataclass(frozen=True, slots=True)
class Prefix(Plain):
    """Gives the policy the rows that will run (training-time RTC).

    `most`: the longest prefix that it was trained for.
    """

    most: int = 0

    def steering(self, request: Request, known: torch.Tensor) -> Steering:
        """A prefix of the first d rows, or of as many as are known.

        Raises: InferenceError, if d is longer than the policy was trained for. Phase: hot.
        """
        if request.delay > self.most:
            raise InferenceError(
                f"a delay of {request.delay} ticks is planned, and the policy was trained for prefixes of at most "
                f"{self.most}; nothing of it was sent: set strategy.d, or use vlash or rtc"
            )
        n = min(request.delay, len(known))
        return PrefixConditioning(known[:n]) if n else Free()


@dataclass(frozen=True, slots=True)
class BestOf(Plain):
    """Chooses the chunk that agrees with the last plan and is near other good chunks, but far from a weaker policy's.

    This is Bidirectional Decoding (arXiv 2408.17355, eq. 4 to 6).

    Attributes:
        candidates: Number of chunks to sample.
        verifier: Cost of each chunk (B, H, A), given the known rows (n, A) and their weights (n,), which sum to 1.
        rho: Factor by which the weight decreases from row to row after the first d.
        modes: The B / modes chunks of the lowest cost are contrasted, None for no contrast.
        past: T - H.
        names: A, the leading numbers of a row that are compared, None for all.
    """

    verifier: Verifier = lambda chunks, known, weights: chunks.new_zeros(len(chunks))
    rho: float = 0.5
    modes: int | None = None
    past: int = 0
    names: int | None = None

    def choose(self, chunks: torch.Tensor, request: Request, known: torch.Tensor, weak: torch.Tensor) -> int:
        """The index of the chunk with the lowest cost.

        A chunk with NaN or infinite values is not chosen. Phase: hot.
        """
        chunks, known, weak = chunks[:, self.past :, : self.names], known[:, : self.names], weak[..., : self.names]
        backward = self._backward(chunks, request, known)
        if self.modes is None:
            return int(backward.argmin())
        kept = len(chunks) if not len(known) else len(chunks) // self.modes
        best = backward.argsort()[:kept]
        weak = weak[self._backward(weak, request, known).argsort()[:kept]]
        cost = backward[best] + _contrast(chunks[best], weak)
        return int(best[cost.nan_to_num(nan=math.inf).argmin()])

    def _backward(self, chunks: torch.Tensor, request: Request, known: torch.Tensor) -> torch.Tensor:
        """(B,), the cost of each of `chunks` (B, H, A) compared with the last plan."""
        n = min(len(known), chunks.shape[1])
        weights = self.rho ** (torch.arange(n, device=chunks.device) - request.delay).clamp(min=0).float()
        cost = self.verifier(chunks, known[:n], weights / weights.sum())
        return cost.nan_to_num(nan=math.inf)


def _contrast(good: torch.Tensor, weak: torch.Tensor) -> torch.Tensor:
    """(K,), the forward contrast of the chunks `good` (K, H, A) (arXiv 2408.17355, eq. 5 and 6).

    It is the mean distance of each chunk from the nearest half of the other good ones, minus that from the nearest half
    of `weak` (K, H, A), if there are any.
    """
    half = len(good) // 2
    near = _distances(good, good).topk(half + 1, largest=False).values[:, 1:].mean(1)  # without the chunk itself
    return near - _distances(good, weak).topk(half, largest=False).values.mean(1) if len(weak) else near


def _distances(chunks: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """(K, L), the mean distance between the rows of each of `chunks` and each of `others`."""
    return (chunks[:, None] - others[None]).norm(dim=-1).mean(-1)


def agreement(chunks: torch.Tensor, known: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(B,), the distance of each chunk from the last plan, row by row (backward coherence: arXiv 2408.17355, eq. 4)."""
    distance: torch.Tensor = (chunks[:, : len(known)] - known).norm(dim=-1)
    return (weights * distance).sum(1)


def smoothness(chunks: torch.Tensor, known: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(B,), the sum of the squared second differences of each chunk, which is large if it bends."""
    return chunks.diff(n=2, dim=1).square().sum((1, 2))


VERIFIERS: Mapping[str, Verifier] = {"agreement": agreement, "smoothness": smoothness}


def make_chunking(strategy: StrategyConfig, policy: Policy, sampler: Sampler, weak: Policy | None = None) -> Chunking:
    """The method by which `strategy` continues the chunks of `policy`. `weak`: a weaker policy, for `bid`.

    Raises: ConfigError, if a policy or the sampler does not fit the strategy.
    """
    make = _guidance if strategy.guidance.enabled else CHUNKINGS.get(strategy.name)
    if weak is not None and make is not _best_of:
        raise ConfigError(f"strategy.bid.weak is for strategy=bid, and the strategy is {strategy.name}; leave it out")
    if make is None:
        return Plain()
    if not hasattr(policy, "denoise"):
        what = "strategy.guidance.enabled=true" if strategy.guidance.enabled else f"strategy={strategy.name}"
        raise ConfigError(f"{what} needs a policy that denoises, and {policy.name} makes its chunk at once; use vlash")
    return make(strategy, policy, sampler, weak)


def _guidance(strategy: StrategyConfig, policy: Any, sampler: Sampler, weak: Policy | None) -> Chunking:
    rows = policy.spec.horizon
    given = strategy.guidance
    end = min(max(rows - strategy.s, 0), rows) if given.execution_horizon is None else given.execution_horizon
    if end > rows:
        raise ConfigError(
            f"strategy.guidance.execution_horizon is {end}; give a row from 0 to {rows}, from which on the guidance "
            "weight is 0"
        )
    return Guidance(
        process=policy.process,
        rows=rows,
        names=len(policy.spec.action),
        past=policy.shape[0] - rows,
        mask=given.mask,
        execution_horizon=end,
        max_guidance_weight=float(sampler.calls) if given.max_guidance_weight is None else given.max_guidance_weight,
        full=given.jacobian == "full",
    )


def _prefix(strategy: StrategyConfig, policy: Any, sampler: Sampler, weak: Policy | None) -> Chunking:
    most = policy.trained.prefixes
    if not isinstance(policy.process, Flow):
        raise ConfigError(
            f"strategy=tt_rtc needs a flow policy, whose rows can have a time of their own, and {policy.name} is not "
            "one; use rtc, or vlash"
        )
    if not most:
        raise ConfigError(
            f"strategy=tt_rtc gives the policy the rows that will run, and {policy.name} was not trained for it; train "
            "one with prefixes=..., or use vlash"
        )
    return Prefix(most=most)


def _best_of(strategy: StrategyConfig, policy: Policy, sampler: Sampler, weak: Policy | None) -> Chunking:
    if isinstance(sampler, Rti) and not sampler.varies:
        raise ConfigError(
            "strategy=bid chooses among plans that differ by their noise, and with sampler=rti all start from the last "
            "one; set sampler.renoise=forward, or use another sampler"
        )
    _check_contrast(strategy, policy, weak)
    verifier = load(GROUP, "verifier", strategy.bid.verifier, "add what its package needs", VERIFIERS)
    past = policy.shape[0] - policy.spec.horizon
    bid = strategy.bid
    return BestOf(bid.candidates, verifier, bid.rho, bid.modes, past, len(policy.spec.action))


def _check_contrast(strategy: StrategyConfig, policy: Policy, weak: Policy | None) -> None:
    candidates, modes = strategy.bid.candidates, strategy.bid.modes
    if modes is not None and not 1 <= modes <= candidates // 2:
        raise ConfigError(
            f"strategy.bid.modes is {modes} and strategy.bid.candidates {candidates}; give at least 2 candidates for "
            "each mode, or strategy.bid.modes=null for no contrast"
        )
    if weak is not None and modes is None:
        raise ConfigError(
            "strategy.bid.weak is for the contrast, and strategy.bid.modes=null makes none; leave one of them out"
        )
    if weak is not None:
        _check_weak(policy, weak)


def _check_weak(policy: Policy, weak: Policy) -> None:
    """Checks that the chunks of both policies can be compared.

    Their noise processes may differ, as those of a flow and a diffusion policy do: the weaker policy has its own
    sampler, and its chunks are normalised like the policy's.
    """
    if not hasattr(weak, "denoise"):
        raise ConfigError(
            f"strategy.bid.weak is {weak.name}, which makes its chunk at once, and as many different ones are needed "
            "as there are candidates; give the checkpoint of a policy that denoises"
        )
    # `state_in` concerns the cost of binding only.
    compared = [field.name for field in fields(PolicySpec) if field.name != "state_in"]
    differing = [name for name in compared if _said(weak, name) != _said(policy, name)]
    if differing:
        own, other = (", ".join(f"{name} = {_said(one, name)}" for name in differing) for one in (policy, weak))
        raise ConfigError(
            f"strategy.bid.weak has {other}, and the policy {own}; give a checkpoint of a training on the same data"
        )


def _said(policy: Policy, name: str) -> str:
    """The value of the field `name` of a policy's spec, as text: '7', or '[x, y]'."""
    value = getattr(policy.spec, name)
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)


CHUNKINGS: Mapping[str, Callable[[StrategyConfig, Any, Any, Any], Chunking]] = {
    "rtc": _guidance,
    "tt_rtc": _prefix,
    "bid": _best_of,
}
