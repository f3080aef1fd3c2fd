"""Rehearsal of a schedule: the executor itself, in lockstep, on a robot that follows at once.

Forecasts are tested against it; it knows no task.
"""

import numpy as np

from rollahead.runtime.analysis.forecast import Forecast, measured
from rollahead.runtime.config.build import Drive, StrategyConfig, make_delay, make_executor
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import LatencyModel
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.robots.loopback import NullRobot
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.spec import Dim, RobotSpec

SPEC = RobotSpec(action=(Dim("x", drives="x"),), state=(Dim("x"),), rate_hz=50.0)


def rehearse(config: StrategyConfig, horizon: int, latency: LatencyModel, *, ticks: int, seed: int = 0) -> Forecast:
    """Figures of the schedule `config` over `ticks` ticks, measured by running the executor.

    Args:
        config: The strategy and its options.
        horizon: Policy rows per chunk.
        latency: Latency of inferences, in ticks.
        ticks: Number of ticks.
        seed: Seed of the latencies.

    Raises ConfigError if the schedule is not feasible.
    """
    return measured(rehearsed(config, horizon, latency, ticks=ticks, seed=seed))


def rehearsed(config: StrategyConfig, horizon: int, latency: LatencyModel, *, ticks: int, seed: int = 0) -> Trace:
    """Trace of a rehearsal. Arguments as for `rehearse`."""
    rows = frozen(np.zeros((horizon, 1)))
    trace = Trace(SPEC, ticks)
    executor = make_executor(
        Drive(config, horizon, seed=seed), NullRobot(SPEC), make_delay(config, latency, seed), trace
    )
    planner = ScriptedPlanner(lambda seen, rng: rows)
    inference = Inference(planner, SpeedUp(SPEC, config.q), horizon=horizon, action_dim=1)
    Lockstep(executor, inference, latency, lambda: None, seed=seed).run(0, ticks)
    return trace
