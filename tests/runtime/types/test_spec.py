import math
import re
from dataclasses import replace
from itertools import combinations, permutations

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Camera, Dim, Kind, PolicySpec, RobotSpec, map_by_name, mask, names_of

NAMES = ("shoulder", "elbow", "wrist", "gripper")


def robot(
    action: tuple[str, ...] = NAMES,
    state: tuple[str, ...] = (),
    environment: tuple[str, ...] = (),
    cameras: tuple[str, ...] = (),
) -> RobotSpec:
    return RobotSpec(
        action=tuple(Dim(name, kind=Kind.VELOCITY) for name in action),  # which may drive what is not measured
        state=tuple(map(Dim, state)),
        environment=tuple(map(Dim, environment)),
        cameras=tuple(Camera(name, 48, 64) for name in cameras),
        rate_hz=50.0,
    )


def policy(action: tuple[str, ...] = NAMES, state: tuple[str, ...] = (), **more: object) -> PolicySpec:
    return PolicySpec(action, state, horizon=4, rate_hz=50.0, **more)


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0), (2.0, -2.0), (math.nan, 1.0), (0.0, math.nan)])
def test_a_range_that_holds_no_number_is_refused(low: float, high: float) -> None:
    with pytest.raises(ConfigError, match=r"'wrist' has low .* high .*low must be less"):
        Dim("wrist", low=low, high=high)


@pytest.mark.parametrize("rate", [0.0, -50.0, math.nan])
def test_a_rate_that_is_not_positive_is_refused(rate: float) -> None:
    with pytest.raises(ConfigError, match=f"'wrist' has rate_limit {rate}; give a positive one"):
        Dim("wrist", rate_limit=rate)
    with pytest.raises(ConfigError, match=f"rate_hz is {rate}; give a positive control rate"):
        RobotSpec((), (), rate_hz=rate)


@pytest.mark.parametrize("rate", [1e4 + 1, 1e9, math.inf])
def test_a_rate_that_nothing_keeps_is_refused(rate: float) -> None:
    RobotSpec((), (), rate_hz=1e4)
    with pytest.raises(ConfigError, match=f"rate_hz is {re.escape(str(rate))}; give .*, 10000 Hz at most$"):
        RobotSpec((), (), rate_hz=rate)


def driving(kind: Kind, drives: str | None) -> RobotSpec:
    return RobotSpec((Dim("reach", kind=kind, drives=drives),), (Dim("wrist_pos"), Dim("elbow_pos")), rate_hz=50.0)


@pytest.mark.parametrize("what", ["state", "environment"])
def test_the_rate_of_what_is_not_measured_is_refused_with_its_near_miss(what: str) -> None:
    dims = {"state": (), "environment": (), what: (Dim("ball_x"), Dim("ball_vx", rate_of="ball_y"))}
    with pytest.raises(ConfigError) as caught:
        RobotSpec((), rate_hz=50.0, **dims)
    assert str(caught.value).startswith(
        f"{what} 'ball_vx' is the rate of a dimension that is not measured: there is no {what} dimension 'ball_y'; "
        "did you mean 'ball_x'"
    )
    RobotSpec((), rate_hz=50.0, **(dims | {what: (Dim("ball_x"), Dim("ball_vx", rate_of="ball_x"))}))


@every("kind", Kind)
def test_an_action_that_drives_what_is_not_measured_is_refused_with_its_near_miss(kind: Kind) -> None:
    with pytest.raises(ConfigError) as caught:
        driving(kind, "elbow_po")
    assert str(caught.value).startswith(
        "action 'reach' drives a state that is not measured: there is no state dimension 'elbow_po'"
    )
    assert "did you mean 'elbow_pos'? Known: elbow_pos, wrist_pos" in str(caught.value)
    assert driving(kind, "elbow_pos").action[0].drives == "elbow_pos"


@every("kind", Kind)
def test_an_absolute_target_that_drives_nothing_could_not_be_held_and_is_refused(kind: Kind) -> None:
    if kind in (Kind.POSITION, Kind.ROTATION):
        with pytest.raises(
            ConfigError, match=f"action 'reach' is an absolute {kind.value} .*; name the state dimension"
        ):
            driving(kind, None)
    else:
        assert driving(kind, None).action[0].drives is None


@pytest.mark.parametrize("place", ["bind", "encode"])
def test_a_policy_takes_its_state_in_a_known_place(place: str) -> None:
    assert policy(state_in=place).state_in == place
    with pytest.raises(ConfigError, match=f"'{place}s'; did you mean '{place}'"):
        policy(state_in=f"{place}s")


@pytest.mark.parametrize("kinds", [kinds for n in range(6) for kinds in combinations(Kind, n)], ids=str)
def test_a_mask_holds_for_just_the_kinds_asked_for(kinds: tuple[Kind, ...]) -> None:
    dims = [Dim(f"{i}", kind=kind) for i, kind in enumerate([*Kind, *Kind])]
    found = mask(dims, *kinds)
    assert found.dtype == np.bool_
    assert found.tolist() == [dim.kind in kinds for dim in dims]


@pytest.mark.parametrize("name", ["effort", "torque", "force", "current"])
def test_an_effort_is_no_kind_and_it_is_said_what_to_take(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Kind(name)
    assert str(caught.value).startswith(
        f"{name} is no kind of action; use a position or a velocity, with the loop that"
    )
    assert "no effort can be held safely" in str(caught.value)


def test_an_unknown_kind_is_refused_with_a_near_miss() -> None:
    assert Kind("velocity") is Kind.VELOCITY
    with pytest.raises(ConfigError, match="no kind of dimension 'velocty'; did you mean 'velocity'"):
        Kind("velocty")


UNITS_OF_EFFORT = ["N", "Nm", "N m", "N.m", "N*m", "N·m", "mA", "newtons", "newton metre", "Newton-meters", "kg cm"]


@every("unit", UNITS_OF_EFFORT)
@every("kind", [Kind.POSITION, Kind.VELOCITY, Kind.DELTA])
def test_an_action_in_a_unit_of_effort_is_refused_whatever_it_is_told_to_be(unit: str, kind: Kind) -> None:
    wrist = Dim("wrist", unit, kind, -1.0, 1.0, drives="wrist")
    with pytest.raises(
        ConfigError, match=re.escape(f"'wrist' is a {kind.value} in {unit}, which is an effort; use a ")
    ):
        RobotSpec((wrist,), (Dim("wrist"),), 50.0)


@every("name", ["joint.torque", "joint.effort", "joint_torque", "Joint.Torque", "torque", "j/current"])
@every("kind", [Kind.POSITION, Kind.VELOCITY, Kind.DELTA])
def test_an_action_without_a_unit_that_is_named_as_an_effort_is_refused(name: str, kind: Kind) -> None:
    with pytest.raises(
        ConfigError,
        match=f"action '{name}' is an effort by its name; give it a unit if it is none",
    ):
        RobotSpec((Dim(name, "", kind, -1.0, 1.0, drives="wrist"),), (Dim("wrist"),), 50.0)


@every(("name", "unit"), [("x", "nm"), ("x", "a"), ("x.force", "m"), ("torque.pos", ""), ("x", "")])
def test_an_action_of_another_unit_is_no_effort(name: str, unit: str) -> None:
    assert RobotSpec((Dim(name, unit, Kind.DELTA, -1.0, 1.0, drives="x"),), (Dim("x"),), 50.0).action[0].name == name


def test_a_grip_force_that_is_high_or_low_may_be_sent_and_an_effort_may_be_measured() -> None:
    grip = Dim("grip", "N", Kind.DISCRETE, 0.0, 20.0, threshold=10.0)
    assert RobotSpec((grip,), (Dim("torque", "Nm"),), 50.0).state[0].unit == "Nm"
    force = Dim("grip.force", "", Kind.DISCRETE, 0.0, 1.0, threshold=0.5)
    assert RobotSpec((force,), (Dim("wrist.torque"),), 50.0).action == (force,)


@pytest.mark.parametrize("group", ["action", "state", "environment"])
def test_a_name_that_comes_twice_in_one_group_is_refused(group: str) -> None:
    with pytest.raises(ConfigError, match=f"the {group} names elbow, wrist twice"):
        robot(**{group: ("wrist", "elbow", "wrist", "shoulder", "elbow")})


def test_an_action_and_a_state_may_share_a_name() -> None:
    assert names_of(robot(("x", "y"), ("x", "y"), ("x",)).state) == ("x", "y")


def test_a_mapping_picks_by_name_whatever_the_order() -> None:
    for order in permutations(NAMES):
        mapping = map_by_name(robot(state=NAMES, environment=NAMES), policy(order, order, environment=order))
        rows = np.array([[10 * h + NAMES.index(name) for name in order] for h in range(4)], dtype=np.float64)
        np.testing.assert_array_equal(mapping.rows(rows), [[10 * h + j for j in range(4)] for h in range(4)])
        assert [NAMES[i] for i in mapping.state] == list(order)
        assert [NAMES[i] for i in mapping.environment] == list(order)


def test_a_policy_sees_what_it_expects_by_name_and_all_else_as_it_was() -> None:
    images = {"top": np.zeros((1, 1, 3), np.uint8)}
    seen = Observation(7, frozen([0.0, 1.0, 2.0, 3.0]), frozen([10.0, 11.0, 12.0, 13.0]), images, {"top": 5}, "pick", 2)
    for wanted in permutations(NAMES, 3):
        mapping = map_by_name(robot(state=NAMES, environment=NAMES), policy(state=wanted, environment=wanted[:1]))
        mapped = mapping.observation(seen)
        assert [NAMES[int(value)] for value in mapped.state] == list(wanted)
        assert [NAMES[int(value) - 10] for value in mapped.environment] == list(wanted[:1])
        assert repr(replace(mapped, state=seen.state, environment=seen.environment)) == repr(seen)
        assert not mapped.state.flags.writeable


def test_what_a_policy_makes_beyond_the_robot_is_left_out() -> None:
    for made in permutations((*NAMES, "base")):
        mapping = map_by_name(robot(), policy(made))
        assert [made[j] for j in mapping.action] == list(NAMES)


def test_what_a_robot_measures_beyond_the_policy_is_left_out() -> None:
    for wanted in permutations(NAMES, 2):
        assert [NAMES[i] for i in map_by_name(robot(state=NAMES), policy(state=wanted)).state] == list(wanted)


REFUSED = {
    "action": (robot(), policy(("shoulder", "elbow", "wrist", "griper")), "policy", "'gripper'", "'griper'"),
    "state": (robot(state=("elbow_pos",)), policy(state=("elbow_po",)), "robot", "'elbow_po'", "'elbow_pos'"),
    "environment": (robot(environment=("cube_x",)), policy(environment=("cub_x",)), "robot", "'cub_x'", "'cube_x'"),
    "camera": (robot(cameras=("wrist_cam",)), policy(cameras=("wrist",)), "robot", "'wrist'", "'wrist_cam'"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_name_without_a_partner_is_refused_with_its_near_miss_in_one_sentence(what: str) -> None:
    robot_spec, policy_spec, giver, missing, near = REFUSED[what]
    with pytest.raises(ConfigError) as caught:
        map_by_name(robot_spec, policy_spec)
    message = str(caught.value)
    assert message.startswith(f"the {giver} does not give what is needed")
    assert f"there is no {what} {missing}; did you mean {near}" in message
    assert message.endswith("rename it in one of the two specs")
    assert message.count(". ") == message.count("\n") == 0


@pytest.mark.parametrize("wanted", [30.0, 49.9, 100.0])
def test_a_policy_of_another_rate_is_refused_with_both_rates(wanted: float) -> None:
    with pytest.raises(ConfigError, match=f"{wanted:g} Hz and the robot runs at 50 Hz; drive the robot at {wanted:g}"):
        map_by_name(robot(), PolicySpec(NAMES, (), horizon=4, rate_hz=wanted))
