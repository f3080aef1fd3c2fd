"""Denoising: our code beside LeRobot's (0.4.4 and 0.6.1), deadlines, and the cost of each part of an inference.

python -m benchmarks.denoise parity     our RTC (identity Jacobian) against LeRobot's RTCProcessor
python -m benchmarks.denoise deadline   fewer steps where there is no time for all, under spikes
python -m benchmarks.denoise cost       milliseconds of an inference, interleaved (1 minute)
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from itertools import pairwise, product
from typing import Any

import numpy as np
import torch

from benchmarks.figures import record, row
from benchmarks.study import paired_gain
from rollahead.assembly.planning import Planning
from rollahead.evaluation.evaluation import Cell, evaluate_all, planning_of, run_episode
from rollahead.policies.denoising.samplers.euler import make_euler
from rollahead.policies.denoising.samplers.sampler import SampleRequest
from rollahead.policies.denoising.steering import MASKS, RTCGuidance, soft_mask
from rollahead.policies.lerobot import compat
from rollahead.policies.process import Flow
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.control.corrector import Head, HeadCard, HeadCorrector
from rollahead.runtime.planning.planner import Planner
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.types.chunk import Chunk
from rollahead.runtime.types.messages import Request, Result, Snapshot
from rollahead.runtime.types.options import call
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import names_of
from rollahead.sim.task import make_task

WORKERS = 2
TOPIC = "denoise"
Net = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # chunks (B, T, A), times (B,) -> velocities
ROWS, A = 16, 3


def rtc_processor(mask: str, most: float) -> Any:
    """LeRobot's RTC processor with a mask and a greatest weight."""
    schedule = compat.RTCAttentionSchedule[mask.upper()]
    return compat.RTCProcessor(compat.RTCConfig(prefix_attention_schedule=schedule, max_guidance_weight=most))


def through_lerobot(
    net: Net, x: torch.Tensor, target: torch.Tensor, steps: int, mask: str, most: float, delay: int, end: int
) -> torch.Tensor:
    """The chunk (1, T, A) that LeRobot's processor makes from the noise `x`, with Euler's method as in its policies."""
    lerobots = rtc_processor(mask, most)
    for i in range(steps):
        t = 1 - i / steps
        v = lerobots.denoise_step(
            x, target, delay, t, lambda x, t=t: net(x, torch.full(x.shape[:1], t)), execution_horizon=end
        )
        x = x - v / steps
    return x


class _Net:
    """A denoiser with random weights."""

    process = Flow("velocity")

    def __init__(self) -> None:
        rng = generator("rtc", 0)
        size = ROWS * A
        self._in, self._out = (
            torch.tensor(rng.standard_normal(shape, dtype=float) / size**0.5, dtype=torch.float32)
            for shape in ((size + 1, 64), (64, size))
        )

    def denoise(self, context: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """A velocity that depends on all inputs."""
        seen = torch.cat([x.flatten(1), t[:, None]], 1)
        return (torch.tanh(seen @ self._in) @ self._out).view(x.shape)


def rtc_difference() -> float:
    """The largest difference over masks, delays, ends and steps."""
    net, worst = _Net(), 0.0
    start, target = (torch.tensor(generator(name, 0).standard_normal((ROWS, A)), dtype=torch.float32) for name in "xy")
    for mask, (steps, most), delay, end in product(MASKS, ((5, 5.0), (10, 10.0)), (0, 1, 4, 12), (0, 4, 10, ROWS)):
        theirs = through_lerobot(partial(net.denoise, None), start[None], target, steps, mask, most, delay, end)
        steering = RTCGuidance(target, soft_mask(mask, delay, end, ROWS)[:, None], most, net.process, full=False)
        ours = make_euler(net.process, steps)(net, None, lambda: start[None], SampleRequest(steering=steering))  # type: ignore[arg-type]
        worst = max(worst, float((ours.chunks - theirs).abs().max()))
    return worst


def parity() -> None:
    """Records the difference from the installed LeRobot."""
    name = f"rtc_parity_max_abs_{compat.version().rsplit('.', 1)[0].replace('.', '_')}"
    record(TOPIC, [row(name, rtc_difference(), "", goal="<= 1e-5", command="python -m benchmarks.denoise parity")])


# ---- deadlines ------------------------------------------------------------------------------------------------------

SPIKES = {"name": "spikes", "ticks": 6, "probability": 0.05, "low": 15, "high": 20}


def deadline() -> None:
    """Measures DDIM with as many of its 10 steps as fit, and with all of them.

    The latency has spikes of two to three times the planned time.
    """
    command = "python -m benchmarks.denoise deadline"
    shares, found = {}, {}
    for deadline_aware in (False, True):
        planner = {"name": "policy", "checkpoint": "mole_diffusion", "deadline_aware": deadline_aware}
        strategy = StrategyConfig("vlash", s=8, d=6)
        cell = Cell({"name": "mole"}, strategy, SPIKES, planner, sampler={"name": "ddim"}, episodes=400)
        cell = replace(cell, reactions=False, traces=cell.episodes)
        (played,) = evaluate_all([cell], workers=WORKERS)
        inferences = [one for episode in played if episode.trace for one in episode.trace.inferences]
        shares[deadline_aware] = float(np.mean([one.delay > one.delay_planned for one in inferences]))
        found[deadline_aware] = np.array([episode.success for episode in played])
    gain, ci = paired_gain(found[True], found[False])
    record(
        TOPIC,
        [
            row("deadline_miss_rate", shares[True], "", goal="<= 0.01", command=command),
            row("deadline_miss_rate_all_steps", shares[False], "", command=command),
            row("deadline_success_gain_spikes", gain, "points", ci=ci, command=command),
        ],
    )


# ---- cost -----------------------------------------------------------------------------------------------------------

BLOCKS, EPISODES_A_BLOCK = 8, 2
FLOW, DIFFUSION = "mole_flow", "mole_diffusion"
EULER, DDIM = {"name": "euler", "steps": 5}, {"name": "ddim", "steps": 10}
COSTED: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any]]] = {  # checkpoint, sampler, strategy; first: of 1
    "flow_euler5": (FLOW, EULER, {"name": "vlash"}),
    "flow_rti": (FLOW, {"name": "rti", "warm": [0.3]}, {"name": "vlash"}),
    "flow_rtc_identity": (FLOW, EULER, {"name": "rtc", "guidance": {"jacobian": "identity"}}),
    "flow_rtc_full": (FLOW, EULER, {"name": "rtc"}),
    "flow_tt_rtc": (FLOW, EULER, {"name": "tt_rtc"}),
    "flow_bid8": (FLOW, EULER, {"name": "bid", "bid": {"candidates": 8}}),
    "diffusion_ddpm100": (DIFFUSION, {"name": "ddpm"}, {"name": "vlash"}),
    "diffusion_ddim10": (DIFFUSION, DDIM, {"name": "vlash"}),
    "diffusion_rti3": (DIFFUSION, {"name": "rti", "base": "ddim", "warm": [20, 10, 0]}, {"name": "vlash"}),
    "diffusion_bid8": (DIFFUSION, DDIM, {"name": "bid", "bid": {"candidates": 8}}),
}


def cost() -> None:
    """Measures whole inferences of a 3x384 perceptron and of a small UNet, on one thread, from encoding to rows.

    Each is also given as a multiple of its plain inference, block by block.
    """
    torch.set_num_threads(1)
    command = "python -m benchmarks.denoise cost"
    task = make_task("mole")
    planned = {name: _planned(*wanted) for name, wanted in COSTED.items()}
    took: dict[str, list[float]] = {name: [] for name in COSTED}
    for block in range(BLOCKS):
        for name, (cell, planning, timed) in planned.items():
            timed.seconds.clear()
            for i in range(EPISODES_A_BLOCK):
                run_episode(cell, task, block * EPISODES_A_BLOCK + i, planning=planning)
            took[name].append(float(np.median(timed.seconds[1:])))
    rows = []
    for name, blocks in took.items():
        plain = took["flow_euler5" if name.startswith("flow") else "diffusion_ddpm100"]
        ratios = np.array(blocks) / plain
        ms = 1000 * np.array(blocks)
        rows.append(row(f"inference_ms_{name}", float(np.median(ms)), "ms", ci=_ends(ms), command=command))
        rows.append(row(f"inference_ratio_{name}", float(np.median(ratios)), "x", ci=_ends(ratios), command=command))
    rows.append(row("corrector_us_per_tick", _corrector_us(), "us", command=command))
    record(TOPIC, rows)


def _corrector_us() -> float:
    """The median time of a corrector with 3 layers of 256 in a tick, in microseconds."""
    spec, rng = make_task("mole").spec, generator("corrector", 0)
    card = HeadCard(names_of(spec.action), names_of(spec.state), names_of(spec.environment), horizon=32)
    seen = card.seen
    sizes = [seen, 256, 256, 256, len(card.action)]
    layers = [(rng.standard_normal(size) / 16, np.zeros(size[1])) for size in pairwise(sizes)]
    corrector = HeadCorrector(Head(card, layers, np.zeros(seen), np.ones(seen), np.ones(len(card.action))), spec, 32)
    row_, state, scene = (np.zeros(len(names)) for names in (card.action, card.state, card.environment))
    chunk = Chunk(
        rows=np.zeros((32, len(row_))), origin=0, start=0, obs_tick=0, state_tick=0, epoch=0, request=0, accepted=0
    )
    took = []
    for k in range(2000):
        began = time.perf_counter()
        corrector(row_, k % 32, chunk, Reading(state, scene))
        took.append(time.perf_counter() - began)
    return 1e6 * float(np.median(took))


class _Timed:
    """A planner that records the time of each of its inferences."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.seconds: list[float] = []

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result | None:
        """The planner's result. Its time is recorded."""
        began = time.perf_counter()
        result = self._planner.infer(request, newest, timer)
        self.seconds.append(time.perf_counter() - began)
        return result


def _planned(checkpoint: str, sampler: Mapping[str, Any], strategy: Mapping[str, Any]) -> tuple[Cell, Planning, _Timed]:
    cell = Cell(
        {"name": "mole"},
        call(StrategyConfig, {**strategy, "s": 8, "d": 4}),
        {"name": "fixed", "ticks": 4},
        {"name": "policy", "checkpoint": checkpoint},
        sampler=sampler,
    )
    planning = planning_of(cell, make_task("mole"))
    timed = _Timed(planning.planner)
    return cell, replace(planning, planner=timed), timed


def _ends(values: np.ndarray[Any, Any]) -> list[float]:
    return [float(values.min()), float(values.max())]


FIGURES: Mapping[str, Callable[[], None]] = {"parity": parity, "deadline": deadline, "cost": cost}


def main(names: list[str]) -> None:
    """Runs the named benchmarks."""
    for name in names:
        FIGURES[name]()


if __name__ == "__main__":
    main(sys.argv[1:])
