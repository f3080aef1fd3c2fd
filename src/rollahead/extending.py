"""Types and functions for parts of your own: strategies, rollers, planners, latency models, policy adapters.

They are imported from the rooms that they live in, which may move; this module is where other packages import them
from. It imports neither torch nor a simulator: names that need them are imported when they are first used.
"""

from typing import TYPE_CHECKING

from rollahead.assembly.planning import Brief, Planning
from rollahead.assembly.rollers import Scene, make_rollers
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.control.strategy import Strategy, address
from rollahead.runtime.control.trigger import Trigger
from rollahead.runtime.planning.latency import Latency, LatencyModel
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.rolling.binding import bind
from rollahead.runtime.rolling.roll import Rollers, SceneRoller, StateRoller, for_spec
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.chunk import Chunk, newest
from rollahead.runtime.types.messages import Request, Result, ResultFlags, Snapshot, StageTimes
from rollahead.runtime.types.spec import mask, names_of

if TYPE_CHECKING:
    from rollahead.evaluation.rollout import Rollouts
    from rollahead.policies.checkpoints.checkpoint import Checkpoint
    from rollahead.policies.policy import Denoiser, EncoderInput, OneShot, Policy, Trained
    from rollahead.sim.task import TaskBase

__all__ = [
    "NO_DEADLINE",
    "Brief",
    "Checkpoint",
    "Chunk",
    "Denoiser",
    "EncoderInput",
    "FloatArray",
    "Latency",
    "LatencyModel",
    "OneShot",
    "Planning",
    "Policy",
    "Request",
    "Result",
    "ResultFlags",
    "Rollers",
    "Rollouts",
    "Scene",
    "SceneRoller",
    "Snapshot",
    "StageTimes",
    "StateRoller",
    "Strategy",
    "StrategyConfig",
    "TaskBase",
    "Timer",
    "Trained",
    "Trigger",
    "address",
    "bind",
    "for_spec",
    "frozen",
    "make_rollers",
    "mask",
    "names_of",
    "newest",
]

_LATE = {
    "Rollouts": "rollahead.evaluation.rollout",
    "Checkpoint": "rollahead.policies.checkpoints.checkpoint",
    "TaskBase": "rollahead.sim.task",
    **dict.fromkeys(("Denoiser", "EncoderInput", "OneShot", "Policy", "Trained"), "rollahead.policies.policy"),
}


if not TYPE_CHECKING:  # or a type checker would take any name for one of ours

    def __getattr__(name):
        """Imports a name that needs torch, or a simulator, when it is first used (PEP 562)."""
        if name not in _LATE:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(_LATE[name]), name)

    def __dir__():
        return sorted({*globals(), *__all__})
