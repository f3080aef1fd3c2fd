"""An inference, as the worker runs it: the planner's rows, checked and sped up, ready to be sent back.

Threads: the worker's alone.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from rollahead.errors import ControlError, InferenceError
from rollahead.runtime.arrays import FloatArray, frozen
from rollahead.runtime.messages import Request, Result, Snapshot
from rollahead.runtime.planner import Planner
from rollahead.runtime.speedup import SpeedUp
from rollahead.runtime.timer import UNHURRIED, Timer


class Inference:
    """One planner, for rows of `action_dim` A and chunks of `horizon` H policy rows."""

    def __init__(self, planner: Planner, speed_up: SpeedUp, *, horizon: int, action_dim: int) -> None:
        self._planner = planner
        self._speed_up = speed_up
        self._shape = (horizon, action_dim)

    def __call__(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = UNHURRIED) -> Result:
        """The answer to `request`, with (H // q, A) rows, one per tick. Phase: hot, in the worker.

        Raises: InferenceError, if the planner raises, or its rows are of another shape or not finite.
        """
        try:
            result = self._planner.infer(request, newest, timer)
        except ControlError:
            raise
        except Exception as error:
            raise InferenceError(
                f"the planner raised {type(error).__name__} ({error}) at the request of tick {request.tick}; "
                "nothing of it was sent"
            ) from error
        if not isinstance(result, Result):
            raise InferenceError(
                f"the planner gave {type(result).__name__} at the request of tick {request.tick}; it must give a Result"
            )
        self._check(result.rows, request)
        return replace(result, rows=frozen(self._speed_up(result.rows)))

    def _check(self, rows: FloatArray, request: Request) -> None:
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
