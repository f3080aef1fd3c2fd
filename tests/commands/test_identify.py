import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from omegaconf import OmegaConf

from faulty import Rail, registered
from rollahead.commands import identify
from rollahead.commands.identify import read_record
from rollahead.evaluation.evaluation import Cell, run_episode
from rollahead.runtime.analysis.identify import FILE, read_lags
from rollahead.runtime.analysis.steps import StepConfig, StepTest
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.control.trace import TickStatus
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.recording.records import Stream
from rollahead.sim.gantry import KV, MASS_KG, PHYSICS_S, RATE_HZ, SUBSTEPS
from rollahead.sim.mole import WhackAMole

from .conftest import Ran, refusal

Command = Callable[..., Ran]
SPEC = WhackAMole().spec
TAU_S = 1 / RATE_HZ / (SUBSTEPS * math.log1p(PHYSICS_S * KV / MASS_KG))  # of the gantry, by MuJoCo's implicit step
SHORT = StepConfig(hold_s=0.3, repeats=1)


class Stepped(WhackAMole):
    """A task whose expert makes a step test."""

    def expert(self, horizon: int) -> Plan:
        return StepTest(self.spec, SHORT).plan(horizon)


def stepped_ticks() -> dict[str, Any]:
    """The columns of a step test in simulated time, without noise."""
    cell = Cell({"name": "mole"}, StrategyConfig("vlash", s=8, d=1), {"name": "fixed", "ticks": 1})
    trace = run_episode(cell, Stepped(window_s=3.0, noise=0.0), 0)
    return trace.tick_columns(trace.ticks[: StepTest(SPEC, SHORT).ticks])


def recorded(columns: dict[str, Any], folder: str = "old") -> Path:
    """The folder of a run that has recorded `columns`."""
    Path(folder).mkdir()
    pq.write_table(pa.table(columns), Path(folder) / "ticks.parquet")
    return Path(folder)


# ---- by a step test -----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_lag_of_the_simulated_gantry_is_found_in_real_time(rollahead: Command) -> None:
    ran = rollahead("identify", "name=mine", "hold_s=0.4", "repeats=2")
    assert (ran.status, ran.err) == (0, "")
    assert "the step test moves vx by 0.15 m/s, vy by 0.15 m/s, one axis after the other, and takes 5 s" in ran.out
    assert "rollahead run roller=identified roller.path=runs/mine/calibration.json" in ran.out
    assert ran.out.count("a first-order lag") == 2
    for lag in read_lags("runs/mine", SPEC):
        assert lag.tau_s == pytest.approx(TAU_S, rel=0.06)
        assert (lag.delay, lag.r2) == (0, pytest.approx(1.0, abs=0.05))
    left = {path.name for path in Path("runs/mine").iterdir()}
    assert left == {"config.yaml", "summary.json", FILE, "ticks.parquet", "inferences.parquet"}
    summary = json.loads(Path("runs/mine/summary.json").read_text())
    assert (summary["command"], summary["seed"], summary["rate_hz"]) == ("identify", 0, 50.0)
    assert [lag["action"] for lag in summary["lags"]] == ["vx", "vy"]
    assert {"machine", "versions", "date"} <= set(summary)
    assert OmegaConf.load("runs/mine/config.yaml").task.window_s > 60  # the world went on for as long as the test


@pytest.mark.slow
def test_a_robot_that_is_where_it_was_told_to_be_hardly_lags(rollahead: Command) -> None:
    ran = rollahead("identify", "name=mine", "robot=loopback", "robot.joints=1", "hold_s=0.2", "repeats=3")
    assert (ran.status, ran.err) == (0, "")
    (lag,) = json.loads(Path("runs/mine", FILE).read_text())["lags"]
    assert lag["tau_s"] < 0.005
    assert lag["delay"] == 0


# ---- from a recorded run ------------------------------------------------------------------------------------------


def test_a_recorded_run_gives_the_lag_of_its_robot_and_moves_nothing(rollahead: Command) -> None:
    folder = recorded(stepped_ticks())
    ran = rollahead("identify", f"run={folder}", "name=mine", "max_delay=3")
    assert (ran.status, ran.err) == (0, "")
    assert "step test" not in ran.out
    lags = read_lags("runs/mine", SPEC)
    assert [lag.action for lag in lags] == ["vx", "vy"]
    for lag in lags:
        assert lag.tau_s == pytest.approx(TAU_S, rel=1e-4)
        assert (lag.delay, lag.r2) == (0, pytest.approx(1.0))
    assert {path.name for path in Path("runs/mine").iterdir()} == {"config.yaml", "summary.json", FILE}


def drifting(columns: dict[str, Any], axis: str) -> dict[str, Any]:
    """`columns` of a robot of which one axis drifts, whatever it is sent."""
    n = len(columns["tick"])
    return {**columns, f"state.v{axis}": np.linspace(0, 1, n) + 0.01 * np.random.default_rng(0).normal(size=n)}


def test_an_axis_that_is_not_identifiable_is_said_so_and_left_to_the_kind_of_its_action(rollahead: Command) -> None:
    folder = recorded(drifting(stepped_ticks(), "y"))
    ran = rollahead("identify", f"run={folder}", "name=mine", "max_delay=3")
    assert (ran.status, ran.err) == (0, "")
    assert "the lag of vy is not identifiable: tau is " in ran.out and "until then the roller takes it to" in ran.out
    assert [lag.action for lag in read_lags("runs/mine", SPEC)] == ["vx"]
    summary = json.loads(Path("runs/mine/summary.json").read_text())
    assert summary["verdicts"] == {"vx": "a first-order lag", "vy": "not identifiable"}
    assert summary["lags"][1]["tau_s_ci"][1] is None  # infinity


def test_where_no_axis_is_identifiable_no_calibration_is_left(rollahead: Command) -> None:
    folder = recorded(drifting(drifting(stepped_ticks(), "y"), "x"))
    said = refusal(rollahead("identify", f"run={folder}", "name=mine", "max_delay=3"), "identify")
    assert "the lag of vx is not identifiable" in said and "; and the lag of vy is not identifiable" in said
    assert not Path("runs/mine", FILE).exists() and Path("runs/mine/summary.json").exists()


@pytest.mark.slow
def test_a_robot_that_takes_steps_is_refused_before_it_is_moved(
    rollahead: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(*_: object, **__: object) -> None:
        raise AssertionError("it was about to be moved")

    site = registered(tmp_path_factory.mktemp("site"), rail=Rail)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", f"{site}:{Path(__file__).parents[1]}")  # of the world's process
    monkeypatch.setattr(identify, "Realtime", moved)
    said = refusal(rollahead("identify", "task=rail"), "identify")
    assert "no axis with a lag to find (dx: only positions and velocities are taken to lag, and it is a delta)" in said
    assert not Path("runs").exists()


def test_a_run_that_was_killed_gives_the_lag_of_its_robot_and_it_is_said_what_is_read(rollahead: Command) -> None:
    whole = pa.record_batch(stepped_ticks())
    Path("old").mkdir()
    stream = Stream(Path("old/ticks.arrows"), whole.schema, SPEC.rate_hz)
    for first in range(0, whole.num_rows, 10):
        stream.append(whole.slice(first, 10))
    stream.close()
    Path("old/ticks.arrows").write_bytes(Path("old/ticks.arrows").read_bytes()[:-1])
    ran = rollahead("identify", "run=old", "name=mine", "max_delay=3")
    assert (ran.status, ran.err) == (0, "")
    assert "old: ticks.arrows is read, which ends where the recorder stopped" in ran.out
    assert [lag.tau_s for lag in read_lags("runs/mine", SPEC)] == [pytest.approx(TAU_S, rel=1e-4)] * 2


def test_only_ticks_in_which_the_state_was_measured_count_and_gaps_part_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    columns = stepped_ticks()
    n = len(columns["tick"])
    columns["status"] = columns["status"].copy()
    columns["status"][[20, 21]] = TickStatus.OVERRUN, TickStatus.STALE
    columns["status"][30] = TickStatus.PAUSED
    columns["state.x"] = np.where(np.arange(n) == 50, np.nan, columns["state.x"])
    columns["tick"] = np.where(np.arange(n) >= 70, columns["tick"] - 70, columns["tick"])  # another episode
    sent, states, starts = read_record(recorded(columns), SPEC)
    assert starts == [0, 20, 48, 67]
    kept = [k for k in range(n) if k not in (20, 21, 50)]
    np.testing.assert_array_equal(sent[:, 1], columns["action.vy"][kept])
    np.testing.assert_array_equal(states[:, 2], columns["state.vx"][kept])


def test_old_states_are_put_where_they_belong_in_each_episode_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    columns = stepped_ticks()
    x, n = columns["state.x"], len(columns["tick"])
    old = {name: values[1:] for name, values in columns.items()}
    there, back = ({**old, "state_age": np.ones(n - 1, np.int64), "state.x": of} for of in (x[:-1], 1 - x[:-1]))
    twice = {name: np.concatenate([there[name], back[name]]) for name in old}
    sent, states, starts = read_record(recorded(twice), SPEC)
    assert starts == [0, n - 2]
    np.testing.assert_allclose(states[:, 0], np.concatenate([x[1:-1], 1 - x[1:-1]]), atol=1e-12)
    assert len(sent) == 2 * (n - 2)


# ---- refusals -----------------------------------------------------------------------------------------------------


def at_rate(columns: dict[str, Any], rate_hz: float) -> dict[str, Any]:
    return columns | {"began_ns": (np.arange(len(columns["tick"])) * 1e9 / rate_hz).astype(np.int64)}


RECORDS: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], tuple[str, ...]]] = {
    "another robot": (lambda all: {name: all[name] for name in all if name != "action.vy"}, ("action.vy", "robot=...")),
    "another rate": (lambda all: at_rate(all, 30.0), ("30 Hz", "50 Hz")),
    "too short": (lambda all: {name: all[name][:40] for name in all}, ("37 samples are left of 40 ticks", "50")),
    "hardly moved": (lambda all: all | {"action.vy": 0.0 * all["action.vy"]}, ("vy was moved by 0 m/s",)),
    "no status": (lambda all: {name: all[name] for name in all if name != "status"}, ("no column status",)),
}


@pytest.mark.parametrize("name", RECORDS)
def test_a_record_that_tells_nothing_is_refused_and_leaves_nothing(name: str, rollahead: Command) -> None:
    change, parts = RECORDS[name]
    folder = recorded(change(stepped_ticks()))
    message = refusal(rollahead("identify", f"run={folder}", "max_delay=3"), "identify")
    for part in parts:
        assert part in message
    assert not Path("runs").exists()


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"no table at all", b"PAR1" + b"x" * 100 + b"PAR1"])
def test_a_record_that_is_damaged_is_refused_by_its_name(damage: bytes, rollahead: Command) -> None:
    Path("old").mkdir()
    Path("old/ticks.parquet").write_bytes(damage)
    message = refusal(rollahead("identify", "run=old"), "identify")
    assert message.startswith("old/ticks.parquet cannot be read (")
    assert message.endswith("; make the run again, under another name")
    assert not Path("runs").exists()


def test_a_record_at_the_rate_of_the_robot_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    columns = stepped_ticks()
    sent, _, starts = read_record(recorded(at_rate(columns, 50.0)), SPEC)
    assert (len(sent), starts) == (len(columns["tick"]), [0])


REFUSED: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "no record": (["run=gone"], ("there are no ticks at gone/ticks.parquet", "run=")),
    "no time": (["hold_s=0"], ("hold_s is 0",)),
    "a share": (["share=0.7"], ("share is 0.7", "up to 0.5")),
    "a word": (["repeats=many"], ("repeats is 'many'", "a whole number")),
    "longer than any episode": (["hold_s=100"], ("95000 ticks", "lower hold_s")),
    "no option": (["holds=2"], ("'holds'", "did you mean 'hold_s'")),
    "another isolation": (["isolation=proces"], ("'proces'", "'process'")),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused_before_anything_moves(name: str, rollahead: Command) -> None:
    arguments, parts = REFUSED[name]
    message = refusal(rollahead("identify", *arguments), "identify")
    for part in parts:
        assert part in message
    assert not Path("runs").exists()
