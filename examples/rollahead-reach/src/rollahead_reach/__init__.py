"""A task for rollahead: a cart stands on its goal, the goal jumps, and the cart must come to rest on it again.

No physics engine: the cart moves by what it is sent, at most 2 cm per tick and axis, and slips a little.
The entry point in pyproject.toml makes it `rollahead eval task=reach`; options are `task.<option>=...`.
"""

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import StateRoller, for_spec
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec
from rollahead.sim.task import TaskBase

STEP_M = 0.02  # the most that the cart moves in a tick, along each axis
RADIUS_M = 0.01
DWELL = 3  # ticks on the goal
LEAD, PHASE = 40, 32  # the goal jumps at a random one of PHASE ticks after the first LEAD


class Reach(TaskBase):
    """window_s: how long the cart has; slip: standard deviation of each step's error, as a share of the step."""

    spec = RobotSpec(
        action=tuple(Dim(f"d{axis}", "m", Kind.DELTA, -STEP_M, STEP_M, drives=axis) for axis in "xy"),
        state=(Dim("x", "m"), Dim("y", "m")),
        environment=(Dim("goal_x", "m"), Dim("goal_y", "m")),
        rate_hz=20.0,
    )

    def __init__(self, window_s: float = 1.7, slip: float = 0.05) -> None:
        if window_s <= 0 or slip < 0:
            raise ConfigError(f"window_s is {window_s} and slip {slip}; give a positive time and no negative slip")
        self._window = round(window_s * self.spec.rate_hz)
        self._slip = slip
        self.max_ticks = LEAD + PHASE + self._window  # no episode is longer
        self.reset(0)

    def reset(self, seed: int, *, event: bool = True) -> None:
        """Everything random is drawn here, so that an episode is the same whatever the cart does."""
        rng = np.random.default_rng(seed)
        jump = rng.uniform(0.1, 0.25, 2) * rng.choice([-1.0, 1.0], 2)
        self._goals = np.zeros(2), jump if event else np.zeros(2)
        self.event_tick = LEAD + int(rng.integers(PHASE))
        self._grip = 1.0 + self._slip * rng.standard_normal((self.max_ticks, 2))
        self._event = event
        self._cart = np.zeros(2)
        self._tick = self._dwell = 0
        self.done = self.success = False

    def state(self) -> FloatArray:
        """(2,): x, y."""
        return frozen(self._cart)

    def environment(self) -> FloatArray:
        """(2,): where the goal is."""
        return frozen(self._goals[self._tick >= self.event_tick])

    def advance(self, action: FloatArray) -> None:
        """One tick under `action` (2,)."""
        self._cart = self._cart + np.clip(action, -STEP_M, STEP_M) * self._grip[self._tick]
        shown = self._tick - self.event_tick + 1  # ticks that the goal has been there
        there = shown > 0 and np.linalg.norm(self._cart - self.environment()) < RADIUS_M
        self._tick += 1
        self._dwell = self._dwell + 1 if there else 0
        self.success = self._event and self._dwell >= DWELL
        self.done = self.success or shown >= self._window

    def expert(self, horizon: int) -> Plan:
        """Straight to the goal as fast as the cart can, along each axis."""

        def plan(observation: Observation, rng: np.random.Generator) -> FloatArray:
            left = observation.environment - observation.state
            steps = np.arange(1, horizon + 1)[:, None]
            way = np.sign(left) * np.minimum(steps * STEP_M, np.abs(left))  # gone by the end of each tick
            return np.diff(way, axis=0, prepend=0.0)

        return plan

    def roller(self) -> StateRoller:
        """Steps add up: rollahead has that roller."""
        return for_spec(self.spec)
