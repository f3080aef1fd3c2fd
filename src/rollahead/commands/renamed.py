"""Commands, options and choices of earlier versions: each is refused with its new name."""

from collections.abc import Mapping, Sequence

from rollahead.commands.config_files import read_config
from rollahead.commands.lerobot_flags import shell

OPTIONS: Mapping[str, str] = {
    "text": "task_text",
    "demonstrations.wander": "demonstrations.exploration_ticks",
    "planner.hurries": "planner.deadline_aware",
    "strategy.pull": "strategy.guidance.enabled",
    "strategy.mask": "strategy.guidance.mask",
    "strategy.end": "strategy.guidance.execution_horizon",
    "strategy.jacobian": "strategy.guidance.jacobian",
    "strategy.beta": "strategy.guidance.max_guidance_weight",
    "strategy.candidates": "strategy.bid.candidates",
    "strategy.verifier": "strategy.bid.verifier",
    "strategy.rho": "strategy.bid.rho",
    "strategy.modes": "strategy.bid.modes",
    "strategy.weak": "strategy.bid.weak",
    "strategy.most": "strategy.corrector.max_residual",
    "strategy.decay": "strategy.ensemble.decay",
}
GROUPS: Mapping[str, str] = {  # options that are groups now; a value in braces still sets the whole group
    "strategy.guidance": "strategy.guidance.enabled",
    "strategy.corrector": "strategy.corrector.path",
}
CORRECTOR: Mapping[str, str] = {"sight": "image_age", "strays": "negative_fraction"}  # older options of policy=a2c2
CHOICES: Mapping[str, Mapping[str, str]] = {"planner": {"wave": "sine"}, "roller": {"still": "none"}}


def renamed(argument: str) -> str | None:
    """A sentence with the new name of the option, or of the choice, in `argument`; None if its name has not changed."""
    key, equals, value = argument.lstrip("+~-").partition("=")
    new = GROUPS[key] if key in GROUPS and equals and not value.startswith("{") else OPTIONS.get(key)
    if new:
        return f"the option {key} is called {new} now; write {shell(f'{new}={value}') if equals else new}"
    names = CHOICES.get(key, {})
    chosen = [names.get(name, name) for name in value.split(",")]
    if chosen != value.split(","):
        return f"{argument} is called {key}={','.join(chosen)} now; write that"
    return None


def moved(command: str, arguments: Sequence[str]) -> str | None:
    """A sentence with the command that replaces `command` with `arguments`; None if it has not changed."""
    if command == "calibrate":
        return f"it is split into identify, recommend and tune; write {_calibrating(arguments)}"
    if command == "train" and "policy=a2c2" in [argument.lstrip("+") for argument in arguments]:
        kept = [_of_corrector(argument) for argument in arguments if argument.lstrip("+") != "policy=a2c2"]
        return f"policy=a2c2 is a command of its own now; write {_written('train-corrector', kept)}"
    return None


def _calibrating(arguments: Sequence[str]) -> str:
    """The command, and its options, in place of `calibrate` with `arguments`."""
    given = dict(argument.lstrip("+").partition("=")[::2] for argument in arguments)
    wanted = {name.partition(".")[0] for name, value in given.items() if value != "null"}
    new = "recommend" if wanted & {"latency", "planner"} else "identify"
    if given.get("warm", "").lower() in ("true", "1", "yes", "on"):
        new = "tune"
    return _written(new, [argument for argument in arguments if argument.partition("=")[0] != "warm"])


def _of_corrector(argument: str) -> str:
    """Rewrites an option of `policy=a2c2` for `corrector=a2c2`."""
    key, equals, value = argument.partition("=")
    option = key.removeprefix("policy.")
    return argument if option == key else f"corrector.{CORRECTOR.get(option, option)}{equals}{value}"


def _written(command: str, arguments: Sequence[str]) -> str:
    """`rollahead <command>` with those of `arguments` that it has, by their new names."""
    named = [_by_new_name(argument) for argument in arguments]
    kept = [argument for argument in named if _has(command, argument)]
    return " ".join(["rollahead", command, *map(shell, kept)])


def _by_new_name(argument: str) -> str:
    key, equals, value = argument.partition("=")
    chosen = CHOICES.get(key, {}).get(value, value)
    return f"{OPTIONS.get(key, key)}{equals}{chosen}"


def _has(command: str, argument: str) -> bool:
    """Whether `command` has the option, or its group, that `argument` sets; flags and words count as its own."""
    name, equals, _ = argument.lstrip("+").partition("=")
    files = (read_config("", command), read_config("", "run_folder"))
    lines = [line.name.removeprefix("defaults.") for file in files for line in (*file.defaults, *file.options)]
    return not equals or name.partition(".")[0] in {line.partition(".")[0] for line in lines}
