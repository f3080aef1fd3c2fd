"""Whack-a-mole: the mole jumps, and the tool must come to rest on it before it is gone.

An episode is one jump. The tool rests on the mole when it jumps, by 15 to 50 cm, at a random tick. The mole is hit when
the tool is within 2 cm of it and slower than 0.25 m/s for 3 ticks, within `window_s`.

With two moles both jump, equally far and in different directions, and either may be hit. With a strike, one tick is
enough, in which a third action is sent. A strike far from the moles, some time after the jump, makes the episode a
failure.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import StateRoller
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec
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
from rollahead.sim.render import Cameras
from rollahead.sim.servo_to import coasted, servo_to
from rollahead.sim.task import TaskBase

RADIUS_M = 0.02
SLOW = 0.25  # m/s
DWELL = 3  # ticks
FIELD_M = 0.3  # moles are within this of the middle
JUMP_M = (0.15, 0.5)
PAIR_FIELD_M = 0.4  # the same for two moles
PAIR_JUMP_M = (0.2, 0.4)
APART = (0.6 * math.pi, 1.4 * math.pi)  # angle between the directions to two moles
STRIKE = Dim("strike", "", Kind.DISCRETE, 0.0, 1.0, threshold=0.5, hysteresis=0.2)
VOID_M = 0.05  # a strike farther from every mole than this is a failure
GRACE = 12  # ticks after the jump in which such a strike is ignored
SURE = 0.85  # the expert strikes within this share of the radius and of the speed

Point = tuple[float, float]
Moles = tuple[Point, ...]

NAMES = ("mole", "mole2")
MOLE = """
    <body name="{name}" mocap="true">
      <geom type="cylinder" size="0.038 0.002" rgba="0.3 0.22 0.17 1"/>
      <geom type="ellipsoid" size="0.024 0.024 0.03" rgba="0.86 0.33 0.2 1"/>
    </body>
"""


class WhackAMole(TaskBase):
    """The whack-a-mole task.

    Args:
        mode: Kind of action, `velocity` or `absolute`.
        window_s: Time for which the mole stays, in seconds.
        noise: Standard deviation of the noise on the servos' input, in m/s.
        pace: Speed of the expert: 1 for as fast as the robot can, less for slower demonstrations.
        targets: Number of moles, 1 or 2.
        strike: Whether a strike must be sent to hit a mole.
        cameras: Names of the cameras that the robot has; the scene has `top`.
        image_size: Height and width of their images, in pixels.
    """

    def __init__(
        self,
        mode: str = "velocity",
        window_s: float = 0.9,
        noise: float = 0.02,
        pace: float = 1.0,
        targets: int = 1,
        strike: bool = False,
        cameras: Sequence[str] = (),
        image_size: Sequence[int] = (96, 96),
    ) -> None:
        if not (1 <= window_s * RATE_HZ <= LONGEST_S * RATE_HZ and noise >= 0):
            raise ConfigError(
                f"window_s is {window_s} and noise {noise}; give from 0.02 s to {LONGEST_S:g} s, and no negative noise"
            )
        if not 0 < pace <= 1:
            raise ConfigError(f"pace is {pace}; give 1 (as fast as the robot can) or less, and more than 0")
        if targets not in (1, 2):
            raise ConfigError(f"targets is {targets}; give 1 or 2 moles")
        self._pace = pace
        self._names = NAMES[:targets]
        self._strike = strike
        self._gantry = Gantry(mode, Scene(bodies="".join(MOLE.format(name=name) for name in self._names)))
        self._cameras = Cameras(self._gantry.model, cameras, image_size)
        self._model = Model(mode)
        self._disturbance = Disturbance(self._model, noise)
        self._window = round(window_s * RATE_HZ)
        self.spec = RobotSpec(
            action=(*action_dims(mode), STRIKE) if strike else action_dims(mode),
            state=state_dims(),
            environment=tuple(Dim(f"{name}_{axis}", "m") for name in self._names for axis in "xy"),
            rate_hz=RATE_HZ,
            cameras=self._cameras.specs,
        )
        self.max_ticks = LEAD + PHASE + self._window
        self.model, self.data = self._gantry.model, self._gantry.data
        self.reset(0)

    def reset(self, seed: int, *, event: bool = True) -> None:
        """Begins an episode, with the tool at rest on a mole. All random numbers are drawn here."""
        rng = np.random.default_rng(seed)
        jump = self._draw_jump(rng)
        self.event_tick = draw_tick(rng)
        self._pushes = self._disturbance.draw(rng, self.max_ticks)
        self._begin((*jump[0][0], 0.0, 0.0), jump, event=event)

    def scatter(self, seed: int) -> None:
        """Begins a demonstration, as `Teachable` says.

        In a quarter of them the mole has just jumped from under the tool.
        """
        rng = generator("scatter", seed)
        (first, *_), jumped = self._draw_jump(rng)
        tool, moles = ((*first, 0.0, 0.0), jumped) if rng.random() < 0.25 else self._anywhere(rng)
        self.event_tick = NEVER
        self._pushes = self._disturbance.none()
        self._begin(tool, (moles, moles))
        self._chosen = int(rng.integers(len(self._names)))

    def _begin(self, tool: State, jump: tuple[Moles, Moles], *, event: bool = True) -> None:
        self._before, self._after = jump
        self._event = event
        self._chosen = 0
        self._tick = self._dwell = 0
        self.done = self.success = self._spoiled = False
        self._gantry.place(tool)

    def state(self) -> FloatArray:
        """(4,): x, y in m, vx, vy in m/s."""
        return frozen(self._gantry.state())

    def environment(self) -> FloatArray:
        """(2,) or (4,): x, y in m of each mole."""
        return frozen(np.array(self._moles()).ravel())

    def frames(self) -> Mapping[str, NDArray[np.uint8]]:
        """(height, width, 3) by camera, the scene as it is now."""
        self._gantry.show(dict(zip(self._names, self._moles(), strict=True)))
        return self._cameras(self._gantry.data)

    def advance(self, action: FloatArray) -> None:
        """Simulates one tick under `action` (2,), or (3,) with a strike."""
        self._gantry.step(action[:2] + next(self._pushes))
        x, y, vx, vy = self._gantry.state().tolist()
        away = min(math.hypot(x - mole[0], y - mole[1]) for mole in self._moles())
        struck = not self._strike or bool(action[2] >= STRIKE.threshold)
        hit = away < RADIUS_M and math.hypot(vx, vy) < SLOW and struck
        shown = self._tick - self.event_tick + 1  # ticks since the mole jumped
        self._spoiled = self._spoiled or (self._strike and struck and away > VOID_M and shown > GRACE)
        self._tick += 1
        self._dwell = self._dwell + 1 if hit and shown > 0 else 0
        reached = self._event and self._dwell >= (1 if self._strike else DWELL)
        self.success = reached and not self._spoiled
        self.done = reached or shown >= self._window

    def show(self, state: FloatArray, environment: FloatArray) -> None:
        """Puts the tool and the moles where a recorded state and environment have them."""
        self._gantry.reset(*state[:2].tolist())
        self._gantry.show(dict(zip(self._names, _points(environment), strict=True)))

    def expert(self, horizon: int) -> Plan:
        """An expert that brakes onto the mole, and strikes when it is there.

        Of two moles it chooses the one that is nearer to the point where the tool would come to rest. Its rows are
        predicted with the exact model; see `drive_to`.
        """

        def plan(observation: Observation, rng: np.random.Generator) -> FloatArray:
            return self._drive(observation.state, _nearest(observation), horizon)

        return plan

    def demonstrator(self) -> Plan:
        """The expert, which keeps to the mole that was chosen when the demonstration began."""
        chosen = self._chosen

        def plan(observation: Observation, rng: np.random.Generator) -> FloatArray:
            return self._drive(observation.state, _points(observation.environment)[chosen], 1)

        return plan

    def roller(self) -> StateRoller:
        """The exact model of the gantry."""
        return self._model

    def _drive(self, state: FloatArray, target: Point, horizon: int) -> FloatArray:
        states, rows = drive_to(self._model, state, target, horizon, self._pace)
        if not self._strike:
            return rows
        away, speed = np.hypot(*(states[:, :2] - target).T), np.hypot(*states[:, 2:].T)
        return np.column_stack([rows, (away < SURE * RADIUS_M) & (speed < SURE * SLOW)])

    def _moles(self) -> Moles:
        return self._after if self._event and self._tick >= self.event_tick else self._before

    def _draw_jump(self, rng: np.random.Generator) -> tuple[Moles, Moles]:
        """Random positions of the moles before the jump, the first of them under the tool, and after it."""
        if len(self._names) == 1:
            return _draw_jump(rng)
        while True:
            first = _point(rng.uniform(-FIELD_M, FIELD_M, 2))
            before, after = (first, _pair_about(first, rng)[0]), _pair_about(first, rng)
            if _inside(*before, *after):
                return before, after

    def _anywhere(self, rng: np.random.Generator) -> tuple[State, Moles]:
        if len(self._names) == 1:
            return anywhere(rng), (_point(rng.uniform(-FIELD_M, FIELD_M, 2)),)
        while True:
            tool = anywhere(rng)
            if _inside(*(pair := _pair_about(tool[:2], rng))):
                return tool, pair


def drive_to(
    model: Model, state: FloatArray, target: Point, horizon: int, pace: float = 1.0
) -> tuple[FloatArray, FloatArray]:
    """The rollout of a servo that brings the tool from `state` to rest at `target`.

    Returns the states (horizon, 4) at the head of each tick, and the actions (horizon, 2).

    Args:
        model: Model of the gantry.
        state: (4,).
        target: x, y in m.
        horizon: Number of ticks.
        pace: Factor of the velocity.
    """
    x, y, vx, vy = map(float, state)
    states, rows = np.empty((horizon, 4)), np.empty((horizon, 2))
    for i in range(horizon):
        ax = model.command(x, servo_to(x, vx, target[0], pace))
        ay = model.command(y, servo_to(y, vy, target[1], pace))
        states[i], rows[i] = (x, y, vx, vy), (ax, ay)
        x, y, vx, vy = model.step((x, y, vx, vy), (ax, ay))
    return states, rows


def _nearest(observation: Observation) -> Point:
    x, y, vx, vy = observation.state.tolist()
    rest = coasted(x, vx), coasted(y, vy)
    return min(_points(observation.environment), key=lambda mole: math.dist(mole, rest))


def _draw_jump(rng: np.random.Generator) -> tuple[Moles, Moles]:
    first = rng.uniform(-FIELD_M, FIELD_M, 2)
    while True:
        second = rng.uniform(-FIELD_M, FIELD_M, 2)
        if JUMP_M[0] < math.hypot(*(second - first)) < JUMP_M[1]:
            return (_point(first),), (_point(second),)


def _pair_about(place: Point, rng: np.random.Generator) -> tuple[Point, Point]:
    """Two random moles equally far from `place`, in different directions."""
    far, way = rng.uniform(*PAIR_JUMP_M), rng.uniform(0.0, 2 * math.pi)
    one, other = (
        (place[0] + far * math.cos(angle), place[1] + far * math.sin(angle))
        for angle in (way, way + rng.uniform(*APART))
    )
    return one, other


def _inside(*places: Point) -> bool:
    return max(abs(number) for place in places for number in place) < PAIR_FIELD_M


def _points(environment: FloatArray) -> Moles:
    """The positions of the moles, from `environment` (2,) or (4,)."""
    return tuple(map(_point, environment.reshape(-1, 2)))


def _point(numbers: FloatArray) -> Point:
    x, y = numbers.tolist()
    return x, y
