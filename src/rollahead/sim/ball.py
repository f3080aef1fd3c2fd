"""The ball of `interception` in plain floats, with the same physics as in MuJoCo, for its expert and scene roller.

Positions are those of the ball's centre. A wall or the paddle pushes the ball back like a spring without damping. The
spring is so stiff that depth and speed change places in one physics step: after two steps the ball leaves as fast as it
came, however deep it was in the first step. So a bounce takes 10 ms longer than that of a point at a hard wall.
"""

from dataclasses import dataclass

import numpy as np

from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.sim.gantry import PHYSICS_S, SUBSTEPS, Model, State

Ball = tuple[float, float, float, float]  # x, y in m, vx, vy in m/s

SIDE_M = 0.35  # half the distance between the side walls
FAR_M = 1.0  # x of the far wall
START_M = 0.99  # x of a ball that waits to be thrown
TRAP_M = -0.3  # x at which a ball that has passed is held
AWAY_M = -1.0  # x of a paddle that is out of reach
STIFFNESS = 2.0 / PHYSICS_S**2  # N / m per kg
BOUNCE_S = 2 * PHYSICS_S
REACH_M = 0.03  # distance along y from the paddle's centre up to which it hits a ball
DEPTH_M = 0.007  # a ball deeper behind the paddle's front has passed it


def fly(ball: Ball, tool: State, ahead: State) -> Ball:
    """The ball one tick later, with the paddle at `tool` at the beginning of the tick and at `ahead` at its end."""
    for i in range(SUBSTEPS):
        share = i / SUBSTEPS
        ball = _substep(ball, tool[0] + share * (ahead[0] - tool[0]), tool[1] + share * (ahead[1] - tool[1]))
    return kept(ball)


def kept(ball: Ball) -> Ball:
    """`ball`, held at the far end if it has flown back there, or where it is if it has passed the paddle.

    At the far end it is held one tick early, and waits to be thrown again.
    """
    x, y, vx, _ = ball
    if vx > 0 and x + vx * SUBSTEPS * PHYSICS_S >= START_M:
        return START_M, min(max(y, -SIDE_M), SIDE_M), 0.0, 0.0
    return ball if x > TRAP_M else (x, y, 0.0, 0.0)


def _substep(ball: Ball, front: float = AWAY_M, middle: float = 0.0) -> Ball:
    """The ball one physics step later, with the paddle's front at x = `front` and its centre at y = `middle`."""
    x, y, vx, vy = ball
    met = 0.0 < front - x < DEPTH_M and abs(y - middle) < REACH_M
    vx += PHYSICS_S * STIFFNESS * (front - x if met else min(FAR_M - x, 0.0))
    vy += PHYSICS_S * STIFFNESS * (min(SIDE_M - y, 0.0) + max(-SIDE_M - y, 0.0))
    return x + PHYSICS_S * vx, y + PHYSICS_S * vy, vx, vy


def crossing_m(ball: Ball) -> float:
    """The y in m at which an approaching ball (vx < 0) will cross x = 0."""
    while abs(ball[1]) > SIDE_M:  # within a wall its velocity changes
        ball = _substep(ball)
    x, y, vx, vy = ball
    left_s = x / -vx
    while abs(vy) * left_s > (wall_m := SIDE_M - y if vy > 0 else SIDE_M + y):
        left_s = max(left_s - wall_m / abs(vy) - BOUNCE_S, 0.0)
        y, vy = (SIDE_M if vy > 0 else -SIDE_M), -vy
    return y + vy * max(left_s, 0.0)


@dataclass(frozen=True, slots=True)
class Court:
    """The ball and the paddle as a scene roller. `model`: the model of the paddle."""

    model: Model

    def step(self, ball: Ball, tool: State, action: tuple[float, float]) -> tuple[Ball, State]:
        """The ball and the paddle one tick later."""
        ahead = self.model.step(tool, action)
        return fly(ball, tool, ahead), ahead

    def __call__(self, environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray:
        """The ball (4,) after `rows` (n, 2)."""
        ball, tool = as_state(environment), as_state(state)
        for ax, ay in rows.tolist():
            ball, tool = self.step(ball, tool, (ax, ay))
        return frozen(np.array(ball))


def as_state(numbers: FloatArray) -> State:
    """x, y, vx, vy as floats, from an array (4,)."""
    x, y, vx, vy = numbers.tolist()
    return x, y, vx, vy
