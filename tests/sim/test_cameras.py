"""Cameras of a simulated robot: what they show, and when they are rendered, in lockstep and in real time."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError
from rollahead.runtime.config.build import Drive, StrategyConfig, make_executor
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.encoder_worker import EncoderWorker, LockstepEncoder, MeanImageEncoder
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Fixed
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.transport.mailbox import Mailbox
from rollahead.runtime.types.arrays import frozen, immutable
from rollahead.runtime.types.messages import Observation, Request
from rollahead.runtime.types.spec import Camera
from rollahead.sim import render
from rollahead.sim.demonstrations import record
from rollahead.sim.mole import WhackAMole
from rollahead.sim.robot import SimRobot
from rollahead.sim.task_check import check_task
from rollahead.sim.world import World

RENDERS = pytest.mark.skipif(render.backend() is None, reason=render.explain())
SIZE = (24, 32)
H = 16


def mole(**options: Any) -> WhackAMole:
    task = WhackAMole(**{"cameras": ["top"], "image_size": SIZE, **options})
    task.reset(0)
    return task


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The camera of each picture that is rendered, in turn."""
    cameras: list[str] = []
    picture = render.Camera.picture

    def counted(self: render.Camera, data: Any) -> Any:
        cameras.append("top")
        return picture(self, data)

    monkeypatch.setattr(render.Camera, "picture", counted)
    return cameras


class Keeping(ScriptedPlanner):
    """It keeps what it is asked in `requests`."""

    def __init__(self, plan: Any, requests: list[Request]) -> None:
        super().__init__(plan)
        self._requests = requests

    def infer(self, request: Request, *rest: Any) -> Any:
        self._requests.append(request)
        return super().infer(request, *rest)


class Play:
    """An episode in lockstep whose plan looks at the images of each request."""

    def __init__(self, task: WhackAMole, *, s: int = 4, n_obs: int = 1, lag: int = 0, trigger: str = "every") -> None:
        self.requests: list[Request] = []
        self.levels: list[float] = []
        self.robot = SimRobot(task, lag)
        strategy = StrategyConfig("vlash", s=s, d=2, trigger=trigger, overlap=H - 4)
        self.executor = make_executor(
            Drive(strategy, H, n_obs), self.robot, DelayEstimator(fixed=2), Trace(task.spec, 99)
        )
        expert = task.expert(H)

        def plan(seen: Observation, rng: np.random.Generator) -> Any:
            return expert(seen, rng)

        inference = Inference(Keeping(plan, self.requests), SpeedUp(task.spec, 1), horizon=H, action_dim=2)
        self.make = lambda worker=None: Lockstep(
            self.executor, inference, Fixed(2), self.robot.advance, encoder_worker=worker
        )

    def run(self, ticks: int, worker: Any = None) -> "Play":
        self.make(worker).run(0, ticks)
        return self

    @property
    def images(self) -> list[list[Any]]:
        """Of each request those of its observations."""
        return [[seen.images["top"] for seen in request.observations] for request in self.requests]


# ---- lockstep -------------------------------------------------------------------------------------------------------


@RENDERS
@pytest.mark.parametrize("n_obs", [1, 2, 3])
def test_in_lockstep_a_request_renders_each_camera_once_per_observation_and_other_ticks_render_nothing(
    n_obs: int, rendered: list[str]
) -> None:
    play = Play(mole(), n_obs=n_obs)
    lockstep = play.make()
    lockstep.run(0, 2)
    rendered.clear()
    lockstep.run(2, 25)  # the answer to the first request is there; requests at ticks 4, 8, ..., 24
    assert [request.tick for request in play.requests] == list(range(0, 25, 4))
    assert len(rendered) == 6 * n_obs
    for request in play.requests[1:]:
        for seen in request.observations:
            assert seen.image_ticks == {"top": seen.tick}
            assert immutable(seen.images["top"])
    assert len({id(image) for images in play.images[1:] for image in images}) == 6 * n_obs


@RENDERS
@pytest.mark.parametrize("trigger", ["every", "asap", "overlap"])
@pytest.mark.parametrize("n_obs", [1, 2])
def test_requests_have_the_images_that_they_would_have_if_every_tick_were_rendered(n_obs: int, trigger: str) -> None:
    asked, all_the_time = Play(mole(), n_obs=n_obs, trigger=trigger), Play(mole(), n_obs=n_obs, trigger=trigger)
    all_the_time.executor._buffer.films = True
    asked.run(40)
    all_the_time.run(40)
    assert len(asked.images) == len(all_the_time.images) > 2
    np.testing.assert_array_equal(asked.images, all_the_time.images)


@RENDERS
def test_rendering_changes_nothing_of_an_episode() -> None:
    filmed, blind = Play(mole()).run(40), Play(mole(cameras=[])).run(40)
    np.testing.assert_array_equal(filmed.executor.trace.ticks["state"], blind.executor.trace.ticks["state"])
    np.testing.assert_array_equal(filmed.executor.trace.ticks["action"], blind.executor.trace.ticks["action"])


@RENDERS
def test_an_encoder_of_images_has_them_rendered_when_it_looks_and_not_in_between(rendered: list[str]) -> None:
    play = Play(mole(), s=12)
    worker = EncoderWorker(MeanImageEncoder(("top",)), ("top",), 1, play.executor.outbox, Mailbox())
    play.run(24, LockstepEncoder(worker, 5))  # it looks at ticks 0, 5, ..., 20; requests at ticks 0 and 12
    assert len(rendered) == 5 + 1


@RENDERS
@pytest.mark.parametrize("lag", [0, 1, 3])
def test_images_are_as_old_as_the_state(lag: int) -> None:
    task = mole(image_size=(64, 64))
    robot, were = SimRobot(task, lag), []
    for k in range(6):
        were.append(task.frames()["top"])
        frame = robot.frames()["top"]
        assert frame.age == min(k, lag) == robot.read().age
        np.testing.assert_array_equal(frame.image, were[k - frame.age])
        robot.write(np.array([1.0, -1.0]))
        robot.advance()
    assert not np.array_equal(were[0], were[-1])


@RENDERS
def test_no_two_images_have_the_same_stamp_whoever_the_robot_is() -> None:
    task = mole()
    robots = [SimRobot(task), SimRobot(task)]
    stamps = [robot.frames()["top"].stamp for _ in range(3) for robot in robots]
    assert len(set(stamps)) == 6


# ---- what they show -------------------------------------------------------------------------------------------------


@RENDERS
def test_an_image_of_an_episode_is_the_one_that_a_demonstration_records_of_the_same_scene() -> None:
    (shown,) = record({"name": "mole"}, 1, ticks=6, seed=3, cameras=[Camera("top", *SIZE)])
    task = mole()
    for state, environment, image in zip(shown.state, shown.environment, shown.images["top"], strict=True):
        point = (float(environment[0]), float(environment[1]))
        task._begin((*state[:2], 0.0, 0.0), ((point,), (point,)))
        np.testing.assert_array_equal(task.frames()["top"], image)


@RENDERS
def test_the_robot_has_the_cameras_that_the_task_is_given_with_their_size() -> None:
    task = mole()
    (camera,) = task.spec.cameras
    assert (camera.name, camera.height, camera.width, camera.on_demand) == ("top", *SIZE, False)
    assert SimRobot(task).spec.cameras[0].on_demand
    assert task.frames()["top"].shape == (*SIZE, 3)
    assert WhackAMole().spec.cameras == ()
    assert WhackAMole().frames() == {}


BAD: Mapping[str, tuple[dict[str, Any], str]] = {
    "a camera": ({"cameras": ["wrist"]}, "no camera of the task 'wrist'. Known: top"),
    "a size": ({"image_size": [24]}, r"task.image_size is \[24\]; give \[height, width\], each from 1 to 640 pixels"),
    "no pixels": ({"image_size": [0, 9]}, r"task.image_size is \[0, 9\]; give"),
    "too many": ({"image_size": [641, 9]}, r"task.image_size is \[641, 9\]; give"),
    "half a pixel": ({"image_size": [8.5, 9]}, r"task.image_size is \[8.5, 9\]; give"),
}


@every("name", BAD)
def test_a_camera_or_a_size_that_is_none_is_refused_in_one_sentence(name: str) -> None:
    options, words = BAD[name]
    with pytest.raises(ConfigError, match=words):
        mole(**options)


def test_cameras_where_nothing_renders_are_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(render, "HEADLESS", ())
    monkeypatch.setattr(render, "backend", lambda: None)
    with pytest.raises(
        ConfigError, match=r"the cameras of a task need a renderer, and nothing renders here .*; on Deb"
    ):
        mole()


# ---- real time ------------------------------------------------------------------------------------------------------


def until(holds: Callable[[], bool]) -> None:
    """Waits for what another process does."""
    for _ in range(3000):
        if holds():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it never came to that")


@RENDERS
def test_in_real_time_an_image_shows_the_scene_that_it_is_said_to_show() -> None:
    with World({"name": "mole", "cameras": ["top"], "image_size": SIZE}) as world:
        world.reset(0)
        robot, task = world.make_robot(), mole()
        robot.connect()
        first = robot.frames()["top"]
        np.testing.assert_array_equal(first.image, task.frames()["top"])
        assert first.age == 0
        threading.Event().wait(0.1)
        robot.write(frozen([1.0, 1.0]))
        assert robot.frames()["top"].age == 0  # it stood still until now
        until(lambda: world.ticks >= 8)
        robot.stop()
        until(lambda: world.stopped and robot.frames()["top"].stamp > first.stamp)
        task.reset(0)
        for _ in range(world.ticks):
            task.advance(frozen([1.0, 1.0]))
        until(lambda: np.array_equal(robot.frames()["top"].image, task.frames()["top"]))
        before = robot.frames()["top"]
        assert (robot.frames()["top"].stamp, before.age) == (before.stamp, 0)


@RENDERS
def test_in_real_time_the_world_keeps_its_pace_and_an_image_of_it_comes_every_few_ticks() -> None:
    with World({"name": "mole", "cameras": ["top"], "image_size": SIZE}) as world:
        world.reset(0, event=False)
        robot = world.make_robot()
        robot.connect()
        robot.write(frozen([0.1, 0.0]))
        stamps = set()
        start = threading.Event()
        ages = []
        while world.ticks < 40:
            stamps.add(robot.frames()["top"].stamp)
            ages.append(robot.read().age)
            start.wait(0.002)
        robot.stop()
        assert len(stamps) > 8
        assert np.median(ages) == 0


# ---- a task whose images are not as its spec says -------------------------------------------------------------------


class Faulty(WhackAMole):
    """Its spec has a camera, and `frames` gives `given`."""

    def __init__(self, given: Any) -> None:
        super().__init__()
        self.spec = replace(self.spec, cameras=(Camera("top", 2, 3),))
        self.given = given

    def frames(self) -> Any:
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


FAULTY: Mapping[str, tuple[Any, str]] = {
    "no image": ({}, r"frames\(\) gives images of no camera, and the spec has camera 'top'; give one of each"),
    "another camera": ({"up": None}, r"frames\(\) gives images of up, and the spec has camera 'top'"),
    "floats": ({"top": np.zeros((2, 3, 3))}, r"camera 'top' gave \(2, 3, 3\) float64, and its spec says \(2, 3, 3\)"),
    "a list": ({"top": [[0]]}, "camera 'top' gave list"),
    "an error": (ValueError("no lens"), r"frames\(\) raised ValueError \(no lens\)"),
}


@every("name", FAULTY)
def test_a_task_whose_images_are_not_as_its_spec_says_is_one_sentence_before_it_is_played(name: str) -> None:
    given, words = FAULTY[name]
    with pytest.raises(ConfigError, match=rf"task 'mole': {words}.*; rollahead doctor task=mole tries the rest"):
        check_task(Faulty(given), "mole", 0)


def test_a_task_with_cameras_and_without_frames_is_one_sentence() -> None:
    task: Any = WhackAMole()
    task.spec = replace(task.spec, cameras=(Camera("top", 2, 3),))
    task.frames = None
    with pytest.raises(ConfigError, match=r"WhackAMole has no method frames\(\); add it"):
        check_task(task, "mole", 0)
