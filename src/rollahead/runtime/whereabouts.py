"""Whereabouts: from where the next setpoint goes on.

What is sent goes on from what was sent before, with its speed. It begins where the robot is measured

    at the start, and after an e-stop                       in all dimensions
    after a resume, or a reset without an e-stop            in those where the robot is found far from its target

A wrong reading looks like any other, so two in a row must agree on where the robot is. At the start and after an e-stop
nothing is sent until they do; after a resume or a reset the robot counts as where it was sent if they do not soon.

Threads: the executor's alone. Hot path: all but the constructor.
"""

import numpy as np
from numpy.typing import NDArray

from rollahead.runtime.arrays import FloatArray
from rollahead.runtime.hold import Hold
from rollahead.runtime.senses import Senses
from rollahead.runtime.spec import RobotSpec

DOUBTS = 3  # looks after a resume or a reset in which two readings in a row must agree


class Whereabouts:
    """Of a robot with `spec`, as `senses` sees it."""

    def __init__(self, spec: RobotSpec, hold: Hold, senses: Senses) -> None:
        self._hold = hold
        self._senses = senses
        self._everywhere = np.ones(len(spec.action), np.bool_)
        self._doubts = 0  # looks left that may find the robot far from its target
        self.anew: NDArray[np.bool_] | None = self._everywhere  # (A,), what begins where the robot is measured

    def lose(self) -> None:
        """The robot was stopped, and may be anywhere by now."""
        self.anew, self._doubts = self._everywhere, 0

    def doubt(self) -> None:
        """The robot may be far from its target by now."""
        self._doubts = DOUBTS if self.anew is None else 0

    def look(self, last: FloatArray | None) -> None:
        """Finds out, where there is doubt, whether it is; once a tick, when the robot was read. last: (A,), what was
        sent last."""
        if not self._doubts:
            return
        self._doubts -= 1
        if last is not None and self._senses.steady and not self._senses.trouble:
            self._doubts = 0
            self.anew = self._hold.far(self._senses.seen.state, last)

    @property
    def known(self) -> bool:
        """Whether it is known from where the next setpoint goes on."""
        senses = self._senses
        return senses.ever and (self.anew is None or (senses.steady and not senses.trouble))

    def hold(self, last: FloatArray | None) -> FloatArray:
        """(A,), what a hold sends now, after `last` (A,)."""
        if last is None:
            return self._hold.first(self._senses.seen.state, None)
        held = self._hold.rows(last, 1)[0]
        if self.anew is None:
            return held
        return np.where(self.anew, self._hold.first(self._senses.seen.state, last), held)

    def sent(self) -> None:
        """A setpoint was sent: the next one goes on from it."""
        self.anew = None
