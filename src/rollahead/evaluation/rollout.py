"""Rollouts: an expert and exact rollers of robot and scene, from a simulator whose state can be saved and restored.

A task that has `Simulator`'s methods, which most simulators make easy, needs no chunks and no model of its own:

    self.rollouts = Rollouts(self)           in its constructor
    self.rollouts.keep()                     at the end of `reset` and of `advance`
    self.expert = self.rollouts.expert       the members of `Task` of these names, of `MovingScene` the last
    self.roller = self.rollouts.roller
    self.scene_roller = self.rollouts.scene_roller

The whole state of the simulator is kept at the head of every tick, and found again by what was observed then. From
there the rows are stepped through, and the simulator is restored.

Assumes: simulated time. In real time another process plays the task, and its states are not known here.

Threads: those of the task; none of its own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np

from rollahead.errors import ConfigError
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import SceneRoller, StateRoller
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation

MOST = 10_000  # number of states that are kept: those of the last episodes, and those that were rolled to


class Simulator(Protocol):
    """A simulator whose whole state can be saved and restored, with an expert that chooses one action at a time."""

    def get_state(self) -> Any:
        """Returns a copy of all that `step`, `state` and `environment` depend on."""
        ...

    def set_state(self, saved: Any) -> None:
        """Restores the simulator to where it was when `saved` was taken."""
        ...

    def step(self, action: FloatArray) -> None:
        """Runs one tick of physics under `action` (A,), without noise and without the event."""
        ...

    def state(self) -> FloatArray:
        """State (S,) of the robot as it is observed."""
        ...

    def environment(self) -> FloatArray:
        """Numbers (E,) about the scene as they are observed."""
        ...

    def act(self, state: FloatArray, environment: FloatArray) -> FloatArray:
        """Expert's action (A,) for one tick in which `state` (S,) and `environment` (E,) are observed."""
        ...


class Rollouts:
    """Steps a simulator from where it was in some tick, and restores it afterwards."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._kept: dict[bytes, Any] = {}  # states by what was observed in them; oldest first

    def keep(self) -> None:
        """Keeps the current state of the simulator. To be called when a tick begins: in `reset` and `advance`."""
        saved, state = self._simulator.get_state(), self._simulator.state()
        for key in (_key(state), _key(state, self._simulator.environment())):
            self._kept.pop(key, None)
            self._kept[key] = saved
        while len(self._kept) > MOST:
            del self._kept[next(iter(self._kept))]

    def expert(self, horizon: int) -> Plan:
        """Plan in chunks of `horizon` actions of `act`: row 0 for what was observed, the others for what follows.

        A scene that was not rolled with the robot is assumed to stay as far off as it was at the start.
        """

        def plan(seen: Observation, rng: np.random.Generator) -> FloatArray:
            with self._at(seen.state, seen.environment) as simulator:
                off = seen.environment - simulator.environment()
                rows: list[FloatArray] = []
                while len(rows) < horizon:
                    if rows:
                        simulator.step(rows[-1])
                    rows.append(np.asarray(simulator.act(simulator.state(), simulator.environment() + off)))
            return np.array(rows)

        return plan

    def roller(self) -> StateRoller:
        """The simulator as a model of the robot: exact, except for noise and events."""
        return self._roll

    def scene_roller(self) -> SceneRoller:
        """The simulator as a model of the scene, also of objects that the robot pushes or holds."""
        return self._roll_scene

    def _roll(self, state: FloatArray, rows: FloatArray) -> FloatArray:
        with self._at(state) as simulator:
            self._step(rows)
            return frozen(simulator.state())

    def _roll_scene(self, environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray:
        with self._at(state, environment) as simulator:
            off = environment - simulator.environment()
            self._step(rows)
            return frozen(simulator.environment() + off)

    def _step(self, rows: FloatArray) -> None:
        """Steps through `rows` and keeps the state at their end, so that a plan can start there."""
        for row in rows:
            self._simulator.step(row)
        self.keep()

    @contextmanager
    def _at(self, state: FloatArray, environment: FloatArray | None = None) -> Iterator[Simulator]:
        """Simulator, restored to where this was observed last; afterwards it is where it was before.

        If state and environment were never observed together, the state alone decides.
        """
        keys = (() if environment is None else (_key(state, environment),)) + (_key(state),)
        found = next((self._kept[key] for key in keys if key in self._kept), None)
        if found is None:
            raise ConfigError(
                f"the simulator was never in the state {np.array2string(np.asarray(state), precision=4)}, so nothing "
                "can be stepped from there; use the task's own roller (roller=robot, scene or none) in rollahead eval"
            )
        before = self._simulator.get_state()
        self._simulator.set_state(found)
        try:
            yield self._simulator
        finally:
            self._simulator.set_state(before)


def _key(*seen: FloatArray) -> bytes:
    """Key of what was observed, to the bit; a negative zero counts as zero."""
    return b"|".join((np.asarray(numbers, np.float64) + 0.0).tobytes() for numbers in seen)
