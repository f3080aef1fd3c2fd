"""Our ensembling is ACT's where a chunk comes at each tick, at once, which LeRobot's takes for granted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.policy_parity import COMPARISONS

from rollahead.policies.lerobot import compat
from rollahead.runtime.config.build import StrategyConfig, make_strategy
from rollahead.runtime.config.techniques import EnsembleConfig
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Fixed
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Request, Result, Snapshot
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import Dim, RobotSpec

H, TICKS, DECAYS = 9, 40, (-0.5, 0.0, 0.01, 0.3)
DIMS = tuple(Dim(name, low=-9, high=9, drives=name) for name in "abc")
SPEC = RobotSpec(action=DIMS, state=tuple(Dim(name) for name in "abc"), rate_hz=50.0)


def rows_at(tick: int) -> FloatArray:
    return frozen(generator("rows", tick).standard_normal((H, len(DIMS))))


class Random:
    """Plans something else at each tick."""

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Any = None) -> Result:
        seen = request.asked.observation
        return Result(request, rows_at(request.tick), request.tick, seen.state, 0.0)


def sent(decay: float) -> FloatArray:
    """(TICKS, A), by the strategy `ensemble` with d = 0 and s = 1."""
    config = StrategyConfig("ensemble", s=1, d=0, ensemble=EnsembleConfig(decay))
    robot, delay, trace = LoopbackRobot(SPEC), DelayEstimator(fixed=0), Trace(SPEC, TICKS)
    executor = Executor(robot, make_strategy(config, SPEC, H, 0), delay, trace, horizon=H)
    inference = Inference(Random(), SpeedUp(SPEC, 1), horizon=H, action_dim=len(DIMS))
    robot.connect()
    Lockstep(executor, inference, Fixed(0), lambda: None).run(0, TICKS)
    return trace.ticks["action"]


@pytest.mark.parametrize("decay", DECAYS)
def test_a_tick_is_sent_what_acts_ensembler_gives(decay: float) -> None:
    ensembler = compat.ACTTemporalEnsembler(decay, H)
    chunks = [torch.tensor(rows_at(k), dtype=torch.float32)[None] for k in range(TICKS)]
    expected = np.stack([ensembler.update(chunk)[0].numpy() for chunk in chunks])
    actions = sent(decay)
    assert actions.shape == expected.shape
    assert np.abs(actions - expected).max() <= 1e-5


@pytest.mark.parametrize("name", [name for name in COMPARISONS if name.startswith("ensemble")])
def test_the_mean_over_all_chunks_is_acts(name: str, tmp_path: Path) -> None:
    assert COMPARISONS[name](tmp_path) <= 1e-5


def test_every_decay_is_compared() -> None:
    assert {f"ensemble_{decay:g}" for decay in DECAYS} == {name for name in COMPARISONS if name.startswith("ensemble")}
