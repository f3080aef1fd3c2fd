"""The data set that a checkpoint was trained on, from LeRobot's train_config.json beside the weights.

    train_config.json   {"dataset": {"repo_id": "user/pick", "root": "data/pick", "revision": null, ...}, ...}

Threads: setup only.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollahead.policies.checkpoints.hub import INFO, local_dataset

TRAIN_CONFIG = "train_config.json"


@dataclass(frozen=True, slots=True)
class TrainedOn:
    """The data set of a training.

    `repo`: its id, None if unknown; `folder`: its local folder, None if there is none.
    """

    repo: str | None = None
    folder: Path | None = None


def trained_on(folder: Path) -> TrainedOn:
    """The data set that the checkpoint in `folder` was trained on.

    It is looked for in the folder that the training read, if that is an absolute path, and then in LeRobot's caches.
    Nothing is downloaded.
    """
    try:
        dataset = json.loads((folder / TRAIN_CONFIG).read_text())["dataset"]
        repo, root, revision = dataset["repo_id"], dataset.get("root"), dataset.get("revision")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return TrainedOn()  # not LeRobot's file, or a training on several data sets
    if not isinstance(repo, str):
        return TrainedOn()
    if isinstance(root, str) and Path(root).is_absolute() and (Path(root) / INFO).is_file():
        return TrainedOn(repo, Path(root))
    return TrainedOn(repo, local_dataset(repo, _text(revision)))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
