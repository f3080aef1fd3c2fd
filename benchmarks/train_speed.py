"""Training speed on images: rollahead train beside lerobot-train, the same network, the same data set, the same batch.

python -m benchmarks.train_speed [repeats=3]

Each program runs as a user starts it, in a process of its own, in turns; a step is timed from the end of the one before
to its own end, with all that is done for its data. Both have their default numbers of threads and of processes that
decode. The data set is recorded by LeRobot, as video, and nothing of it stays decoded: image_cache_mb=0.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import chain
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from benchmarks.figures import record, row

TOPIC = "first_hour"
COMMAND = "python -m benchmarks.train_speed"
HEIGHT, WIDTH, CAMERAS = 240, 320, ("front", "wrist")
EPISODES, FRAMES, JOINTS = 3, 100, 6
STEPS, SKIPPED = 14, 5  # the first of them wait for nothing that was made ahead, or use what was
BATCH, ROWS = 8, 100
OURS = (
    *("policy=act", f"policy.horizon={ROWS}", "policy.width=512", "policy.heads=8", "policy.depth=4", "offsets=0"),
    *(f"training.batch={BATCH}", f"training.steps={STEPS}", "watch.every=1000", "image_cache_mb=0"),
)
THEIRS = (
    *("--policy.type=act", f"--policy.chunk_size={ROWS}", "--policy.n_action_steps=8", "--policy.dim_model=512"),
    *("--policy.n_heads=8", "--policy.dim_feedforward=2048", "--policy.n_encoder_layers=4"),
    *("--policy.n_vae_encoder_layers=4", "--policy.pretrained_backbone_weights=null", "--policy.push_to_hub=false"),
    *(f"--batch_size={BATCH}", f"--steps={STEPS}", "--save_checkpoint=false", "--wandb.enable=false"),
    *("--policy.device=cpu", "--dataset.repo_id=local/speed", "--dataset.video_backend=pyav"),
)


def recorded(folder: Path) -> None:
    """A data set as LeRobot records one: a square moves over a still background, with a sensor's noise."""
    from rollahead.policies import compat

    names = [f"joint_{i}.pos" for i in range(JOINTS)]
    numbers = {"dtype": "float32", "shape": (JOINTS,), "names": names}
    image = {"dtype": "video", "shape": (HEIGHT, WIDTH, 3), "names": ["height", "width", "channels"]}
    cameras = {f"observation.images.{name}": image for name in CAMERAS}
    features = {"observation.state": numbers, "action": numbers, **cameras}
    dataset = compat.LeRobotDataset.create("local/speed", 30, features, root=folder, video_backend="pyav")
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    background = (128 + 60 * np.sin(x / 35) + 50 * np.cos(y / 25))[..., None] * np.array([1, 0.9, 0.8])
    for episode in range(EPISODES):
        for tick in range(FRAMES):
            state = np.sin(0.05 * tick + np.arange(JOINTS) + episode).astype(np.float32)
            left, top = int(WIDTH / 2 + WIDTH / 3 * state[0]), int(HEIGHT / 2 + HEIGHT / 3 * state[1])
            images = {}
            for name in cameras:
                picture = background + rng.normal(0, 2, (HEIGHT, WIDTH, 1))
                picture[max(top - 10, 0) : top + 10, max(left - 10, 0) : left + 10] = (250, 30, 30)
                images[name] = picture.clip(0, 255).astype(np.uint8)
            dataset.add_frame({"observation.state": state, "action": state, **images, "task": "move"})
        dataset.save_episode()
    dataset.finalize()


def timed(function: Callable[..., Any], ends: list[float]) -> Callable[..., Any]:
    """`function`, the end of each of whose calls is put down in `ends`."""

    def call(*given: Any, **named: Any) -> Any:
        made = function(*given, **named)
        ends.append(time.perf_counter())
        return made

    return call


def ours(folder: Path) -> None:
    """One training of ours; `ours.json` in `folder` has how many weights it has and when each step ended."""
    from rollahead import cli
    from rollahead.policies.training import Training

    ends: list[float] = []
    setattr(Training, "advance", timed(Training.advance, ends))  # noqa: B010
    sys.argv = [
        "rollahead",
        "train",
        f"dataset={folder / 'dataset'}",
        f"runs={folder}",
        *OURS,
        "name=ours",
        "device=cpu",
    ]
    with suppress(SystemExit):
        cli.main()
    weights = json.loads((folder / "ours/summary.json").read_text())["training"]["weights"]
    (folder / "ours.json").write_text(json.dumps({"weights": weights, "ends": ends[-STEPS:]}))


def theirs(folder: Path) -> None:
    """One training of LeRobot's; `theirs.json`, see `ours`."""
    from lerobot.scripts import lerobot_train

    ends: list[float] = []
    weights: list[int] = []
    update = lerobot_train.update_policy

    def counted(tracker: Any, policy: Any, *given: Any, **named: Any) -> Any:
        weights.append(sum(weight.numel() for weight in policy.parameters()))
        return update(tracker, policy, *given, **named)

    lerobot_train.update_policy = timed(counted, ends)
    sys.argv = ["lerobot-train", *THEIRS, f"--dataset.root={folder / 'dataset'}", f"--output_dir={folder / 'theirs'}"]
    lerobot_train.main()
    (folder / "theirs.json").write_text(json.dumps({"weights": weights[0], "ends": ends}))


def run(name: str, folder: Path) -> tuple[list[float], int]:
    """Seconds of each step of one training of `name`, and its number of weights."""
    with tempfile.TemporaryDirectory() as scratch:
        own = Path(scratch)
        (own / "dataset").symlink_to(folder)
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder.parent / "home")}
        program = [sys.executable, "-W", "ignore", "-m", "benchmarks.train_speed", name, scratch]
        subprocess.run(program, check=True, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        told = json.loads((own / f"{name}.json").read_text())
    ends = told["ends"]
    assert len(ends) == STEPS, ends
    return np.diff(ends[SKIPPED:]).tolist(), told["weights"]


def compare(repeats: int) -> None:
    """Both in turns, and the ratio of the medians with the least and the largest ratio of two in a turn."""
    from rollahead.policies.compat import version

    took: dict[str, list[list[float]]] = {"ours": [], "theirs": []}
    weights = {}
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "dataset"
        recorded(folder)
        for _ in range(repeats):
            for name, turns in took.items():
                steps, weights[name] = run(name, folder)
                turns.append(steps)
                print(f"{name}: {1 / median(steps):.3f} steps a second", flush=True)
    assert weights["ours"] == weights["theirs"], weights
    ratio = median(chain(*took["theirs"])) / median(chain(*took["ours"]))
    each = [median(other) / median(own) for own, other in zip(*took.values(), strict=True)]
    ends = (min(each), max(each))
    told = version()
    name = "train_speed_vs_lerobot_images" if told.startswith("0.4") else f"train_speed_vs_lerobot_images_{told}"
    record(TOPIC, [row(name, ratio, "", ci=ends, goal=">= 1", command=f"{COMMAND} repeats={repeats}")])


def main(arguments: Sequence[str]) -> None:
    """The comparison, or one of its trainings."""
    parts = {"ours": ours, "theirs": theirs}
    if arguments and arguments[0] in parts:
        return parts[arguments[0]](Path(arguments[1]))
    options = dict(argument.split("=") for argument in arguments)
    compare(int(options.get("repeats", 3)))


if __name__ == "__main__":
    main(sys.argv[1:])
