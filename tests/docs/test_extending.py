"""The package that docs/extending.md prints is installed as a user would, and does what the page says."""

import json
import sys
from typing import Any

import pytest
from benchmarks.pages import DOCS, blocks, commands

from .installed import Installed

PRINTED = [command for block in blocks(DOCS / "extending.md") for command in commands(block)]
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
    sweep, plain = (" ".join(command[1:]) for command in PRINTED if command[0] == "eval")
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


ROLLED = """
import time
from itertools import count

import numpy as np

from my_parts.robot import Crane
from my_parts.roller import make
from rollahead.assembly.rollers import Scene

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
