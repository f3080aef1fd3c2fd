"""The Planner protocol, and a planner made from a function.

A planner answers one request at a time, in the worker. It may ask for the newest snapshot whenever it is ready to bind
the state (`rollahead.runtime.rolling.binding`); the later it does so, the newer the state.
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

    A planner that needs the state before it encodes has an attribute `state_in` with the value `encode`, as in a
    `PolicySpec`: an injected latency then binds the state at its beginning.
    """

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result | None:
        """Returns the rows for `request`, or None for no answer this time. Phase: hot, in the worker.

        None is for a failure that may be over at the next request, such as a server that cannot be reached: the old
        plan runs on, the inference is counted as `no_answer`, and the strategy asks again in the next tick. An
        exception ends the run. `Result.stages` may report the durations of encoding, binding, denoising and
        post-processing.

        Args:
            request: The request to answer.
            newest: Returns the executor's newest snapshot.
            timer: Tells how much time is left. A planner that leaves out steps for lack of time sets
                `ResultFlags.CUT`, and gives the ticks that it saved as `Result.cost`.
        """
        ...


class ScriptedPlanner:
    """A planner made from a function, for scripted experts, examples and tests.

    Args:
        plan: Function from an observation and the request's random generator to rows (H, A) in robot units.
        roller: Rolls the state ahead.
        scene: Rolls the environment ahead; None to leave it as it is.
        mapping: Mapping between the function's names and the robot's; None if both are the same, in the same order.
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
        """Binds the newest state at once and calls the function with it. Phase: hot, in the worker."""
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
