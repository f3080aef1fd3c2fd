"""LeRobot's ACT, driven by our runtime (arXiv 2304.13705): no noise and no steps, a chunk at once.

Its backbone does not see the state, so it runs in `encode`, and the transformer in `act`. LeRobot's own ensembling
(`temporal_ensemble_coeff`) is not used: it takes a chunk per tick for granted; strategy=ensemble does not.

Threads: the worker's alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rollahead.policies.adapters.observed import Actions, Numbers, Vision
from rollahead.policies.checkpoints.checkpoint import Checkpoint
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ENVIRONMENT, STATE
from rollahead.policies.lerobot.weights import load_weights
from rollahead.policies.policy import EncoderInput, Trained
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import PolicySpec

NAME = "LeRobot's ACT"
IMAGES = "observation.images"  # of what LeRobot's model is given: all cameras in a list


FeatureMaps = Sequence[torch.Tensor]  # for each camera (1, C, H', W')


@dataclass(frozen=True, slots=True, eq=False)
class ACTContext:
    """Input of ACT's transformer. vision: for each camera its feature map; numbers: by feature (1, D)."""

    vision: FeatureMaps
    numbers: dict[str, torch.Tensor]


class _Given(torch.nn.Module):
    """In the place of the backbone: what it is given is a feature map already."""

    def forward(self, feature_map: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"feature_map": feature_map}


class LeRobotACT:
    """A `OneShot`. policy: LeRobot's, of `checkpoint`; its backbone is taken out."""

    name = NAME
    warm: tuple[float, ...] | None = None

    def __init__(self, policy: Any, checkpoint: Checkpoint) -> None:
        config, card, features = policy.config, checkpoint.card, checkpoint.features
        self.device: torch.device = next(policy.parameters()).device
        normalisers = checkpoint.normalisers().to(self.device)
        self._model = policy.model
        self._numbers = Numbers(normalisers, card, self.device)
        self._vision = Vision(_encoders(self._model, len(features.cameras)), features, normalisers, self.device)
        self.trained: Trained = card.trained
        self.shape = (config.chunk_size, features.action)
        self._actions = Actions(normalisers.action, len(card.action), self.shape, self.device)
        self.spec = PolicySpec(
            action=card.action,
            state=card.state,
            environment=card.seen,
            cameras=features.camera_names,
            horizon=config.chunk_size,
            rate_hz=card.rate_hz,
        )

    @torch.no_grad()
    def encode(self, seen: EncoderInput) -> FeatureMaps:
        """The feature maps of the newest images; the task is not told. Phase: hot."""
        return self._vision(seen, newest=1)[0]

    @torch.no_grad()
    def bind(self, encoded: FeatureMaps, observations: Sequence[Observation], delay: int) -> ACTContext:
        """With the state and environment of the newest observation. Phase: hot."""
        environment = self._numbers.environment(observations[-1:], delay)
        numbers = {STATE: self._numbers.state(observations[-1:])}
        return ACTContext(encoded, numbers if environment is None else {**numbers, ENVIRONMENT: environment})

    def act(self, context: ACTContext) -> torch.Tensor:
        """(T, A), normalised. Phase: hot."""
        vision = {IMAGES: list(context.vision)} if context.vision else {}
        chunks: torch.Tensor = self._model({**context.numbers, **vision})[0]
        return chunks[0]

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """(H, A), in robot units. Phase: hot."""
        return self._actions.rows(chunk)

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """(n, W), of rows in robot units: what `rows` undoes. Phase: hot."""
        return self._actions.normalised(rows)


def _encoders(model: Any, cameras: int) -> Sequence[Callable[[torch.Tensor], torch.Tensor]]:
    """The backbone of `model`, once per camera; the model goes on with what they make."""
    if not cameras:
        return []
    backbone, model.backbone = model.backbone, _Given()
    return [lambda image: backbone(image)["feature_map"]] * cameras


def load(checkpoint: Checkpoint, device: torch.device) -> LeRobotACT:
    """The policy of `checkpoint` on `device`.

    Raises: ConfigError, if the checkpoint is not whole, or this LeRobot cannot make the policy.
    """
    config = compat.config_of("ACTConfig", checkpoint.config, device="cpu", pretrained_backbone_weights=None)
    policy = compat.made("ACTPolicy", config)
    load_weights(policy, checkpoint.folder)
    return LeRobotACT(policy.to(device), checkpoint)
