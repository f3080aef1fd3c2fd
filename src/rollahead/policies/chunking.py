"""The real-time chunking family: how a new chunk is made to go on from the rows that will run meanwhile.

    rtc      pulled towards the last plan while it is denoised (arXiv 2506.07339)
    tt_rtc   told the rows that will run, by a policy that was trained for it (arXiv 2512.05964)
    bid      chosen among several, by a verifier (Bidirectional Decoding, arXiv 2408.17355, section 4)

Row 0 is for the tick of the observation; the first d rows run from the last plan, whatever the new one says. With
`vlash` row 0 is for the switch, and what is pulled (`strategy.pull`) are the rows from there on. What is known of the
last plan are its rows without holds, as many as there are: nothing is ever pulled towards zeros.

Threads: the worker's alone.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from rollahead.errors import ConfigError, InferenceError, unknown_name
from rollahead.policies.policy import Policy
from rollahead.policies.process import Flow
from rollahead.policies.samplers import Sampler
from rollahead.policies.samplers.rti import Rti
from rollahead.policies.samplers.sampler import Free, Steering
from rollahead.policies.steering import MASKS, Given, Guided, soft_mask
from rollahead.runtime.build import StrategyConfig
from rollahead.runtime.extensions import load
from rollahead.runtime.messages import Request

GROUP = "rollahead.verifiers"  # of other packages
Verifier = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
MOST_CANDIDATES, MOST_BETA = 256, 1000


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

    def choose(self, chunks: torch.Tensor, request: Request, known: torch.Tensor) -> int:
        """Which of the chunks (B, T, A). Phase: hot."""
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """A chunk is what the policy says."""

    candidates: int = 1

    def steering(self, request: Request, known: torch.Tensor) -> Steering:
        """None. Phase: hot."""
        return Free()

    def choose(self, chunks: torch.Tensor, request: Request, known: torch.Tensor) -> int:
        """The only one. Phase: hot."""
        return 0


@dataclass(frozen=True, slots=True)
class Guidance(Plain):
    """rows: T; end: the row from which on nothing is pulled; most, full: as of `Guided`."""

    rows: int = 0
    mask: str = "exp"
    end: int = 0
    most: float = 5.0
    full: bool = False

    def steering(self, request: Request, known: torch.Tensor) -> Steering:
        """Towards the last plan: wholly in the rows before the switch, then less and less. Phase: hot."""
        ahead = 0 if request.origin is None else request.origin - request.tick
        known = known[ahead:]
        n = min(len(known), self.rows)
        weights = soft_mask(self.mask, min(request.delay - ahead, n), min(self.end, n), self.rows).to(known.device)
        target = torch.zeros(self.rows, known.shape[1], device=known.device)
        target[:n] = known[:n]
        return Guided(target, weights[:, None], self.most, self.full) if n else Free()


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
        return Given(known[:n]) if n else Free()


@dataclass(frozen=True, slots=True)
class BestOf(Plain):
    """verifier: the cost of each chunk (B, T, A), given the rows known (n, A) and their weights (n,)."""

    verifier: Verifier = lambda chunks, known, weights: chunks.new_zeros(len(chunks))
    decay: float = 0.5

    def choose(self, chunks: torch.Tensor, request: Request, known: torch.Tensor) -> int:
        """The cheapest. Phase: hot."""
        n = min(len(known), chunks.shape[1])
        weights = self.decay ** (torch.arange(n, device=chunks.device) - request.delay).clamp(min=0).float()
        cost = self.verifier(chunks, known[:n], weights)
        return int(cost.nan_to_num(nan=math.inf).argmin())  # one that is no numbers is not chosen


def agreement(chunks: torch.Tensor, known: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(B,), how far each chunk is off the last plan, row by row (backward coherence: arXiv 2408.17355, eq. 4)."""
    apart: torch.Tensor = (chunks[:, : len(known)] - known).norm(dim=-1)
    return (weights * apart).sum(1)


def smoothness(chunks: torch.Tensor, known: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """(B,), how much each chunk bends: the sum of its squared second differences."""
    return chunks.diff(n=2, dim=1).square().sum((1, 2))


VERIFIERS: Mapping[str, Verifier] = {"agreement": agreement, "smoothness": smoothness}
JACOBIANS: Mapping[str, bool] = {"identity": False, "full": True}


def make_chunking(strategy: StrategyConfig, policy: Policy, sampler: Sampler) -> Chunking:
    """What `strategy` does with the chunks of `policy`. Raises: ConfigError, if the policy cannot serve it."""
    make = _guidance if strategy.pull else CHUNKINGS.get(strategy.name)
    if make is None:
        return Plain()
    if not isinstance(getattr(policy, "process", None), Flow) and make is not _best_of:
        what = "strategy.pull=true" if strategy.pull else f"strategy={strategy.name}"
        raise ConfigError(
            f"{what} steers a policy that denoises by flow matching, and {policy.name} is none; use vlash alone, or bid"
        )
    if not hasattr(policy, "denoise"):
        raise ConfigError(
            f"strategy={strategy.name} chooses among chunks of noise, and {policy.name} makes one; use vlash"
        )
    return make(strategy, policy, sampler)


def _guidance(strategy: StrategyConfig, policy: Policy, sampler: Sampler) -> Chunking:
    if strategy.mask not in MASKS:
        raise unknown_name("mask", strategy.mask, MASKS)
    if strategy.jacobian not in JACOBIANS:
        raise unknown_name("Jacobian", strategy.jacobian, JACOBIANS)
    rows = policy.shape[0]
    end = min(max(rows - strategy.s, 0), rows) if strategy.end is None else strategy.end
    if not 0 <= end <= rows:
        raise ConfigError(f"strategy.end is {end}; give a row from 0 to {rows}, from which on nothing is pulled")
    if strategy.beta is not None and not 0 < strategy.beta <= MOST_BETA:
        raise ConfigError(f"strategy.beta is {strategy.beta}; give more than 0, and at most {MOST_BETA}")
    most = float(sampler.calls) if strategy.beta is None else strategy.beta
    return Guidance(rows=rows, mask=strategy.mask, end=end, most=most, full=JACOBIANS[strategy.jacobian])


def _prefix(strategy: StrategyConfig, policy: Policy, sampler: Sampler) -> Chunking:
    most = policy.trained.prefixes
    if not most:
        raise ConfigError(
            f"strategy=tt_rtc gives the policy the rows that will run, and {policy.name} was not trained for it; train "
            "one with prefixes=..., or use vlash"
        )
    return Prefix(most=most)


def _best_of(strategy: StrategyConfig, policy: Policy, sampler: Sampler) -> Chunking:
    if not 1 <= strategy.candidates <= MOST_CANDIDATES:
        raise ConfigError(f"strategy.candidates is {strategy.candidates}; give from 1 to {MOST_CANDIDATES}")
    if isinstance(sampler, Rti) and not sampler.varies:
        raise ConfigError(
            "strategy=bid chooses among plans that differ by their noise, and with sampler=rti all start from the last "
            "one; set sampler.renoise=forward, or use another sampler"
        )
    verifier = load(GROUP, "verifier", strategy.verifier, "add what its package needs", VERIFIERS)
    return BestOf(candidates=strategy.candidates, verifier=verifier)


CHUNKINGS: Mapping[str, Callable[[StrategyConfig, Any, Any], Chunking]] = {
    "rtc": _guidance,
    "tt_rtc": _prefix,
    "bid": _best_of,
}
