"""A head on a robot: what it sees, by how much it may amend, and what is planned and remembered then."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from every import every
from rollahead.errors import ConfigError, InferenceError
from rollahead.runtime.config.build import Drive, StrategyConfig, features_taken, make_executor
from rollahead.runtime.config.techniques import CorrectorConfig
from rollahead.runtime.control.corrector import Head, HeadCard, HeadCorrector, features, read_head
from rollahead.runtime.control.delay import DelayEstimator
from rollahead.runtime.control.speedup import SpeedUp
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.drivers.encoder_worker import EncoderWorker, LockstepEncoder, MeanImageEncoder
from rollahead.runtime.drivers.lockstep import Lockstep
from rollahead.runtime.planning.inference import Inference
from rollahead.runtime.planning.latency import Fixed
from rollahead.runtime.planning.planner import ScriptedPlanner
from rollahead.runtime.planning.timer import NO_DEADLINE
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.transport.mailbox import Mailbox
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.chunk import Chunk
from rollahead.runtime.types.messages import Failure, ImageLatent, Observation, Request, Result
from rollahead.runtime.types.robot import Frame, Reading
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec

H = 8
SPEC = RobotSpec(
    action=(
        Dim("v", "", Kind.VELOCITY, -2.0, 2.0),
        Dim("grip", "", Kind.DISCRETE, 0.0, 1.0, threshold=0.5),
        Dim("x", kind=Kind.DELTA),
    ),
    state=(Dim("p"), Dim("q")),
    environment=(Dim("ball"),),
    rate_hz=50.0,
)
CARD = HeadCard(action=("x", "v"), state=("q",), environment=("ball",), horizon=H)  # another order, and not all
SEEN = Reading(frozen([1.0, 2.0]), frozen([30.0]))
CHUNK = Chunk(frozen(np.zeros((H, 3))), 10, 12, 9, 9, 10, 0, 12, environment=frozen([-7.0]))
ROW = frozen([0.5, 1.0, 4.0])


def linear(weights: dict[int, tuple[float, float]], card: HeadCard = CARD) -> Head:
    """A head that says the sum of what it sees, weighted: by the place of the feature, for each of its two actions."""
    matrix = np.zeros((7, 2))
    for at, each in weights.items():
        matrix[at] = each
    return Head(card, [(matrix, np.zeros(2))], np.zeros(7), np.ones(7), np.ones(2))


def amended(head: Head, k: int = 12, seen: Reading = SEEN, max_residual: float = 1.0) -> list[float]:
    return HeadCorrector(head, SPEC, H, max_residual)(ROW, k, CHUNK, seen).tolist()


def test_a_head_sees_the_newest_state_and_scene_its_row_and_the_place_in_the_chunk_in_its_own_order() -> None:
    looked: list[FloatArray] = []
    head = linear({})
    head.residual = lambda seen: looked.append(seen) or np.zeros(2)  # type: ignore[method-assign,func-returns-value]
    assert amended(head, k=12) == ROW.tolist()
    angle = 2 * math.pi * 2 / H
    assert looked[0].tolist() == pytest.approx([2.0, 30.0, 4.0, 0.5, math.sin(angle), math.cos(angle), 2 / H])


def test_a_head_that_takes_policy_features_sees_those_of_its_chunk() -> None:
    card = replace(CARD, policy_features=2)
    matrix = np.zeros((9, 2))
    matrix[7], matrix[8] = (1.0, 0.0), (10.0, 0.0)
    head = Head(card, [(matrix, np.zeros(2))], np.zeros(9), np.ones(9), np.ones(2))
    chunk = replace(CHUNK, policy_features=frozen([0.5, 0.25]))
    assert HeadCorrector(head, SPEC, H)(ROW, 12, chunk, SEEN)[2] == 4.0 + 0.5 + 2.5


def test_the_executor_hands_a_head_the_features_of_the_chunk_that_is_due(tmp_path: Path) -> None:
    """Each inference has its own number as its feature, and the head adds it to x."""
    card = replace(CARD, policy_features=1)
    matrix = np.zeros((8, 2))
    matrix[7, 0] = 1.0
    Head(card, [(matrix, np.zeros(2))], np.zeros(8), np.ones(8), np.ones(2)).save(tmp_path / "head.npz")
    config = StrategyConfig("naive", s=4, d=2, corrector=CorrectorConfig(str(tmp_path / "head.npz")))
    planned = ScriptedPlanner(lambda seen, rng: np.zeros((H, 3)))

    class Counting:
        def infer(self, request: Any, *given: Any) -> Any:
            return replace(planned.infer(request, *given), policy_features=frozen([float(request.tick)]))

    trace = Trace(SPEC, 40)
    executor = make_executor(Drive(config, H), LoopbackRobot(SPEC), DelayEstimator(fixed=2), trace)
    inference = Inference(Counting(), SpeedUp(SPEC, 1), horizon=H, action_dim=3, features=features_taken(config))
    Lockstep(executor, inference, Fixed(2), lambda: None).run(0, 20)
    used = trace.ticks[trace.ticks["chunk"] >= 0]
    assert used["action"][:, 2].tolist() == used["chunk"].tolist()
    assert len(set(used["chunk"])) > 2


def test_one_that_is_not_fresh_sees_the_scene_as_its_chunk_saw_it() -> None:
    weights = {1: (1.0, 0.0)}
    assert amended(linear(weights))[2] == 4.0 + 30.0
    assert amended(linear(weights, replace(CARD, fresh=False)))[2] == 4.0 - 7.0


@pytest.mark.parametrize("max_residual, v", [(1.0, 2.0), (0.5, 1.5), (0.1, 0.7)])
def test_an_action_is_amended_by_no_more_than_a_share_of_half_its_range_and_stays_within_it(
    max_residual: float, v: float
) -> None:
    assert amended(linear({0: (0.0, 100.0)}), max_residual=max_residual)[0] == pytest.approx(v)


def test_what_it_does_not_name_stays_as_it_is() -> None:
    assert amended(linear({0: (1.0, 1.0)}))[1] == ROW[1]


def test_layers_are_rectified_but_for_the_last_and_everything_is_scaled() -> None:
    first = (np.array([[1.0, -1.0]]), np.array([0.5, 0.5]))
    last = (np.array([[1.0], [1.0]]), np.array([-3.0]))
    head = Head(CARD, [first, last], np.array([10.0]), np.array([2.0]), np.array([100.0]))
    for x in (-20.0, 10.0, 14.0):
        scaled = (x - 10.0) / 2.0
        wanted = 100.0 * (max(scaled + 0.5, 0) + max(-scaled + 0.5, 0) - 3.0)
        assert head.residual(np.array([x])).tolist() == pytest.approx([wanted])


def test_what_is_seen_goes_past_the_layers_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weights, skip, seen = rng.standard_normal((7, 2)), rng.standard_normal((7, 2)), rng.standard_normal((5, 7))
    gain, layers = np.array([2.0, 3.0]), [(weights, np.ones(2))]
    head = Head(CARD, layers, np.full(7, 0.5), np.full(7, 2.0), gain, skip)
    x = (seen - 0.5) / 2.0
    np.testing.assert_allclose(head.residual(seen), (x @ weights + 1 + x @ skip) * gain)
    head.save(tmp_path / "head.npz")
    np.testing.assert_array_equal(read_head(tmp_path / "head.npz").residual(seen), head.residual(seen))


def test_places_are_told_apart_over_the_whole_chunk() -> None:
    none = np.zeros((H + 1, 0))
    seen = features(none, none, none, np.arange(H + 1), H)
    assert len({tuple(np.round(row, 9)) for row in seen}) == H + 1  # an angle alone is the same at both ends


# ---- on disk --------------------------------------------------------------------------------------------------------


def test_a_head_that_was_saved_is_the_same_to_the_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    sizes = ((7, 5), (5, 2))
    layers = [(rng.standard_normal(size), rng.standard_normal(size[1])) for size in sizes]
    head = Head(replace(CARD, lag=2, fresh=False), layers, rng.standard_normal(7), np.full(7, 2.0), np.full(2, 3.0))
    head.save(tmp_path / "head.npz")
    again = read_head(tmp_path / "head.npz")
    seen = rng.standard_normal((20, 7))
    np.testing.assert_array_equal(again.residual(seen), head.residual(seen))
    assert (list(again.card.action), again.card.lag, again.card.fresh) == (["x", "v"], 2, False)


def broken(folder: Path, how: str) -> Path:
    path = folder / "head.npz"
    linear({}).save(path)
    if how == "gone":
        path.unlink()
    elif how == "text":
        path.write_text("no head")
    elif how == "empty":
        path.write_bytes(b"")
    elif how in ("another shape", "no numbers"):
        with np.load(path) as file:
            arrays = dict(file)
        arrays["layer0_w"] = arrays["layer0_w"][1:] if how == "another shape" else arrays["layer0_w"] * np.nan
        np.savez(path, **arrays)
    elif how == "cut":
        path.write_bytes(path.read_bytes()[:100])
    else:
        with np.load(path) as file:
            kept = {name: file[name] for name in file.files if name != how}
        np.savez(path, **kept)
    return path


@pytest.mark.parametrize(
    "how", ["gone", "text", "empty", "another shape", "no numbers", "cut", "card", "layer0_w", "layer0_b", "gain"]
)
def test_a_file_that_is_no_head_is_refused_by_its_path_with_what_to_do(how: str, tmp_path: Path) -> None:
    path = broken(tmp_path, how)
    with pytest.raises(ConfigError) as caught:
        read_head(path)
    assert str(path) in str(caught.value)
    assert "rollahead train-corrector" in str(caught.value)
    assert "\n" not in str(caught.value)


REFUSED: dict[str, tuple[HeadCard, int, float, str]] = {
    "another horizon": (CARD, 9, 1.0, "trained on chunks of 8 rows, and these have 9"),
    "an action": (replace(CARD, action=("y", "v")), H, 1.0, "there is no action 'y'"),
    "a state": (replace(CARD, state=("r",)), H, 1.0, "there is no state 'r'"),
    "a scene": (replace(CARD, environment=("bal",)), H, 1.0, "there is no environment 'bal'; did you mean 'ball'"),
    "a camera": (replace(CARD, cameras=("tip",), latent=1), H, 1.0, "there is no camera 'tip'; Known: none"),
}


@every("name", REFUSED)
def test_a_head_of_another_robot_is_refused(name: str) -> None:
    card, horizon, most, words = REFUSED[name]
    with pytest.raises(ConfigError) as caught:
        HeadCorrector(linear({}, card), SPEC, horizon, most)
    assert words in str(caught.value)


def test_a_file_from_before_heads_saw_images_is_read_as_it_was(tmp_path: Path) -> None:
    linear({0: (1.0, 2.0)}).save(tmp_path / "head.npz")
    with np.load(tmp_path / "head.npz") as file:
        arrays = {name: file[name] for name in file.files}
    card = json.loads(arrays["card"].tobytes())
    for name in ("cameras", "latent", "image_age"):
        del card[name]
    np.savez(tmp_path / "head.npz", **{**arrays, "card": np.frombuffer(json.dumps(card).encode(), np.uint8)})
    again = read_head(tmp_path / "head.npz")
    assert (again.card.cameras, again.card.latent) == ((), 0)
    assert amended(again) == amended(linear({0: (1.0, 2.0)}))


# ---- heads that see images ------------------------------------------------------------------------------------------

FILMED = replace(SPEC, cameras=(Camera("top", 2, 2),))
SEEING = replace(CARD, cameras=("top",), latent=2, lag=1, image_age=4)


def seeing(weights: dict[int, float]) -> Head:
    """A head that says of its action v the sum of what images come to (7, 8) and their age (9), weighted."""
    matrix = np.zeros((10, 2))
    for at, each in weights.items():
        matrix[at, 1] = each
    return Head(SEEING, [(matrix, np.zeros(2))], np.zeros(10), np.ones(10), np.ones(2))


def by_sight(message: ImageLatent | Failure | None, k: int = 12, chunk: Chunk = CHUNK) -> float:
    """Action v of a row of 0.5, by a head that adds a hundredth of the second number and of the age as a share."""
    image_latents: Mailbox[ImageLatent | Failure] = Mailbox()
    if message is not None:
        image_latents.put(message)
    corrector = HeadCorrector(seeing({8: 0.01, 9: 0.01}), FILMED, H, image_latents=image_latents)
    return float(corrector(ROW, k, chunk, SEEN)[0])


@every("age", range(1 + 4 + 1))
def test_a_row_is_amended_by_the_newest_sight_and_how_old_it_is(age: int) -> None:
    assert by_sight(ImageLatent(12 - age, 0, frozen([7.0, 30.0]))) == pytest.approx(0.5 + 0.3 + 0.01 * age / H)


def test_without_a_sight_that_may_be_used_the_row_stays_as_it_is() -> None:
    values, later = frozen([7.0, 30.0]), replace(CHUNK, epoch=1)
    assert by_sight(None) == ROW[0]  # not yet
    assert by_sight(Failure("the image encoder broke")) == ROW[0]
    assert by_sight(ImageLatent(12 - 6, 0, values)) == ROW[0]  # older than any that it was trained on
    assert by_sight(ImageLatent(12, 0, values), chunk=later) == ROW[0]  # of an epoch that is over
    assert by_sight(ImageLatent(12, 1, values), chunk=later) > ROW[0]
    assert by_sight(ImageLatent(12, 1, values)) > ROW[0]  # another task: the chunk runs on, and the scene is the scene


def test_a_head_that_sees_images_is_refused_where_nothing_encodes_them() -> None:
    with pytest.raises(ConfigError, match=r"sees images of top, and nothing encodes them here; drive .* rollahead run"):
        HeadCorrector(seeing({}), FILMED, H)


@pytest.mark.parametrize("wrong", [{"latent": 0}, {"cameras": ()}, {"image_age": -1}])
def test_a_card_with_cameras_and_no_numbers_or_the_other_way_round_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="give latent at least 1 where there are cameras"):
        replace(SEEING, **wrong)


def test_a_card_that_an_earlier_version_wrote_is_read(tmp_path: Path) -> None:
    seeing({8: 0.01}).save(tmp_path / "head.npz")
    with np.load(tmp_path / "head.npz") as file:
        arrays = dict(file)
    old = arrays["card"].tobytes().replace(b'"image_age"', b'"sight"')
    np.savez(tmp_path / "old.npz", **{**arrays, "card": np.frombuffer(old, np.uint8)})
    assert read_head(tmp_path / "old.npz").card == read_head(tmp_path / "head.npz").card


def test_the_arrays_of_an_eye_in_its_file_change_nothing_for_the_head(tmp_path: Path) -> None:
    head, seen = seeing({8: 0.01}), np.arange(10.0)
    head.save(tmp_path / "head.npz", {"0.weight": np.ones((2, 2)), "layer9_w": np.ones(1)})
    again = read_head(tmp_path / "head.npz")
    assert (list(again.card.cameras), again.card.latent, again.card.image_age) == (["top"], 2, 4)
    np.testing.assert_array_equal(again.residual(seen), head.residual(seen))


# ---- in the executor ------------------------------------------------------------------------------------------------

AXIS = RobotSpec((Dim("x", "", Kind.POSITION, -100.0, 100.0, drives="x"),), (Dim("x"),), 50.0)


def driven(corrector: str | None) -> tuple[Trace, LoopbackRobot, list[list[float]]]:
    """Ten ticks of rows of 4, corrected by half the state; and what was planned ahead at each request."""
    planned: list[list[float]] = []

    def plan(seen: Observation, rng: np.random.Generator) -> FloatArray:
        return np.full((H, 1), 4.0)

    robot, trace = LoopbackRobot(AXIS), Trace(AXIS, 50)
    drive = Drive(StrategyConfig("vlash", s=2, d=1, corrector=CorrectorConfig(corrector)), H)
    executor = make_executor(drive, robot, DelayEstimator(fixed=1), trace)

    class Noted(Inference):
        def __call__(self, request: Request, newest: Any, timer: Any = NO_DEADLINE) -> Result:
            planned.append(request.asked.planned[: request.asked.covered, 0].tolist())
            return super().__call__(request, newest, timer)

    inference = Noted(ScriptedPlanner(plan), SpeedUp(AXIS, 1), horizon=H, action_dim=1)
    Lockstep(executor, inference, Fixed(1), lambda: None).run(0, 10)
    return trace, robot, planned


def test_each_row_is_amended_by_what_is_seen_in_its_tick_and_what_is_planned_is_not(tmp_path: Path) -> None:
    card = HeadCard(action=("x",), state=("x",), environment=(), horizon=H)
    matrix = np.zeros((5, 1))
    matrix[0] = 0.5
    Head(card, [(matrix, np.zeros(1))], np.zeros(5), np.ones(5), np.ones(1)).save(tmp_path / "head.npz")
    trace, robot, planned = driven(str(tmp_path / "head.npz"))
    sent = [float(row[0]) for row in robot.sent]
    first = next(i for i, value in enumerate(sent) if value)
    for before, now in zip(sent[first:], sent[first + 1 :], strict=False):
        assert now == pytest.approx(4.0 + 0.5 * before)  # the robot is where it was told to be
    np.testing.assert_array_equal(trace.ticks["action"][:, 0], sent)  # history has what was sent
    assert {value for rows in planned for value in rows} == {4.0}
    assert {float(row[0]) for row in driven(None)[1].sent} <= {0.0, 4.0}


def test_a_speed_up_is_refused_beside_it() -> None:
    drive = Drive(StrategyConfig("vlash", q=2, corrector=CorrectorConfig("head.npz")), H)
    with pytest.raises(ConfigError, match="correction does not go with speed-up"):
        make_executor(drive, LoopbackRobot(AXIS), DelayEstimator(), Trace(AXIS, 5))


class Filmed(LoopbackRobot):
    """Its camera sees, in each tick, an image as bright as the tick is late; from `frozen_at` on, nothing new."""

    def __init__(self, frozen_at: int = 99) -> None:
        super().__init__(replace(AXIS, cameras=(Camera("top", 2, 2),)))
        self.k, self.frozen_at = 0, frozen_at

    def frames(self) -> dict[str, Frame]:
        seen = min(self.k, self.frozen_at)
        return {"top": Frame(np.full((2, 2, 3), seen, np.uint8), seen, self.k - seen)}


def filmed(robot: Filmed, sight_ticks: int, folder: Path, reset_at: int = -1) -> list[float]:
    """What is sent in 20 ticks of rows of 4, each amended by the tick of the image that is seen, in hundredths."""
    card = HeadCard(("x",), ("x",), (), H, cameras=("top",), latent=1, image_age=5)
    matrix = np.zeros((7, 1))
    matrix[5] = 255 / 100
    Head(card, [(matrix, np.zeros(1))], np.zeros(7), np.ones(7), np.ones(1)).save(folder / "head.npz")
    image_latents: Mailbox[ImageLatent | Failure] = Mailbox()
    drive = Drive(StrategyConfig("vlash", s=2, d=1, corrector=CorrectorConfig(str(folder / "head.npz"))), H)
    executor = make_executor(drive, robot, DelayEstimator(fixed=1), Trace(AXIS, 50), image_latents=image_latents)
    plan = ScriptedPlanner(lambda seen, rng: np.full((H, 1), 4.0))
    encoder_worker = LockstepEncoder(
        EncoderWorker(MeanImageEncoder(("top",)), ("top",), 1, executor.outbox, image_latents), sight_ticks
    )

    def advance() -> None:
        robot.k += 1
        if robot.k == reset_at:
            executor.reset()

    inference = Inference(plan, SpeedUp(AXIS, 1), horizon=H, action_dim=1)
    Lockstep(executor, inference, Fixed(1), advance, encoder_worker=encoder_worker).run(0, 20)
    return [float(row[0]) for row in robot.sent]


@pytest.mark.parametrize("n", range(6))
def test_images_are_there_after_so_many_ticks_and_then_the_next_ones_are_looked_at(n: int, tmp_path: Path) -> None:
    sent = filmed(Filmed(), n, tmp_path)
    for k in range(1, 20):
        tick = k - n if n < 2 else (k // n - 1) * n  # a lookout that is busy for n ticks looks every n ticks
        usable = tick >= 0 and k - tick <= 5
        assert sent[k] == pytest.approx(4.0 + (tick / 100 if usable else 0.0))


def test_when_the_camera_freezes_rows_stay_as_they_are_once_its_image_is_too_old(tmp_path: Path) -> None:
    sent = filmed(Filmed(frozen_at=6), 1, tmp_path)
    assert sent[7:12] == pytest.approx([4.06] * 5)
    assert sent[12:] == pytest.approx([4.0] * 8)


@pytest.mark.parametrize("reset_at", range(3, 12))
@pytest.mark.parametrize("n", range(4))
def test_no_image_from_before_a_hard_epoch_amends_a_row_of_after_it(n: int, reset_at: int, tmp_path: Path) -> None:
    sent = filmed(Filmed(), n, tmp_path, reset_at)
    seen = [round(100 * (value - 4.0)) for value in sent[reset_at + 1 :] if value > 4.001]
    assert seen
    assert min(seen) >= reset_at


def test_when_the_eye_fails_a_hold_is_sent_and_the_error_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robot = Filmed()

    def broken(image_encoder: MeanImageEncoder, images: Any) -> FloatArray:
        if robot.k == 5:
            raise RuntimeError("out of memory")
        return np.zeros(1)

    monkeypatch.setattr(MeanImageEncoder, "__call__", broken)
    with pytest.raises(
        InferenceError, match=r"the image encoder raised RuntimeError \(out of memory\) at the images of tick 5"
    ):
        filmed(robot, 1, tmp_path)
    assert robot.stopped
    assert len(robot.sent) == 6
