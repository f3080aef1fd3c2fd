"""Environments of gymnasium, gym-pusht and gymnasium-robotics as tasks, and what is said of one that is none."""

import math
import sys
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.assembly.planners import Planning, make_planning
from rollahead.assembly.rollers import Scene, make_rollers
from rollahead.assembly.sine import Sine
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, check_all, evaluate, measure, summarise, why_no_reactions
from rollahead.evaluation.task_trials import try_task
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.rolling.roll import for_spec
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Kind
from rollahead.sim.demonstrations import record
from rollahead.sim.gym import GymTask
from rollahead.sim.task import has_event, has_expert, has_robot_model, make_task

pytestmark = pytest.mark.filterwarnings("ignore:pkg_resources is deprecated")  # of pygame

CAR = {
    "name": "gym",
    "id": "MountainCarContinuous-v0",
    "rate_hz": 30.0,
    "state": {"position": 0, "velocity": 1},
    "action": {"push": {"kind": "delta", "drives": "velocity", "scale": 0.0015}},
    "max_ticks": 200,
}
PENDULUM = {
    "name": "gym",
    "id": "Pendulum-v1",
    "rate_hz": 20.0,
    "state": {"tip": "0:2", "rate": 2},
    "action": {"swing": {"kind": "delta", "drives": "rate"}},
    "success": -0.05,
}
PUSHT = {
    "name": "gym",
    "id": "gym_pusht/PushT-v0",
    "imports": ["gym_pusht"],
    "rate_hz": 10.0,
    "state": {"x": 0, "y": 1},
    "environment": {"block": "2:4", "angle": 4},
    "action": {"x": {"drives": "x"}, "y": {"drives": "y"}},
    "success": "is_success",
}
FETCH = {
    "name": "gym",
    "id": "FetchReach-v4",
    "imports": ["gymnasium_robotics"],
    "rate_hz": 25.0,
    "state": {"x": "observation.0", "y": "observation.1", "z": "observation.2"},
    "environment": {"goal": "desired_goal"},
    "action": {
        **{f"d{axis}": {"kind": "delta", "drives": axis, "scale": 0.05} for axis in "xyz"},
        "grip": {"kind": "delta"},
    },
    "success": "is_success",
}
ALL: dict[str, dict[str, Any]] = {"car": CAR, "pendulum": PENDULUM, "pusht": PUSHT, "fetch": FETCH}
NEEDED = {"pusht": "gym_pusht", "fetch": "gymnasium_robotics"}
HORIZON = 16


@pytest.fixture(params=ALL)
def config(request):
    return of(request.param)


def of(name, **changes):
    if name in NEEDED:
        pytest.importorskip(NEEDED[name])
    return {**ALL[name], **changes}


def to_goal(seen, rng):
    """Straight to the goal, 3 cm in a tick."""
    left = seen.environment - seen.state
    share = np.minimum(1.0, 0.03 * np.arange(HORIZON + 1) / max(np.linalg.norm(left), 1e-9))
    return np.column_stack([np.diff(share)[:, None] * left, np.zeros(HORIZON)])


def swinging(seen, rng):
    """Pushes the car the way it goes, whichever way that will be."""
    position, velocity = seen.state
    rows = []
    for _ in range(HORIZON):
        rows.append([0.0015 if velocity >= 0 else -0.0015])
        velocity += rows[-1][0] - 0.0025 * math.cos(3 * position)
        position += velocity
    return np.array(rows)


def played_by(plan, config, delay, episodes=6):
    task = make_task(**config)
    cell = Cell(config, StrategyConfig("vlash", s=4), {"name": "fixed", "ticks": delay}, episodes=episodes)
    planning = Planning(ScriptedPlanner(plan, for_spec(task.spec)), HORIZON)
    return summarise([measure(cell, task, seed, planning) for seed in range(episodes)])


# --- what it is ---


def test_the_robot_has_the_ranges_of_the_action_space_and_the_kinds_and_names_that_are_given():
    spec = make_task(**of("pusht")).spec
    assert [(dim.name, dim.kind, dim.low, dim.high, dim.drives) for dim in spec.action] == [
        ("x", Kind.POSITION, 0.0, 512.0, "x"),
        ("y", Kind.POSITION, 0.0, 512.0, "y"),
    ]
    assert [dim.name for dim in spec.state] == ["x", "y"]
    assert [dim.name for dim in spec.environment] == ["block_0", "block_1", "angle"]
    assert spec.rate_hz == 10.0
    push = make_task(**of("car")).spec.action[0]
    assert (push.low, push.high) == pytest.approx((-0.0015, 0.0015))


def test_an_episode_is_that_of_the_environment_step_by_step():
    import gymnasium

    task, env = make_task(**CAR), gymnasium.make(CAR["id"])
    for seed in (3, 4, 3):
        task.reset(seed)
        seen, _ = env.reset(seed=seed)
        for tick in range(40):
            np.testing.assert_array_equal(task.state(), np.float64(seen))
            push = math.sin(tick)
            task.advance(np.array([0.0015 * push]))
            seen, *_ = env.step(np.array([push], np.float32))


def test_the_trials_of_a_task_hold_and_those_of_an_event_and_an_expert_are_left_out(config):
    found = {finding.what: finding for finding in try_task(config, episodes=2)}
    assert not [finding for finding in found.values() if finding.ok is False]
    assert [what for what in found if found[what].ok is None] == ["event", "expert's actions", "guard", "expert"]
    assert found["event"].says == "not tried: the task has no event"
    assert found["roller"].says.startswith("8 ticks ahead off by ")


def test_it_has_neither_event_nor_expert_nor_model(config):
    task = make_task(**config)
    assert not (has_event(task) or has_expert(task) or has_robot_model(task))


def test_it_ends_where_the_environment_ends_it_and_at_its_limit():
    task = make_task(**of("fetch"))
    assert task.max_ticks == 50
    assert make_task(**of("fetch", max_ticks=7)).max_ticks == 7
    for most in (50, 7, 90):
        task = make_task(**of("fetch", max_ticks=most))
        for tick in range(most):
            assert not task.done, tick
            task.advance(np.zeros(4))
        assert task.done


def test_success_is_a_key_of_info_or_the_end_or_a_reward():
    import gymnasium

    fetch = make_task(**of("fetch"))
    told = set()
    fetch.reset(0)
    for _ in range(fetch.max_ticks):
        row = to_goal(Observation(0, fetch.state(), fetch.environment()), None)[0]
        fetch.advance(row)
        near = np.linalg.norm(fetch.state() - fetch.environment()) < 0.05
        assert fetch.success == near
        told.add(fetch.success)
    assert told == {True, False}
    assert played_by(swinging, CAR, delay=0)["success"] == 100.0  # which is terminated at the flag
    task, env = make_task(**PENDULUM), gymnasium.make("Pendulum-v1")
    task.reset(1)
    env.reset(seed=1)
    for _ in range(60):
        task.advance(np.array([1.0]))
        assert task.success == (env.step(np.array([1.0], np.float32))[1] >= -0.05)


# --- cameras ---


def test_a_camera_is_rendered_when_a_frame_is_asked_for_and_once_in_a_tick(monkeypatch):
    task = make_task(**of("pusht", cameras={"top": "render"}))
    assert [(camera.name, camera.height, camera.width) for camera in task.spec.cameras] == [("top", 680, 680)]
    rendered = []
    render = task._env.render
    monkeypatch.setattr(task._env, "render", lambda: (rendered.append(1), render())[1])
    task.reset(0)
    for _ in range(3):
        task.advance(np.array([100.0, 100.0]))
    assert rendered == []
    first = task.frames()["top"]
    assert task.frames()["top"] is first and len(rendered) == 1
    assert first.shape == (680, 680, 3) and first.dtype == np.uint8 and not first.flags.writeable
    task.advance(np.array([400.0, 400.0]))
    assert not np.array_equal(task.frames()["top"], first) and len(rendered) == 2


def test_a_function_is_given_the_images_and_they_are_rendered_for_its_requests_alone(monkeypatch):
    wanted = of("pusht", cameras={"top": "render"}, max_ticks=40)
    task, shapes, rendered = make_task(**wanted), [], []
    render = task._env.render
    monkeypatch.setattr(task._env, "render", lambda: (rendered.append(1), render())[1])

    def plan(seen, rng):
        shapes.append(seen.images["top"].shape)
        return np.tile(seen.state, (HORIZON, 1))

    cell = Cell(wanted, StrategyConfig("vlash", s=8), {"name": "fixed", "ticks": 4}, episodes=1, traces=1)
    episode = measure(cell, task, 0, Planning(ScriptedPlanner(plan, for_spec(task.spec)), HORIZON))
    assert len(episode.trace.ticks) == 40 and set(shapes) == {(680, 680, 3)}
    assert (
        len(shapes) <= len(rendered) <= len(shapes) + 2
    )  # one more before the start, and one for a request still open


def test_a_camera_may_be_a_key_of_the_observation():
    options = {"obs_type": "pixels_agent_pos"}
    state, cameras = {"x": "agent_pos.0", "y": "agent_pos.1"}, {"top": "pixels"}
    task = make_task(**of("pusht", options=options, state=state, environment=None, cameras=cameras))
    assert task.frames()["top"].shape == (96, 96, 3)


def test_without_cameras_there_are_no_frames():
    assert make_task(**CAR).frames() == {}


# --- planners ---


def sine_cell(config, episodes=2):
    sine = {"name": "sine", "horizon": HORIZON, "share": 0.5, "period_s": 1.0}
    return Cell(config, StrategyConfig("vlash", s=4), {"name": "fixed", "ticks": 2}, sine, episodes=episodes, traces=1)


@pytest.mark.parametrize("name", ALL)
def test_a_sine_moves_it_in_an_evaluation(name):
    wanted = of(name, max_ticks=20)
    episode, _ = evaluate(sine_cell(wanted))
    assert np.ptp(episode.trace.ticks["state"], axis=0).max() > 0
    assert episode.event_tick is None and episode.reaction_s is None
    assert episode.time_s == pytest.approx(20 / wanted["rate_hz"])
    assert summarise([episode])["reaction_s"] is None


@pytest.mark.parametrize("delay", [0, 4])
def test_a_function_of_the_observation_reaches_every_goal(delay):
    figures = played_by(to_goal, of("fetch"), delay)
    assert figures["success"] == 100.0 and figures["success_ci"][0] > 50


def test_a_function_of_the_observation_brings_the_car_to_its_flag_at_a_delay():
    assert played_by(swinging, CAR, delay=4)["success"] == 100.0


def test_a_planner_is_given_its_instruction_in_an_evaluation():
    told = set()
    played_by(
        lambda seen, rng: (told.add(seen.task), swinging(seen, rng))[1], CAR | {"instruction": "go"}, 0, episodes=1
    )
    assert told == {"go"}


def test_the_kinds_of_its_actions_are_its_model():
    task = make_task(**of("fetch"))
    rows, state = np.full((3, 4), 0.01), task.state()
    rolled = make_rollers({"name": "robot"}, Scene(task.spec, task)).state(state, rows)
    np.testing.assert_allclose(rolled, state + 0.03)


# --- what it cannot do, and who needs it ---


def test_an_expert_is_asked_for_by_name_where_it_is_needed():
    task = make_task(**CAR)
    scene = Scene(task.spec, task)
    with pytest.raises(
        ConfigError, match=r"^planner=scripted needs an expert, and the task has none \(GymTask\); use "
    ):
        make_planning({"name": "scripted", "horizon": 8}, scene, make_rollers({"name": "robot"}, scene))
    with pytest.raises(ConfigError, match=r"^recording demonstrations needs an expert or a demonstrator, and the task"):
        record(CAR, 2, 20, 0)


def test_no_reaction_is_measured_without_an_event():
    assert why_no_reactions(make_task(**CAR)) == (
        "no reaction latency is measured: the task has no event (event_tick, docs/tasks.md)"
    )


# --- what is refused ---

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "no such environment": (
        {**CAR, "id": "MountainCarContinous-v0"},
        "gymnasium has no environment 'MountainCarContinous-v0' among ",
    ),
    "a package that is not there": (
        {**CAR, "imports": ["gym_of_nobody"]},
        "task.imports names 'gym_of_nobody', which cannot be imported (No module named 'gym_of_nobody'); install the",
    ),
    "an argument that it does not take": (
        {**CAR, "options": {"gaol_velocity": 0.1}},
        "environment MountainCarContinuous-v0 cannot be made (",
    ),
    "discrete actions": (
        {**CAR, "id": "CartPole-v1"},
        "the actions of CartPole-v1 are Discrete(2), and a robot is sent real numbers; take an environment whose ",
    ),
    "too many actions": (
        {**CAR, "action": {"a": {"kind": "delta"}, "b": {"kind": "delta"}}},
        "task.action names a, b, and MountainCarContinuous-v0 takes 1 number; name each, in its order",
    ),
    "an unknown kind": (
        {**CAR, "action": {"a": {"kind": "delt"}}},
        "there is no kind of dimension 'delt'; did you mean",
    ),
    "an effort": ({**CAR, "action": {"a": {"kind": "torque"}}}, "torque is no kind of action; use a position"),
    "a scale of nothing": (
        {**CAR, "action": {"a": {"kind": "delta", "scale": 0}}},
        "task.action.a.scale is 0; give a positive number",
    ),
    "an option that an action does not take": (
        {**CAR, "action": {"a": {"knd": "delta"}}},
        "there is no option 'task.action.a.knd'; did you mean 'task.action.a.kind'",
    ),
    "no rate": (
        {**CAR, "rate_hz": None},
        "task.rate_hz must be given, in steps per second (MountainCarContinuous-v0 is rendered at 30 frames per second",
    ),
    "a key of the state": (
        {**CAR, "state": {"position": "observation.0"}},
        "task.state.position is 'observation.0', and the observation has no keys, but 2 numbers; give an index such",
    ),
    "a key of the scene": (
        {**CAR, "environment": {"goal": 2}},
        "task.environment.goal is '2', and there are 2 numbers",
    ),
    "a camera": ({**CAR, "cameras": {"top": "pixels"}}, "task.cameras names 'pixels', and the observation of Mountain"),
    "no limit of steps": ({**CAR, "id": "Unlimited-v0", "max_ticks": None}, "environment Unlimited-v0 has no limit of"),
    "no name": ({**CAR, "id": 3}, "task.id is 3; give a text"),
}


@every("case", REFUSED)
def test_what_cannot_be_a_task_is_refused_in_one_sentence(case):
    import gymnasium

    car = gymnasium.spec("MountainCarContinuous-v0")
    if "Unlimited-v0" not in gymnasium.registry:
        gymnasium.register("Unlimited-v0", car.entry_point)
    wanted, words = REFUSED[case]
    with pytest.raises(ConfigError) as caught:
        make_task(**wanted)
    assert str(caught.value).startswith(words) and "\n" not in str(caught.value)


def test_an_environment_that_is_not_there_is_refused_with_names_near_it():
    with pytest.raises(ConfigError, match=r"did you mean MountainCarContinuous-v0 or .*task\.imports"):
        make_task(**REFUSED["no such environment"][0])


def test_a_key_of_success_that_info_never_had_is_refused_before_an_evaluation_with_those_that_it_had():
    with pytest.raises(ConfigError) as caught:
        check_all([sine_cell(of("fetch", success="succes"))])
    words = "task.success is 'succes', and info of FetchReach-v4 has is_success"
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_an_image_that_is_no_image_is_refused():
    with pytest.raises(ConfigError, match=r"camera 'top' \(agent_pos\) gives shape \(2,\) of float64; give one whose"):
        options, state = {"obs_type": "pixels_agent_pos"}, {"x": "agent_pos.0", "y": "agent_pos.1"}
        make_task(**of("pusht", options=options, state=state, environment=None, cameras={"top": "agent_pos"}))


def test_without_gymnasium_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "gymnasium", None)
    with pytest.raises(
        ConfigError, match=r"^task=gym needs gymnasium \(.*\); install it with pip install 'rollahead\[gym"
    ):
        make_task(**CAR)


# --- the sine ---


def test_a_sine_of_steps_adds_up_to_one_and_comes_back():
    task = make_task(**CAR)
    rows = Sine(task.spec, 60, share=0.5, period_s=2.0)(Observation(0, task.state()), np.random.default_rng(0))
    assert rows.max() == pytest.approx(0.5 * 0.0015)
    assert rows.sum() == pytest.approx(0.0, abs=1e-12)


def test_the_class_is_the_task_that_the_name_makes():
    assert isinstance(make_task(**CAR), GymTask)
