"""LeRobot's Diffusion Policy, driven by our runtime (arXiv 2303.04137).

The network sees the n_obs newest observations and makes rows from the oldest of them on:

    tick    k-1    k   k+1  ...         n_obs = 2, T = horizon, H = T - 1
    row       0    1     2  ...         row 0 is in the past, and is dropped

LeRobot sends `n_action_steps` of these rows; here all are there, and the strategy says how many are sent.

Threads: the worker's alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rollahead.policies.adapters.observed import Numbers, Vision
from rollahead.policies.checkpoints.checkpoint import Checkpoint
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.weights import load_weights
from rollahead.policies.policy import Trained
from rollahead.policies.process import Diffusion
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Images, Observation
from rollahead.runtime.types.spec import PolicySpec

NAME = "LeRobot's Diffusion Policy"


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """vision: of each observation, for each camera, (1, F); condition: (1, G), of all, once the state is bound."""

    vision: Sequence[Sequence[torch.Tensor]]
    condition: torch.Tensor | None = None


class LeRobotDiffusion:
    """A `Denoiser`. policy: LeRobot's, of `checkpoint`."""

    name = NAME
    warm: tuple[float, ...] | None = None

    def __init__(self, policy: Any, checkpoint: Checkpoint) -> None:
        config, card, features = policy.config, checkpoint.card, checkpoint.features
        self.device: torch.device = next(policy.parameters()).device
        normalisers = checkpoint.normalisers().to(self.device)
        self._model = policy.diffusion
        self._past = config.n_obs_steps - 1
        self._action = normalisers.action
        self._numbers = Numbers(normalisers, card, self.device)
        self._vision = Vision(_encoders(self._model, len(features.cameras)), features, normalisers, self.device)
        self.trained: Trained = card.trained
        self.shape = (config.horizon, features.action)
        self.process = process_of(policy)
        self.spec = PolicySpec(
            action=card.action,
            state=card.state,
            environment=card.seen,
            cameras=features.camera_names,
            horizon=config.horizon - self._past,
            rate_hz=card.rate_hz,
            n_obs=config.n_obs_steps,
            state_in="condition",
        )

    @torch.inference_mode()
    def encode(self, images: Sequence[Images], task: str) -> Seen:
        """The images' features; the task is not told. Phase: hot."""
        return Seen(self._vision(images))

    @torch.inference_mode()
    def bind(self, context: Seen, observations: Sequence[Observation], delay: int) -> Seen:
        """Of each observation [state, cameras, environment], one after the other. Phase: hot."""
        state = self._numbers.state(observations)
        environment = self._numbers.environment(observations, delay)
        parts = [
            part
            for i, cameras in enumerate(context.vision)
            for part in (state[i : i + 1], *cameras, *([] if environment is None else [environment[i : i + 1]]))
        ]
        return Seen(context.vision, torch.cat(parts, dim=-1))

    def denoise(self, context: Seen, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """(B, T, A), what `process` says of the chunks `x` (B, T, A) at steps `t` (B,). Phase: hot."""
        assert context.condition is not None, "bound"
        predicted: torch.Tensor = self._model.unet(x, t, global_cond=context.condition.expand(len(x), -1))
        return predicted

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """(H, A), in robot units, from now on. Phase: hot."""
        return frozen(self._action.unnormalise(chunk[self._past :]).cpu().double().numpy())

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """(n, A), of rows in robot units: what `rows` undoes. Phase: hot."""
        return self._action.normalise(torch.tensor(rows, dtype=torch.float32).to(self.device))


def process_of(policy: Any) -> Diffusion:
    """That of LeRobot's policy."""
    config = policy.config
    return Diffusion(
        abar=policy.diffusion.noise_scheduler.alphas_cumprod,
        prediction=config.prediction_type,
        clip=config.clip_sample_range if config.clip_sample else None,
    )


def _encoders(model: Any, cameras: int) -> Sequence[torch.nn.Module]:
    """One per camera, or the same for all."""
    if not cameras:
        return []
    encoder = model.rgb_encoder
    return list(encoder) if isinstance(encoder, torch.nn.ModuleList) else [encoder] * cameras


def load(checkpoint: Checkpoint, device: torch.device) -> LeRobotDiffusion:
    """The policy of `checkpoint` on `device`.

    Raises: ConfigError, if the checkpoint is not whole, or this LeRobot cannot make the policy.
    """
    config = compat.config_of(
        "DiffusionConfig", checkpoint.config, device="cpu", pretrained_backbone_weights=None, compile_model=False
    )
    policy = compat.made("DiffusionPolicy", config)
    load_weights(policy, checkpoint.folder)
    return LeRobotDiffusion(policy.to(device), checkpoint)
