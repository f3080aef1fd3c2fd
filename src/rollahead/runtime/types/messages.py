"""The messages between executor and workers, and what they carry.

    executor  -- Snapshot (every tick; with the open Request, if any) -->  worker
    executor  <-- Result (the rows made for a Request), or Failure ------  worker
    executor  <-- ImageLatent (features of camera images), or Failure ---  encoder worker
    executor  <-- Commands (pause, e-stop, task) ------------------------  the command that started it

All are frozen and their arrays are read-only: they are shared by reference and never written again. They hold only
plain arrays, numbers and text, so that the mailboxes can lie in shared memory.

Ticks are integers, ranges half-open. A, S, E: dimensions of action, state, environment; H: rows of a chunk.
"""

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.types.arrays import FloatArray, frozen

Images = Mapping[str, NDArray[np.uint8]]
NEVER = -(2**62)  # a tick before all others
_NOTHING = frozen(np.empty(0))


def nothing() -> FloatArray:
    """An empty array (0,): the environment of a robot that measures none."""
    return _NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """State, environment and images that were known at the head of a tick.

    Attributes:
        tick: Tick of the observation.
        state: (S,), measured `state_age` ticks before `tick`.
        environment: (E,), numbers about the scene; empty if there are none.
        images: Image of each camera, (H, W, 3) uint8, by the camera's name.
        image_ticks: Tick at which each image was captured, which may be before `tick`.
        task: Task text of the policy.
        state_age: Ticks from the measurement of `state` to `tick`.
        image_stamps: Capture stamp of each image (`rollahead.runtime.types.robot.Frame`), the key under which its
            features are cached.
    """

    tick: int
    state: FloatArray
    environment: FloatArray = field(default_factory=nothing)
    images: Images = field(default_factory=dict)
    image_ticks: Mapping[str, int] = field(default_factory=dict)
    task: str = ""
    state_age: int = 0
    image_stamps: Mapping[str, int] = field(default_factory=dict)

    @property
    def state_tick(self) -> int:
        """The tick at which `state` was measured."""
        return self.tick - self.state_age

    @property
    def oldest_tick(self) -> int:
        """The tick at which the oldest part was measured or captured; the age of an action counts from it."""
        return min(self.state_tick, *self.image_ticks.values()) if self.image_ticks else self.state_tick


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """State of the executor at the head of a tick, before that tick's action is sent.

    Attributes:
        tick: Tick of the snapshot.
        observations: The n_obs newest observations, oldest first, one tick apart.
        sent: (n, A), setpoints that were sent for ticks `[tick - n, tick)`, after correction, guard and hold.
        planned: (m, A), setpoints that will be sent for ticks `[tick, tick + m)` if no new chunk arrives; holds where
            no chunk covers a tick. m is H when a request is made, and the ticks up to its deadline later.
        epoch: Epoch of the tick.
        seed: Seed of the run or the episode.
        request: The open request; None if there is none. Without one, `sent` and `planned` are empty.
        covered: Number of leading rows of `planned` that come from chunks of this epoch.
    """

    tick: int
    observations: tuple[Observation, ...]
    sent: FloatArray
    planned: FloatArray
    epoch: int
    seed: int
    request: "Request | None" = None
    covered: int = 0

    @property
    def observation(self) -> Observation:
        """The newest observation, which is the one of this tick."""
        return self.observations[-1]

    def with_request(self, request: "Request") -> "Snapshot":
        """Copy of this snapshot in which `request` is open. Phase: hot."""
        return replace(self, request=request)

    def rows(self, start: int, stop: int) -> FloatArray:
        """Actions (n, A) of ticks `[start, stop)`: those that were sent, then those that are planned.

        Ticks before the first sent action are left out. The last planned action is repeated for ticks after it.
        """
        known = np.concatenate([self.sent, self.planned])
        if not len(known):
            return known
        first = self.tick - len(self.sent)
        return known[np.minimum(np.arange(max(start, first), stop) - first, len(known) - 1)]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """Request for one inference, made at the head of tick t_obs.

    Attributes:
        asked: Snapshot of the tick t_obs in which the request was made.
        origin: Tick that row 0 is for; None if it depends on the arrival of the result.
        start: First tick at which the chunk may be used; None if it depends on the arrival of the result.
        roll_to: Tick to which the state is rolled for the policy; None for the state as observed.
        delay: d, ticks planned from observation to switch.
    """

    asked: Snapshot
    origin: int | None
    start: int | None
    roll_to: int | None
    delay: int

    @property
    def tick(self) -> int:
        """Tick t_obs of the newest observation."""
        return self.asked.tick

    @property
    def deadline(self) -> int:
        """Tick at whose head the result should have arrived."""
        return self.tick + self.delay

    @property
    def rows_passed(self) -> int:
        """Number of leading rows that cannot be used even if the result arrives by the deadline.

        With strategies such as `naive`, rows count from the observation and may be used at once, so the ticks of the
        first ones have passed by then. With others it is 0.
        """
        return 0 if self.start is None else max(self.deadline - self.start, 0)

    @property
    def epoch(self) -> int:
        """Epoch of the request; its result is dropped if the epoch has changed."""
        return self.asked.epoch

    @property
    def observations(self) -> tuple[Observation, ...]:
        """The n_obs newest observations, oldest first, one tick apart."""
        return self.asked.observations

    @property
    def committed(self) -> FloatArray:
        """Rows (d, A) planned for ticks `[tick, tick + d)`.

        They are all sent if the chunk starts at `tick + d`. Otherwise a result that arrives early replaces the rest.
        """
        return self.asked.planned[: self.delay]

    @property
    def seed(self) -> tuple[int, int, int]:
        """Seed of a planner's noise: the run's seed, the epoch and the tick. The noise depends on nothing else."""
        return (self.asked.seed, self.epoch, self.tick)


class StageTimes(NamedTuple):
    """Durations of the stages of one inference, in ns of the wall clock.

    A stage that the planner does not report is 0. In simulated time all are 0.

    Attributes:
        queue_ns: From the head of the request's tick until the worker took the request.
        infer_ns: The whole call of `Planner.infer`, which contains the next four.
        encode_ns: Encoding of the images and the task text.
        bind_ns: Rolling and binding of the state.
        denoise_ns: All denoising steps.
        post_ns: Un-normalising the rows and mapping them to the robot's names.
        publish_ns: Checking the rows and preparing them for the executor.
    """

    queue_ns: int = 0
    infer_ns: int = 0
    encode_ns: int = 0
    bind_ns: int = 0
    denoise_ns: int = 0
    post_ns: int = 0
    publish_ns: int = 0


NO_TIMES = StageTimes()


@dataclass(frozen=True, slots=True, eq=False)
class Result:
    """Rows of a chunk that answer a request, and how they were made.

    Attributes:
        request: The request that is answered.
        rows: (H, A), one row per tick, in robot units.
        state_tick: Tick at which the state was measured that the plan starts from.
        anchor: (S,), that state after rolling, in the robot's order of names.
        cost: Duration of the inference in ticks; if denoising steps were left out, the duration with all of them.
        calls: Number of network calls; each element of a batch counts as one.
        steps: Number of denoising steps.
        made: Flags of how the rows were made, see `ResultFlags`.
        policy_features: (Z,), features of the observation from the policy's network, for a corrector that takes them;
            empty otherwise.
        stages: Durations of the stages of the inference.
    """

    request: Request
    rows: FloatArray
    state_tick: int
    anchor: FloatArray
    cost: float
    calls: int = 1
    steps: int = 1
    made: int = 0
    policy_features: FloatArray = field(default_factory=nothing)
    stages: StageTimes = NO_TIMES


class ResultFlags(enum.IntFlag):
    """Flags of how the rows of a result were made; 0 for usable rows sampled from noise in all steps."""

    WARM = 1  # sampling started from the last plan
    REJECTED = 2  # a start from the last plan was rejected, and the chunk was sampled again from noise
    CUT = 4  # steps were left out, since there was no time for all of them
    REFUSED = 8  # the rows had NaN or infinite values: none of them is used
    NO_ANSWER = 16  # the planner had no answer this time: there are no rows


@dataclass(frozen=True, slots=True, eq=False)
class ImageLatent:
    """Latent features computed from camera images.

    Attributes:
        tick: Capture tick of the oldest image.
        epoch: Epoch in which the images were captured.
        values: (Z,) float64.
    """

    tick: int
    epoch: int
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Failure:
    """Report that the planner or the image encoder failed, after which it sends nothing more.

    `message`: the reason, in one sentence.
    """

    message: str


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands to the executor, as totals since the start, so that reading only the newest message misses none.

    Attributes:
        paused: Whether to hold; when it is false again, the executor goes on in a new hard epoch.
        estops: Number of e-stops commanded so far.
        resets: Number of resets commanded so far.
        latched: Whether the last of these was an e-stop.
        task: Task text of the policy.
    """

    paused: bool = False
    estops: int = 0
    resets: int = 0
    latched: bool = False
    task: str = ""


def news(now: Snapshot, before: Snapshot | None, cameras: Sequence[str]) -> bool:
    """Whether `now` has an image of each of `cameras`, at least one of which is new since `before`.

    Images are compared by their capture stamps. If there is no `before`, or it is of another epoch, all are new.

    Phase: hot.
    """
    seen = now.observation
    if any(name not in seen.images for name in cameras):
        return False
    if before is None or before.epoch != now.epoch:
        return True
    old = before.observation.image_stamps
    return any(seen.image_stamps[name] != old.get(name) for name in cameras)
