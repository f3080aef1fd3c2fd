"""Every ConfigError of the runtime in one list: each names what is wrong, and a new one must join the list."""

import ast
import doctest
import math
import multiprocessing
import re
import sys
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refused_robots import REFUSED_ROBOTS
from rollahead import errors
from rollahead.errors import MOST_WORDS, ConfigError, ControlError, one_line, unknown_name
from rollahead.runtime.analysis.identify import Lag, calibration, identify, read_lags
from rollahead.runtime.analysis.recommend import Setting, recommend
from rollahead.runtime.analysis.steps import StepConfig, StepTest
from rollahead.runtime.config import build, feasibility
from rollahead.runtime.config.build import Drive, StrategyConfig, make_latency, make_strategy
from rollahead.runtime.config.extensions import check_made, load
from rollahead.runtime.config.techniques import BidConfig, CorrectorConfig, EnsembleConfig, GuidanceConfig
from rollahead.runtime.control.corrector import Head, HeadCard, HeadCorrector, read_head
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.servo import Servo
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trigger import Every, Overlap
from rollahead.runtime.drivers.encoder_worker import EncoderWorker, LockstepEncoder, MeanImageEncoder
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.planning.latency import Fixed, Latency, Lognormal, Recorded, Spikes, Uniform, with_median
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.planning.timed_latency import Scheduled, recorded_at_rate
from rollahead.runtime.recording.records import read_parquet
from rollahead.runtime.recording.run_folder import TICKS, RunFolder
from rollahead.runtime.robots.loopback import NullRobot
from rollahead.runtime.robots.spec_limits import limited
from rollahead.runtime.rolling.attached import Held, attached
from rollahead.runtime.rolling.roll import FirstOrderLag, VelocityLag, check_lookback, still
from rollahead.runtime.safety.guard import Guard, GuardConfig, Workspace
from rollahead.runtime.safety.rest_pose import RestPose
from rollahead.runtime.system.tuning import Tuning
from rollahead.runtime.transport.mailbox import Mailbox
from rollahead.runtime.transport.wire import MOST_TEXT, check_task
from rollahead.runtime.types.options import call, check_kind
from rollahead.runtime.types.seeds import check_seed
from rollahead.runtime.types.spec import Camera, Dim, Kind, PolicySpec, RobotSpec, check_same, map_by_name

RUNTIME = Path(build.__file__).parents[1]
NONE = np.empty(0, np.intp)
ROBOT = RobotSpec(action=(Dim("shoulder", drives="shoulder_pos"),), state=(Dim("shoulder_pos"),), rate_hz=50.0)


HEAD = Head(HeadCard(("shoulder",), ("shoulder_pos",), (), 8), [], *(np.ones(1) for _ in range(3)))
SEEING = Head(replace(HEAD.card, cameras=("top",), latent=1), [], *(np.ones(1) for _ in range(3)))


def no_head(folder: Path) -> object:
    (folder / "head.npz").write_text("no head")
    return read_head(folder / "head.npz")


def strategy(name: str = "vlash", **options: object) -> Callable[[Path], object]:
    return lambda folder: make_strategy(StrategyConfig(name, **options), ROBOT, horizon=8, delay=3)


def recording(text: str) -> Callable[[Path], object]:
    def read(folder: Path) -> object:
        (folder / "recording.txt").write_text(text)
        return Recorded.from_file(folder / "recording.txt", rate_hz=50.0)

    return read


def driving(state: str | None) -> Callable[[Path], object]:
    return lambda folder: RobotSpec((Dim("shoulder", drives=state),), (Dim("shoulder_pos"),), rate_hz=50.0)


def policy(**options: object) -> PolicySpec:
    return PolicySpec(**{"action": ("shoulder",), "state": (), "horizon": 8, "rate_hz": 50.0} | options)


def realtime(**options: Any) -> Realtime:
    return Realtime(
        Drive(StrategyConfig("vlash", s=4), 8),
        lambda: NullRobot(ROBOT),
        ScriptedPlanner(lambda seen, rng: []),
        **options,
    )


def process_isolation(folder: Path) -> None:
    drive, make_robot = Drive(StrategyConfig("vlash", s=4), 8), lambda: NullRobot(ROBOT)  # a lambda cannot be pickled
    with Realtime(drive, make_robot, ScriptedPlanner(lambda seen, rng: []), isolation="process"):
        pass


def loaded(folder: Path, entry: str, source: str = "") -> None:
    """Loads what a package registers as `thing`. source: of the module that `entry` names, if it is the package's."""
    (info := folder / "thing-1.0.dist-info").mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[of.a.test]\nthing = {entry}\n")
    if source:
        (folder / f"{entry.partition(':')[0]}.py").write_text(source)
    sys.path.insert(0, str(folder))
    try:
        load("of.a.test", "thing", "thing", "add it")
    finally:
        sys.path.remove(str(folder))


def imported_again(folder: Path) -> None:
    process: Any = multiprocessing.current_process()
    process._inheriting = True  # as in one that `spawn` has started, while it imports the script
    try:
        realtime().__enter__()
    finally:
        del process._inheriting


def turning(**limits: float) -> RobotSpec:
    return RobotSpec((Dim("rx", kind=Kind.ROTATION, drives="x", **limits),), (Dim("x"),), 50.0)


def rotations(count: int) -> RobotSpec:
    dims = tuple(Dim(f"r{i}", kind=Kind.ROTATION, drives=f"r{i}") for i in range(count))
    return RobotSpec(dims, tuple(Dim(dim.name, kind=Kind.ROTATION) for dim in dims), rate_hz=50.0)


def lagging(**options: Any) -> RobotSpec:
    dims = (Dim("wrist"), Dim("wrist_rate", rate_of=options.pop("rate_of", "wrist")))
    return RobotSpec((Dim("wrist", drives="wrist", **options),), dims, rate_hz=50.0)


def identified(sent: float = 1.0, ticks: int = 99, spec: RobotSpec | None = None, max_delay: int = 3) -> object:
    """Of a wrist that was sent this now and then, and measured with noise."""
    rows = sent * (np.arange(ticks) // 9 % 2)[:, None]
    return identify(spec or lagging(), rows, np.random.default_rng(0).normal(size=(ticks, 2)), max_delay=max_delay)


def calibrated(rate_hz: float = 50.0, **lag: Any) -> Callable[[Path], object]:
    plain = {"action": "wrist", "state": "wrist", "position": "wrist", "kind": Kind.POSITION, "tau_s": 0.1}
    plain |= {"tau_s_ci": (0.1, 0.1), "delay": 1, "offset": 0.0, "r2": 1.0, "rms": 0.0, "samples": 99}

    def read(folder: Path) -> object:
        made = calibration(replace(lagging(), rate_hz=rate_hz), [Lag(**plain | lag)])
        return read_lags(RunFolder(folder / "run").write_json("calibration.json", made), lagging())

    return read


def no_calibration(folder: Path) -> object:
    (folder / "calibration.json").write_text("[1]")
    return read_lags(folder, ROBOT)


def grip(**options: Any) -> Dim:
    return Dim("grip", **{"kind": Kind.DISCRETE, "low": 0.0, "high": 1.0, "threshold": 0.5} | options)


REFUSED: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "an effort": (lambda folder: Kind("torque"), ("torque", "position", "velocity")),
    "another kind": (lambda folder: Kind("positon"), ("'positon'", "'position'")),
    "a name of effort": (
        lambda folder: RobotSpec((Dim("joint.torque", kind=Kind.VELOCITY),), (), 50.0),
        ("joint.torque", "effort by its name", "position"),
    ),
    "a unit of effort": (
        lambda folder: RobotSpec((Dim("wrist", "Nm", Kind.VELOCITY),), (), rate_hz=50.0),
        ("'wrist'", "Nm", "velocity"),
    ),
    "range": (lambda folder: Dim("wrist", low=2.0, high=1.5), ("'wrist'", "2.0", "1.5")),
    "rate limit": (lambda folder: Dim("wrist", rate_limit=-3.0), ("'wrist'", "-3.0")),
    "rate": (lambda folder: RobotSpec((), (), rate_hz=-50.0), ("-50.0",)),
    "same name": (lambda folder: RobotSpec((Dim("x"), Dim("x")), (), rate_hz=50.0), ("action", "x")),
    "drives another state": (driving("sholder_pos"), ("'shoulder'", "'sholder_pos'", "'shoulder_pos'")),
    "drives no state": (driving(None), ("'shoulder'", "position", "`drives`")),
    "policy horizon": (lambda folder: policy(horizon=0), ("horizon", "0", "n_obs", "1")),
    "policy n_obs": (lambda folder: policy(n_obs=-1), ("horizon", "8", "n_obs", "-1")),
    "policy state_in": (lambda folder: policy(state_in="encoder"), ("'encoder'", "'encode'")),
    "policy rate": (lambda folder: map_by_name(ROBOT, policy(rate_hz=30.0)), ("30 Hz", "50 Hz")),
    "policy action": (lambda folder: map_by_name(ROBOT, policy(action=("sholder",))), ("'shoulder'", "'sholder'")),
    "policy state": (lambda folder: map_by_name(ROBOT, policy(state=("sholder_pos",))), ("'shoulder_pos'",)),
    "policy camera": (lambda folder: map_by_name(ROBOT, policy(cameras=("top",))), ("no camera 'top'", "none")),
    "s of every": (lambda folder: Every(0), ("0",)),
    "overlap": (lambda folder: Overlap(-2), ("-2",)),
    "window": (lambda folder: DelayEstimator(window=0), ("window", "0")),
    "an image limit": (lambda folder: GuardConfig(image_stale_ticks=-5), ("image_stale_ticks", "-5")),
    "no such rest": (lambda folder: RestPose(lagging(), {"wrst": 0.0}), ("rest_pose", "'wrst'", "'wrist'")),
    "a rest out of range": (lambda folder: RestPose(lagging(high=2.0), {"wrist": 3.0}), ("wrist", "3.0", "2")),
    "a robot made otherwise": (
        lambda folder: check_same(lagging(), driving("shoulder_pos")(folder)),
        ("wrist", "shoulder"),
    ),
    "a robot with other limits": (
        lambda folder: check_same(lagging(high=2.0), lagging()),
        ("limits", "same each time"),
    ),
    "quantile": (lambda folder: DelayEstimator(quantile=1.5), ("quantile", "1.5")),
    "fixed delay": (lambda folder: DelayEstimator(fixed=-4), ("-4",)),
    "latency": (lambda folder: Latency(5, 3), ("5", "3")),
    "bind fraction": (lambda folder: Fixed(3, bind_fraction=1.0), ("1.0",)),
    "fixed latency": (lambda folder: Fixed(-7), ("-7",)),
    "lognormal": (lambda folder: Lognormal(p50=9.0, p95=6.0), ("9.0", "6.0")),
    "a lognormal without end": (lambda folder: Lognormal(p50=1e-300, p95=6.0), ("1e-300", "6.0", "1000")),
    "a recording in milliseconds": (recording("150\n160\n170\n"), ("recording.txt", "160 s", "0.16 for 160 ms")),
    "a delay in milliseconds": (
        lambda folder: make_strategy(StrategyConfig("vlash"), ROBOT, horizon=32, delay=160),
        ("d = 160", "ticks of 20 ms", "8 where 160"),
    ),
    "a seed below none": (lambda folder: check_seed(-5), ("seed is -5", "0 to 2147483647")),
    "seeds beyond the last": (lambda folder: check_seed(2**31 - 9, 10), ("2147483639", "0 to 2147483638")),
    "spikes": (lambda folder: Spikes(4, 0.1, 3, 9), ("4", "0.1", "3", "9")),
    "uniform": (lambda folder: Uniform(7, 3), ("7", "3")),
    "empty recording": (recording(""), ("empty",)),
    "times without latencies": (lambda folder: Scheduled([0, 5], [4]), ("2 times", "1 latencies")),
    "times that fall": (lambda folder: Scheduled([0, 5, 3], [4, 4, 4]), ("[0, 5, 3]", "at_s")),
    "a latency below none": (lambda folder: Scheduled([0], [-4]), ("-4", "latency.ticks")),
    "another way to replay": (lambda folder: recorded_at_rate(50.0)("diffusion", replay="tme"), ("'tme'", "'time'")),
    "no recording": (lambda folder: Recorded.from_file(folder / "gone.txt", 50.0), ("gone.txt",)),
    "a speed between two": (lambda folder: Setting(ROBOT, 32, Fixed(3), speed=1.5), ("1.5",)),
    "a chunk too short": (lambda folder: Setting(ROBOT, 1, Fixed(3), speed=2.0), ("1 rows", "speed=2")),
    "a chunk too long": (lambda folder: Setting(ROBOT, 1001, Fixed(3)), ("1001 rows", "at most 1000")),
    "a latency too long": (lambda folder: recommend(Setting(ROBOT, 32, Fixed(1001))), ("1001 ticks", "at most 1000")),
    "no way with a late plan": (strategy("vlash", late="movd"), ("'movd'", "'moved'")),
    "a late plan of places": (strategy("vlash", late="moved"), ("moved", "late=tick")),
    "a median that is no time": (lambda folder: with_median(Fixed(3), -2.5), ("-2.5",)),
    "nothing to be stretched": (lambda folder: with_median(Fixed(0), 5), ("5", "0")),
    "words as a recording": (recording("0.1\nslow\n"), ("recording.txt", "slow")),
    "endless recording": (recording("0.1\ninf\n"), ("recording.txt", "infinity")),
    "speed-up": (lambda folder: SpeedUp(ROBOT, 0), ("0",)),
    "lag": (
        lambda folder: FirstOrderLag(NONE, NONE, tau_s=-0.15, period_s=0.02, delay=2),
        ("-0.15", "2"),
    ),
    "velocity lag": (lambda folder: VelocityLag(NONE, NONE, NONE, tau_s=-0.15, period_s=0.02), ("-0.15",)),
    "lookback": (
        lambda folder: check_lookback(FirstOrderLag(NONE, NONE, 0.1, 0.02, delay=9), 8),
        ("9 ticks", "H = 8"),
    ),
    "rate of no state": (lambda folder: lagging(rate_of="wrst"), ("'wrist_rate'", "'wrst'", "'wrist'")),
    "no axis": (lambda folder: identified(spec=lagging(kind=Kind.DISCRETE)), ("wrist", "discrete")),
    "most delay": (lambda folder: identified(max_delay=-2), ("-2",)),
    "no number": (lambda folder: identified(np.nan), ("row 0", "99")),
    "a short record": (lambda folder: identified(ticks=40), ("37 samples", "40 ticks", "50")),
    "hardly moved": (lambda folder: identified(0.03), ("wrist", "0.03", "4 times")),
    "no calibration": (lambda folder: read_lags(folder, ROBOT), ("calibration.json",)),
    "not a calibration": (no_calibration, ("calibration.json",)),
    "rate of a calibration": (calibrated(rate_hz=30.0), ("30 Hz", "50 Hz")),
    "axis of a calibration": (calibrated(action="wrst"), ("'wrst'", "'wrist'")),
    "kind of a calibration": (calibrated(kind=Kind.VELOCITY), ("wrist", "velocity", "position")),
    "step": (lambda folder: StepConfig(hold_s=-0.4, repeats=7), ("hold_s", "-0.4", "repeats", "7")),
    "size of a step": (lambda folder: StepConfig(share=0.7, amplitude=3.5), ("share", "0.7", "amplitude", "3.5")),
    "step without a range": (lambda folder: StepTest(lagging(), StepConfig()), ("wrist", "-inf", "inf")),
    "step one way": (
        lambda folder: StepTest(lagging(kind=Kind.VELOCITY, low=0.25, high=1.5), StepConfig()),
        ("wrist", "0.25", "1.5"),
    ),
    "no corrector": (lambda folder: read_head(folder / "head.npz"), ("head.npz", "train-corrector")),
    "not a corrector": (no_head, ("head.npz", "train-corrector")),
    "a corrector of other chunks": (lambda folder: HeadCorrector(HEAD, ROBOT, 9), ("8 rows", "9")),
    "no correction": (
        lambda folder: CorrectorConfig("head.npz", 0.0),
        ("strategy.corrector.max_residual is 0.0", "at most 2"),
    ),
    "less than no features": (lambda folder: HeadCard((), (), (), 8, policy_features=-2), ("-2", "features")),
    "a card of no images": (lambda folder: HeadCard((), (), (), 8, latent=3), ("0 cameras", "latent 3")),
    "a corrector without its eye": (
        lambda folder: HeadCorrector(SEEING, replace(ROBOT, cameras=(Camera("top", 2, 2),)), 8),
        ("top", "rollahead run"),
    ),
    "an image encoder of nothing": (
        lambda folder: realtime(image_encoder=MeanImageEncoder(("top",))),
        ("image_encoder was given", "strategy.corrector.path"),
    ),
    "sights from the future": (
        lambda folder: LockstepEncoder(EncoderWorker(MeanImageEncoder(()), (), 0, Mailbox(), Mailbox()), -2),
        ("ticks is -2", "0 or more"),
    ),
    "strategy": (strategy("vlahs"), ("'vlahs'", "'vlash'")),
    "late plans": (strategy(late="movd"), ("'movd'", "'moved'")),
    "late plans of places": (strategy(late="moved", s=4), ("shoulder", "strategy.late=tick")),
    "half a position": (lambda folder: Held(["box_x"], ["x", "y"], "jaws", (0.0, 1.0), 0.02), ("names 1", "tool 2")),
    "a part twice": (
        lambda folder: Held(["box_x", "box_x"], ["x", "y"], "jaws", (0.0, 1.0), 0.02),
        ("roller.object names box_x twice", "once"),
    ),
    "jaws the wrong way": (lambda folder: Held(["box_x"], ["x"], "jaws", (1.0, 0.0), 0.02), ("1.0 to 0.0", "least")),
    "no reach": (lambda folder: Held(["box_x"], ["x"], "jaws", (0.0, 1.0), 0.0), ("within is 0.0", "positive")),
    "nothing to hold": (
        lambda folder: attached(ROBOT, still, Held(["box_x"], ["shoulder_pos"], "shoulder_pos", (0.0, 1.0), 0.02)),
        ("box_x", "roller=robot"),
    ),
    "no such thing to hold": (
        lambda folder: attached(
            replace(ROBOT, environment=(Dim("box_y"),)),
            still,
            Held(["box_x"], ["shoulder_pos"], "shoulder_pos", (0.0, 1.0), 0.02),
        ),
        ("'box_x'", "'box_y'"),
    ),
    "a slow speed": (lambda folder: Setting(ROBOT, 8, Fixed(3), speed=0.0), ("speed is 0", "at least 1")),
    "endless speed": (lambda folder: Setting(ROBOT, 8, Fixed(3), speed=float("inf")), ("speed is inf",)),
    "trigger": (strategy(trigger="evry"), ("'evry'", "'every'")),
    "a mask without a pull": (lambda folder: GuidanceConfig(mask="linea"), ("'linea'", "'linear'")),
    "a Jacobian without a pull": (lambda folder: GuidanceConfig(jacobian="half"), ("'half'", "full, identity")),
    "an end of a pull": (
        lambda folder: GuidanceConfig(execution_horizon=-1),
        ("strategy.guidance.execution_horizon is -1", "from 0 on"),
    ),
    "a pull away": (
        lambda folder: GuidanceConfig(max_guidance_weight=-1.0),
        ("strategy.guidance.max_guidance_weight is -1.0", "1000"),
    ),
    "candidates": (lambda folder: BidConfig(candidates=0), ("strategy.bid.candidates is 0", "from 1 to 256")),
    "weights that grow": (lambda folder: BidConfig(rho=1.5), ("strategy.bid.rho is 1.5", "at most 1")),
    "no latency": (lambda folder: make_latency("none", 50.0), ("latency=none", "latency=fixed")),
    "latency model": (lambda folder: make_latency("fixd", 50.0), ("'fixd'", "'fixed'")),
    "latency option": (
        lambda folder: make_latency("fixed", 50.0, tick=3),
        ("latency", "'tick'", "'ticks'", "bind_fraction, ticks"),
    ),
    "missing option": (lambda folder: make_latency("fixed", 50.0), ("latency.ticks must be given", "latency.ticks=")),
    "kind of an option": (
        lambda folder: make_latency("fixed", 50.0, ticks="soon"),
        ("latency.ticks", "'soon'", "a whole number"),
    ),
    "list of an option": (lambda folder: call(Tuning, {"cores": 3}, "tuning"), ("tuning.cores is 3", "a list")),
    "endless option": (
        lambda folder: make_latency("fixed", 50.0, 9.0, ticks=3, bind_fraction=math.nan),
        ("nan", "finite"),
    ),
    "option of a technique": (
        lambda folder: call(StrategyConfig, {"name": "rtc", "guidance": {"maks": "exp"}}, "strategy"),
        ("'strategy.guidance.maks'", "'strategy.guidance.mask'"),
    ),
    "a technique without its options": (
        lambda folder: call(StrategyConfig, {"name": "rtc", "corrector": "head.npz"}, "strategy"),
        ("strategy.corrector is 'head.npz'", "strategy.corrector.path="),
    ),
    "length of a list": (lambda folder: check_kind("ends", [1], tuple[int, int]), ("ends has 1", "2")),
    "decay": (strategy("ensemble", s=4, ensemble=EnsembleConfig(-300.0)), ("-300.0", "-100", "100")),
    "no action of a chunk": (strategy("naive", q=9), ("q = 9",)),
    "negative delay": (lambda folder: feasibility.check_schedule("sync", 8, 4, -1), ("-1", "sync")),
    "schedule": (strategy("naive", s=6), ("H = 8", "s = 6", "d = 3")),
    "techniques": (lambda folder: feasibility.check_techniques(["rolling", "prefix"]), ("rolling", "prefix")),
    "workspace": (
        lambda folder: Workspace((0.0, 0.5, 0.0), (1.0, 0.4, 1.0), np.asarray),
        ("(0.0, 0.5, 0.0)", "(1.0, 0.4, 1.0)"),
    ),
    "ramp": (lambda folder: GuardConfig(ramp_s=-1.5), ("-1.5",)),
    "ticks of the guard": (
        lambda folder: GuardConfig(stale_ticks=-3, frozen_ticks=4, give_up_ticks=7),
        ("stale_ticks", "-3", "frozen_ticks", "4", "give_up_ticks", "7"),
    ),
    "substeps": (lambda folder: Servo(ROBOT, 0), ("substeps", "0")),
    "shape of setpoints": (lambda folder: Servo(ROBOT, 4, "cubik"), ("'cubik'", "'cubic'")),
    "half a rotation": (lambda folder: Servo(rotations(4), 2), ("r0, r1, r2, r3", "substeps=1")),
    "threshold": (lambda folder: grip(kind=Kind.POSITION), ("'grip'", "position", "0.0", "1.0")),
    "hysteresis": (lambda folder: grip(hysteresis=1.2), ("'grip'", "-0.1", "1.1", "0.0", "1.0")),
    "tuning": (
        lambda folder: Tuning(switch_interval_s=0.0, timer_slack_ns=5, torch_threads=3),
        ("switch_interval_s", "0.0", "timer_slack_ns", "5", "torch_threads", "3"),
    ),
    "a limit of a turn": (
        lambda folder: Guard(turning(rate_limit=2.0), GuardConfig()),
        ("'rx'", "rate_limit"),
    ),
    "spinning": (lambda folder: Tuning(spin_ns=-5), ("spin_ns is -5", "1000000")),
    "time slice": (lambda folder: Tuning(slice_ns=5), ("slice_ns is 5", "100000")),
    "priority": (lambda folder: Tuning(fifo=120), ("120", "99")),
    "cores": (lambda folder: Tuning(cores=(4096,)), ("[4096]",)),
    "task text": (lambda folder: check_task("x" * (MOST_TEXT + 1)), ("1001", "1000")),
    "task text of no text": (lambda folder: check_task("\udcff"), ("\\udcff",)),
    "isolation": (lambda folder: realtime(isolation="proces"), ("'proces'", "'process'")),
    "what cannot be sent": (process_isolation, ("isolation=thread",)),
    "entry point that names nothing": (
        lambda folder: loaded(folder, "json:nothing"),
        ("'nothing'", "make its entry point in of.a.test, json:nothing, name what there is"),
    ),
    "entry point that raises": (
        lambda folder: loaded(folder, "of_a_test_that_raises:make", "raise ValueError('boom')"),
        ("ValueError (boom) in ", "of_a_test_that_raises.py, line 1"),
    ),
    "entry point that cannot be called": (
        lambda folder: loaded(folder, "string:digits"),
        ("str, which cannot be called", "of.a.test, string:digits"),
    ),
    "a part that is another": (
        lambda folder: check_made("shape", "square", 3, ("area", "real"), "a Shape"),
        ("shape 'square' is made as int, which has no area; make it a Shape",),
    ),
    "imported again": (imported_again, ("a second time", 'if __name__ == "__main__":')),
    "limits of nothing": (lambda folder: limited(ROBOT, {"elbow": {"rate_limit": 1.0}}), ("'elbow'", "shoulder")),
    "no fields of limits": (lambda folder: limited(ROBOT, {"shoulder": 3}), ("limits.shoulder is 3", "rate_limit")),
    "no such limit": (lambda folder: limited(ROBOT, {"shoulder": {"low": 1.0}}), ("shoulder 'low'", "rate_limit")),
    "run folder": (lambda folder: RunFolder(folder), ("run folder",)),
    "no table": (lambda folder: read_parquet(folder / TICKS), ("ticks.parquet cannot be read",)),
    "no run folder": (lambda folder: RunFolder.again(folder), ("not the folder of a run", "config.yaml")),
}


REFUSED |= REFUSED_ROBOTS


def raised(name: str, folder: Path) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        REFUSED[name][0](folder)
    return caught.value


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_names_what_is_wrong_and_what_to_use_instead(name: str, tmp_path: Path) -> None:
    message, (_, parts) = str(raised(name, tmp_path)), REFUSED[name]
    assert parts
    for part in parts:
        assert part in message


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_one_sentence_on_one_line(name: str, tmp_path: Path) -> None:
    message = str(raised(name, tmp_path))
    assert "\n" not in message
    assert not re.search(r"\. [A-Z]", message)


def test_no_refusal_of_the_runtime_is_missing_from_the_list(tmp_path: Path) -> None:
    written = {site for path in sorted(RUNTIME.rglob("*.py")) for site in _raises(path)}
    reached = set()
    for i, name in enumerate(REFUSED):
        (folder := tmp_path / str(i)).mkdir()
        last = traceback.extract_tb(raised(name, folder).__traceback__)[-1]
        reached |= {site for site in written if site[0] == last.filename and site[1] <= last.lineno <= site[2]}
    assert sorted(written - reached) == []


def _raises(path: Path) -> list[tuple[str, int, int]]:
    """Where a ConfigError is raised in a module: (file, first line, last line)."""
    return [
        (str(path), node.lineno, node.end_lineno or node.lineno)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
        and node.exc.func.id in ("ConfigError", "unknown_name", "damaged")
    ]


def test_the_tree_is_as_drawn_in_the_module_head() -> None:
    drawn = set(re.findall(r"[A-Z]\w+Error", errors.__doc__ or "")) - {"ControlError"}
    made = {cls.__name__ for cls in ControlError.__subclasses__()}
    assert drawn == made == {"ConfigError", "LifecycleError", "InferenceError", "RobotError"}


def test_the_examples_in_the_docstrings_hold() -> None:
    assert doctest.testmod(errors) == (0, 2)


@pytest.mark.parametrize("name", ["vlas", "vlahs", "vlashh", "lvash"])
def test_a_near_miss_is_offered_first(name: str) -> None:
    assert "did you mean 'vlash'" in str(unknown_name("strategy", name, ["naive", "sync", "vlash"]))


def test_what_is_like_nothing_known_gets_the_list_only() -> None:
    message = str(unknown_name("strategy", "zzz", ["sync", "naive"]))
    assert message == "there is no strategy 'zzz'; Known: naive, sync"


def test_where_nothing_is_known_the_message_says_so() -> None:
    assert str(unknown_name("camera", "top", [])) == "there is no camera 'top'; Known: none"


def test_a_text_of_many_lines_is_one_line_without_the_empty_ones() -> None:
    error = ConnectionError("\nCould not connect on port '/dev/ttyACM9'.\nTry   running `lerobot-find-port`\n")
    assert one_line(error) == "Could not connect on port '/dev/ttyACM9'. Try running `lerobot-find-port`"


def test_a_long_text_of_another_library_is_cut_and_its_beginning_kept() -> None:
    words = one_line(ValueError("begin " + "x" * 10_000))
    assert words.startswith("begin xxx")
    assert words.endswith("x...")
    assert len(words) == MOST_WORDS + 3


def test_our_own_sentence_is_never_cut() -> None:
    sentence = f"{'word ' * 200}; give another"
    assert one_line(ConfigError(sentence)) == sentence


def test_a_text_that_cannot_be_made_or_encoded_is_told_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    assert one_line(Mute()) == "it cannot be put into words"
    assert one_line(OSError("a\udcff")) == "a\\udcff"
