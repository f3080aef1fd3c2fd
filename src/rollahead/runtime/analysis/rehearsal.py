"""A rehearsal of a schedule: the executor itself, in lockstep, on a robot that is where it was told to be.

What a forecast says is held to this; it knows no task.
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
    """What `config` comes to over so many ticks, as `forecast` counts it. horizon: H, policy rows per chunk.

    Raises: ConfigError, if the numbers do not go together.
    """
    return measured(rehearsed(config, horizon, latency, ticks=ticks, seed=seed))


def rehearsed(config: StrategyConfig, horizon: int, latency: LatencyModel, *, ticks: int, seed: int = 0) -> Trace:
    """The trace of that."""
    rows = frozen(np.zeros((horizon, 1)))
    trace = Trace(SPEC, ticks)
    executor = make_executor(
        Drive(config, horizon, seed=seed), NullRobot(SPEC), make_delay(config, latency, seed), trace
    )
    planner = ScriptedPlanner(lambda seen, rng: rows)
    inference = Inference(planner, SpeedUp(SPEC, config.q), horizon=horizon, action_dim=1)
    Lockstep(executor, inference, latency, lambda: None, seed=seed).run(0, ticks)
    return trace
