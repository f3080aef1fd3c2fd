"""Whack-a-mole: the mole jumps, and the tool must come to rest on it before it is gone.

An episode is one jump. The tool rests on the mole when it jumps, 15 to 50 cm, at a tick that falls anywhere in a
strategy's cycle. Hit: within 2 cm and slower than 0.25 m/s for 3 ticks, inside `window_s`.
"""

import math

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.arrays import FloatArray, frozen
from rollahead.runtime.messages import Observation
from rollahead.runtime.planner import Plan
from rollahead.runtime.roll import StateRoller
from rollahead.runtime.spec import Dim, RobotSpec
from rollahead.sim.gantry import FORCE_N, KV, RATE_HZ, SPEED, Gantry, Model, action_dims, state_dims

RADIUS_M = 0.02
SLOW = 0.25  # m/s
DWELL = 3  # ticks
FIELD_M = 0.3  # moles are within this of the middle
JUMP_M = (0.15, 0.5)
LEAD = 48  # ticks before the jump: every strategy is in its stride by then
PHASE = 64  # the jump comes at a random one of so many ticks after that


class WhackAMole:
    """mode: `velocity` or `absolute`; window_s: how long the mole stays; noise: of the servos' input, m/s; pace: of the
    expert, 1 as fast as the robot can, less as demonstrations are."""

    def __init__(self, mode: str = "velocity", window_s: float = 0.9, noise: float = 0.02, pace: float = 1.0) -> None:
        if window_s * RATE_HZ < 1 or not noise >= 0:
            raise ConfigError(f"window_s is {window_s} and noise {noise}; give at least 0.02 s, and no negative noise")
        if not 0 < pace <= 1:
            raise ConfigError(f"pace is {pace}; give 1 (as fast as the robot can) or less, and more than 0")
        self._pace = pace
        self._gantry = Gantry(mode)
        self._model = Model(mode)
        self._window = round(window_s * RATE_HZ)
        self._noise = noise * (1.0 if mode == "velocity" else abs(self._model.command(0.0, 1.0)))
        self.spec = RobotSpec(
            action=action_dims(mode),
            state=state_dims(),
            environment=(Dim("mole_x", "m"), Dim("mole_y", "m")),
            rate_hz=RATE_HZ,
        )
        self.max_ticks = LEAD + PHASE + self._window
        self.model, self.data = self._gantry.model, self._gantry.data
        self.reset(0)

    def reset(self, seed: int, *, stimulus: bool = True) -> None:
        """The tool at rest on a mole; everything random is drawn here."""
        rng = np.random.default_rng(seed)
        self._moles = _draw_jump(rng)
        self.stimulus_tick = LEAD + int(rng.integers(PHASE))
        self._disturbance = self._noise * rng.standard_normal((self.max_ticks, 2))
        self._stimulus = stimulus
        self._tick = self._dwell = 0
        self.done = self.success = False
        self._gantry.reset(*self._moles[0])

    def state(self) -> FloatArray:
        """(4,): x, y, vx, vy."""
        return frozen(self._gantry.state())

    def environment(self) -> FloatArray:
        """(2,): where the mole is."""
        return frozen(self._mole())

    def advance(self, action: FloatArray) -> None:
        """One tick under `action` (2,)."""
        self._gantry.step(action + self._disturbance[self._tick])
        x, y, vx, vy = self._gantry.state().tolist()
        mole = self._mole()
        hit = math.hypot(x - mole[0], y - mole[1]) < RADIUS_M and math.hypot(vx, vy) < SLOW
        shown = self._tick - self.stimulus_tick + 1  # ticks that the mole has been there
        self._tick += 1
        self._dwell = self._dwell + 1 if hit and shown > 0 else 0
        self.success = self._stimulus and self._dwell >= DWELL
        self.done = self.success or shown >= self._window

    def show(self, state: FloatArray, environment: FloatArray) -> None:
        """Puts the tool and the mole where a trace has them."""
        x, y = state[:2].tolist()
        self._gantry.reset(x, y)
        self._gantry.show(*environment.tolist())

    def expert(self, horizon: int) -> Plan:
        """Brakes onto the mole, predicted exactly; see `plan_to`."""

        def plan(observation: Observation, rng: np.random.Generator) -> FloatArray:
            mole_x, mole_y = observation.environment.tolist()
            return plan_to(self._model, observation.state, (mole_x, mole_y), horizon, self._pace)

        return plan

    def roller(self) -> StateRoller:
        """The exact model of the gantry."""
        return self._model

    def _mole(self) -> tuple[float, float]:
        return self._moles[int(self._stimulus and self._tick >= self.stimulus_tick)]


def plan_to(
    model: Model, state: FloatArray, target: tuple[float, float], horizon: int, pace: float = 1.0
) -> FloatArray:
    """(horizon, 2), what a servo would send that brings the tool from `state` to rest at `target`, tick by tick."""
    x, y, vx, vy = map(float, state)
    rows = np.empty((horizon, 2))
    for i in range(horizon):
        ax = model.command(x, approach(x, vx, target[0], pace))
        ay = model.command(y, approach(y, vy, target[1], pace))
        rows[i] = ax, ay
        x, y, vx, vy = model.step((x, y, vx, vy), (ax, ay))
    return rows


def approach(x: float, v: float, target: float, pace: float = 1.0) -> float:
    """The velocity that brings an axis to rest at `target`: proportional near it, and no more than the servo can brake
    from, all of it times `pace`. Looks ahead by most of the servo's lag."""
    error = target - (x + 0.8 * v / KV)
    brakeable = math.sqrt(2 * 0.7 * FORCE_N * abs(error))
    wanted = pace * min(7.0 * abs(error), brakeable, SPEED)
    return math.copysign(wanted, error)


def _draw_jump(rng: np.random.Generator) -> tuple[tuple[float, float], tuple[float, float]]:
    first = rng.uniform(-FIELD_M, FIELD_M, 2)
    while True:
        second = rng.uniform(-FIELD_M, FIELD_M, 2)
        if JUMP_M[0] < math.hypot(*(second - first)) < JUMP_M[1]:
            return tuple(first.tolist()), tuple(second.tolist())
