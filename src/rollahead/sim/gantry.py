"""A planar gantry in MuJoCo: a tool of 1 kg on two slide joints, driven by velocity or position servos.

Ticks are 20 ms, physics steps 5 ms. A servo's force is kv (u - v), at most 12 N, so the tool follows a velocity command
with a lag of 1 / kv = 70 ms. In absolute mode, a target position a acts like the velocity (a - x) / 0.1 s. `Model` is
the same dynamics in plain floats, for experts and rollers; a test compares it with MuJoCo.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from types import MappingProxyType

import mujoco
import numpy as np

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import Dim, Kind

RATE_HZ = 50.0
SUBSTEPS = 4  # physics steps per tick
PHYSICS_S = 0.005
MASS_KG = 1.0
KV = 14.0  # N s / m
KP = 140.0  # N / m, in absolute mode
FORCE_N = 12.0
SPEED = 1.5  # m/s, the largest velocity that an expert commands
REACH_M = 0.5  # half the width of the workspace
LONGEST_S = 3600.0  # the longest episode, because its random numbers are held in memory

State = tuple[float, float, float, float]  # x, y in m, vx, vy in m/s
NOWHERE: Mapping[str, tuple[float, float]] = MappingProxyType({})

_SERVO = {
    "velocity": f'<velocity joint="{{joint}}" kv="{KV}" forcerange="-{FORCE_N} {FORCE_N}"/>',
    "absolute": f'<position joint="{{joint}}" kp="{KP}" kv="{KV}" forcerange="-{FORCE_N} {FORCE_N}"/>',
}

_MJCF = """
<mujoco model="gantry">
  <option timestep="{physics_s}" gravity="0 0 0" integrator="implicitfast"/>
  <visual>
    <global offwidth="640" offheight="640"/>
    <rgba haze="0.97 0.97 0.98 1"/>
    <headlight ambient="0.5 0.5 0.5" diffuse="0.5 0.5 0.5" specular="0 0 0"/>
  </visual>
  <asset>
    <texture type="skybox" builtin="flat" rgb1="0.97 0.97 0.98" rgb2="0.97 0.97 0.98" width="32" height="32"/>
  </asset>
  <default><geom contype="0" conaffinity="0"/></default>
  <worldbody>
    <camera name="top" {camera}/>
    <light pos="0.4 -0.4 2" dir="-0.2 0.2 -1" diffuse="0.5 0.5 0.5" castshadow="false"/>
    {table}
    <body name="beam" mocap="true" pos="0 0 0.075">
      {beam}
    </body>
    <body name="tool" pos="0 0 0.03">
      <joint name="x" type="slide" axis="1 0 0"/>
      <joint name="y" type="slide" axis="0 1 0"/>
      <inertial pos="0 0 0" mass="{mass_kg}" diaginertia="0.001 0.001 0.001"/>
      {tool}
    </body>
    {bodies}
  </worldbody>
  <equality>{equality}</equality>
  <actuator>{servo_x}{servo_y}</actuator>
</mujoco>
"""
CAMERA = 'pos="0 -0.5 1.05" xyaxes="1 0 0 0 0.9 0.43" fovy="48"'
TABLE = """
    <geom name="table" type="box" pos="0 0 -0.02" size="0.48 0.48 0.01" rgba="0.42 0.62 0.47 1"/>
    <geom name="rail_near" type="box" pos="0 -0.46 0.05" size="0.48 0.012 0.012" rgba="0.45 0.47 0.5 1"/>
    <geom name="rail_far" type="box" pos="0 0.46 0.05" size="0.48 0.012 0.012" rgba="0.45 0.47 0.5 1"/>
"""
BEAM = '<geom type="box" size="0.016 0.47 0.01" rgba="0.62 0.65 0.7 1"/>'
PEG = """
      <geom type="cylinder" size="0.012 0.02" rgba="0.12 0.35 0.75 1"/>
      <geom type="box" pos="0 0 0.045" size="0.026 0.026 0.014" rgba="0.12 0.35 0.75 1"/>
"""


@dataclass(frozen=True, slots=True)
class Scene:
    """The bodies around the gantry and on it, as MJCF.

    Attributes:
        bodies: Bodies of the task. Those that are only shown are mocap bodies, those that move in the simulation have
            joints.
        tool: Geoms of the tool, which do not change its mass.
        beam: Geoms of the beam.
        table: Geoms of the table.
        camera: Position of the camera `top`.
        equality: Constraints between joints of bodies and the tool's joints, `x` and `y`.
    """

    bodies: str = ""
    tool: str = PEG
    beam: str = BEAM
    table: str = TABLE
    camera: str = CAMERA
    equality: str = ""


BARE = Scene()


class Gantry:
    """The simulated gantry.

    Args:
        mode: Kind of action, `velocity` or `absolute`.
        scene: Bodies around it.
    """

    def __init__(self, mode: str, scene: Scene = BARE) -> None:
        if mode not in _SERVO:
            raise unknown_name("action mode", mode, _SERVO)
        self.model = mujoco.MjModel.from_xml_string(
            _MJCF.format(
                physics_s=PHYSICS_S,
                mass_kg=MASS_KG,
                servo_x=_SERVO[mode].format(joint="x"),
                servo_y=_SERVO[mode].format(joint="y"),
                bodies=scene.bodies,
                tool=scene.tool,
                beam=scene.beam,
                table=scene.table,
                camera=scene.camera,
                equality=scene.equality,
            )
        )
        self.data = mujoco.MjData(self.model)

    def reset(self, x: float, y: float) -> None:
        """Puts the tool at rest at (x, y) in m, and all bodies where the scene has them."""
        self.place((x, y, 0.0, 0.0))

    def place(self, state: Sequence[float]) -> None:
        """Puts the tool at `state` (4,), and all bodies where the scene has them."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:2], self.data.qvel[:2] = state[:2], state[2:]
        mujoco.mj_forward(self.model, self.data)

    def step(self, action: FloatArray) -> None:
        """Simulates one tick under `action` (2,): velocities in m/s, or targets in m."""
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, SUBSTEPS)

    def state(self) -> FloatArray:
        """The state of the tool, (4,): x, y in m, vx, vy in m/s."""
        return np.concatenate([self.data.qpos[:2], self.data.qvel[:2]])

    def show(self, places: Mapping[str, tuple[float, float]] = NOWHERE) -> None:
        """Places the bodies that are only shown: the mocap bodies in `places`, by name, and the beam above the tool."""
        for name, place in {**places, "beam": (self.data.qpos[0], 0.0)}.items():
            self.data.mocap_pos[self.model.body(name).mocapid[0], :2] = place
        mujoco.mj_kinematics(self.model, self.data)


def action_dims(mode: str) -> tuple[Dim, ...]:
    """The gantry's action dimensions in `mode`."""
    if mode == "velocity":
        return tuple(Dim(f"v{axis}", "m/s", Kind.VELOCITY, -SPEED, SPEED, drives=axis) for axis in "xy")
    return tuple(Dim(axis, "m", Kind.POSITION, -REACH_M, REACH_M, drives=axis) for axis in "xy")


def state_dims() -> tuple[Dim, ...]:
    """The gantry's state dimensions."""
    rates = tuple(Dim(f"v{axis}", "m/s", Kind.VELOCITY, rate_of=axis) for axis in "xy")
    return (Dim("x", "m"), Dim("y", "m"), *rates)


def anywhere(rng: np.random.Generator) -> State:
    """A random state of the tool, for the beginning of a demonstration.

    It is within 35 cm of the middle along each axis, at rest in a quarter of the cases, else at some 0.4 m/s.
    """
    x, y = rng.uniform(-0.35, 0.35, 2).tolist()
    vx, vy = (0.4 * rng.standard_normal(2) * (rng.random() < 0.75)).tolist()
    return x, y, vx, vy


class Disturbance:
    """Noise on the servos' input: a random velocity with the standard deviation `noise`, in m/s, in either mode."""

    def __init__(self, model: "Model", noise: float) -> None:
        if not 0 <= noise < math.inf:
            raise ConfigError(f"noise is {noise}; give a finite number of at least 0")
        self._scale = noise * (1.0 if model.mode == "velocity" else abs(model.command(0.0, 1.0)))

    def draw(self, rng: np.random.Generator, ticks: int) -> Iterator[FloatArray]:
        """Noise (2,) for each of `ticks` ticks, and zeros after them."""
        return chain(self._scale * rng.standard_normal((ticks, 2)), self.none())

    def none(self) -> Iterator[FloatArray]:
        """Zeros (2,) without end."""
        return repeat(np.zeros(2))


@dataclass(frozen=True, slots=True)
class Model:
    """The gantry in plain floats: MuJoCo's implicit step of a servo with a force limit, per axis.

    Attributes:
        mode: Kind of action, `velocity` or `absolute`.
        scale: Factor of all forces. Other values than 1 give a wrong model, to measure the cost of model errors.
    """

    mode: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in _SERVO:
            raise unknown_name("action mode", self.mode, _SERVO)
        if not self.scale > 0:
            raise ConfigError(f"the model's scale is {self.scale}; give a positive one (1 is exact)")

    def axis(self, x: float, v: float, action: float) -> tuple[float, float]:
        """The position and the velocity of an axis one tick later."""
        h = PHYSICS_S
        for _ in range(SUBSTEPS):
            pull = KV * (action - v) if self.mode == "velocity" else KP * (action - x) - KV * v
            if abs(pull) < FORCE_N:  # MuJoCo treats the damping implicitly, unless the force is at its limit
                v += h * self.scale * pull / (MASS_KG + h * self.scale * KV)
            else:
                v += h * self.scale * (FORCE_N if pull > 0 else -FORCE_N) / MASS_KG
            x += h * v
        return x, v

    def step(self, state: State, action: tuple[float, float]) -> State:
        """The state one tick later."""
        x, y, vx, vy = state
        x, vx = self.axis(x, vx, action[0])
        y, vy = self.axis(y, vy, action[1])
        return x, y, vx, vy

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """The state (4,) after `rows` (n, 2 or more), whose first two columns move the tool.

        This makes the model a roller.
        """
        x, y, vx, vy = map(float, state)
        for ax, ay in rows[:, :2].tolist():
            x, y, vx, vy = self.step((x, y, vx, vy), (ax, ay))
        return np.array([x, y, vx, vy])

    def command(self, x: float, velocity: float) -> float:
        """The action that asks for `velocity` in m/s at position `x` in m."""
        return velocity if self.mode == "velocity" else x + velocity * KV / KP
