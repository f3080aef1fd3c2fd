"""Commands, options and choices of earlier versions: each is refused with its new name."""

from collections.abc import Mapping, Sequence

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
    key, equals, value = argument.partition("=")
    if not equals:
        return None
    new = OPTIONS.get(key.lstrip("+~"))
    if key in GROUPS and not value.startswith("{"):
        new = GROUPS[key]
    if new:
        return f"the option {key.lstrip('+~')} is called {new} now; write {shell(f'{new}={value}')}"
    if new := CHOICES.get(key, {}).get(value):
        return f"{argument} is called {key}={new} now; write that"
    return None


def moved(command: str, arguments: Sequence[str]) -> str | None:
    """A sentence with the command that replaces `command` with `arguments`; None if it has not changed."""
    if command == "calibrate":
        named = {argument.partition("=")[0].partition(".")[0].lstrip("+") for argument in arguments}
        new = "tune" if "warm=true" in arguments else "recommend" if named & {"latency", "planner"} else "identify"
        kept = [argument for argument in arguments if not argument.startswith("warm=")]
        return f"it is split into identify, recommend and tune; write {_written(new, kept)}"
    if command == "train" and "policy=a2c2" in arguments:
        kept = [_of_corrector(argument) for argument in arguments if argument != "policy=a2c2"]
        return f"policy=a2c2 is a command of its own now; write {_written('train-corrector', kept)}"
    return None


def _of_corrector(argument: str) -> str:
    """Rewrites an option of `policy=a2c2` for `corrector=a2c2`."""
    key, equals, value = argument.partition("=")
    option = key.removeprefix("policy.")
    return argument if option == key else f"corrector.{CORRECTOR.get(option, option)}{equals}{value}"


def _written(command: str, arguments: Sequence[str]) -> str:
    return " ".join(["rollahead", command, *map(shell, arguments)])
