from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.policy_parity import card_of
from numpy.typing import NDArray

from every import every
from rollahead.errors import InferenceError
from rollahead.policies.adapters.observed import Actions, Numbers, Vision
from rollahead.policies.lerobot.features import ENVIRONMENT, STATE, Features
from rollahead.policies.lerobot.normalise import Normalisers, affine, identity
from rollahead.policies.policy import EncoderInput, Trained
from rollahead.runtime.control.observation_buffer import ObservationBuffer
from rollahead.runtime.planning.warm_up import following
from rollahead.runtime.robots.loopback import LoopbackRobot
from rollahead.runtime.safety.guard import Guard, GuardConfig
from rollahead.runtime.transport.wire import SharedOutbox
from rollahead.runtime.types.arrays import frozen, unchanging
from rollahead.runtime.types.messages import Observation, Request, Snapshot
from rollahead.runtime.types.robot import Frame
from rollahead.runtime.types.spec import Camera, Dim, RobotSpec

CPU = torch.device("cpu")
KEYS = ("observation.images.left", "observation.images.right")
FEATURES = Features(state=3, action=2, environment=0, cameras={key: (3, 4, 6) for key in KEYS})
HALF = affine("MEAN_STD", {"mean": [0.0] * 3, "std": [0.5] * 3}, "x", visual=True)
NORMALISERS = Normalisers({key: HALF for key in KEYS} | {STATE: identity(), ENVIRONMENT: identity()}, identity())


class Encoder:
    """The mean of each image, so that it can be told by hand; seen: how many images each call had."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor
        self.seen: list[int] = []
        self.given: list[torch.Tensor] = []

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append(len(images))
        self.given.append(images)
        return self.factor * images.mean((2, 3))


def image(value: int) -> NDArray[np.uint8]:
    made = np.full((4, 6, 3), value, np.uint8)
    made.flags.writeable = False  # as all messages
    return made


def vision() -> tuple[Vision, tuple[Encoder, Encoder]]:
    encoders = (Encoder(), Encoder(10.0))
    return Vision(encoders, FEATURES, NORMALISERS, CPU), encoders


def both(left: Any, right: Any) -> dict[str, NDArray[np.uint8]]:
    return {"left": left, "right": right, "unused": image(9)}


def shown(*images: dict[str, Any], epoch: int = 0) -> EncoderInput:
    """Input with these images, each with its first number as its stamp."""
    stamps = [{name: int(np.ravel(image)[0]) for name, image in each.items()} for each in images]
    return EncoderInput(images, stamps, epoch)


def test_features_are_in_the_order_of_observations_and_of_the_policys_cameras() -> None:
    see, _ = vision()
    made = see(shown(both(image(51), image(102)), both(image(153), image(204))))
    expected = [[0.4, 8.0], [1.2, 16.0]]  # of [0, 1], over a deviation of 0.5
    assert [[camera[0, 0].item() for camera in each] for each in made] == [pytest.approx(each) for each in expected]
    assert all(camera.shape == (1, 3) for each in made for camera in each)


def test_an_image_is_given_to_its_encoder_as_colours_first_and_contiguous() -> None:
    see, (left, _) = vision()
    pixels = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    see(shown(both(pixels, image(0))))
    assert left.given[0].shape == (1, 3, 4, 6) and left.given[0].is_contiguous()
    np.testing.assert_allclose(left.given[0][0].numpy(), pixels.transpose(2, 0, 1) / 255 / 0.5, rtol=1e-6)


def test_an_image_whose_stamp_comes_again_is_not_encoded_again_whatever_its_array() -> None:
    see, (left, right) = vision()
    first, second = image(10), image(20)
    one = see(shown(both(first, first), both(second, second)))
    two = see(shown(both(second.copy(), second), both(image(20), image(30))))
    assert left.seen == [2] and right.seen == [2, 1]
    assert two[0][0] is two[1][0] is one[1][0]


def test_an_array_that_comes_again_with_another_stamp_is_encoded_again() -> None:
    see, (left, _) = vision()
    same = both(image(10), image(10))
    for stamp in (1, 2, 2):
        see(EncoderInput([same], [dict.fromkeys(same, stamp)]))
    assert left.seen == [1, 1]


def test_images_that_come_again_from_another_process_are_not_encoded_again() -> None:
    robot, (see, (left, _)) = Filming(), vision()
    outbox = SharedOutbox(robot.spec, 4, 2)
    none = frozen(np.zeros((0, 1)))
    images = [dict.fromkeys(("left", "right"), image(10 * k)) for k in range(4)]
    for k in (1, 2, 3):
        seen = tuple(
            Observation(at, frozen([0.0]), images=images[at], image_ticks={"left": at, "right": at},
                        image_stamps={"left": at, "right": at})
            for at in (k - 1, k)
        )  # fmt: skip
        asked = Snapshot(k, seen, none, none, 0, 0)
        outbox.put(asked.with_request(Request(asked, k, k, k, 1)))
        newest = outbox.peek()
        assert newest is not None and newest.request is not None
        assert newest.request.observations[0].images["left"] is not images[k - 1]["left"]
        see(EncoderInput.of(newest.request.observations))
    assert left.seen == [2, 1, 1]


def test_an_image_is_known_by_its_camera_and_its_stamp_and_not_in_another_epoch() -> None:
    see, (left, right) = vision()
    see(shown(both(image(10), image(20))))
    see(shown(both(image(20), image(10))))
    assert left.seen == right.seen == [1, 1]
    for epoch in (1, 1, 0):
        see(shown(both(image(20), image(10)), epoch=epoch))
    assert left.seen == right.seen == [1, 1, 1, 1]


def test_an_image_that_is_in_every_observation_is_encoded_once() -> None:
    see, (left, _) = vision()
    still = image(10)
    see(shown(both(still, image(1)), both(still, image(2)), both(still, image(3))))
    assert left.seen == [1]


def test_only_the_newest_are_remembered() -> None:
    see, (left, _) = vision()
    first = image(10)
    see(shown(both(first, first)))
    see(shown(both(image(20), first)))
    see(shown(both(first, first)))
    assert left.seen == [1, 1, 1]


class Filming(LoopbackRobot):
    """Its two cameras fill one buffer each with the number of the look."""

    def __init__(self) -> None:
        cameras = tuple(Camera(name, 4, 6) for name in ("left", "right"))
        super().__init__(RobotSpec((Dim("x", drives="x"),), (Dim("x"),), 10.0, cameras=cameras))
        self.buffers = {camera.name: np.zeros((4, 6, 3), np.uint8) for camera in cameras}

    def frames(self) -> dict[str, Frame]:
        for buffer in self.buffers.values():
            buffer += 51
        return {name: Frame(buffer, int(buffer[0, 0, 0])) for name, buffer in self.buffers.items()}


def test_the_first_images_features_are_not_used_again_when_the_camera_uses_its_memory_again() -> None:
    robot, (see, _) = Filming(), vision()
    senses = ObservationBuffer(robot, Guard(robot.spec, GuardConfig()), 1)
    senses.look(0, None)
    made = [see(EncoderInput.of(senses.window(k, "")))[0] for k in range(3)]
    assert [left[0, 0].item() for left, _ in made] == pytest.approx([0.4, 0.8, 1.2])
    assert [right[0, 0].item() for _, right in made] == pytest.approx([4.0, 8.0, 12.0])


def test_an_image_of_another_size_is_refused_with_both() -> None:
    see, _ = vision()
    with pytest.raises(InferenceError, match=r"camera 'right' gives images of 6x4x3, and the policy takes 4x6x3; set"):
        see(shown(both(image(0), np.zeros((6, 4, 3), np.uint8))))


def test_an_image_of_another_size_goes_to_an_encoder_that_resizes_it() -> None:
    encoders = (Encoder(), Encoder())
    see = Vision(encoders, FEATURES, NORMALISERS, CPU, resizes=True)
    see(shown(both(image(0), np.zeros((6, 4, 3), np.uint8))))
    assert encoders[1].given[0].shape == (1, 3, 6, 4)
    with pytest.raises(InferenceError, match="gives images of 6x4x1, and the policy takes 4x6x3"):
        see(shown(both(image(1), np.ones((6, 4, 1), np.uint8))))


def test_rows_are_cut_to_the_robots_names_and_padded_with_zeros_for_the_network() -> None:
    normaliser = affine("MEAN_STD", {"mean": [1.0, -1.0], "std": [0.5, 2.0]}, "action")
    actions = Actions(normaliser, 2, (4, 5), CPU, past=1)
    rows = np.arange(6.0).reshape(3, 2)
    known = actions.normalised(rows)
    assert known.shape == (3, 5) and not known[:, 2:].any()
    chunk = torch.cat([torch.full((1, 5), 9.0), known])
    np.testing.assert_allclose(actions.rows(chunk + torch.tensor([0, 0, 1, 1, 1])), rows, rtol=1e-6)


def test_a_policy_without_cameras_sees_nothing() -> None:
    see = Vision([], Features(3, 2, 0, {}), NORMALISERS, CPU)
    assert see(shown({}, {})) == [[], []]


def seen(*values: float) -> Observation:
    return Observation(0, frozen(values), frozen([value + 10 for value in values]))


def test_numbers_are_normalised_as_their_own_features_are() -> None:
    double = affine("MEAN_STD", {"mean": [1.0], "std": [0.5]}, "x")
    numbers = Numbers(Normalisers({STATE: double, ENVIRONMENT: identity()}, identity()), card_of(2), CPU)
    assert numbers.state([seen(1, 2), seen(3, 4)]).tolist() == [[0, 2], [4, 6]]
    environment = numbers.environment([seen(1, 2), seen(3, 4)], 5)
    assert environment is not None and environment.tolist() == [[11, 12], [13, 14]]
    assert environment.dtype == torch.float32


@every(("delay", "told"), [(0, 0), (3, 3), (7, 7), (8, 7), (100, 7), (-1, 0)])
def test_a_policy_that_is_told_the_delay_is_told_no_more_than_it_was_trained_for(delay: int, told: int) -> None:
    numbers = Numbers(NORMALISERS, card_of(3, Trained(offsets=7, delay_input=True)), CPU)
    environment = numbers.environment([seen(1, 2), seen(3, 4)], delay)
    assert environment is not None and environment.tolist() == [[11, 12, told], [13, 14, told]]


def test_without_an_environment_there_is_none() -> None:
    assert Numbers(NORMALISERS, card_of(0), CPU).environment([seen(1, 2)], 3) is None


@pytest.mark.parametrize("n_obs", [1, 2])
def test_every_inference_of_a_warm_up_encodes_its_images_as_one_of_the_run_does(n_obs: int) -> None:
    encoders = [Encoder(), Encoder()]
    see = Vision(encoders, FEATURES, NORMALISERS, CPU)
    rng = np.random.default_rng(0)
    images = {name: unchanging(rng.integers(0, 256, (4, 6, 3), np.uint8)) for name in ("left", "right")}
    none = frozen(np.zeros((4, 2)))
    stamps = {"left": 1, "right": 2}
    seen = tuple(Observation(0, frozen(np.zeros(3)), images=images, image_stamps=stamps) for _ in range(n_obs))
    first = request = Request(Snapshot(0, seen, none[:0], none, 0, 0), 1, 1, 1, 1)
    for n in range(3):
        see(EncoderInput.of(request.observations))
        request = following(first, n + 1, none)
    assert [encoder.seen for encoder in encoders] == [[1, n_obs, n_obs]] * 2  # in the first its window is one image
