"""How few steps a warm start takes with a policy: an empirical test of contraction.

A warm start is right if what it makes of a guess does not depend on what is wrong with the guess, and is what a cold
one makes. RTI-DP (arXiv 2508.05396, section IV) bounds the first by a product of Lipschitz terms, each of which, as
printed, is above 1; whether it is below is measured here. Of requests in episodes, with the guess G that there was and
noise eta:

    rho = |RTI(G + eta) - RTI(G)| / |eta|        the share of an error that is left
    e   = |RTI(G) - cold|                        root mean square, normalised
    spread = |cold - cold'|                      of two cold ones, with other noise: what the policy itself leaves open

Of each the value that one request of ten exceeds: the guess is at its worst in the few in which something has happened.

Threads: the caller's.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rollahead.errors import ConfigError
from rollahead.policies.denoising.samplers.sampler import COLD, Noise, SampleRequest, SampleResult, Steps
from rollahead.policies.policy import Context, Denoiser
from rollahead.policies.process import Flow, Process
from rollahead.runtime.types.seeds import generator

FILE = "rti.json"  # beside a checkpoint
CONTRACTS = 0.7  # of rho
SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6)  # of the noise, at which warm starts begin
MOST = 3  # steps of a warm start
WORST = 0.9  # the quantile of requests
AS_GOOD = 1.5  # times the spread, or the least error that any warm start has, whichever is more


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a list of levels: what one request of ten exceeds."""

    levels: tuple[float, ...]
    rho: float
    error: float

    @property
    def calls(self) -> int:
        """Of the network."""
        return len(self.levels)


@dataclass(frozen=True, slots=True)
class Curve:
    """tried: the fewest calls first; chosen: the list that contracts and is as good as a cold start with the fewest
    calls, of equals the one with the least error; None if none is. spread: of cold starts."""

    spread: float
    requests: int
    tried: tuple[Tried, ...]
    chosen: Tried | None


class Noting:
    """A sampler that keeps what it was asked, where there was a guess."""

    def __init__(self, cold: Steps, most: int) -> None:
        self._cold, self._most = cold, most
        self.asked: list[tuple[Context, torch.Tensor]] = []

    @property
    def calls(self) -> int:
        """Of the network, per chunk."""
        return self._cold.calls

    @property
    def full(self) -> bool:
        """Whether it has as many as wanted."""
        return len(self.asked) >= self._most

    def __call__(self, policy: Any, context: Context, noise: Noise, draw: SampleRequest = COLD) -> SampleResult:
        """As the cold one. Phase: hot."""
        if draw.warm_start is not None and not self.full:
            self.asked.append((context, draw.warm_start.chunk.clone()))
        return self._cold(policy, context, noise, draw)


def lists(process: Process) -> Iterator[tuple[float, ...]]:
    """Of levels that are tried, the shortest first."""
    for n in range(1, MOST + 1):
        for share in SHARES:
            if isinstance(process, Flow):
                yield tuple(share * (1 - i / n) for i in range(n))
                continue
            first = round(share * process.steps)
            levels = tuple(dict.fromkeys(round(first * (1 - i / max(n - 1, 1))) for i in range(n)))
            if len(levels) == n:
                yield levels


def measured(policy: Denoiser, cold: Steps, asked: Sequence[tuple[Context, torch.Tensor]], seed: int = 0) -> Curve:
    """What warm starts come to on the requests `asked`. Raises: ConfigError, if there are none."""
    if not asked:
        raise ConfigError("no request had a last plan to start from, so nothing can be measured")
    rng = generator("contraction", seed)
    shape = (1, *policy.shape)

    def noise() -> torch.Tensor:
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(asked[0][1].device)

    full = [[cold(policy, context, noise).chunks for _ in range(2)] for context, _ in asked]
    spread = float(np.quantile([_rms(first - second) for first, second in full], WORST))
    off = [noise() * max(spread, 0.05) for _ in asked]
    tried = []
    for levels in lists(policy.process):
        warm = cold.at(levels)

        def made(context: Context, start: torch.Tensor, warm: Steps = warm) -> torch.Tensor:
            return warm(policy, context, noise, SampleRequest(start=start)).chunks

        rho, error = [], []
        for (context, warm_start), (first, _), eta in zip(asked, full, off, strict=True):
            plain = made(context, warm_start[None])
            rho.append(_rms(made(context, warm_start[None] + eta) - plain) / _rms(eta))
            error.append(_rms(plain - first))
        tried.append(Tried(levels, *(float(np.quantile(each, WORST)) for each in (rho, error))))
    enough = AS_GOOD * max(spread, min(one.error for one in tried))
    good = [one for one in tried if one.rho < CONTRACTS and one.error <= enough]
    chosen = min(good, key=lambda one: (one.calls, one.error), default=None)
    return Curve(spread, len(asked), tuple(tried), chosen)


def _rms(x: torch.Tensor) -> float:
    return float(x.square().mean().sqrt())


def write_curve(folder: Path, curve: Curve) -> Path:
    """Puts it beside the checkpoint in `folder`."""
    path = folder / FILE
    path.write_text(json.dumps(asdict(curve), indent=1) + "\n")
    return path


def read_levels(folder: Path) -> tuple[float, ...] | None:
    """The levels that a warm start of the checkpoint in `folder` takes, if that was found. Raises: ConfigError, if the
    file is damaged."""
    path = folder / FILE
    if not path.exists():
        return None
    try:
        chosen = json.loads(path.read_text())["chosen"]
        return None if chosen is None else tuple(float(t) for t in chosen["levels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged; remove it, or make it again: rollahead tune") from error
