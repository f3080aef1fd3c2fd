"""The local planner, with policies that note what they are given, and with one that was trained."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from every import every
from rollahead.assembly.planners import make_planning
from rollahead.assembly.rollers import Scene
from rollahead.errors import ConfigError, InferenceError
from rollahead.evaluation.evaluation import Cell, planning_of, run_episode
from rollahead.evaluation.live import live_of, play
from rollahead.policies.checkpoints.card import CARD
from rollahead.policies.denoising.chunking import Chunking, Plain
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.denoising.warm_start import WarmStartCache
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.local import LocalPlanner, local_planner, noise_of
from rollahead.policies.policy import EncoderInput, Trained
from rollahead.policies.process import Flow
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import BidConfig, GuidanceConfig
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Latency
from rollahead.runtime.rolling.roll import Rollers, still
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Result, ResultFlags, Snapshot
from rollahead.runtime.types.spec import Camera, Dim, Kind, PolicySpec, RobotSpec, map_by_name
from rollahead.sim.demonstrations import record
from rollahead.sim.task import make_task
from rollahead.sim.world import World

from .fakes import SHAPE, Gaussian, cosine
from .trainers import FLOW, frames_of_demonstrations, trainer_of

TICK = 10  # of the requests
ROBOT = RobotSpec(
    action=(Dim("a", kind=Kind.VELOCITY), Dim("b", kind=Kind.VELOCITY)),
    state=(Dim("s"), Dim("t")),
    environment=(Dim("x"), Dim("y")),
    cameras=(Camera("top", 4, 4),),
    rate_hz=50.0,
)
SPEC = PolicySpec(("a", "b"), ("s", "t"), horizon=4, rate_hz=50.0, environment=("x", "y"), cameras=("top",))
ONE_SHOT = {"name": "one_shot"}


@dataclass
class Noting:
    """A one-shot policy that notes what it is asked, in turn. Column j of its rows is j."""

    spec: PolicySpec = SPEC
    noted: list[str] = field(default_factory=list)
    seen: Observation | None = None
    given: EncoderInput | None = None
    delay: int | None = None
    name: str = "the noting policy"
    warm: tuple[float, ...] | None = None
    trained: Trained = field(default_factory=Trained)

    @property
    def shape(self) -> tuple[int, int]:
        return self.spec.horizon, len(self.spec.action)

    def encode(self, seen: EncoderInput) -> Any:
        self.noted.append("encode")
        self.given = seen
        return seen.task

    def bind(self, context: Any, observations: Sequence[Observation], delay: int) -> Any:
        self.noted.append("bind")
        self.seen, self.delay = observations[-1], delay
        return context

    def act(self, context: Any) -> torch.Tensor:
        self.noted.append(f"act for {context!r}")
        return torch.arange(self.shape[1]).float().expand(self.shape)

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        return frozen(chunk.numpy())


def summed(state: FloatArray, rows: FloatArray) -> FloatArray:
    """A robot that is moved by the sum of its actions."""
    return state + rows.sum(axis=0) if len(rows) else state


def swept(environment: FloatArray, state: FloatArray, rows: FloatArray) -> FloatArray:
    """A scene that moves by 100 a tick."""
    return environment + 100.0 * len(rows)


def snapshot(tick: int, seed: int = 0, value: float = 0.0) -> Snapshot:
    """The state is (tick, -tick) and a further `value`, the environment (7, 8), and every action sent or planned 1."""
    image = np.full((4, 4, 3), tick, np.uint8)
    seen = Observation(
        tick=tick,
        state=frozen([tick + value, -tick]),
        environment=frozen([7.0, 8.0]),
        images={"top": image},
        image_ticks={"top": tick},
        image_stamps={"top": 1000 + tick},
        task="hit it",
    )
    ones = frozen(np.ones((8, 2)))
    return Snapshot(tick, (seen,), sent=ones, planned=ones, epoch=0, seed=seed)


def request_of(roll_to: int | None = None, **changed: Any) -> Request:
    return Request(snapshot(TICK, **changed), origin=roll_to, start=roll_to, roll_to=roll_to, delay=4)


def plan(
    policy: Any,
    request: Request,
    newest: Callable[[], Snapshot] | None = None,
    rollers: Rollers | None = None,
    robot: RobotSpec = ROBOT,
    rename: dict[str, str] | None = None,
) -> Result:
    planner = local_planner(policy, ONE_SHOT, robot, rollers or Rollers(summed), rename or {})
    return planner.infer(request, newest or (lambda: request.asked))


def test_what_is_seen_is_encoded_before_the_newest_state_is_asked_for() -> None:
    policy = Noting()

    def newest() -> Snapshot:
        policy.noted.append("newest")
        return snapshot(TICK + 2)

    plan(policy, request_of(TICK + 4), newest)
    assert policy.noted == ["encode", "newest", "bind", "act for 'hit it'"]


def test_a_policy_that_encodes_the_state_is_given_the_newest_one_before() -> None:
    policy = Noting(spec=replace(SPEC, state_in="encode"))

    def newest() -> Snapshot:
        policy.noted.append("newest")
        return snapshot(TICK + 2)

    plan(policy, request_of(TICK + 4), newest)
    assert policy.noted == ["newest", "encode", "bind", "act for 'hit it'"]
    assert policy.given is not None and policy.seen is not None
    assert [seen.state.tolist() for seen in policy.given.observations] == [policy.seen.state.tolist()]
    assert policy.given.delay == policy.delay == 4
    assert policy.given.images[0]["top"][0, 0, 0] == TICK


@pytest.mark.parametrize("state_in", ["bind", "encode"])
def test_a_latency_binds_at_its_beginning_for_a_policy_that_encodes_the_state(state_in: str) -> None:
    planner = local_planner(Noting(spec=replace(SPEC, state_in=state_in)), ONE_SHOT, ROBOT, Rollers(summed), {})
    inference = Inference(planner, SpeedUp(ROBOT, 1), horizon=4, action_dim=2)
    assert inference.timed(Latency(3, 5)) == Latency(3 if state_in == "bind" else 0, 5)


def test_a_camera_that_has_given_no_image_is_named_as_what_is_missing() -> None:
    request = request_of()
    blind = replace(request.asked, observations=(replace(request.asked.observation, images={}, image_ticks={}),))
    with pytest.raises(InferenceError, match="there is no image of top yet; look at the cameras"):
        plan(Noting(), replace(request, asked=blind))


@every("late", range(5))
def test_the_state_is_the_newest_one_rolled_on_and_what_is_seen_is_that_of_the_request(late: int) -> None:
    policy = Noting()
    result = plan(policy, request_of(TICK + 4), lambda: snapshot(TICK + late))
    assert policy.seen is not None
    measured, ticks = TICK + late, 4 - late
    assert policy.seen.state.tolist() == [measured + ticks, -measured + ticks]
    assert policy.seen.environment.tolist() == [7, 8]
    assert policy.given is not None
    assert policy.given.images[0]["top"][0, 0, 0] == TICK
    assert (policy.given.stamps, policy.given.epoch) == ([{"top": 1000 + TICK}], 0)
    assert not policy.given.observations
    assert result.state_tick == measured
    assert result.anchor.tolist() == policy.seen.state.tolist()


@every("ahead", [None, *range(8)])
def test_the_delay_told_is_by_how_much_the_state_is_ahead_of_what_is_seen(ahead: int | None) -> None:
    policy = Noting()
    plan(policy, request_of(None if ahead is None else TICK + ahead))
    assert policy.delay == (ahead or 0)


@every("ahead", [None, *range(8)])
def test_no_delay_is_told_where_a_roller_moves_the_scene_as_well(ahead: int | None) -> None:
    policy = Noting()
    plan(policy, request_of(None if ahead is None else TICK + ahead), rollers=Rollers(summed, swept))
    assert policy.delay == 0
    assert policy.seen is not None
    assert policy.seen.environment.tolist() == [7 + 100 * (ahead or 0), 8 + 100 * (ahead or 0)]


@every("late", range(5))
def test_where_nothing_is_rolled_the_state_is_ahead_by_what_it_was_measured_later(late: int) -> None:
    policy = Noting()
    plan(policy, request_of(TICK + 4), lambda: snapshot(TICK + late), Rollers(still))
    assert policy.delay == late


def test_rows_are_the_robots_read_only_and_say_what_they_cost() -> None:
    result = plan(Noting(), request_of(TICK + 4))
    assert result.rows.tolist() == [[0, 1]] * 4
    assert not result.rows.flags.writeable
    assert result.calls == 1


def test_the_four_stages_of_an_inference_are_timed_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    at_ns = count(0, 10)
    policy = Noting()
    planner = local_planner(policy, ONE_SHOT, ROBOT, Rollers(summed), {})
    monkeypatch.setattr("rollahead.policies.local.time.perf_counter_ns", lambda: next(at_ns) ** 2)
    stages = planner.infer(request := request_of(), lambda: request.asked).stages
    assert (stages.encode_ns, stages.bind_ns, stages.denoise_ns, stages.post_ns) == (100, 300, 500, 700)


def test_noise_depends_on_the_seed_of_the_request_and_on_nothing_else() -> None:
    policy = Gaussian()

    def drawn(request: Request) -> list[torch.Tensor]:
        noise = noise_of(request, policy)
        return [noise(), noise()]

    one = drawn(request_of(TICK + 4, seed=3))
    torch.manual_seed(99)
    np.random.seed(99)
    again = drawn(request_of(None, seed=3, value=5.0))
    other = drawn(request_of(TICK + 4, seed=4))
    assert one[0].shape == (1, *SHAPE)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], one[1])
    assert not torch.equal(one[0], other[0])


def test_noise_of_other_ticks_and_epochs_is_other_noise() -> None:
    made = []
    for tick, epoch in ((1, 0), (2, 0), (1, 1), (0, 1)):
        asked = Snapshot(tick, (), frozen(np.empty(0)), frozen(np.empty(0)), epoch=epoch, seed=0)
        made.append(noise_of(Request(asked, None, None, None, 0), Gaussian())())
    assert len({tuple(each.flatten().tolist()) for each in made}) == 4


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_names_are_found_in_any_order(order: tuple[int, int]) -> None:
    def turned(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(names[i] for i in order)

    policy = Noting(PolicySpec(turned(SPEC.action), turned(SPEC.state), 4, 50.0, environment=turned(SPEC.environment)))
    result = plan(policy, request_of())
    assert policy.seen is not None
    assert policy.seen.state.tolist() == [[TICK, -TICK][i] for i in order]
    assert policy.seen.environment.tolist() == [[7, 8][i] for i in order]
    assert result.rows.tolist() == [[order.index(0), order.index(1)]] * 4
    assert result.anchor.tolist() == [TICK, -TICK]  # as the robot names it


def test_the_first_state_is_looked_at_once_in_the_policys_order_of_names() -> None:
    turned, looked = replace(SPEC, state=SPEC.state[::-1]), []
    planner = local_planner(
        Noting(turned), ONE_SHOT, ROBOT, Rollers(summed), {}, look=lambda state: looked.append(state.tolist())
    )
    for tick in (TICK, TICK + 1):
        asked = snapshot(tick)
        planner.infer(Request(asked, None, None, None, 4), lambda asked=asked: asked)
    assert looked == [[-TICK, TICK]]


def test_names_of_the_policys_are_made_the_robots_in_all_groups() -> None:
    own = PolicySpec(("right", "left"), ("s", "angle"), 4, 50.0, environment=("far", "y"), cameras=("eye",))
    rename = {"right": "b", "left": "a", "angle": "t", "far": "x", "eye": "top"}
    policy = Noting(own)
    result = plan(policy, request_of(), rename=rename)
    assert policy.seen is not None
    assert policy.seen.state.tolist() == [TICK, -TICK]
    assert policy.given is not None
    assert list(policy.given.images[0]) == list(policy.given.stamps[0]) == ["eye"]
    assert result.rows.tolist() == [[1, 0]] * 4


def test_two_names_may_be_swapped() -> None:
    policy = Noting()
    assert plan(policy, request_of(), rename={"a": "b", "b": "a"}).rows.tolist() == [[1, 0]] * 4


@pytest.mark.parametrize(
    "rename, words",
    [
        (
            {"c": "a"},
            r"rename has c, and the policy's names are a, b, s, t, top, x, y; write rename=\{the policy's name",
        ),
        ({"s": "t"}, "rename gives the policy t twice in state"),
        ({"top": "side"}, "no camera 'side'"),
    ],
    ids=["unknown", "twice", "no such camera"],
)
def test_a_rename_that_does_not_fit_is_refused(rename: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan(Noting(), request_of(), rename=rename)


def test_a_camera_of_another_size_is_refused_by_the_robots_name_whatever_the_policy_calls_it() -> None:
    robot = replace(ROBOT, cameras=(Camera("eye", 4, 4), Camera("top", 480, 640)))

    def load(rename: dict[str, str]) -> None:
        local_planner(Noting(), ONE_SHOT, robot, Rollers(summed), rename, {"top": (4, 4)})

    load({"top": "eye"})
    with pytest.raises(ConfigError, match=r"camera 'top' of the robot is 640x480 pixels, and the policy's 4x4 "):
        load({})


def test_a_sampler_that_the_policy_cannot_serve_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="sampler=euler needs a policy that denoises by flow matching"):
        local_planner(Noting(), {"name": "euler"}, ROBOT, Rollers(summed), {})


MOLE = {"name": "mole"}


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint that plays whack-a-mole, trained for a few seconds on 100 demonstrations."""
    spec = make_task(**MOLE).spec
    names = {
        key: tuple(dim.name for dim in dims)
        for key, dims in ((STATE, spec.state), (ENVIRONMENT, spec.environment), (ACTION, spec.action))
    }
    frames = frames_of_demonstrations(list(record(MOLE, 100, 60, seed=0)), names)
    trained = Trained(offsets=6, delay_input=True, prefixes=2)
    trainer = trainer_of({**FLOW, "width": 64}, frames, trained, steps=1500, batch=32)
    while trainer.training.step < 1500:
        trainer.training.advance()
    folder = tmp_path_factory.mktemp("taught") / "checkpoint"
    trainer.save(folder)
    return folder


def cell_of(checkpoint: Path, delay: int) -> Cell:
    return Cell(
        MOLE,
        StrategyConfig("vlash", s=8),
        {"name": "fixed", "ticks": delay},
        planner={"name": "policy", "checkpoint": str(checkpoint)},
        reactions=False,
    )


@pytest.mark.parametrize("delay", [0, 4])
def test_a_trained_policy_plays_in_lockstep_and_the_same_again(taught: Path, delay: int) -> None:
    cell, task, hits = cell_of(taught, delay), make_task(**MOLE), []
    assert isinstance(planning_of(cell, task).planner, LocalPlanner)
    for seed in range(8):
        trace = run_episode(cell, task, seed)
        hits.append(task.success)
    again = run_episode(cell, task, 7)
    np.testing.assert_array_equal(trace.ticks["action"], again.ticks["action"])
    assert sum(hits) >= 6


def test_a_pull_goes_back_through_the_network_or_not_as_the_jacobian_says(taught: Path) -> None:
    sent = {}
    for jacobian in ("identity", "full"):
        cell = replace(
            cell_of(taught, 2), strategy=StrategyConfig("rtc", s=4, guidance=GuidanceConfig(jacobian=jacobian))
        )
        task = make_task(**MOLE)
        sent[jacobian] = run_episode(cell, task, 0).ticks["action"]
    first, n = 6, min(map(len, sent.values()))
    np.testing.assert_array_equal(sent["identity"][:first], sent["full"][:first])  # nothing is known yet
    assert not np.array_equal(sent["identity"][:n], sent["full"][:n])


def test_a_pull_from_the_switch_on_brings_a_rolled_plan_nearer_to_the_last_one(
    taught: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    apart: dict[bool, list[float]] = {False: [], True: []}
    infer = LocalPlanner.infer

    def noting(planner: LocalPlanner, request: Request, *rest: Any) -> Result:
        made = infer(planner, request, *rest)
        last = request.asked.planned[request.delay : request.asked.covered]
        apart[guidance] += np.abs(made.rows[: min(len(last), 2)] - last[:2]).ravel().tolist()
        return made

    monkeypatch.setattr(LocalPlanner, "infer", noting)
    for guidance in apart:
        strategy = StrategyConfig("vlash", s=4, guidance=GuidanceConfig(guidance, "ones", 3, "identity"))
        cell = replace(cell_of(taught, 2), strategy=strategy)
        run_episode(cell, make_task(**MOLE), 0)
    assert len(apart[True]) > 20
    assert np.mean(apart[True]) < 0.3 * np.mean(apart[False])


def test_the_noise_of_an_episode_is_of_its_seed_whatever_was_played_before(taught: Path) -> None:
    cell, task = cell_of(taught, 4), make_task(**MOLE)
    planning = planning_of(cell, task)
    first = run_episode(cell, task, 0, planning=planning)
    run_episode(cell, task, 5, planning=planning)
    again = run_episode(cell, task, 0, planning=planning)
    np.testing.assert_array_equal(first.ticks["action"], again.ticks["action"])


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with World(MOLE) as made:
        yield made


def test_what_a_trained_policy_plays_in_real_time_is_what_it_plays_in_lockstep(world: World, taught: Path) -> None:
    cell, task = cell_of(taught, 4), make_task(**MOLE)
    simulated = run_episode(cell, task, 3)
    live = live_of(cell, world.task)
    for _ in range(5):  # until a run was on time: others share the machine
        played = play(world, live, seed=3)
        late = (played.records["began_ns"] - played.start_ns) / 20e6 - played.records["tick"]
        punctual = (late < 0.3).all() and len(played.records) == len(simulated.ticks)
        if punctual and np.array_equal(played.records["state"], simulated.ticks["state"]):
            break
    np.testing.assert_array_equal(played.records["action"], simulated.ticks["action"])
    np.testing.assert_array_equal(played.records["state"], simulated.ticks["state"])
    assert played.success == task.success


# ---- hurrying -------------------------------------------------------------------------------------------------------


class Slow:
    """A timer by which each tenth of the denoising takes `step` ticks, and `spare` are left."""

    def __init__(self, spare: float, step: float) -> None:
        self._spare, self._step = spare, step

    def left(self, share: float) -> float:
        return self._spare - 10 * share * self._step


@every("step", [0.5, 1.0, 3.0])
@every("spare", [0.0, 1.0, 2.6, 4.0, 100.0])
def test_a_planner_that_hurries_takes_as_many_steps_as_there_is_time_for_and_at_least_one(
    spare: float, step: float
) -> None:
    policy = Gaussian()
    robot = robot_of(policy.spec)
    seen = Observation(TICK, frozen(np.zeros(len(robot.state))))
    none = frozen(np.zeros((0, 2)))
    request = Request(Snapshot(TICK, (seen,), none, none, 0, 0), TICK, TICK, None, 4)
    whole = local_planner(policy, {"name": "ddim"}, robot, Rollers(still), {})
    hurried = local_planner(policy, {"name": "ddim"}, robot, Rollers(still), {}, deadline_aware=True)
    made = hurried.infer(request, lambda: request.asked, Slow(spare, step))
    fits = max(min(int(spare / step + 1e-9), 10), 1)
    assert (made.steps, made.calls, bool(made.made & ResultFlags.CUT)) == (fits, fits, fits < 10)
    assert made.cost == pytest.approx((10 - fits) * step)
    calm = whole.infer(request, lambda: request.asked, Slow(spare, step))
    assert (calm.steps, calm.made, calm.cost) == (10, 0, 0.0)


def gaussian(sampler: Mapping[str, Any], policy: Gaussian | None = None, **options: Any) -> LocalPlanner:
    policy = policy or Gaussian(process=cosine(prediction="sample"))
    return local_planner(policy, sampler, robot_of(policy.spec), Rollers(still), {}, **options)


def robot_of(spec: PolicySpec) -> RobotSpec:
    """A robot with the state and the actions of a policy, which are velocities."""
    action = tuple(Dim(name, kind=Kind.VELOCITY) for name in spec.action)
    return RobotSpec(action=action, state=tuple(Dim(name) for name in spec.state), rate_hz=50.0)


def requests(count: int, seed: int = 0) -> list[Request]:
    """One in each tick, of one run."""
    seen, rows = Observation(TICK, frozen(np.zeros(2))), frozen(np.zeros((6, 2)))
    asked = [Snapshot(TICK + k, (seen,), rows[:0], rows, 0, seed, covered=6) for k in range(count)]
    return [Request(one, one.tick, one.tick, None, 0) for one in asked]


@pytest.mark.parametrize("spare, steps", [(100.0, 3), (7.0, 2), (4.0, 1)])
def test_of_a_warm_start_those_steps_count_that_it_has_itself(spare: float, steps: int) -> None:
    planner = gaussian({"name": "rti", "base": "ddim", "warm": [60, 30, 0]}, deadline_aware=True)
    cold, warm = (
        planner.infer(one, lambda one=one: one.asked, Slow(left, 1.0))
        for one, left in zip(requests(2), (100.0, spare), strict=True)
    )
    assert (cold.steps, cold.made) == (10, 0)
    assert (warm.steps, warm.made) == (steps, ResultFlags.WARM | (ResultFlags.CUT if steps < 3 else 0))
    assert warm.cost == pytest.approx((3 - steps) * 10 / 3)


def test_every_candidate_is_a_call_at_every_step() -> None:
    planner = gaussian(
        {"name": "ddim", "steps": 3}, strategy=StrategyConfig("bid", bid=BidConfig(candidates=5, modes=2))
    )
    (request,) = requests(1)
    made = planner.infer(request, lambda: request.asked)
    assert (made.steps, made.calls) == (3, 15)


def test_the_choice_is_made_beside_the_chunks_of_a_weaker_policy_too() -> None:
    calls, sent = {}, {}
    for weak in (None, "mole_flow"):
        strategy = StrategyConfig("bid", s=4, bid=BidConfig(candidates=4, modes=1, weak=weak))
        cell = replace(cell_of(Path("mole_flow"), 0), strategy=strategy)
        trace = run_episode(cell, make_task(**MOLE), 0)
        calls[weak], sent[weak] = trace.inferences[0].calls, trace.ticks["action"]
    assert calls["mole_flow"] == 2 * (calls[None] or 0) > 0
    n = min(map(len, sent.values()))
    assert not np.array_equal(sent[None][:n], sent["mole_flow"][:n])


CANDIDATES = 4


@dataclass(frozen=True, slots=True)
class Listening(Plain):
    """Takes the first chunk, and keeps the chunks and the weaker policy's, as they are given."""

    candidates: int = CANDIDATES
    heard: list[tuple[torch.Tensor, torch.Tensor]] = field(default_factory=list)

    def choose(self, chunks: torch.Tensor, request: Request, known: torch.Tensor, weak: torch.Tensor) -> int:
        self.heard.append((chunks, weak))
        return 0


@dataclass
class Scaled(Gaussian):
    """Its actions are its chunks times `scale`."""

    scale: float = 1.0

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        return frozen(self.scale * chunk.double().numpy())

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        return torch.tensor(rows / self.scale, dtype=torch.float32)


def contrasting(
    policy: Gaussian, weak: Gaussian, sampler: Mapping[str, Any], chunking: Chunking, **options: Any
) -> LocalPlanner:
    mapping, made = map_by_name(robot_of(policy.spec), policy.spec), make_sampler(sampler, policy)
    warm_starts, other = (
        WarmStartCache(policy, policy.spec, mapping, robot_of(policy.spec)),
        (weak, make_sampler(sampler, weak)),
    )
    return LocalPlanner(policy, made, mapping, Rollers(still), None, warm_starts, chunking, other, **options)


RTI = {"name": "rti", "base": "ddim", "renoise": "forward", "warm": [20, 0]}


@pytest.mark.parametrize(
    ("sampler", "process", "spare", "steps", "weak_steps"),
    [
        ({"name": "auto"}, Flow("velocity"), 100.0, 10, 5),
        (RTI, cosine(), 100.0, 2, 10),
        ({"name": "ddim"}, cosine(), 3.0, 3, 10),
    ],
    ids=["another number of steps", "a warm start", "in a hurry"],
)
def test_calls_of_a_weaker_policy_are_counted_by_its_own_steps(
    sampler: Mapping[str, Any], process: Any, spare: float, steps: int, weak_steps: int
) -> None:
    policy, weak = Gaussian(), Gaussian(process=process)
    planner = contrasting(policy, weak, sampler, Listening(), deadline_aware=True)
    first, second = requests(2)
    planner.infer(first, lambda: first.asked)
    policy.asked.clear(), weak.asked.clear()
    made = planner.infer(second, lambda: second.asked, Slow(spare, 1.0))
    assert (made.steps, len(policy.asked), len(weak.asked)) == (steps, steps, weak_steps)
    assert made.calls == CANDIDATES * (steps + weak_steps)


def test_a_weaker_policy_has_noise_of_its_own() -> None:
    chunking, (request,) = Listening(), requests(1)
    planner = contrasting(Gaussian(), Gaussian(), {"name": "ddim"}, chunking)
    for _ in range(2):
        planner.infer(request, lambda: request.asked)
    (chunks, weak), (_, again) = chunking.heard
    assert torch.equal(weak, again)
    assert chunks.shape == weak.shape == (CANDIDATES, *SHAPE)
    assert not any(torch.allclose(one, other, atol=1e-3) for one in chunks for other in weak)


def test_chunks_of_a_weaker_policy_with_other_statistics_are_normalised_by_the_policy() -> None:
    heard = {}
    for scale in (2.0, 10.0):
        chunking, (request,) = Listening(), requests(1)
        contrasting(Scaled(scale=2.0), Scaled(scale=scale), {"name": "ddim"}, chunking).infer(
            request, lambda asked=request.asked: asked
        )
        ((_, heard[scale]),) = chunking.heard
    torch.testing.assert_close(heard[10.0], 5 * heard[2.0])


def test_a_weaker_policy_without_names_has_those_of_the_data_set(diffusion_folder: Path, tmp_path: Path) -> None:
    """The robot has the same dimensions in another order."""
    folder = Path(shutil.copytree(diffusion_folder, tmp_path / "unnamed"))
    (folder / CARD).unlink()
    names = {"state": ("sx", "sy", "sz"), "environment_state": ("ex", "ey"), "action": ("vx", "vy", "vz", "vw")}
    keys = {part: part if part == "action" else f"observation.{part}" for part in names}
    told = {"fps": 50, "features": {keys[part]: {"names": list(of)} for part, of in names.items()}}
    (tmp_path / "data" / "meta").mkdir(parents=True)
    (tmp_path / "data" / "meta" / "info.json").write_text(json.dumps(told))
    robot = RobotSpec(
        action=tuple(Dim(name, kind=Kind.VELOCITY) for name in reversed(names["action"])),
        state=tuple(Dim(name) for name in reversed(names["state"])),
        environment=tuple(Dim(name) for name in reversed(names["environment_state"])),
        rate_hz=50.0,
    )
    config = {"name": "policy", "checkpoint": str(folder), "dataset": str(tmp_path / "data")}
    strategy = StrategyConfig("bid", s=4, bid=BidConfig(weak=str(folder)))
    planner = make_planning(config, Scene(robot), Rollers(still), strategy).planner
    assert isinstance(planner, LocalPlanner) and planner._weak is not None
    assert planner._weak[0].spec == planner.policy.spec
    assert planner._weak[0].spec.action == names["action"]


def test_a_weaker_policy_that_is_not_there_is_refused_by_its_name() -> None:
    task, config = make_task(**MOLE), {"name": "policy", "checkpoint": "mole_flow"}
    with pytest.raises(ConfigError, match="there is no checkpoint 'mole_weak'"):
        make_planning(
            config, Scene(task.spec, task), Rollers(still), StrategyConfig("bid", bid=BidConfig(weak="mole_weak"))
        )


def test_snapped_actions_are_sent_and_the_next_chunk_starts_from_what_the_policy_made() -> None:
    """As RTI-DP does: the warm start keeps the policy's own numbers, which a few small steps can still turn."""
    dims = tuple(Dim(f"a_{i}", "", Kind.DISCRETE, -1.0, 1.0) for i in range(2))
    robot = RobotSpec(action=dims, state=tuple(Dim(f"a_{i}") for i in range(2)), rate_hz=50.0)
    policy = Gaussian()
    planner = local_planner(policy, {"name": "rti", "base": "ddim"}, robot, Rollers(still), {}, snap=True)
    (request,) = requests(1)
    made = planner.infer(request, lambda: request.asked)
    assert set(np.unique(made.rows)) <= {-1.0, 1.0}
    later = replace(request.asked, tick=request.tick + 1, planned=made.rows[1:], covered=len(made.rows) - 1)
    second = replace(request, asked=later, origin=request.tick + 1, start=request.tick + 1)
    warm_start = planner._warm_starts.warm_start(second)  # type: ignore[union-attr]
    assert warm_start is not None
    assert not set(np.unique(warm_start.chunk.numpy())) <= {-1.0, 1.0}


# ---- chunks that are no numbers -------------------------------------------------------------------------------------


class Breaking(Gaussian):
    """Gives NaN in the inferences `bad`, counted from 0."""

    bad: tuple[int, ...] = ()
    made = 0

    def denoise(self, context: Any, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        told = super().denoise(context, x, t)
        self.made += t.item() == self.process.steps - 1  # type: ignore[union-attr]
        return told * float("nan") if self.made - 1 in self.bad else told


def inferred(bad: tuple[int, ...], count: int) -> list[Result]:
    return [planner.infer(one, lambda one=one: one.asked) for planner, one in breaking(bad, requests(count))]


def breaking(bad: tuple[int, ...], asked: list[Request]) -> Iterator[tuple[LocalPlanner, Request]]:
    """A planner that breaks at the requests `bad`, and each request."""
    policy = Breaking(process=cosine(prediction="sample"))
    policy.bad = bad
    planner = gaussian({"name": "rti", "base": "ddim", "warm": [20]}, policy)
    yield from ((planner, one) for one in asked)


def test_a_chunk_that_is_no_numbers_is_refused_and_is_no_warm_start_for_the_next() -> None:
    results = inferred((0,), 3)
    assert [result.made for result in results] == [ResultFlags.REFUSED, 0, ResultFlags.WARM]
    assert all(np.isfinite(result.rows).all() for result in results)


def test_those_of_another_run_are_not_counted_with_it() -> None:
    asked = [*requests(2, seed=0), *requests(1, seed=1)]
    results = [planner.infer(one, lambda one=one: one.asked) for planner, one in breaking((0, 1, 2), asked)]
    assert all(result.made & ResultFlags.REFUSED for result in results)


def test_the_third_in_a_row_is_let_through_for_the_runtime_to_end_with() -> None:
    results = inferred((0, 1, 2), 3)
    assert [bool(result.made & ResultFlags.REFUSED) for result in results] == [True, True, False]
    assert np.isnan(results[2].rows).any()
