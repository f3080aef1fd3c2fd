"""Options and choices that had another name in an earlier version: each is refused with its new name."""

from collections.abc import Mapping

from rollahead.commands.lerobot_flags import shell

OPTIONS: Mapping[str, str] = {
    "text": "task_text",
    "demonstrations.wander": "demonstrations.exploration_ticks",
    "planner.hurries": "planner.deadline_aware",
    "policy.sight": "policy.image_age",
    "policy.strays": "policy.negative_fraction",
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
GROUPS: Mapping[str, str] = {  # options that are groups now, which one in braces sets as a whole
    "strategy.guidance": "strategy.guidance.enabled",
    "strategy.corrector": "strategy.corrector.path",
}
CHOICES: Mapping[str, Mapping[str, str]] = {"planner": {"wave": "sine"}, "roller": {"still": "none"}}


def renamed(argument: str) -> str | None:
    """Returns a sentence with the new name of the option, or of the choice, in `argument`; None if it has no other."""
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
