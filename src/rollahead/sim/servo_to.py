"""How the scripted experts drive the gantry's tool: as fast as its servos can still brake."""

import math

from rollahead.sim.gantry import FORCE_N, KV, SPEED


def servo_to(x: float, v: float, target: float, pace: float = 1.0) -> float:
    """The velocity that brings an axis to rest at `target`: proportional near it, and no more than the servo can brake
    from, all of it times `pace`. Looks ahead by most of the servo's lag."""
    error = target - coasted(x, v)
    brakeable = math.sqrt(2 * 0.7 * FORCE_N * abs(error))
    wanted = pace * min(7.0 * abs(error), brakeable, SPEED)
    return math.copysign(wanted, error)


def follow(x: float, v: float, target: float, target_v: float) -> float:
    """The velocity that brings an axis onto a `target` that moves at `target_v`: the same, seen from the target."""
    return min(max(target_v + servo_to(x, v - target_v, target), -SPEED), SPEED)


def coasted(x: float, v: float) -> float:
    """About where an axis ends up if it is told to stand."""
    return x + 0.8 * v / KV
