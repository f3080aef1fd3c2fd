"""Pick: an object appears, and the gripper must grasp it, carry it to its goal, and release it there.

An episode is one object. The gripper rests, open, above the previous object, which lies at its goal, until the next one
appears elsewhere with a new goal, at a random tick. Some time later the goal jumps, in most episodes while the object
is carried. The object is delivered when it is released within 2 cm of the goal and slower than 0.05 m/s for 5 ticks,
within `window_s`.

Closing jaws grip an object within 1.5 cm of the tool's centre, unless its speed relative to the tool is above 0.3 m/s.
The object then moves with the tool, by a constraint between their joints, until the jaws open; then it slides to rest.
The jaws move at 0.45 m/s towards the commanded opening in metres: real arms (ALOHA, SO-101, Franka) take a continuous
command too. The measured opening is that of the motor, which does not show whether something is between the jaws.
"""

import math
from dataclasses import dataclass

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import StateRoller
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
    action_dims,
    anywhere,
    state_dims,
)
from rollahead.sim.servo_to import servo_to
from rollahead.sim.task import TaskBase

Point = tuple[float, float]
State = tuple[float, float, float, float, float]  # x, y in m, vx, vy in m/s, the jaws' opening in m
Action = tuple[float, float, float]  # vx, vy in m/s, the commanded opening in m

OPEN_M = 0.08  # between the jaws, at most
WIDTH_M = 0.04  # width of the object: jaws closed to this hold it
JAW_SPEED = 0.45  # m/s
GRIP_M = 0.015  # the largest distance of a gripped object from the tool's centre
GRIP_SPEED = 0.3  # m/s
RADIUS_M = 0.02  # the largest distance of a delivered object from its goal
REST = 0.05  # m/s, the largest speed of a delivered object
DWELL = 5  # ticks
FIELD_M = 0.3  # objects and goals are within this of the middle
AWAY_M = (0.15, 0.45)  # range of the distances from the tool to a new object, to its goal, and to where that jumps
JUMPS = (25, 55)  # range of the ticks from the object's appearance to the goal's jump
SURE = 0.6  # the expert closes and opens within this share of the distances and of the speed

MASS_KG = 0.05
FRICTION_N = 0.15  # friction of an object on the table; a held one is lifted
JAW = """
    <body name="{name}" mocap="true" pos="0 0 0.03">
      <geom type="box" size="0.008 0.02 0.022" rgba="0.12 0.35 0.75 1"/>
    </body>
"""
SCENE = Scene(
    tool='<geom type="box" pos="0 0 0.06" size="0.055 0.014 0.008" rgba="0.12 0.35 0.75 1"/>',
    bodies=f"""
    <body name="goal" mocap="true">
      <geom type="cylinder" pos="0 0 -0.008" size="0.036 0.002" rgba="0.95 0.9 0.6 1"/>
    </body>
    <body name="obj" pos="0 0 0.01">
      <joint name="obj_x" type="slide" axis="1 0 0" frictionloss="{FRICTION_N}"/>
      <joint name="obj_y" type="slide" axis="0 1 0" frictionloss="{FRICTION_N}"/>
      <geom type="box" size="0.02 0.02 0.014" mass="{MASS_KG}" rgba="0.86 0.33 0.2 1"/>
    </body>
    {JAW.format(name="jaw_left")}{JAW.format(name="jaw_right")}
    """,
    equality="".join(
        f'<joint joint1="obj_{axis}" joint2="{axis}" active="false" solref="0.01 1" solimp="0.99 0.999 0.001"/>'
        for axis in "xy"
    ),
)


@dataclass(frozen=True, slots=True)
class Job:
    """The random numbers of one object.

    Attributes:
        start: Where it appears.
        goal: Its goal.
        jumped: Where its goal jumps to.
        jump_tick: Ticks from its appearance to the jump.
    """

    start: Point
    goal: Point
    jumped: Point
    jump_tick: int


class Pick(TaskBase):
    """The pick-and-place task.

    Args:
        window_s: Time to deliver the object, in seconds.
        noise: Standard deviation of the noise on the servos' input, in m/s.
    """

    def __init__(self, window_s: float = 2.6, noise: float = 0.02) -> None:
        if not 1 <= window_s * RATE_HZ <= LONGEST_S * RATE_HZ:
            raise ConfigError(f"window_s is {window_s}; give from 0.02 s to {LONGEST_S:g} s")
        self._gantry = Gantry("velocity", SCENE)
        self._model = GripperModel(Model("velocity"))
        self._disturbance = Disturbance(self._model.gantry, noise)
        self._window = round(window_s * RATE_HZ)
        self.spec = RobotSpec(
            action=(*action_dims("velocity"), Dim("gripper", "m", low=0.0, high=OPEN_M, drives="gripper")),
            state=(*state_dims(), Dim("gripper", "m")),
            environment=tuple(Dim(f"{name}_{axis}", "m") for name in ("obj", "goal") for axis in "xy"),
            rate_hz=RATE_HZ,
        )
        self.max_ticks = LEAD + PHASE + self._window
        self.model, self.data = self._gantry.model, self._gantry.data
        self.reset(0)

    def reset(self, seed: int, *, event: bool = True) -> None:
        """Begins an episode, with the gripper open and at rest above the previous object.

        All random numbers are drawn here.
        """
        rng = np.random.default_rng(seed)
        last, self._job = _draw_job(rng)
        self.event_tick = draw_tick(rng)
        self._pushes = self._disturbance.draw(rng, self.max_ticks)
        self._begin((*last, 0.0, 0.0, OPEN_M), last, last, event=event)

    def scatter(self, seed: int) -> None:
        """Begins a demonstration, as `Teachable` says.

        In a quarter of them an object has just appeared; in half of them the object is between closed jaws.
        """
        rng = generator("scatter", seed)
        last, job = _draw_job(rng)
        tool: State = (*last, 0.0, 0.0, OPEN_M)
        start, kind = job.start, rng.random()
        if kind >= 0.25:
            tool = (*anywhere(rng), float(rng.uniform(0.0, OPEN_M)))
        if kind >= 0.5:
            off = GRIP_M * rng.uniform(-0.7, 0.7, 2)
            start, tool = (tool[0] + off[0], tool[1] + off[1]), (*tool[:4], float(rng.uniform(0.0, WIDTH_M)))
        self.event_tick = NEVER
        self._pushes = self._disturbance.none()
        self._begin(tool, start, job.goal)
        if kind >= 0.5:
            self._grip()

    def _begin(self, tool: State, seen: Point, goal: Point, *, event: bool = True) -> None:
        self._goal = goal
        self._opening = tool[4]
        self._event = event
        self._tick = self._dwell = 0
        self.done = self.success = False
        self._gantry.place(tool[:4])
        self._let_go()
        self._put(seen)

    def state(self) -> FloatArray:
        """(5,): x, y in m, vx, vy in m/s, and the jaws' opening in m."""
        return frozen(np.append(self._gantry.state(), self._opening))

    def environment(self) -> FloatArray:
        """(4,): x, y in m of the object, and of its goal."""
        return frozen(np.array([*self.data.qpos[2:4], *self._goal]))

    def advance(self, action: FloatArray) -> None:
        """Simulates one tick under `action` (3,)."""
        self._gantry.step(action[:2] + next(self._pushes))
        self._move_jaws(float(action[2]))
        self._tick += 1
        shown = self._tick - self.event_tick  # ticks since the object appeared
        if self._event and shown == 0:
            self._put(self._job.start)
            self._goal = self._job.goal
        if self._event and shown == self._job.jump_tick:
            self._goal = self._job.jumped
        self._dwell = self._dwell + 1 if shown > self._job.jump_tick and self._delivered() else 0
        self.success = self._event and self._dwell >= DWELL
        self.done = self.success or shown >= self._window

    def _move_jaws(self, target: float) -> None:
        before, self._opening = self._opening, jaws(self._opening, target)
        if self._opening > WIDTH_M:
            self._let_go()
        elif before > WIDTH_M and self._between_jaws():
            self._grip()

    def _between_jaws(self) -> bool:
        tool, obj = self.data.qpos[:2], self.data.qpos[2:4]
        speed = self.data.qvel[:2] - self.data.qvel[2:4]
        return math.hypot(*(obj - tool)) < GRIP_M and math.hypot(*speed) < GRIP_SPEED

    def _grip(self) -> None:
        self.model.eq_data[:, 0] = self.data.qpos[2:4] - self.data.qpos[:2]
        self.data.qvel[2:4] = self.data.qvel[:2]
        self._hold(True)

    def _let_go(self) -> None:
        self._hold(False)

    def _hold(self, held: bool) -> None:
        self.data.eq_active[:] = held
        self.model.dof_frictionloss[2:4] = 0.0 if held else FRICTION_N

    def _put(self, place: Point) -> None:
        """Puts the object at rest at `place`, released."""
        self._let_go()
        self.data.qpos[2:4], self.data.qvel[2:4] = place, 0.0

    def _delivered(self) -> bool:
        away = math.hypot(*(self.data.qpos[2:4] - self._goal))
        return self._opening > WIDTH_M and away < RADIUS_M and math.hypot(*self.data.qvel[2:4]) < REST

    def show(self, state: FloatArray, environment: FloatArray) -> None:
        """Puts the gripper, the object and the goal where a recorded state and environment have them."""
        x, y, *_, opening = state.tolist()
        self._gantry.reset(x, y)
        self.data.qpos[2:4] = environment[:2]
        aside = opening / 2 + 0.008
        self._gantry.show({"goal": environment[2:].tolist(), "jaw_left": (x - aside, y), "jaw_right": (x + aside, y)})

    def expert(self, horizon: int) -> Plan:
        """An expert that grasps the object, carries it to the goal, and releases it there.

        It returns for an object that it has lost. It takes the object as held when it is between closed jaws.
        """

        def plan(observation: Observation, rng: np.random.Generator) -> FloatArray:
            x, y, vx, vy, opening = observation.state.tolist()
            obj_x, obj_y, *goal = observation.environment.tolist()
            rows = np.empty((horizon, 3))
            for i in range(horizon):
                rows[i] = decide((x, y, vx, vy, opening), (obj_x, obj_y), (goal[0], goal[1]))
                held = holds((x, y, vx, vy, opening), (obj_x, obj_y))
                before = x, y
                x, y, vx, vy, opening = self._model.step((x, y, vx, vy, opening), rows[i].tolist())
                if held:
                    obj_x, obj_y = obj_x + x - before[0], obj_y + y - before[1]
            return rows

        return plan

    def demonstrator(self) -> Plan:
        """The expert with chunks of one row."""
        return self.expert(1)

    def roller(self) -> StateRoller:
        """The model of the empty gripper: exact except for the load of an object."""
        return self._model


@dataclass(frozen=True, slots=True)
class GripperModel:
    """The gantry and its jaws in plain floats."""

    gantry: Model

    def step(self, state: State, action: Action) -> State:
        """The state one tick later."""
        return (*self.gantry.step(state[:4], action[:2]), jaws(state[4], action[2]))

    def __call__(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        """The state (5,) after `rows` (n, 3). This makes the model a roller."""
        rolled: State = tuple(state.tolist())
        for row in rows.tolist():
            rolled = self.step(rolled, row)
        return np.array(rolled)


def jaws(opening: float, target: float) -> float:
    """The opening one tick later, in m, moving from `opening` to `target` within the limits of the jaws."""
    most = JAW_SPEED / RATE_HZ
    return min(max(target, opening - most, 0.0), opening + most, OPEN_M)


def holds(state: State, obj: Point) -> bool:
    """Whether the gripper seems to hold the object: it is between closed jaws."""
    x, y, _, _, opening = state
    return opening <= WIDTH_M and math.hypot(obj[0] - x, obj[1] - y) < GRIP_M


def decide(state: State, obj: Point, goal: Point) -> Action:
    """The action of the expert."""
    x, y, vx, vy, _ = state
    speed = math.hypot(vx, vy)
    off = obj[0] - x, obj[1] - y
    arrived = math.dist(obj, goal) < SURE * RADIUS_M
    if holds(state, obj):
        to = goal[0] - off[0], goal[1] - off[1]
        closed = not (arrived and speed < SURE * GRIP_SPEED)
    else:
        to = obj
        closed = not arrived and math.hypot(*off) < SURE * GRIP_M and speed < SURE * GRIP_SPEED
    return servo_to(x, vx, to[0]), servo_to(y, vy, to[1]), 0.0 if closed else OPEN_M


def _draw_job(rng: np.random.Generator) -> tuple[Point, Job]:
    """The random position of the previous object, and the next object."""
    last = _point(rng.uniform(-FIELD_M, FIELD_M, 2))
    start = _away_from(last, rng)
    goal = _away_from(start, rng)
    return last, Job(start, goal, _away_from(goal, rng), int(rng.integers(*JUMPS)))


def _away_from(place: Point, rng: np.random.Generator) -> Point:
    while True:
        other = _point(rng.uniform(-FIELD_M, FIELD_M, 2))
        if AWAY_M[0] < math.dist(place, other) < AWAY_M[1]:
            return other


def _point(numbers: FloatArray) -> Point:
    x, y = numbers.tolist()
    return x, y
