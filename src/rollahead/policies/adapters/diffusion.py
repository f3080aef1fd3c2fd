"""Adapter of LeRobot's Diffusion Policy (arXiv 2303.04137).

The network takes the n_obs newest observations and makes rows from the tick of the oldest one on:

    tick    k-1    k   k+1  ...         n_obs = 2, T = horizon, H = T - 1
    row       0    1     2  ...         row 0 is in the past, and is dropped

LeRobot sends `n_action_steps` of these rows; here all of them are returned, and the strategy decides which are sent.

Threads: the worker's alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rollahead.policies.adapters.observed import Actions, Numbers, Vision
from rollahead.policies.checkpoints.checkpoint import Checkpoint
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.weights import load_weights
from rollahead.policies.policy import EncoderInput, Trained
from rollahead.policies.process import Diffusion
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import PolicySpec

NAME = "LeRobot's Diffusion Policy"


ImageFeatures = Sequence[Sequence[torch.Tensor]]  # (1, F) by observation and camera


@dataclass(frozen=True, slots=True, eq=False)
class DiffusionContext:
    """Input of the network beside the noise.

    `condition`: (1, G), states, image features and environments of all observations.
    """

    condition: torch.Tensor


class LeRobotDiffusion:
    """LeRobot's Diffusion Policy as a `Denoiser`.

    Args:
        policy: LeRobot's policy, with the weights of `checkpoint`.
        checkpoint: The checkpoint.
    """

    name = NAME
    warm: tuple[float, ...] | None = None

    def __init__(self, policy: Any, checkpoint: Checkpoint) -> None:
        config, card, features = policy.config, checkpoint.card, checkpoint.features
        self.device: torch.device = next(policy.parameters()).device
        normalisers = checkpoint.normalisers().to(self.device)
        self._model = policy.diffusion
        self._past = config.n_obs_steps - 1
        self._numbers = Numbers(normalisers, card, self.device)
        encoders = _encoders(self._model, len(features.cameras))
        self._vision = Vision(encoders, features, normalisers, self.device, resizes=checkpoint.resizes_images)
        self.trained: Trained = card.trained
        self.shape = (config.horizon, features.action)
        self._actions = Actions(normalisers.action, len(card.action), self.shape, self.device, self._past)
        self.process = process_of(policy)
        self.spec = PolicySpec(
            action=card.action,
            state=card.state,
            environment=card.seen,
            cameras=features.camera_names,
            horizon=config.horizon - self._past,
            rate_hz=card.rate_hz,
            n_obs=config.n_obs_steps,
        )

    @torch.no_grad()
    def encode(self, seen: EncoderInput) -> ImageFeatures:
        """Features of the images of all observations; the policy does not use the task text. Phase: hot."""
        return self._vision(seen)

    @torch.no_grad()
    def bind(self, encoded: ImageFeatures, observations: Sequence[Observation], delay: int) -> DiffusionContext:
        """Concatenates [state, image features, environment] of each observation, oldest first. Phase: hot."""
        state = self._numbers.state(observations)
        environment = self._numbers.environment(observations, delay)
        parts = [
            part
            for i, cameras in enumerate(encoded)
            for part in (state[i : i + 1], *cameras, *([] if environment is None else [environment[i : i + 1]]))
        ]
        return DiffusionContext(torch.cat(parts, dim=-1))

    def denoise(self, context: DiffusionContext, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Prediction (B, T, W) of the network for chunks `x` (B, T, W) at noise steps `t` (B,). Phase: hot."""
        predicted: torch.Tensor = self._model.unet(x, t, global_cond=context.condition.expand(len(x), -1))
        return predicted

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """Rows (H, A) of a normalised chunk from now on, in robot units. Phase: hot."""
        return self._actions.rows(chunk)

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """Normalised rows (n, W) of rows in robot units: the inverse of `rows`. Phase: hot."""
        return self._actions.normalised(rows)


def process_of(policy: Any) -> Diffusion:
    """Noise process of LeRobot's policy."""
    config = policy.config
    return Diffusion(
        abar=policy.diffusion.noise_scheduler.alphas_cumprod,
        prediction=config.prediction_type,
        clip=config.clip_sample_range if config.clip_sample else None,
    )


def _encoders(model: Any, cameras: int) -> Sequence[torch.nn.Module]:
    """Image encoders of `model`, one per camera, or the same one for all."""
    if not cameras:
        return []
    encoder = model.rgb_encoder
    return list(encoder) if isinstance(encoder, torch.nn.ModuleList) else [encoder] * cameras


def load(checkpoint: Checkpoint, device: torch.device) -> LeRobotDiffusion:
    """Loads the policy of `checkpoint` onto `device`.

    Raises: ConfigError, if the checkpoint is incomplete, or the installed LeRobot cannot make the policy.
    """
    config = compat.config_of(
        "DiffusionConfig", checkpoint.config, device="cpu", pretrained_backbone_weights=None, compile_model=False
    )
    policy = compat.made("DiffusionPolicy", config)
    load_weights(policy, checkpoint.folder)
    return LeRobotDiffusion(policy.to(device), checkpoint)
