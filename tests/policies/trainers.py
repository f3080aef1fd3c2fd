"""Data and policies small enough to be trained, or saved, within a test."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rollahead.policies.adapters.flow.configuration_flow import FlowConfig
from rollahead.policies.adapters.flow.modeling_flow import FlowPolicy
from rollahead.policies.checkpoints.card import DELAY, Card, write_card
from rollahead.policies.data.frames import Frames
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.policy import Trained
from rollahead.policies.training.recipes import Sizes
from rollahead.policies.training.trainer import Making, Trainer
from rollahead.policies.training.training import TrainingConfig
from rollahead.sim.demonstrations import Demonstration

FLOW: Mapping[str, Any] = {
    "name": "flow",
    "horizon": 8,
    "variant": "mlp",
    "width": 16,
    "depth": 1,
    "prediction": "sample",
    "loss_average": "rows",
}
DIFFUSION: Mapping[str, Any] = {
    "name": "diffusion",
    "horizon": 8,
    "n_obs": 1,
    "down_dims": [8, 16],
    "kernel": 3,
    "prediction": "sample",
    "train_steps": 10,
}
ACT: Mapping[str, Any] = {"name": "act", "horizon": 8, "width": 16, "heads": 2, "depth": 1}
POLICIES = {"flow": FLOW, "diffusion": DIFFUSION, "act": ACT}
EACH = ["flow", "diffusion", "act"]
NAMES = {STATE: ("s0", "s1", "s2"), ENVIRONMENT: ("e0", "e1"), ACTION: ("a0", "a1")}


def stats_of(parts: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    figures = {"mean": np.mean, "std": np.std, "min": np.min, "max": np.max}
    return {key: {name: figure(rows, axis=0) for name, figure in figures.items()} for key, rows in parts.items()}


def frames_of(episodes: Sequence[Mapping[str, np.ndarray]], names: Mapping[str, tuple[str, ...]] = NAMES) -> Frames:
    """Of episodes, by LeRobot's feature (n, D)."""
    parts = {key: np.concatenate([each[key] for each in episodes]).astype(np.float32) for key in names}
    lengths = [len(each[ACTION]) for each in episodes]
    return Frames(
        folder=Path("frames"),
        fps=50.0,
        state=parts[STATE],
        environment=parts.get(ENVIRONMENT, np.empty((sum(lengths), 0), np.float32)),
        action=parts[ACTION],
        bounds=np.concatenate([[0], np.cumsum(lengths)]).astype(np.intp),
        names={**{key: () for key in NAMES}, **names},
        stats=stats_of(parts),
    )


def random_frames(count: int = 4, length: int = 20, names: Mapping[str, tuple[str, ...]] = NAMES) -> Frames:
    rng = np.random.default_rng(0)
    return frames_of(
        [{key: rng.standard_normal((length, len(names[key]))) for key in names} for _ in range(count)], names
    )


def frames_of_demonstrations(shown: Sequence[Demonstration], names: Mapping[str, tuple[str, ...]]) -> Frames:
    return frames_of([{STATE: one.state, ENVIRONMENT: one.environment, ACTION: one.action} for one in shown], names)


def trainer_of(
    policy: Mapping[str, Any] = FLOW,
    frames: Frames | None = None,
    trained: Trained | None = None,
    shared: int | None = None,
    making: Making | None = None,
    **config: Any,
) -> Trainer:
    training = TrainingConfig(**{"steps": 4, "batch": 4, **config})
    frames = frames or random_frames()
    return Trainer(frames, policy, trained or Trained(), training, {"name": "none"}, shared=shared, making=making)


def sizes_of(**changed: Any) -> Sizes:
    return Sizes(**{"state": 3, "action": 2, "environment": 2, "images": {}, "trained": Trained(), **changed})


def flow_policy(trained: Trained | None = None, **options: Any) -> FlowPolicy:
    """With random weights, for `NAMES` and, if it is told, the delay."""
    trained = trained or Trained()
    sizes = sizes_of(environment=2 + trained.delay_input, trained=trained)
    small = {"horizon": 8, "width": 16, "depth": 1, "n_action_steps": 8, "prefixes": trained.prefixes, "device": "cpu"}
    torch.manual_seed(0)
    return FlowPolicy(FlowConfig(input_features=sizes.inputs, output_features=sizes.outputs, **{**small, **options}))


def save_flow(folder: Path, trained: Trained | None = None, **options: Any) -> Path:
    """`flow_policy`, saved as LeRobot does it, with random statistics and a card of ours."""
    trained = trained or Trained()
    policy = flow_policy(trained, **options)
    rng = np.random.default_rng(1)
    told = 1 if trained.delay_input else 0
    numbers = {STATE: 3, ENVIRONMENT: 2 + told, ACTION: 2}
    stats = stats_of({key: 3 + 2 * rng.standard_normal((50, n)) for key, n in numbers.items()})
    policy.save_pretrained(folder)
    for pipeline in compat.make_pre_post_processors(policy.config, dataset_stats=stats):
        pipeline.save_pretrained(folder)
    environment = (*NAMES[ENVIRONMENT], *((DELAY,) if told else ()))
    write_card(folder, Card(NAMES[STATE], NAMES[ACTION], 50.0, environment, trained))
    return folder
