"""The parts of a run in real time: a drive, a planner and their settings."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rollahead.runtime.config.build import Drive
from rollahead.runtime.drivers.encoder_worker import ImageEncoder
from rollahead.runtime.drivers.isolation import TRACE_S
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.drivers.stages import Stage, unsaid
from rollahead.runtime.planning.latency import LatencyModel
from rollahead.runtime.planning.planner import Planner
from rollahead.runtime.system.tuning import Tuning
from rollahead.runtime.types.robot import Robot

RAMP_S = 1.0  # default ramp at the start of a real robot


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """Settings with which a robot, real or simulated, is driven in real time.

    Attributes:
        drive: Settings of the executor.
        planner: The planner.
        latency: Latency that is injected by waiting; None for the planner's own.
        isolation: Whether the executor runs in a `thread` or in a `process` of its own.
        tuning: Scheduling of the threads.
        image_encoder: Encoder of the images for a corrector that uses them.
        stage: Shows the slow stages before the first tick.
    """

    drive: Drive
    planner: Planner
    latency: LatencyModel | None = None
    isolation: str = "thread"
    tuning: Tuning = field(default_factory=Tuning)
    image_encoder: ImageEncoder | None = None
    stage: Stage = unsaid

    def runtime(self, make_robot: Callable[[], Robot], seed: int, trace_s: float = TRACE_S) -> Realtime:
        """A runtime with these settings.

        Args:
            make_robot: Makes the robot.
            seed: Seed of all random numbers.
            trace_s: Time that the trace covers, in seconds.
        """
        return Realtime(
            replace(self.drive, seed=seed),
            make_robot,
            self.planner,
            isolation=self.isolation,
            latency=self.latency,
            image_encoder=self.image_encoder,
            tuning=self.tuning,
            trace_s=trace_s,
            stage=self.stage,
        )
