"""The task that docs/tasks.md prints is whole, passes all trials, and does at a delay what the page says."""

import contextlib
import io
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from benchmarks.pages import DOCS, ROOT, blocks
from omegaconf import OmegaConf

from rollahead.assembly.rollers import Scene
from rollahead.evaluation.evaluation import Cell, evaluate, summarise
from rollahead.evaluation.task_trials import TRIALS, try_task
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec
from rollahead.sim.gym import GymTask

from .installed import write_configs

MOST_LINES = 60
CART = RobotSpec((Dim("step", kind=Kind.DELTA, drives="x"),), (Dim("x"),), 50.0, (Dim("box_x"),))


@pytest.fixture(scope="module")
def printed() -> str:
    """The page's module."""
    (block,) = [block for block in blocks(DOCS / "tasks.md") if block.file == "push.py"]
    return block.text


@pytest.fixture
def push(printed: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    """The class of the page, registered as `push`."""
    module = ModuleType("push")
    exec(compile(printed, "push.py", "exec"), module.__dict__)
    monkeypatch.setattr("rollahead.sim.task.load_task", lambda name: module.__dict__["Push"])
    return module.__dict__["Push"]  # type: ignore[no-any-return]


def success(roller: str, delay: int = 8) -> float:
    planner = {"name": "scripted", "horizon": 24}
    strategy, latency = StrategyConfig("vlash", s=8), {"name": "fixed", "ticks": delay}
    cell = Cell({"name": "push"}, strategy, latency, planner, {"name": roller}, episodes=20)
    return float(summarise(evaluate(cell))["success"])


def test_the_example_is_short(printed: str) -> None:
    assert len(printed.splitlines()) <= MOST_LINES


def test_the_example_passes_all_trials_and_its_roller_is_exact(push: Callable[[], Any]) -> None:
    found = {finding.what: finding for finding in try_task({"name": "push"}, episodes=5)}
    assert len(found) == len(TRIALS) and all(finding.ok for finding in found.values()), found
    assert found["roller"].says == "8 ticks ahead off by 0.0 % of what the state moves"


def test_the_block_is_pushed_to_its_goal_where_it_is_rolled_too_and_else_not(push: Callable[[], Any]) -> None:
    assert (success("scene"), success("robot")) == (100.0, 0.0)


@pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")  # of pygame
def test_the_function_of_an_observation_does_in_fetchreach_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("gymnasium_robotics")
    write_configs(tmp_path)
    monkeypatch.chdir(tmp_path)
    found = blocks(DOCS / "tasks.md")
    (at,) = (i for i, block in enumerate(found) if block.file == "to_goal.py")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(compile(found[at].text, "to_goal.py", "exec"), {"__name__": "page"})
    assert out.getvalue() == found[at + 1].text


def test_the_page_names_every_option_of_a_gymnasium_environment() -> None:
    text, options = (
        (DOCS / "tasks.md").read_text(),
        set(OmegaConf.load(ROOT / "src/rollahead/configs/task/gym.yaml")) - {"name"},
    )
    assert [option for option in options if f"`{option}`" not in text] == []
    assert options == set(signature(GymTask).parameters)


def test_the_page_names_every_trial() -> None:
    named = [line.split("|")[1].strip() for line in (DOCS / "tasks.md").read_text().splitlines() if "|" in line]
    assert [name for name in named if name in TRIALS] == list(TRIALS)


@pytest.mark.parametrize(
    ("box", "steps", "after"),
    [(0.2, [0.05, 0.05], 0.2), (0.2, [0.1, 0.1, 0.1], 0.35), (0.06, [0.1, -0.1], 0.15), (0.2, [], 0.2)],
)
def test_the_box_stays_until_the_cart_has_come_to_it_and_then_is_pushed(
    box: float, steps: list[float], after: float
) -> None:
    (source,) = (block.text for block in blocks(DOCS / "tasks.md") if "def pushed" in block.text)
    names: dict[str, Any] = {}
    exec(source, names)
    rollers = names["make"](Scene(CART), reach_m=0.05)
    seen = frozen([box])
    rolled = rollers.scene(seen, frozen([0.0]), np.array(steps).reshape(-1, 1))
    assert rolled.tolist() == pytest.approx([after])
    assert rolled is not seen
