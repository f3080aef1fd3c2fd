"""The environments of the figure are as short as it says, and its functions do something in them."""

import pytest
from benchmarks.gym_task import PLANS, config, lines, played

from rollahead.sim.task import make_task

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")  # of pygame

pytest.importorskip("gym_pusht")
pytest.importorskip("gymnasium_robotics")


@pytest.mark.parametrize("name", PLANS)
def test_a_foreign_environment_needs_at_most_15_lines(name: str) -> None:
    assert 0 < lines(name) <= 15
    assert make_task(**config(name)).spec.action


def test_the_function_reaches_the_goal_of_every_episode_at_a_delay() -> None:
    assert played("fetch", delay=4, episodes=4)["success"] == 100.0


@pytest.mark.slow
def test_the_block_is_pushed_some_of_the_way_and_less_often_at_a_delay() -> None:
    at_once, late = (played("pusht", delay, episodes=20)["success"] for delay in (0, 4))
    assert at_once > 0 and at_once >= late
