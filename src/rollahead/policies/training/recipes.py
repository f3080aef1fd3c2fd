"""Recipes: untrained policies by name, with sizes that fit the data.

    flow        our flow-matching policy (`rollahead.policies.adapters.flow`)
    diffusion   LeRobot's Diffusion Policy
    act         LeRobot's ACT

Each recipe gives a policy module of LeRobot's interface, so that LeRobot can load what was trained.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rollahead.errors import ConfigError, one_line, unknown_name
from rollahead.policies.adapters.diffusion import process_of
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, IMAGES, STATE
from rollahead.policies.policy import Trained
from rollahead.runtime.types.options import call, check_kind

Cold = Callable[[Any, Mapping[str, torch.Tensor], torch.Tensor], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Sizes of a policy's inputs and outputs, and what it is trained for.

    Attributes:
        state: S, dimensions of the state.
        action: A, dimensions of the action.
        environment: E, dimensions of the environment, including the delay if the policy takes it as an input.
        images: (height, width) of each camera's images.
        trained: Delays and prefixes that the policy is trained for.
    """

    state: int
    action: int
    environment: int
    images: Mapping[str, tuple[int, int]]
    trained: Trained

    @property
    def inputs(self) -> dict[str, Any]:
        """The inputs as LeRobot's features."""
        kinds, feature = compat.FeatureType, compat.PolicyFeature
        inputs = {STATE: feature(kinds.STATE, (self.state,))}
        if self.environment:
            inputs[ENVIRONMENT] = feature(kinds.ENV, (self.environment,))
        return inputs | {IMAGES + name: feature(kinds.VISUAL, (3, *size)) for name, size in self.images.items()}

    @property
    def outputs(self) -> dict[str, Any]:
        """The outputs as LeRobot's features."""
        return {ACTION: compat.PolicyFeature(compat.FeatureType.ACTION, (self.action,))}


@dataclass(frozen=True, slots=True)
class TrainablePolicy:
    """A policy to train, and what the training loop needs to know about it.

    Attributes:
        policy: LeRobot's policy module.
        rows: T, rows of the chunks that it makes.
        n_obs: Observations that it takes.
        cold: Function (policy, normalised batch, noise (B, T, A)) -> chunks (B, T, A) of one denoising step from pure
            noise.
        timed: Whether its inputs have a time axis even for a single observation.
        encoder: Image encoder, None if it takes no images.
        images: Number of images of each example that the encoder takes in a row.
    """

    policy: Any
    rows: int
    n_obs: int
    cold: Cold
    timed: bool = False
    encoder: torch.nn.Module | None = None
    images: int = 1


def make_trainable(config: Mapping[str, Any], sizes: Sizes, device: str = "cpu") -> TrainablePolicy:
    """An untrained policy.

    Args:
        config: `name` of a recipe, and its options.
        sizes: Sizes of the data.
        device: Device of the policy. The weights are the same on every device.

    Raises: ConfigError, if there is no such recipe or option, or the policy cannot be trained on such data.
    """
    options = dict(config)
    name = options.pop("name", None)
    check_kind("policy.name", name, str)
    if name not in RECIPES:
        raise unknown_name("policy", name, RECIPES)
    try:
        trainable: TrainablePolicy = call(RECIPES[name], options, "policy", sizes=sizes)
    except ValueError as error:  # LeRobot's configurations check their values
        words = one_line(error).removesuffix(".")
        raise ConfigError(
            f"policy={name} cannot be built with these options ({words}); see the options of policy.* in rollahead "
            "train --help"
        ) from error
    trainable.policy.config.device = device  # LeRobot's pipelines bring batches there
    trainable.policy.to(device)
    return trainable


def _flow(
    sizes: Sizes,
    horizon: int,
    variant: str,
    width: int,
    depth: int,
    prediction: str,
    loss_average: str = "rows",
) -> TrainablePolicy:
    from rollahead.policies.adapters.flow.configuration_flow import FlowConfig
    from rollahead.policies.adapters.flow.modeling_flow import FlowPolicy

    if sizes.images:
        raise ConfigError(
            f"policy=flow sees no images, and the data has {', '.join(sizes.images)}; use policy=diffusion or "
            "policy=act, or leave them out with cameras=[]"
        )
    config = FlowConfig(
        input_features=sizes.inputs,
        output_features=sizes.outputs,
        horizon=horizon,
        n_action_steps=min(8, horizon),
        variant=variant,
        width=width,
        depth=depth,
        prediction=prediction,
        prefixes=sizes.trained.prefixes,
        loss_average=loss_average,
        **COMMON,
    )
    return TrainablePolicy(FlowPolicy(config), horizon, 1, _cold_flow)


def _diffusion(
    sizes: Sizes, horizon: int, n_obs: int, down_dims: Sequence[int], kernel: int, prediction: str, train_steps: int
) -> TrainablePolicy:
    _check_taken("diffusion", sizes)
    if small := [name for name, size in sizes.images.items() if max(size) <= SHRUNK]:
        raise ConfigError(
            f"policy=diffusion shrinks images {SHRUNK} times, and nothing is left of {', '.join(small)} with "
            f"{sizes.images[small[0]]} pixels; record larger images, or use policy=act"
        )
    config = compat.DiffusionConfig(
        input_features=sizes.inputs,
        output_features=sizes.outputs,
        n_obs_steps=n_obs,
        horizon=horizon,
        n_action_steps=min(8, horizon - n_obs + 1),
        normalization_mapping=_normalisation("MIN_MAX"),
        down_dims=tuple(down_dims),
        kernel_size=kernel,
        diffusion_step_embed_dim=64,
        prediction_type=prediction,
        num_train_timesteps=train_steps,
        do_mask_loss_for_padding=True,
        pretrained_backbone_weights=None,
        use_group_norm=True,
        crop_shape=None,
        use_separate_rgb_encoder_per_camera=False,  # LeRobot's own default differs between its versions
        **COMMON,
    )
    policy, images = compat.made("DiffusionPolicy", config), n_obs * len(sizes.images)
    encoder = policy.diffusion.rgb_encoder if images else None
    return TrainablePolicy(policy, horizon, n_obs, _cold_diffusion, timed=True, encoder=encoder, images=images)


def _act(sizes: Sizes, horizon: int, width: int, heads: int, depth: int) -> TrainablePolicy:
    _check_taken("act", sizes)
    config = compat.ACTConfig(
        input_features=sizes.inputs,
        output_features=sizes.outputs,
        chunk_size=horizon,
        n_action_steps=min(8, horizon),
        normalization_mapping=_normalisation("MEAN_STD"),
        dim_model=width,
        n_heads=heads,
        dim_feedforward=4 * width,
        n_encoder_layers=depth,
        n_vae_encoder_layers=depth,
        pretrained_backbone_weights=None,
        **COMMON,
    )
    policy = compat.made("ACTPolicy", config)
    return TrainablePolicy(policy, horizon, 1, _cold_act, encoder=policy.model.backbone if sizes.images else None)


def _cold_flow(policy: Any, batch: Mapping[str, torch.Tensor], noise: torch.Tensor) -> torch.Tensor:
    chunks: torch.Tensor = policy.predict_action_chunk(batch, noise=noise, steps=1)
    return chunks


def _cold_diffusion(policy: Any, batch: Mapping[str, torch.Tensor], noise: torch.Tensor) -> torch.Tensor:
    model, cameras = policy.diffusion, list(policy.config.image_features)
    pictures = {IMAGES[:-1]: torch.stack([batch[key] for key in cameras], dim=-4)} if cameras else {}
    condition = model._prepare_global_conditioning({**batch, **pictures})
    process = process_of(policy)
    noisiest = process.steps - 1
    predicted = model.unet(noise, process.times(noise, noisiest), global_cond=condition)
    return process.split(predicted, noise, noisiest)[0]


def _cold_act(policy: Any, batch: Mapping[str, torch.Tensor], noise: torch.Tensor) -> torch.Tensor:
    chunks: torch.Tensor = policy.predict_action_chunk({key: batch[key] for key in policy.config.input_features})
    return chunks


def _check_taken(name: str, sizes: Sizes) -> None:
    """Checks that LeRobot's policy `name` can be trained on data of these `sizes`."""
    if not (sizes.images or sizes.environment):
        raise ConfigError(
            f"policy={name} needs images or {ENVIRONMENT} beside {STATE}, and is given neither; use policy=flow"
        )
    if sizes.trained.prefixes:
        raise ConfigError(
            f"policy={name} cannot be trained with prefixes, whose rows have a time of their own, and prefixes is "
            f"{sizes.trained.prefixes}; use policy=flow, or prefixes=0"
        )


def _normalisation(numbers: str) -> dict[str, Any]:
    modes = compat.NormalizationMode
    same = {kind: modes[numbers] for kind in ("STATE", "ENV", "ACTION")}
    return {"VISUAL": modes.MEAN_STD, **same}


SHRUNK = 32  # factor by which LeRobot's backbone shrinks images
COMMON: Mapping[str, Any] = {"push_to_hub": False, "device": "cpu"}  # built on the CPU, and moved when complete
RECIPES: Mapping[str, Callable[..., TrainablePolicy]] = {"flow": _flow, "diffusion": _diffusion, "act": _act}
