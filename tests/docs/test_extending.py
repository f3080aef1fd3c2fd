"""The package that docs/extending.md prints is installed as a user would, and does what the page says."""

import json
import sys
from typing import Any

import pytest
from benchmarks.pages import DOCS, blocks, commands, unfinished

from rollahead.runtime.recording.records import read_parquet

from .installed import Installed

PAGE = blocks(DOCS / "extending.md")
PRINTED = [command for block in PAGE for command in commands(block)]
DRIVING = [command for command in PRINTED if command[0] == "run"]
FEW = "workers=1 reactions=false"


def summary(installed: Installed, name: str) -> Any:
    return json.loads((installed.folder / "runs" / name / "summary.json").read_text())


MANY = """
import sys
from rollahead.commands import eval as command
from rollahead.commands.app import start

for line in sys.stdin.read().splitlines():
    sys.stdout.write(f"status {start('eval', command.main, line.split())}\\n")
"""


def many(installed: Installed, *lines: str) -> tuple[list[str], str]:
    """`rollahead eval <line>` for each line, in one process: the exit statuses, and what was said to stderr."""
    ran = installed.ran([sys.executable, "-c", MANY], input="\n".join(lines))
    return [line.split()[1] for line in ran.stdout.splitlines() if line.startswith("status ")], ran.stderr


def test_fade_switches_softly_and_hits_as_often_and_has_an_option_of_its_own(installed: Installed) -> None:
    sweep, plain = (" ".join(command[1:]) for command in PRINTED if "fade" in str(command))
    assert many(installed, f"{sweep} {FEW} episodes=10", f"{plain} {FEW} episodes=1 name=six") == (["0", "0"], "")
    vlash, fade = (summary(installed, f"faded/{n}")["cells"][0] for n in (0, 1))
    assert fade["figures"]["switch_step"] < 0.5 * vlash["figures"]["switch_step"]
    assert fade["figures"]["success"] == vlash["figures"]["success"] == 100.0
    assert fade["strategy"]["options"] == {"ticks": 3}
    assert summary(installed, "six")["cells"][0]["strategy"]["options"] == {"ticks": 6}


REFUSED = {
    "strategy=fade strategy.options.tiks=2": "did you mean 'strategy.options.ticks'",
    "strategy=fade strategy.options.ticks=-1": "ticks is -1; give 0 (at once) or more",
    "strategy=fade strategy.options.ticks=soon": "strategy.options.ticks is 'soon'; give a whole number",
    "strategy=fade strategy.s=40": "fade needs 1 <= s <= H, and H = 32, s = 40",
    "strategy=fad": "did you mean 'fade'? Known: bid, ensemble, fade, naive",
    "strategy.name=fad": "did you mean 'fade'? Known: bid, ensemble, fade, naive",
    "roller=slewng": "did you mean 'slewing'",
    "roller=slewing roller.sped=2": "did you mean 'roller.speed'",
    "planner=lif": "did you mean 'lift'? Known: diffusion, flow, lift, policy",
    "planner=lift": "lift moves z, and the robot has vx, vy; use robot=crane",
    "planner=lift planner.hight=2": "did you mean 'planner.height'",
    "latency=bsy": "did you mean 'busy'",
    "latency=busy latency.evry=2": "did you mean 'latency.every'",
    "latency=busy latency.every=few": "latency.every is 'few'; give a whole number",
    "latency=busy +latency.median=3": "latency model 'busy' is made as Busy, which has no median, scaled; make it one",
}


def test_what_a_part_is_not_given_right_is_refused_in_one_sentence(installed: Installed) -> None:
    statuses, told = many(installed, *REFUSED)
    assert statuses == ["2"] * len(REFUSED)
    for line, said in zip(told.splitlines(), REFUSED.values(), strict=True):
        assert line.startswith("rollahead eval: ")
        assert said in line


def test_an_unknown_option_of_the_crane_is_refused_with_a_near_miss(installed: Installed) -> None:
    ran = installed.rollahead("run", "robot=crane", "robot.sped=1", "planner=sine")
    assert ran.returncode == 2
    assert "did you mean 'robot.speed'" in ran.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", DRIVING, ids=" ".join)
def test_the_crane_is_driven_as_the_page_says(installed: Installed, command: list[str]) -> None:
    name = f"drive{DRIVING.index(command)}"
    ran = installed.rollahead(*command, f"name={name}")
    assert (ran.returncode, ran.stderr) == (0, "")
    left = summary(installed, name)
    assert "error" not in left
    assert left["realtime"][0]["gauges"]["ticks"] >= 100


def test_the_busy_machine_takes_longer_now_and_then(installed: Installed) -> None:
    (line,) = (" ".join(command[1:]) for command in PRINTED if "latency=busy" in command)
    assert many(installed, f"{line} {FEW} episodes=2 name=busy") == (["0"], "")
    inferences = read_parquet(installed.folder / "runs/busy/inferences.parquet").to_pylist()
    for episode in (0, 1):
        delays = [row["delay"] for row in inferences if row["episode"] == episode]
        assert delays[0] == 15
        assert set(delays[1:8]) == {4}


CHECKPOINT = """
import json, shutil, sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from rollahead.policies.checkpoints.shipped import FOLDER

folder = Path(sys.argv[1])
shutil.copytree(FOLDER / "mole_flow", folder)
config = json.loads((folder / "config.json").read_text())
(folder / "config.json").write_text(json.dumps({**config, "type": "linear"}))
save_file({"gain": torch.zeros(32, 2, 4)}, folder / "model.safetensors")
"""


def test_a_checkpoint_of_the_linear_type_is_driven_like_any_other(installed: Installed) -> None:
    made = installed.ran([sys.executable, "-c", CHECKPOINT, "linear"])
    assert (made.returncode, made.stderr) == (0, "")
    (line,) = (" ".join(line.split()[2:]) for line in unfinished(DOCS / "extending.md"))
    line = line.replace("<its folder>", "./linear")
    assert many(installed, f"{line} {FEW} episodes=2 name=linear") == (["0"], "")
    ticks = read_parquet(installed.folder / "runs/linear/ticks.parquet", columns=["action.vx", "action.vy"])
    assert len({tuple(row.values()) for row in ticks.to_pylist()}) <= 3  # the middle of the range, and holds


def test_a_function_is_a_planner_in_one_line(installed: Installed) -> None:
    (code,) = (block.text for block in PAGE if block.language == "python" and not block.file)
    ran = installed.ran([sys.executable, "-c", code])
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "ticks, of which the robot held in" in ran.stdout


ROLLED = """
import time
from itertools import count

import numpy as np

from my_parts.robot import Crane
from my_parts.roller import make
from rollahead.extending import Scene

clock = count()
time.monotonic = lambda: next(clock) * 0.01  # it looks twice in a tick of 20 ms
crane = Crane(speed=0.5)
crane.connect()
rows = np.array([[0.2, -0.1]] * 10 + [[0.0, -0.1]] * 7)
for row in rows:
    crane.write(row)
    at = crane.read().state
rolled = make(Scene(crane.spec), speed=0.5)(np.zeros(2), rows)
print(np.abs(rolled - at).max() <= 0.5 * 0.02, np.abs(at).max() > 0.05)
"""


def test_the_roller_says_where_the_crane_will_be_to_within_a_ticks_way(installed: Installed) -> None:
    ran = installed.ran([sys.executable, "-c", ROLLED])
    assert (ran.stdout, ran.stderr) == ("True True\n", "")
