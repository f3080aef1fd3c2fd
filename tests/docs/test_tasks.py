"""The scene roller that docs/tasks.md prints does what the page says."""

from typing import Any

import numpy as np
import pytest

from rollahead.runtime.arrays import frozen
from rollahead.runtime.spec import Dim, Kind, RobotSpec
from rollahead.sim.rollers import Scene

from .pages import DOCS, blocks

CART = RobotSpec((Dim("step", kind=Kind.DELTA, drives="x"),), (Dim("x"),), 50.0, (Dim("box_x"),))


@pytest.mark.parametrize(
    ("box", "steps", "after"),
    [(0.2, [0.05, 0.05], 0.2), (0.2, [0.1, 0.1, 0.1], 0.35), (0.06, [0.1, -0.1], 0.15), (0.2, [], 0.2)],
)
def test_the_box_stays_until_the_cart_has_come_to_it_and_then_is_pushed(
    box: float, steps: list[float], after: float
) -> None:
    (source,) = (block.text for block in blocks(DOCS / "tasks.md") if block.language == "python")
    names: dict[str, Any] = {}
    exec(source, names)
    rollers = names["make"](Scene(CART), reach_m=0.05)
    seen = frozen([box])
    rolled = rollers.scene(seen, frozen([0.0]), np.array(steps).reshape(-1, 1))
    assert rolled.tolist() == pytest.approx([after])
    assert rolled is not seen
