"""The refusals of `rollahead.runtime.robots`, for the list of all in tests/test_errors.py."""

import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rollahead.runtime.robots.lerobot import _check_calibrated
from rollahead.runtime.robots.lerobot.command_writer import CommandWriter
from rollahead.runtime.robots.lerobot.features import Features, spec_of
from rollahead.runtime.robots.loopback import NullRobot, arm
from rollahead.runtime.robots.pair import Pair, make_pair
from rollahead.runtime.robots.registry import GROUP, make_robot
from rollahead.runtime.types.spec import Dim, RobotSpec

SPEC = RobotSpec(action=(Dim("wrist", drives="wrist"),), state=(Dim("wrist"),), rate_hz=50.0)


def limited(limits: Any, sent: Mapping[str, Any] | None = None) -> Callable[[Path], object]:
    return lambda folder: spec_of(Features({"wrist.pos": float}, sent or {"wrist.pos": float}), 50.0, limits)


def lerobot(type_: str, **config: Any) -> Callable[[Path], object]:
    """A robot of LeRobot's, which is imported."""

    def make(folder: Path) -> object:
        return make_robot("lerobot", type=type_, rate_hz=30.0, config={"calibration_dir": str(folder), **config})

    return make


def in_no_folder(folder: Path) -> None:
    """LeRobot makes a folder for the calibration, and a file is in the way."""
    (folder / "file").touch()
    lerobot("earthrover_mini_plus", calibration_dir=str(folder / "file"))(folder)


def broken_plug_in(folder: Path) -> None:
    """A plug-in of LeRobot's on the path imports what nobody has."""
    (folder / "lerobot_robot_broken.py").write_text("import a_module_nobody_has")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        lerobot("broken")(folder)


def uncalibrated(folder: Path) -> None:
    device = SimpleNamespace(id="black", calibration_fpath=folder / "black.json")
    bus = SimpleNamespace(read_calibration=dict, calibration={})
    _check_calibrated("so101_follower", device, bus)


def without_lerobot(folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "lerobot", None)
        lerobot("so101_follower")(folder)


def installed_lerobot(version: str | None) -> Callable[[Path], object]:
    """Makes a robot where LeRobot is of this version, or missing."""

    def told(name: str) -> str:
        if version is None:
            raise metadata.PackageNotFoundError(name)
        return version

    def make(folder: Path) -> object:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(metadata, "version", told)
            return lerobot("so101_follower")(folder)

    return make


def broken_robot(folder: Path) -> None:
    info = folder / "torn-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: torn\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\ntorn = torn_by_import:Torn\n")
    (folder / "torn_by_import.py").write_text("import a_driver_nobody_has\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        make_robot("torn")


def two_rates(folder: Path) -> None:
    Pair({"left": arm(rate_hz=50.0), "right": arm(rate_hz=30.0)})


REFUSED_ROBOTS: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "a robot without a calibration": (uncalibrated, ("so101_follower", "'black'", "black.json", "lerobot-calibrate")),
    "joints": (lambda folder: arm(joints=0), ("joints", "0")),
    "robot": (lambda folder: make_robot("lopback"), ("'lopback'", "'loopback'")),
    "robot that cannot be imported": (broken_robot, ("'torn'", "a_driver_nobody_has")),
    "robots of no pair": (lambda folder: make_pair({"left": "loopback"}), ("robots.left", "'loopback'")),  # type: ignore[dict-item]
    "an empty pair": (lambda folder: Pair({}), ("robots",)),
    "rates of a pair": (two_rates, ("left", "50 Hz", "right", "30 Hz")),
    "limits of another": (limited({"wrst.pos": {}}), ("'wrst.pos'", "'wrist.pos'")),
    "no limits": (limited({"wrist.pos": 90}), ("limits.wrist.pos", "90")),
    "another limit": (limited({"wrist.pos": {"hihg": 1.0}}), ("wrist.pos", "'hihg'", "'high'")),
    "kind of a limit": (limited({"wrist.pos": {"kind": "positon"}}), ("'positon'", "'position'")),
    "kind of an action": (limited({}, {"lamp": float}), ("'lamp'", ".pos", ".vel", "limits.lamp.kind")),
    "an action of torques": (limited({}, {"lamp.torque": float}), ("'lamp.torque'", "effort", "position")),
    "a newer lerobot": (installed_lerobot("0.7.0"), ("0.7.0", ">=0.4.4,<0.7")),
    "an older lerobot": (installed_lerobot("0.3.3"), ("0.3.3", ">=0.4.4,<0.7")),
    "lerobot not installed": (installed_lerobot(None), ("LeRobot", "rollahead[policies]")),
    "images as an action": (limited({}, {"screen": (4, 6, 3)}), ("'screen'", "(4, 6, 3)")),
    "way to stop": (lambda folder: CommandWriter(NullRobot(SPEC), SPEC, "lmp"), ("'lmp'", "'limp'")),
    "limp without a bus": (lambda folder: CommandWriter(NullRobot(SPEC), SPEC, "limp"), ("'limp'", "bus")),
    "no lerobot": (without_lerobot, ("lerobot", "rollahead[policies]")),
    "type of lerobot": (lerobot("so101_folower"), ("'so101_folower'", "'so101_follower'")),
    "option of lerobot": (lerobot("so101_follower", prt="/dev/none"), ("so101_follower", "'prt'", "'port'")),
    "value of lerobot": (
        lerobot("so101_follower", port="/dev/none", use_degrees="perhaps"),
        ("so101_follower", "'perhaps'"),
    ),
    "plug-in of LeRobot's that cannot be imported": (
        broken_plug_in,
        ("lerobot_robot_broken", "a_module_nobody_has"),
    ),
    "what lerobot cannot make": (in_no_folder, ("earthrover_mini_plus", "FileExistsError")),
}
