"""What a run in real time is made of: a drive, a planner, and what goes with them."""

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

RAMP_S = 1.0  # ramp at the start of a real robot, if nothing else is said


@dataclass(frozen=True, slots=True, eq=False)
class Live:
    """Settings with which a robot, real or simulated, is driven in real time.

    latency: injected by waiting; None for the planner's own; image_encoder: encodes images for a corrector that sees
    them; stage: shows what goes on before the first tick."""

    drive: Drive
    planner: Planner
    latency: LatencyModel | None = None
    isolation: str = "thread"
    tuning: Tuning = field(default_factory=Tuning)
    image_encoder: ImageEncoder | None = None
    stage: Stage = unsaid

    def runtime(self, make_robot: Callable[[], Robot], seed: int, trace_s: float = TRACE_S) -> Realtime:
        """A runtime that drives the robot so, with everything random drawn from `seed`."""
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
