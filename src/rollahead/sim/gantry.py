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
    <headlight ambient="0.5 0.5 0.5" diffuse="0.5 0.5 0.5" specular="0 0 0"/>
  </visual>
  <default><geom contype="0" conaffinity="0"/></default>
  <worldbody>
    <camera name="top" pos="0 0 1.3" xyaxes="1 0 0 0 1 0" fovy="45"/>
    <geom name="table" type="box" pos="0 0 -0.03" size="0.52 0.52 0.01" rgba="0.93 0.94 0.95 1"/>
    <body name="mole" mocap="true">
      <geom type="cylinder" size="0.02 0.008" rgba="0.86 0.24 0.18 1"/>
      <geom type="cylinder" size="0.03 0.004" rgba="0.55 0.35 0.25 1"/>
    </body>
    <body name="tool" pos="0 0 0.03">
      <joint name="x" type="slide" axis="1 0 0"/>
      <joint name="y" type="slide" axis="0 1 0"/>
      <geom type="cylinder" size="0.012 0.02" mass="{mass_kg}" rgba="0.12 0.35 0.75 1"/>
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

    def show_mole(self, x: float, y: float) -> None:
        """Puts the picture of the mole at (x, y)."""
        self.data.mocap_pos[0] = (x, y, 0.0)


def action_dims(mode: str) -> tuple[Dim, ...]:
    """What the gantry is sent in `mode`."""
    if mode == "velocity":
        return tuple(Dim(f"v{axis}", "m/s", Kind.VELOCITY, -SPEED, SPEED, drives=axis) for axis in "xy")
    return tuple(Dim(axis, "m", Kind.POSITION, -REACH_M, REACH_M, drives=axis) for axis in "xy")


def state_dims() -> tuple[Dim, ...]:
    """What it measures."""
    return (Dim("x", "m"), Dim("y", "m"), Dim("vx", "m/s", Kind.VELOCITY), Dim("vy", "m/s", Kind.VELOCITY))


@dataclass(frozen=True, slots=True)
class Model:
    """The gantry in plain floats: MuJoCo's implicit step of a servo with a force limit, per axis.

    scale: all its forces times this; a model that is wrong on purpose, for tests of what model error costs.
    """

    mode: str
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.scale <= 0:
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
