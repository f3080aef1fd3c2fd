"""Planners: all that the runtime knows of thinking.

A planner answers one request at a time, in the worker. It may ask for the newest snapshot whenever it is ready to bind
the state (`rollahead.runtime.rolling.binding`), and later than the request if it can.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.rolling.binding import bind
from rollahead.runtime.rolling.roll import SceneRoller, StateRoller, still
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import NameMap

Plan = Callable[[Observation, np.random.Generator], FloatArray]


class Planner(Protocol):
    """Interface of everything that makes chunks: a policy, a script, a remote server.

    One that needs the state before it encodes has an attribute `state_in` that is `encode`, as in a `PolicySpec`: an
    injected latency then binds at its beginning.
    """

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result | None:
        """Returns the rows for `request`, or None for no answer this time. Phase: hot, in the worker.

        newest: returns the executor's newest snapshot; timer: tells how much time is left. A planner that takes fewer
        steps for it says so (`ResultFlags.CUT`), with the ticks that this has saved as the cost.

        None is for what may be over at the next request, such as a server that cannot be reached: the old plan runs on,
        the inference is counted as `no_answer`, and the strategy asks again in the next tick. An exception ends the
        run. `Result.stages` may report how long encoding, binding, denoising and post-processing took.
        """
        ...


class ScriptedPlanner:
    """A planner from a function: for scripted experts, examples and tests. It takes no time of its own.

    plan: the observation to plan from, and the request's random generator -> (H, A) in robot units; mapping: how its
    names are the robot's, if they are not the same in the same order.
    """

    def __init__(
        self,
        plan: Plan,
        roller: StateRoller = still,
        scene: SceneRoller | None = None,
        mapping: NameMap | None = None,
    ) -> None:
        self._plan = plan if mapping is None else _mapped(plan, mapping)
        self._roller = roller
        self._scene = scene

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result:
        """Binds at once and calls the function."""
        observation = bind(request, newest(), self._roller, self._scene)[-1]
        rows = self._plan(observation, generator("planner", *request.seed))
        return Result(
            request=request,
            rows=frozen(rows),
            state_tick=observation.state_tick,
            anchor=observation.state,
            cost=0.0,
        )


def _mapped(plan: Plan, mapping: NameMap) -> Plan:
    return lambda seen, rng: mapping.rows(plan(mapping.observation(seen), rng))
