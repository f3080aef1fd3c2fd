import math
from itertools import islice

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.types.spec import Kind, RobotSpec
from rollahead.sim.gantry import (
    FORCE_N,
    KP,
    KV,
    MASS_KG,
    PHYSICS_S,
    RATE_HZ,
    REACH_M,
    SPEED,
    SUBSTEPS,
    Disturbance,
    Gantry,
    Model,
    Scene,
    action_dims,
    anywhere,
    state_dims,
)

MODES = ("velocity", "absolute")


def at(mode: str, x: float, y: float, vx: float = 0.0, vy: float = 0.0) -> Gantry:
    gantry = Gantry(mode)
    gantry.reset(x, y)
    gantry.data.qvel[:] = (vx, vy)
    return gantry


@every("mode", MODES)
@every("seed", range(4))
def test_the_model_is_mujoco_to_the_last_digits_below_and_at_the_force_limit(mode: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    gantry, model = at(mode, *rng.uniform(-0.4, 0.4, 2), *rng.uniform(-1, 1, 2)), Model(mode)
    limited = 0
    for _ in range(300):
        size = 10.0 ** rng.uniform(-2, 0.7)  # from far below the limit to far above it
        action = size * rng.uniform(-1, 1, 2) + (0.0 if mode == "velocity" else gantry.state()[:2])
        expected = model.step(tuple(gantry.state().tolist()), tuple(action.tolist()))
        gantry.step(action)
        limited += int((np.abs(gantry.data.actuator_force) >= FORCE_N).any())
        np.testing.assert_allclose(gantry.state(), expected, rtol=0, atol=1e-12)
    assert 30 < limited < 270


@pytest.mark.parametrize("mode", MODES)
def test_many_ticks_of_the_model_are_many_ticks_of_mujoco(mode: str) -> None:
    rng = np.random.default_rng(5)
    rows = rng.uniform(-SPEED, SPEED, (200, 2)) * (1.0 if mode == "velocity" else KV / KP)
    gantry = at(mode, 0.1, -0.2)
    rolled = Model(mode)(gantry.state(), rows)
    for row in rows:
        gantry.step(row)
    np.testing.assert_allclose(rolled, gantry.state(), rtol=0, atol=1e-12)


@every("mode", MODES)
@every("place", [(0.0, 0.0), (0.3, -0.25), (-0.5, 0.5)])
def test_rest_stays_to_the_bit(mode: str, place: tuple[float, float]) -> None:
    gantry = at(mode, *place)
    stay = np.zeros(2) if mode == "velocity" else np.array(place)
    for _ in range(50):
        gantry.step(stay)
    assert gantry.state().tolist() == [*place, 0.0, 0.0]
    assert Model(mode)(np.array([*place, 0.0, 0.0]), np.tile(stay, (50, 1))).tolist() == [*place, 0.0, 0.0]


def test_the_tool_follows_a_velocity_with_a_lag_of_70_ms() -> None:
    gantry = at("velocity", 0.0, 0.0)
    share = 1 / (1 + PHYSICS_S * KV / MASS_KG)  # of the error that an implicit step leaves
    for n in range(1, 30):
        gantry.step(np.array([0.5, -0.2]))
        expected = np.array([0.5, -0.2]) * (1 - share ** (n * SUBSTEPS))
        np.testing.assert_allclose(gantry.state()[2:], expected, rtol=1e-12)
    tau_s = -PHYSICS_S / math.log(share)
    assert tau_s == pytest.approx(0.07, abs=0.005)


def test_no_force_exceeds_12_newtons() -> None:
    gantry = at("velocity", 0.0, 0.0)
    gantry.step(np.array([100.0, -100.0]))
    gained = FORCE_N / MASS_KG * SUBSTEPS * PHYSICS_S
    np.testing.assert_allclose(gantry.state()[2:], [gained, -gained], rtol=1e-12)


def test_an_absolute_target_stands_for_the_velocity_that_gets_there_in_a_tenth_of_a_second() -> None:
    for x in (-0.3, 0.0, 0.2):
        for velocity in (-0.8, 0.1, 0.6):
            target = Model("absolute").command(x, velocity)
            assert (target - x) / 0.1 == pytest.approx(velocity, rel=1e-12)
            assert Model("velocity").command(x, velocity) == velocity
            pulls = KP * (target - x), KV * velocity
            assert pulls[0] == pytest.approx(pulls[1], rel=1e-12)


@pytest.mark.parametrize("mode", MODES)
def test_a_tick_is_20_ms_of_simulated_time(mode: str) -> None:
    gantry = at(mode, 0.0, 0.0)
    for _ in range(50):
        gantry.step(np.zeros(2))
    assert gantry.data.time == pytest.approx(50 * 0.02, rel=1e-12)
    assert RATE_HZ == 50


@pytest.mark.parametrize("mode", MODES)
def test_rolling_over_no_rows_gives_the_state_and_rolling_writes_no_argument(mode: str) -> None:
    state, rows = np.array([0.1, 0.2, -0.3, 0.4]), np.full((7, 2), 0.3)
    np.testing.assert_array_equal(Model(mode)(state, np.empty((0, 2))), state)
    Model(mode)(state, rows)
    assert state.tolist() == [0.1, 0.2, -0.3, 0.4]
    assert (rows == 0.3).all()


def test_a_scaled_model_is_wrong_in_proportion() -> None:
    state, action = (0.0, 0.0, 0.0, 0.0), (0.4, -0.4)
    exact, weak = Model("velocity").step(state, action), Model("velocity", scale=0.5).step(state, action)
    assert 0.45 < weak[2] / exact[2] < 0.6
    assert weak[3] == -weak[2]


@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_a_scale_that_is_not_positive_is_refused(scale: float) -> None:
    with pytest.raises(ConfigError, match=f"{scale}.*positive"):
        Model("velocity", scale=scale)


def test_an_unknown_action_mode_is_refused_with_a_near_miss() -> None:
    with pytest.raises(ConfigError, match="no action mode 'velocty'; did you mean 'velocity'"):
        Gantry("velocty")


@pytest.mark.parametrize("mode", MODES)
def test_the_spec_says_what_an_action_is(mode: str) -> None:
    spec = RobotSpec(action=action_dims(mode), state=state_dims(), rate_hz=RATE_HZ)
    kind, unit, limit = {"velocity": (Kind.VELOCITY, "m/s", SPEED), "absolute": (Kind.POSITION, "m", REACH_M)}[mode]
    assert [(dim.kind, dim.unit, dim.high, -dim.low) for dim in spec.action] == [(kind, unit, limit, limit)] * 2
    assert [dim.drives for dim in spec.action] == [dim.name for dim in spec.state[:2]] == ["x", "y"]


# --- a scene about it ---

FLAG = '<body name="flag" mocap="true"><geom size="0.01"/></body>'
CRATE = """
<body name="crate" pos="0.3 0 0.03">
  <joint name="crate_x" type="slide" axis="1 0 0"/>
  <geom size="0.02" mass="0.5"/>
</body>
"""


def test_showing_a_scene_moves_what_is_named_and_the_beam_and_not_the_tool() -> None:
    gantry = Gantry("velocity", Scene(bodies=FLAG))
    gantry.reset(0.25, -0.1)
    before = gantry.state()
    gantry.show({"flag": (-0.2, 0.15)})
    np.testing.assert_array_equal(gantry.state(), before)
    np.testing.assert_allclose(gantry.data.body("flag").xpos, [-0.2, 0.15, 0.0], atol=1e-12)
    assert gantry.data.body("beam").xpos[0] == pytest.approx(0.25)
    assert gantry.data.body("tool").xpos[:2].tolist() == pytest.approx([0.25, -0.1])


@pytest.mark.parametrize("mode", MODES)
def test_what_moves_in_the_scene_is_no_part_of_the_state_and_changes_nothing_of_the_tool(mode: str) -> None:
    bare, with_crate = at(mode, 0.1, -0.2, 0.3, 0.0), Gantry(mode, Scene(bodies=CRATE))
    with_crate.place((0.1, -0.2, 0.3, 0.0))
    with_crate.data.qvel[2] = -0.7
    for row in np.random.default_rng(0).uniform(-0.5, 0.5, (40, 2)):
        bare.step(row)
        with_crate.step(row)
        np.testing.assert_allclose(with_crate.state(), bare.state(), rtol=0, atol=1e-12)
    assert with_crate.data.qpos[2] == pytest.approx(-0.7 * 0.8, rel=1e-9)


def test_the_tool_weighs_a_kilogram_whatever_it_looks_like() -> None:
    scene = Scene(tool='<geom size="0.2" mass="3"/>')
    assert Gantry("velocity", scene).model.body("tool").mass[0] == Gantry("velocity").model.body("tool").mass[0] == 1.0


def test_a_reset_puts_the_scene_where_it_began() -> None:
    gantry = Gantry("velocity", Scene(bodies=CRATE))
    gantry.data.qvel[2] = 1.0
    gantry.step(np.zeros(2))
    gantry.reset(0.1, 0.2)
    assert gantry.data.qpos.tolist() == [0.1, 0.2, 0.0]
    assert gantry.data.qvel.tolist() == [0.0] * 3


# --- what tasks on it share ---


def test_the_model_rolls_by_the_first_two_columns_alone() -> None:
    state, rows = np.array([0.1, 0.2, -0.3, 0.4]), np.random.default_rng(0).uniform(-1, 1, (9, 3))
    np.testing.assert_array_equal(Model("velocity")(state, rows), Model("velocity")(state, rows[:, :2]))


@pytest.mark.parametrize("mode", MODES)
def test_a_disturbance_is_drawn_once_and_then_is_none(mode: str) -> None:
    made = Disturbance(Model(mode), 0.02)
    pushes = np.array(list(islice(made.draw(np.random.default_rng(1), 400), 500)))
    assert pushes.shape == (500, 2)
    assert (pushes[400:] == 0).all()
    speeds = pushes[:400] * (1.0 if mode == "velocity" else KP / KV)
    assert speeds.std() == pytest.approx(0.02, rel=0.1)
    assert not np.array(list(islice(made.none(), 9))).any()


def test_a_negative_noise_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"noise is -0\.1; give a finite number of at least 0"):
        Disturbance(Model("velocity"), -0.1)


def test_a_tool_is_anywhere_and_rests_in_one_case_of_four() -> None:
    rng = np.random.default_rng(0)
    states = np.array([anywhere(rng) for _ in range(2000)])
    assert 0.34 < np.abs(states[:, :2]).max() <= 0.35
    assert 0.2 < (states[:, 2:] == 0).all(axis=1).mean() < 0.3
    assert states[:, 2:].std() == pytest.approx(0.4 * math.sqrt(0.75), rel=0.05)
