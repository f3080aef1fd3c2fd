from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.robots.lerobot.features import RANGES, Features, ranges_of, spec_of
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec, names_of

OBSERVED = {"lift.vel": float, "lift.pos": float, "grip.pos": np.float32, "front": (4, 6, 3), "front_depth": (4, 6, 1)}
SENT = {"grip.pos": float, "lift.vel": float}
GRIP = {"grip.pos": RANGES["range_0_100"]}


def spec(limits: Any = None, **features: Any) -> RobotSpec:
    return spec_of(Features(**{"observed": OBSERVED, "sent": SENT, **features}), 30.0, limits or {})


def action(name: str, limits: Any = None, **features: Any) -> Dim:
    return next(dim for dim in spec(limits, **features).action if dim.name == name)


def state(name: str, limits: Any = None, **features: Any) -> Dim:
    return next(dim for dim in spec(limits, **features).state if dim.name == name)


def test_numbers_are_dimensions_color_images_are_cameras_and_the_rest_is_left_out() -> None:
    made = spec()
    assert names_of(made.action) == ("grip.pos", "lift.vel")
    assert names_of(made.state) == ("lift.vel", "lift.pos", "grip.pos")
    assert made.cameras == (Camera("front", 4, 6),)
    assert made.environment == ()
    assert made.rate_hz == 30.0


def test_the_suffix_says_the_kind_and_what_is_driven() -> None:
    assert (action("grip.pos").kind, action("grip.pos").drives) == (Kind.POSITION, "grip.pos")
    assert (action("lift.vel").kind, action("lift.vel").drives) == (Kind.VELOCITY, "lift.pos")
    assert (state("lift.vel").kind, state("lift.vel").rate_of) == (Kind.VELOCITY, "lift.pos")
    assert (state("lift.pos").kind, state("lift.pos").rate_of) == (Kind.POSITION, None)


def test_a_velocity_whose_position_is_not_observed_drives_nothing_and_is_the_rate_of_nothing() -> None:
    observed = {"lift.vel": float, "grip.pos": float}
    assert action("lift.vel", observed=observed).drives is None
    assert state("lift.vel", observed=observed).rate_of is None


@pytest.mark.parametrize(
    ("mode", "unit", "low", "high"),
    [("range_m100_100", "%", -100, 100), ("range_0_100", "%", 0, 100), ("degrees", "deg", -np.inf, np.inf)],
)
def test_the_range_of_a_motor_follows_from_how_lerobot_normalises_it(
    mode: str, unit: str, low: float, high: float
) -> None:
    ranges = ranges_of(SimpleNamespace(motors={"grip": SimpleNamespace(norm_mode=mode, model="any")}))
    dim = action("grip.pos", ranges=ranges)
    assert (dim.unit, dim.low, dim.high) == (unit, low, high)
    measured = state("grip.pos", ranges=ranges)
    assert (measured.unit, measured.low, measured.high) == (unit, -np.inf, np.inf)


def test_limits_come_before_what_the_motor_says_and_their_own_before_the_default() -> None:
    limits = {"default": {"rate_limit": 9.0, "high": 80.0}, "grip.pos": {"high": 60.0, "jump_limit": 5}}
    dim = action("grip.pos", limits, ranges=GRIP)
    assert (dim.low, dim.high, dim.rate_limit, dim.jump_limit) == (0.0, 60.0, 9.0, 5)
    assert action("lift.vel", limits).rate_limit == 9.0
    assert state("grip.pos", limits) == Dim("grip.pos")  # of what is both, limits are of what is sent


def test_of_a_name_that_is_both_the_kind_and_unit_are_of_both_and_of_a_measured_one_all() -> None:
    limits = {"grip.pos": {"unit": "mm", "kind": "rotation"}, "lift.pos": {"low": 0.0, "high": 1.5, "unit": "m"}}
    assert (action("grip.pos", limits).kind, action("grip.pos", limits).unit) == (Kind.ROTATION, "mm")
    assert (state("grip.pos", limits).kind, state("grip.pos", limits).unit) == (Kind.ROTATION, "mm")
    lift = state("lift.pos", limits)
    assert (lift.low, lift.high, lift.unit) == (0.0, 1.5, "m")


@pytest.mark.parametrize("name", ["lift.torque", "lift.effort", "lift.current", "lift.force"])
def test_an_action_that_is_an_effort_is_refused_with_what_to_take(name: str) -> None:
    with pytest.raises(ConfigError, match=f"action '{name}' is an effort by its name; give it a unit"):
        spec_of(Features({"lift.pos": float}, {name: float}, {}), 30.0, {})


def test_an_action_of_another_suffix_needs_its_kind() -> None:
    sent = {**SENT, "lamp": float}
    with pytest.raises(ConfigError, match=r"'lamp' ends in neither \.pos nor \.vel.*give limits\.lamp\.kind, one of"):
        spec(sent=sent)
    lamp = {"kind": "discrete", "low": 0.0, "high": 1.0, "threshold": 0.5, "hysteresis": 0.2}
    dim = action("lamp", {"lamp": lamp}, sent=sent)
    assert (dim.kind, dim.threshold, dim.hysteresis, dim.drives) == (Kind.DISCRETE, 0.5, 0.2, None)


def test_what_an_action_of_another_name_drives_can_be_said() -> None:
    limits = {"grip": {"kind": "position", "drives": "grip.pos"}}
    assert action("grip", limits, sent={"grip": float}).drives == "grip.pos"


@every(
    ("limits", "words"),
    [
        ({"grp.pos": {}}, "no dimension of the robot 'grp.pos'; did you mean 'grip.pos'"),
        ({"grip.pos": {"rate_limt": 1.0}}, "no limit of grip.pos 'rate_limt'; did you mean 'rate_limit'"),
        ({"grip.pos": {"kind": "positon"}}, "no kind of dimension 'positon'; did you mean 'position'"),
        ({"grip.pos": {"low": "deep"}}, "limits.grip.pos.low is 'deep'; give a number"),
        ({"grip.pos": 5}, "limits.grip.pos is 5; give fields of it"),
        ({"grip.pos": {"low": 1.0, "high": 0.0}}, "'grip.pos' has low 1.0 and high 0.0"),
    ],
)
def test_limits_that_cannot_be_are_refused_by_name(limits: Any, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        spec(limits)
    assert words in str(caught.value)


def test_a_robot_that_is_sent_images_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"action 'screen' is \(4, 6, 3\), and only numbers can be sent"):
        spec(sent={**SENT, "screen": (4, 6, 3)})


def test_without_a_bus_or_a_way_to_normalise_no_range_is_known() -> None:
    motors = {"lift": SimpleNamespace(norm_mode=SimpleNamespace(value="range_0_100")), "wheel": SimpleNamespace()}
    assert ranges_of(SimpleNamespace(motors=motors)) == {"lift.pos": RANGES["range_0_100"]}
    assert ranges_of(None) == ranges_of(SimpleNamespace(motors=["lift"])) == {}


@pytest.mark.parametrize(("low", "high"), [(0, 4095), (753, 3346), (2000, 2001)])
def test_the_range_of_a_motor_in_degrees_is_where_lerobot_puts_the_ends_of_its_calibration(low: int, high: int) -> None:
    from lerobot.motors.motors_bus import Motor, MotorCalibration, MotorNormMode

    bus = lerobot_bus()
    bus.motors = {"lift": Motor(3, "sts3215", MotorNormMode.DEGREES)}
    bus.calibration = {"lift": MotorCalibration(3, 0, 17, low, high)}
    dim = action("grip.pos", ranges={"grip.pos": ranges_of(bus)["lift.pos"]})
    assert dim.unit == "deg"
    assert [dim.low, dim.high] == pytest.approx([bus._normalize({3: end})[3] for end in (low, high)])


@pytest.mark.parametrize("calibration", [{}, None])
def test_a_motor_in_degrees_that_is_not_calibrated_has_no_range(calibration: Any) -> None:
    motors = {"lift": SimpleNamespace(norm_mode="degrees", model="sts3215")}
    bus = SimpleNamespace(motors=motors, calibration=calibration, model_resolution_table={"sts3215": 4096})
    assert ranges_of(bus) == {"lift.pos": {"unit": "deg"}}


def lerobot_bus() -> Any:
    """LeRobot's bus of Feetech motors, without what it takes to open a port."""
    from lerobot.motors.feetech import FeetechMotorsBus

    bus = object.__new__(FeetechMotorsBus)
    bus._id_to_model = lambda id_: "sts3215"  # type: ignore[method-assign]
    bus._id_to_name = lambda id_: "lift"  # type: ignore[method-assign]
    return bus
