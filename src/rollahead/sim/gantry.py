"""A planar gantry in MuJoCo: a tool of 1 kg on two slide joints, driven by velocity or position servos.

Ticks of 20 ms, physics steps of 5 ms. A servo pulls with kv (u - v), at most 12 N, so the tool follows a velocity with
a lag of 1 / kv = 70 ms. In absolute mode the target a stands for the velocity (a - x) / 0.1 s.
`Model` is the same in plain floats, for experts and rollers; a test holds it to MuJoCo.
"""

from dataclasses import dataclass

import mujoco
import numpy as np

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.spec import Dim, Kind

RATE_HZ = 50.0
SUBSTEPS = 4  # physics steps per tick
PHYSICS_S = 0.005
MASS_KG = 1.0
KV = 14.0  # N s / m
KP = 140.0  # N / m, in absolute mode
FORCE_N = 12.0
SPEED = 1.5  # m/s, the most that an expert asks for
REACH_M = 0.5  # of the workspace, from the middle

State = tuple[float, float, float, float]  # x, y in m, vx, vy in m/s

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
    <camera name="top" pos="0 -0.5 1.05" xyaxes="1 0 0 0 0.9 0.43" fovy="48"/>
    <light pos="0.4 -0.4 2" dir="-0.2 0.2 -1" diffuse="0.5 0.5 0.5" castshadow="false"/>
    <geom name="table" type="box" pos="0 0 -0.02" size="0.48 0.48 0.01" rgba="0.42 0.62 0.47 1"/>
    <geom name="rail_near" type="box" pos="0 -0.46 0.05" size="0.48 0.012 0.012" rgba="0.45 0.47 0.5 1"/>
    <geom name="rail_far" type="box" pos="0 0.46 0.05" size="0.48 0.012 0.012" rgba="0.45 0.47 0.5 1"/>
    <body name="mole" mocap="true">
      <geom type="cylinder" size="0.038 0.002" rgba="0.3 0.22 0.17 1"/>
      <geom type="ellipsoid" size="0.024 0.024 0.03" rgba="0.86 0.33 0.2 1"/>
    </body>
    <body name="beam" mocap="true" pos="0 0 0.075">
      <geom type="box" size="0.016 0.47 0.01" rgba="0.62 0.65 0.7 1"/>
    </body>
    <body name="tool" pos="0 0 0.03">
      <joint name="x" type="slide" axis="1 0 0"/>
      <joint name="y" type="slide" axis="0 1 0"/>
      <geom type="cylinder" size="0.012 0.02" mass="{mass_kg}" rgba="0.12 0.35 0.75 1"/>
      <geom type="box" pos="0 0 0.045" size="0.026 0.026 0.014" mass="0" rgba="0.12 0.35 0.75 1"/>
    </body>
  </worldbody>
  <actuator>{servo_x}{servo_y}</actuator>
</mujoco>
"""


class Gantry:
    """The simulated machine. mode: `velocity` or `absolute`."""

    def __init__(self, mode: str) -> None:
        if mode not in _SERVO:
            raise unknown_name("action mode", mode, _SERVO)
        self.model = mujoco.MjModel.from_xml_string(
            _MJCF.format(
                physics_s=PHYSICS_S,
                mass_kg=MASS_KG,
                servo_x=_SERVO[mode].format(joint="x"),
                servo_y=_SERVO[mode].format(joint="y"),
            )
        )
        self.data = mujoco.MjData(self.model)

    def reset(self, x: float, y: float) -> None:
        """At rest at (x, y)."""
        mujoco.mj_resetData(self.model, self.data)
        self.data.qpos[:] = (x, y)
        mujoco.mj_forward(self.model, self.data)

    def step(self, action: FloatArray) -> None:
        """One tick under `action` (2,): velocities in m/s, or targets in m."""
        self.data.ctrl[:] = action
        mujoco.mj_step(self.model, self.data, SUBSTEPS)

    def state(self) -> FloatArray:
        """(4,): x, y, vx, vy."""
        return np.concatenate([self.data.qpos, self.data.qvel])

    def show(self, mole_x: float, mole_y: float) -> None:
        """Puts what is only seen where it belongs: the mole, and the beam above the tool."""
        self.data.mocap_pos[:] = (mole_x, mole_y, 0.0), (self.data.qpos[0], 0.0, 0.075)
        mujoco.mj_kinematics(self.model, self.data)


def action_dims(mode: str) -> tuple[Dim, ...]:
    """What the gantry is sent in `mode`."""
    if mode == "velocity":
        return tuple(Dim(f"v{axis}", "m/s", Kind.VELOCITY, -SPEED, SPEED, drives=axis) for axis in "xy")
    return tuple(Dim(axis, "m", Kind.POSITION, -REACH_M, REACH_M, drives=axis) for axis in "xy")


def state_dims() -> tuple[Dim, ...]:
    """What it measures."""
    rates = tuple(Dim(f"v{axis}", "m/s", Kind.VELOCITY, rate_of=axis) for axis in "xy")
    return (Dim("x", "m"), Dim("y", "m"), *rates)


@dataclass(frozen=True, slots=True)
class Model:
    """The gantry in plain floats: MuJoCo's implicit step of a servo with a force limit, per axis.

    scale: all its forces times this; a model that is wrong on purpose, for tests of what model error costs.
    """

    mode: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in _SERVO:
            raise unknown_name("action mode", self.mode, _SERVO)
        if not self.scale > 0:
            raise ConfigError(f"the model's scale is {self.scale}; give a positive one (1 is exact)")

    def axis(self, x: float, v: float, action: float) -> tuple[float, float]:
        """Position and velocity a tick later."""
        h = PHYSICS_S
        for _ in range(SUBSTEPS):
            pull = KV * (action - v) if self.mode == "velocity" else KP * (action - x) - KV * v
            if abs(pull) < FORCE_N:  # MuJoCo takes the damping implicitly, unless the force is at its limit
                v += h * self.scale * pull / (MASS_KG + h * self.scale * KV)
            else:
                v += h * self.scale * (FORCE_N if pull > 0 else -FORCE_N) / MASS_KG
            x += h * v
        return x, v

    def step(self, state: State, action: tuple[float, float]) -> State:
        """The state a tick later."""
        x, y, vx, vy = state
        x, vx = self.axis(x, vx, action[0])
        y, vy = self.axis(y, vy, action[1])
        return x, y, vx, vy

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """The model as a roller: the state (4,) after `rows` (n, 2)."""
        x, y, vx, vy = map(float, state)
        for ax, ay in rows.tolist():
            x, y, vx, vy = self.step((x, y, vx, vy), (ax, ay))
        return np.array([x, y, vx, vy])

    def command(self, x: float, velocity: float) -> float:
        """The action that asks for `velocity` at position `x`."""
        return velocity if self.mode == "velocity" else x + velocity * KV / KP
