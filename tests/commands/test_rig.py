from dataclasses import replace

import pytest

from rollahead.commands.rig import unlimited
from rollahead.runtime.robots.loopback import arm
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec


def test_a_robot_with_a_rate_limit_everywhere_gets_no_line() -> None:
    assert unlimited(arm().spec) == ""


@pytest.mark.parametrize("kind, named", [(Kind.POSITION, True), (Kind.VELOCITY, True), (Kind.DISCRETE, False)])
def test_a_robot_without_a_rate_limit_gets_one_line_with_the_names(kind: Kind, named: bool) -> None:
    spec = arm(2).spec
    lift = Dim("lift", kind=kind, drives="joint_1")
    line = unlimited(RobotSpec((replace(spec.action[0], rate_limit=1.0), lift), spec.state, spec.rate_hz))
    assert ("no rate_limit: lift; nothing limits" in line) == named
    assert "\n" not in line
