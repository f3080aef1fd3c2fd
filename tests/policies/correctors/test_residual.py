"""Training a head: on demonstrations of a robot whose right action is known."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rollahead.errors import ConfigError
from rollahead.policies.correctors.image_encoder import SIDE, read_image_encoder
from rollahead.policies.correctors.residual import HeadConfig, HeadTraining, Stored, stored_chunks
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.policy import Trained
from rollahead.runtime.control.corrector import read_head
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import PolicySpec

from ..fakes import Fake
from ..lessons import frames_of

H, LEAD = 4, 2
NAMES = {STATE: ("s",), ENVIRONMENT: ("e",), ACTION: ("a",)}


def episodes(count: int = 20, ticks: int = 12) -> list[dict[str, np.ndarray]]:
    """Of a robot that goes from its state to the scene: the right action is the scene less the state."""
    rng = np.random.default_rng(0)
    made = []
    for _ in range(count):
        state, scene = rng.normal(size=(ticks, 1)), rng.normal(size=(ticks, 1))
        made.append({STATE: state, ENVIRONMENT: scene, ACTION: scene - state})
    return made


FRAMES = frames_of(episodes(), NAMES)


class Blind(Fake):
    """Says rows of the scene less the state that it was shown, whatever comes after."""

    shape = (H, 1)

    @property
    def spec(self) -> PolicySpec:
        return PolicySpec(("a",), ("s",), horizon=H, rate_hz=50.0, environment=("e",))

    def bind(self, context: object, observations: list[Observation], delay: int) -> torch.Tensor:
        seen = observations[-1]
        self.asked.append(delay)
        return torch.tensor(seen.environment - seen.state).float().expand(H, 1)

    def act(self, context: torch.Tensor) -> torch.Tensor:
        return context

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        return frozen(chunk.double().numpy())


def store(config: HeadConfig, offsets: int = 0) -> tuple[Blind, Stored]:
    policy = Blind(trained=Trained(offsets=offsets))
    sampler = make_sampler({"name": "one_shot"}, policy)
    made = list(stored_chunks(policy, sampler, FRAMES, config, LEAD, seed=0))
    return policy, Stored(*(np.array([one[i] for one in made]) for i in range(4)))


@pytest.mark.parametrize("every", [1, 3])
def test_chunks_are_made_every_so_many_frames_but_for_the_first_of_each_episode(every: int) -> None:
    _, stored = store(HeadConfig(every=every))
    wanted = [start + t for start in FRAMES.bounds[:-1] for t in range(LEAD, 12, every)]
    assert stored.frame.tolist() == wanted
    assert (stored.seen == stored.frame).all()
    shown = FRAMES.environment[stored.seen] - FRAMES.state[stored.frame]
    np.testing.assert_allclose(stored.rows[:, 0], shown, atol=1e-6)
    assert stored.rows.shape == (len(wanted), H, 1)


def test_a_base_with_offsets_sees_the_scene_up_to_so_many_frames_before_within_the_episode() -> None:
    policy, stored = store(HeadConfig(every=1), offsets=5)
    back = stored.frame - stored.seen
    assert policy.asked == back.tolist()
    assert set(back.tolist()) == set(range(6))
    start = FRAMES.bounds[np.searchsorted(FRAMES.bounds, stored.frame, side="right") - 1]
    assert (stored.seen >= start).all()
    np.testing.assert_allclose(
        stored.rows[:, 0], FRAMES.environment[stored.seen] - FRAMES.state[stored.frame], atol=1e-6
    )


def trained(config: HeadConfig, steps: int = 800, frames: object = FRAMES) -> HeadTraining:
    policy, stored = store(config)
    training = HeadTraining(policy, FRAMES, stored, config, "blind", seed=0, held=0.1)
    for _ in training.run(steps, 256, 3e-3):
        pass
    return training


def test_a_head_that_sees_everything_anew_learns_what_the_base_missed() -> None:
    left, before = trained(HeadConfig(width=64, depth=2, every=1)).error()
    assert left < 0.15 * before


def test_one_that_sees_only_the_state_anew_learns_its_share() -> None:
    left, before = trained(HeadConfig(width=64, depth=2, every=1, fresh=False)).error()
    assert 0.4 * before < left < 0.95 * before


def test_before_it_has_learned_anything_it_corrects_nothing() -> None:
    policy, stored = store(HeadConfig())
    training = HeadTraining(policy, FRAMES, stored, HeadConfig(), "blind", seed=0, held=0.1)
    left, before = training.error()
    assert left == before
    assert not training.head().residual(np.ones((3, 6))).any()


def test_examples_are_of_the_frame_of_each_row_and_what_is_seen_is_as_old_as_said() -> None:
    for lag in (0, 1):
        config = HeadConfig(every=1, lag=lag)
        policy, stored = store(config)
        training = HeadTraining(policy, FRAMES, stored, config, "blind", seed=0, held=0.1)
        chunk, place = 3, 2
        seen, residual, _ = training._batch(np.array([[chunk, place]]))
        t = int(stored.frame[chunk])
        assert seen[0, :2].tolist() == pytest.approx(
            [FRAMES.state[t + place - lag, 0], FRAMES.environment[t + place - lag, 0]]
        )
        assert residual[0, 0] == pytest.approx(FRAMES.action[t + place, 0] - stored.rows[chunk, place, 0])
        assert training.head().card.lag == lag


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("lag", [0, 1, 3, 5])
def test_what_is_seen_is_as_old_at_the_first_row_as_at_any_and_never_of_another_episode(lag: int, fresh: bool) -> None:
    config = HeadConfig(every=1, lag=lag, fresh=fresh)
    policy, stored = store(config, offsets=3)
    training = HeadTraining(policy, FRAMES, stored, config, "blind", seed=0, held=0.1)
    for chunk in (0, 3, 10, 15):  # of the first episode and of the second
        t, place = int(stored.frame[chunk]), 0
        start = int(FRAMES.bounds[FRAMES.place(t)[0]])
        old = max(t - lag, start)
        seen, _, _ = training._batch(np.array([[chunk, place]]))
        scene = old if fresh else int(stored.seen[chunk])
        assert seen[0, :2].tolist() == pytest.approx([FRAMES.state[old, 0], FRAMES.environment[scene, 0]])


def test_a_share_of_the_rows_is_of_other_chunks_and_only_in_training() -> None:
    policy, stored = store(HeadConfig(every=1))
    training = HeadTraining(policy, FRAMES, stored, HeadConfig(every=1), "blind", seed=0, held=0.1)
    pairs = training._pairs[:150]
    own = stored.rows[pairs[:, 0], pairs[:, 1]]
    for share in (0.0, 0.25, 1.0):
        seen, residual, _ = training._batch(pairs, share)
        strayed = (seen[:, 2:3] != own).any(axis=1).mean()
        assert strayed == pytest.approx(share, abs=0.12)
        actions = FRAMES.action[stored.frame[pairs[:, 0]] + pairs[:, 1]]
        np.testing.assert_allclose(residual + seen[:, 2:3], actions, atol=1e-6)


class Telling(Blind):
    """Gives as features the scene that it saw, doubled, and a number that never varies."""

    feature_dim = 2

    def features(self, context: torch.Tensor) -> FloatArray:
        return frozen([2.0 * float(context[0, 0]), 5.0])


@pytest.mark.parametrize("negative_fraction", [0.0, 1.0])
def test_the_features_of_an_example_are_of_the_chunk_that_its_row_is_of(negative_fraction: float) -> None:
    policy, config = Telling(trained=Trained()), HeadConfig(every=1, features=True)
    made = list(stored_chunks(policy, make_sampler({"name": "one_shot"}, policy), FRAMES, config, LEAD, seed=0))
    stored = Stored(*(np.array([one[i] for one in made]) for i in range(4)))
    np.testing.assert_allclose(stored.features, np.stack([2 * stored.rows[:, 0, 0], 5 + 0 * stored.frame], 1))
    training = HeadTraining(policy, FRAMES, stored, config, "telling", seed=0, held=0.1)
    seen, _, _ = training._batch(training._pairs[:100], negative_fraction)
    np.testing.assert_allclose(seen[:, -2], 2 * seen[:, 2])
    head = training.head()
    assert (head.card.policy_features, head.card.seen) == (2, seen.shape[1])
    assert head.scale[-1] == pytest.approx(0.1 * head.scale[-2])  # a quiet one is not blown up


def test_a_base_that_gives_no_features_is_refused_where_they_are_wanted() -> None:
    with pytest.raises(ConfigError, match=r"corrector\.features is true, and the fake policy gives none; use a flow"):
        policy = Blind(trained=Trained())
        sampler = make_sampler({"name": "one_shot"}, policy)
        next(stored_chunks(policy, sampler, FRAMES, HeadConfig(features=True), LEAD, seed=0))


class Two(Blind):
    """Is given two observations, and notes them."""

    given: tuple[list[Observation], ...] = ()

    @property
    def spec(self) -> PolicySpec:
        return replace(super().spec, n_obs=2)

    def bind(self, context: object, observations: list[Observation], delay: int) -> torch.Tensor:
        self.given = (*self.given, observations)
        return super().bind(context, observations, delay)


def test_a_base_of_several_observations_is_given_those_of_the_frames_before() -> None:
    policy = Two(trained=Trained(offsets=2))
    sampler = make_sampler({"name": "one_shot"}, policy)
    made = list(stored_chunks(policy, sampler, FRAMES, HeadConfig(every=1), 0, seed=0))
    for (t, seen, _, _), observations in zip(made, policy.given, strict=True):
        start = int(FRAMES.bounds[FRAMES.place(t)[0]])
        frames, scenes = [max(t - 1, start), t], [max(max(t - 1, start) - (t - seen), start), seen]
        assert [one.tick for one in observations] == frames
        assert [one.state[0] for one in observations] == pytest.approx([FRAMES.state[k, 0] for k in frames])
        assert [one.environment[0] for one in observations] == pytest.approx([FRAMES.environment[k, 0] for k in scenes])


def test_no_example_reaches_past_its_episode() -> None:
    policy, stored = store(HeadConfig(every=1))
    training = HeadTraining(policy, FRAMES, stored, HeadConfig(every=1), "blind", seed=0, held=0.1)
    for chunk, place in np.concatenate([training._pairs, training._held]):
        t = stored.frame[chunk]
        assert FRAMES.place(int(t))[0] == FRAMES.place(int(t + place))[0]


def test_the_episodes_that_are_measured_are_not_learned_from() -> None:
    policy, stored = store(HeadConfig(every=1))
    training = HeadTraining(policy, FRAMES, stored, HeadConfig(every=1), "blind", seed=0, held=0.2)
    both = (training._pairs, training._held)
    learned, held = ({FRAMES.place(int(stored.frame[i]))[0] for i in pairs[:, 0]} for pairs in both)
    assert held == {0, 1, 2, 3}
    assert not learned & held


@pytest.mark.parametrize(
    "config, words",
    [
        ({"width": 0}, "corrector.width is 0; give at least 1"),
        ({"depth": 0}, "corrector.depth is 0; give at least 1"),
        ({"every": 0}, "corrector.every is 0; give at least 1"),
        ({"lag": -1}, "corrector.lag is -1; give at least 0"),
        ({"lag": 6}, "corrector.lag is 6; give at most 5 ticks: an older state is stale"),
        ({"latent": 0}, "corrector.latent is 0; give at least 1"),
        ({"image_age": -1}, "corrector.image_age is -1; give at least 0"),
        ({"negative_fraction": 1.5}, "corrector.negative_fraction is 1.5; give a share from 0 to 1"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_their_name(config: dict[str, int], words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        HeadConfig(**config)


# ---- heads that see images ------------------------------------------------------------------------------------------


def filmed(image_age: int, lag: int = 0) -> HeadTraining:
    """Of a base that sees the scene as it was, and a head that sees nothing of it but images, as bright as it is."""
    config = HeadConfig(
        width=16, depth=1, every=3, fresh=False, lag=lag, cameras=["top"], latent=2, image_age=image_age
    )
    policy, stored = store(config)
    level = np.clip(128 + 40 * FRAMES.environment[:, 0], 0, 255).astype(np.uint8)
    pictures = torch.from_numpy(level)[:, None, None, None].expand(-1, 3, SIDE, SIDE)
    return HeadTraining(policy, FRAMES, stored, config, "blind", seed=0, held=0.1, pictures=pictures)


def test_a_head_learns_with_its_eye_what_only_images_show(tmp_path: Path) -> None:
    training = filmed(image_age=0)
    for _ in training.run(150, 32, 3e-3):
        pass
    left, before = training.error()
    assert left < 0.4 * before  # as much as is left to one that sees only the state anew, and learns for longer
    training.save(tmp_path / "head.npz")
    card = read_head(tmp_path / "head.npz").card
    assert (list(card.cameras), card.latent, card.image_age) == (["top"], 2, 0)
    shown = {"top": np.full((32, 48, 3), 128, np.uint8)}
    with torch.no_grad():
        wanted = training._image_encoder(torch.full((1, 3, SIDE, SIDE), 128 / 255))[0]
    assert read_image_encoder(tmp_path / "head.npz")(shown).tolist() == pytest.approx(wanted.tolist(), abs=1e-6)


@pytest.mark.parametrize("image_age, lag", [(0, 0), (0, 2), (3, 0), (3, 2)])
def test_images_are_as_old_as_said_and_a_bit_more_within_the_episode_and_the_head_is_told(
    image_age: int, lag: int
) -> None:
    training = filmed(image_age, lag)
    pairs = training._pairs
    seen, _, images = training._batch(pairs)
    now = training._stored.frame[pairs[:, 0]] + pairs[:, 1]
    age = now - images
    start = FRAMES.bounds[np.searchsorted(FRAMES.bounds, now, side="right") - 1]
    assert set(age[now - start >= lag + image_age].tolist()) == set(range(lag, lag + image_age + 1))
    assert (images >= start).all()
    np.testing.assert_allclose(seen[:, -1] * H, age)


def test_how_old_images_are_is_given_as_it_is_even_if_it_never_varies() -> None:
    head = filmed(image_age=0).head()
    assert (head.shift[-3:].tolist(), head.scale[-3:].tolist()) == ([0.0] * 3, [1.0] * 3)


def test_a_single_demonstration_is_too_few() -> None:
    frames = frames_of(episodes(1), NAMES)
    policy = Blind()
    made = list(stored_chunks(policy, make_sampler({"name": "one_shot"}, policy), frames, HeadConfig(), LEAD, 0))
    stored = Stored(*(np.array([one[i] for one in made]) for i in range(4)))
    with pytest.raises(ConfigError, match="1 demonstrations are too few"):
        HeadTraining(policy, frames, stored, HeadConfig(), "blind", seed=0, held=0.1)


def test_a_data_set_without_what_the_policy_sees_is_told_by_name() -> None:
    policy = Blind(trained=Trained())
    other = frames_of(episodes(), {**NAMES, STATE: ("other",)})
    with pytest.raises(
        ConfigError, match=r"^the data set does not give what is needed: .*'s'.*give a data set that has it$"
    ):
        next(stored_chunks(policy, make_sampler({"name": "one_shot"}, policy), other, HeadConfig(), LEAD, seed=0))
