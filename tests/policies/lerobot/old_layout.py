"""Checkpoints of LeRobot turned into those that its versions before 0.4 wrote: statistics among the weights, as their
`Normalize` modules kept them, no processors, and the keys of config.json of their time."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

STATISTICS = {"MEAN_STD": ("mean", "std"), "MIN_MAX": ("min", "max"), "IDENTITY": ()}
COMMON = ["n_obs_steps", "n_action_steps", "vision_backbone", "pretrained_backbone_weights"]
WRITTEN = {  # keys of config.json before 0.2, beside shapes and modes
    "diffusion": "horizon crop_shape crop_is_random use_group_norm spatial_softmax_num_keypoints down_dims kernel_size "
    "n_groups diffusion_step_embed_dim use_film_scale_modulation noise_scheduler_type num_train_timesteps "
    "beta_schedule beta_start beta_end prediction_type clip_sample clip_sample_range num_inference_steps "
    "do_mask_loss_for_padding",
    "act": "chunk_size replace_final_stride_with_dilation pre_norm dim_model n_heads dim_feedforward "
    "feedforward_activation n_encoder_layers n_decoder_layers use_vae latent_dim n_vae_encoder_layers "
    "temporal_ensemble_coeff dropout kl_weight",
}


def as_before_0_4(folder: Path) -> Path:
    """The layout of 0.2 and 0.3: today's config.json."""
    config = json.loads((folder / "config.json").read_text())
    statistics = _statistics(folder)
    weights = load_file(folder / "model.safetensors")
    modules = [("normalize_inputs", "input_features"), ("normalize_targets", "output_features")]
    for module, group in [*modules, ("unnormalize_outputs", "output_features")]:
        for key, feature in config[group].items():
            for name in STATISTICS[config["normalization_mapping"].get(feature["type"], "IDENTITY")]:
                weights[f"{module}.buffer_{key.replace('.', '_')}.{name}"] = statistics[key][name].clone()
    save_file(weights, folder / "model.safetensors")
    for path in folder.glob("policy_*"):
        path.unlink()
    return folder


def as_before_0_2(folder: Path) -> Path:
    """The layout of 0.1: shapes and modes by feature in config.json, and no type."""
    config = json.loads((as_before_0_4(folder) / "config.json").read_text())
    made: dict[str, Any] = {key: config[key] for key in [*COMMON, *WRITTEN[config["type"]].split()]}
    for group in ("input", "output"):
        features = config[f"{group}_features"]
        made[f"{group}_shapes"] = {key: each["shape"] for key, each in features.items()}
        mapping = config["normalization_mapping"]
        made[f"{group}_normalization_modes"] = {
            key: mapping[each["type"]].lower() for key, each in features.items() if each["type"] in mapping
        }
    (folder / "config.json").write_text(json.dumps(made))
    return folder


def _statistics(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """By feature and name, as the processors in `folder` have them."""
    made: dict[str, dict[str, torch.Tensor]] = {}
    for path in folder.glob("policy_*normalizer_processor.safetensors"):
        for name, tensor in load_file(path).items():
            key, statistic = name.rsplit(".", 1)
            made.setdefault(key, {})[statistic] = tensor
    return made
