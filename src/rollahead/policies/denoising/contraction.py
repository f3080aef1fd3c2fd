"""An empirical test of contraction: the number of denoising steps that a warm start needs with a policy.

A warm start is right if its result does not depend on the error of the chunk that it starts from, and is what a cold
start gives. RTI-DP (arXiv 2508.05396, section IV) bounds the first by a product of Lipschitz terms, each of which, as
printed, is above 1. Here it is measured whether errors shrink. For requests in episodes, with the warm start G that
there was and noise eta:

    rho    = |RTI(G + eta) - RTI(G)| / |eta|     the share of an error that is left
    e      = |RTI(G) - cold|                     root mean square, normalised
    spread = |cold - cold'|                      of two cold starts with different noise: the policy's own variation

Each figure is the value that one request of ten exceeds, because a warm start is worst in the few requests in which
something has happened.

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

FILE = "rti.json"  # file beside a checkpoint's weights
CONTRACTS = 0.7  # the largest rho of a warm start that contracts
SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6)  # noise levels at which warm starts begin, as shares of the whole
MOST = 3  # the most steps of a warm start
WORST = 0.9  # quantile over the requests
AS_GOOD = 1.5  # largest error, as a multiple of the spread or of the least error, whichever is more


@dataclass(frozen=True, slots=True)
class Tried:
    """The result of one list of noise levels: figures that one request of ten exceeds.

    Attributes:
        levels: Noise levels of the warm start.
        rho: Share of an error that is left.
        error: Root mean square distance from a cold start, normalised.
    """

    levels: tuple[float, ...]
    rho: float
    error: float

    @property
    def calls(self) -> int:
        """Number of network calls per chunk."""
        return len(self.levels)


@dataclass(frozen=True, slots=True)
class Curve:
    """The results of all lists of noise levels.

    Attributes:
        spread: Variation between cold starts.
        requests: Number of requests measured.
        tried: Results, the fewest calls first.
        chosen: The result that contracts and is as good as a cold start with the fewest calls; among equals, the one
            with the least error. None if there is none.
    """

    spread: float
    requests: int
    tried: tuple[Tried, ...]
    chosen: Tried | None


class Noting:
    """A cold sampler that also records the requests that have a warm start, up to `most` of them."""

    def __init__(self, cold: Steps, most: int) -> None:
        self._cold, self._most = cold, most
        self.asked: list[tuple[Context, torch.Tensor]] = []

    @property
    def calls(self) -> int:
        """Number of network calls per chunk."""
        return self._cold.calls

    @property
    def full(self) -> bool:
        """Whether as many requests as wanted are recorded."""
        return len(self.asked) >= self._most

    def __call__(self, policy: Any, context: Context, noise: Noise, draw: SampleRequest = COLD) -> SampleResult:
        """The chunks of the cold sampler. Phase: hot."""
        if draw.warm_start is not None and not self.full:
            self.asked.append((context, draw.warm_start.chunk.clone()))
        return self._cold(policy, context, noise, draw)


def lists(process: Process) -> Iterator[tuple[float, ...]]:
    """The lists of noise levels to try, the shortest first."""
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
    """Measures warm starts on the recorded requests.

    Args:
        policy: The policy.
        cold: Its sampler for cold starts.
        asked: (bound context, warm start (T, A)) of each request.
        seed: Seed of the noise.

    Raises: ConfigError, if there are no requests.
    """
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

        def run(context: Context, start: torch.Tensor, warm: Steps = warm) -> torch.Tensor:
            return warm(policy, context, noise, SampleRequest(start=start)).chunks

        rho, error = [], []
        for (context, warm_start), (first, _), eta in zip(asked, full, off, strict=True):
            plain = run(context, warm_start[None])
            rho.append(_rms(run(context, warm_start[None] + eta) - plain) / _rms(eta))
            error.append(_rms(plain - first))
        tried.append(Tried(levels, *(float(np.quantile(each, WORST)) for each in (rho, error))))
    enough = AS_GOOD * max(spread, min(one.error for one in tried))
    good = [one for one in tried if one.rho < CONTRACTS and one.error <= enough]
    chosen = min(good, key=lambda one: (one.calls, one.error), default=None)
    return Curve(spread, len(asked), tuple(tried), chosen)


def _rms(x: torch.Tensor) -> float:
    return float(x.square().mean().sqrt())


def write_curve(folder: Path, curve: Curve) -> Path:
    """Writes `curve` beside the checkpoint in `folder`, and returns the path of the file."""
    path = folder / FILE
    path.write_text(json.dumps(asdict(curve), indent=1) + "\n")
    return path


def read_levels(folder: Path) -> tuple[float, ...] | None:
    """The noise levels of a warm start with the checkpoint in `folder`, None if they were not found.

    Raises: ConfigError, if the file is damaged.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        chosen = json.loads(path.read_text())["chosen"]
        return None if chosen is None else tuple(float(t) for t in chosen["levels"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{path} is damaged; remove it, or make it again: rollahead tune") from error
