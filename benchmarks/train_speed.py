"""Training speed on images: rollahead train beside lerobot-train, with the same network, data set and batch size.

    python -m benchmarks.train_speed [steps=24]

Each program runs as a user starts it, in a process of its own, and the two take turns, a step each. The one that waits
is stopped, with its decoding processes, so that it prepares nothing during its wait, and both have the same load. A
step is timed from the end of the one before to its own end, with all work for its data. Both have their default numbers
of threads and of decoding processes. The data set is recorded by LeRobot, as video, and no decoded image is kept:
image_cache_mb=0.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.figures import record, row

TOPIC = "first_hour"
COMMAND = "python -m benchmarks.train_speed"
ROOT = Path(__file__).parents[1]
TOLD, ALLOWED = -1, -1  # files of a training, by which it takes turns
HEIGHT, WIDTH, CAMERAS = 240, 320, ("front", "wrist")
EPISODES, FRAMES, JOINTS = 3, 100, 6
SKIPPED = 5  # steps at first, in which processes and buffers come up
BATCH, ROWS = 8, 100
OURS = (
    *("policy=act", f"policy.horizon={ROWS}", "policy.width=512", "policy.heads=8", "policy.depth=4", "offsets=0"),
    *(f"training.batch={BATCH}", "training.steps=1000", "watch.every=1000", "image_cache_mb=0"),
)
THEIRS = (
    *("--policy.type=act", f"--policy.chunk_size={ROWS}", "--policy.n_action_steps=8", "--policy.dim_model=512"),
    *("--policy.n_heads=8", "--policy.dim_feedforward=2048", "--policy.n_encoder_layers=4"),
    *("--policy.n_vae_encoder_layers=4", "--policy.pretrained_backbone_weights=null", "--policy.push_to_hub=false"),
    *(f"--batch_size={BATCH}", "--steps=1000", "--save_checkpoint=false", "--wandb.enable=false"),
    *("--policy.device=cpu", "--dataset.repo_id=local/speed", "--dataset.video_backend=pyav"),
)


def recorded(folder: Path) -> None:
    """A data set as LeRobot records one: a square moves over a still background, with a sensor's noise."""
    from rollahead.policies.lerobot import compat

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


def paced(function: Callable[..., Any], weights: Callable[..., int]) -> Callable[..., Any]:
    """`function`, which prints the number of weights after each call, and waits for a line before the next."""

    def call(*given: Any, **named: Any) -> Any:
        made = function(*given, **named)
        os.write(TOLD, f"{weights(*given)}\n".encode())
        os.read(ALLOWED, 1)
        return made

    return call


def size(policy: Any) -> int:
    """Number of weights."""
    return sum(weight.numel() for weight in policy.parameters())


def ours(folder: Path) -> None:
    """Runs our training. The step of the rehearsal is not counted."""
    from rollahead import cli
    from rollahead.commands import train
    from rollahead.policies.training.training import Training

    def begun(*given: Any) -> Any:
        step = paced(Training.advance, lambda training: size(training.averaged))
        setattr(Training, "advance", step)  # noqa: B010
        return learn(*given)

    learn = train._train
    setattr(train, "_train", begun)  # noqa: B010
    sys.argv = ["rollahead", "train", f"dataset={folder}", *OURS, "name=ours", "device=cpu"]
    cli.main()


def theirs(folder: Path) -> None:
    """Runs LeRobot's training."""
    from lerobot.scripts import lerobot_train

    lerobot_train.update_policy = paced(lerobot_train.update_policy, lambda tracker, policy, *given: size(policy))
    sys.argv = ["lerobot-train", *THEIRS, f"--dataset.root={folder}", "--output_dir=theirs"]
    lerobot_train.main()


class Program:
    """A training in a process of its own, which is stopped except in its turns.

    `folder`: the folder of the data set.
    """

    def __init__(self, name: str, folder: Path) -> None:
        told, allowed = os.pipe(), os.pipe()
        self._told, self._allowed = told[0], allowed[1]
        given = [name, str(folder), str(told[1]), str(allowed[0])]
        home = folder.parent / name
        home.mkdir()
        path = os.pathsep.join([str(ROOT), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])
        environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home / "home"), "PYTHONPATH": path}
        with (home / "log").open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "ignore", "-m", "benchmarks.train_speed", *given],
                env=environment,
                cwd=home,
                pass_fds=(told[1], allowed[0]),
                start_new_session=True,
                stdout=log,
                stderr=log,
            )
        os.close(told[1])
        os.close(allowed[0])
        self.weights = self._step()  # the first, whenever it comes

    def turn(self) -> float:
        """The seconds of the next step."""
        os.killpg(self._process.pid, signal.SIGCONT)
        began = time.perf_counter()
        os.write(self._allowed, b".")
        self._step()
        return time.perf_counter() - began

    def end(self) -> None:
        """Ends the training at any point."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _step(self) -> int:
        said = os.read(self._told, 100)
        os.killpg(self._process.pid, signal.SIGSTOP)
        return int(said)


def compare(steps: int) -> None:
    """The median of the ratio of two steps in a turn, which have the same load, and its quartiles."""
    from rollahead.policies.lerobot.compat import version

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "dataset"
        recorded(folder)
        with ExitStack() as ends:
            programs: dict[str, Program] = {}
            for name in PARTS:
                programs[name] = Program(name, folder)
                ends.callback(programs[name].end)
            took: dict[str, list[float]] = {name: [] for name in PARTS}
            for k in range(SKIPPED + steps):
                for name in sorted(PARTS, reverse=k % 2 == 1):  # neither always comes first
                    took[name].append(programs[name].turn())
    assert len({program.weights for program in programs.values()}) == 1, "the networks differ"
    own, other = (np.array(took[name][SKIPPED:]) for name in PARTS)
    print(f"LeRobot {version()}: {np.median(own):.3f} s a step of ours, {np.median(other):.3f} s of theirs")
    low, ratio, high = np.quantile(other / own, [0.25, 0.5, 0.75]).tolist()
    name = NAME if version().startswith("0.4") else f"{NAME}_{version()}"
    record(TOPIC, [row(name, ratio, "", ci=(low, high), goal=">= 1", command=f"{COMMAND} steps={steps}")])


PARTS: Mapping[str, Callable[[Path], None]] = {"ours": ours, "theirs": theirs}
NAME = "train_speed_vs_lerobot_images"


def main(arguments: Sequence[str]) -> None:
    """Runs the comparison, or one of its trainings."""
    global TOLD, ALLOWED
    if arguments and arguments[0] in PARTS:
        TOLD, ALLOWED = map(int, arguments[2:4])
        return PARTS[arguments[0]](Path(arguments[1]))
    options = dict(argument.split("=") for argument in arguments)
    compare(int(options.get("steps", 24)))


if __name__ == "__main__":
    main(sys.argv[1:])
