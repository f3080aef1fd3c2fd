"""Velocity commands by which the scripted experts drive the gantry's tool to a target, limited by its braking force."""

import math

from rollahead.sim.gantry import FORCE_N, KV, SPEED


def servo_to(x: float, v: float, target: float, pace: float = 1.0) -> float:
    """The velocity command that brings an axis to rest at `target`, in m/s.

    It is proportional to the distance near the target, and never faster than the servo can brake from. It accounts for
    most of the servo's lag.

    Args:
        x: Position in m.
        v: Velocity in m/s.
        target: Target position in m.
        pace: Factor of the velocity.
    """
    error = target - coasted(x, v)
    brakeable = math.sqrt(2 * 0.7 * FORCE_N * abs(error))
    wanted = pace * min(7.0 * abs(error), brakeable, SPEED)
    return math.copysign(wanted, error)


def follow(x: float, v: float, target: float, target_v: float) -> float:
    """The velocity command that brings an axis onto a target that moves at `target_v`, in m/s."""
    return min(max(target_v + servo_to(x, v - target_v, target), -SPEED), SPEED)


def coasted(x: float, v: float) -> float:
    """The approximate position at which an axis stops if it is commanded to stop now, in m."""
    return x + 0.8 * v / KV
