"""Strategies, executors, correctors and latency models made from a configuration, which is checked before a run."""

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
WARM_UP = 50  # latencies that an estimator is given before the first tick
LONG_S = 1.0  # planned delay from which on it may have been meant in milliseconds


@dataclass(frozen=True, slots=True)
class StrategyConfig:
    """Name and options of a strategy.

    Attributes:
        name: Name of the strategy, a key of `STRATEGIES` or one that another package registers.
        s: Execution horizon in ticks.
        d: Planned delay in ticks; None to estimate it from the latencies seen.
        q: Policy rows per action (speed-up).
        trigger: When to request a chunk: `every` s ticks, `asap`, or `overlap` ticks before the end of the last one.
        overlap: Ticks before the end of the last chunk, for the trigger `overlap`.
        quantile: Quantile of the latencies seen that is the estimated delay, in [0, 1].
        late: Use of a chunk that arrives late. `tick`: it goes on with the row of the current tick; `moved` (`vlash`):
            with the row that matches how far the robot has been moved meanwhile; `discarded` (`tt_rtc`): not at all.
        guidance: Options of guidance, used by `rtc`, and by `vlash` if enabled.
        bid: Options of `bid`.
        corrector: Options of the corrector, used by every strategy if it has a path.
        ensemble: Options of `ensemble`.
        options: Options of a strategy from another package.
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
        """Whether the strategy steers the sampling of a chunk, which needs a policy that denoises."""
        return self.guidance.enabled or self.name in STEERED


@dataclass(frozen=True, slots=True)
class Drive:
    """Configuration of the executor of one robot, in plain values that can be sent to another process.

    Attributes:
        strategy: Strategy and its options.
        horizon: H, policy rows per chunk.
        n_obs: Observations per request.
        seed: Seed of the run.
        task: Task text of the policy.
        guard: Limits that every setpoint is held to.
        substeps: Setpoints per tick.
        shape: Interpolation between the setpoints of a tick, `linear` or `cubic`.
        cameras: Names of the cameras that the planner needs, whose images must not be too old; None for all.
        rest_pose: Position targets by name, to which the robot is moved at the end of a run, before it is disconnected.
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

LATE: Mapping[str, Sequence[str]] = {"vlash": ("tick", "moved"), "tt_rtc": ("tick", "discarded")}  # else `tick` only

TRIGGERS: Mapping[str, Callable[[StrategyConfig], Trigger]] = {
    "every": lambda config: Every(config.s),
    "asap": lambda config: AsSoonAsPossible(),
    "overlap": lambda config: Overlap(config.overlap),
}

LATENCIES: Mapping[str, Callable[[float], Callable[..., Distribution]]] = {  # constructors for a control rate in Hz
    "fixed": lambda rate_hz: Fixed,
    "lognormal": lambda rate_hz: Lognormal,
    "uniform": lambda rate_hz: Uniform,
    "spikes": lambda rate_hz: Spikes,
    "recorded": recorded_at_rate,
    "scheduled": Scheduled.at_rate,
}


def make_strategy(config: StrategyConfig, spec: RobotSpec, horizon: int, delay: int) -> Strategy:
    """Makes the strategy of `config`.

    It is a built-in one, or one that another package registers in the entry point group `rollahead.strategies`: a
    function that takes `config`, the `trigger`, the `spec` of the robot and its own options, and returns a `Strategy`.

    Args:
        config: Name and options of the strategy.
        spec: Spec of the robot.
        horizon: H, policy rows per chunk.
        delay: d, planned delay in ticks.

    Raises: ConfigError, if there is no such strategy or trigger, it takes no such option, or the schedule is not
    feasible.
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
    """Advice for a delay longer than a chunk, which may have been meant in milliseconds."""
    ticks = round_up(delay * spec.rate_hz / 1000)
    return f"give latencies in ticks of {1000 * spec.period_s:.3g} ms, {ticks} where {delay} is meant in ms"


def _schedule(config: StrategyConfig, horizon: int, delay: int) -> tuple[int, int]:
    """Horizon H in ticks, and the execution horizon that results from the trigger.

    Raises: ConfigError, if a chunk has fewer than q rows.
    """
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
    """Makes the executor of `drive` for `robot`.

    Args:
        drive: Configuration of the executor.
        robot: The robot.
        delay: Estimator of the planned delay.
        trace: Trace to which the executor writes.
        inbox: Channel of results; None for a new one.
        outbox: Channel of snapshots; None for a new one.
        image_latents: Channel of latent image features; None without an image encoder.

    Raises: ConfigError, if the schedule is not feasible, or an option does not fit the robot.
    """
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
    """Makes the corrector of `config`; None if it has no path.

    Args:
        config: Name and options of the strategy.
        spec: Spec of the robot.
        horizon: H, policy rows per chunk.
        image_latents: Channel of latent image features; None without an image encoder.

    Raises: ConfigError, if the file cannot be read, was trained for another robot, or needs images and there is no
    image encoder.
    """
    if config.corrector.path is None:
        return None
    return HeadCorrector(read_head(config.corrector.path), spec, horizon, config.corrector.max_residual, image_latents)


def seeing_head(config: StrategyConfig) -> HeadCard | None:
    """Card of the corrector of `config`, if it uses images; None otherwise.

    Raises: ConfigError, if its file cannot be read.
    """
    card = None if config.corrector.path is None else read_head(config.corrector.path).card
    return card if card is not None and card.cameras else None


def features_taken(config: StrategyConfig) -> int:
    """Number Z of policy features that the corrector of `config` takes; 0 for none.

    Raises: ConfigError, if its file cannot be read.
    """
    return 0 if config.corrector.path is None else read_head(config.corrector.path).card.policy_features


def estimator(config: StrategyConfig) -> DelayEstimator:
    """Makes the estimator of the planned delay: fixed if `config.d` is given, else a quantile of observed costs."""
    return DelayEstimator(fixed=config.d, quantile=config.quantile)


def make_delay(config: StrategyConfig, latency: LatencyModel, seed: int) -> DelayEstimator:
    """Makes the estimator of the planned delay for simulated time.

    If the delay is not fixed, the estimator is given `WARM_UP` latencies, which are none of the episode's (with a
    recording, those before the position that `seed` selects).
    """
    delay = estimator(config)
    for n in range(WARM_UP if config.d is None else 0):
        delay.add(latency.sample(seed, -1 - n).done)
    return delay


def make_latency(name: str, rate_hz: float, median: float | None = None, **options: object) -> LatencyModel:
    """Makes the latency model `name`.

    It is a built-in one, or one that another package registers in the entry point group `rollahead.latencies`: a
    function that takes `rate_hz` and its own options, and returns a `LatencyModel`.

    Args:
        name: Name of the model.
        rate_hz: Control rate.
        median: Median in ticks to which the model is scaled; None to leave it as it is.
        **options: Options of the model.

    Raises: ConfigError, if there is no such model, it takes no such option, or it cannot have such a median.
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
