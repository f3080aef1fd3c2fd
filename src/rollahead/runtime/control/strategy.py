"""Strategies: what to ask the planner for, and which ticks its answer is for.

    name       row 0 is for            usable from    the policy is given
    sync       the tick of arrival     arrival        the state as observed
    naive      t_obs, or arrival       arrival        the state as observed
    ensemble   t_obs                   arrival        the state as observed; overlapping chunks are averaged
    vlash      t_obs + d               t_obs + d      the state rolled to t_obs + d
    rtc        t_obs                   t_obs + d      the state as observed, and the rows that run meanwhile

A strategy is a frozen value. `plan` and `place` are pure and belong to the executor's tick: no I/O, no clock, no torch.
"""

from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy import bool_
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.runtime.control.trigger import Overlap, Trigger
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.chunk import Blend, Chunk, Mean, newest
from rollahead.runtime.types.messages import Request, Result, Snapshot
from rollahead.runtime.types.spec import Kind, RobotSpec, mask


class Strategy(Protocol):
    """Interface of a strategy: `trigger` says when to ask, `plan` what, `place` addresses the answer, and `blend` says
    how chunks that cover one tick are joined."""

    @property
    def trigger(self) -> Trigger: ...

    @property
    def blend(self) -> Blend: ...

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """The request to make at the head of `snapshot.tick`, planning `delay` ticks for it. Phase: hot."""
        ...

    def place(self, result: Result, k: int) -> Chunk | None:
        """`result` as a chunk, accepted at the head of tick `k`; None if all of its rows came too late. Phase: hot."""
        ...


def address(result: Result, k: int, *, rows: int | None = None) -> Chunk | None:
    """Returns the chunk of `result`, accepted at tick `k`, as its request addresses it; at most the first `rows` rows.

    It is used from max(start, k) on. Rows that could have been used before `k` are lost, and counted.
    """
    request = result.request
    origin = k if request.origin is None else request.origin
    start = k if request.start is None else request.start
    chunk = Chunk(
        rows=result.rows[:rows],
        origin=origin,
        start=max(start, k),
        obs_tick=request.asked.observation.oldest_tick,
        state_tick=result.state_tick,
        request=request.tick,
        epoch=request.epoch,
        accepted=k,
        lost=max(k - start, 0),
        environment=request.asked.observation.environment,
        policy_features=result.policy_features,
    )
    return chunk if chunk.start < chunk.stop else None


@dataclass(frozen=True, slots=True)
class Sync:
    """Observe, hold while the policy thinks, run `s` actions, again. What robots do today."""

    s: int
    trigger: Trigger = field(default_factory=lambda: Overlap(0))
    blend: Blend = newest

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Phase: hot."""
        return Request(snapshot, origin=None, start=None, roll_to=None, delay=delay)

    def place(self, result: Result, k: int) -> Chunk | None:
        """Row 0 is for the tick of arrival; rows after the first `s` are not used. Phase: hot."""
        return address(result, k, rows=self.s)


@dataclass(frozen=True, slots=True)
class Naive:
    """Ask while moving, switch on arrival, plan from the state at the time of asking.

    arrival: row 0 is for the tick of arrival, as if no time had passed; else for t_obs, so that the first rows are
    skipped as late (SmolVLA's asynchronous inference, arXiv 2506.01844, section 3.3).
    """

    trigger: Trigger
    arrival: bool = False
    blend: Blend = newest

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Phase: hot."""
        at = None if self.arrival else snapshot.tick
        return Request(snapshot, origin=at, start=at, roll_to=None, delay=delay)

    def place(self, result: Result, k: int) -> Chunk | None:
        """Phase: hot."""
        return address(result, k)


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """As `Naive` from t_obs, but a tick's action is the mean over all chunks that cover it (ACT, arXiv 2304.13705).

    exempt: (A,), dimensions that are never averaged (discrete ones, rotations); decay: of the weights, oldest first.
    """

    trigger: Trigger
    exempt: NDArray[bool_]
    decay: float = 0.01
    blend: Blend = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "blend", Mean(self.decay, self.exempt))

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Phase: hot."""
        return Request(snapshot, origin=snapshot.tick, start=snapshot.tick, roll_to=None, delay=delay)

    def place(self, result: Result, k: int) -> Chunk | None:
        """Phase: hot."""
        return address(result, k)


@dataclass(frozen=True, slots=True, eq=False)
class Vlash:
    """Future-state rolling (VLASH, arXiv 2512.01031, section 4): the plan starts at t_obs + d, from the state that the
    robot will have then, and takes over at just that tick, be it there early or not.

    moving: (A,), the weights of what moves the robot on from where it is; if given, a late plan is `taken_up`.
    """

    trigger: Trigger
    blend: Blend = newest
    moving: FloatArray | None = None

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Phase: hot."""
        origin = snapshot.tick + delay
        return Request(snapshot, origin=origin, start=origin, roll_to=origin, delay=delay)

    def place(self, result: Result, k: int) -> Chunk | None:
        """Phase: hot."""
        return address(result if self.moving is None else taken_up(result, k, self.moving), k)


@dataclass(frozen=True, slots=True)
class Chunked:
    """Real-time chunking (RTC, arXiv 2506.07339, section 3): rows count from the observation, the first d of them run
    from the last plan, and the new one, made to go on from these, takes over at t_obs + d, be it there early or not.
    How it is made to is the planner's affair: by guidance (rtc), a prefix (tt_rtc), or choice (bid).

    discards: whether a plan that arrives after t_obs + d is left out, because more rows of the last plan have run than
    the new plan was conditioned on (LeRobot's rule for training-time RTC)."""

    trigger: Trigger
    blend: Blend = newest
    discards: bool = False

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Phase: hot."""
        return Request(snapshot, snapshot.tick, start=snapshot.tick + delay, roll_to=None, delay=delay)

    def place(self, result: Result, k: int) -> Chunk | None:
        """Phase: hot."""
        return None if self.discards and k > result.request.deadline else address(result, k)


def taken_up(result: Result, k: int, moving: FloatArray) -> Result:
    """`result`, if it is late at tick `k`, with its rows put off: row j is for tick `k` if the j rows before it come to
    most nearly what was sent instead of them; of several, the first. A robot that stood still begins with row 0, one
    that went the way of the plan, farther in each tick, goes on with the row of the tick. moving: (A,), the weight of
    each dimension. Phase: hot.

    What was sent is what was planned when the result was asked for; farther than that nothing is put off.
    """
    request = result.request
    late = k - request.deadline
    if late <= 0 or k - request.tick > len(request.asked.planned):
        return result
    sent = moving * request.asked.planned[request.delay : k - request.tick].sum(axis=0)
    rows = moving * result.rows[: min(late, len(result.rows) - 1)]
    apart = np.vstack([0 * sent, np.cumsum(rows, axis=0)]) - sent  # before rows 0, 1, ...
    origin = k - int(np.argmin(np.square(apart).sum(axis=1)))
    return replace(result, request=replace(request, origin=origin, start=origin))


def moving_weights(spec: RobotSpec) -> FloatArray:
    """(A,), the weights for `taken_up`: each action in shares of its range, if it has one. Discrete ones move nothing.

    Raises: ConfigError, if an action says where to be: then a row is right at its tick, and at no other.
    """
    places = [dim.name for dim in spec.action if dim.kind in (Kind.POSITION, Kind.ROTATION)]
    if places:
        raise ConfigError(
            f"strategy.late is moved, and {', '.join(places)} says where to be, which is right at its tick and at no "
            "other; set strategy.late=tick"
        )
    ranges = [dim.high - dim.low for dim in spec.action]
    sizes = [1.0 / size if np.isfinite(size) else 1.0 for size in ranges]
    return np.where(mask(spec.action, Kind.DISCRETE), 0.0, sizes)
