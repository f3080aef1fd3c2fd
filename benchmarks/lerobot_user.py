"""The files of a LeRobot user with an SO-101: a data set and a checkpoint, where LeRobot writes them."""

from importlib import metadata
from pathlib import Path

import numpy as np
import torch

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
NAMES = [f"{joint}.pos" for joint in JOINTS]
CAMERA, HEIGHT, WIDTH = "front", 480, 640
RATE_HZ = 30
REPO = "me/pick_cube"
CHECKPOINT = "outputs/train/act_pick_cube/checkpoints/last/pretrained_model"


def version() -> str:
    """The version of the installed LeRobot."""
    return metadata.version("lerobot")


def record_dataset(episodes: int = 2, frames: int = 40) -> None:
    """Records the data set `REPO` with LeRobot into its own cache.

    The joints move on slow sines, and the images are noise.
    """
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    numbers = {"dtype": "float32", "shape": (len(NAMES),), "names": NAMES}
    image = {"dtype": "image", "shape": (HEIGHT, WIDTH, 3), "names": ["height", "width", "channels"]}
    features = {"observation.state": numbers, "action": numbers, f"observation.images.{CAMERA}": image}
    dataset = LeRobotDataset.create(REPO, RATE_HZ, features, robot_type="so101_follower", use_videos=False)
    rng = np.random.default_rng(0)
    for _ in range(episodes):
        for k in range(frames):
            pose = 20 * np.sin(k / 10 + np.arange(len(NAMES))).astype(np.float32)
            seen = rng.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            told = {"observation.state": pose, "action": pose, f"observation.images.{CAMERA}": seen}
            dataset.add_frame({**told, "task": "pick up the cube"})
        dataset.save_episode()
    dataset.finalize()


def save_checkpoint(folder: Path) -> None:
    """Saves a small ACT to `CHECKPOINT` in `folder`, as LeRobot's training on `REPO` saves one."""
    from lerobot.configs.default import DatasetConfig
    from lerobot.configs.train import TrainPipelineConfig
    from lerobot.datasets.lerobot_dataset import LeRobotDatasetMetadata
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.factory import make_policy, make_pre_post_processors

    torch.manual_seed(0)
    recorded = LeRobotDatasetMetadata(REPO)
    config = ACTConfig(
        chunk_size=30,
        n_action_steps=15,
        dim_model=32,
        dim_feedforward=32,
        n_heads=2,
        pretrained_backbone_weights=None,
        device="cpu",
        push_to_hub=False,
    )
    target = folder / CHECKPOINT
    make_policy(config, ds_meta=recorded).save_pretrained(target)
    for processor in make_pre_post_processors(config, dataset_stats=recorded.stats):
        processor.save_pretrained(target)
    TrainPipelineConfig(dataset=DatasetConfig(repo_id=REPO), policy=config).save_pretrained(target)


if __name__ == "__main__":
    record_dataset()
    save_checkpoint(Path())
