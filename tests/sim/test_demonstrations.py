from itertools import islice

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec
from rollahead.sim import render
from rollahead.sim.demonstrations import Recording, demonstrate, record
from rollahead.sim.task import TaskBase, make_task

PARTS = ("state", "environment", "action")
WANTED = np.array([0.9, -1.0, 1.0])  # of the second and third all the range


class Rail(TaskBase):
    """A task on which the expert always wants the same; it keeps what was executed."""

    spec = RobotSpec(
        action=(
            Dim("v", kind=Kind.VELOCITY, low=-1, high=1),
            Dim("w", kind=Kind.VELOCITY, low=-4, high=2),
            Dim("grip", kind=Kind.DISCRETE, low=0, high=1, threshold=0.5),
        ),
        state=(Dim("x"),),
        environment=(Dim("seed"),),
        rate_hz=50.0,
    )
    max_ticks = 2000

    def __init__(self, lasts=2000):
        self._lasts = lasts
        self.executed = []

    @property
    def done(self):
        return len(self.executed) >= self._lasts

    def reset(self, seed, *, event=True):
        assert event
        self.begun, self.seed, self.executed = "reset", seed, []

    def state(self):
        return np.array([float(len(self.executed))])

    def environment(self):
        return np.array([float(self.seed)])

    def advance(self, action):
        self.executed.append(action)

    def expert(self, horizon):
        assert horizon == 1
        return lambda seen, rng: WANTED[None]


class TaughtRail(Rail):
    """One that is never done."""

    def scatter(self, seed):
        self.reset(seed)
        self.begun = "scatter"

    def demonstrator(self):
        assert self.begun == "scatter", "the intention is that of the demonstration begun"
        return lambda seen, rng: np.array([WANTED, 0 * WANTED])


def same(one, other):
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in PARTS)


def played(task, ticks=2000, noise=0.1, seed=3):
    shown = demonstrate(task, Recording({}, ticks, noise), seed)
    return shown, np.array(task.executed)


@pytest.mark.parametrize("task", (Rail(), TaughtRail()), ids=("played", "taught"))
def test_what_is_recorded_is_wanted_and_what_is_executed_strays(task):
    shown, executed = played(task)
    np.testing.assert_array_equal(shown.action, np.tile(WANTED, (2000, 1)))
    assert not np.array_equal(executed[:, :2], shown.action[:, :2])
    np.testing.assert_array_equal(shown.executed, executed)
    assert shown.state[:, 0].tolist() == list(range(2000))
    assert set(shown.environment[:, 0]) == {3.0}


@pytest.mark.parametrize("noise", (0.05, 0.2))
def test_the_noise_is_a_share_of_half_the_range(noise):
    _, executed = played(Rail(), noise=noise)
    assert executed[:, 1].std() == pytest.approx(noise * 3, rel=0.1)
    assert executed[:, 1].mean() == pytest.approx(WANTED[1], abs=0.1 * noise * 3)


def test_what_is_executed_stays_in_range():
    _, executed = played(Rail(), noise=0.5)
    assert executed.max(0).tolist() == [1, 2, 1]
    assert executed[:, 0].min() >= -1 and executed[:, 1].min() >= -4


def test_a_discrete_action_is_executed_as_it_is():
    assert set(played(Rail(), noise=0.5)[1][:, 2]) == {1.0}


@pytest.mark.parametrize("task", (Rail(), TaughtRail()), ids=("played", "taught"))
def test_without_noise_what_is_wanted_is_executed(task):
    shown, executed = played(task, noise=0.0)
    np.testing.assert_array_equal(executed, shown.action)


def test_while_the_robot_wanders_what_is_wanted_is_recorded():
    task = TaughtRail()
    shown = demonstrate(task, Recording({}, 9, 0.0, exploration_ticks=5), 3)
    np.testing.assert_array_equal(shown.action, np.tile(WANTED, (9, 1)))
    executed = np.array(task.executed)
    assert (executed[:5] != WANTED).all()
    np.testing.assert_array_equal(executed[5:], shown.action[5:])


@pytest.mark.parametrize("ticks", (1, 2, 7))
def test_a_task_that_is_taught_lasts_as_long_as_asked(ticks):
    task = TaughtRail(lasts=1)
    assert len(played(task, ticks)[0].action) == ticks
    assert task.begun == "scatter"


@pytest.mark.parametrize("lasts", (1, 2, 7, 3000))
def test_any_other_is_played_until_it_is_done_or_over(lasts):
    task = Rail(lasts)
    shown, executed = played(task, ticks=3)
    assert len(shown.action) == len(executed) == min(lasts, task.max_ticks)
    assert task.begun == "reset"


def test_a_demonstration_is_read_only():
    shown, _ = played(Rail(), ticks=3)
    assert not any(getattr(shown, part).flags.writeable for part in PARTS)


@pytest.mark.parametrize("name", ("mole", "interception", "belt", "pick"))
def test_every_task_can_be_demonstrated_and_a_demonstration_depends_on_its_seed_alone(name):
    shown = list(record({"name": name}, 3, 20, seed=7))
    spec = make_task(name).spec
    for each in shown:
        n = len(each.action)
        assert each.state.shape == (n, len(spec.state)) and each.environment.shape == (n, len(spec.environment))
        assert each.action.shape == (n, len(spec.action)) and np.isfinite(each.action).all()
    assert not same(shown[0], shown[1])
    assert same(shown[2], next(record({"name": name}, 1, 20, seed=9)))


def test_the_number_of_workers_changes_nothing():
    alone, shared = (list(record({"name": "mole"}, 21, 5, seed=1, workers=workers)) for workers in (1, 2))
    assert len(alone) == len(shared) == 21
    assert all(map(same, alone, shared))


def test_whoever_needs_no_more_ends_the_recording():
    assert len(list(islice(record({"name": "mole"}, 10**6, 5, seed=1), 3))) == 3


@pytest.mark.skipif(render.backend() is None, reason=render.explain())
def test_images_show_the_scene_of_each_tick_and_change_nothing_else():
    camera = Camera("top", 24, 32)
    filmed = list(record({"name": "mole"}, 3, 4, seed=1, cameras=[camera]))
    plain = list(record({"name": "mole"}, 3, 4, seed=1))
    assert all(map(same, filmed, plain))
    for each in filmed:
        pictures = each.images["top"]
        assert pictures.shape == (4, 24, 32, 3) and pictures.dtype == np.uint8
        assert pictures.std() > 10
    assert not np.array_equal(filmed[0].images["top"], filmed[1].images["top"])


def test_a_demonstration_without_cameras_has_no_images():
    assert dict(next(record({"name": "mole"}, 1, 4, seed=1)).images) == {}


@every(
    "given, words",
    [
        ({"count": 0}, "count is 0"),
        ({"workers": 0}, "workers 0"),
        ({"seed": -1}, "seed -1"),
        ({"ticks": 0}, "ticks is 0"),
        ({"noise": -0.1}, r"noise -0\.1"),
        ({"noise": 1.5}, r"noise 1\.5"),
        ({"task": {"name": "mol"}}, "'mol'; did you mean 'mole'"),
        ({"cameras": [Camera("tip", 8, 8)]}, "camera in task 'mole': 'tip'; did you mean 'top'"),
    ],
)
def test_what_cannot_be_recorded_is_refused_at_once(given, words):
    usual = {"task": {"name": "mole"}, "count": 1, "ticks": 5, "seed": 0}
    with pytest.raises(ConfigError, match=words):
        record(**{**usual, **given})


def test_an_action_without_a_range_has_no_noise():
    class Endless(Rail):
        spec = RobotSpec(action=(Dim("v", kind=Kind.VELOCITY),), state=(Dim("x"),), rate_hz=50.0)

        def expert(self, horizon):
            return lambda seen, rng: np.array([[7.0]])

    with pytest.raises(ConfigError, match=r"v has no range to take noise from; .* noise=0"):
        played(Endless())
    shown, executed = played(Endless(), ticks=2, noise=0.0)
    np.testing.assert_array_equal(executed, shown.action)
