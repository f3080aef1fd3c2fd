"""`rollahead identify`: identifies the lag and the delay of each axis, by a step test or from a recorded run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.table import Table

from rollahead.assembly.live import RAMP_S
from rollahead.commands.app import console, group, options, run_folder
from rollahead.commands.rig import SIMULATED, Rig, rig
from rollahead.commands.stages import stage
from rollahead.commands.view import watching
from rollahead.errors import ConfigError, ControlError
from rollahead.report.unfinished import note
from rollahead.runtime.analysis.identify import FILE, Lag, calibration, identify, left_out
from rollahead.runtime.analysis.steps import StepConfig, StepTest
from rollahead.runtime.config.build import Drive, StrategyConfig
from rollahead.runtime.control.trace import TickStatus
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.recording.records import read_parquet, source_of
from rollahead.runtime.recording.run_folder import SUMMARY, TICKS, RunFolder, damaged, provenance
from rollahead.runtime.safety.guard import GuardConfig
from rollahead.runtime.system.interrupts import interrupts
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.seeds import check_seed
from rollahead.runtime.types.spec import Dim, RobotSpec

GROUPS = ("robot", "task")
HORIZON = 32
LONG_S = 600.0  # window of a simulated task, whose episodes would else end before the step test
MEASURED = (TickStatus.OK, TickStatus.UNDERRUN, TickStatus.PAUSED)  # in ticks of other statuses the state is old
COLUMNS = ("tick", "began_ns", "status", "state_age")  # columns of a record that are read beside actions and states
SAME_RATE = 0.1  # largest relative difference of control rates that count as equal


@dataclass(frozen=True, slots=True)
class IdentifyOptions:
    """Options of `rollahead identify` outside its groups (configs/identify.yaml)."""

    run: str | None
    hold_s: float
    repeats: int
    share: float
    amplitude: float | None
    max_delay: int
    isolation: str
    seed: int

    def __post_init__(self) -> None:
        check_seed(self.seed)


def main(config: DictConfig) -> None:
    """Identifies the lags of the robot of `config`, and writes a run folder."""
    chosen = options(config, IdentifyOptions, GROUPS)
    _outlast(config)
    with interrupts(), rig(config) as driven:
        spec = driven.spec
        for name, why in left_out(spec).items():
            console().print(f"{name} is left out: {why}", soft_wrap=True)
        folder, lags = (_from_steps if chosen.run is None else _from_run)(config, chosen, driven)
    _leave(spec, lags, folder, chosen.seed)


def _leave(spec: RobotSpec, lags: Sequence[Lag], folder: RunFolder, seed: int) -> None:
    """Prints the lags, and writes a summary of all and a calibration of the identified ones, for rollers.

    Raises: ControlError, if no lag was identified.
    """
    found = [lag for lag in lags if lag.identified(spec.period_s)]
    verdicts = {lag.action: lag.verdict(spec.period_s) for lag in lags}
    said = {**calibration(spec, lags), "verdicts": verdicts, "left_out": left_out(spec)}
    folder.write_json(SUMMARY, {"command": "identify", **said, **provenance(seed)})
    console().print(table(spec, lags))
    unclear = [lag.why_not() for lag in lags if lag not in found]
    if not found:
        raise ControlError("; and ".join(unclear))
    for words in unclear:
        console().print(f"{words}; until then the roller takes it to follow at once", soft_wrap=True)
    path = folder.write_json(FILE, calibration(spec, found))
    console().print(f"to roll with it: rollahead run roller=identified roller.path={path}", soft_wrap=True)


def _outlast(config: DictConfig) -> None:
    """Lengthens the window of a simulated task, since its world stands still once the episode is over."""
    if group(config, "robot")["name"] == SIMULATED and "window_s" in group(config, "task"):
        config.task.window_s = LONG_S


def _from_steps(config: DictConfig, chosen: IdentifyOptions, driven: Rig) -> tuple[RunFolder, Sequence[Lag]]:
    """Identifies the lags by a step test, which moves the robot; returns the run folder and the lags."""
    test = StepTest(driven.spec, StepConfig(chosen.hold_s, chosen.repeats, chosen.share, chosen.amplitude))
    if driven.task is not None and test.ticks > driven.task.max_ticks:
        raise ConfigError(
            f"the step test takes {test.ticks} ticks, and an episode of the task {driven.task.max_ticks}; lower hold_s "
            "or repeats"
        )
    driven.begin(chosen.seed)
    guard = GuardConfig(ramp_s=RAMP_S if driven.task is None else 0.0)
    drive = Drive(StrategyConfig("vlash", s=8), HORIZON, seed=chosen.seed, guard=guard)
    planner = ScriptedPlanner(test.plan(HORIZON))
    runtime = Realtime(drive, driven.make_robot, planner, isolation=chosen.isolation, stage=stage)
    folder = run_folder(config)
    console().print(_announced(driven.spec, test), soft_wrap=True)
    with watching(console(), "step test", driven.spec.rate_hz, view=True) as watch:
        watch.over(runtime, folder.path, test.ticks)
    if watch.ended:
        raise ControlError("the step test was ended before it was over, so no lag was identified; run it again")
    return folder, _identified(folder.path, chosen, driven)


def _from_run(config: DictConfig, chosen: IdentifyOptions, driven: Rig) -> tuple[RunFolder, Sequence[Lag]]:
    """Identifies the lags from a recorded run, without moving the robot; returns the run folder and the lags."""
    if line := note(Path(str(chosen.run))):
        console().print(line, soft_wrap=True)
    lags = _identified(Path(str(chosen.run)), chosen, driven)
    return run_folder(config), lags


def _identified(folder: Path, chosen: IdentifyOptions, driven: Rig) -> Sequence[Lag]:
    sent, states, starts = read_record(folder, driven.spec)
    return identify(driven.spec, sent, states, starts=starts, max_delay=chosen.max_delay)


def _announced(spec: RobotSpec, test: StepTest) -> str:
    units = {dim.name: dim.unit for dim in spec.action}
    moves = ", ".join(f"{name} by {size:.3g} {units[name]}".rstrip() for name, size in test.amplitudes.items())
    return f"the step test moves {moves}, one axis after the other, and takes {test.ticks * spec.period_s:.0f} s"


def read_record(folder: Path, spec: RobotSpec) -> tuple[FloatArray, FloatArray, list[int]]:
    """Reads the actions and states that a run has recorded in `ticks.parquet`.

    Ticks that were skipped, or in which no state was measured, are left out.

    Args:
        folder: Folder of the run.
        spec: Spec of the robot.

    Returns:
        The actions sent (n, A), the states (n, S) at the start of these ticks, and the indices of the rows at which
        stretches of consecutive ticks begin.

    Raises: ConfigError, if there is no such record, or it has another robot or another rate.
    """
    path = folder / TICKS
    if source_of(path) is None:
        raise ConfigError(f"there are no ticks at {path}; give run=<folder of a run>, or null to move the robot")
    record = read_parquet(path)
    if missing := [name for name in COLUMNS if name not in record.column_names]:
        raise damaged(path, f"no column {missing[0]}")
    sent, states = (_columns(path, record, what, getattr(spec, what)) for what in ("action", "state"))
    tick, began_ns, status, age = (record[name].to_numpy() for name in COLUMNS)
    _check_rate(path, began_ns, spec)
    known = np.isin(status, MEASURED) & np.isfinite(sent).all(axis=1) & np.isfinite(states).all(axis=1)
    tick, sent, states, age = tick[known], sent[known], states[known], age[known]
    whole = np.zeros(len(tick), np.bool_)
    for episode in np.split(np.arange(len(tick)), np.flatnonzero(np.diff(tick) <= 0) + 1):
        at, old = tick[episode], age[episode]
        if old.any():
            states[episode] = _at_heads(at, states[episode], old)
        whole[episode] = at <= (at - old).max(initial=-1)  # the states of later ticks were not measured yet
    starts = np.flatnonzero(np.diff(tick[whole]) != 1) + 1
    return sent[whole], states[whole], [0, *starts.tolist()]


def _at_heads(tick: FloatArray, states: FloatArray, age: FloatArray) -> FloatArray:
    """The states (n, S) at the start of each tick, interpolated linearly between measurements.

    `tick` (n,) are the ticks, and `states` (n, S) were `age` (n,) ticks old in them.
    """
    measured, at = np.unique(tick - age, return_index=True)
    return np.stack([np.interp(tick, measured, values) for values in states[at].T], axis=1)


def _columns(path: Path, record: pa.Table, what: str, dims: Sequence[Dim]) -> FloatArray:
    names = [f"{what}.{dim.name}" for dim in dims]
    if missing := sorted(set(names) - set(record.column_names)):
        raise ConfigError(f"{path} has no column {missing[0]}, so it is of another robot; give robot=... that one")
    return np.stack([record[name].to_numpy() for name in names], axis=1)


def _check_rate(path: Path, began_ns: FloatArray, spec: RobotSpec) -> None:
    """Checks the rate of a run in real time; a run in simulated time records no times."""
    period_s = float(np.median(np.diff(began_ns))) * 1e-9 if len(began_ns) > 1 else 0.0
    if period_s and abs(period_s * spec.rate_hz - 1) > SAME_RATE:
        raise ConfigError(
            f"{path} was recorded at {1 / period_s:.4g} Hz and the robot runs at {spec.rate_hz:g} Hz; give it that rate"
        )


def table(spec: RobotSpec, lags: Sequence[Lag]) -> Table:
    """A table of the lags with a row per axis."""
    units = {dim.name: dim.unit for dim in spec.state}
    printed = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    printed.add_column("axis", no_wrap=True)
    for heading in ("tau ms", "95 %", "delay ticks", "r2", "rms"):
        printed.add_column(heading, justify="right", no_wrap=True)
    printed.add_column("verdict", no_wrap=True)
    for lag in lags:
        low, high = (1000 * end for end in lag.tau_s_ci)
        rms = f"{lag.rms:.2g} {units[lag.state]}".rstrip()
        numbers = (f"{1000 * lag.tau_s:.1f}", f"{low:.1f}..{high:.1f}", str(lag.delay), f"{lag.r2:.3f}", rms)
        printed.add_row(f"{lag.action} → {lag.state}", *numbers, lag.verdict(spec.period_s))
    return printed
