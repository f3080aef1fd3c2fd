import errno
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from rollahead.errors import ConfigError, ControlError
from rollahead.policies.checkpoints.card import read_card
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.data.dataset import read_dataset, write_dataset
from rollahead.policies.data.frames import Frames
from rollahead.policies.data.windows import held_out
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, IMAGES, STATE
from rollahead.policies.policy import EncoderInput, Trained
from rollahead.policies.training.trainer import WATCHED, WATCHED_SEEN, Trainer
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec
from rollahead.sim.demonstrations import Demonstration

from ..trainers import DIFFUSION, EACH, NAMES, POLICIES, random_frames, trainer_of

SIDE = 64
ALL = Trained(offsets=3, delay_input=True, prefixes=2)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Frames:
    """A data set with two cameras, of which the second is white."""
    axes = tuple(Dim(name, kind=Kind.VELOCITY) for name in NAMES[ACTION])
    cameras = (Camera("top", SIDE, SIDE), Camera("side", SIDE, SIDE))
    state, environment = (tuple(map(Dim, NAMES[key])) for key in (STATE, ENVIRONMENT))
    spec = RobotSpec(action=axes, state=state, environment=environment, rate_hz=50.0, cameras=cameras)
    rng = np.random.default_rng(0)
    shown = [
        Demonstration(
            state=frozen(rng.standard_normal((12, 3))),
            environment=frozen(rng.standard_normal((12, 2))),
            action=frozen(rng.standard_normal((12, 2))),
            images={
                "top": rng.integers(0, 256, (12, SIDE, SIDE, 3)).astype(np.uint8),
                "side": np.full((12, SIDE, SIDE, 3), 255, np.uint8),
            },
        )
        for _ in range(3)
    ]
    folder = tmp_path_factory.mktemp("filmed") / "dataset"
    write_dataset(folder, spec, shown, text="look", fps=50.0)
    return read_dataset(folder)


@pytest.mark.parametrize("name", EACH)
def test_a_checkpoint_is_what_was_learned_and_says_for_what(name: str, tmp_path: Path) -> None:
    trained = ALL if name == "flow" else replace(ALL, prefixes=0)
    trainer = trainer_of(POLICIES[name], trained=trained)
    for _ in range(2):
        trainer.training.advance()
    trainer.save(tmp_path / "checkpoint")
    card = read_card(tmp_path / "checkpoint")
    assert card is not None
    assert (card.state, card.action) == (NAMES[STATE], NAMES[ACTION])
    assert card.environment == (*NAMES[ENVIRONMENT], "delay")
    assert (card.rate_hz, card.trained, card.task) == (50.0, trained, {"name": "none"})
    kept = trainer.training.averaged.state_dict()
    saved = load_file(tmp_path / "checkpoint/model.safetensors")
    assert all(torch.equal(saved[key], kept[key]) for key in saved)
    policy = load_policy(tmp_path / "checkpoint")
    assert (policy.spec.state, policy.spec.environment, policy.spec.horizon) == (NAMES[STATE], NAMES[ENVIRONMENT], 8)


@pytest.mark.parametrize("name", ["diffusion", "act"])
def test_images_are_normalised_by_imagenets_statistics_whatever_lerobot_wrote_of_them(
    name: str, filmed: Frames, tmp_path: Path
) -> None:
    trainer = trainer_of(POLICIES[name], filmed)
    trainer.training.advance()
    trainer.save(tmp_path)
    load_policy(tmp_path)
    (path,) = tmp_path.glob("policy_preprocessor_step_*_normalizer_processor.safetensors")
    saved = load_file(path)
    for camera in ("top", "side"):
        said = {figure: saved[f"{IMAGES}{camera}.{figure}"] for figure in ("mean", "std", "min", "max")}
        assert said["mean"].shape == said["std"].shape == (3, 1, 1)
        assert said["mean"].flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])
        assert said["std"].flatten().tolist() == pytest.approx([0.229, 0.224, 0.225])
        for figure in ("min", "max"):
            np.testing.assert_allclose(said[figure].numpy(), filmed.stats[IMAGES + camera][figure], rtol=1e-6)


@pytest.mark.parametrize("name", EACH)
def test_a_killed_and_resumed_training_ends_the_same_to_the_bit(name: str, tmp_path: Path) -> None:
    whole, begun, resumed = (trainer_of(POLICIES[name], steps=4) for _ in range(3))
    for trainer, steps in ((whole, 4), (begun, 2)):
        for _ in range(steps):
            trainer.training.advance()
    whole.cold_error()  # to look changes nothing
    begun.cold_error()
    begun.training.save(tmp_path / "training.pt")
    resumed.training.restore(tmp_path / "training.pt")
    for _ in range(2):
        resumed.training.advance()
    for trainer, folder in ((whole, "whole"), (resumed, "resumed")):
        trainer.save(tmp_path / folder)
    assert _contents(tmp_path / "whole") == _contents(tmp_path / "resumed")
    assert whole.training.loss == resumed.training.loss


@pytest.mark.parametrize("name", EACH)
def test_the_cold_error_is_a_share_of_half_the_range_of_each_action(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of(POLICIES[name])
    frames = random_frames()
    half = np.ptp(frames.action, axis=0) / 2
    scale = frames.action.std(axis=0) if name == "act" else half  # what a normalised 1 is

    def off(policy: Any, batch: Any, noise: torch.Tensor) -> torch.Tensor:
        return batch[ACTION] + 0.1

    monkeypatch.setattr(trainer, "_trainable", replace(trainer._trainable, cold=off))
    expected = np.sqrt(np.square(0.1 * scale / half).mean())
    assert trainer.cold_error() == pytest.approx(expected, rel=1e-4)


def test_the_cold_error_does_not_count_what_is_past_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of()

    def off(policy: Any, batch: Any, noise: torch.Tensor) -> torch.Tensor:
        return batch[ACTION] + torch.where(batch["action_is_pad"], 9.0, 0.1)[..., None]

    monkeypatch.setattr(trainer, "_trainable", replace(trainer._trainable, cold=off))
    assert trainer.cold_error() == pytest.approx(0.1, rel=1e-4)


def test_an_action_that_never_changes_has_no_range_and_does_not_count() -> None:
    frames = random_frames()
    still = np.hstack([frames.action[:, :1], np.full((len(frames), 1), 0.3, np.float32)])
    stats = {**frames.stats, ACTION: {key: values.copy() for key, values in frames.stats[ACTION].items()}}
    stats[ACTION].update(mean=still.mean(0), std=still.std(0), min=still.min(0), max=still.max(0))
    trainer = trainer_of(frames=replace(frames, action=still, stats=stats))
    trainer.training.advance()
    assert np.isfinite(trainer.cold_error())


def test_what_is_watched_was_held_out_and_what_is_learned_was_not() -> None:
    frames = random_frames(count=5)
    trainer = trainer_of(frames=frames)
    learn, keep = held_out(frames)
    places = {tuple(state): frames.place(i)[0] for i, state in enumerate(frames.state.tolist())}
    assert {places[tuple(state)] for state in trainer._watched[STATE].tolist()} == set(keep.tolist())
    drawn = trainer._windows.draw(np.random.default_rng(0), 500)
    assert {places[tuple(state)] for state in drawn[STATE].tolist()} == set(learn.tolist())
    assert len(trainer._watched[STATE]) == WATCHED


def test_of_a_single_episode_what_is_learned_is_watched() -> None:
    assert np.isfinite(trainer_of(frames=random_frames(count=1)).cold_error())


@pytest.mark.parametrize("n_obs", [1, 2])
def test_lerobots_diffusion_gets_its_axis_of_time_whatever_n_obs_is(n_obs: int, filmed: Frames) -> None:
    trainer = trainer_of({**DIFFUSION, "n_obs": n_obs}, filmed, batch=3)
    batch = trainer._normalised(trainer._draw(np.random.default_rng(0), 3))
    assert batch[STATE].shape == (3, n_obs, 3)
    assert batch[ENVIRONMENT].shape == (3, n_obs, 2)
    assert batch[IMAGES + "top"].shape == (3, n_obs, 3, SIDE, SIDE)


@pytest.mark.parametrize("name", EACH[1:])
def test_a_policy_learns_from_images_and_its_checkpoint_sees_them(name: str, filmed: Frames, tmp_path: Path) -> None:
    trainer = trainer_of(POLICIES[name], filmed, batch=2)
    trainer.training.advance()
    assert np.isfinite(trainer.cold_error())
    assert len(trainer._watched[STATE]) == WATCHED_SEEN
    trainer.save(tmp_path / "checkpoint")
    policy = load_policy(tmp_path / "checkpoint")
    assert policy.spec.cameras == ("top", "side")
    left, right = np.zeros((2, SIDE, SIDE, 3), np.uint8)
    left[:, : SIDE // 2], right[:, SIDE // 2 :] = 255, 255
    rows = [_rows(policy, {"top": top, "side": left}) for top in (left, right)]
    assert rows[0].shape == (8, 2)
    assert not np.allclose(rows[0], rows[1])


def _rows(policy: Any, images: dict[str, Any]) -> Any:
    seen = Observation(tick=0, state=frozen(np.zeros(3)), environment=frozen(np.zeros(2)), images=images)
    seen = replace(seen, image_stamps={name: id(image) for name, image in images.items()})
    context = policy.bind(policy.encode(EncoderInput.of([seen])), [seen], 0)
    drawn = make_sampler({"name": "auto"}, policy)(policy, context, lambda: torch.zeros(1, *policy.shape))
    return policy.rows(drawn.chunks[0])


def test_images_that_flow_would_not_see_are_refused_and_may_be_left_out(filmed: Frames) -> None:
    with pytest.raises(ConfigError, match=r"sees no images, and the data has top, side.*cameras=\[\]"):
        trainer_of(frames=filmed)
    trainer_of(frames=read_dataset(filmed.folder, cameras=[])).training.advance()


def test_a_camera_that_is_left_out_is_no_input(filmed: Frames) -> None:
    trainer = trainer_of(POLICIES["act"], read_dataset(filmed.folder, cameras=["side"]), batch=2)
    batch = trainer._normalised(trainer._draw(np.random.default_rng(0), 2))
    assert [key for key in batch if key.startswith(IMAGES)] == [IMAGES + "side"]
    trainer.training.advance()


FAILURES = {
    "a full disk": (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
    "a full disk, as safetensors says it": (SafetensorError("I/O error: No space left on device"), "No space left"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_checkpoint_that_cannot_be_written_leaves_the_one_before(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error, words = FAILURES[name]
    trainer, before = _saved(tmp_path)
    monkeypatch.setattr(type(trainer._after), "save_pretrained", _raising(error))
    with pytest.raises(ControlError, match=rf"checkpoint .*{words}.*; free some space, and resume the training"):
        trainer.save(tmp_path / "checkpoint")
    assert _contents(tmp_path) == before


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, before = _saved(tmp_path)
    monkeypatch.setattr("rollahead.policies.training.trainer.write_card", _raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        trainer.save(tmp_path / "checkpoint")
    assert _contents(tmp_path) == before


@pytest.mark.parametrize("moved", [".unfinished", "checkpoint"])
def test_an_interrupt_while_a_checkpoint_is_replaced_leaves_the_one_before(
    moved: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, before = _saved(tmp_path)
    rename = Path.rename

    def interrupted(path: Path, target: Path) -> Path:
        if path.name.endswith(moved):
            raise KeyboardInterrupt
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        trainer.save(tmp_path / "checkpoint")
    assert _contents(tmp_path) == before


def test_a_checkpoint_that_a_kill_has_left_aside_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer, before = _saved(tmp_path)
    (tmp_path / "checkpoint").rename(tmp_path / "checkpoint.before")
    monkeypatch.setattr("rollahead.policies.training.trainer.write_card", _raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        trainer.save(tmp_path / "checkpoint")
    assert _contents(tmp_path) == before


def test_what_a_kill_has_left_unfinished_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "checkpoint.unfinished").mkdir()
    (tmp_path / "checkpoint.unfinished/model.safetensors").write_bytes(b"half")
    _saved(tmp_path)
    load_policy(tmp_path / "checkpoint")
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def _saved(folder: Path) -> tuple[Trainer, dict[str, bytes]]:
    """A trainer that has saved once and learned since, and what it saved."""
    trainer = trainer_of()
    trainer.save(folder / "checkpoint")
    before = _contents(folder)
    trainer.training.advance()
    return trainer, before


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _raising(error: BaseException) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


def test_offsets_longer_than_an_episode_are_refused_before_the_first_step() -> None:
    with pytest.raises(ConfigError, match="has 20 frames, and training with offsets=20 needs 21"):
        trainer_of(trained=Trained(offsets=20))


def test_its_weights_are_those_that_learn() -> None:
    trainer = trainer_of()
    assert trainer.weights == sum(weight.numel() for weight in trainer.training.averaged.parameters())


# ---- one encoding for several offsets -------------------------------------------------------------------------------


def told_apart(policy: torch.nn.Module, batch: Any) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of `batch`, with the same noise each time, and the gradient of each weight."""
    torch.manual_seed(0)
    policy.zero_grad()
    loss, *_ = policy(batch)
    loss.backward()
    used = ((name, weight.grad) for name, weight in policy.named_parameters())
    return float(loss.detach()), {name: gradient.clone() for name, gradient in used if gradient is not None}


@pytest.mark.parametrize("name", ["diffusion", "act"])
@pytest.mark.parametrize("n_obs", [1, 2])
@pytest.mark.parametrize("shared", [2, 4])
def test_losses_and_gradients_with_one_encoding_are_those_of_an_encoding_for_each_example(
    name: str, n_obs: int, shared: int, filmed: Frames
) -> None:
    options = {**POLICIES[name], "n_obs": n_obs} if name == "diffusion" else POLICIES[name]
    trainer = trainer_of(options, filmed, Trained(offsets=3, delay_input=True), shared, batch=8)
    batch = trainer._normalised(trainer._draw(np.random.default_rng(0), 8))
    policy, encoder = trainer._trainable.policy, trainer._trainable.encoder
    assert encoder is not None
    for module in policy.modules():
        if isinstance(module, torch.nn.Dropout | torch.nn.MultiheadAttention):
            module.p = module.dropout = 0.0
    encoded: list[int] = []
    encoder.register_forward_hook(lambda module, given, made: encoded.append(len(given[0])), prepend=True)
    once, gradients = told_apart(policy, batch)
    encoder._forward_hooks.clear()
    encoder._forward_pre_hooks.clear()
    each, wanted = told_apart(policy, batch)
    calls = 1 if name == "diffusion" else 2
    assert encoded == [8 // shared * (2 * n_obs if name == "diffusion" else 1)] * calls
    assert once == pytest.approx(each, rel=1e-5)
    assert gradients.keys() == wanted.keys()
    for weight, gradient in wanted.items():
        torch.testing.assert_close(gradients[weight], gradient, rtol=1e-3, atol=1e-5)


def test_a_policy_trained_with_one_encoding_is_watched_and_saved_as_any_other(filmed: Frames, tmp_path: Path) -> None:
    trainer = trainer_of(POLICIES["act"], filmed, Trained(offsets=3, delay_input=True), 4, batch=8)
    trainer.training.advance()
    assert trainer.cold_error() > 0
    trainer.save(tmp_path / "checkpoint")
    assert load_policy(tmp_path / "checkpoint").trained == Trained(offsets=3, delay_input=True)


@pytest.mark.parametrize("shared", [0, 5])
def test_more_offsets_than_there_are_or_none_are_refused(shared: int, filmed: Frames) -> None:
    with pytest.raises(ConfigError, match=f"shared_offsets is {shared} and offsets 3; give from 1 to 4"):
        trainer_of(POLICIES["act"], filmed, Trained(offsets=3), shared)


@pytest.mark.parametrize("batch, wanted", [(3, 4), (4, 4), (11, 8)])
def test_where_there_are_images_all_offsets_share_an_encoding_if_nothing_is_said(
    batch: int, wanted: int, filmed: Frames
) -> None:
    trainer = trainer_of(POLICIES["act"], filmed, Trained(offsets=3), batch=batch)
    drawn = trainer._normalised(trainer._draw(np.random.default_rng(0), batch))
    assert len(drawn[ACTION]) == wanted
    assert drawn["delay"].reshape(-1, 4).sort(dim=1).values[0].tolist() <= [0, 1, 2, 3]
    encoded: list[int] = []
    assert trainer._trainable.encoder is not None
    trainer._trainable.encoder.register_forward_hook(
        lambda module, given, made: encoded.append(len(given[0])), prepend=True
    )
    trainer.training.advance()
    assert encoded == [wanted // 4] * 2  # cameras


def test_without_images_there_is_no_encoding_to_share() -> None:
    with pytest.raises(
        ConfigError, match="shared_offsets is 2, and there are no images whose encoding could be shared"
    ):
        trainer_of(trained=Trained(offsets=3), shared=2)
