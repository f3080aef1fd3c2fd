"""Flags and mistakes of a user of LeRobot's programs, and the option that the answer has to name.

python -m benchmarks.flag_hints     runs each on the command line and counts those that get the right option
"""

import contextlib
import io
import shlex
import sys
import tempfile
from collections.abc import Sequence

from benchmarks.figures import record, row
from rollahead.cli import main as rollahead

TOPIC = "first_hour"
COMMAND = "python -m benchmarks.flag_hints"

# What is written after `rollahead`, as in a shell, and what the one sentence that answers it has to contain.
HINTS: Sequence[tuple[str, str]] = (
    ("run --policy.path=me/act", "planner=policy planner.checkpoint=me/act"),
    ("run --policy.path me/act", "planner=policy planner.checkpoint=me/act"),
    ("eval --policy.path=me/act", "planner=policy planner.checkpoint=me/act"),
    ("run policy.path=me/act", "planner=policy planner.checkpoint=me/act"),
    ("run planner=me/act", "planner=policy planner.checkpoint=me/act"),
    ("run planner.checkpoint=me/act", "add planner=policy"),
    ("run --robot.type=so101_follower", "robot=lerobot robot.type=so101_follower"),
    ("identify --robot.type=so101_follower", "robot=lerobot robot.type=so101_follower"),
    ("run robot=so101_follower", "robot=lerobot robot.type=so101_follower"),
    ("run robot.type=so101_follower", "add robot=lerobot"),
    ("run --robot.port=/dev/ttyACM0", '"robot.config={port: /dev/ttyACM0}"'),
    ("identify --robot.port=/dev/ttyACM0", '"robot.config={port: /dev/ttyACM0}"'),
    ("run robot=lerobot robot.type=so101_follower robot.port=/dev/ttyACM0", '"robot.config={port: /dev/ttyACM0}"'),
    ("run robot=lerobot robot.type=so101_follower robot.id=black", '"robot.config={id: black}"'),
    ("run --robot.id=black --robot.port=/dev/ttyACM0", '"robot.config={id: black, port: /dev/ttyACM0}"'),
    (
        'run "--robot.cameras={front: {type: opencv, index_or_path: 0, fps: 30}}"',
        '"robot.config={cameras: {front: {type: opencv, index_or_path: 0, fps: 30}}}"',
    ),
    ("run --robot.cameras.front.type=opencv", '"robot.config={cameras: {front: {type: opencv}}}"'),
    ("eval --robot.type=so101_follower", "rollahead run, as robot=lerobot robot.type=so101_follower"),
    ('run --dataset.single_task="Pick up the cube"', '"task_text=Pick up the cube"'),
    ('run --task="Pick up the cube"', '"task_text=Pick up the cube"'),
    ('run task="Pick up the cube"', '"task_text=Pick up the cube"'),
    ("run text=Pick up the cube", '"task_text=Pick up the cube"'),
    ("run --fps=30", "robot.rate_hz=30"),
    ("run --duration=60", "seconds=60"),
    ("run --dataset.num_episodes=5", "episodes=5"),
    ("run --policy.n_action_steps=10", "strategy.s=10"),
    (
        "run --inference.type=rtc --inference.rtc.execution_horizon=10",
        "strategy=rtc strategy.guidance.execution_horizon=10",
    ),
    ("run --dataset.repo_id=me/data", "planner.dataset="),
    ("run --teleop.type=so101_leader", "leave out teleop.type"),
    ("train --dataset.repo_id=me/data", "dataset=me/data"),
    ("train dataset.repo_id=me/data", "dataset=me/data"),
    ("train --policy.type=act", "policy=act"),
    ("train --policy.chunk_size=50", "policy.horizon=50"),
    ("train --steps=1000", "training.steps=1000"),
    ("train --batch_size=8", "training.batch=8"),
    ("train --policy.optimizer_lr=1e-5", "training.learning_rate=1e-5"),
    ("train --save_freq=500", "watch.every=500"),
    ("train --output_dir=outputs/train/act", "runs=outputs/train name=act"),
    ("train --job_name=act", "name=act"),
    ("train --resume=true --config_path=outputs/x/train_config.json", "resume=runs/<name>"),
    ("train --wandb.enable=false", "leave out wandb.enable"),
    ("train --policy.path=me/act", "policy=act"),
    ("eval --eval.n_episodes=20", "episodes=20"),
    ("eval --env.type=pusht", "task=mole"),
    ("eval --seed=3", "write seed=3"),
    ("eval --strategy.s=24 --strategy=sync", "write strategy.s=24 strategy=sync"),
    ("eval -help", "--help"),
    ("eval latency=latencies.txt", "latency=recorded latency.path=latencies.txt"),
    ("eval latency=8", "latency=fixed latency.ticks=8"),
    ("run roller=runs/arm/calibration.json", "roller=identified roller.path=runs/arm/calibration.json"),
    ("eval strategy: sync", "write strategy=sync"),
    ("eval seed 3", "write seed=3"),
    ("report runs/demo", "write run=runs/demo"),
    ("eval search.s=[4, 8]", '"search.s=[4, 8]"'),
    ("""run robot=lerobot 'robot.config={"port": "/dev/ttyACM0"}'""", "robot.config={port: "),
)


def answer(line: str) -> str:
    """The one sentence with which `rollahead <line>` is refused.

    Empty if it is not refused, or the output is longer.
    """
    said, before = io.StringIO(), sys.argv
    sys.argv = ["rollahead", *shlex.split(line)]
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()) as out:
            rollahead()
    except SystemExit as ended:
        refused = ended.code == 2 and said.getvalue().count("\n") == 1 and not out.getvalue()
        return said.getvalue().rstrip("\n") if refused else ""
    finally:
        sys.argv = before
    return ""


def main() -> None:
    """Counts the right hints, and prints the others."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        wrong = [(line, said) for line, part in HINTS if part not in (said := answer(line))]
    for line, said in wrong:
        print(f"{line}\n    {said}")
    record(TOPIC, [row("lerobot_flag_hints", len(HINTS) - len(wrong), "", goal=">= 10", command=COMMAND)])


if __name__ == "__main__":
    main()
