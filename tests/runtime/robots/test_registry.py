from pathlib import Path
from textwrap import dedent

import pytest

from rollahead.errors import ConfigError
from rollahead.runtime.robots.loopback import NullRobot
from rollahead.runtime.robots.registry import GROUP, load_robot, make_robot
from rollahead.runtime.types.spec import Kind


def installed(folder: Path, name: str, target: str, **modules: str) -> None:
    """A package in `folder` that registers robot `name` as `target`, with the source of its `modules`."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {target}\n")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)


def test_the_robots_that_come_with_it_are_found_by_name_and_none_is_made_by_looking() -> None:
    for name in ("loopback", "lerobot", "pair"):
        assert callable(load_robot(name))


def test_the_loopback_is_an_arm_whose_joints_drive_their_own_state_within_limits() -> None:
    robot = make_robot("loopback", joints=3, rate_hz=100.0)
    assert isinstance(robot, NullRobot)
    assert robot.spec.rate_hz == 100.0
    assert [dim.drives for dim in robot.spec.action] == [dim.name for dim in robot.spec.state]
    assert len(robot.spec.action) == 3
    for dim in robot.spec.action:
        assert dim.kind is Kind.POSITION
        assert -4 < dim.low < dim.high < 4
        assert 0 < dim.rate_limit < dim.accel_limit < 100


def test_an_arm_without_joints_is_refused() -> None:
    with pytest.raises(ConfigError, match="joints is 0; give at least 1"):
        make_robot("loopback", joints=0)


def test_a_robot_of_another_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = dedent("""
        from rollahead.runtime.robots.loopback import arm
        def make(size=1):
            return arm(joints=size) if size < 9 else {"size": size}
    """)
    installed(tmp_path, "toybot", "toybot_of_elsewhere:make", toybot_of_elsewhere=source)
    monkeypatch.syspath_prepend(tmp_path)
    assert len(make_robot("toybot", size=4).spec.action) == 4
    with pytest.raises(
        ConfigError, match=r"robot 'toybot' is made as dict, which has no spec, connect, .*; make it a R"
    ):
        make_robot("toybot", size=9)


def test_an_unknown_robot_is_refused_with_a_near_miss() -> None:
    with pytest.raises(ConfigError, match="no robot 'lopback'; did you mean 'loopback'"):
        make_robot("lopback")


def test_a_robot_that_cannot_be_imported_is_refused_with_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, "brokenbot", "brokenbot_by_import:Broken", brokenbot_by_import="import a_driver_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"'brokenbot' cannot be imported .*a_driver_nobody_has.*add"):
        make_robot("brokenbot")


def test_options_that_a_robot_does_not_take_or_needs_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no option of the robot 'joint'; did you mean 'joints'"):
        make_robot("loopback", joint=3)
    with pytest.raises(ConfigError, match=r"robot\.type must be given"):
        make_robot("lerobot", rate_hz=30.0)
    with pytest.raises(ConfigError, match=r"robot\.joints is 2\.5; give a whole number"):
        make_robot("loopback", joints=2.5)
