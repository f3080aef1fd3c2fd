"""The strategy of a command: its options, completed by the values that the planner's checkpoint suggests."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig

from rollahead.assembly.planners import opened
from rollahead.commands.app import group
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.config.techniques import EnsembleConfig
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import RobotSpec

if TYPE_CHECKING:
    from rollahead.policies.checkpoints.checkpoint import Checkpoint

# by strategy, the option that may be null: the groups under `strategy` that it is in, and its name
OPEN: Mapping[str, tuple[str, ...]] = {"sync": ("s",), "ensemble": ("ensemble", "decay")}


def strategy_of(config: DictConfig, robot: RobotSpec) -> tuple[StrategyConfig, tuple[str, ...]]:
    """The strategy of `config`, and lines for the user about the planner's checkpoint.

    The lines say what was assumed of the checkpoint, what was taken from it, and what in it is not used.

    Raises: ConfigError, if the strategy takes no such option, or the checkpoint cannot be read.
    """
    options = group(config, "strategy")
    left_open = _left_open(options, OPEN.get(str(options.get("name")), ()))
    strategy, planner = call(StrategyConfig, options, "strategy"), group(config, "planner")
    read = opened(planner, robot)
    if read is None:
        return strategy, ()
    weak = None if strategy.bid.weak is None else opened({**planner, "checkpoint": strategy.bid.weak}, robot)
    of_weak = () if weak is None else (f"strategy.bid.weak: {note}" for note in weak.notes)
    taken, *lines = _taken(strategy, read) if left_open else (strategy,)
    return taken, (*read.notes, *of_weak, *lines, *_unused(strategy, read))


def _left_open(options: dict[str, Any], option: Sequence[str]) -> bool:
    """Whether `option`, a path of groups and a name in `options`, is null; if so, deletes it from `options`.

    It then gets the value of the checkpoint, or the default of `StrategyConfig`.
    """
    *groups, name = option or [""]
    for each in groups:
        options = options.get(each) or {}
    if options.get(name, "") is not None:
        return False
    del options[name]
    return True


def _taken(strategy: StrategyConfig, read: "Checkpoint") -> tuple[StrategyConfig, *tuple[str, ...]]:
    """The strategy with its open option set to the checkpoint's value, and a line that says so."""
    steps, decay = read.action_steps, read.ensemble_decay
    if strategy.name == "sync" and steps is not None:
        s = max(steps // strategy.q, 1)
        return replace(strategy, s=s), f"strategy.s = {s}, from the checkpoint's n_action_steps = {steps}"
    if strategy.name == "ensemble" and decay is not None:
        found = f"strategy.ensemble.decay = {decay:g}, the checkpoint's temporal_ensemble_coeff"
        return replace(strategy, ensemble=EnsembleConfig(decay)), found
    return (strategy,)


def _unused(strategy: StrategyConfig, read: "Checkpoint") -> tuple[str, ...]:
    if read.ensemble_decay is None or strategy.name == "ensemble":
        return ()
    return (
        f"the checkpoint's temporal_ensemble_coeff = {read.ensemble_decay:g} is not used by strategy={strategy.name}; "
        "strategy=ensemble uses it",
    )
