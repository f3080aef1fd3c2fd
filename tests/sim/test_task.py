"""The registry, and what every task must hold to: a new one joins the list."""

from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec
from rollahead.sim.mole import WhackAMole
from rollahead.sim.task import (
    GROUP,
    Drawable,
    MovingScene,
    Task,
    TaskBase,
    Teachable,
    begin,
    event_tick_of,
    has_event,
    has_expert,
    has_robot_model,
    make_task,
)

EXAMPLE = Path(__file__).parents[2] / "examples/rollahead-reach/src/rollahead_reach/__init__.py"


def reach(**options: object) -> Task:
    """The example's task, from its source."""
    found = spec_from_file_location("rollahead_reach_source", EXAMPLE)
    assert found is not None
    assert found.loader is not None
    module = module_from_spec(found)
    found.loader.exec_module(module)
    task: Task = module.Reach(**options)
    return task


TASKS: dict[str, Callable[[], Task]] = {
    "mole": lambda: make_task("mole"),
    "mole, absolute": lambda: make_task("mole", mode="absolute", noise=0.05),
    "mole, patient": lambda: make_task("mole", window_s=2.0, pace=0.5),
    "two moles": lambda: make_task("mole", targets=2),
    "strike": lambda: make_task("mole", strike=True),
    "interception": lambda: make_task("interception"),
    "interception, absolute": lambda: make_task("interception", mode="absolute"),
    "interception, rally": lambda: make_task("interception", rally=2),
    "belt": lambda: make_task("belt"),
    "belt, absolute": lambda: make_task("belt", mode="absolute"),
    "pick": lambda: make_task("pick"),
    "reach": reach,
    "reach, slippery": lambda: reach(slip=0.2, window_s=2.5),
}
NOISELESS: dict[str, Callable[[], Task]] = {
    "mole": lambda: make_task("mole", noise=0.0),
    "mole, absolute": lambda: make_task("mole", mode="absolute", noise=0.0),
    "strike": lambda: make_task("mole", strike=True, noise=0.0),
    "interception": lambda: make_task("interception", noise=0.0),
    "belt, absolute": lambda: make_task("belt", mode="absolute", noise=0.0),
    "pick": lambda: make_task("pick", noise=0.0),
    "reach": lambda: reach(slip=0.0),
}
TEACHABLE = [name for name in TASKS if not name.startswith("reach")]
MOVING = [name for name in TEACHABLE if name.startswith(("interception", "belt"))]
TOUCHED = [name for name in TASKS if name.startswith(("interception", "pick"))]  # their scene is not only seen
every_task = pytest.mark.parametrize("name", TASKS)

Act = Callable[[Task, np.random.Generator], FloatArray]


def expertly(task: Task, rng: np.random.Generator) -> FloatArray:
    return task.expert(1)(Observation(0, task.state(), task.environment()), rng)[0]


def wildly(task: Task, rng: np.random.Generator) -> FloatArray:
    return np.array([rng.uniform(dim.low, dim.high) for dim in task.spec.action])


def played(task: Task, seed: int, act: Act = expertly, *, event: bool = True) -> dict[str, Any]:
    task.reset(seed, event=event)
    rng = np.random.default_rng(0)
    states, scenes = [], []
    while not task.done:
        states.append(task.state().tolist())
        scenes.append(task.environment().tolist())
        task.advance(act(task, rng))
    return {"states": states, "scenes": scenes, "success": task.success, "event": task.event_tick}


@every_task
def test_the_same_seed_is_the_same_episode_to_the_bit(name: str) -> None:
    used, fresh = TASKS[name](), TASKS[name]()
    played(used, 8, wildly)
    assert played(used, 3) == played(fresh, 3) != played(fresh, 4)


@every("name", [name for name in TASKS if name not in TOUCHED])
def test_the_scene_is_the_same_whatever_the_robot_does(name: str) -> None:
    expert, wild = played(TASKS[name](), 3), played(TASKS[name](), 3, wildly)
    ticks = min(len(expert["scenes"]), len(wild["scenes"]))
    assert expert["scenes"][:ticks] == wild["scenes"][:ticks]


@every_task
def test_without_its_event_it_is_the_same_episode_in_which_the_event_never_comes(name: str) -> None:
    with_, without = played(TASKS[name](), 5), played(TASKS[name](), 5, event=False)
    first = with_["event"]
    assert without["event"] == first
    assert with_["states"][: first + 1] == without["states"][: first + 1]
    assert with_["scenes"][:first] == without["scenes"][:first]
    assert with_["scenes"][first] != without["scenes"][first]
    assert not without["success"]
    assert len(without["scenes"]) >= len(with_["scenes"])


@every_task
def test_no_episode_is_longer_than_said_nor_over_before_its_event(name: str) -> None:
    task = TASKS[name]()
    for seed in range(5):
        for act in (expertly, wildly):
            episode = played(task, seed, act)
            assert episode["event"] < len(episode["states"]) <= task.max_ticks


@every_task
def test_the_expert_succeeds_when_it_is_asked_at_every_tick(name: str) -> None:
    task = TASKS[name]()
    assert all(played(task, seed)["success"] for seed in range(10))


@every_task
def test_arrays_have_the_sizes_of_the_spec_and_are_new(name: str) -> None:
    task = TASKS[name]()
    task.reset(0)
    seen = Observation(0, task.state(), task.environment())
    assert task.state().shape == (len(task.spec.state),)
    assert task.environment().shape == (len(task.spec.environment),)
    assert task.state() is not task.state()
    before = task.state().tolist()
    task.advance(wildly(task, np.random.default_rng(1)))
    assert seen.state.tolist() == before  # what was seen stays as it was
    for horizon in (1, 7):
        rows = task.expert(horizon)(seen, np.random.default_rng(0))
        assert rows.shape == (horizon, len(task.spec.action))
        assert np.isfinite(rows).all()


@every_task
def test_the_range_of_every_action_is_finite_so_that_reactions_can_be_measured(name: str) -> None:
    assert all(np.isfinite([dim.low, dim.high]).all() for dim in TASKS[name]().spec.action)


@every("name", NOISELESS)
@every("n", [0, 1, 12])
def test_the_roller_says_where_the_robot_will_be(name: str, n: int) -> None:
    task = NOISELESS[name]()
    task.reset(2)
    rng = np.random.default_rng(n)
    for _ in range(5):
        task.advance(wildly(task, rng))
    rows = np.array([wildly(task, rng) for _ in range(n)]).reshape(n, len(task.spec.action))
    rolled = task.roller()(task.state(), rows)
    for row in rows:
        task.advance(row)
    np.testing.assert_allclose(rolled, task.state(), rtol=0, atol=1e-12)


# --- the optional seams ---


@every("name", TEACHABLE)
def test_demonstrations_differ_by_their_seed_and_have_no_end(name: str) -> None:
    task = TASKS[name]()
    assert isinstance(task, Teachable)
    begun = []
    for seed in (1, 2, 1):
        task.scatter(seed)
        begun.append([*task.state().tolist(), *task.environment().tolist()])
        plan, rng = task.demonstrator(), np.random.default_rng(0)
        for _ in range(task.max_ticks + 20):
            task.advance(plan(Observation(0, task.state(), task.environment()), rng)[0])
            assert not task.done
    assert begun[0] == begun[2] != begun[1]


@every("name", TEACHABLE)
def test_no_demonstration_begins_as_the_episode_of_its_seed(name: str) -> None:
    task = TASKS[name]()
    assert isinstance(task, Teachable)
    for seed in range(50):
        task.scatter(seed)
        shown = [*task.state().tolist(), *task.environment().tolist()]
        task.reset(seed)
        assert shown[:2] != task.state().tolist()[:2] or shown[4:] != task.environment().tolist()


@every("name", TEACHABLE)
def test_an_episode_after_a_demonstration_is_what_it_always_was(name: str) -> None:
    used, fresh = TASKS[name](), TASKS[name]()
    assert isinstance(used, Teachable)
    used.scatter(6)
    used.advance(wildly(used, np.random.default_rng(0)))
    assert played(used, 3) == played(fresh, 3)


@every("name", MOVING)
@every("n", [0, 1, 12])
def test_the_scene_roller_says_what_will_be_seen_if_nothing_happens(name: str, n: int) -> None:
    task = TASKS[name]()
    assert isinstance(task, Teachable)
    assert isinstance(task, MovingScene)
    for seed in range(20):
        task.scatter(seed)
        seen, state, rows = task.environment(), task.state(), np.zeros((n, len(task.spec.action)))
        before = seen.tolist()
        rolled = task.scene_roller()(seen, state, rows)
        for row in rows:
            task.advance(row)
        np.testing.assert_allclose(rolled, task.environment(), rtol=0, atol=0.02)
        assert seen.tolist() == before


@every("name", [name for name in TASKS if name not in MOVING])
def test_a_scene_that_stands_has_no_roller(name: str) -> None:
    assert not isinstance(TASKS[name](), MovingScene)


# --- capabilities ---


class Plain(TaskBase):
    """The core alone: a cart on a rail that is pushed to the end."""

    spec = RobotSpec((Dim("dx", "m", Kind.DELTA, -0.1, 0.1, drives="x"),), (Dim("x", "m"),), 20.0)
    max_ticks = 30
    instruction = "push the cart"

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, seed: int) -> None:
        self.x, self.tick = float(np.random.default_rng(seed).uniform()), 0

    @property
    def done(self) -> bool:
        return self.tick >= self.max_ticks

    @property
    def success(self) -> bool:
        return self.x > 2.0

    def state(self) -> FloatArray:
        return np.array([self.x])

    def environment(self) -> FloatArray:
        return np.empty(0)

    def advance(self, action: FloatArray) -> None:
        self.x += float(action[0])
        self.tick += 1


class SaidEvent(Plain):
    event_tick = 3


class TakenEvent(Plain):
    def reset(self, seed: int, *, event: bool = True) -> None:
        super().reset(seed)
        self.told = event


class Removed(Plain):
    expert = None
    roller = None


@every_task
def test_the_tasks_that_come_with_it_have_event_expert_and_model(name: str) -> None:
    task = TASKS[name]()
    assert has_event(task) and has_expert(task) and has_robot_model(task)


def test_a_task_with_the_core_alone_has_none_of_them() -> None:
    for make in (Plain, Removed):
        assert not (has_event(make()) or has_expert(make()) or has_robot_model(make()))
    assert event_tick_of(Plain()) is None


def test_an_event_is_claimed_by_its_tick_or_by_a_reset_that_takes_it() -> None:
    assert has_event(SaidEvent()) and has_event(TakenEvent())


def test_only_a_task_with_an_event_is_begun_without_it() -> None:
    task = TakenEvent()
    begin(task, 1)
    assert task.told
    begin(task, 1, event=False)
    assert not task.told
    plain = Plain()
    begin(plain, 7, event=False)
    first = plain.x
    plain.reset(7)
    assert plain.x == first


def test_a_task_without_cameras_has_no_frames_and_no_instruction_of_its_own() -> None:
    assert TaskBase().frames() == {} and TaskBase().instruction == ""


# --- the registry ---


def installed(folder: Path, name: str, target: str, **modules: str) -> None:
    """A package in `folder` that registers task `name` as `target`, with the source of its `modules`."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {target}\n")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source)


def test_the_tasks_that_come_with_it_are_found_by_name() -> None:
    task = make_task("mole", mode="absolute", window_s=1.5)
    assert isinstance(task, WhackAMole)
    assert task.spec.action[0].unit == "m"


def test_a_task_of_another_package_is_found_by_its_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
from faulty import Rail

class Toy(Rail):
    def __init__(self, size=1):
        self.size = size
"""
    installed(tmp_path, "toy", "toy_of_elsewhere:Toy", toy_of_elsewhere=source)
    monkeypatch.syspath_prepend(tmp_path)
    assert make_task("toy").size == 1
    assert make_task("toy", size=4).size == 4


def test_an_unknown_task_is_refused_with_a_near_miss() -> None:
    with pytest.raises(ConfigError, match="no task 'moel'; did you mean 'mole'"):
        make_task("moel")


def test_a_task_that_cannot_be_imported_is_refused_with_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, "broken", "broken_by_import:Broken", broken_by_import="import a_simulator_nobody_has\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError) as caught:
        make_task("broken")
    assert "'broken' cannot be imported" in str(caught.value)
    assert "a_simulator_nobody_has" in str(caught.value)
    assert "install" in str(caught.value)


def test_a_task_whose_class_is_not_in_its_module_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "renamed", "renamed_class:Old", renamed_class="class New: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="'renamed' cannot be"):
        make_task("renamed")


def test_options_that_a_task_does_not_take_are_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="no option of the task 'widow_s'; did you mean 'window_s'"):
        make_task("mole", widow_s=1.0)


def test_what_a_task_says_of_its_options_is_passed_on() -> None:
    with pytest.raises(ConfigError, match="window_s is -1"):
        make_task("mole", window_s=-1)


def test_a_task_is_drawable_if_it_has_a_scene_to_show() -> None:
    assert all(isinstance(make_task(name), Drawable) for name in ("mole", "interception", "belt"))
    assert not isinstance(reach(), Drawable)
