"""DESIGN §3 to §5, read aloud: what each tick of a schedule must be.

It is written from the sentences and in the plainest way, a list of inferences and a search through it at every tick. It
shares nothing with the code under test but what goes in: the schedule, the rows that the planner gives, and what the
robot measures.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from rollahead.runtime.control.trace import TickStatus
from rollahead.runtime.types.arrays import FloatArray

from .schedules import BRAKE, DECAY, Schedule, rows


@dataclass(slots=True, eq=False)
class Answer:
    """An inference: asked at a tick, for `delay` ticks, in an epoch and a life (what lies between two hard resets).

    number: in the order begun; bound: the tick whose snapshot the state came from; accepted: when the executor took it,
    `unseen` if that tick's snapshot was out. Row 0 is for `origin`; rows could be used from `start` on, and those of
    ticks `[first, stop)` are.
    """

    asked: int
    delay: int
    epoch: int
    life: int
    number: int = -1
    bind_due: int = -1
    due: int = -1
    bound: int | None = None
    accepted: int = -1
    unseen: bool = False
    dropped: bool = False
    origin: int = 0
    start: int = 0
    first: int = 0
    stop: int = 0

    @property
    def placed(self) -> bool:
        """Whether a row of it could be used."""
        return self.accepted >= 0 and not self.dropped and self.first < self.stop

    @property
    def outcome(self) -> str:
        """What the trace is to call it."""
        if self.dropped:
            return "dropped"
        late = self.first > max(self.start, self.asked + self.delay)  # the first rows of naive are never in time
        return "expired" if not self.placed else "late" if late else "placed"


@dataclass(frozen=True, slots=True, eq=False)
class Tick:
    """What a tick must be. action: what is sent, or what the robot in effect does; source: the tick of the request, the
    row and the age behind it; asked, open: the open request when the snapshot is out, and at the end of the tick."""

    status: TickStatus
    action: FloatArray | None
    source: tuple[int, int, int] = (-1, -1, -1)
    asked: Answer | None = None
    open: Answer | None = None


@dataclass(slots=True, eq=False)
class Words:
    """measured: tick -> the state (S,) read at its head. answers: in the order in which they were accepted."""

    schedule: Schedule
    measured: Callable[[int], FloatArray]
    answers: list[Answer] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    _epoch: int = 0
    _life: int = 0
    _begun: int = 0
    _open: Answer | None = None
    _taken: Answer | None = None
    _flight: Answer | None = None
    _last: int | None = None  # the tick of the newest request of the epoch
    _in_effect: FloatArray | None = None  # what the robot did last
    _seen: list[int] = field(default_factory=list)  # what inferences took

    def __post_init__(self) -> None:
        for k in range(self.schedule.ticks):
            self._new_epochs(k)
            self.ticks.append(self._skip() if k in self.schedule.skipped else self._tick(k))

    def _new_epochs(self, k: int) -> None:
        """A hard reset and a task change both drop what is in flight; only the first ends a life."""
        for happens, hard in ((k in self.schedule.resets, True), (k in self.schedule.tasks, False)):
            if happens:
                self._epoch, self._life = self._epoch + 1, self._life + hard
                self._open, self._last = None, None

    def _skip(self) -> Tick:
        """The target stays, the rate goes on, no step is made, the grip stays."""
        if self._in_effect is not None:
            target, rate, _, grip = self._in_effect
            self._in_effect = np.array([target, rate, 0.0, grip])
        return Tick(TickStatus.OVERRUN, self._in_effect, open=self._open)

    def _tick(self, k: int) -> Tick:
        """A result that is there -> a request if one is due, and none open -> the worker -> an instant result -> act"""
        if not self.schedule.half:
            self._deliver(k, unseen=False)
        if self._open is None and self._due(k):
            self._open, self._last = Answer(k, self._delay(), self._epoch, self._life), k
        asked = self._open
        self._think(k)
        self._deliver(k, unseen=True)
        return self._send(k, asked)

    def _due(self, k: int) -> bool:
        """Every s ticks, or at once if no row is left; as soon as possible; or when few rows are left."""
        schedule = self.schedule
        left = max((a.stop for a in self._alive()), default=-math.inf) - k
        if schedule.strategy == "sync":
            return left <= 0
        if isinstance(schedule.trigger, int):
            return left <= schedule.trigger
        return schedule.trigger == "asap" or self._last is None or k >= self._last + schedule.s or left <= 0

    def _delay(self) -> int:
        """As planned, or the lower median of the newest 50 seen; no more than a chunk lasts."""
        seen = sorted(self._seen[-50:]) if self.schedule.estimated else [self.schedule.d]
        return min(seen[(len(seen) - 1) // 2], self.schedule.horizon) if seen else 0

    def _think(self, k: int) -> None:
        """There is one worker, and what it began it ends."""
        if self._flight is None and self._open is not None and self._open is not self._taken:
            latency = self.schedule.latency(self._begun)
            self._flight = self._taken = self._open
            self._flight.number, self._begun = self._begun, self._begun + 1
            self._flight.bind_due, self._flight.due = k + latency.bind, k + latency.done
        if self._flight is not None and self._flight.bound is None and k >= self._flight.bind_due:
            self._flight.bound = k

    def _deliver(self, k: int, *, unseen: bool) -> None:
        answer = self._flight
        if answer is None or answer.bound is None or k < answer.due:
            return
        self._flight, answer.accepted, answer.unseen = None, k, unseen
        self._seen.append(self.schedule.latency(answer.number).done)
        self.answers.append(answer)
        answer.dropped = answer.epoch != self._epoch
        if not answer.dropped:
            self._open = None
            self._place(answer, k)

    def _place(self, answer: Answer, k: int) -> None:
        """DESIGN §5: which tick row 0 is for, and which rows are used: those from max(start, acceptance) on."""
        strategy, switch = self.schedule.strategy, answer.asked + answer.delay
        origins = {"sync": k, "naive_arrival": k, "vlash": switch}
        answer.origin = origins.get(strategy, answer.asked)
        answer.start = switch if strategy == "rtc" else answer.origin
        answer.first = max(answer.start, k)
        answer.stop = answer.origin + (self.schedule.s if strategy == "sync" else self.schedule.horizon)

    def _alive(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.placed and answer.life == self._life]

    def _send(self, k: int, asked: Answer | None) -> Tick:
        covering = [answer for answer in self._alive() if answer.first <= k < answer.stop]
        if covering:
            newest = covering[-1]
            source = (newest.asked, k - newest.origin, k - newest.asked + self.schedule.age)
            tick = Tick(TickStatus.OK, self._action(covering, k), source, asked, self._open)
        else:
            tick = Tick(TickStatus.UNDERRUN, self._hold(k), asked=asked, open=self._open)
        self._in_effect = tick.action
        return tick

    def _action(self, covering: list[Answer], k: int) -> FloatArray:
        """The newest; ensembling: the mean, in which the oldest weighs 1 and each other exp(-decay) of the one before;
        but never of the grip."""
        choices = [rows(answer.number, self.schedule.horizon)[k - answer.origin] for answer in covering]
        if self.schedule.strategy != "ensemble":
            return choices[-1]
        weights = [math.exp(-DECAY * j) for j in range(len(choices))]
        mean = [math.fsum(w * row[i] for w, row in zip(weights, choices, strict=True)) for i in range(3)]
        return np.array([*(total / math.fsum(weights) for total in mean), choices[-1][3]])

    def _hold(self, k: int) -> FloatArray:
        """The target stays, rate and step brake to zero, the grip stays; before all, x is held as measured."""
        grip, _, _, x = self.measured(k)
        if self._in_effect is None:
            return np.array([x, 0.0, 0.0, grip])
        target, rate, step, grip = self._in_effect
        return np.array([target, _brake(rate, BRAKE["rate"]), _brake(step, BRAKE["step"]), grip])


def _brake(value: float, by: float) -> float:
    return math.copysign(max(abs(value) - by, 0.0), value)
