"""SO-101 arms of LeRobot's own class on simulated buses, for programs that are run beside the tests.

    subprocess.run(["rollahead", "run", "robot=lerobot", ...], env=arms(tmp_path))

The servos are those of `sdk`, a stand-in for Feetech's SDK; the arm's class, its bus, and the file of its
calibration are LeRobot's.
"""

import json
import os
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
PORT, ID = "/dev/ttyACM0", "black"  # as the pages have them
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
RANGES = ((753, 3346), (812, 3304), (868, 3084), (924, 3190), (0, 4095), (2023, 3510))  # in counts of the encoder
OFFSETS = (-120, 85, 33, -7, 0, 410)
COUNTS_PER_TURN = 4095  # by which LeRobot converts counts to degrees
NEEDS = {"serial": "pyserial", "deepdiff": "deepdiff"}  # by module: what LeRobot 0.6.1 does not bring


def half_range(joint: str) -> float:
    """Degrees from the middle of a joint's range to either of its ends, as LeRobot counts them."""
    low, high = RANGES[JOINTS.index(joint)]
    return (high - low) / 2 * 360 / COUNTS_PER_TURN


def cameras(environment: Mapping[str, str]) -> dict[str, str]:
    """`environment` with a simulated camera for every index that OpenCV is asked for."""
    return {**environment, "PYTHONPATH": os.pathsep.join([str(HERE / "cameras"), environment["PYTHONPATH"]])}


def arms(folder: Path, ids: Mapping[str, str | None] | None = None) -> dict[str, str]:
    """The environment of a program that finds calibrated arms. folder: for their files; ids: by port, the robot's id;
    None for that of an arm whose calibration is missing."""
    ids = {PORT: ID} if ids is None else ids
    numbers = [
        {"id": i, "drive_mode": 0, "homing_offset": offset, "range_min": low, "range_max": high}
        for i, (offset, (low, high)) in enumerate(zip(OFFSETS, RANGES, strict=True), 1)
    ]
    calibration = folder / "calibration" / "robots" / "so_follower"
    calibration.mkdir(parents=True, exist_ok=True)
    for name in ids.values():
        if name is not None:
            (calibration / f"{name}.json").write_text(json.dumps(dict(zip(JOINTS, numbers, strict=True))))
    (folder / "arms.json").write_text(json.dumps({port: {each["id"]: each for each in numbers} for port in ids}))
    added = [HERE / "sdk", *(HERE / "sdk_needs" / NEEDS[name] for name in NEEDS if not find_spec(name))]
    paths = [*map(str, added), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(paths),
        "HF_LEROBOT_CALIBRATION": str(folder / "calibration"),
        "FEETECH_ARMS": str(folder / "arms.json"),
    }
