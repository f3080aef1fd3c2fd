"""Limits as a person writes them, in the spec of a robot."""

import math
from typing import Any

import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.robots.spec_limits import CHANGES, checked, limited
from rollahead.runtime.types.spec import Dim, RobotSpec

SPEC = RobotSpec(
    action=(Dim("lift", "rad", drives="lift", rate_limit=9.0), Dim("grip", "%", drives="grip")),
    state=(Dim("lift"), Dim("grip")),
    rate_hz=50.0,
)


def limits_of(spec: RobotSpec) -> dict[str, tuple[float, ...]]:
    return {dim.name: tuple(getattr(dim, limit) for limit in CHANGES) for dim in spec.action}


def test_a_default_is_for_every_action_and_a_name_s_own_limit_goes_before_it() -> None:
    limits = {"default": {"rate_limit": 1.5, "accel_limit": 12.0}, "grip": {"rate_limit": 4, "jump_limit": 0.5}}
    assert limits_of(limited(SPEC, limits)) == {"lift": (1.5, 12.0, math.inf), "grip": (4, 12.0, 0.5)}


def test_what_is_not_given_stays_as_it_is_and_states_have_no_limits() -> None:
    assert limited(SPEC, {}) == SPEC
    found = limited(SPEC, {"grip": {"accel_limit": 2.0}})
    assert limits_of(found)["lift"] == (9.0, math.inf, math.inf)
    assert found.state == SPEC.state


def test_a_limit_may_be_infinite_to_take_one_away() -> None:
    assert limits_of(limited(SPEC, {"lift": {"rate_limit": math.inf}}))["lift"][0] == math.inf


def test_what_is_checked_is_a_copy() -> None:
    given = {"grip": {"rate_limit": 1.0}}
    checked(given, ["grip"], CHANGES)["grip"]["rate_limit"] = 2.0
    assert given == {"grip": {"rate_limit": 1.0}}


@every(
    ("limits", "words"),
    [
        ({"grop": {"rate_limit": 1.0}}, "no dimension of the robot 'grop'; did you mean 'grip'? Known: default, grip"),
        ({"grip": {"rate_limt": 1.0}}, "no limit of grip 'rate_limt'; did you mean 'rate_limit'"),
        ({"grip": {"low": 1.0}}, "no limit of grip 'low'; Known: accel_limit, jump_limit, rate_limit"),
        ({"grip": {"rate_limit": "fast"}}, "limits.grip.rate_limit is 'fast'; give a number"),
        ({"grip": {"rate_limit": math.nan}}, "limits.grip.rate_limit is nan; give a finite number"),
        ({"grip": 3}, "limits.grip is 3; give fields of it, such as {rate_limit: 90}"),
        ({"grip": {"accel_limit": 0.0}}, "dimension 'grip' has accel_limit 0.0; give a positive one"),
        ({"default": {"jump_limit": -1.0}}, "dimension 'lift' has jump_limit -1.0; give a positive one"),
    ],
)
def test_limits_that_cannot_be_are_refused_by_name_and_number(limits: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        limited(SPEC, limits)
    assert words in str(caught.value)
