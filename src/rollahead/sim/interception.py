"""Interception: a ball flies towards the paddle, which must hit it.

The ball waits at the far end of a court until it is thrown, at a random tick. Once in its flight it gets a random
sideways kick, which cannot be foreseen. It is hit when it flies back from the paddle, by MuJoCo's contact. In a rally
it must be hit several times in a row, and is thrown again from the far wall each time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import SceneRoller, StateRoller
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import Dim, RobotSpec
from rollahead.sim.ball import (
    FAR_M,
    REACH_M,
    SIDE_M,
    START_M,
    STIFFNESS,
    TRAP_M,
    Ball,
    Court,
    as_state,
    crossing_m,
    kept,
)
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
    state_dims,
)
from rollahead.sim.servo_to import servo_to
from rollahead.sim.task import TaskBase

LOST_M = -0.1  # x at which the ball has passed
PAST_M = -0.03  # x at which the expert gives up the ball
NEAR_M = 0.3  # x up to which the paddle stays where it is after a hit or a miss
COMING = -0.05  # m/s along x; a slower ball is not approaching
SIDEWAYS = 0.8  # m/s, the largest sideways velocity
SPEEDS = (0.85, 1.15)  # range of the velocity along x, as multiples of its mean
KICK_M = (0.45, 0.8)  # range of x at which the ball is kicked
HOME = (0.0, 0.0)  # x, y in m at which the paddle waits
LIMIT = (1.35, 2.0)  # an episode's length in mean flights: per flight to the paddle, and per flight back
AT_FIRST = {"waiting": 0.4, "thrown": 0.6}  # shares of the balls at the beginning of a demonstration
LATER = {"waiting": 0.05, "thrown": 0.1, "coming": 0.5, "going": 0.25, "past": 0.1}
FASTEST_S = 0.4  # the shortest mean flight; a faster ball would go through the paddle

SCENE = Scene(
    camera='pos="-0.68 0 0.94" xyaxes="0 -1 0 0.7 0 0.714" fovy="45"',
    table="""
    <geom type="box" pos="0.37 0 -0.02" size="0.72 0.386 0.01" rgba="0.42 0.62 0.47 1"/>
    <geom type="box" pos="-0.02 0 -0.009" size="0.004 0.35 0.002" rgba="0.9 0.93 0.9 1"/>
    """,
    tool="""
      <geom type="box" pos="-0.024 0 0" size="0.008 0.02 0.02" conaffinity="1" rgba="0.12 0.35 0.75 1"/>
      <geom type="box" pos="-0.075 0 0.03" size="0.05 0.012 0.008" rgba="0.12 0.35 0.75 1"/>
    """,
    beam='<geom type="box" pos="-0.13 0 0" size="0.016 0.47 0.01" rgba="0.62 0.65 0.7 1"/>',
    bodies=f"""
    <geom type="box" pos="0.37 {SIDE_M + 0.026} 0.01" size="0.7 0.01 0.02" conaffinity="1" rgba="0.75 0.77 0.8 1"/>
    <geom type="box" pos="0.37 {-SIDE_M - 0.026} 0.01" size="0.7 0.01 0.02" conaffinity="1" rgba="0.75 0.77 0.8 1"/>
    <geom type="box" pos="{FAR_M + 0.036} 0 0.01" size="0.02 0.4 0.02" conaffinity="1" rgba="0.75 0.77 0.8 1"/>
    <body name="ball" pos="0 0 0.03">
      <joint name="ball_x" type="slide" axis="1 0 0"/>
      <joint name="ball_y" type="slide" axis="0 1 0"/>
      <geom type="sphere" size="0.022" mass="0" rgba="0.86 0.33 0.2 1"/>
      <geom type="sphere" size="0.016" mass="0.003" group="3" contype="1" condim="1" priority="1"
        solref="{-STIFFNESS} 0" solimp="0.9999 0.9999 0.001"/>
    </body>
    """,
)


@dataclass(frozen=True, slots=True)
class Flight:
    """The random numbers of one flight.

    Attributes:
        vx: Velocity along x, in m/s.
        vy: Sideways velocity before the kick, in m/s.
        kick_m: x at which the ball is kicked, in m.
        kick: Sideways velocity after the kick, in m/s.
    """

    vx: float
    vy: float
    kick_m: float
    kick: float


class Interception(TaskBase):
    """The interception task.

    Args:
        mode: Kind of action, `velocity` or `absolute`.
        flight_s: Mean time of a ball from end to end, in seconds.
        rally: Number of returns in a row that are a success.
        noise: Standard deviation of the noise on the servos' input, in m/s.
    """

    def __init__(self, mode: str = "velocity", flight_s: float = 1.2, rally: int = 1, noise: float = 0.02) -> None:
        if not flight_s >= FASTEST_S or rally < 1:
            raise ConfigError(
                f"flight_s is {flight_s} and rally {rally}; give at least {FASTEST_S} s (a faster ball would go "
                "through the paddle) and 1 return"
            )
        longest_s = flight_s * (LIMIT[0] * rally + LIMIT[1] * (rally - 1))
        if not longest_s <= LONGEST_S:
            raise ConfigError(
                f"flight_s is {flight_s:g} and rally {rally}, so that an episode may take {longest_s:g} s; give less "
                f"of them, for {LONGEST_S:g} s at most"
            )
        self._speed = 1.0 / flight_s
        self._rally = rally
        self._gantry = Gantry(mode, SCENE)
        self._court = Court(Model(mode))
        self._disturbance = Disturbance(self._court.model, noise)
        self._window = round(longest_s * RATE_HZ)
        rates = tuple(Dim(f"ball_v{axis}", "m/s", rate_of=f"ball_{axis}") for axis in "xy")
        self.spec = RobotSpec(
            action=action_dims(mode),
            state=state_dims(),
            environment=(Dim("ball_x", "m"), Dim("ball_y", "m"), *rates),
            rate_hz=RATE_HZ,
        )
        self.max_ticks = LEAD + PHASE + self._window
        self.model, self.data = self._gantry.model, self._gantry.data
        self.reset(0)

    def reset(self, seed: int, *, event: bool = True) -> None:
        """Begins an episode, with the paddle at home and the ball waiting. All random numbers are drawn here."""
        rng = np.random.default_rng(seed)
        start = (START_M, float(rng.uniform(-0.3, 0.3)), 0.0, 0.0)
        flights = [self._draw_flight(rng) for _ in range(self._rally)]
        self.event_tick = draw_tick(rng)
        self._pushes = self._disturbance.draw(rng, self.max_ticks)
        self._begin((*HOME, 0.0, 0.0), start, iter(flights if event else ()))

    def scatter(self, seed: int) -> None:
        """Begins a demonstration, as `Teachable` says.

        The ball is approaching, waiting, returning, or past the paddle.
        """
        rng = generator("scatter", seed)
        tool, ball = self._anywhere(rng)
        self.event_tick = NEVER
        self._pushes = self._disturbance.none()
        self._begin(tool, ball, iter(()))

    def _begin(self, tool: State, ball: Ball, flights: Iterator[Flight]) -> None:
        self._flights = flights
        self._kick: Flight | None = None  # the kick that is still to come
        self._coming = False
        self._tick = self._returns = 0
        self.done = self.success = False
        self._gantry.place(tool)
        self._put(ball)

    def state(self) -> FloatArray:
        """(4,), the paddle: x, y in m, vx, vy in m/s."""
        return frozen(self._gantry.state())

    def environment(self) -> FloatArray:
        """(4,), the ball: x, y in m, vx, vy in m/s."""
        return frozen(np.concatenate([self.data.qpos[2:], self.data.qvel[2:]]))

    def advance(self, action: FloatArray) -> None:
        """Simulates one tick under `action` (2,)."""
        self._gantry.step(action + next(self._pushes))
        self._tick += 1
        self._play(as_state(self.environment()))
        lost = self._coming and bool(self.data.qpos[2] < LOST_M)
        self.success = self._returns >= self._rally
        self.done = self.success or lost or self._tick >= self.event_tick + self._window

    def _play(self, ball: Ball) -> None:
        """Applies the changes of the ball that are not physics: counting, the kick, holding, the throw."""
        x, y, vx, _ = ball
        free = x < FAR_M and abs(y) < SIDE_M  # a wall in contact would push the ball with its old velocity
        if self._coming and vx > 0:
            self._coming = False
            self._returns += 1
        elif self._coming and self._kick is not None and x < self._kick.kick_m and free:
            self._put((x, y, vx, self._kick.kick))
            self._kick = None
        elif kept(ball) != ball:
            self._put(kept(ball))
        elif self._tick == self.event_tick or (self._returns and not self._coming and x == START_M):
            self._throw(y)

    def _throw(self, y: float) -> None:
        """Begins the next flight, if there is one."""
        self._kick = next(self._flights, None)
        if self._kick is not None:
            self._put((START_M, y, self._kick.vx, self._kick.vy))
            self._coming = True

    def _put(self, ball: Ball) -> None:
        self.data.qpos[2:], self.data.qvel[2:] = ball[:2], ball[2:]

    def show(self, state: FloatArray, environment: FloatArray) -> None:
        """Puts the paddle and the ball where a recorded state and environment have them."""
        self._gantry.place(as_state(state))
        self._put(as_state(environment))
        self._gantry.show()

    def expert(self, horizon: int) -> Plan:
        """An expert that moves to where the ball will cross x = 0, bounces included.

        It moves to the middle while no ball approaches.
        """
        court = self._court

        def plan(observation: Observation, rng: np.random.Generator) -> FloatArray:
            ball, tool = as_state(observation.environment), as_state(observation.state)
            rows = np.empty((horizon, 2))
            for i in range(horizon):
                x, y, vx, vy = tool
                to_x, to_y = aim(ball, y)
                action = court.model.command(x, servo_to(x, vx, to_x)), court.model.command(y, servo_to(y, vy, to_y))
                rows[i] = action
                ball, tool = court.step(ball, tool, action)
            return rows

        return plan

    def demonstrator(self) -> Plan:
        """The expert with chunks of one row."""
        return self.expert(1)

    def roller(self) -> StateRoller:
        """The exact model of the gantry, without the push of the ball."""
        return self._court.model

    def scene_roller(self) -> SceneRoller:
        """A roller of the ball, with its bounces and the paddle's hits."""
        return self._court

    def _draw_flight(self, rng: np.random.Generator) -> Flight:
        speed = self._speed * rng.uniform(*SPEEDS)
        vy, kick = rng.uniform(-SIDEWAYS, SIDEWAYS, 2).tolist()
        return Flight(vx=-speed, vy=vy, kick_m=rng.uniform(*KICK_M), kick=kick)

    def _anywhere(self, rng: np.random.Generator) -> tuple[State, Ball]:
        """A random paddle and ball.

        In a quarter of the cases they are as at the beginning of an episode, with the paddle at rest.
        """
        kinds = AT_FIRST if (rests := rng.random() < 0.25) else LATER
        ball = self._ball_that_is(str(rng.choice(list(kinds), p=list(kinds.values()))), rng)
        if rests:
            return (*HOME, 0.0, 0.0), ball
        while _touching(tool := _about_home(rng), ball):
            pass
        return tool, ball

    def _ball_that_is(self, kind: str, rng: np.random.Generator) -> Ball:
        x = {
            "waiting": START_M,
            "thrown": START_M,
            "coming": rng.uniform(0.1, START_M),
            "going": rng.uniform(0.05, START_M),
            "past": rng.uniform(TRAP_M, PAST_M),
        }[kind]
        flight = self._draw_flight(rng)
        y = rng.uniform(-0.34, 0.34)
        moving = kind != "waiting"
        return float(x), float(y), moving * (-flight.vx if kind == "going" else flight.vx), moving * flight.vy


def aim(ball: Ball, y: float) -> tuple[float, float]:
    """The target of the paddle, which is at `y`.

    Around the moment of contact it stays where it is. So the exact tick of the contact matters little, and a policy can
    learn it.
    """
    if ball[2] < COMING and ball[0] > PAST_M:
        return 0.0, crossing_m(ball)
    return (0.0, y) if ball[0] < NEAR_M else HOME


def _about_home(rng: np.random.Generator) -> State:
    """A random state of the paddle as in a match: near its line, and moving along it."""
    x, vx, vy = (np.array([0.05, 0.1, 0.5]) * rng.standard_normal(3)).tolist()
    return x, float(rng.uniform(-SIDE_M, SIDE_M)), vx, vy


def _touching(tool: State, ball: Ball) -> bool:
    return ball[0] < tool[0] + 0.01 and abs(ball[1] - tool[1]) < 2 * REACH_M
