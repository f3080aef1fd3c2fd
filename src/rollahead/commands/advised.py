"""Strategies as a command's options give them, with what these leave open taken from the checkpoint that plans."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from omegaconf import DictConfig

from rollahead.assembly.planners import opened
from rollahead.commands.app import group
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import RobotSpec

if TYPE_CHECKING:
    from rollahead.policies.checkpoints.checkpoint import Checkpoint

OPEN: Mapping[str, str] = {"sync": "s", "ensemble": "decay"}  # by strategy the option that may be null


def strategy_of(config: DictConfig, robot: RobotSpec) -> tuple[StrategyConfig, tuple[str, ...]]:
    """The strategy of `config`, and lines for the user: what was assumed of its planner's checkpoint, what was taken
    from it, and what of it is not used. Raises: ConfigError, if the strategy takes no such option, or the checkpoint
    cannot be read."""
    options = group(config, "strategy")
    given = OPEN.get(str(options.get("name")), "")
    if left_open := options.get(given, "") is None:
        del options[given]  # as `StrategyConfig` has it, or the checkpoint
    strategy, planner = call(StrategyConfig, options, "strategy"), group(config, "planner")
    read = opened(planner, robot)
    if read is None:
        return strategy, ()
    weak = None if strategy.weak is None else opened({**planner, "checkpoint": strategy.weak}, robot)
    of_weak = () if weak is None else (f"strategy.weak: {note}" for note in weak.notes)
    taken, *lines = _taken(strategy, read) if left_open else (strategy,)
    return taken, (*read.notes, *of_weak, *lines, *_unused(strategy, read))


def _taken(strategy: StrategyConfig, read: "Checkpoint") -> tuple[StrategyConfig, *tuple[str, ...]]:
    """`strategy` with what it leaves open as the checkpoint has it, and a line that says so."""
    steps, decay = read.action_steps, read.ensemble_decay
    if strategy.name == "sync" and steps is not None:
        s = max(steps // strategy.q, 1)
        return replace(strategy, s=s), f"strategy.s = {s}, from the checkpoint's n_action_steps = {steps}"
    if strategy.name == "ensemble" and decay is not None:
        return replace(strategy, decay=decay), f"strategy.decay = {decay:g}, the checkpoint's temporal_ensemble_coeff"
    return (strategy,)


def _unused(strategy: StrategyConfig, read: "Checkpoint") -> tuple[str, ...]:
    if read.ensemble_decay is None or strategy.name == "ensemble":
        return ()
    return (
        f"the checkpoint's temporal_ensemble_coeff = {read.ensemble_decay:g} is not used by strategy={strategy.name}; "
        "strategy=ensemble uses it",
    )
