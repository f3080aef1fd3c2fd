"""LeRobot's command-line flags, and the options of this program that correspond to them.

>>> in_our_words("run", {"policy.path": "me/act"}, ["--policy.path=me/act"])
"--policy.path=me/act is LeRobot's; here it is planner=policy planner.checkpoint=me/act"
"""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

DRIVING = ("run", "eval", "recommend", "tune")
ROBOT = ("run", "identify", "recommend")
TRAINING = ("train", "train-corrector")
FOLDERS = ("run", "eval", "identify", "recommend", "tune", *TRAINING)
OURS = ("rate_hz", "limits", "config", "on_stop", "name")  # options of robot=lerobot that are not LeRobot's own

# LeRobot's flags, the commands that have corresponding options, and these options; {value} is the user's value.
OPTIONS: Sequence[tuple[str, Sequence[str], str]] = (
    ("policy.path policy.pretrained_path", DRIVING, "planner=policy planner.checkpoint={value}"),
    ("policy.type", DRIVING, "planner=policy planner.checkpoint=<folder>"),
    ("policy.type", ("train",), "policy={value}"),
    ("policy.device device", DRIVING, "planner.device={value}"),
    ("policy.n_action_steps", ("run", "eval"), "strategy.s={value}"),
    ("policy.chunk_size policy.horizon", ("train",), "policy.horizon={value}"),
    ("policy.n_obs_steps", ("train",), "policy=diffusion policy.n_obs={value}"),
    ("policy.num_inference_steps", ("run", "eval"), "sampler=ddim sampler.steps={value}"),
    ("policy.num_steps", ("run", "eval"), "sampler=euler sampler.steps={value}"),
    ("inference.type", ("run", "eval"), "strategy={value}"),
    (
        "inference.rtc.execution_horizon strategy.execution_horizon",
        ("run", "eval"),
        "strategy=rtc strategy.guidance.execution_horizon={value}",
    ),
    (
        "inference.rtc.max_guidance_weight strategy.max_guidance_weight",
        ("run", "eval"),
        "strategy=rtc strategy.guidance.max_guidance_weight={value}",
    ),
    ("robot.type", ROBOT, "robot=lerobot robot.type={value}"),
    ("fps dataset.fps", ROBOT, "robot=lerobot robot.rate_hz={value}"),
    ("interpolation_multiplier", ("run",), "substeps={value}"),
    ("task single_task dataset.single_task", ("run",), "task_text={value}"),
    ("duration control_time_s dataset.episode_time_s", ("run",), "seconds={value}"),
    ("dataset.num_episodes eval.n_episodes n_episodes", ("run", "eval"), "episodes={value}"),
    ("dataset.repo_id dataset.root", TRAINING, "dataset={value}"),
    ("dataset.repo_id dataset.root", DRIVING, "planner.dataset={value}"),
    ("steps", TRAINING, "training.steps={value}"),
    ("batch_size", TRAINING, "training.batch={value}"),
    ("optimizer.lr policy.optimizer_lr", TRAINING, "training.learning_rate={value}"),
    ("optimizer.weight_decay policy.optimizer_weight_decay", ("train",), "training.weight_decay={value}"),
    ("optimizer.grad_clip_norm", ("train",), "training.clip={value}"),
    ("save_freq eval_freq env_eval_freq log_freq", ("train",), "watch.every={value}"),
    ("resume config_path checkpoint_path", ("train",), "resume=runs/<name>"),
    ("resume", ("eval",), "resume={value}"),
    ("output_dir", FOLDERS, "runs={parent} name={last}"),
    ("job_name", FOLDERS, "name={value}"),
    ("rename_map dataset.rename_map", DRIVING, "planner.rename={{<policy's name>: <robot's name>}}"),
    ("rename_map dataset.rename_map", TRAINING, "rename={{<data set's name>: <robot's name>}}"),
)

# LeRobot's flags without a counterpart, the commands, and the reason; one that ends with a dot stands for all below it.
UNUSED: Sequence[tuple[str, Sequence[str], str]] = (
    ("teleop.", FOLDERS, "nothing is teleoperated here"),
    ("wandb.", FOLDERS, "a training writes its figures into runs/<name>/training.jsonl and its report"),
    ("env.", FOLDERS, "no environment of LeRobot's is played; choose a task, as with task=mole (docs/tasks.md)"),
    ("policy.push_to_hub policy.repo_id policy.private dataset.push_to_hub", FOLDERS, "nothing is pushed to the Hub"),
    ("policy.discover_packages_path robot.discover_packages_path", FOLDERS, "plug-ins are found by their names"),
    ("policy.chunk_size policy.horizon policy.n_obs_steps", DRIVING, "it is read from the checkpoint"),
    (
        "policy.path policy.pretrained_path",
        ("train",),
        "a training begins with new weights; choose policy=act, or another",
    ),
    ("policy.n_action_steps", ("train",), "it is strategy.s of rollahead run and eval"),
    ("fps dataset.fps", ("train", "eval"), "the rate is that of the data set, or of the task"),
    ("strategy.type", DRIVING, "a run records no data set, and strategy=... says how chunks follow each other"),
    (
        "dataset.",
        DRIVING,
        "a run leaves its record in runs/<name>; the data set of a policy is planner.dataset=<folder>",
    ),
    ("display_data play_sounds", FOLDERS, "a run shows itself in the terminal and in its report"),
    ("save_checkpoint", ("train",), "the checkpoint is always saved"),
)
PLAIN = re.compile(r"[\w@%+=:,./~-]+")  # words that need no quotes in a shell


def known(command: str, flag: str) -> bool:
    """Whether there is advice for LeRobot's `flag`, written without dashes, given to `command`."""
    return any(template(one, flag) for one in (command, *FOLDERS)) or bool(_unused(command, flag))


def in_our_words(command: str, flags: Mapping[str, str], written: Sequence[str]) -> str:
    """A sentence with the options of `command` that correspond to `flags`.

    Args:
        command: The command.
        flags: LeRobot's flags without dashes, each `known`, and their values.
        written: The flags as the user wrote them.
    """
    own = [flag for flag in flags if template(command, flag)]
    are, they = ("are", "they are") if len(flags) > 1 else ("is", "it is")
    said = [f"here {they if len(own) == len(flags) else 'write'} {' '.join(_options(command, flags))}"] if own else []
    said += [_not_ours(command, flag, value) for flag, value in flags.items() if flag not in own]
    return f"{' '.join(written)} {are} LeRobot's; {'; '.join(said)}"


def shell(word: str) -> str:
    """Quotes `word` for a shell, if needed."""
    if PLAIN.fullmatch(word):
        return word
    return shlex.quote(word) if any(character in word for character in '"$`\\!') else f'"{word}"'


def _options(command: str, flags: Mapping[str, str]) -> Iterator[str]:
    """Yields the options of `command` that correspond to `flags`, without repetitions."""
    config: dict[str, Any] = {}
    found: list[str] = []
    for flag, value in flags.items():
        found += _filled(template(command, flag), value)
        if _robots_own(flag):
            _put(config, flag.split(".")[1:], value)
    yield from map(shell, dict.fromkeys(found))
    if config:
        yield shell(f"robot.config={_braced(config)}")


def _not_ours(command: str, flag: str, value: str) -> str:
    """The advice for a LeRobot flag that has no counterpart among the options of `command`."""
    if reason := _unused(command, flag):
        return f"leave out {flag}: {reason}"
    other = next(one for one in FOLDERS if template(one, flag))
    return f"{flag} belongs to rollahead {other}, as {' '.join(_options(other, {flag: value}))}"


def template(command: str, flag: str) -> str:
    """The options of `command` that correspond to `flag`, with placeholders; empty if there are none."""
    if command in ROBOT and _robots_own(flag):
        return "robot=lerobot"
    return next((words for names, commands, words in OPTIONS if command in commands and flag in names.split()), "")


def _unused(command: str, flag: str) -> str:
    """The reason why `command` has no option for `flag`; empty if none is known."""
    for names, commands, why in UNUSED:
        below = any(flag.startswith(name) for name in names.split() if name.endswith("."))
        if command in commands and (below or flag in names.split()):
            return why
    return ""


def _robots_own(flag: str) -> bool:
    """Whether `flag` is an option of a particular type of LeRobot's robots, such as robot.port."""
    robot, _, option = flag.partition(".")
    first = option.split(".")[0]
    return robot == "robot" and first not in ("", "type", "discover_packages_path", *OURS)


def _filled(template: str, value: str) -> list[str]:
    """The options of `template` with the user's value filled in."""
    path = PurePath(value or "<folder>")
    parent = "runs" if str(path.parent) == "." else str(path.parent)
    names = {"value": value or "<value>", "last": path.name, "parent": parent}
    return [option.format_map(names) for option in re.split(r" (?=[\w.]+=)", template) if option]


def _put(config: dict[str, Any], keys: Sequence[str], value: str) -> None:
    """Sets `config[first][second]...` to `value`."""
    *outer, last = keys
    for key in outer:
        if not isinstance(config.get(key), dict):
            config[key] = {}
        config = config[key]
    config[last] = value or "<value>"


def _braced(value: Any) -> str:
    """Writes `value` in Hydra's grammar, as in {port: /dev/ttyACM0}."""
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_braced(inner)}' for key, inner in value.items())}}}"
    return value if re.fullmatch(r"[\w./+<>-]+|[{\[].*[}\]]", value) else f"'{value}'"
