"""Belt: an object arrives on a conveyor, and the tool must catch up with it and follow it.

An episode is one object. The tool rests on the previous one, with the belt standing, until the next object arrives at a
random tick. The belt changes its speed at random times. The object is caught when the tool is within 2 cm of it, with a
relative speed below 0.2 m/s, for 5 ticks, within `window_s` and before the object leaves.
"""

import math

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import SceneRoller, StateRoller
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import Dim, RobotSpec
from rollahead.sim.event import LEAD, NEVER, PHASE, draw_tick
from rollahead.sim.gantry import (
    LONGEST_S,
    RATE_HZ,
    Disturbance,
    Gantry,
    Model,
    Scene,
    State,
    action_dims,
    anywhere,
    state_dims,
)
from rollahead.sim.servo_to import follow
from rollahead.sim.task import TaskBase

Object = tuple[float, float, float]  # x, y in m, vx in m/s

RADIUS_M = 0.02
SLOW = 0.2  # m/s
DWELL = 5  # ticks
START_M = -0.35  # x at which an object arrives
END_M = 0.5  # x at which it leaves; in a demonstration it stops there
SIDE_M = 0.25  # objects are within this of the belt's middle
SPEEDS = (0.15, 0.45)  # m/s
CHANGES_PER_S = 0.3

SCENE = Scene(
    table="""
    <geom type="box" pos="0 0 -0.02" size="0.54 0.48 0.01" rgba="0.42 0.62 0.47 1"/>
    <geom type="box" pos="0 0 -0.008" size="0.54 0.3 0.004" rgba="0.3 0.32 0.35 1"/>
    <geom type="box" pos="0 -0.305 -0.004" size="0.54 0.008 0.012" rgba="0.86 0.74 0.3 1"/>
    <geom type="box" pos="0 0.305 -0.004" size="0.54 0.008 0.012" rgba="0.86 0.74 0.3 1"/>
    <geom type="box" pos="0 -0.46 0.05" size="0.54 0.012 0.012" rgba="0.45 0.47 0.5 1"/>
    <geom type="box" pos="0 0.46 0.05" size="0.54 0.012 0.012" rgba="0.45 0.47 0.5 1"/>
    """,
    bodies="""
    <body name="obj" mocap="true">
      <geom type="box" pos="0 0 0.008" size="0.036 0.036 0.012" rgba="0.86 0.33 0.2 1"/>
    </body>
    """,
)


class Belt(TaskBase):
    """The conveyor task.

    Args:
        mode: Kind of action, `velocity` or `absolute`.
        window_s: Time to catch the object, in seconds.
        noise: Standard deviation of the noise on the servos' input, in m/s.
    """

    def __init__(self, mode: str = "velocity", window_s: float = 1.6, noise: float = 0.02) -> None:
        if not 1 <= window_s * RATE_HZ <= LONGEST_S * RATE_HZ:
            raise ConfigError(f"window_s is {window_s}; give from 0.02 s to {LONGEST_S:g} s")
        self._gantry = Gantry(mode, SCENE)
        self._model = Model(mode)
        self._disturbance = Disturbance(self._model, noise)
        self._window = round(window_s * RATE_HZ)
        self.spec = RobotSpec(
            action=action_dims(mode),
            state=state_dims(),
            environment=(Dim("obj_x", "m"), Dim("obj_y", "m"), Dim("obj_vx", "m/s", rate_of="obj_x")),
            rate_hz=RATE_HZ,
        )
        self.max_ticks = LEAD + PHASE + self._window
        self.model, self.data = self._gantry.model, self._gantry.data
        self.reset(0)

    def reset(self, seed: int, *, event: bool = True) -> None:
        """Begins an episode, with the tool at rest on an object that stands. All random numbers are drawn here."""
        rng = np.random.default_rng(seed)
        stands = _standing(rng)
        self._next = _incoming(rng)
        self.event_tick = draw_tick(rng)
        self._changes = _draw_changes(rng, self._window)
        self._pushes = self._disturbance.draw(rng, self.max_ticks)
        self._begin((*stands[:2], 0.0, 0.0), stands, event=event)

    def scatter(self, seed: int) -> None:
        """Begins a demonstration, as `Teachable` says.

        In a quarter of them the tool is at rest and an object arrives.
        """
        rng = generator("scatter", seed)
        self.event_tick = NEVER
        self._pushes = self._disturbance.none()
        if rng.random() < 0.25:
            self._begin((*_standing(rng)[:2], 0.0, 0.0), _incoming(rng))
        else:
            self._begin(anywhere(rng), _on_the_belt(rng))

    def _begin(self, tool: State, seen: Object, *, event: bool = True) -> None:
        self._object = seen
        self._event = event
        self._tick = self._dwell = 0
        self.done = self.success = False
        self._gantry.place(tool)

    def state(self) -> FloatArray:
        """(4,): x, y in m, vx, vy in m/s."""
        return frozen(self._gantry.state())

    def environment(self) -> FloatArray:
        """(3,): x, y in m and vx in m/s of the object."""
        return frozen(np.array(self._object))

    def advance(self, action: FloatArray) -> None:
        """Simulates one tick under `action` (2,)."""
        self._gantry.step(action + next(self._pushes))
        self._tick += 1
        shown = self._tick - self.event_tick  # ticks since the object arrived
        self._object = self._moved(shown)
        self._dwell = self._dwell + 1 if shown > 0 and self._caught() else 0
        self.success = self._event and self._dwell >= DWELL
        self.done = self.success or shown >= self._window or (shown > 0 and self._object[0] >= END_M)

    def _moved(self, shown: int) -> Object:
        """The object one tick later."""
        if shown == 0 and self._event:
            return self._next
        x, y, vx = carried(self._object)
        changed = self._changes.get(shown) if self._event else None
        return x, y, vx if changed is None else changed

    def _caught(self) -> bool:
        x, y, vx, vy = self._gantry.state().tolist()
        obj_x, obj_y, obj_vx = self._object
        return math.hypot(x - obj_x, y - obj_y) < RADIUS_M and math.hypot(vx - obj_vx, vy) < SLOW

    def show(self, state: FloatArray, environment: FloatArray) -> None:
        """Puts the tool and the object where a recorded state and environment have them."""
        self._gantry.reset(*state[:2].tolist())
        x, y, _ = environment.tolist()
        self._gantry.show({"obj": (x, y)})

    def expert(self, horizon: int) -> Plan:
        """An expert that catches up with the object, and then follows it.

        It is as fast as the tool can still brake to the belt's speed.
        """

        def plan(observation: Observation, rng: np.random.Generator) -> FloatArray:
            x, y, vx, vy = observation.state.tolist()
            obj_x, obj_y, obj_vx = observation.environment.tolist()
            rows = np.empty((horizon, 2))
            for i in range(horizon):
                ax = self._model.command(x, follow(x, vx, obj_x, obj_vx))
                ay = self._model.command(y, follow(y, vy, obj_y, 0.0))
                rows[i] = ax, ay
                x, y, vx, vy = self._model.step((x, y, vx, vy), (ax, ay))
                obj_x, obj_y, obj_vx = carried((obj_x, obj_y, obj_vx))
            return rows

        return plan

    def demonstrator(self) -> Plan:
        """The expert with chunks of one row."""
        return self.expert(1)

    def roller(self) -> StateRoller:
        """The exact model of the gantry."""
        return self._model

    def scene_roller(self) -> SceneRoller:
        """A roller that moves the object at its current speed."""
        return _roll


def carried(seen: Object, ticks: int = 1) -> Object:
    """The object `ticks` ticks later, if the belt keeps its speed. It stops at the end of the belt."""
    x, y, vx = seen
    ahead = x + vx * ticks / RATE_HZ
    return (ahead, y, vx) if ahead < END_M else (END_M, y, 0.0)


def _roll(environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray:
    x, y, vx = environment.tolist()
    return frozen(np.array(carried((x, y, vx), len(rows))))


def _standing(rng: np.random.Generator) -> Object:
    return float(rng.uniform(START_M, 0.35)), float(rng.uniform(-SIDE_M, SIDE_M)), 0.0


def _incoming(rng: np.random.Generator) -> Object:
    return START_M, float(rng.uniform(-SIDE_M, SIDE_M)), float(rng.uniform(*SPEEDS))


def _on_the_belt(rng: np.random.Generator) -> Object:
    """A random object anywhere on the belt, which stands in a quarter of the cases."""
    _, y, vx = _incoming(rng)
    return float(rng.uniform(START_M, 0.95 * END_M)), y, vx * float(rng.random() < 0.75)


def _draw_changes(rng: np.random.Generator, ticks: int) -> dict[int, float]:
    """Random changes of the belt's speed: the new speed, by the ticks since the object arrived."""
    when = np.flatnonzero(rng.random(ticks) < CHANGES_PER_S / RATE_HZ) + 1
    return {int(tick): float(speed) for tick, speed in zip(when, rng.uniform(*SPEEDS, len(when)), strict=True)}
