import math
from itertools import product

import numpy as np
import pytest

from every import every
from rollahead.sim.ball import AWAY_M, BOUNCE_S, FAR_M, SIDE_M, TRAP_M, Ball, Court, as_state, crossing_m, fly
from rollahead.sim.gantry import PHYSICS_S, RATE_HZ, Model, State

AWAY: State = (AWAY_M, 0.0, 0.0, 0.0)
STAY = (0.0, 0.0)


def flown(ball: Ball, ticks: int, paddle: State = AWAY) -> Ball:
    for _ in range(ticks):
        ball = fly(ball, paddle, paddle)
    return ball


@every("vy", [-1.5, -0.8, -0.05, 0.3, 1.1])
def test_every_bounce_keeps_the_speed(vy: float) -> None:
    for start in np.linspace(-0.05, 0.05, 23):  # every depth at which a physics step can find the ball
        ball: Ball = (0.9, start, 0.0, vy)
        ticks = math.ceil(0.42 / abs(vy) * RATE_HZ)
        x, y, vx, after = flown(ball, ticks)
        assert (x, vx) == (0.9, 0.0)
        assert after == pytest.approx(-vy, rel=1e-9)
        wall = math.copysign(SIDE_M, vy)
        assert y == pytest.approx(2 * wall - start - vy * (ticks / RATE_HZ - BOUNCE_S), abs=1e-9)


def test_no_ball_goes_deeper_into_a_wall_than_it_flies_in_a_physics_step() -> None:
    for vx, vy in product((0.8, 1.2), (-0.8, 0.4)):
        ball: Ball = (0.9, 0.0, vx, vy)
        for _ in range(60):
            ball = fly(ball, AWAY, AWAY)
            assert ball[0] <= FAR_M + PHYSICS_S * abs(vx)
            assert abs(ball[1]) <= SIDE_M + PHYSICS_S * abs(vy)


@pytest.mark.parametrize("seed", range(4))
def test_it_crosses_where_it_is_said_to(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(40):
        ball: Ball = (
            rng.uniform(0.05, 0.99),
            rng.uniform(-0.34, 0.34),
            rng.uniform(-1.2, -0.6),
            rng.uniform(-1.5, 1.5),
        )
        said = crossing_m(ball)
        while ball[0] > 0.0:
            before, ball = ball, fly(ball, AWAY, AWAY)
            if ball[0] > 0.0:
                assert crossing_m(ball) == pytest.approx(said, abs=1e-9)  # also in the middle of a bounce
        share = before[0] / (before[0] - ball[0])
        slack = 2 * abs(before[3]) * BOUNCE_S  # if it bounces in this very tick
        assert said == pytest.approx(before[1] + share * (ball[1] - before[1]), abs=slack + 1e-9)


def test_a_ball_that_has_passed_stays_at_last() -> None:
    ball = flown((-0.05, 0.1, -0.8, 0.3), 40)
    assert ball[2:] == (0.0, 0.0)
    assert TRAP_M - 0.8 / RATE_HZ <= ball[0] <= TRAP_M
    assert flown(ball, 5) == ball


@pytest.mark.parametrize("off", [-0.028, -0.01, 0.0, 0.02])
def test_a_paddle_that_stands_sends_it_back_as_fast_as_it_came(off: float) -> None:
    paddle: State = (0.02, 0.1, 0.0, 0.0)
    for start in np.linspace(0.2, 0.24, 9):
        x, y, vx, vy = flown((float(start), 0.1 + off, -0.8, 0.0), 40, paddle)
        assert (y, vx, vy) == pytest.approx((0.1 + off, 0.8, 0.0), rel=1e-9)
        assert x > 0.3


@pytest.mark.parametrize("off", [-0.05, 0.035])
def test_a_ball_beside_the_paddle_passes(off: float) -> None:
    assert flown((0.2, off, -0.8, 0.0), 20, (0.0, 0.0, 0.0, 0.0))[0] < -0.1


def test_the_court_rolls_ball_and_paddle_together() -> None:
    court = Court(Model("velocity"))
    ball, tool = np.array([0.1, 0.0, -0.8, 0.0]), np.array([0.0, 0.0, 0.0, 0.0])
    away = court(ball, tool, np.tile([0.0, 1.0], (20, 1)))
    met = court(ball, tool, np.tile(STAY, (20, 1)))
    assert away[2] == -0.8
    assert met[2] == pytest.approx(0.8)
    assert court(ball, tool, np.empty((0, 2))).tolist() == ball.tolist()


def test_a_state_is_four_plain_floats() -> None:
    state = as_state(np.array([0.1, 0.2, 0.3, 0.4]))
    assert state == (0.1, 0.2, 0.3, 0.4)
    assert {type(number) for number in state} == {float}
