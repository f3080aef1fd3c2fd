"""Small policies of LeRobot's, saved once; torch has one thread, as in the worker."""

from pathlib import Path

import pytest
import torch
from benchmarks.policy_parity import card_of, save_policy

from rollahead.policies.policy import Trained


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def diffusion_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_policy(tmp_path_factory.mktemp("diffusion") / "checkpoint", "diffusion", n_obs_steps=2)


@pytest.fixture(scope="session")
def seeing_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusion policy with two cameras, whose encoders differ."""
    folder = tmp_path_factory.mktemp("seeing") / "checkpoint"
    options = {"n_obs_steps": 2, "use_separate_rgb_encoder_per_camera": True, "prediction_type": "sample"}
    return save_policy(folder, "diffusion", cameras=2, **options)


@pytest.fixture(scope="session")
def told_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A diffusion policy that is told the delay, at most 7 ticks."""
    folder = tmp_path_factory.mktemp("told") / "checkpoint"
    card = card_of(3, Trained(offsets=7, delay_input=True))
    return save_policy(folder, "diffusion", environment=3, card=card, prediction_type="sample")


@pytest.fixture(scope="session")
def act_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ACT with two cameras."""
    return save_policy(tmp_path_factory.mktemp("act") / "checkpoint", "act", cameras=2)
