"""RTC and BID compared with their authors' formulas, which are implemented again in NumPy.

    python -m benchmarks.references rtc   guidance with the full Jacobian (arXiv 2506.07339, eq. 1 to 4)
    python -m benchmarks.references bid   which of several chunks is chosen (arXiv 2408.17355, eq. 4 to 6)

Nothing here uses the code that it is compared with: the network's Jacobian is written by hand, the flow runs from noise
at time 0 to the action at time 1, as in the papers, and distances are loops.
"""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.figures import record, row, run_named
from rollahead.policies.denoising.chunking import BestOf, agreement
from rollahead.policies.denoising.samplers import SampleRequest, make_sampler
from rollahead.policies.denoising.steering import MASKS, RTCGuidance, soft_mask
from rollahead.policies.process import Diffusion, Flow
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import Observation, Request, Snapshot
from rollahead.runtime.types.seeds import generator

Floats = NDArray[np.float64]
TOPIC = "claims"
ROWS, A, HIDDEN = 6, 2, 24
STEPS = (5, 10)
ABAR = torch.cumprod(1 - torch.linspace(1e-4, 0.05, 100, dtype=torch.float64), 0)  # of 100 steps of a diffusion
BATCHES = 500  # of candidates, each with several shapes


# ---- RTC ------------------------------------------------------------------------------------------------------------


class Network:
    """Two layers of random weights with a hand-written Jacobian: y = tanh([x, time] W) V."""

    def __init__(self, seed: int = 0) -> None:
        rng = generator("reference", seed)
        self._w = rng.standard_normal((ROWS * A + 1, HIDDEN)) / (ROWS * A) ** 0.5
        self._v = rng.standard_normal((HIDDEN, ROWS * A)) / HIDDEN**0.5

    def __call__(self, x: Floats, time: float) -> tuple[Floats, Floats]:
        """Output y (N,) for x (N,), and its Jacobian d y / d x (N, N), where N = ROWS A."""
        inner = np.tanh(np.append(x, time) @ self._w)
        return inner @ self._v, self._v.T @ np.diag(1 - inner**2) @ self._w[:-1].T

    def torch(self, x: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Output y for chunks (B, ROWS, A) at times (B,), with torch."""
        w, v = torch.from_numpy(self._w), torch.from_numpy(self._v)
        seen = torch.cat([x.flatten(1), times[:, None].to(x.dtype)], 1)
        return (torch.tanh(seen @ w) @ v).view(x.shape)


Velocity = Callable[[Floats, float], tuple[Floats, Floats]]  # of x (N,) at a time: towards the action, and its slope


def published(
    velocity: Velocity, x: Floats, times: Sequence[float], target: Floats, weights: Floats, beta: float
) -> Floats:
    """(N,), the chunk from noise `x` (N,) at the rising `times`, towards `target` (N,) with `weights` (N,)."""
    for time, following in zip(times, [*times[1:], 1.0], strict=True):
        v, slope = velocity(x, time)
        left = 1 - time
        clean, jacobian = x + left * v, np.eye(len(x)) + left * slope
        variance = left**2 / (time**2 + left**2)  # r_tau^2
        scale = beta if time == 0 else min(beta, left / (time * variance))
        x = x + (following - time) * (v + scale * ((target - clean) * weights) @ jacobian)
    return x


@dataclass
class Net:
    """`Network` as a policy that denoises."""

    network: Network
    process: Any

    def denoise(self, context: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """The prediction of the network."""
        return self.network.torch(x, t)


def rtc_difference() -> float:
    """The largest difference from the published formula, relative to the largest number of the chunk."""
    return max(_rtc_differences())


def _rtc_differences() -> Iterator[float]:
    network, rng = Network(), generator("reference", 1)
    start, target = rng.standard_normal((ROWS, A)), rng.standard_normal((ROWS, A))
    for mask, steps, delay, end, kind in product(MASKS, STEPS, (0, 1, 3), (0, 4, ROWS), KINDS):
        weights = soft_mask(mask, delay, end, ROWS).double()[:, None]
        process, config, velocity, times, scale = KINDS[kind](network, steps)
        per_number = weights.expand(ROWS, A).numpy().ravel()
        wanted = published(velocity, start.ravel() / scale, times, target.ravel(), per_number, float(steps))
        policy: Any = Net(network, process)
        steering = RTCGuidance(torch.from_numpy(target), weights, float(steps), process)
        sampler = make_sampler(config, policy)
        made = sampler(policy, None, lambda: torch.from_numpy(start)[None], SampleRequest(steering=steering)).chunks
        yield float(np.abs(made.numpy().ravel() - wanted).max() / np.abs(wanted).max())


Kind = tuple[Any, dict[str, Any], Velocity, list[float], float]


def _flow(network: Network, steps: int) -> Kind:
    """A flow policy that predicts velocities, from action to noise."""

    def velocity(x: Floats, time: float) -> tuple[Floats, Floats]:
        y, slope = network(x, 1 - time)
        return -y, -slope

    times = [i / steps for i in range(steps)]
    return Flow("velocity"), {"name": "euler", "steps": steps}, velocity, times, 1.0


def _diffusion(network: Network, steps: int) -> Kind:
    """A diffusion policy that predicts noise, with DDIM steps: x_t = a x0 + b e is (a + b) times a flow's mixture."""
    levels = [round(99 * (1 - i / steps)) for i in range(steps)]
    signal, noise = np.sqrt(ABAR.numpy()), np.sqrt(1 - ABAR.numpy())
    at = {signal[t] / (signal[t] + noise[t]): t for t in levels}

    def velocity(x: Floats, time: float) -> tuple[Floats, Floats]:
        t = at[time]
        a, b = signal[t], noise[t]
        e, slope = network((a + b) * x, t)
        slope = (a + b) * slope
        return ((a + b) * x - b * e) / a - e, ((a + b) * np.eye(len(x)) - b * slope) / a - slope

    config = {"name": "ddim", "timesteps": levels}
    return Diffusion(ABAR, "epsilon"), config, velocity, list(at), signal[levels[0]] + noise[levels[0]]


KINDS: Mapping[str, Callable[[Network, int], Kind]] = {"flow": _flow, "diffusion": _diffusion}


def rtc() -> None:
    """Records the largest difference over flow and diffusion, masks, delays, ends and steps."""
    command = "python -m benchmarks.references rtc"
    record(TOPIC, [row("rtc_reference_max_rel", rtc_difference(), "", goal="<= 1e-5", command=command)])


# ---- BID ------------------------------------------------------------------------------------------------------------


def chosen(strong: Floats, weak: Floats | None, prior: Floats | None, rho: float, modes: int) -> int:
    """The index in `strong` (N, H, A) of the chunk to send.

    `weak`: (N, H, A); `prior`: (n, A), the rows of the last plan from now on.
    """
    good, bad = list(range(len(strong))), list(range(len(strong)))
    kept, backward = len(strong), [0.0] * len(strong)
    if prior is not None:
        share = np.array([rho**i for i in range(len(prior))])
        share /= share.sum()

        def off(chunk: Floats) -> float:
            return float(sum(s * np.linalg.norm(a - b) for s, a, b in zip(share, chunk, prior, strict=False)))

        kept, backward = len(strong) // modes, [off(chunk) for chunk in strong]
        good = sorted(good, key=lambda i: backward[i])[:kept]
        bad = sorted(bad, key=lambda i: off(weak[i]))[:kept] if weak is not None else []

    def apart(one: Floats, other: Floats) -> float:
        return float(np.mean([np.linalg.norm(a - b) for a, b in zip(one, other, strict=True)]))

    costs = {}
    for i in good:
        near = sorted(apart(strong[i], strong[j]) for j in good)[1 : kept // 2 + 1]
        costs[i] = backward[i] + float(np.mean(near))
        if weak is not None:
            costs[i] -= float(np.mean(sorted(apart(strong[i], weak[j]) for j in bad)[: kept // 2]))
    return min(costs, key=lambda i: costs[i])


def same_choices() -> float:
    """The share of batches of random candidates in which both choose the same chunk."""
    return float(np.mean(list(_choices())))


def _choices() -> Iterator[bool]:
    for batch in range(BATCHES):
        rng = generator("candidates", batch)
        modes, horizon = int(rng.integers(1, 5)), int(rng.integers(2, 12))
        n, rho = int(rng.integers(2 * modes, 24)), float(rng.uniform(0.3, 1.0))
        strong, weak = rng.standard_normal((2, n, horizon, A)).astype(np.float32)
        known = rng.standard_normal((int(rng.integers(0, horizon + 1)), A)).astype(np.float32)
        against = weak if batch % 3 else None
        best = BestOf(n, agreement, rho, modes)
        others = torch.from_numpy(weak if against is not None else weak[:0])
        made = best.choose(torch.from_numpy(strong), _asked(), torch.from_numpy(known), others)
        wanted = chosen(
            strong.astype(np.float64),
            None if against is None else against.astype(np.float64),
            known.astype(np.float64) if len(known) else None,
            rho,
            modes,
        )
        yield made == wanted


def _asked() -> Request:
    """A request without delay, as in the authors' code."""
    nothing = frozen(np.zeros((0, A)))
    return Request(Snapshot(0, (Observation(0, frozen([0.0])),), nothing, nothing, 0, 0), 0, 0, None, 0)


def bid() -> None:
    """Records the share of batches in which both choose the same chunk."""
    command = "python -m benchmarks.references bid"
    record(TOPIC, [row("bid_same_choice_share", same_choices(), "", goal=">= 1", command=command)])


FIGURES: Mapping[str, Callable[[], None]] = {"rtc": rtc, "bid": bid}

if __name__ == "__main__":
    run_named(FIGURES, sys.argv[1:])
