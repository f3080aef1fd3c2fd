"""From configuration to objects: strategies and latency models by name, checked before anything moves."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.config.extensions import check_made, load
from rollahead.runtime.config.feasibility import TECHNIQUES, check_schedule, check_techniques
from rollahead.runtime.config.techniques import BidConfig, CorrectorConfig, EnsembleConfig, GuidanceConfig
from rollahead.runtime.control.corrector import Corrector, HeadCard, HeadCorrector, read_head
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.executor import Executor
from rollahead.runtime.control.servo import Servo
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.strategy import Chunked, Ensemble, Naive, Strategy, Sync, Vlash, moving_weights
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.control.trigger import AsSoonAsPossible, Every, Overlap, Trigger
from rollahead.runtime.planning.latency import (
    NONE,
    Distribution,
    Fixed,
    LatencyModel,
    Lognormal,
    Spikes,
    Uniform,
    round_up,
    with_median,
)
from rollahead.runtime.planning.timed_latency import Scheduled, recorded_at_rate
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.safety.rest_pose import RestPose
from rollahead.runtime.transport.mailbox import Channel
from rollahead.runtime.types.messages import Failure, ImageLatent, Result, Snapshot
from rollahead.runtime.types.options import call, check_kind
from rollahead.runtime.types.robot import Robot
from rollahead.runtime.types.spec import Kind, RobotSpec, mask

GROUP = "rollahead.strategies"
LATENCY_GROUP = "rollahead.latencies"
WARM_UP = 50  # inferences that an estimator has seen before the first planned one
LONG_S = 1.0  # a planned delay from which on it may have been meant in milliseconds


@dataclass(frozen=True, slots=True)
class StrategyConfig:
    """Name and options of a strategy.

    s: execution horizon, in ticks; d: the delay to plan for, None to estimate it, as the `quantile` of the latencies
    seen; q: policy rows per action (speed-up); trigger: `every` s ticks, `asap`, or `overlap` ticks before the end;
    late: a late plan goes on with the row of the `tick`; one of `vlash` may go on with the row that what was sent
    instead has `moved` the robot to, and one of `tt_rtc` may be `discarded`; guidance: used by `rtc`, and by `vlash` if
    enabled; bid: used by `bid`; ensemble: used by `ensemble`; corrector: used by every strategy if it has a path;
    options: those of another package's strategy alone.
    """

    name: str
    s: int = 8
    d: int | None = None
    q: int = 1
    trigger: str = "every"
    overlap: int = 0
    quantile: float = 0.5
    late: str = "tick"
    guidance: GuidanceConfig = GuidanceConfig()  # noqa: RUF009
    bid: BidConfig = BidConfig()  # noqa: RUF009
    corrector: CorrectorConfig = CorrectorConfig()  # noqa: RUF009
    ensemble: EnsembleConfig = EnsembleConfig()  # noqa: RUF009
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def steers(self) -> bool:
        """Whether it needs a policy that denoises, to make its chunks agree."""
        return self.guidance.enabled or self.name in STEERED


@dataclass(frozen=True, slots=True)
class Drive:
    """How a robot is driven, in plain values, so that it can be sent to another process.

    horizon: H, policy rows per chunk; n_obs: observations per request; substeps: setpoints per tick, along `shape`;
    cameras: names of the cameras that the planner needs, whose images must not be too old, None for all; rest_pose:
    position targets by name to which the robot is moved at the end of a run, before it is disconnected.
    """

    strategy: StrategyConfig
    horizon: int
    n_obs: int = 1
    seed: int = 0
    task: str = ""
    guard: GuardConfig = field(default_factory=GuardConfig)
    substeps: int = 1
    shape: str = "linear"
    cameras: tuple[str, ...] | None = None
    rest_pose: Mapping[str, float] = field(default_factory=dict)


VLASH = StrategyConfig("vlash")
STEERED = ("rtc", "tt_rtc", "bid")

STRATEGIES: Mapping[str, Callable[[StrategyConfig, Trigger, RobotSpec], Strategy]] = {
    "sync": lambda config, trigger, spec: Sync(config.s),
    "naive": lambda config, trigger, spec: Naive(trigger),
    "naive_arrival": lambda config, trigger, spec: Naive(trigger, arrival=True),
    "ensemble": lambda config, trigger, spec: Ensemble(
        trigger, mask(spec.action, Kind.DISCRETE, Kind.ROTATION), config.ensemble.decay
    ),
    "vlash": lambda config, trigger, spec: Vlash(
        trigger, moving=moving_weights(spec) if config.late == "moved" else None
    ),
    **dict.fromkeys(STEERED, lambda config, trigger, spec: Chunked(trigger, discards=config.late == "discarded")),
}

LATE: Mapping[str, Sequence[str]] = {"vlash": ("tick", "moved"), "tt_rtc": ("tick", "discarded")}  # by strategy

TRIGGERS: Mapping[str, Callable[[StrategyConfig], Trigger]] = {
    "every": lambda config: Every(config.s),
    "asap": lambda config: AsSoonAsPossible(),
    "overlap": lambda config: Overlap(config.overlap),
}

LATENCIES: Mapping[str, Callable[[float], Callable[..., Distribution]]] = {  # each for a control rate, in Hz
    "fixed": lambda rate_hz: Fixed,
    "lognormal": lambda rate_hz: Lognormal,
    "uniform": lambda rate_hz: Uniform,
    "spikes": lambda rate_hz: Spikes,
    "recorded": recorded_at_rate,
    "scheduled": Scheduled.at_rate,
}


def make_strategy(config: StrategyConfig, spec: RobotSpec, horizon: int, delay: int) -> Strategy:
    """The strategy of `config` for chunks of `horizon` H policy rows and a planned delay of `delay` ticks.

    It is one of ours, or one that another package registers in the group `rollahead.strategies`: a function that takes
    `config`, the `trigger`, the `spec` of the robot and its own options, and gives a `Strategy`.

    Raises: ConfigError, if there is no such strategy or trigger, it takes no such option, or the numbers do not go
    together.
    """
    make = load(GROUP, "strategy", config.name, "add what its package needs", STRATEGIES)
    if config.trigger not in TRIGGERS:
        raise unknown_name("trigger", config.trigger, TRIGGERS)
    if config.late not in (ways := LATE.get(config.name, ("tick",))):
        raise unknown_name(f"way with a late plan of {config.name}", config.late, ways)
    techniques = {TECHNIQUES[config.name]} if config.name in TECHNIQUES else set()
    techniques |= {"speed-up"} if config.q > 1 else set()
    techniques |= {"guidance"} if config.guidance.enabled else set()
    check_techniques(techniques | ({"correction"} if config.corrector.path is not None else set()))
    rows, s = _schedule(config, SpeedUp(spec, config.q).horizon(horizon), delay)
    try:
        check_schedule(config.name, rows, s, delay)
    except ConfigError as error:
        if delay < rows or delay * spec.period_s < LONG_S:
            raise
        raise ConfigError(f"{error}; {_in_ticks(delay, spec)}") from error
    trigger = TRIGGERS[config.trigger](config)
    made: Strategy = call(make, config.options, "strategy.options", config=config, trigger=trigger, spec=spec)
    check_made(
        "strategy", config.name, made, ("trigger", "blend", "plan", "schedule"), "a Strategy (docs/extending.md)"
    )
    return made


def _in_ticks(delay: int, spec: RobotSpec) -> str:
    """Returns the advice for a delay that no chunk reaches, as it may be meant in milliseconds."""
    ticks = round_up(delay * spec.rate_hz / 1000)
    return f"give latencies in ticks of {1000 * spec.period_s:.3g} ms, {ticks} where {delay} is meant in ms"


def _schedule(config: StrategyConfig, horizon: int, delay: int) -> tuple[int, int]:
    """H in ticks, and the execution horizon that the trigger comes to."""
    if horizon < 1:
        raise ConfigError(f"q = {config.q} leaves no whole action of a chunk; give at most as many as it has rows")
    asap = config.trigger == "asap" and config.name != "sync"
    return horizon, max(delay, 1) if asap else config.s


def make_executor(
    drive: Drive,
    robot: Robot,
    delay: DelayEstimator,
    trace: Trace,
    inbox: Channel[Result | Failure] | None = None,
    outbox: Channel[Snapshot] | None = None,
    image_latents: Channel[ImageLatent | Failure] | None = None,
) -> Executor:
    """The executor of `drive` for `robot`. image_latents: if there is an eye, where what images come to is put. Raises:
    ConfigError, if the numbers do not go together."""
    config = drive.strategy
    return Executor(
        robot,
        make_strategy(config, robot.spec, drive.horizon, delay.delay),
        delay,
        trace,
        horizon=SpeedUp(robot.spec, config.q).horizon(drive.horizon),
        n_obs=drive.n_obs,
        seed=drive.seed,
        task=drive.task,
        guard=drive.guard,
        servo=Servo(robot.spec, drive.substeps, drive.shape),
        corrector=make_corrector(config, robot.spec, drive.horizon, image_latents),
        inbox=inbox,
        outbox=outbox,
        image_latents=image_latents,
        cameras=drive.cameras,
        rest_pose=RestPose(robot.spec, drive.rest_pose) if drive.rest_pose else None,
    )


def make_corrector(
    config: StrategyConfig, spec: RobotSpec, horizon: int, image_latents: Channel[ImageLatent | Failure] | None = None
) -> Corrector | None:
    """What amends each row, if anything does. image_latents: as of `HeadCorrector`. Raises: ConfigError, if its file is
    none, or of another robot, or it sees images and has no eye."""
    if config.corrector.path is None:
        return None
    return HeadCorrector(read_head(config.corrector.path), spec, horizon, config.corrector.max_residual, image_latents)


def seeing_head(config: StrategyConfig) -> HeadCard | None:
    """The card of the head that amends each row, if it sees images. Raises: ConfigError, if its file is none."""
    card = None if config.corrector.path is None else read_head(config.corrector.path).card
    return card if card is not None and card.cameras else None


def features_taken(config: StrategyConfig) -> int:
    """Z, the policy features that the head takes that amends each row; 0 for none. Raises: as `seeing_head`."""
    return 0 if config.corrector.path is None else read_head(config.corrector.path).card.policy_features


def estimator(config: StrategyConfig) -> DelayEstimator:
    """Of the delay to plan for: as configured, or from the costs that it is given."""
    return DelayEstimator(fixed=config.d, quantile=config.quantile)


def make_delay(config: StrategyConfig, latency: LatencyModel, seed: int) -> DelayEstimator:
    """The delay to plan for: as configured, or estimated, warmed up on the latencies of `WARM_UP` other inferences
    (with a recording, of the stretch before the one that `seed` picks)."""
    delay = estimator(config)
    for n in range(WARM_UP if config.d is None else 0):
        delay.add(latency.sample(seed, -1 - n).done)
    return delay


def make_latency(name: str, rate_hz: float, median: float | None = None, **options: object) -> LatencyModel:
    """Returns the latency model `name`, made with `options`. median: in ticks; if given, it is stretched to have it.

    It is one of ours, or one that another package registers in the group `rollahead.latencies`: a function that takes
    `rate_hz` and its own options, and gives a `LatencyModel`.

    Raises: ConfigError, if there is no such model, or it takes no such option, or cannot have such a median.
    """
    check_kind("latency.name", name, str)
    if name == NONE:
        raise ConfigError(
            f"latency={NONE} is what the planner takes by itself, and is for rollahead run alone; give another, as in "
            "latency=fixed"
        )
    make = load(LATENCY_GROUP, "latency model", name, "add what its package needs", LATENCIES)
    if name in LATENCIES:
        model: Distribution = call(make(rate_hz), options, "latency")
    else:
        model = call(make, options, "latency", rate_hz=rate_hz)
    check_made("latency model", name, model, ("sample",), "a LatencyModel (docs/extending.md)")
    if median is None:
        return model
    check_kind("latency.median", median, float | None)
    check_made("latency model", name, model, ("median", "scaled"), "one that can be stretched, or leave latency.median")
    return with_median(model, median)
