"""From policy rate to servo rate: the setpoints within a tick.

Setpoint j of n is for time j / n of its tick. The first is the tick's row itself, and the others lead to the next row,
as far as that is known: nothing is sent later than it would be without them.

    row k       x                         position, linear: towards row k + 1
    sent        x   x   x   x             velocity: a ramp towards it; the sum over ticks stays the sum of the rows
    row k + 1                   x         step: a share each; discrete: the row; rotation: on the group

Hot path: the executor's, of every tick.
"""

from collections.abc import Callable, Mapping

import numpy as np

from rollahead.errors import ConfigError, unknown_name
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.rotation import rotation_triples, turned
from rollahead.runtime.types.spec import Kind, RobotSpec, mask

Shape = Callable[[FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]  # before, row, after, times -> offsets


def linear(before: FloatArray, row: FloatArray, after: FloatArray, times: FloatArray) -> FloatArray:
    """Offsets (n, A) from `row` on the straight line to `after`, at `times` (n, 1) of the tick. Phase: hot."""
    return times * (after - row)


def cubic(before: FloatArray, row: FloatArray, after: FloatArray, times: FloatArray) -> FloatArray:
    """Offsets (n, A) from `row` on a cubic Hermite curve to `after`, at `times` (n, 1) of the tick.

    The curve leaves `row` at the speed of the step from `before` to `row`, and reaches `after` at the speed of the step
    from `row` to `after`. Phase: hot.
    """
    leaving, coming = row - before, after - row
    t, t2, t3 = times, times**2, times**3
    return (3 * t2 - 2 * t3) * (after - row) + (t3 - 2 * t2 + t) * leaving + (t3 - t2) * coming


SHAPES: Mapping[str, Shape] = {"linear": linear, "cubic": cubic}


class Servo:
    """Makes `substeps` setpoints of each action, along `shape` (`linear` or `cubic`) for positions.

    Raises ConfigError if `substeps` is less than 1, the shape is unknown, or a rotation cannot be interpolated.
    """

    def __init__(self, spec: RobotSpec, substeps: int = 1, shape: str = "linear") -> None:
        if substeps < 1:
            raise ConfigError(f"substeps is {substeps}; give 1 (a setpoint per tick) or more")
        if shape not in SHAPES:
            raise unknown_name("shape of setpoints", shape, SHAPES)
        self.substeps = substeps
        self._shape = SHAPES[shape]
        self._times = np.arange(substeps)[:, None] / substeps
        self._curved = mask(spec.action, Kind.POSITION)
        self._velocity = mask(spec.action, Kind.VELOCITY)
        self._delta = mask(spec.action, Kind.DELTA)
        self._shares = substeps > 1 and bool(self._delta.any())
        self._triples = rotation_triples(spec) if substeps > 1 else []

    def first(self, row: FloatArray) -> FloatArray:
        """Setpoint 0 (A,) of a tick whose action is `row` (A,): steps are shared out evenly. Phase: hot."""
        return np.where(self._delta, row / self.substeps, row) if self._shares else row

    def setpoints(self, before: FloatArray | None, row: FloatArray, after: FloatArray) -> FloatArray:
        """Setpoints (n, A) of a tick whose action is `row` (A,).

        The action `before` it (A,) may be None; `after` (A,) is the next action. Phase: hot.
        """
        if self.substeps == 1:
            return row[None]
        times = self._times
        setpoints = np.repeat(row[None], self.substeps, axis=0)
        setpoints[:, self._delta] /= self.substeps
        setpoints[:, self._velocity] += linear(row, row, after, times)[:, self._velocity]
        last = 2 * row - after if before is None else before
        setpoints[:, self._curved] += self._shape(last, row, after, times)[:, self._curved]
        for triple in self._triples:
            setpoints[1:, triple] = [turned(row[triple], after[triple], t) for t in times[1:, 0]]
        return setpoints

    def effect(self, row: FloatArray, sent: FloatArray) -> FloatArray:
        """Action (A,) that the setpoints `sent` (n, A) of a tick amount to.

        It is the last target, the mean velocity, or the sum of steps. Phase: hot.
        """
        moved = np.where(self._velocity, sent.mean(axis=0), sent[-1])
        return np.where(self._delta, sent.sum(axis=0), moved)
