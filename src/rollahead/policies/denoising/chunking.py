"""The real-time chunking family: how a new chunk is made to go on from the rows that will run meanwhile.

    rtc      pulled towards the last plan while it is denoised (arXiv 2506.07339)
    tt_rtc   told the rows that will run, by a policy that was trained for it (arXiv 2512.05964)
    bid      chosen among several (Bidirectional Decoding, arXiv 2408.17355, section 4)

Row 0 is for the tick of the observation; the first d rows run from the last plan, whatever the new one says. With
`vlash` row 0 is for the switch, and the rows from there on are guided (`strategy.guidance.enabled`). What is known of
the last plan are its rows without holds, as many as there are: nothing is ever pulled towards zeros.

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

GROUP = "rollahead.verifiers"  # of other packages
Verifier = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Chunking(Protocol):
    """What is done so that a chunk goes on from `known` (n, A), normalised: the rows of the last plan from the tick of
    the observation on."""

    @property
    def candidates(self) -> int:
        """Chunks to draw."""
        ...

    def steering(self, request: Request, known: torch.Tensor) -> Steering:
        """Phase: hot."""
        ...

    def choose(self, chunks: torch.Tensor, request: Request, known: torch.Tensor, weak: torch.Tensor) -> int:
        """The index of the chunk to send, among `chunks` (B, T, A); weak: (B, H, A), the weaker policy's, rows from the
        tick of the observation on; (0, H, A) without one. Phase: hot."""
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """A chunk is what the policy says."""

    candidates: int = 1

    def steering(self, request: Request, known: torch.Tensor) -> Steering:
        """None. Phase: hot."""
        return Free()

    def choose(self, chunks: torch.Tensor, request: Request, known: torch.Tensor, weak: torch.Tensor) -> int:
        """The only one. Phase: hot."""
        return 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance(Plain):
    """Pulls a chunk towards the last plan while it is denoised (RTC, arXiv 2506.07339).

    process: what is denoised; rows: H; past: T - H, rows for ticks before the first of these, which are not pulled;
    execution_horizon: the row from which on nothing is pulled; max_guidance_weight, full: as in `RTCGuidance`.
    """

    process: Process
    rows: int
    past: int = 0
    mask: str = "exp"
    execution_horizon: int = 0
    max_guidance_weight: float = 5.0
    full: bool = True

    def steering(self, request: Request, known: torch.Tensor) -> Steering:
        """Towards the last plan: wholly in the rows before the switch, then less and less. Phase: hot."""
        ahead = 0 if request.origin is None else request.origin - request.tick
        known = known[ahead:]
        n = min(len(known), self.rows)
        if not n:
            return Free()
        weights = soft_mask(self.mask, min(request.delay - ahead, n), min(self.execution_horizon, n), self.rows).to(
            known.device
        )
        target = torch.nn.functional.pad(known[:n], (0, 0, self.past, self.rows - n))
        weights = torch.nn.functional.pad(weights, (self.past, 0))[:, None]
        return RTCGuidance(target, weights, self.max_guidance_weight, self.process, self.full)


@dataclass(frozen=True, slots=True)
class Prefix(Plain):
    """most: the longest prefix that the policy was trained for."""

    most: int = 0

    def steering(self, request: Request, known: torch.Tensor) -> Steering:
        """The first d rows, as many as are known. Raises: InferenceError, if d is more than the policy knows of. Phase:
        hot."""
        if request.delay > self.most:
            raise InferenceError(
                f"a delay of {request.delay} ticks is planned, and the policy was trained for prefixes of at most "
                f"{self.most}; nothing of it was sent: set strategy.d, or use vlash or rtc"
            )
        n = min(request.delay, len(known))
        return PrefixConditioning(known[:n]) if n else Free()


@dataclass(frozen=True, slots=True)
class BestOf(Plain):
    """Chooses the chunk that agrees with the last plan and is near other good chunks, far from a weaker policy's
    (Bidirectional Decoding, arXiv 2408.17355, eq. 4 to 6).

    verifier: the cost of each chunk (B, H, A), given the rows known (n, A) and their weights (n,), which sum to 1; rho:
    the factor by which the weight falls from row to row after the first d; modes: the B / modes chunks that cost least
    are contrasted, None for no contrast; past: T - H.
    """

    verifier: Verifier = lambda chunks, known, weights: chunks.new_zeros(len(chunks))
    rho: float = 0.5
    modes: int | None = None
    past: int = 0

    def choose(self, chunks: torch.Tensor, request: Request, known: torch.Tensor, weak: torch.Tensor) -> int:
        """The index of the cheapest; a chunk with NaN or infinite values is not chosen. Phase: hot."""
        chunks = chunks[:, self.past :]
        backward = self._backward(chunks, request, known)
        if self.modes is None:
            return int(backward.argmin())
        kept = len(chunks) if not len(known) else len(chunks) // self.modes
        best = backward.argsort()[:kept]
        weak = weak[self._backward(weak, request, known).argsort()[:kept]]
        cost = backward[best] + _contrast(chunks[best], weak)
        return int(best[cost.nan_to_num(nan=math.inf).argmin()])

    def _backward(self, chunks: torch.Tensor, request: Request, known: torch.Tensor) -> torch.Tensor:
        """(B,), what each of `chunks` (B, H, A) costs beside the last plan."""
        n = min(len(known), chunks.shape[1])
        weights = self.rho ** (torch.arange(n, device=chunks.device) - request.delay).clamp(min=0).float()
        cost = self.verifier(chunks, known[:n], weights / weights.sum())
        return cost.nan_to_num(nan=math.inf)


def _contrast(good: torch.Tensor, weak: torch.Tensor) -> torch.Tensor:
    """(K,), how far each of the chunks `good` (K, H, A) is from the nearest half of the others, less how far it is from
    the nearest half of `weak` (K, H, A), if there are any (forward contrast: arXiv 2408.17355, eq. 5 and 6)."""
    half = len(good) // 2
    near = _distances(good, good).topk(half + 1, largest=False).values[:, 1:].mean(1)  # the nearest is itself
    return near - _distances(good, weak).topk(half, largest=False).values.mean(1) if len(weak) else near


def _distances(chunks: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
    """(K, L), the mean distance of their rows."""
    return (chunks[:, None] - others[None]).norm(dim=-1).mean(-1)


def agreement(chunks: torch.Tensor, known: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(B,), how far each chunk is off the last plan, row by row (backward coherence: arXiv 2408.17355, eq. 4)."""
    apart: torch.Tensor = (chunks[:, : len(known)] - known).norm(dim=-1)
    return (weights * apart).sum(1)


def smoothness(chunks: torch.Tensor, known: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(B,), how much each chunk bends: the sum of its squared second differences."""
    return chunks.diff(n=2, dim=1).square().sum((1, 2))


VERIFIERS: Mapping[str, Verifier] = {"agreement": agreement, "smoothness": smoothness}


def make_chunking(strategy: StrategyConfig, policy: Policy, sampler: Sampler, weak: Policy | None = None) -> Chunking:
    """What `strategy` does with the chunks of `policy`. weak: a weaker policy, for `bid`. Raises: ConfigError, if the
    policies cannot serve it."""
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
            f"strategy=tt_rtc gives rows a time of their own, as flow policies can have it, and {policy.name} is none; "
            "use rtc, or vlash"
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
    return BestOf(strategy.bid.candidates, verifier, strategy.bid.rho, strategy.bid.modes, past)


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
    """Checks that the chunks of both policies can be compared. Their processes may differ, as of a flow and a diffusion
    policy: the weaker one has a sampler of its own, and its chunks are normalised as the policy's."""
    if not hasattr(weak, "denoise"):
        raise ConfigError(
            f"strategy.bid.weak is {weak.name}, which makes its chunk at once, and as many different ones are needed "
            "as there are candidates; give the checkpoint of a policy that denoises"
        )
    compared = [field.name for field in fields(PolicySpec) if field.name != "state_in"]  # which says what binding costs
    differing = [name for name in compared if _said(weak, name) != _said(policy, name)]
    if differing:
        own, other = (", ".join(f"{name} = {_said(one, name)}" for name in differing) for one in (policy, weak))
        raise ConfigError(
            f"strategy.bid.weak has {other}, and the policy {own}; give a checkpoint of a training on the same data"
        )


def _said(policy: Policy, name: str) -> str:
    """A field of the spec in words: '7', or '[x, y]'."""
    value = getattr(policy.spec, name)
    return f"[{', '.join(value)}]" if isinstance(value, tuple) else str(value)


CHUNKINGS: Mapping[str, Callable[[StrategyConfig, Any, Any, Any], Chunking]] = {
    "rtc": _guidance,
    "tt_rtc": _prefix,
    "bid": _best_of,
}
