"""Every schedule of a small domain, and a run of each on a robot that can be predicted to the bit.

A schedule is what a person chooses (strategy, H, s, d, trigger), and what then happens: when results arrive and states
are bound, which ticks are skipped, when there is a reset or another task.

Rows carry who made them: row `i` of the `n`-th inference is 100 (n + 1) + i, in each dimension but for its sign. All
numbers are small and quarters of whole ones, so that sums are exact, and so are the robot's states.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import permutations, product
from typing import Any

import numpy as np

from rollahead.runtime.config.build import StrategyConfig, make_strategy
from rollahead.runtime.config.techniques import EnsembleConfig
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.strategy import Strategy
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Latency, LatencyModel
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.rolling.binding import bind
from rollahead.runtime.rolling.roll import for_spec
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

STRATEGIES = ("sync", "naive", "naive_arrival", "ensemble", "vlash")
ADDRESSED = (*STRATEGIES, "rtc")  # and one that uses rows from `t_obs + d` only
DECAY = 0.5
PERIOD_S = 0.25
BRAKE = {"rate": 75.0, "step": 50.0}  # the most that a value may change per tick
PUSH = frozen([0.0, 0.0, 0.0, 10_000.0])  # what a person moves by hand before a reset: x
SPEC = RobotSpec(
    action=(
        Dim("target", kind=Kind.POSITION, drives="x"),
        Dim("rate", kind=Kind.VELOCITY, drives="p", rate_limit=BRAKE["rate"] / PERIOD_S),
        Dim("step", kind=Kind.DELTA, drives="q", rate_limit=BRAKE["step"] / PERIOD_S),
        Dim("grip", kind=Kind.DISCRETE, drives="g"),
    ),
    state=(Dim("g"), Dim("q"), Dim("p"), Dim("x")),
    rate_hz=1.0 / PERIOD_S,
)
ROLLER = for_spec(SPEC)
REST = frozen([3.0, 2.0, 1.0, 7.0])  # the state before the first tick


@cache
def rows(n: int, horizon: int) -> FloatArray:
    """(H, A), what the `n`-th inference gives."""
    name = 100.0 * (n + 1) + np.arange(horizon)
    sign = (-1.0) ** n
    return frozen(np.stack([name, sign * name, -sign * name, name + 0.5], axis=1))


@dataclass(frozen=True, slots=True)
class Schedule:
    """arrivals: the ticks that inference n takes are `arrivals[n % len]`; bind: those to the binding of the state, cut
    to what can be; trigger: `every` s ticks, `asap`, or an overlap. skipped, resets, tasks: the ticks at whose head it
    happens. half: results arrive between snapshot and action, not before both. estimated: the delay is, and `d` is not
    used. age: of every measured state, in ticks; n_obs: observations in a request."""

    strategy: str
    horizon: int
    s: int
    d: int
    arrivals: tuple[int, ...]
    bind: int = 0
    trigger: str | int = "every"
    skipped: tuple[int, ...] = ()
    resets: tuple[int, ...] = ()
    tasks: tuple[int, ...] = ()
    half: bool = False
    estimated: bool = False
    age: int = 0
    n_obs: int = 1

    def latency(self, n: int) -> Latency:
        """Of the `n`-th inference."""
        done = self.arrivals[n % len(self.arrivals)]
        return Latency(min(self.bind, max(done - 1, 0)), done)

    @property
    def cycle(self) -> int:
        """The most ticks between two requests, if nothing happens."""
        slowest = max(self.arrivals)
        return self.s + slowest if self.strategy == "sync" else max(self.s, slowest, 1)

    @property
    def ticks(self) -> int:
        """How many are run: two switches, and one more after the last thing that happens and what was in flight."""
        happens = max((*self.skipped, *self.resets, *self.tasks, -1)) + 1
        return max(self.arrivals) + self.cycle + max(self.cycle, happens) + 2


class Arm(LoopbackRobot):
    """A robot with one dimension of each kind, exactly where its actions put it: x is the target, p sums rate times
    period, q sums steps, g is the grip. In a tick without a setpoint, p goes on and the others stay."""

    def __init__(self, age: int = 0) -> None:
        super().__init__(SPEC)
        self.now = 0
        self.states: list[FloatArray] = [REST]  # at the head of each tick
        self.writes: list[tuple[int, FloatArray]] = []
        self._rate = 0.0
        self._age = age

    def read(self) -> Reading:
        """Of `age` ticks ago."""
        return Reading(self.measured(self.now), age=self._age)

    def measured(self, k: int) -> FloatArray:
        """(S,), what is read at the head of tick `k`; the arm was at rest before the first."""
        return self.states[max(k - self._age, 0)]

    def write(self, setpoint: FloatArray) -> None:
        """Keeps the tick with it."""
        self.writes.append((self.now, setpoint))

    def push(self) -> None:
        """A person moves x by hand."""
        self.states[-1] = frozen(self.states[-1] + PUSH)

    def advance(self) -> None:
        """One period passes."""
        g, q, p, x = self.states[-1].tolist()
        if self.writes and self.writes[-1][0] == self.now:
            x, self._rate, step, g = self.writes[-1][1].tolist()
            q += step
        self.states.append(frozen([g, q, p + self._rate * PERIOD_S, x]))
        self.now += 1


@dataclass(frozen=True, slots=True, eq=False)
class Thought:
    """What a planner did. seen: the tick of the snapshot that was newest; window: the observations bound."""

    seen: int
    window: tuple[Observation, ...]
    result: Result


class Thinker:
    """A scripted planner that gives `rows(n, H)`, plus noise from the request's generator where asked for."""

    def __init__(self, horizon: int, *, noisy: bool = False) -> None:
        self.thoughts: list[Thought] = []
        self._horizon = horizon
        self._noisy = noisy
        self._script = ScriptedPlanner(self._plan, ROLLER)

    def infer(self, request: Request, look: Callable[[], Snapshot], timer: Any = None) -> Result:
        """Remembers what it was given."""
        result = self._script.infer(request, look)
        window = bind(request, look(), ROLLER) if len(request.observations) > 1 else ()
        self.thoughts.append(Thought(look().tick, window, result))
        return result

    def _plan(self, seen: Observation, rng: np.random.Generator) -> FloatArray:
        planned = rows(len(self.thoughts), self._horizon)
        return planned + rng.standard_normal(planned.shape) if self._noisy else planned


class HalfTicks(Lockstep):
    """A driver whose results arrive after the snapshot and before the action, as they may on a real clock."""

    def tick(self, k: int) -> None:
        """One tick of robot, worker and world."""
        if k in self._skipped:
            self._executor.skip(k)
        else:
            self._executor.observe(k)
            self._think(k)
            self._deliver(k)
            self._executor.act(k)
        self._advance()


@dataclass(frozen=True, slots=True)
class Scripted:
    """The latency model of a schedule."""

    schedule: Schedule

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """Of the `n`-th inference."""
        return self.schedule.latency(n)


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """What happened. heads: the snapshot of each tick, None if it was skipped."""

    arm: Arm
    trace: Trace
    thinker: Thinker
    heads: list[Snapshot | None] = field(default_factory=list)


def run(
    schedule: Schedule,
    *,
    arm: Arm | None = None,
    latency: LatencyModel | None = None,
    seed: int = 0,
    noisy: bool = False,
) -> Run:
    """Plays `schedule` in lockstep, on another arm or with other arrivals if given."""
    arm = arm or Arm(schedule.age)
    thinker = Thinker(schedule.horizon, noisy=noisy)
    executor = make_executor(schedule, arm, seed)
    lockstep = (HalfTicks if schedule.half else Lockstep)(
        executor,
        Inference(thinker, SpeedUp(SPEC, 1), horizon=schedule.horizon, action_dim=len(SPEC.action)),
        latency or Scripted(schedule),
        arm.advance,
        seed=seed,
        skipped=frozenset(schedule.skipped),
    )
    played = Run(arm, executor.trace, thinker)
    for k in range(schedule.ticks):
        if k in schedule.resets:
            executor.reset()
            arm.push()
        if k in schedule.tasks:
            executor.set_task(f"task of {k}")
        lockstep.tick(k)
        played.heads.append(None if k in schedule.skipped else executor.outbox.peek())
    return played


def make_executor(schedule: Schedule, arm: Arm, seed: int = 0) -> Executor:
    """The executor that runs `schedule`."""
    return Executor(
        arm,
        _strategy(schedule),
        DelayEstimator(fixed=None if schedule.estimated else schedule.d),
        Trace(SPEC, schedule.ticks),
        horizon=schedule.horizon,
        n_obs=schedule.n_obs,
        seed=seed,
        guard=GuardConfig(enabled=False),  # it has walks of its own
    )


def _strategy(schedule: Schedule) -> Strategy:
    overlap = schedule.trigger if isinstance(schedule.trigger, int) else 0
    trigger = schedule.trigger if isinstance(schedule.trigger, str) else "overlap"
    config = StrategyConfig(
        schedule.strategy, s=schedule.s, d=schedule.d, trigger=trigger, overlap=overlap, ensemble=EnsembleConfig(DECAY)
    )
    return make_strategy(config, SPEC, schedule.horizon, schedule.d)


# --- The domain: families of schedules, each whole -------------------------------------------------------------------


def feasible(strategy: str, horizon: int) -> Iterator[tuple[int, int]]:
    """Every (s, d) that DESIGN §5 allows and that one open request at a time keeps up with."""
    for s, d in product(range(1, horizon + 1), range(horizon + 1)):
        from_observation = d + max(s, d) <= horizon
        needs = {"sync": True, "naive": from_observation, "ensemble": from_observation, "rtc": d <= s <= horizon - d}
        if needs.get(strategy, d <= s):
            yield s, d


def constant(strategy: str, horizon: int) -> Iterator[Schedule]:
    """Every inference takes the same, from none to two ticks more than a chunk lasts."""
    for (s, d), arrival in product(feasible(strategy, horizon), range(horizon + 3)):
        yield Schedule(strategy, horizon, s, d, (arrival,))


def long_chunks(strategy: str, horizon: int) -> Iterator[Schedule]:
    """The same, but where d places no row (all but vlash) only with the d that is met, or else the greatest."""
    allowed = list(feasible(strategy, horizon))
    for schedule in constant(strategy, horizon):
        met, most = schedule.arrivals[0], max(d for s, d in allowed if s == schedule.s)
        if strategy == "vlash" or schedule.d == (met if (schedule.s, met) in allowed else most):
            yield schedule


def alternating(strategy: str, horizon: int) -> Iterator[Schedule]:
    """Two different arrivals in turn."""
    for (s, d), pair in product(feasible(strategy, horizon), permutations(range(horizon + 3), 2)):
        yield Schedule(strategy, horizon, s, d, pair)


def estimated(strategy: str, horizon: int) -> Iterator[Schedule]:
    """Two arrivals in turn, and a planned delay that follows them: it differs from request to request."""
    for s, pair in product(range(1, horizon + 1), permutations(range(horizon + 3), 2)):
        yield Schedule(strategy, horizon, s, 0, pair, estimated=True)


def late_binding(strategy: str, horizon: int) -> Iterator[Schedule]:
    """Every tick at which the state can be bound, and states measured up to two ticks ago, and no more than H."""
    for schedule in constant(strategy, horizon):
        for k, age in product(range(max(schedule.arrivals[0], 1)), range(min(horizon, 2) + 1)):
            yield replace(schedule, bind=k, age=age)


def windows(strategy: str, horizon: int) -> Iterator[Schedule]:
    """The same, with two or three observations in a request."""
    for schedule, n_obs in product(late_binding(strategy, horizon), (2, 3)):
        yield replace(schedule, n_obs=n_obs)


def half_ticks(strategy: str, horizon: int) -> Iterator[Schedule]:
    """Results that arrive between snapshot and action."""
    for schedule in constant(strategy, horizon):
        yield replace(schedule, half=True, bind=schedule.arrivals[0])


def other_triggers(strategy: str, horizon: int) -> Iterator[Schedule]:
    """As soon as possible, and every overlap; the execution horizon is then what comes of it."""
    for schedule, trigger in product(constant(strategy, horizon), ("asap", *range(horizon + 1))):
        if schedule.s == max(schedule.d, 1):
            yield replace(schedule, trigger=trigger)


def skips(strategy: str, horizon: int) -> Iterator[Schedule]:
    """One or two ticks skipped, at every tick."""
    for schedule in constant(strategy, horizon):
        for k, span in product(_early(schedule), (1, 2)):
            yield replace(schedule, skipped=tuple(range(k, k + span)))


def late_bound_skips(strategy: str, horizon: int) -> Iterator[Schedule]:
    """A tick skipped at every tick, with states bound late, or old ones."""
    for schedule in late_binding(strategy, horizon):
        for k in _early(schedule):
            yield replace(schedule, skipped=(k,))


def resets(strategy: str, horizon: int) -> Iterator[Schedule]:
    """A hard reset at every tick, with the arm moved by hand."""
    for schedule in constant(strategy, horizon):
        for k in _early(schedule):
            yield replace(schedule, resets=(k,))


def window_resets(strategy: str, horizon: int) -> Iterator[Schedule]:
    """A hard reset at every tick, with two observations in a request, of states bound as late as can be."""
    for schedule in resets(strategy, horizon):
        yield replace(schedule, n_obs=2, bind=schedule.arrivals[0])


def tasks(strategy: str, horizon: int) -> Iterator[Schedule]:
    """Another task at every tick."""
    for schedule in constant(strategy, horizon):
        for k in _early(schedule):
            yield replace(schedule, tasks=(k,))


def pairs(strategy: str, horizon: int) -> Iterator[Schedule]:
    """Two things that happen, of every two kinds, at every two ticks."""
    kinds = ("skipped", "resets", "tasks")
    for schedule in constant(strategy, horizon):
        for first, second, j, k in product(kinds, kinds, _early(schedule), _early(schedule)):
            if first < second or (first == second and j < k):
                at = {kind: tuple(tick for one, tick in ((first, j), (second, k)) if one == kind) for kind in kinds}
                yield replace(schedule, skipped=at["skipped"], resets=at["resets"], tasks=at["tasks"])


def _early(schedule: Schedule) -> range:
    """The ticks of the start, the first switch and the cycle after it."""
    return range(max(schedule.arrivals) + schedule.cycle + 1)
