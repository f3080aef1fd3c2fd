"""Warm starts: the last plan, shifted to the ticks of the next one, as the start of its denoising.

    last chunk    | 0 1 2 3 4 5 6 7 |            for ticks 10 .. 17
    next chunk           | 3 4 5 6 7 . . . |     for ticks 13 .. 20: shifted by the difference of the origins

Past the end of the last plan, a dimension that moves the robot gets the row of no motion, and any other repeats its
last value. Where something else will be sent than was planned (a hold, a mean of plans), that is used.

Threads: the worker's alone.
"""

from dataclasses import dataclass

import numpy as np
import torch

from rollahead.policies.denoising.samplers import WarmStart
from rollahead.policies.policy import Policy
from rollahead.policies.snap import middle_of
from rollahead.runtime.safety.hold import MOVING
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Request
from rollahead.runtime.types.spec import Kind, NameMap, PolicySpec, RobotSpec


@dataclass(frozen=True, slots=True, eq=False)
class _Kept:
    """The last chunk (T, W), normalised, its rows (H, A) in the policy's order of names, and its request."""

    request: Request
    chunk: torch.Tensor
    rows: FloatArray


class WarmStartCache:
    """The last plan of a policy, kept as the warm start of its next one.

    Args:
        policy: The policy.
        spec: Its spec, with the robot's names.
        mapping: Map between the policy's and the robot's dimensions.
        robot: The robot.
        q: Policy rows per action.
    """

    def __init__(self, policy: Policy, spec: PolicySpec, mapping: NameMap, robot: RobotSpec, q: int = 1) -> None:
        """Computes the dimensions that the robot takes, and the rows of no motion.

        `spec`: the policy's, with the robot's names.
        """
        self._policy, self._q = policy, q
        self._past = policy.shape[0] - spec.horizon  # number of rows for ticks before the origin
        dims = {dim.name: dim for dim in robot.action}
        kinds = [dims[name].kind if name in dims else None for name in spec.action]
        self._taken = [(i, mapping.action.tolist().index(i)) for i, kind in enumerate(kinds) if kind is not None]
        at = np.array([middle_of(dims[name]) if name in dims else 0.0 for name in spec.action])
        zero, middle = policy.normalised(np.stack([np.zeros(len(kinds)), at]))
        self._zero = zero
        padding = [None] * (policy.shape[1] - len(kinds))  # numbers of the network that no name has
        self._moving = torch.tensor([kind in MOVING for kind in (*kinds, *padding)]).to(zero.device)
        self._discrete = torch.tensor([kind is Kind.DISCRETE for kind in (*kinds, *padding)]).to(zero.device)
        self._names = len(kinds)
        self._middle = middle
        self._kept: _Kept | None = None

    def keep(self, request: Request, chunk: torch.Tensor, rows: FloatArray) -> None:
        """Stores the chunk (T, W) made for `request`, without copying it, and its rows (H, A). Phase: hot."""
        self._kept = _Kept(request, chunk, rows)

    def warm_start(self, request: Request) -> WarmStart | None:
        """The warm start of the chunk for `request`.

        None if nothing is known: at the start of an epoch, or if the last plan ends before the new one begins.
        Phase: hot.
        """
        kept = self._kept
        if kept is None or not request.asked.covered or not _follows(request, kept.request):
            return None
        shift = self._q * (_base(request) - _base(kept.request))
        if not 0 <= shift < len(kept.rows):
            return None
        wanted = torch.arange(len(kept.chunk), device=kept.chunk.device) + shift
        chunk = kept.chunk[wanted.clamp(max=len(kept.chunk) - 1)]
        over = (wanted >= len(kept.chunk))[:, None]
        chunk = torch.where(over & self._moving, self._zero, chunk)
        return WarmStart(self._as_planned(request, kept, chunk), self._discrete, self._middle)

    def known(self, request: Request) -> torch.Tensor:
        """(n, W), normalised: the planned rows from the tick of `request` on, without holds.

        Dimensions that the robot does not take have the last chunk's values. Only for q = 1: guidance and choice of
        chunks, which use these rows, do not work with a speed-up. Phase: hot.
        """
        planned = request.asked.planned[: request.asked.covered]
        return self._policy.normalised(self._mapped(planned, self._own(request, len(planned))))

    def _as_planned(self, request: Request, kept: _Kept, chunk: torch.Tensor) -> torch.Tensor:
        """`chunk`, with the rows replaced in which something else will be sent than `kept` has."""
        planned, origin = request.asked.planned[: request.asked.covered], kept.request.origin
        if self._q > 1 or request.origin is None or origin is None:
            return chunk  # a row is several ticks, or the origin is known only at arrival
        rows = self._mapped(planned, np.zeros((len(planned), self._names)))
        ticks = np.arange(request.tick, request.tick + len(rows))
        at, own = ticks - request.origin + self._past, ticks - origin
        inside = (at >= 0) & (at < len(chunk))
        known = (own >= 0) & (own < len(kept.rows))
        same = np.zeros(len(rows), np.bool_)
        taken = [i for i, _ in self._taken]
        same[known] = (rows[known][:, taken] == kept.rows[own[known]][:, taken]).all(axis=1)
        changed = np.flatnonzero(inside & ~same)
        if len(changed):
            places, own_dims = torch.from_numpy(at[changed])[:, None], torch.tensor(taken)
            chunk[places, own_dims] = self._policy.normalised(rows[changed])[:, own_dims]
        return chunk

    def _own(self, request: Request, n: int) -> FloatArray:
        """(n, A), the rows of the last chunk from the tick of `request` on, its last one repeated past its end.

        Zeros if there is no chunk of this run.
        """
        kept = self._kept
        if kept is None or kept.request.seed[0] != request.seed[0] or kept.request.tick > request.tick:
            return np.zeros((n, self._names))
        at = request.tick - _base(kept.request) + np.arange(n)
        own: FloatArray = kept.rows[np.clip(at, 0, len(kept.rows) - 1)].copy()
        return own

    def _mapped(self, rows: FloatArray, into: FloatArray) -> FloatArray:
        """`into` (n, A), in the policy's order of names, with the robot's dimensions set to those of `rows` (n, A)."""
        for own, theirs in self._taken:
            into[:, own] = rows[:, theirs]
        return into


def _base(request: Request) -> int:
    """The tick that a chunk is counted from.

    It is the origin, or the tick of the observation where the origin is known only at arrival; shifts are right then if
    inferences take equally long.
    """
    return request.tick if request.origin is None else request.origin


def _follows(request: Request, last: Request) -> bool:
    """Whether `request` is later than `last`, in the same run and epoch."""
    return request.seed[:2] == last.seed[:2] and request.tick > last.tick
