"""Options and choices that had another name in an earlier version: each is refused with its new name."""

from collections.abc import Mapping

from rollahead.commands.lerobot_flags import shell

OPTIONS: Mapping[str, str] = {
    "text": "task_text",
    "demonstrations.wander": "demonstrations.exploration_ticks",
    "planner.hurries": "planner.deadline_aware",
    "policy.sight": "policy.image_age",
    "policy.strays": "policy.negative_fraction",
    "strategy.pull": "strategy.guidance",
}
CHOICES: Mapping[str, Mapping[str, str]] = {"planner": {"wave": "sine"}, "roller": {"still": "none"}}


def renamed(argument: str) -> str | None:
    """Returns a sentence with the new name of the option, or of the choice, in `argument`; None if it has no other."""
    key, equals, value = argument.partition("=")
    if not equals:
        return None
    if new := OPTIONS.get(key.lstrip("+~")):
        return f"the option {key.lstrip('+~')} is called {new} now; write {shell(f'{new}={value}')}"
    if new := CHOICES.get(key, {}).get(value):
        return f"{argument} is called {key}={new} now; write that"
    return None
