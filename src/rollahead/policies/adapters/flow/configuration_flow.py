"""The flow policy's configuration, as LeRobot knows it: the type `rollahead_flow`."""

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
    """horizon: T, rows that the network makes; n_action_steps: how many of them LeRobot sends before it asks again;
    prediction: `velocity` or `sample`; variant, width, depth: of the network; prefixes: first rows that may be given;
    num_steps: Euler's, in LeRobot; loss_average: over what the loss is a mean, one of
    `rollahead.policies.adapters.flow.loss.AVERAGES`."""

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
        """What the network is made of."""
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
        """Only now."""
        return [0]

    @property
    def action_delta_indices(self) -> list[int]:
        """From now on."""
        return list(range(self.horizon))

    @property
    def reward_delta_indices(self) -> None:
        """None."""
        return None

    def validate_features(self) -> None:
        """Raises: ValueError, as LeRobot's policies do, if there is no state, or there are images."""
        if self.robot_state_feature is None or self.action_feature is None:
            raise ValueError("rollahead_flow needs observation.state and action")
        if self.image_features:
            raise ValueError(f"rollahead_flow sees no images, and is given {sorted(self.image_features)}")

    def get_optimizer_preset(self) -> Any:
        """AdamW."""
        return AdamWConfig(lr=1e-3, weight_decay=1e-6)

    def get_scheduler_preset(self) -> None:
        """None."""
        return None
