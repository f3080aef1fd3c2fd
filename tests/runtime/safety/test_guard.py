import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.safety.guard import Flag, Guard, GuardConfig, Workspace, flag_names
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.robot import Reading
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

RATE_HZ = 10.0
HERE = frozen([0.0, 0.0, 0.0, 0.0])
STATE = frozen([0.0, 0.0])


def spec(**limits: Any) -> RobotSpec:
    """A position, a velocity, a step and a switch; limits are those of the first three."""
    return RobotSpec(
        action=(
            Dim("x", low=-2.0, high=2.0, drives="x", **limits),
            Dim("v", kind=Kind.VELOCITY, low=-2.0, high=2.0, drives="y", **limits),
            Dim("step", kind=Kind.DELTA, low=-2.0, high=2.0, **limits),
            Dim("grip", kind=Kind.DISCRETE, low=0.0, high=1.0),
        ),
        state=(Dim("x"), Dim("y")),
        rate_hz=RATE_HZ,
    )


def guarded(robot: RobotSpec | None = None, start: FloatArray = HERE, substeps: int = 1, **config: Any) -> Guard:
    guard = Guard(robot or spec(), GuardConfig(**config), substeps=substeps)
    guard.rejoin(start)
    return guard


def passed(guard: Guard, *rows: list[float], state: FloatArray = STATE) -> list[tuple[list[float], Flag]]:
    return [(sent.tolist(), Flag(flags)) for sent, flags in (guard(frozen(row), state) for row in rows)]


# ---- what passes ----------------------------------------------------------------------------------------------------


@every("limits", [{}, {"rate_limit": 5.0}, {"accel_limit": 50.0}, {"jump_limit": 0.6}])
@every("substeps", [1, 4])
def test_a_stream_that_keeps_every_limit_passes_to_the_bit(limits: dict[str, float], substeps: int) -> None:
    guard = guarded(spec(**limits), substeps=substeps)
    rng = np.random.default_rng(0)
    step, row = np.zeros(4), np.zeros(4)
    share = np.array([1.0, 1.0, 1.0 / substeps, 1.0])  # a step of the tick comes in shares
    for _ in range(300):
        step = np.clip(step + share * rng.uniform(-0.02, 0.02, 4), -0.1 * share, 0.1 * share)
        row = np.clip(row + step, share * [-1.9, -0.5, -0.5, 0.0], share * [1.9, 0.5, 0.5, 1.0])
        step = np.zeros(4) if (np.abs(row) >= 0.5).any() else step
        if np.abs(row).max() >= 0.5:
            break
        sent, flags = guard(frozen(row), STATE)
        assert sent.tolist() == row.tolist()
        assert flags == 0


def test_a_disabled_guard_lets_everything_pass() -> None:
    rows = [[np.nan, 9.0, -9.0, 4.0], [1e9, 0.0, 0.0, 0.0]]
    np.testing.assert_array_equal([row for row, _ in passed(guarded(enabled=False), *rows)], rows)


# ---- refusals -------------------------------------------------------------------------------------------------------


@every("at", range(4))
@every("bad", [np.nan, np.inf, -np.inf])
def test_what_is_no_number_is_refused_and_the_last_setpoint_held(at: int, bad: float) -> None:
    guard = guarded(spec(rate_limit=50.0))
    good = [0.5, 0.4, 0.3, 1.0]
    broken = [bad if j == at else value for j, value in enumerate(good)]
    (_, fine), (held, flags), (again, after) = passed(guard, good, broken, good)
    assert held == [0.5, 0.0, 0.0, 1.0]  # velocities and steps brake
    assert (fine, flags, after) == (Flag(0), Flag.NAN, Flag(0))
    assert again == good


def test_braking_keeps_the_rate_limit() -> None:
    guard = guarded(spec(rate_limit=3.0))
    rows = passed(guard, [0.0, 0.3, 0.3, 0.0], [0.0, 0.6, 0.6, 0.0], *[[np.nan] * 4] * 3)
    assert [row[1] for row, _ in rows] == pytest.approx([0.3, 0.6, 0.3, 0.0, 0.0])


def test_what_is_refused_before_anything_is_known_moves_nothing() -> None:
    guard = Guard(spec(), GuardConfig())
    sent, flags = guard(frozen([np.nan, 1.0, 1.0, 0.0]), STATE)
    assert sent.tolist() == [0.0, 0.0, 0.0, 0.0]
    assert flags == Flag.NAN


@pytest.mark.parametrize("jump, refused", [(0.29, False), (0.31, True), (-0.31, True), (-0.29, False)])
def test_a_jump_is_refused_by_position_and_a_step_by_its_own_size(jump: float, refused: bool) -> None:
    for row in ([jump, 0.0, 0.0, 0.0], [0.0, 0.0, jump, 0.0]):
        [(sent, flags)] = passed(guarded(spec(jump_limit=0.3)), row)
        assert (sent, flags) == ((HERE.tolist(), Flag.JUMP) if refused else (row, Flag(0)))


def test_a_refused_jump_does_not_become_the_point_to_jump_from() -> None:
    guard = guarded(spec(jump_limit=0.3))
    assert [flags for _, flags in passed(guard, *[[1.0, 0.0, 0.0, 0.0]] * 5)] == [Flag.JUMP] * 5


# ---- limits ---------------------------------------------------------------------------------------------------------


def test_a_setpoint_out_of_range_goes_to_the_edge() -> None:
    assert passed(guarded(), [3.0, -3.0, 2.5, 1.5]) == [([2.0, -2.0, 2.0, 1.0], Flag.RANGE)]


@pytest.mark.parametrize("substeps", [1, 2, 5])
def test_the_rate_limit_holds_from_setpoint_to_setpoint(substeps: int) -> None:
    guard = guarded(spec(rate_limit=1.0), substeps=substeps)
    rows = passed(guard, *[[1.0, 0.0, 0.0, 0.0]] * (10 * substeps))
    most = 1.0 / RATE_HZ / substeps
    np.testing.assert_allclose([row[0] for row, _ in rows], most * np.arange(1, 10 * substeps + 1))
    assert [flags for _, flags in rows[:-1]] == [Flag.RATE] * (10 * substeps - 1)


def test_no_stream_passes_a_limit() -> None:
    rng = np.random.default_rng(5)
    robot = spec(rate_limit=4.0, accel_limit=60.0)
    guard = guarded(robot)
    sent = np.array([guard(frozen(rng.uniform(-4, 4, 4)), STATE)[0] for _ in range(500)])
    assert (np.abs(sent[:, :3]) <= 2.0).all()
    steps = np.diff(sent, axis=0, prepend=0.0)[:, :3]
    assert (np.abs(steps) <= 0.4 + 1e-9).all()
    changes, inside = np.diff(steps, axis=0), np.abs(sent[1:, :3]) < 2.0  # hard limits come last
    assert (np.abs(changes)[inside] <= 0.6 + 1e-9).all()


def test_flags_say_which_limit_it_was() -> None:
    assert passed(guarded(spec(rate_limit=1.0)), [1.0, 0.0, 0.0, 0.0])[0][1] == Flag.RATE
    assert passed(guarded(spec(accel_limit=1.0)), [1.0, 0.0, 0.0, 0.0])[0][1] == Flag.ACCEL
    assert passed(guarded(spec(rate_limit=1.0)), [3.0, 0.0, 0.0, 0.0])[0][1] == Flag.RANGE | Flag.RATE
    assert flag_names(Flag.RANGE | Flag.RATE) == "range, rate"
    assert flag_names(0) == ""


def test_discrete_dimensions_are_neither_slowed_nor_eased() -> None:
    assert passed(guarded(spec(rate_limit=0.1), ramp_s=1.0), [0.0, 0.0, 0.0, 1.0])[0][0][3] == 1.0


# ---- the ramp -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("substeps", [1, 3])
def test_the_ramp_goes_from_where_the_robot_is_to_what_is_asked_and_then_lets_pass(substeps: int) -> None:
    start, asked = frozen([1.0, 0.0, 0.0, 0.0]), [0.0, 1.0, 0.5, 0.0]
    n = 10 * substeps
    rows = passed(guarded(start=start, substeps=substeps, ramp_s=1.0), *[asked] * (n + 2))
    share = (1 - np.cos(np.pi * np.arange(1, n + 1) / n)) / 2
    sent = np.array([row for row, _ in rows])
    np.testing.assert_allclose(sent[:n, :3], np.stack([1 - share, share, 0.5 * share], axis=1), atol=1e-12)
    assert [flags for _, flags in rows] == [Flag.RAMP] * n + [Flag(0)] * 2
    assert sent[n:].tolist() == [asked] * 2


def test_rejoining_begins_the_ramp_anew() -> None:
    guard = guarded(ramp_s=0.2)
    passed(guard, *[[1.0, 0.0, 0.0, 0.0]] * 3)
    guard.rejoin(frozen([0.5, 0.0, 0.0, 0.0]))
    [(sent, flags)] = passed(guard, [1.0, 0.0, 0.0, 0.0])
    assert (sent[0], flags) == (pytest.approx(0.75), Flag.RAMP)


# ---- edges and workspace --------------------------------------------------------------------------------------------


def edged(rate: float = math.inf) -> RobotSpec:
    """x, y in [-1, 1], by target, and by velocity."""
    robot = spec()
    x, v, step, grip = robot.action
    return replace(
        robot,
        action=(x, replace(v, rate_limit=rate), replace(step, drives="y"), grip),
        state=(Dim("x", low=-1.0, high=1.0), Dim("y", low=-1.0, high=1.0)),
    )


def test_a_target_stays_inside_the_range_of_what_it_drives() -> None:
    assert passed(guarded(edged()), [1.5, 0.0, 0.0, 0.0]) == [([1.0, 0.0, 0.0, 0.0], Flag.BOX)]


@pytest.mark.parametrize("y", [0.9, 0.99, 1.0, 1.2])
def test_a_velocity_or_a_step_towards_an_edge_does_not_pass_it_and_away_from_it_is_free(y: float) -> None:
    state = frozen([0.0, y])
    room = max(1.0 - y, 0.0)
    [(sent, flags)] = passed(guarded(edged()), [0.0, 2.0, 2.0, 0.0], state=state)
    assert sent[1] == pytest.approx(room * RATE_HZ)
    assert sent[2] == pytest.approx(room)
    assert flags == Flag.BOX
    assert passed(guarded(edged()), [0.0, -2.0, -1.5, 0.0], state=state) == [([0.0, -2.0, -1.5, 0.0], Flag(0))]


def test_a_velocity_that_can_brake_so_hard_never_passes_the_edge() -> None:
    robot = edged(rate=2.0)
    guard, y = guarded(robot), 0.0
    for _ in range(200):
        guard.tick()
        sent, _ = guard(frozen([0.0, 2.0, 0.0, 0.0]), frozen([0.0, y]))
        y += float(sent[1]) / RATE_HZ
        assert y <= 1.0 + 1e-9
    assert y == pytest.approx(1.0, abs=0.02)


def test_an_angle_that_turns_has_no_edge() -> None:
    turn = Dim("x", "rad", low=-math.pi, high=math.pi)
    robot = RobotSpec((Dim("x", drives="x"),), (turn,), RATE_HZ)
    guard = guarded(robot, frozen([3.0]))
    assert guard(frozen([3.5]), frozen([3.0]))[1] == 0


def test_a_tool_outside_the_workspace_is_refused_as_a_whole() -> None:
    box = Workspace((-1.0, -1.0, -1.0), (1.0, 1.0, 1.0), lambda setpoint: setpoint[[0, 0, 3]])
    rows = passed(guarded(workspace=box), [0.9, 0.1, 0.0, 1.0], [1.1, 0.2, 0.0, 1.0], [1.0, 0.2, 0.0, 1.0])
    assert [flags for _, flags in rows] == [Flag(0), Flag.BOX, Flag(0)]
    assert rows[1][0] == [0.9, 0.0, 0.0, 1.0]


# ---- states ---------------------------------------------------------------------------------------------------------


@every("age", range(8))
def test_a_state_is_stale_when_it_is_older_than_allowed(age: int) -> None:
    assert guarded(stale_ticks=3).check(Reading(STATE, age=age), None) == (Flag.STALE if age > 3 else 0)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_state_that_is_no_number_is_not_usable(bad: float) -> None:
    assert guarded().check(Reading(frozen([0.0, bad])), None) == Flag.NAN
    assert guarded().check(Reading(STATE, frozen([bad])), None) == Flag.NAN


@pytest.mark.parametrize("frozen_ticks", [1, 3, None])
def test_a_state_that_repeats_itself_while_what_is_sent_changes_is_stale(frozen_ticks: int | None) -> None:
    guard = guarded(frozen_ticks=frozen_ticks)
    flags = [guard.check(Reading(frozen([1.0, 2.0])), frozen([0.1 * k, 0.0, 0.0, 0.0])) for k in range(6)]
    since = 99 if frozen_ticks is None else frozen_ticks
    assert flags == [Flag.STALE if k >= since else 0 for k in range(6)]


def test_a_robot_that_is_told_to_stand_may_repeat_itself() -> None:
    guard = guarded(frozen_ticks=1)
    assert not any(guard.check(Reading(frozen([1.0, 2.0])), HERE) for _ in range(10))


# ---- bad input ------------------------------------------------------------------------------------------------------


def test_limits_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"the ramp takes -1.0 s"):
        GuardConfig(ramp_s=-1.0)
    with pytest.raises(ConfigError, match="stale_ticks is -1"):
        GuardConfig(stale_ticks=-1)
    with pytest.raises(ConfigError, match="give_up_ticks 0"):
        GuardConfig(give_up_ticks=0)
    with pytest.raises(ConfigError, match="each below its high"):
        Workspace((0.0, 0.0, 0.0), (1.0, 0.0, 1.0), lambda setpoint: setpoint[:3])
    for limit in ("rate_limit", "accel_limit", "jump_limit"):
        with pytest.raises(ConfigError, match=f"{limit} 0.0; give a positive one"):
            Dim("x", **{limit: 0.0})


# ---- what a step, an edge and a turn are --------------------------------------------------------------------------


def step_robot(**limits: Any) -> RobotSpec:
    return RobotSpec((Dim("step", kind=Kind.DELTA, drives="y", **limits),), (Dim("y", low=-1.0, high=1.0),), RATE_HZ)


@every("substeps", [1, 2, 10])
@every("limits", [{"low": -0.1, "high": 0.1}, {"jump_limit": 0.1}])
def test_the_limits_of_a_step_are_of_the_whole_tick_however_many_setpoints_it_comes_as(
    substeps: int, limits: dict[str, float]
) -> None:
    guard = guarded(step_robot(**limits), frozen([0.0]), substeps)
    sent = [guard(frozen([0.5 / substeps]), frozen([0.0]))[0][0] for _ in range(substeps)]
    assert sum(sent) <= 0.1 + 1e-12


@pytest.mark.parametrize("substeps", [1, 2, 10])
def test_the_steps_of_a_tick_together_do_not_pass_an_edge(substeps: int) -> None:
    guard = guarded(step_robot(), frozen([0.0]), substeps)
    assert sum(guard(frozen([0.5 / substeps]), frozen([0.98]))[0][0] for _ in range(substeps)) <= 0.02 + 1e-12


@pytest.mark.parametrize("substeps", [1, 2, 5])
def test_a_step_changes_no_faster_from_tick_to_tick_than_it_may_however_it_is_shared_out(substeps: int) -> None:
    guard = guarded(step_robot(rate_limit=0.2 * RATE_HZ), frozen([0.0]), substeps)
    steps = [sum(guard(frozen([0.9 / substeps]), frozen([0.0]))[0][0] for _ in range(substeps)) for _ in range(6)]
    assert np.diff([0.0, *steps]).max() <= 0.2 + 1e-9


@pytest.mark.parametrize("start", [-105.0, 140.0])
@pytest.mark.parametrize("ramp_s", [0.0, 1.0])
def test_a_robot_found_outside_its_range_comes_in_at_its_rate(start: float, ramp_s: float) -> None:
    robot = RobotSpec((Dim("x", low=-90.0, high=90.0, rate_limit=2.0, drives="x"),), (Dim("x"),), RATE_HZ)
    guard = guarded(robot, frozen([start]), ramp_s=ramp_s)
    sent = [start, *(guard(frozen([0.0]), frozen([start]))[0][0] for _ in range(40))]
    assert np.abs(np.diff(sent)).max() <= 2.0 / RATE_HZ + 1e-9
    assert abs(sent[-1]) < abs(start)


@pytest.mark.parametrize("start", [1.4, -1.4])
@pytest.mark.parametrize("asked", [2.0, 0.0])
def test_a_target_beyond_the_states_edge_comes_in_at_its_rate_whatever_is_asked(start: float, asked: float) -> None:
    robot = RobotSpec((Dim("x", rate_limit=1.0, drives="x"),), (Dim("x", low=-1.0, high=1.0),), RATE_HZ)
    guard = guarded(robot, frozen([start]))
    sent = [guard(frozen([asked * start]), frozen([start]))[0][0] for _ in range(3)]
    assert np.abs(sent) == pytest.approx([1.3, 1.2, 1.1])


def driven(kind: Kind, **limits: float) -> RobotSpec:
    return RobotSpec((Dim("v", kind=kind, drives="y", **limits),), (Dim("y", low=-1.0, high=1.0),), RATE_HZ)


@every("age", [0, 1, 3, 5])
@every("kind", [Kind.VELOCITY, Kind.DELTA])
@every("limits", [{}, {"rate_limit": 1.0}, {"rate_limit": 1.0, "accel_limit": 4.0}])
@every("substeps", [1, 4])
def test_an_axis_stops_before_its_edge_within_its_limits_also_where_the_state_is_old(
    age: int, kind: Kind, limits: dict[str, float], substeps: int
) -> None:
    guard = guarded(driven(kind, **limits), frozen([0.0]), substeps)
    share, dt = 1 / substeps if kind is Kind.DELTA else 1.0, 1 / RATE_HZ / substeps
    heads, sent, y = [0.0] * (age + 1), [0.0, 0.0], 0.0
    for k in range(120):
        heads.append(y)
        guard.tick()
        for _ in range(substeps):
            asked = 0.5 if k < 70 else -0.5
            sent.append(float(guard(frozen([asked * share]), frozen([heads[-1 - age]]), age)[0][0]))
            y += sent[-1] * (dt if kind is Kind.VELOCITY else 1.0)
            assert abs(y) <= 1.0 + 1e-9
    assert np.abs(np.diff(sent)).max() <= limits.get("rate_limit", np.inf) * share * dt + 1e-9
    assert np.abs(np.diff(sent, 2)).max() <= limits.get("accel_limit", np.inf) * share * dt**2 + 1e-9
    assert max(heads) > 0.75
    assert min(heads) < (0.5 if kind is Kind.VELOCITY else -0.75)


def test_an_axis_that_something_else_has_moved_to_its_edge_brakes_as_hard_as_it_may() -> None:
    guard = guarded(driven(Kind.VELOCITY, rate_limit=2.0), frozen([0.0]))
    sent = []
    for k in range(12):
        guard.tick()
        sent.append(float(guard(frozen([0.6]), frozen([0.0 if k < 6 else 1.0]))[0][0]))
    assert sent[5] == 0.6
    assert sent[6:10] == pytest.approx([0.4, 0.2, 0.0, 0.0])


def test_a_turn_is_eased_the_short_way_round() -> None:
    turn = tuple(Dim(f"r{axis}", "rad", Kind.ROTATION, drives="x") for axis in "xyz")
    robot = RobotSpec(turn, (Dim("x"),), RATE_HZ)
    guard = guarded(robot, frozen([3.13, 0.0, 0.0]), ramp_s=1.0)
    sent = [guard(frozen([-3.13, 0.0, 0.0]), frozen([0.0]))[0] for _ in range(round(RATE_HZ))]
    assert all(np.linalg.norm(row) > 3.1 for row in sent)  # it never comes by the other side


def test_a_limit_on_a_component_of_a_turn_is_refused() -> None:
    turn = (*(Dim(f"r{axis}", "rad", Kind.ROTATION, drives="x") for axis in "xy"),)
    robot = RobotSpec((*turn, Dim("rz", "rad", Kind.ROTATION, drives="x", rate_limit=1.0)), (Dim("x"),), RATE_HZ)
    with pytest.raises(ConfigError, match="'rz' is a component of a rotation and has a rate_limit"):
        Guard(robot, GuardConfig())


def test_a_setpoint_that_the_workspace_refuses_is_no_step_of_the_ramp() -> None:
    space = Workspace((-1.0,) * 3, (1.0,) * 3, lambda setpoint: np.array([setpoint[0], 0.0, 0.0]))
    robot = RobotSpec((Dim("x", drives="x"),), (Dim("x"),), RATE_HZ)
    guard = guarded(robot, frozen([0.9]), ramp_s=1.0, workspace=space)
    for _ in range(60):
        guard(frozen([50.0]), frozen([0.9]))  # refused, but for the first of the ramp
    steps = np.diff([guard(frozen([-0.9]), frozen([0.9]))[0][0] for _ in range(40)])
    assert np.abs(steps).max() < 1.8 * np.pi / 2 / RATE_HZ * 1.2
