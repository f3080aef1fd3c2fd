"""One inference in the worker: a call of the planner, the check of its result, and the speed-up.

Every field of a result that the executor uses is checked here, so that a wrong value is reported as an error of the
planner and never reaches the robot.

Threads: the worker's alone.
"""

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rollahead.errors import ControlError, InferenceError, one_line
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.planning.latency import Latency
from rollahead.runtime.planning.planner import Planner
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Request, Result, ResultFlags, Snapshot, StageTimes, nothing

MOST = 2**53  # largest whole number in a result: records hold it exactly, also as a float


class Inference:
    """Runs inferences of one planner, checks their results and applies the speed-up.

    Args:
        planner: The planner.
        speed_up: Makes one action of q policy rows.
        horizon: H, policy rows per chunk.
        action_dim: A, dimensions of an action.
        features: Z, number of policy features that the corrector takes; 0 for none.
    """

    def __init__(
        self, planner: Planner, speed_up: SpeedUp, *, horizon: int, action_dim: int, features: int = 0
    ) -> None:
        self._planner = planner
        self._speed_up = speed_up
        self._shape = (horizon, action_dim)
        self._features = features
        self._binds_first = getattr(planner, "state_in", "bind") == "encode"

    def timed(self, latency: Latency) -> Latency:
        """Injected `latency` for this planner: a planner that encodes the state binds it at the beginning."""
        return replace(latency, bind=0) if self._binds_first else latency

    def __call__(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result:
        """Returns the answer to `request`, with (H // q, A) rows, one per tick. Phase: hot, in the worker.

        If the planner has no answer, the result has no rows and the flag `ResultFlags.NO_ANSWER`.

        Raises: InferenceError, if the planner raises, if its rows have another shape or are not finite, or if another
        field of its result is invalid.
        """
        began_ns = time.perf_counter_ns()
        try:
            result = self._planner.infer(request, newest, timer)
        except ControlError:
            raise
        except Exception as error:
            raise InferenceError(
                f"the planner raised {type(error).__name__} ({one_line(error)}) at the request of tick {request.tick}; "
                "nothing of it was sent"
            ) from error
        done_ns = time.perf_counter_ns()
        checked = self._no_answer(request) if result is None else self._checked(result, request)
        stages = checked.stages._replace(infer_ns=done_ns - began_ns, publish_ns=time.perf_counter_ns() - done_ns)
        return replace(checked, stages=stages)

    def _no_answer(self, request: Request) -> Result:
        """The result without rows for a request that the planner had no answer to."""
        seen = request.asked.observation
        return Result(
            request=request,
            rows=frozen(np.empty((0, self._shape[1]))),
            state_tick=seen.state_tick,
            anchor=seen.state,
            cost=0.0,
            calls=0,
            steps=0,
            made=int(ResultFlags.NO_ANSWER),
            policy_features=frozen(np.zeros(self._features)),
        )

    def _checked(self, result: Result, request: Request) -> Result:
        """Returns `result` with the speed-up applied and every field checked and read-only."""
        if not isinstance(result, Result):
            raise InferenceError(
                f"the planner gave {type(result).__name__} at the request of tick {request.tick}; it must give a "
                "Result, or None for no answer"
            )
        if result.request is not request:
            raise _refused("the answer to another request", request, "answer the one that it was given")
        rows = self._rows(result, request)
        return replace(
            result,
            rows=frozen(self._speed_up(rows)),
            anchor=_anchor(result, request),
            cost=_cost(result, request),
            state_tick=_whole("state_tick", result.state_tick, request, least=-MOST),
            calls=_whole("calls", result.calls, request),
            steps=_whole("steps", result.steps, request),
            made=_whole("made", result.made, request),
            policy_features=self._taken_features(result, request),
            stages=_stages(result, request),
        )

    def _taken_features(self, result: Result, request: Request) -> FloatArray:
        """Policy features (Z,) of `result` that the corrector takes, checked and read-only."""
        if not self._features:
            return nothing()
        values = _numbers("policy features", result.policy_features, request)
        if values.shape != (self._features,) or not np.isfinite(values).all():
            given = "NaN or infinity" if values.shape == (self._features,) else f"shape {values.shape}"
            raise _refused(
                f"policy features with {given}", request, f"give the {self._features} numbers that the corrector takes"
            )
        return values

    def _rows(self, result: Result, request: Request) -> FloatArray:
        """Rows (H, A) of `result`, checked and read-only."""
        rows = _numbers("rows", result.rows, request)
        if rows.shape != self._shape:
            raise InferenceError(
                f"the planner gave rows of shape {rows.shape} at the request of tick {request.tick}, and the robot "
                f"needs {self._shape} (horizon, action); fix the planner, or the horizon in the configuration"
            )
        if not np.isfinite(rows).all():
            first = int(np.argwhere(~np.isfinite(rows).all(axis=1))[0, 0])
            raise InferenceError(
                f"the planner gave NaN or infinity, first in row {first} of {len(rows)}, at the request of tick "
                f"{request.tick}; nothing of it was sent: look at the planner's input and normalisation"
            )
        return rows


def _anchor(result: Result, request: Request) -> FloatArray:
    """Anchor (S,) of `result`, checked and read-only."""
    anchor, wanted = _numbers("an anchor", result.anchor, request), request.asked.observation.state.shape
    if anchor.shape != wanted or not np.isfinite(anchor).all():
        given = "NaN or infinity" if anchor.shape == wanted else f"shape {anchor.shape}"
        raise _refused(f"an anchor with {given}", request, f"give the state that it planned from, {wanted}")
    return anchor


def _cost(result: Result, request: Request) -> float:
    """The cost of `result` in ticks, checked."""
    if not isinstance(result.cost, int | float | np.number) or not 0.0 <= result.cost < math.inf:
        raise _refused(f"cost {result.cost!r}", request, "give the ticks that it took, a finite number, 0 or more")
    return float(result.cost)


def _whole(name: str, value: object, request: Request, least: int = 0) -> int:
    """The field `name` of a result, checked to be a whole number from `least` to `MOST`."""
    if not isinstance(value, int | np.integer) or not least <= value <= MOST:
        raise _refused(f"{name} {value!r}", request, f"give a whole number from {least} to {MOST}")
    return int(value)


def _stages(result: Result, request: Request) -> StageTimes:
    """The stage times of `result`, checked."""
    given: object = result.stages
    if not isinstance(given, StageTimes):
        raise _refused(f"stages of {type(given).__name__}", request, "give them as StageTimes")
    return StageTimes(*(_whole(name, value, request) for name, value in given._asdict().items()))


def _numbers(what: str, values: object, request: Request) -> FloatArray:
    """Returns `values` as an array that the planner cannot change any more. `what`: their name in an error."""
    try:
        return frozen(values)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise _refused(f"{what} of {type(values).__name__}", request, "give an array of numbers") from error


def _refused(what: str, request: Request, remedy: str) -> InferenceError:
    """The error for a result with `what` in answer to `request`. `remedy`: what the planner must do instead."""
    return InferenceError(
        f"the planner gave {what} at the request of tick {request.tick}, and nothing of it was sent; it must {remedy}"
    )
