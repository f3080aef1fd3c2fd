"""One run of one control loop: `python -m benchmarks.peers.loop side=thread rate_hz=50 seconds=60 load=policy
out=run.npz`.

side: `lerobot`, its shipped rollout loop and engine with nothing replaced but the context that it is built from;
`thread`, `process`, ours; `idle`, a bare loop on absolute deadlines with nothing beside it. load: `policy`, or
`python`, a planner that never leaves the interpreter.
"""

import json
import logging
import sys
import threading
import time
import warnings
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.peers.wire import JOINTS, MOTORS, LeRobotWire, Wire, notes
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.system.clock import Grid, MonotonicClock
from rollahead.runtime.system.tuning import Tuning, tuned_thread
from rollahead.runtime.transport.shared import Ring
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import Request, Result

SPIN = 400_000  # additions in pure Python: about 20 ms
POLICY_HZ = 50.0  # the highest rate that the policy's rows are for


def lerobot(noted: Ring, rate_hz: float, seconds: float, load: str) -> dict[str, Any]:
    """LeRobot's BaseStrategy with its RTC engine at its default threshold."""
    from lerobot.processor.factory import make_default_processors
    from lerobot.rollout import context
    from lerobot.rollout.configs import BaseStrategyConfig
    from lerobot.rollout.inference.rtc import RTCInferenceEngine
    from lerobot.rollout.robot_wrapper import ThreadSafeRobot
    from lerobot.rollout.strategies.base import BaseStrategy
    from lerobot.utils.feature_utils import hw_to_dataset_features

    from benchmarks.peers.policy import TASK, TinySmolVLA, describe

    logging.getLogger().setLevel(logging.ERROR)
    tiny = TinySmolVLA(torch_threads=1)
    robot, ending = ThreadSafeRobot(LeRobotWire(noted)), threading.Event()
    seen = hw_to_dataset_features(robot.observation_features, "observation")
    done = hw_to_dataset_features(robot.action_features, "action")
    engine = RTCInferenceEngine(
        tiny.policy, tiny.before, tiny.after, robot, tiny.rtc, seen, TASK, rate_hz, "cpu", shutdown_event=ending
    )
    options = SimpleNamespace(
        fps=rate_hz,
        duration=seconds,
        interpolation_multiplier=1,
        use_torch_compile=False,
        display_data=False,
        return_to_initial_position=False,
    )
    rollout = context.RolloutContext(
        context.RuntimeContext(options, ending),
        context.HardwareContext(robot, None),
        context.PolicyContext(tiny.policy, tiny.before, tiny.after, engine),
        context.ProcessorContext(*make_default_processors()),
        context.DatasetContext(None, {**seen, **done}, seen, list(MOTORS)),
    )
    strategy = BaseStrategy(BaseStrategyConfig())
    strategy.setup(rollout)
    strategy.run(rollout)
    strategy.teardown(rollout)
    return describe(tiny.took_s, seconds)


class PolicyPlanner:
    """The tiny SmolVLA as our planner."""

    def __init__(self) -> None:
        from benchmarks.peers.policy import TinySmolVLA

        self.tiny = TinySmolVLA(torch_threads=1)

    def infer(self, request: Request, newest: Any, timer: Any = None) -> Result:
        """As LeRobot's engine infers."""
        seen = request.observations[-1]
        rows = frozen(self.tiny.chunk(seen.state, seen.images, max(request.delay, 1)))
        return Result(request, rows, seen.state_tick, seen.state, 0.0)

    def busy(self, seconds: float) -> dict[str, Any]:
        """How busy it was."""
        from benchmarks.peers.policy import describe

        return describe(self.tiny.took_s, seconds)


class PythonPlanner:
    """Holds the interpreter for all of its time."""

    def __init__(self) -> None:
        self._took_s: list[float] = []

    def infer(self, request: Request, newest: Any, timer: Any = None) -> Result:
        """Adds numbers."""
        began = time.perf_counter()
        total = 0
        for number in range(SPIN):
            total += number
        self._took_s.append(time.perf_counter() - began)
        seen = request.observations[-1]
        return Result(request, frozen(np.full((50, JOINTS), 0.1)), seen.state_tick, seen.state, 0.0)

    def busy(self, seconds: float) -> dict[str, Any]:
        """How busy it was."""
        took = self._took_s
        return {
            "inferences": len(took),
            "infer_ms_p50": 1e3 * float(np.median(took)),
            "infer_share": sum(took) / seconds,
        }


def ours(noted: Ring, rate_hz: float, seconds: float, load: str, isolation: str) -> dict[str, Any]:
    """Our driver. It asks when 30 of 50 rows are left, as LeRobot's engine does, or without pause. The policy's rows
    are for ticks of 50 Hz at most; above, several setpoints are sent per tick."""
    planner = PolicyPlanner() if load == "policy" else PythonPlanner()
    substeps = max(round(rate_hz / POLICY_HZ), 1) if load == "policy" else 1
    strategy = StrategyConfig("vlash", s=25, trigger="overlap" if load == "policy" else "asap", overlap=30)
    drive = Drive(strategy, 50, guard=GuardConfig(ramp_s=0.5), substeps=substeps)
    ticks_hz = rate_hz / substeps
    warnings.simplefilter("ignore")  # of a thread above 100 Hz: that is what is measured
    with Realtime(drive, partial(Wire, noted, ticks_hz), planner, isolation=isolation) as runtime:
        runtime.start(round(seconds * ticks_hz))
        runtime.wait()
        ticks = runtime.trace.ticks
    skipped = {
        "skipped": int((ticks["status"] == 2).sum()),
        "traced": len(ticks),
        "guarded": int((ticks["guard"] != 0).sum()),
    }
    grid = {"start_ns": runtime.start_ns}
    return {**planner.busy(seconds), **skipped, **grid}


def idle(noted: Ring, rate_hz: float, seconds: float, load: str) -> dict[str, Any]:
    """A loop that only sleeps to its deadlines, and notes when it woke."""
    clock, wire = MonotonicClock(), Wire(noted, rate_hz)
    with tuned_thread(Tuning()):
        grid = Grid(clock.now_ns(), rate_hz)
        for k in range(round(seconds * rate_hz)):
            clock.sleep_until_ns(grid.due_ns(k))
            wire.write(wire.read().state)
    return {"start_ns": grid.start_ns}


SIDES = {
    "lerobot": lerobot,
    "thread": partial(ours, isolation="thread"),
    "process": partial(ours, isolation="process"),
    "idle": idle,
}


def main(arguments: list[str]) -> None:
    """One run; what the wire noted goes to `out`."""
    options = dict(argument.split("=") for argument in arguments)
    rate_hz, seconds = float(options["rate_hz"]), float(options["seconds"])
    noted = notes(round(rate_hz * seconds * 1.2) + 100)
    said = SIDES[options["side"]](noted, rate_hz, seconds, options["load"])
    records = noted.newest()
    np.savez(Path(options["out"]), at_ns=records["at_ns"], cpu_ns=records["cpu_ns"], said=json.dumps(said))


if __name__ == "__main__":
    main(sys.argv[1:])
