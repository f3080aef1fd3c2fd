"""Real-time control runtime for robots that are driven by slow policies.

    evaluate, Evaluation        measure a strategy on a task at a latency, in simulated time
    drive, DriveResult          drive a robot in real time for some seconds
    realtime, Realtime          the same as a context manager, to be paused, stopped and told what to do
    load_policy, LoadedPolicy   a trained policy, from a folder or the Hugging Face Hub
    RobotSpec, PolicySpec, Dim, Kind, Camera             names, units, kinds and limits
    Robot, Reading, Frame, Planner, Planning, Task       what to implement to add a robot, a planner, a task
    Observation, StrategyConfig                          what a planner plans from; a strategy with its options
    ControlError and its subclasses                      errors, one sentence each

A name is imported when it is first used, so that `import rollahead` and `rollahead --help` are fast. What parts of your
own need beside these is in `rollahead.extending`.
"""

TYPE_CHECKING = False  # as type checkers know it; `typing` itself would be most of the time of this import

if TYPE_CHECKING:
    from rollahead.api.drive import DriveResult, drive, realtime
    from rollahead.api.evaluate import Evaluation, evaluate
    from rollahead.api.policy import load_policy
    from rollahead.assembly.planning import Planning
    from rollahead.assembly.trained import LoadedPolicy
    from rollahead.errors import ConfigError, ControlError, InferenceError, LifecycleError, RobotError
    from rollahead.runtime.config.build import StrategyConfig
    from rollahead.runtime.drivers.realtime import Realtime
    from rollahead.runtime.planning.planner import Planner
    from rollahead.runtime.types.messages import Observation
    from rollahead.runtime.types.robot import Frame, Reading, Robot
    from rollahead.runtime.types.spec import Camera, Dim, Kind, PolicySpec, RobotSpec
    from rollahead.sim.task import Task

__version__ = "0.1.0"

__all__ = [
    "Camera",
    "ConfigError",
    "ControlError",
    "Dim",
    "DriveResult",
    "Evaluation",
    "Frame",
    "InferenceError",
    "Kind",
    "LifecycleError",
    "LoadedPolicy",
    "Observation",
    "Planner",
    "Planning",
    "PolicySpec",
    "Reading",
    "Realtime",
    "Robot",
    "RobotError",
    "RobotSpec",
    "StrategyConfig",
    "Task",
    "drive",
    "evaluate",
    "load_policy",
    "realtime",
]

_MODULES = {  # of each name; as above, for a test
    "rollahead.api.drive": ("DriveResult", "drive", "realtime"),
    "rollahead.api.evaluate": ("Evaluation", "evaluate"),
    "rollahead.api.policy": ("load_policy",),
    "rollahead.assembly.planning": ("Planning",),
    "rollahead.assembly.trained": ("LoadedPolicy",),
    "rollahead.errors": ("ConfigError", "ControlError", "InferenceError", "LifecycleError", "RobotError"),
    "rollahead.runtime.config.build": ("StrategyConfig",),
    "rollahead.runtime.drivers.realtime": ("Realtime",),
    "rollahead.runtime.planning.planner": ("Planner",),
    "rollahead.runtime.types.messages": ("Observation",),
    "rollahead.runtime.types.robot": ("Frame", "Reading", "Robot"),
    "rollahead.runtime.types.spec": ("Camera", "Dim", "Kind", "PolicySpec", "RobotSpec"),
    "rollahead.sim.task": ("Task",),
}


if not TYPE_CHECKING:  # or a type checker would take any name for one of ours

    def __getattr__(name):
        """Imports a public name when it is first used (PEP 562)."""
        module = next((module for module, names in _MODULES.items() if name in names), None)
        if module is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(module), name)
        return value

    def __dir__():
        return sorted({*globals(), *__all__})
