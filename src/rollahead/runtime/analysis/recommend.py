"""Recommendation: which strategy, execution horizon s and planned delay d suit a latency, from the schedule alone.

**What to plan for.** With `vlash` a chunk that was planned d ticks ahead and takes L is used from max(d, L) on. So a
reaction grows by E[max(d, L)], and a chunk that is late by (L - d)+ ticks starts in a state that it was not made for:
the robot has gone on with the old plan for as long. Let a tick of that be as bad as w ticks of reaction. With max(d, L)
= d + (L - d)+

    J(d) = E[max(d, L)] + w E[(L - d)+] = d + (1 + w) E[(L - d)+],    J'(d) = 1 - (1 + w) P(L > d)

is least where P(L > d) = 1 / (1 + w): at the quantile w / (1 + w) of the latencies. Plan for the body of the
distribution and survive the tail: a p95 would be right for w = 19 only, and `MISS` was measured on whack-a-mole
(docs/calibrate.md).

**The cost of the rest of the schedule** is counted by walking it (`runtime.analysis.forecast`). A larger d needs a
larger s, and the wait for the next request grows with that; a chunk that comes after the last one has ended leaves the
robot without an action. So the cost of a schedule, in ticks, is

    E[reaction] + w E[rows lost] + H u / (1 - u)

where u is the share of ticks without an action. A robot that stands still for that share takes u / (1 - u) longer for a
motion, which is taken to be as long as a chunk. Absolute targets are right however late they come: for them w is 0.

The choice is among `CHOSEN`. The other strategies are forecast as well, and not chosen: a schedule does not show what
it costs to count rows from arrival, or to average plans that disagree.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.analysis.drawn import drawn
from rollahead.runtime.analysis.forecast import Forecast, forecast
from rollahead.runtime.config.build import WARM_UP, StrategyConfig
from rollahead.runtime.config.feasibility import check_schedule
from rollahead.runtime.planning.latency import LatencyModel
from rollahead.runtime.types.spec import Kind, RobotSpec

MISS = 3.0  # w: a tick by which a chunk is late is as bad as so many ticks of reaction
MOST_UNDERRUNS = 0.01  # largest share of ticks without an action
CHOSEN = ("sync", "naive", "vlash")
LOOKED_AT = (*CHOSEN, "naive_arrival", "ensemble")
MOVES = (Kind.VELOCITY, Kind.DELTA)
SHORT = 2  # ticks: a shorter delay needs no compensation
SAMPLES = 2000  # latencies drawn to estimate their distribution
INFERENCES = 1500  # about this many inferences of a candidate are walked
WALKED = 150_000  # at most this many ticks of a candidate are walked, so that a recommendation takes seconds
LONGEST = 1000  # ticks: for a longer chunk or latency, the walk would have too few inferences
SHARES = tuple(i / 40 for i in range(40))  # quantiles of the latency that are tried as d; p50 and p95 are among them
HORIZONS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32, 40, 48, 64, 96)  # values of s that are tried


@dataclass(frozen=True, slots=True)
class Setting:
    """The robot, policy and latency that a schedule is wanted for.

    Attributes:
        spec: Spec of the robot.
        horizon: Policy rows per chunk.
        latency: Latency of inferences, in ticks.
        speed: How many times as fast as the policy's demonstrations the robot shall move; a whole number.
        seed: Seed of the latencies.
        episode: Ticks after which a latency that depends on time begins anew; None for as long as its own schedule.

    Raises ConfigError if the speed is not a whole number, or a chunk is too short or too long.
    """

    spec: RobotSpec
    horizon: int
    latency: LatencyModel
    speed: float = 1.0
    seed: int = 0
    episode: int | None = None

    def __post_init__(self) -> None:
        if not (self.speed >= 1 and float(self.speed).is_integer()):
            raise ConfigError(
                f"speed is {self.speed:g} times that of the demonstrations, and whole rows of the policy become one "
                "action; give a whole number of at least 1"
            )
        if self.ticks < 1:
            raise ConfigError(
                f"a chunk of {self.horizon} rows is too short for any schedule at speed={self.speed:g}; give a longer "
                "horizon, or a lower speed"
            )
        if self.ticks > LONGEST:
            raise ConfigError(
                f"a chunk of {self.horizon} rows lasts {self.ticks} ticks, and schedules are compared for at most "
                f"{LONGEST} ticks; give a horizon of at most {LONGEST * self.q}"
            )

    @property
    def drawn_once(self) -> "Setting":
        """Copy of this setting in which each latency is drawn only once and shared by all schedules."""
        return replace(self, latency=drawn(self.latency, self.episode))

    @property
    def q(self) -> int:
        """Policy rows per action."""
        return int(self.speed)

    @property
    def ticks(self) -> int:
        """H, the ticks that a chunk lasts."""
        return self.horizon // self.q

    @property
    def moving(self) -> bool:
        """Whether an action is a velocity or a step, so that it moves the robot on from where it is."""
        return any(dim.kind in MOVES for dim in self.spec.action)

    @property
    def only_moving(self) -> bool:
        """Whether no action is an absolute target."""
        return self.moving and all(dim.kind in (*MOVES, Kind.DISCRETE) for dim in self.spec.action)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A schedule, its forecast, and its cost in ticks."""

    strategy: StrategyConfig
    forecast: Forecast
    cost: float


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The schedule to use, and what it was compared with.

    Attributes:
        chosen: The schedule to use.
        candidates: All schedules that were compared, the best first.
        neighbours: Other schedules that a reader may consider, by a short description.
        why: Reasons, as sentences.
    """

    chosen: Candidate
    candidates: tuple[Candidate, ...]
    neighbours: Mapping[str, Candidate]
    why: tuple[str, ...]


def recommend(setting: Setting) -> Recommendation:
    """Recommends a schedule for `setting`; it plans a fixed `d`.

    Raises ConfigError if the latency is too long to compare schedules.
    """
    setting = setting.drawn_once
    ticks = sampled(setting)
    if (body := rank(ticks, 0.5)) > LONGEST:
        raise ConfigError(
            f"half of the inferences take {body} ticks or more, and schedules are compared for at most {LONGEST} "
            "ticks; give a shorter latency, or a lower control rate"
        )
    found = sorted(_candidates(setting, ticks), key=lambda one: (one.cost, one.strategy.s))
    chosen, why = _choose(setting, found, ticks)
    return Recommendation(
        chosen=chosen,
        candidates=tuple(found),
        neighbours=dict(_neighbours(setting, chosen, found, ticks)),
        why=why,
    )


def most_q(setting: Setting, chosen: Candidate, body: int) -> int:
    """Largest speed-up at which chunks are long enough for the chosen schedule.

    The schedule must be feasible and leave at most 1 % of the ticks without an action, or as many as now. body: median
    latency in ticks.
    """
    strategy, allowed = chosen.strategy, max(MOST_UNDERRUNS, chosen.forecast.underruns)
    d = expected_delay(strategy, sampled(setting))

    def too_fast(q: int) -> bool:
        faster = replace(setting, speed=float(q))
        if not feasible(strategy.name, faster.ticks, strategy.s, d):
            return True
        return candidate(faster, replace(strategy, q=q), body).forecast.underruns > allowed

    speeds = range(setting.q, setting.horizon + 1)
    return speeds[bisect_left(speeds, True, lo=1, key=too_fast) - 1]  # the shorter chunks are, the more ticks have none


def drawn_ticks(setting: Setting) -> list[int]:
    """Latencies in ticks of `SAMPLES` inferences, each begun when the last one is done."""
    found: list[int] = []
    tick = 0
    for n in range(SAMPLES):
        found.append(setting.latency.sample(setting.seed, n, tick).done)
        tick += max(found[-1], 1)
    return found


def sampled(setting: Setting) -> list[int]:
    """Latencies in ticks of `SAMPLES` inferences, the shortest first."""
    return sorted(drawn_ticks(setting))


def rank(ticks: Sequence[int], share: float) -> int:
    """Smallest of `ticks`, which are sorted, that at least a `share` of them does not exceed."""
    return ticks[max(math.ceil(share * len(ticks)), 1) - 1]


def planned(strategy: StrategyConfig) -> int:
    """Planned delay in ticks of a strategy that plans a fixed one."""
    assert strategy.d is not None
    return strategy.d


def expected_delay(strategy: StrategyConfig, ticks: Sequence[int]) -> int:
    """Planned delay in ticks; where it is estimated, the estimate from `ticks`, which are sorted."""
    return rank(ticks, strategy.quantile) if strategy.d is None else strategy.d


def candidate(setting: Setting, strategy: StrategyConfig, body: int) -> Candidate:
    """Forecasts `strategy` and its cost. body: median latency in ticks."""
    made = forecast(strategy, setting.ticks, setting.latency, ticks=walked(strategy, body), seed=setting.seed)
    return Candidate(strategy, made, cost(made, setting))


def walked(strategy: StrategyConfig, body: int, inferences: int = INFERENCES) -> int:
    """Number of ticks in which about `inferences` inferences are made, at most `WALKED`."""
    return min(inferences * max(strategy.s, body, 1), WALKED)


def cost(made: Forecast, setting: Setting) -> float:
    """Cost of a forecast in ticks; see the module's docstring."""
    u = made.underruns
    still = setting.ticks * u / (1 - u) if u < 1 else math.inf
    return made.reaction_mean + (MISS * made.lost if setting.moving else 0.0) + still


def following(strategy: StrategyConfig, setting: Setting) -> StrategyConfig | None:
    """Copy of `strategy` that estimates its delay, so that it follows latencies that drift.

    The delay is estimated as the quantile in the middle of all that give its d. Its s is as large as an estimate will
    ever be, for latencies that are drawn one by one or come as they do here. Returns None if chunks are too short for
    that.
    """
    ticks = sampled(setting)
    below, upto = bisect_left(ticks, planned(strategy)), bisect_right(ticks, planned(strategy))
    quantile = round((below + upto) / 2 / len(ticks), 2)
    unsure = 3 * math.sqrt(quantile * (1 - quantile) / WARM_UP)
    windows = np.lib.stride_tricks.sliding_window_view(drawn_ticks(setting), WARM_UP)
    estimates = (rank(sorted(window), quantile) for window in windows.tolist())
    s = max(strategy.s, rank(ticks, min(quantile + unsure, 1.0)), *estimates)
    return replace(strategy, s=s, d=None, quantile=quantile) if s <= setting.ticks else None


def _candidates(setting: Setting, ticks: Sequence[int]) -> Iterator[Candidate]:
    """Yields every strategy with every feasible s and d that is worth a look; only `vlash` plans by its d."""
    body = rank(ticks, 0.5)
    for name in LOOKED_AT:
        for d in sorted({rank(ticks, share) for share in SHARES}) if name == "vlash" else [body]:
            least = 1 if name == "sync" else max(d, 1)
            for s in sorted({least, *(s for s in HORIZONS if s > least), setting.ticks}):
                if feasible(name, setting.ticks, s, d):
                    yield candidate(setting, StrategyConfig(name, s=s, d=d, q=setting.q), body)


def _choose(
    setting: Setting, candidates: Sequence[Candidate], ticks: Sequence[int]
) -> tuple[Candidate, tuple[str, ...]]:
    """Schedule to use, and the reasons. candidates: the best first."""
    going = [one for one in candidates if one.forecast.underruns <= MOST_UNDERRUNS]
    naive, vlash = (_first(going, name) for name in ("naive", "vlash"))
    if naive is not None and not setting.moving:
        return naive, ("actions are absolute targets, so the row for a tick is right however old its plan is",)
    if naive is not None and rank(ticks, 0.5) < SHORT:
        return naive, (f"half of the inferences take less than {SHORT} ticks, which need no compensation",)
    if vlash is not None and setting.moving:
        return vlash, ("actions move the robot from where it is, so a plan is made from where it will be",)
    if vlash is not None:
        return vlash, ("a plan that counts from its observation is over before the next one comes",)
    best = next(one for one in candidates if one.strategy.name in CHOSEN)
    slow = f"chunks last {setting.ticks} ticks, and one inference of a hundred takes {rank(ticks, 0.99)} or more"
    still = f"{100 * best.forecast.underruns:.2g} % of the ticks are without an action"
    return best, (f"{still}, and no schedule has less than {100 * MOST_UNDERRUNS:g} %: {slow}",)


def _first(candidates: Sequence[Candidate], name: str) -> Candidate | None:
    return next((one for one in candidates if one.strategy.name == name), None)


def _neighbours(
    setting: Setting, chosen: Candidate, candidates: Sequence[Candidate], ticks: Sequence[int]
) -> Iterator[tuple[str, Candidate]]:
    """Yields other schedules that a reader may consider, with a short description."""
    strategy, body = chosen.strategy, rank(ticks, 0.5)
    if strategy.name == "vlash":
        for words, d in (("d at the median", body), ("d at the p95", rank(ticks, 0.95))):
            same = [one for one in candidates if one.strategy.name == "vlash" and one.strategy.d == d != strategy.d]
            yield from ((words, one) for one in same[:1])
        if ticks[0] < ticks[-1] and (estimated := following(strategy, setting)) is not None:
            yield "d estimated", candidate(setting, estimated, body)
        if chosen.forecast.late and setting.only_moving:
            yield "late plans moved", candidate(setting, replace(strategy, late="moved"), body)
    if strategy.name != "sync":
        sync = _first(candidates, "sync")
        assert sync is not None, "it can always be"
        yield "sync", sync


def feasible(name: str, horizon: int, s: int, d: int) -> bool:
    """Whether a schedule is feasible; see `check_schedule`."""
    try:
        check_schedule(name, horizon, s, d)
    except ConfigError:
        return False
    return True
