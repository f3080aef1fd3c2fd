"""Every tensor of a training is on its device. `meta` stands for a device that is not the CPU: torch refuses to compute
with tensors of both, as it does with CUDA, and a device is all that a meta tensor has."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.correctors.residual import CorrectorTraining, CorrectorTrainingConfig, Stored, stored_chunks
from rollahead.policies.data.frames import Frames
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.policies.device import device_of
from rollahead.policies.lerobot.features import ACTION, IMAGES
from rollahead.policies.policy import Trained
from rollahead.policies.training.trainer import Making

from .trainers import EACH, POLICIES, random_frames, save_flow, trainer_of
from .training.test_trainer import filmed as filmed

ATEN = torch.ops.aten
META = torch.device("meta")


class Readable(TorchDispatchMode):
    """What is read off a meta tensor is one, where CUDA would copy it."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        meta = args and isinstance(args[0], torch.Tensor) and args[0].device == META
        if meta and func is ATEN._local_scalar_dense.default:
            return 1
        if meta and func is ATEN._to_copy.default and kwargs.get("device", META) != META:
            return torch.ones(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype, device=kwargs["device"])
        if meta and func is ATEN.is_nonzero.default:
            return True
        return func(*args, **kwargs)


def devices(state: Any) -> set[torch.device]:
    """Devices of all tensors in `state` that have a shape; a step's number is torch's own affair."""
    if isinstance(state, torch.Tensor):
        return {state.device} if state.ndim else set()
    values = state.values() if isinstance(state, dict) else state if isinstance(state, list | tuple) else ()
    return set().union(*map(devices, values))


def options(name: str) -> tuple[dict[str, Any], Trained]:
    return dict(POLICIES[name]), Trained(offsets=3, delay_input=True, prefixes=2 if name == "flow" else 0)


@pytest.mark.parametrize(
    ("name", "seeing"), [*((name, False) for name in EACH), *((name, True) for name in EACH if name != "flow")]
)
def test_every_weight_and_batch_of_a_step_is_on_the_device_and_so_is_what_is_watched(
    name: str, seeing: bool, filmed: Frames, tmp_path: Path
) -> None:
    policy, trained = options(name)
    frames = filmed if seeing else random_frames()
    with Readable():
        trainer = trainer_of(policy, frames, trained, batch=4, making=Making(device="meta"))
        training = trainer.training
        batch = trainer._normalised(trainer._draw(np.random.default_rng(0), 4))
        assert devices(batch) == {META}
        assert any(key.startswith(IMAGES) for key in batch) == seeing
        training.advance()
        trainer.cold_error()
        trainer.save(tmp_path / "checkpoint")
        training.save(tmp_path / "training.pt")
        training.restore(tmp_path / "training.pt")
        training.advance()
    assert training.step == 2
    for part in ("policy", "average", "optimizer"):
        assert devices(training._parts()[part].state_dict()) == {META}, part
    assert all(
        weight.grad is not None and weight.grad.device == META for weight in trainer._trainable.policy.parameters()
    )


@pytest.mark.parametrize("name", EACH)
def test_a_checkpoint_says_the_device_that_it_was_trained_on_and_is_loaded_from_any(name: str, tmp_path: Path) -> None:
    trainer = trainer_of(POLICIES[name])
    trainer.training.advance()
    trainer.save(tmp_path / "checkpoint")
    assert '"device": "cpu"' in (tmp_path / "checkpoint/config.json").read_text()
    load_policy(tmp_path / "checkpoint")


@pytest.mark.parametrize("cameras", [(), ("top", "side")], ids=["numbers", "images"])
def test_a_corrector_is_trained_on_the_device_as_well(cameras: tuple[str, ...], filmed: Frames, tmp_path: Path) -> None:
    policy = load_policy(save_flow(tmp_path / "base"))
    config = CorrectorTrainingConfig(width=8, depth=1, cameras=cameras)
    sampler = make_sampler({"name": "auto"}, policy)
    chunks = list(stored_chunks(policy, sampler, filmed, config, 0, 0))
    stored = Stored(*(np.array([one[i] for one in chunks]) for i in range(4)))
    pictures = torch.zeros(len(filmed), 6, 64, 64, dtype=torch.uint8) if cameras else None
    training = CorrectorTraining(
        policy, filmed, stored, config, "base", seed=0, held=0.1, pictures=pictures, device="meta"
    )
    with Readable():
        assert list(training.run(2, 4, 0.001)) == [1, 2]
        training.error()
        training.save(tmp_path / "head.npz")
    parts = [training._net, training._skip, *([training._image_encoder] if training._image_encoder else [])]
    assert {weight.grad.device for part in parts for weight in part.parameters() if weight.grad is not None} == {META}


def test_weights_are_the_same_on_any_device() -> None:
    here, there = (trainer_of(making=Making(device=device))._trainable.policy for device in ("cpu", "cpu"))
    assert all(torch.equal(a, b) for a, b in zip(here.parameters(), there.parameters(), strict=True))


def test_the_device_is_the_fastest_there_is_unless_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device_of(None) == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert (device_of(None), device_of("cpu")) == ("cpu", "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA; what is refused is its absence")
@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "warp"])
def test_a_device_that_is_not_there_is_one_sentence(name: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^device is {name}, and torch cannot use it .*; leave it out, or give cpu$"
    ):
        device_of(name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA")
@pytest.mark.parametrize("name", EACH)
def test_a_policy_is_trained_with_cuda(name: str, tmp_path: Path) -> None:
    trainer = trainer_of(POLICIES[name], making=Making(device="cuda"))
    trainer.training.advance()
    assert np.isfinite(trainer.cold_error())
    assert trainer._normalised(trainer._draw(np.random.default_rng(0), 4))[ACTION].is_cuda
