"""Strategies: decide what to ask the planner for, and which ticks its answer is for.

    name       row 0 is for            usable from    the policy is given
    sync       the tick of arrival     arrival        the state as observed
    naive      t_obs, or arrival       arrival        the state as observed
    ensemble   t_obs                   arrival        the state as observed; overlapping chunks are averaged
    vlash      t_obs + d               t_obs + d      the state rolled to t_obs + d
    rtc        t_obs                   t_obs + d      the state as observed, and the rows that run meanwhile

A strategy is a frozen value. `plan` and `schedule` are pure and run in the executor's tick: no I/O, no clock, no torch.
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
    """Rules that decide when the planner is asked, for which ticks, and how its answer becomes a chunk.

    `trigger` decides when to ask, `plan` makes the request, `schedule` assigns the rows of the answer to ticks, and
    `blend` joins the chunks that cover the same tick. Other packages register strategies as entry points
    `rollahead.strategies`.
    """

    @property
    def trigger(self) -> Trigger:
        """Decides when a chunk is requested."""
        ...

    @property
    def blend(self) -> Blend:
        """Joins the chunks that cover the same tick."""
        ...

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Request to make at the head of `snapshot.tick`, planning `delay` ticks for it. Phase: hot."""
        ...

    def schedule(self, result: Result, k: int) -> Chunk | None:
        """Assigns the rows of `result`, taken at the head of tick `k`, to ticks; None if all came too late.

        Phase: hot.
        """
        ...


def address(result: Result, k: int, *, rows: int | None = None) -> Chunk | None:
    """Chunk with the rows of `result`, accepted at tick `k`, at the ticks that its request gives.

    The chunk is used from max(start, k) on. Rows that could have been used before `k` are lost, and counted. Returns
    None if no row is left.

    Args:
        result: The planner's answer.
        k: Tick at which it was accepted.
        rows: Number of rows to use; None for all.
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
    """Observe, hold while the policy thinks, run `s` actions, and repeat: the usual blocking loop."""

    s: int
    trigger: Trigger = field(default_factory=lambda: Overlap(0))
    blend: Blend = newest

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Request whose rows count from the tick of arrival. Phase: hot."""
        return Request(snapshot, origin=None, start=None, roll_to=None, delay=delay)

    def schedule(self, result: Result, k: int) -> Chunk | None:
        """Chunk of the first `s` rows, of which row 0 is for tick `k`. Phase: hot."""
        return address(result, k, rows=self.s)


@dataclass(frozen=True, slots=True)
class Naive:
    """Ask while moving, switch on arrival, and plan from the state at the time of asking.

    Attributes:
        trigger: Decides when a chunk is requested.
        arrival: Whether row 0 is for the tick of arrival, as if no time had passed. Otherwise it is for t_obs, so that
            the first rows are skipped as late (SmolVLA's asynchronous inference, arXiv 2506.01844, section 3.3).
        blend: Joins the chunks that cover the same tick.
    """

    trigger: Trigger
    arrival: bool = False
    blend: Blend = newest

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Request whose rows count from t_obs, or from arrival. Phase: hot."""
        at = None if self.arrival else snapshot.tick
        return Request(snapshot, origin=at, start=at, roll_to=None, delay=delay)

    def schedule(self, result: Result, k: int) -> Chunk | None:
        """Chunk of the rows that are not late. Phase: hot."""
        return address(result, k)


@dataclass(frozen=True, slots=True, eq=False)
class Ensemble:
    """Temporal ensembling: the action of a tick is the mean over all chunks that cover it (ACT, arXiv 2304.13705).

    Rows count from t_obs, as with `Naive`.

    Attributes:
        trigger: Decides when a chunk is requested.
        exempt: (A,), dimensions that are never averaged (discrete ones, rotations).
        decay: Decay of the weights, the oldest chunk first.
        blend: Weighted mean of the chunks that cover the same tick.
    """

    trigger: Trigger
    exempt: NDArray[bool_]
    decay: float = 0.01
    blend: Blend = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "blend", Mean(self.decay, self.exempt))

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Request whose rows count from t_obs. Phase: hot."""
        return Request(snapshot, origin=snapshot.tick, start=snapshot.tick, roll_to=None, delay=delay)

    def schedule(self, result: Result, k: int) -> Chunk | None:
        """Chunk of the rows that are not late. Phase: hot."""
        return address(result, k)


@dataclass(frozen=True, slots=True, eq=False)
class Vlash:
    """Future-state rolling (VLASH, arXiv 2512.01031, section 4).

    The plan starts at t_obs + d, from the state that the robot will have then, and takes over at just that tick,
    whether or not it is there early.

    Attributes:
        trigger: Decides when a chunk is requested.
        blend: Joins the chunks that cover the same tick.
        moving: (A,), weight of each dimension for `taken_up`, which is applied to a late plan; None to skip late rows.
    """

    trigger: Trigger
    blend: Blend = newest
    moving: FloatArray | None = None

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Request that is rolled to t_obs + d, with rows that count from there. Phase: hot."""
        origin = snapshot.tick + delay
        return Request(snapshot, origin=origin, start=origin, roll_to=origin, delay=delay)

    def schedule(self, result: Result, k: int) -> Chunk | None:
        """Chunk that starts at t_obs + d, or at `k` if it is late. Phase: hot."""
        return address(result if self.moving is None else taken_up(result, k, self.moving), k)


@dataclass(frozen=True, slots=True)
class Chunked:
    """Real-time chunking (RTC, arXiv 2506.07339, section 3).

    Rows count from the observation. The first d ticks are run from the last plan; the new plan is conditioned on these
    rows and takes over at t_obs + d, whether or not it is there early. The planner conditions it by guidance (rtc), a
    prefix (tt_rtc) or a choice among several (bid).

    Attributes:
        trigger: Decides when a chunk is requested.
        blend: Joins the chunks that cover the same tick.
        discards: Whether a plan that arrives after t_obs + d is dropped, because more rows of the last plan have run
            than the new plan was conditioned on (LeRobot's rule for training-time RTC).
    """

    trigger: Trigger
    blend: Blend = newest
    discards: bool = False

    def plan(self, snapshot: Snapshot, delay: int) -> Request:
        """Request whose rows count from t_obs and are used from t_obs + d on. Phase: hot."""
        return Request(snapshot, snapshot.tick, start=snapshot.tick + delay, roll_to=None, delay=delay)

    def schedule(self, result: Result, k: int) -> Chunk | None:
        """Chunk of the rows that are not late; None for a late plan if `discards`. Phase: hot."""
        return None if self.discards and k > result.request.deadline else address(result, k)


def taken_up(result: Result, k: int, moving: FloatArray) -> Result:
    """Shifts the rows of a late `result` so that it continues from what the robot did meanwhile. Phase: hot.

    Row j becomes the row for tick `k` if the sum of the j rows before it is nearest to the sum of what was sent instead
    of them; of several such rows, the first is taken. After a standstill the plan begins with row 0; if the robot moved
    as planned it continues with the row of the tick. What was sent is known as far as it was planned when the result
    was requested; a later result is returned as it is.

    Args:
        result: The planner's answer.
        k: Tick at which it was accepted.
        moving: (A,), the weight of each dimension.
    """
    request = result.request
    late = k - request.deadline
    if late <= 0 or k - request.tick > len(request.asked.planned):
        return result
    sent = moving * request.asked.planned[request.delay : k - request.tick].sum(axis=0)
    rows = moving * result.rows[: min(late, len(result.rows) - 1)]
    difference = np.vstack([0 * sent, np.cumsum(rows, axis=0)]) - sent  # difference before rows 0, 1, ...
    origin = k - int(np.argmin(np.square(difference).sum(axis=1)))
    return replace(result, request=replace(request, origin=origin, start=origin))


def moving_weights(spec: RobotSpec) -> FloatArray:
    """Weights (A,) for `taken_up`: one over the range of each action, 1 without a range, 0 for discrete ones.

    Raises ConfigError if an action is an absolute target, since its row is right at its own tick only.
    """
    places = [dim.name for dim in spec.action if dim.kind in (Kind.POSITION, Kind.ROTATION)]
    if places:
        raise ConfigError(
            f"strategy.late is moved, and {', '.join(places)} is an absolute target, which is right at its own tick "
            "only; set strategy.late=tick"
        )
    ranges = [dim.high - dim.low for dim in spec.action]
    sizes = [1.0 / size if np.isfinite(size) else 1.0 for size in ranges]
    return np.where(mask(spec.action, Kind.DISCRETE), 0.0, sizes)
