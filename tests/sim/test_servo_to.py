from itertools import product

import numpy as np

from rollahead.sim.gantry import SPEED, Model
from rollahead.sim.servo_to import coasted, follow, servo_to

PLACES = np.linspace(-0.6, 0.6, 13).tolist()
SPEEDS = np.linspace(-1.2, 1.2, 7).tolist()


def test_to_follow_what_stands_is_to_approach_it() -> None:
    for x, v in product(PLACES, SPEEDS):
        assert follow(x, v, 0.1, 0.0) == servo_to(x, v, 0.1)


def test_it_is_never_asked_for_more_than_its_speed() -> None:
    for x, v, drift in product(PLACES, SPEEDS, SPEEDS):
        assert abs(follow(x, v, 0.1, drift)) <= SPEED


def test_who_follows_comes_to_go_along_without_lagging_behind() -> None:
    model = Model("velocity")
    for x, v, drift in product(PLACES[::4], SPEEDS[::3], (-0.4, 0.15, 0.4)):
        target = 0.0
        for _ in range(100):
            x, v = model.axis(x, v, follow(x, v, target, drift))
            target += drift / 50.0
        assert abs(x - target) < 0.01
        assert abs(v - drift) < 0.02


def test_a_tool_that_is_told_to_stand_comes_to_rest_about_where_it_coasts_to() -> None:
    for v in (-0.6, 0.1, 0.6):
        end, speed = 0.2, v
        for _ in range(60):
            end, speed = Model("velocity").axis(end, speed, 0.0)
        assert abs(end - coasted(0.2, v)) < 0.25 * abs(end - 0.2)
