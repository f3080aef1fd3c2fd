"""An independent checker of range, rate and acceleration: what a robot may be sent, written out from the documentation.

It shares nothing with the guard but the `RobotSpec`. It sees what the robot saw, in order: what was read, sent and
stopped, and which orders were given in between. Rules (docs/design.md §4, docs/safety.md, `Dim`):

    range   inside `low` and `high`, and the range of the state that a target drives; from outside only inwards
    rate    two successive setpoints differ by no more than `rate_limit` dt, dt being the time between two setpoints
    accel   two successive differences differ by no more than `accel_limit` dt^2, from a standstill and to one
    begin   at the first setpoint, and the first after a stop, a target begins at rest where two readings found it;
            after a resume or a reset it may if it was found far from what was sent, else it goes on from there
    edge    an axis that follows exactly is never sent out of the range of the state that it drives
    stop    nothing is sent after an e-stop until a reset; a tick has all of its setpoints or none
    burst   in any time a target moves no farther than `rate_limit` allows in it, and in one dt more
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rollahead.runtime.spec import Dim, Kind, RobotSpec, is_turn, names_of

FAR_S = 0.25  # a target is far from where the robot is if `rate_limit` takes longer to get there
FAR_SHARE = 0.1  # of the range, where there is no rate limit
EXACT = 1e-9  # relative: rounding, and nothing else
MOVING = (Kind.VELOCITY, Kind.DELTA)
GRACE = 3
RECENT = 3  # readings of which two must agree where a target begins


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a robot: `head` and `skip` of a tick, `read`, `write`, `stop`, and an `order`, named in `order`.

    values: the state read, or the setpoint; None for a read that failed; age: of the state, in ticks; at_s: when."""

    what: str
    values: tuple[float, ...] | None = None
    age: int = 0
    order: str = ""
    at_s: float = math.nan


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that did not hold. event: its number in the log; by, limit: what was found and what may be."""

    rule: str
    dim: str
    event: int
    by: float = math.nan
    limit: float = math.nan


Seen = tuple[int, tuple[float, ...]]  # the tick in which a state was read, and the state


@dataclass(frozen=True, slots=True)
class Past:
    """Where a target was last, and its last difference."""

    at: float
    step: float


def beyond(value: float, limit: float, *sizes: float) -> bool:
    """Whether `value` is more than `limit`, by more than the rounding of numbers of these `sizes`."""
    return not value <= limit + EXACT * (abs(limit) + sum(map(abs, sizes))) + 1e-12


class Axis:
    """One dimension of an action, with its limits per setpoint."""

    def __init__(self, spec: RobotSpec, j: int, substeps: int, *, exact: bool) -> None:
        dim = spec.action[j]
        state = None if dim.drives is None else spec.state[names_of(spec.state).index(dim.drives)]
        bounded = state is not None and not is_turn(state)
        delta = dim.kind is Kind.DELTA
        dt, share = spec.period_s / substeps, 1 / substeps if delta else 1.0  # a step per tick comes as so many
        self.dim: Dim = dim
        self.j = j
        self.state = None if state is None else spec.state.index(state)
        self.moving = dim.kind in MOVING
        self.dt, self.substeps = dt, substeps
        self.rate, self.accel = share * dim.rate_limit * dt, share * dim.accel_limit * dt**2
        self.jump = share * dim.jump_limit
        edges = (state.low, state.high) if state is not None and bounded else (-math.inf, math.inf)
        self.low, self.high = (dim.low, dim.high) if self.moving else (max(dim.low, edges[0]), min(dim.high, edges[1]))
        self.edges = edges if self.moving and exact else (-math.inf, math.inf)
        wide = FAR_SHARE * (dim.high - dim.low)
        self.far = FAR_S * dim.rate_limit if math.isfinite(dim.rate_limit) else wide
        self.pasts: list[Past] = []  # more than one where it may have begun anew or gone on
        self.may = 0  # ticks in which it may begin anew
        self.place: float | None = None  # where an axis that follows exactly is
        self.in_tick = 0.0  # sum of the steps of this tick
        self.slack_up = self.slack_down = math.inf  # least of x - rate t, of -x - rate t, since it began

    # ---- where it may begin ------------------------------------------------------------------------------------------

    def starts(self, seen: Iterable[Seen], sent: float | None, setpoint: float) -> list[Past]:
        """Where it may begin after standing: at rest, where two of the readings `seen` agree; a discrete one where it
        was sent last, or anywhere if nobody knows where it is."""
        if self.moving:
            return [Past(0.0, 0.0)]
        kept = self.dim.kind is Kind.DISCRETE
        found = [] if self.state is None else self._agreed([(tick, state[self.state]) for tick, state in seen])
        found += [sent] if kept and sent is not None else []
        return [Past(at, 0.0) for at in found or ([setpoint] if kept and self.state is None else [])]

    def restarts(self, seen: Iterable[Seen], sent: float) -> list[Past]:
        """Where else it may go on after a resume or a reset: where it was found, if that is far from what was sent."""
        return [past for past in self.starts(seen, None, sent) if not self.moving and abs(past.at - sent) > self.far]

    def agree(self, seen: Sequence[Seen], tick: int) -> bool:
        """Whether the newest two readings, of `tick` and the tick before, say the same."""
        newest = [(at, state[self.state or 0]) for at, state in seen if at >= tick - 1]
        return self.state is None or len(self._agreed(newest[-2:])) == 2

    def _agreed(self, found: list[tuple[int, float]]) -> list[float]:
        """Those whose neighbour is no farther away than it may have gone in the ticks between."""
        near = [
            not beyond(abs(one - other), self.far * max(at - then, 1), one)
            for (then, other), (at, one) in pairwise(found)
        ]
        return [one for i, (_, one) in enumerate(found) if any(near[max(i - 1, 0) : i + 1])]

    # ---- one setpoint ------------------------------------------------------------------------------------------------

    def wrong(self, past: Past, x: float) -> tuple[str, float, float] | None:
        """The first rule that `x` breaks after `past`, what was found and what may be."""
        step = x - past.at
        change = abs(step - past.step)
        jump = abs(x if self.dim.kind is Kind.DELTA else step)
        outside = max(x - self.high, self.low - x)
        before = max(past.at - self.high, self.low - past.at)
        if not math.isfinite(x):
            return "range", x, self.high
        if beyond(outside, max(before, 0.0), x) and self.dim.kind is not Kind.DELTA:
            return "range", x, self.high if x > self.high else self.low
        if beyond(abs(step), self.rate, x, past.at):
            return "rate", abs(step), self.rate
        if beyond(change, self.accel, x, past.at, past.step):
            return "accel", change, self.accel
        if beyond(jump, self.jump, x, past.at):
            return "jump", jump, self.jump
        return None

    def out(self, x: float) -> bool:
        """Whether `x` takes an axis that follows exactly out of its range, or farther out."""
        if self.place is None:
            return False
        moved = x * self.dt if self.dim.kind is Kind.VELOCITY else x
        low, high = self.edges
        there = self.place + moved
        return (moved > 0 and beyond(there, high, there)) or (moved < 0 and beyond(-there, -low, there))

    def go(self, x: float) -> None:
        """A setpoint was sent: an axis that follows exactly goes with it."""
        self.in_tick += x
        if self.place is not None:
            self.place += x * self.dt if self.dim.kind is Kind.VELOCITY else x

    def ran_ahead(self, x: float, at_s: float) -> bool:
        """Whether it has moved farther in some time up to now than its rate allows in it, and in one dt."""
        if math.isnan(at_s) or not math.isfinite(self.dim.rate_limit) or self.dim.kind is Kind.DELTA:
            return False
        rate = self.dim.rate_limit
        up, down = x - rate * at_s, -x - rate * at_s
        self.slack_up, self.slack_down = min(self.slack_up, up), min(self.slack_down, down)
        sizes = (x, rate * at_s)
        return beyond(up - self.slack_up, self.rate, *sizes) or beyond(down - self.slack_down, self.rate, *sizes)


class Checker:
    """Holds a log to the rules. exact: action dimensions whose axis follows exactly; grace: ticks with new
    readings that agree up to which a target may begin anew after a resume or a reset, once."""

    def __init__(
        self, spec: RobotSpec, substeps: int = 1, *, stale_ticks: int = 5, exact: Iterable[str] = (), grace: int = GRACE
    ) -> None:
        exact = set(exact)
        self.axes = [Axis(spec, j, substeps, exact=dim.name in exact) for j, dim in enumerate(spec.action)]
        self.broken: list[Broken] = []
        self._substeps, self._stale_ticks, self._grace = substeps, stale_ticks, grace
        self._seen: deque[Seen] = deque(maxlen=RECENT)
        self._k = 0  # ticks so far
        self._measured = -1  # when the newest state was measured
        self._fresh = False  # whether that was read in this tick
        self._sent: tuple[float, ...] | None = None
        self._begins = True  # the next setpoint is the first, or the first after a stop
        self._halted = self._estop = self._latched = self._ending = False
        self._in_tick = 0  # setpoints
        self._tick = ""  # head, skip, or nothing before the first
        self._n = 0

    def check(self, log: Iterable[Event]) -> list[Broken]:
        """Every rule that `log` breaks, in order."""
        for self._n, event in enumerate(log):
            getattr(self, f"_{event.what}")(event)
        self._end_tick()
        return self.broken

    # ---- events ------------------------------------------------------------------------------------------------------

    def _head(self, event: Event) -> None:
        self._end_tick()
        self._tick = "head"

    def _skip(self, event: Event) -> None:
        self._end_tick()
        self._tick = "skip"

    def _read(self, event: Event) -> None:
        if not self._tick:  # nobody says where ticks begin: each begins with a read
            self._share_out()
        if event.values is None or event.age > self._stale_ticks or not all(map(math.isfinite, event.values)):
            return
        self._seen.append((self._k, event.values))
        measured = self._k - event.age
        self._fresh, self._measured = measured > self._measured, max(measured, self._measured)
        for axis in self.axes:
            if axis.place is None and axis.state is not None and axis.edges != (-math.inf, math.inf):
                axis.place = event.values[axis.state]

    def _order(self, event: Event) -> None:
        if event.order in ("resume", "reset"):
            for axis in self.axes:
                axis.may = self._grace + bool(self._in_tick)  # the tick before is not over yet
        if event.order == "estop":
            self._estop = self._latched = True
        if event.order == "reset":
            self._estop = self._estop and not self._halted
            self._latched = self._halted = False
        self._ending = self._ending or event.order == "end"

    def _stop(self, event: Event) -> None:
        if self._ending and not (self._halted or self._estop):
            self._rest()
        self._halted = self._latched or not self._estop
        self._estop = False
        self._begins = True

    def _write(self, event: Event) -> None:
        assert event.values is not None
        self._in_tick += 1
        if self._halted:
            self._say("stop", "all")
        for axis, x in zip(self.axes, event.values, strict=True):
            self._judge(axis, x)
            if axis.out(x):
                self._say("edge", axis.dim.name, x, axis.place or 0.0)
            axis.go(x)
            if axis.ran_ahead(x, event.at_s):
                self._say("burst", axis.dim.name)
        self._begins = False
        self._sent = event.values

    # ---- inside ------------------------------------------------------------------------------------------------------

    def _judge(self, axis: Axis, x: float, rule: str = "") -> None:
        """Holds `x` to the rules after each past that it may have, and keeps those that allow it."""
        sent = None if self._sent is None else self._sent[axis.j]
        pasts = axis.starts(self._seen, sent, x) if self._begins else list(axis.pasts)
        if not pasts:
            self._say("begin", axis.dim.name, x)
            pasts = [Past(x, 0.0)]
        anew = axis.restarts(self._seen, pasts[0].at) if axis.may and not self._begins else []
        allowed = [past for past in pasts if axis.wrong(past, x) is None]
        begun = [past for past in anew if axis.wrong(past, x) is None]
        if not (allowed or begun):
            kind, by, limit = axis.wrong(pasts[0], x) or ("", math.nan, math.nan)
            self._say(f"{rule or kind}", axis.dim.name, by, limit)
        if self._begins or (begun and not allowed):
            axis.slack_up = axis.slack_down = math.inf
            axis.may = 0
        axis.pasts = [Past(x, x - past.at) for past in ([*allowed, *begun] or pasts[:1])]

    def _stand(self, rule: str) -> None:
        """Nothing is sent: each target stands, and no step is made."""
        for axis in self.axes:
            if axis.pasts:
                self._judge(axis, 0.0 if axis.dim.kind is Kind.DELTA else axis.pasts[0].at, rule)

    def _rest(self) -> None:
        """The robot is stopped at the end, which is to be at rest by then."""
        if self._begins:
            return
        for axis in self.axes:
            if axis.moving and all(past.at != 0 for past in axis.pasts):
                self._say("rest", axis.dim.name, axis.pasts[0].at, 0.0)
        self._stand("rest")

    def _end_tick(self) -> None:
        """What the tick that is over was, where the log tells."""
        sent = self._in_tick
        if self._tick == "head" and sent not in (0, self._substeps):
            self._say("stop", "all", sent, self._substeps)
        driving = not (self._begins or self._halted)
        if driving and self._tick:
            for axis in self.axes:
                if axis.place is not None and axis.dim.kind is Kind.VELOCITY:  # it goes on as it was told
                    axis.place += (self._substeps - sent) * axis.pasts[0].at * axis.dt
        if driving and self._tick == "head" and not sent:
            self._stand("idle")
        if driving and self._tick == "skip":  # in which no step was made
            for axis in self.axes:
                axis.pasts += [Past(0.0, 0.0)] if axis.dim.kind is Kind.DELTA else []
        self._share_out()

    def _share_out(self) -> None:
        """The steps of a tick together are within the range, however many there are."""
        for axis in self.axes:
            total, axis.in_tick = axis.in_tick, 0.0
            if axis.dim.kind is Kind.DELTA and (
                beyond(total, axis.dim.high, total) or beyond(-total, -axis.dim.low, total)
            ):
                self._say("range", axis.dim.name, total, axis.dim.high)
            if axis.may and self._in_tick and self._fresh and axis.agree(self._seen, self._k):
                axis.may -= 1
        self._in_tick, self._fresh = 0, False
        self._k += 1

    def _say(self, rule: str, dim: str, by: float = math.nan, limit: float = math.nan) -> None:
        self.broken.append(Broken(rule, dim, self._n, by, limit))
