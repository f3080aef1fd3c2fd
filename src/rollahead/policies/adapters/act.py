"""Adapter of LeRobot's ACT (arXiv 2304.13705), which makes a chunk in one call, without noise.

The backbone does not use the state, so it runs in `encode`, and the transformer in `act`. LeRobot's own ensembling
(`temporal_ensemble_coeff`) is not used, since it needs a new chunk in every tick; strategy=ensemble does not.

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
IMAGES = "observation.images"  # key of the images of all cameras, as a list, in the input of LeRobot's model


FeatureMaps = Sequence[torch.Tensor]  # one per camera, (1, C, H', W')


@dataclass(frozen=True, slots=True, eq=False)
class ACTContext:
    """Input of ACT's transformer.

    Attributes:
        vision: Feature map of each camera, (1, C, H', W').
        numbers: State and environment by LeRobot's feature names, (1, D) each.
    """

    vision: FeatureMaps
    numbers: dict[str, torch.Tensor]


class _Given(torch.nn.Module):
    """Replaces the backbone in LeRobot's model, whose input is then already a feature map."""

    def forward(self, feature_map: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"feature_map": feature_map}


class LeRobotACT:
    """LeRobot's ACT as a `OneShot` policy.

    Args:
        policy: LeRobot's policy, with the weights of `checkpoint`; its backbone is taken out of its model.
        checkpoint: The checkpoint.
    """

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
        """Feature maps of the newest images; ACT does not use the task text. Phase: hot."""
        return self._vision(seen, newest=1)[0]

    @torch.no_grad()
    def bind(self, encoded: FeatureMaps, observations: Sequence[Observation], delay: int) -> ACTContext:
        """Adds the normalised state and environment of the newest observation. Phase: hot."""
        environment = self._numbers.environment(observations[-1:], delay)
        numbers = {STATE: self._numbers.state(observations[-1:])}
        return ACTContext(encoded, numbers if environment is None else {**numbers, ENVIRONMENT: environment})

    def act(self, context: ACTContext) -> torch.Tensor:
        """Normalised chunk (T, A). Phase: hot."""
        vision = {IMAGES: list(context.vision)} if context.vision else {}
        chunks: torch.Tensor = self._model({**context.numbers, **vision})[0]
        return chunks[0]

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """Rows (H, A) of a normalised chunk, in robot units. Phase: hot."""
        return self._actions.rows(chunk)

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """Normalised rows (n, W) of rows in robot units: the inverse of `rows`. Phase: hot."""
        return self._actions.normalised(rows)


def _encoders(model: Any, cameras: int) -> Sequence[Callable[[torch.Tensor], torch.Tensor]]:
    """Takes the backbone out of `model` and returns it once per camera; the model then takes feature maps."""
    if not cameras:
        return []
    backbone, model.backbone = model.backbone, _Given()
    return [lambda image: backbone(image)["feature_map"]] * cameras


def load(checkpoint: Checkpoint, device: torch.device) -> LeRobotACT:
    """Loads the policy of `checkpoint` onto `device`.

    Raises: ConfigError, if the checkpoint is incomplete, or the installed LeRobot cannot make the policy.
    """
    config = compat.config_of("ACTConfig", checkpoint.config, device="cpu", pretrained_backbone_weights=None)
    policy = compat.made("ACTPolicy", config)
    load_weights(policy, checkpoint.folder)
    return LeRobotACT(policy.to(device), checkpoint)
