"""Random episodes of the executor in simulated time, and a player that logs what is done to the robot.

An episode is described by plain values: the robot, how its axes follow, the planned rows, when results arrive, and
commands and faults. `episode` draws one with a function `choose`, from hypothesis or from a seeded generator. The
player drives an executor from `rollahead.runtime.config.build.make_executor`, as the loop in real time does."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

import numpy as np

from benchmarks.limits import Broken, Checker, Event
from rollahead.runtime.config.build import Drive, StrategyConfig, make_executor
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Latency
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.rolling.roll import for_spec
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

T = TypeVar("T")
HORIZON = 8
NEVER = 10_000  # latency in ticks of a result that never arrives
REST_TICKS = 600  # time limit for coming to rest, enough for every robot here
NONE = math.inf  # no limit
LAG = 0.3  # share of the distance to its target that a lagging axis moves per setpoint
SAG = 0.15  # how far below its target a loaded axis stands
WRONG, OFF = 10.0, 1.0  # factor and offset of a wrong reading
PUSHED = 0.8  # how far a person pushes the robot
SETTINGS = (  # strategy, s, d
    ("vlash", 4, 2),
    ("sync", 4, 0),
    ("naive", 2, 2),
    ("naive_arrival", 4, 2),
    ("ensemble", 2, 2),
)


@dataclass(frozen=True, slots=True)
class Wave:
    """The planned values of an axis: `size` times a periodic shape of the tick. period: in ticks; differ: amplitude of
    an offset that differs from inference to inference."""

    shape: str
    size: float
    period: int = 12
    differ: float = 0.0

    def rows(self, ticks: FloatArray, n: int, rng: np.random.Generator) -> FloatArray:
        """(H,) for `ticks` (H,), from the `n`-th inference."""
        turn = ticks / self.period
        shapes: Mapping[str, Callable[[], FloatArray]] = {
            "still": lambda: np.ones(len(ticks)),
            "sine": lambda: np.sin(2 * np.pi * turn),
            "steady": lambda: 4 * np.abs(turn - np.floor(turn + 0.5)) - 1,  # there and back at one speed
            "jumps": lambda: np.where(turn % 1 < 0.5, 1.0, -1.0),
            "noise": lambda: rng.uniform(-1.0, 1.0, len(ticks)),
        }
        return self.size * shapes[self.shape]() + self.differ * ((n * 5) % 7 - 3) / 3


@dataclass(frozen=True, slots=True)
class Joint:
    """An action dimension and the axis that it drives. start: first position of the axis; follows: `exact`, `lag`, or
    `sag` (lag, under a load); edge: the range of the axis is -edge to edge."""

    dim: Dim
    wave: Wave
    start: float = 0.0
    follows: str = "exact"
    edge: float = NONE

    @property
    def state(self) -> Dim:
        """The state dimension that it drives."""
        return Dim(str(self.dim.drives), low=-self.edge, high=self.edge)

    @property
    def edged(self) -> bool:
        """Whether it is a velocity or a step that has to stay within the range of its state."""
        return self.dim.kind in (Kind.VELOCITY, Kind.DELTA) and math.isfinite(self.edge)


@dataclass(frozen=True, slots=True)
class Episode:
    """An episode, as plain values. setting: strategy, s, d; ages: ages of the readings in ticks, cycled; arrivals:
    latencies of the inferences in ticks, cycled; commands: (tick, order or `push`), at the head of the tick; glitches:
    (tick, `big`, `nan` or `raise`), faults of the reading of that tick; skipped: ticks that are not sent."""

    joints: tuple[Joint, ...]
    ticks: int = 30
    rate_hz: float = 10.0
    substeps: int = 1
    shape: str = "linear"
    setting: tuple[str, int, int] = SETTINGS[0]
    n_obs: int = 1
    ramp_s: float = 0.0
    ages: tuple[int, ...] = (0,)
    arrivals: tuple[int, ...] = (2,)
    commands: tuple[tuple[int, str], ...] = ()
    glitches: tuple[tuple[int, str], ...] = ()
    skipped: tuple[int, ...] = ()

    @property
    def spec(self) -> RobotSpec:
        """The spec of the robot."""
        action = tuple(joint.dim for joint in self.joints)
        return RobotSpec(action, tuple(joint.state for joint in self.joints), self.rate_hz)

    @property
    def drive(self) -> Drive:
        """The configuration of the executor."""
        name, s, d = self.setting
        return Drive(
            StrategyConfig(name, s=s, d=d),
            HORIZON,
            n_obs=self.n_obs,
            guard=GuardConfig(ramp_s=self.ramp_s),
            substeps=self.substeps,
            shape=self.shape,
        )

    @property
    def exact(self) -> tuple[str, ...]:
        """Names of the action dimensions that must stay within the range of the state that they drive."""
        return tuple(joint.dim.name for joint in self.joints if joint.edged)

    def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
        """The latency of the `n`-th inference; makes the episode a latency model."""
        return Latency(0, self.arrivals[n % len(self.arrivals)])


class Rig:
    """A simulated robot that reports each call to `log`. Each setpoint moves the axes by one setpoint period. clock:
    gives the time of an event in s; NaN in simulated time."""

    def __init__(self, episode: Episode, log: Callable[[Event], None], clock: Callable[[], float] = lambda: math.nan):
        self.spec = episode.spec
        self.now = 0  # tick
        self._episode, self._log, self._clock = episode, log, clock
        self._glitches = dict(episode.glitches)
        joints = episode.joints
        self._at = np.array([joint.start for joint in joints])
        self._target = self._at.copy()
        self._velocity = np.array([joint.dim.kind is Kind.VELOCITY for joint in joints])
        self._delta = np.array([joint.dim.kind is Kind.DELTA for joint in joints])
        self._moving = self._velocity | self._delta
        self._target[self._moving] = 0.0
        self._gain = np.array([1.0 if joint.follows == "exact" else LAG for joint in joints])
        self._sag = np.array([SAG if joint.follows == "sag" else 0.0 for joint in joints])
        self._fallible = np.array([not joint.edged for joint in joints])
        self._dt = self.spec.period_s / episode.substeps
        self._went = 0
        self._states = [self._at.copy()]
        self._driven = False

    def connect(self) -> None:
        """Nothing to do."""

    def disconnect(self) -> None:
        """Nothing to do."""

    def frames(self) -> Mapping[str, Frame]:
        """It has no cameras."""
        return {}

    def read(self) -> Reading:
        """Reads the state of some ticks ago, or a faulty one, as the episode says."""
        ages = self._episode.ages
        age = ages[self.now % len(ages)]
        state = self._states[max(len(self._states) - 1 - age, 0)].copy()
        how = self._glitches.get(self.now, "") if self._driven else ""
        if how == "raise":
            self._log(Event("read", at_s=self._clock()))
            raise OSError("a packet was lost")
        if how == "nan":
            state[0] = np.nan
        if how == "big":
            state[self._fallible] = WRONG * state[self._fallible] + OFF
        self._log(Event("read", tuple(state.tolist()), age, at_s=self._clock()))
        return Reading(frozen(state), age=age)

    def write(self, setpoint: FloatArray) -> None:
        """Takes a setpoint and moves the axes by one setpoint period."""
        self._log(Event("write", tuple(setpoint.tolist()), at_s=self._clock()))
        self._target = setpoint.copy()
        self._move()
        self._went += 1

    def stop(self) -> None:
        """Stops all axes where they are."""
        self._log(Event("stop", at_s=self._clock()))
        self._target = np.where(self._moving, 0.0, self._at + self._sag)

    def head(self) -> None:
        """Notes that a tick begins; from the first one on readings may be faulty."""
        self._driven = True

    def push(self) -> None:
        """Moves all axes driven by positions or switches, as a person might."""
        self._at = self._at + np.where(self._moving, 0.0, PUSHED)
        self._states[-1] = self._at.copy()

    def advance(self) -> None:
        """Moves the axes for the rest of the control period."""
        self._target[self._delta] = 0.0
        for _ in range(self._went, self._episode.substeps):
            self._move()
        self._went = 0
        self._states.append(self._at.copy())
        self.now += 1

    def _move(self) -> None:
        target = self._target
        step = np.where(self._velocity, target * self._dt, self._gain * (target - self._sag - self._at))
        self._at = self._at + np.where(self._delta, target, step)


@dataclass(slots=True)
class Player:
    """Plays an episode in simulated time and logs it."""

    episode: Episode
    log: list[Event] = field(default_factory=list)
    inferences: int = 0

    def play(self) -> list[Broken]:
        """Plays the episode and returns the rules that the independent checker found broken."""
        episode, rig = self.episode, Rig(self.episode, self.log.append)
        executor = self._executor(rig)
        lockstep = self._lockstep(executor, rig)
        executor.warm()
        for k in range(episode.ticks):
            self._orders(k, executor, rig)
            self._tick(k, lockstep, rig)
        self._come_to_rest(executor, lockstep, rig)
        checker = Checker(episode.spec, episode.substeps, exact=episode.exact)
        return checker.check(self.log)

    def _executor(self, rig: Rig) -> Executor:
        episode = self.episode
        trace = Trace(rig.spec, episode.ticks)
        return make_executor(episode.drive, rig, DelayEstimator(fixed=episode.setting[2]), trace)

    def _lockstep(self, executor: Executor, rig: Rig) -> Lockstep:
        planner = ScriptedPlanner(self.plan, for_spec(rig.spec))
        inference = Inference(planner, SpeedUp(rig.spec, 1), horizon=HORIZON, action_dim=len(rig.spec.action))
        return Lockstep(executor, inference, self.episode, rig.advance, skipped=frozenset(self.episode.skipped))

    def plan(self, seen: Observation, rng: np.random.Generator) -> FloatArray:
        """(H, A), the planned rows for the ticks from that of `seen` on; a planning function of `ScriptedPlanner`."""
        self.inferences += 1
        ticks = seen.tick + np.arange(float(HORIZON))
        return np.stack([joint.wave.rows(ticks, self.inferences, rng) for joint in self.episode.joints], axis=1)

    def _tick(self, k: int, lockstep: Lockstep, rig: Rig) -> None:
        rig.head()
        self.log.append(Event("skip" if k in self.episode.skipped else "head"))
        lockstep.tick(k)

    def _order(self, order: str) -> None:
        self.log.append(Event("order", order=order))

    def _orders(self, k: int, executor: Executor, rig: Rig) -> None:
        for _, what in (order for order in self.episode.commands if order[0] == k):
            if what == "push":
                rig.push()
                continue
            self._order(what)
            if what == "task":
                executor.set_task(f"task of {k}")
            else:
                getattr(executor, what)()

    def _come_to_rest(self, executor: Executor, lockstep: Lockstep, rig: Rig) -> None:
        self._order("end")
        executor.pause()
        k = self.episode.ticks
        while not executor.at_rest and k < self.episode.ticks + REST_TICKS:
            self._tick(k, lockstep, rig)
            k += 1
        rig.stop()


def play(episode: Episode) -> list[Broken]:
    """Plays `episode` and returns every rule that it breaks."""
    return Player(episode).play()


# --- Random episodes -------------------------------------------------------------------------------------------------


class Choose(Protocol):
    """Picks one of the options; the first is the simplest, to which hypothesis shrinks."""

    def __call__(self, options: Sequence[T]) -> T: ...


def episode(choose: Choose) -> Episode:
    """Draws a random episode with `choose`."""
    ticks = 30
    joints = tuple(joint(f"j{n}", choose) for n in range(choose((1, 2, 3, 4))))
    calm = any(one.edged for one in joints)  # a velocity goes on in a skipped tick, which nobody can foresee at an edge
    return Episode(
        joints,
        ticks,
        rate_hz=choose((10.0, 50.0)),
        substeps=choose((1, 2, 3, 5)),
        shape=choose(("linear", "cubic")),
        setting=choose(SETTINGS),
        n_obs=choose((1, 2)),
        ramp_s=choose((0.0, 0.0, 0.2, 1.0)),
        ages=choose(((0,), (1,), (2,), (4,), (0, 1, 2, 3, 4), (0, 0, 0, 9))),
        arrivals=choose(((2,), (0,), (1, 4), (2, 11), (2, 20, 1), (1, NEVER))),
        commands=_orders(ticks, choose),
        glitches=_at_ticks(ticks, ("big", "nan", "raise"), choose),
        skipped=() if calm else tuple(sorted(k for k, _ in _at_ticks(ticks, ("skip",), choose))),
    )


def joint(name: str, choose: Choose) -> Joint:
    """Draws a random axis with `choose`."""
    return choose((_target, _velocity, _step, _switch))(name, choose)


def _wave(choose: Choose, unit: float) -> Wave:
    return Wave(
        choose(("still", "sine", "steady", "jumps", "noise")),
        unit * choose((1.0, 0.5, 1.9, 5.0)),
        choose((12, 40, 7)),
        unit * choose((0.0, 0.0, 0.3)),
    )


def _target(name: str, choose: Choose) -> Joint:
    reach, jump = choose((2.0, NONE)), choose((NONE, NONE, NONE, 0.5))
    dim = Dim(
        name,
        low=-reach,
        high=reach,
        rate_limit=choose((NONE, 3.0, 1.0, 10.0)),
        accel_limit=choose((NONE, 20.0, 5.0, 100.0)),
        jump_limit=jump,
        drives=f"at_{name}",
    )
    starts = (0.0, 0.5, -1.5) if jump < NONE else (0.0, 0.5, -1.5, 2.5)
    return Joint(dim, _wave(choose, 1.0), choose(starts), choose(("exact", "lag", "sag")), choose((NONE, NONE, 1.6)))


def _velocity(name: str, choose: Choose) -> Joint:
    return _free(Dim(name, kind=Kind.VELOCITY, low=-2.0, high=2.0), (10.0, 3.0), (200.0, 30.0), 1.0, choose)


def _step(name: str, choose: Choose) -> Joint:
    return _free(Dim(name, kind=Kind.DELTA, low=-0.2, high=0.2), (2.0, 0.5), (20.0, 5.0), 0.1, choose)


def _free(dim: Dim, rates: Sequence[float], accels: Sequence[float], unit: float, choose: Choose) -> Joint:
    """A velocity or a step: its state may have an edge, and drifts from where it started."""
    edge = choose((NONE, 1.0))
    limited = replace(
        dim, rate_limit=choose((NONE, *rates)), accel_limit=choose((NONE, *accels)), drives=f"at_{dim.name}"
    )
    return Joint(limited, _wave(choose, unit), choose((0.0, 0.8)), edge=edge)


def _switch(name: str, choose: Choose) -> Joint:
    dim = Dim(
        name,
        kind=Kind.DISCRETE,
        low=0.0,
        high=1.0,
        rate_limit=choose((NONE, 3.0)),
        accel_limit=choose((NONE, 50.0)),
        threshold=choose((None, 0.5)),
        drives=f"at_{name}",
    )
    return Joint(dim, _wave(choose, 1.0), choose((0.0, 1.0)))


def _at_ticks(ticks: int, what: Sequence[str], choose: Choose) -> tuple[tuple[int, str], ...]:
    times = range(1, ticks)
    return tuple((choose(times), choose(what)) for _ in range(choose((0, 0, 1, 2))))


HAPPENINGS: Mapping[str, tuple[str, str]] = {  # an order, and a second one some ticks later; "" for none
    "a pause": ("pause", "resume"),
    "a reset": ("reset", ""),
    "an e-stop": ("estop", "reset"),
    "a push": ("push", "reset"),
    "a push in an e-stop": ("estop", "push"),
    "a task": ("task", ""),
}


def _orders(ticks: int, choose: Choose) -> tuple[tuple[int, str], ...]:
    found: list[tuple[int, str]] = []
    for _ in range(choose((0, 1, 2, 3, 5))):
        k, later = choose(range(1, ticks)), choose((1, 2, 3, 8, 0))
        first, second = HAPPENINGS[choose(tuple(HAPPENINGS))]
        found += [(k, first), *([(k + later, second)] if second else [])]
        found += [(k + later, "reset")] if second == "push" else []
    return tuple(sorted(found, key=lambda order: order[0]))  # stable: what was said first comes first
