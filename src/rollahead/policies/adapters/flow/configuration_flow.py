"""Configuration of the flow policy in LeRobot, with the type `rollahead_flow`."""

from dataclasses import dataclass, field
from typing import Any

from rollahead.errors import unknown_name
from rollahead.policies.adapters.flow.loss import AVERAGES
from rollahead.policies.adapters.flow.net import NetConfig
from rollahead.policies.lerobot.compat import AdamWConfig, NormalizationMode, PreTrainedConfig
from rollahead.policies.lerobot.features import ENVIRONMENT, STATE


@PreTrainedConfig.register_subclass("rollahead_flow")
@dataclass
class FlowConfig(PreTrainedConfig):  # type: ignore[misc]  # LeRobot's bases have no types
    """LeRobot's configuration of the flow policy.

    Attributes:
        n_obs_steps: Number of observations; the network uses the newest.
        horizon: T, rows that the network makes.
        n_action_steps: Number of rows that LeRobot sends before the next inference.
        prediction: What the network predicts, `velocity` or `sample`.
        variant: Kind of network, `mlp` or `transformer`.
        width: Width of the network's layers.
        depth: Number of the network's layers.
        prefixes: Largest number of first rows that are given in training.
        num_steps: Number of Euler steps in LeRobot.
        loss_average: Averaging of the loss, one of `rollahead.policies.adapters.flow.loss.AVERAGES`.
        normalization_mapping: Normalisation of each type of feature.

    Raises: ConfigError, if `loss_average` is unknown.
    """

    n_obs_steps: int = 1
    horizon: int = 32
    n_action_steps: int = 8
    prediction: str = "sample"
    variant: str = "mlp"
    width: int = 384
    depth: int = 3
    prefixes: int = 0
    num_steps: int = 5
    loss_average: str = "rows"
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: {
            "STATE": NormalizationMode.MEAN_STD,
            "ENV": NormalizationMode.MEAN_STD,
            "ACTION": NormalizationMode.MIN_MAX,
        }
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.loss_average not in AVERAGES:
            raise unknown_name("loss_average", self.loss_average, AVERAGES)

    @property
    def net(self) -> NetConfig:
        """Configuration of the network."""
        inputs = self.input_features or {}
        condition = sum(inputs[key].shape[0] for key in (STATE, ENVIRONMENT) if key in inputs)
        assert self.action_feature is not None, "validated"
        return NetConfig(
            actions=self.action_feature.shape[0],
            condition=condition,
            horizon=self.horizon,
            prediction=self.prediction,
            variant=self.variant,
            width=self.width,
            depth=self.depth,
        )

    @property
    def observation_delta_indices(self) -> list[int]:
        """Offsets of the observations in ticks: the current one only."""
        return [0]

    @property
    def action_delta_indices(self) -> list[int]:
        """Offsets of the actions in ticks: 0 to T - 1."""
        return list(range(self.horizon))

    @property
    def reward_delta_indices(self) -> None:
        """None, since no rewards are used."""
        return None

    def validate_features(self) -> None:
        """Checks that the policy has a state and an action, and no images.

        Raises: ValueError, as LeRobot's policies do, if not.
        """
        if self.robot_state_feature is None or self.action_feature is None:
            raise ValueError("rollahead_flow needs observation.state and action")
        if self.image_features:
            raise ValueError(f"rollahead_flow sees no images, and is given {sorted(self.image_features)}")

    def get_optimizer_preset(self) -> Any:
        """Optimizer for training: AdamW."""
        return AdamWConfig(lr=1e-3, weight_decay=1e-6)

    def get_scheduler_preset(self) -> None:
        """None, since the learning rate is constant."""
        return None
