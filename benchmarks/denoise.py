"""Denoising that meets its deadline: RTI, the real-time chunking family, against cold samplers and LeRobot's own code.

python -m benchmarks.denoise parity     our RTC (identity Jacobian) against LeRobot's RTCProcessor
"""

import sys
from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from typing import Any

import torch

from benchmarks.figures import record, row
from rollahead.policies import compat
from rollahead.policies.process import Flow
from rollahead.policies.samplers.euler import make_euler
from rollahead.policies.samplers.sampler import Draw
from rollahead.policies.steering import MASKS, Guided, soft_mask
from rollahead.runtime.seeds import generator

TOPIC = "denoise"
Net = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # chunks (B, T, A), times (B,) -> velocities
ROWS, A = 16, 3


def rtc_processor(mask: str, most: float) -> Any:
    """LeRobot's, with that schedule and greatest weight."""
    schedule = compat.RTCAttentionSchedule[mask.upper()]
    return compat.RTCProcessor(compat.RTCConfig(prefix_attention_schedule=schedule, max_guidance_weight=most))


def through_lerobot(
    net: Net, x: torch.Tensor, target: torch.Tensor, steps: int, mask: str, most: float, delay: int, end: int
) -> torch.Tensor:
    """The chunk (1, T, A) that LeRobot's processor leads the noise `x` to, by Euler's method as its policies do it."""
    lerobots = rtc_processor(mask, most)
    for i in range(steps):
        t = 1 - i / steps
        v = lerobots.denoise_step(
            x, target, delay, t, lambda x, t=t: net(x, torch.full(x.shape[:1], t)), execution_horizon=end
        )
        x = x - v / steps
    return x


class _Net:
    """A denoiser of random weights."""

    process = Flow("velocity")

    def __init__(self) -> None:
        rng = generator("rtc", 0)
        size = ROWS * A
        self._in, self._out = (
            torch.tensor(rng.standard_normal(shape, dtype=float) / size**0.5, dtype=torch.float32)
            for shape in ((size + 1, 64), (64, size))
        )

    def denoise(self, context: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """A velocity of everything."""
        seen = torch.cat([x.flatten(1), t[:, None]], 1)
        return (torch.tanh(seen @ self._in) @ self._out).view(x.shape)


def rtc_difference() -> float:
    """The largest over masks, delays, ends and steps."""
    net, worst = _Net(), 0.0
    start, target = (torch.tensor(generator(name, 0).standard_normal((ROWS, A)), dtype=torch.float32) for name in "xy")
    for mask, (steps, most), delay, end in product(MASKS, ((5, 5.0), (10, 10.0)), (0, 1, 4, 12), (0, 4, 10, ROWS)):
        theirs = through_lerobot(partial(net.denoise, None), start[None], target, steps, mask, most, delay, end)
        steering = Guided(target, soft_mask(mask, delay, end, ROWS)[:, None], most)
        ours = make_euler(net.process, steps)(net, None, lambda: start[None], Draw(steering=steering))  # type: ignore[arg-type]
        worst = max(worst, float((ours.chunks - theirs).abs().max()))
    return worst


def parity() -> None:
    """On the LeRobot that is installed."""
    name = f"rtc_parity_max_abs_{compat.version().rsplit('.', 1)[0].replace('.', '_')}"
    record(TOPIC, [row(name, rtc_difference(), "", goal="<= 1e-5", command="python -m benchmarks.denoise parity")])


FIGURES: Mapping[str, Callable[[], None]] = {"parity": parity}


def main(names: list[str]) -> None:
    """Runs what is named."""
    for name in names:
        FIGURES[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
