"""An independent checker of the limits on setpoints (range, rate, acceleration), written from the documentation.

It shares nothing with the guard but the `RobotSpec`. Its input is a log of what happened to the robot, in order: reads,
writes, stops, and the commands in between. Rules (docs/design.md §4, docs/safety.md, `Dim`):

    range   inside `low` and `high`, and the range of the state that a target drives; from outside only inwards
    rate    two successive setpoints differ by no more than `rate_limit` dt, dt being the time between two setpoints
    accel   two successive differences differ by no more than `accel_limit` dt^2, from a standstill and to one
    begin   the first setpoint, and the first after a stop, starts at rest from a position on which two readings agree;
            after a resume or a reset it may, if that position is far from the last setpoint; otherwise each setpoint
            continues from the last one
    edge    an axis that follows exactly is never sent out of the range of the state that it drives
    rest    at the end velocities and steps are zero, and targets stand
    idle    a tick without a setpoint keeps rate and accel, as if the last target were sent again
    stop    nothing is sent after an e-stop until a reset; a tick has all of its setpoints or none
    burst   in any time span a target moves no farther than `rate_limit` allows in that span plus one dt
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rollahead.runtime.types.spec import Dim, Kind, RobotSpec, is_turn, names_of

FAR_S = 0.25  # a target is far from the robot if covering the distance at `rate_limit` takes longer than this
FAR_SHARE = 0.1  # without a rate limit a target is far beyond this fraction of the range
EXACT = 1e-9  # relative tolerance for rounding
MOVING = (Kind.VELOCITY, Kind.DELTA)
GRACE = 3  # ticks with agreeing readings, after a resume or a reset, within which a target may restart
RECENT = 3  # newest readings, of which two successive ones must agree on where a target starts


@dataclass(frozen=True, slots=True)
class Event:
    """An entry of the log. what: `head` or `skip` (a tick begins, sent or skipped), `read`, `write`, `stop`, `order`.

    values: the state that was read, or the setpoint; None for a read that raised; age: of the state, in ticks; order:
    name of the order; at_s: time in s, NaN in simulated time."""

    what: str
    values: tuple[float, ...] | None = None
    age: int = 0
    order: str = ""
    at_s: float = math.nan


@dataclass(frozen=True, slots=True)
class Broken:
    """A violation of a rule. event: index of the entry in the log; by: the value found; limit: the value allowed."""

    rule: str
    dim: str
    event: int
    by: float = math.nan
    limit: float = math.nan


Seen = tuple[int, tuple[float, ...]]  # the tick in which a state was read, and the state


@dataclass(frozen=True, slots=True)
class Past:
    """A possible history of a target: its last value and its last step."""

    at: float
    step: float


def beyond(value: float, limit: float, *sizes: float) -> bool:
    """Whether `value` exceeds `limit` by more than rounding errors of numbers of these `sizes`."""
    return not value <= limit + EXACT * (abs(limit) + sum(map(abs, sizes))) + 1e-12


class Axis:
    """One action dimension, with its limits per setpoint and what is known of its motion. exact: its axis follows
    exactly, so that `edge` can be checked."""

    def __init__(self, spec: RobotSpec, j: int, substeps: int, *, exact: bool) -> None:
        dim = spec.action[j]
        state = None if dim.drives is None else spec.state[names_of(spec.state).index(dim.drives)]
        bounded = state is not None and not is_turn(state)
        delta = dim.kind is Kind.DELTA
        dt, share = spec.period_s / substeps, 1 / substeps if delta else 1.0  # the step of a tick is sent in shares
        self.dim: Dim = dim
        self.j = j
        self.state = None if state is None else spec.state.index(state)
        self.moving = dim.kind in MOVING
        self.dt = dt
        self.rate, self.accel = share * dim.rate_limit * dt, share * dim.accel_limit * dt**2
        self.jump = share * dim.jump_limit
        edges = (state.low, state.high) if state is not None and bounded else (-math.inf, math.inf)
        self.low, self.high = (dim.low, dim.high) if self.moving else (max(dim.low, edges[0]), min(dim.high, edges[1]))
        self.edges = edges if self.moving and exact else (-math.inf, math.inf)
        wide = FAR_SHARE * (dim.high - dim.low)
        self.far = FAR_S * dim.rate_limit if math.isfinite(dim.rate_limit) else wide
        self.pasts: list[Past] = []  # possible histories; several where it may have restarted or continued
        self.may = 0  # number of ticks left in which it may restart
        self.place: float | None = None  # position of an axis that follows exactly
        self.in_tick = 0.0  # sum of the setpoints of this tick
        self.slack_up = self.slack_down = math.inf  # least x - rate t, and least -x - rate t, since it started

    # ---- where it may begin ------------------------------------------------------------------------------------------

    def starts(self, seen: Iterable[Seen], sent: float | None, setpoint: float) -> list[Past]:
        """Histories from which it may start: at rest where two of the readings `seen` agree. A discrete dimension may
        also start from the value `sent` last, or from any value if no state tells its position."""
        if self.moving:
            return [Past(0.0, 0.0)]
        kept = self.dim.kind is Kind.DISCRETE
        found = [] if self.state is None else self._agreed([(tick, state[self.state]) for tick, state in seen])
        found += [sent] if kept and sent is not None else []
        return [Past(at, 0.0) for at in found or ([setpoint] if kept and self.state is None else [])]

    def restarts(self, seen: Iterable[Seen], sent: float) -> list[Past]:
        """Histories from which it may restart after a resume or a reset: where it was read, if that is far from the
        value `sent` last."""
        return [past for past in self.starts(seen, None, sent) if not self.moving and abs(past.at - sent) > self.far]

    def agree(self, seen: Sequence[Seen], tick: int) -> bool:
        """Whether there are readings of `tick` and of the tick before, and they agree."""
        newest = [(at, state[self.state or 0]) for at, state in seen if at >= tick - 1]
        return self.state is None or len(self._agreed(newest[-2:])) == 2

    def _agreed(self, found: list[tuple[int, float]]) -> list[float]:
        """The values among `found` (tick, value) that agree with a neighbour: the distance between them is plausible
        for the ticks between them."""
        near = [
            not beyond(abs(one - other), self.far * max(at - then, 1), one)
            for (then, other), (at, one) in pairwise(found)
        ]
        return [one for i, (_, one) in enumerate(found) if any(near[max(i - 1, 0) : i + 1])]

    # ---- one setpoint ------------------------------------------------------------------------------------------------

    def wrong(self, past: Past, x: float) -> tuple[str, float, float] | None:
        """The first rule that the setpoint `x` breaks after `past`, with the value found and the value allowed."""
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
        """Whether the setpoint `x` moves an axis that follows exactly out of its range, or farther out."""
        if self.place is None:
            return False
        moved = x * self.dt if self.dim.kind is Kind.VELOCITY else x
        low, high = self.edges
        there = self.place + moved
        return (moved > 0 and beyond(there, high, there)) or (moved < 0 and beyond(-there, -low, there))

    def go(self, x: float) -> None:
        """Notes that the setpoint `x` was sent, and moves an axis that follows exactly."""
        self.in_tick += x
        if self.place is not None:
            self.place += x * self.dt if self.dim.kind is Kind.VELOCITY else x

    def ran_ahead(self, x: float, at_s: float) -> bool:
        """Whether in some time span up to now it has moved farther than its rate allows in that span plus one dt."""
        if math.isnan(at_s) or not math.isfinite(self.dim.rate_limit) or self.dim.kind is Kind.DELTA:
            return False
        rate = self.dim.rate_limit
        up, down = x - rate * at_s, -x - rate * at_s
        self.slack_up, self.slack_down = min(self.slack_up, up), min(self.slack_down, down)
        sizes = (x, rate * at_s)
        return beyond(up - self.slack_up, self.rate, *sizes) or beyond(down - self.slack_down, self.rate, *sizes)


class Checker:
    """Checks a log against the rules. stale_ticks: older readings are ignored; exact: names of the action dimensions
    whose axes follow exactly; grace: a target may restart once after a resume or a reset, within so many ticks with
    new, agreeing readings."""

    def __init__(
        self, spec: RobotSpec, substeps: int = 1, *, stale_ticks: int = 5, exact: Iterable[str] = (), grace: int = GRACE
    ) -> None:
        exact = set(exact)
        self.axes = [Axis(spec, j, substeps, exact=dim.name in exact) for j, dim in enumerate(spec.action)]
        self.broken: list[Broken] = []
        self._substeps, self._stale_ticks, self._grace = substeps, stale_ticks, grace
        self._seen: deque[Seen] = deque(maxlen=RECENT)
        self._k = 0  # ticks so far
        self._measured = -1  # the tick in which the newest state was measured
        self._fresh = False  # a newer state was read in this tick
        self._sent: tuple[float, ...] | None = None
        self._begins = True  # the next setpoint is the first, or the first after a stop
        self._halted = False  # stopped; nothing may be sent
        self._estop = False  # an e-stop was ordered and the robot is not stopped yet
        self._latched = False  # the last e-stop was not followed by a reset
        self._ending = False  # the run was told to end
        self._in_tick = 0  # number of setpoints in this tick
        self._tick = ""  # `head` or `skip`; empty before the first, or if the log has neither
        self._n = 0  # index of the event

    def check(self, log: Iterable[Event]) -> list[Broken]:
        """Returns every violation in `log`, in order."""
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
        if not self._tick:  # a log in real time has no `head`: a tick begins with each read
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
                axis.may = self._grace + bool(self._in_tick)  # the end of the tick before takes one off
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
        """Checks the setpoint `x` against each possible history, and keeps those that allow it. rule: name of a
        violation, in place of that of the limit."""
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
        """Checks a time without setpoints as if each target were sent again, and a step of zero."""
        for axis in self.axes:
            if axis.pasts:
                self._judge(axis, 0.0 if axis.dim.kind is Kind.DELTA else axis.pasts[0].at, rule)

    def _rest(self) -> None:
        """Checks that the robot is at rest when it is stopped at the end."""
        if self._begins:
            return
        for axis in self.axes:
            if axis.moving and all(past.at != 0 for past in axis.pasts):
                self._say("rest", axis.dim.name, axis.pasts[0].at, 0.0)
        self._stand("rest")

    def _end_tick(self) -> None:
        """Checks the tick that is over as a whole."""
        sent = self._in_tick
        if self._tick == "head" and sent not in (0, self._substeps):
            self._say("stop", "all", sent, self._substeps)
        driving = not (self._begins or self._halted)
        if driving and self._tick:
            for axis in self.axes:
                if axis.place is not None and axis.dim.kind is Kind.VELOCITY:  # the axis keeps its last velocity
                    axis.place += (self._substeps - sent) * axis.pasts[0].at * axis.dt
        if driving and self._tick == "head" and not sent:
            self._stand("idle")
        if driving and self._tick == "skip":  # the next step may follow the last one, or a step of zero
            for axis in self.axes:
                axis.pasts += [Past(0.0, 0.0)] if axis.dim.kind is Kind.DELTA else []
        self._share_out()

    def _share_out(self) -> None:
        """Checks that the steps of a tick together are within their range, and begins the next tick."""
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
