"""The messages between executor and workers, and what they carry.

    executor  -- Snapshot (every tick; with the open Request, if any) -->  worker
    executor  <-- Result (the rows made for a Request), or Failure -----  worker
    executor  <-- ImageLatent (what images came to), or Failure --------------  lookout
    executor  <-- Commands (pause, e-stop, task) -------------------------  whoever started it

All are frozen, their arrays read-only: they are shared by reference and never written again. Only plain arrays and
numbers are in them, so that the mailboxes can move to shared memory.

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
    """(0,), the environment of a robot that sees none."""
    return _NOTHING


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """State, scene numbers and images that were known at the head of a tick.

    state: (S,), measured `state_age` ticks before `tick`; environment: (E,), numbers about the scene, empty if there
    are none; images: name to (H, W, 3) uint8; image_ticks: when each was captured, which may be before `tick`;
    image_stamps: the capture stamp of each (`rollahead.runtime.types.robot.Frame`), the key under which it is cached.
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
        """The tick at whose head `state` was true."""
        return self.tick - self.state_age

    @property
    def oldest_tick(self) -> int:
        """The tick of the oldest part; the age of an action counts from it."""
        return min(self.state_tick, *self.image_ticks.values()) if self.image_ticks else self.state_tick


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """State of the executor at the head of a tick, before that tick's action is sent.

    sent: (n, A), what was sent for ticks `[tick - n, tick)`: after correction, guard and hold.
    planned: (m, A), what will be sent for ticks `[tick, tick + m)` if nothing new comes; holds where no chunk covers.
    covered: how many of these, from the first on, chunks are for that were made in this epoch.
    request: the open request; None if there is none. With it m is H when it is made, and up to its deadline later;
    without one nobody asks what is planned, and `sent` and `planned` are empty.
    """

    tick: int
    observations: tuple[Observation, ...]  # the n_obs newest, oldest first, one tick apart
    sent: FloatArray
    planned: FloatArray
    epoch: int
    seed: int
    request: "Request | None" = None
    covered: int = 0

    @property
    def observation(self) -> Observation:
        """The newest one, of this tick."""
        return self.observations[-1]

    def with_request(self, request: "Request") -> "Snapshot":
        """The same with an open request. Phase: hot."""
        return replace(self, request=request)

    def rows(self, start: int, stop: int) -> FloatArray:
        """(n, A): the actions of ticks `[start, stop)`, sent where sent and planned else.

        Ticks before the first action have none, and are left out; those after the last planned one repeat it.
        """
        known = np.concatenate([self.sent, self.planned])
        if not len(known):
            return known
        first = self.tick - len(self.sent)
        return known[np.minimum(np.arange(max(start, first), stop) - first, len(known) - 1)]


@dataclass(frozen=True, slots=True, eq=False)
class Request:
    """One inference to do, asked at the head of tick `asked.tick`, t_obs.

    origin: the tick that row 0 is to be for; None where only the arrival tells it.
    start: the first tick at which the chunk may be used; None as above.
    roll_to: the tick whose state the policy is to be given; None for the state as observed.
    delay: d, the ticks planned from observation to switch.
    """

    asked: Snapshot
    origin: int | None
    start: int | None
    roll_to: int | None
    delay: int

    @property
    def tick(self) -> int:
        """t_obs, the tick of the newest observation."""
        return self.asked.tick

    @property
    def deadline(self) -> int:
        """The tick at whose head the result should be there."""
        return self.tick + self.delay

    @property
    def rows_passed(self) -> int:
        """Rows whose ticks have passed even if the chunk comes by the deadline. Where rows count from the observation
        and may be used at once, as with `naive`, these are the first ones; else there are none."""
        return 0 if self.start is None else max(self.deadline - self.start, 0)

    @property
    def epoch(self) -> int:
        """The epoch it belongs to; a result of another one is dropped."""
        return self.asked.epoch

    @property
    def observations(self) -> tuple[Observation, ...]:
        """The n_obs newest, oldest first, one tick apart."""
        return self.asked.observations

    @property
    def committed(self) -> FloatArray:
        """(d, A), the rows of ticks `[tick, tick + d)`. If the chunk starts at `tick + d` they are sent whatever comes;
        else a result that is early takes over before."""
        return self.asked.planned[: self.delay]

    @property
    def seed(self) -> tuple[int, int, int]:
        """Of the run, the epoch and the tick: a planner's noise depends on nothing else."""
        return (self.asked.seed, self.epoch, self.tick)


class StageTimes(NamedTuple):
    """Durations of the stages of one inference, in ns of the wall clock; 0 where the planner does not report a stage.

    queue_ns: from the head of the tick that asked until the worker took the request; infer_ns: the whole call of
    `Planner.infer`, which the next four are parts of; encode_ns: encoding images and task text; bind_ns: rolling and
    binding the state; denoise_ns: all denoising steps; post_ns: un-normalising and mapping the rows; publish_ns:
    checking the rows and preparing them for the executor. In simulated time all are 0.
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
    """Chunk of rows that answers a request: rows (H, A), one per tick, in robot units.

    state_tick: when the state was measured that the plan starts from; anchor: (S,), that state, rolled, as the robot
    names it.
    cost: ticks that it took, or would have taken with all steps; calls: network calls made, batch elements counted;
    steps: of denoising; made: how, beside that; policy_features: (Z,), what the policy's network made of the
    observation, for a corrector that takes it; empty else; stages: how long each stage of the inference took.
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
    """Flags of a result whose rows were not made from noise, in all steps, and to be used."""

    WARM = 1  # from the last plan
    REJECTED = 2  # what the last plan led to was no good, so once more from noise
    CUT = 4  # there was no time for all steps
    REFUSED = 8  # they were no numbers: none of them is used
    NO_ANSWER = 16  # the planner had no answer this time: there are no rows


@dataclass(frozen=True, slots=True, eq=False)
class ImageLatent:
    """What images came to. tick: when the oldest of them was captured; epoch: in which they were seen; values: (Z,)."""

    tick: int
    epoch: int
    values: FloatArray


@dataclass(frozen=True, slots=True)
class Failure:
    """The planner, or the eye, failed: no result, or sight, will come any more. message: why, in one sentence."""

    message: str


@dataclass(frozen=True, slots=True)
class Commands:
    """What the executor is told from outside, as it shall be from now on: reading only the newest misses nothing.

    paused: hold until it is false again, in a new hard epoch; estops, resets: how often each was ordered so far;
    latched: the last of these was an e-stop; task: what the policy is told to do.
    """

    paused: bool = False
    estops: int = 0
    resets: int = 0
    latched: bool = False
    task: str = ""


def news(now: Snapshot, before: Snapshot | None, cameras: Sequence[str]) -> bool:
    """Tells by the capture stamps whether `now` has an image of each of `cameras`, of which `before` lacks one or is of
    another epoch. Phase: hot."""
    seen = now.observation
    if any(name not in seen.images for name in cameras):
        return False
    if before is None or before.epoch != now.epoch:
        return True
    old = before.observation.image_stamps
    return any(seen.image_stamps[name] != old.get(name) for name in cameras)
