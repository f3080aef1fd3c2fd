"""A small task on a rail, and the same with one fault each, as another package might register them."""

from pathlib import Path

import numpy as np

from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import StateRoller, for_spec
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec
from rollahead.sim.task import GROUP, Task, TaskBase

STEP_M = 0.05
EVENT, LAST = 6, 24


class Rail(TaskBase):
    """A cart on a rail, whose goal jumps by 10 to 30 cm in tick 6; it has 18 ticks to get there."""

    spec = RobotSpec(
        action=(Dim("dx", "m", Kind.DELTA, -STEP_M, STEP_M, drives="x"),),
        state=(Dim("x", "m"),),
        environment=(Dim("goal", "m"),),
        rate_hz=20.0,
    )
    max_ticks = LAST
    event_tick = EVENT
    home = 0.0

    def __init__(self) -> None:
        self.reset(0)

    def reset(self, seed: int, *, event: bool = True) -> None:
        self.jump = float(np.random.default_rng(seed).uniform(0.1, 0.3)) if event else 0.0
        self.x, self.tick = self.home, 0

    @property
    def done(self) -> bool:
        return self.success or self.tick >= LAST

    @property
    def success(self) -> bool:
        return self.tick > EVENT and self.jump > 0 and abs(self.x - self.home - self.jump) < 1e-6

    def state(self) -> FloatArray:
        return np.array([self.x])

    def environment(self) -> FloatArray:
        return np.array([self.home + (self.jump if self.tick >= EVENT else 0.0)])

    def advance(self, action: FloatArray) -> None:
        self.x += float(action[0])
        self.tick += 1

    def expert(self, horizon: int) -> Plan:
        def plan(seen: Observation, rng: np.random.Generator) -> FloatArray:
            left = float(seen.environment[0] - seen.state[0])
            way = np.sign(left) * np.minimum(np.arange(1, horizon + 1) * STEP_M, abs(left))
            return np.diff(way, prepend=0.0)[:, None]

        return plan

    def roller(self) -> StateRoller:
        return for_spec(self.spec)


class WideState(Rail):
    def state(self) -> FloatArray:
        return np.array([self.x, 0.0])


class NaNScene(Rail):
    def environment(self) -> FloatArray:
        return super().environment() if self.tick < 9 else np.array([np.nan])


class WideRows(Rail):
    def expert(self, horizon: int) -> Plan:
        return lambda seen, rng: np.zeros((horizon, 3))


class ShortChunks(Rail):
    def expert(self, horizon: int) -> Plan:
        return super().expert(min(horizon, 4))


class NoRows(Rail):
    def expert(self, horizon: int) -> Plan:
        return lambda seen, rng: None  # type: ignore[arg-type, return-value]


class Raising(Rail):
    def advance(self, action: FloatArray) -> None:
        raise TypeError("advance() wants a torque")


class Writing(Rail):
    """It clips the action in place."""

    def advance(self, action: FloatArray) -> None:
        action[0] = min(action[0], 0.1)
        super().advance(action)


class NoEventArgument(Rail):
    def __init__(self) -> None:
        super().reset(0)

    def reset(self, seed: int) -> None:  # type: ignore[override]
        super().reset(seed)


class NoExpert(Rail):
    def expert(self, horizon: int) -> Plan:
        return None  # type: ignore[return-value]


class NoRoller(Rail):
    def roller(self) -> StateRoller:
        return None  # type: ignore[return-value]


class WideRoller(Rail):
    def roller(self) -> StateRoller:
        return lambda state, rows: np.zeros(2)


class NaNRoller(Rail):
    def roller(self) -> StateRoller:
        return lambda state, rows: state * np.nan


class RaisingRoller(Rail):
    def roller(self) -> StateRoller:
        raise NotImplementedError("no model")


class NoFrames(Rail):
    frames = None  # type: ignore[assignment]


class NoInstruction(Rail):
    instruction = None  # type: ignore[assignment]


class Unmade(Rail):
    def __init__(self) -> None:
        raise ValueError("boom")


class NoSpec(Rail):
    spec = {"rate_hz": 20.0}  # type: ignore[assignment]  # noqa: RUF012


class NoEvent(Rail):
    def environment(self) -> FloatArray:
        return np.array([0.2])


class LateEvent(Rail):
    event_tick = 200


class UnsaidEvent(Rail):
    event_tick = None


class OtherTick(Rail):
    event_tick = EVENT - 2


class Overreaching(Rail):
    def expert(self, horizon: int) -> Plan:
        return lambda seen, rng: 10 * Rail.expert(self, horizon)(seen, rng)


class Unseeded(Rail):
    count = 0

    def reset(self, seed: int, *, event: bool = True) -> None:
        super().reset(seed, event=event)
        self.x = Unseeded.count * 1e-9
        Unseeded.count += 1


class FloatTick(Rail):
    event_tick = float(EVENT)  # type: ignore[assignment]


class ComplexState(Rail):
    def state(self) -> FloatArray:
        return super().state().astype(complex)


class NoState(Rail):
    def state(self) -> FloatArray:
        super().state()  # and its return is forgotten


class AttributeState(Rail):
    @property
    def state(self) -> FloatArray:  # type: ignore[override]
        return np.array([self.x])


class RaisingAttribute(Rail):
    @property
    def expert(self) -> Plan:  # type: ignore[override]
        raise RuntimeError("not yet")


class NumpyTold(Rail):
    """It gives numpy's own types where others give Python's."""

    event_tick = np.int64(EVENT)  # type: ignore[assignment]

    @property
    def success(self) -> bool:
        return np.bool_(super().success)  # type: ignore[return-value]


class Endless(Rail):
    @property
    def done(self) -> bool:
        return False


class Limited(Rail):
    """Its expert knows nothing of the rate limit."""

    spec = RobotSpec(
        action=(Dim("dx", "m", Kind.DELTA, -STEP_M, STEP_M, rate_limit=0.2, drives="x"),),
        state=Rail.spec.state,
        environment=Rail.spec.environment,
        rate_hz=20.0,
    )


class Mistaken(Rail):
    """It takes steps and says that they are positions."""

    home = -0.5
    spec = RobotSpec(
        action=(Dim("dx", "m", Kind.POSITION, -1.0, 1.0, drives="x"),),
        state=Rail.spec.state,
        environment=Rail.spec.environment,
        rate_hz=20.0,
    )


class Idle(Rail):
    def expert(self, horizon: int) -> Plan:
        return lambda seen, rng: np.zeros((horizon, 1))


SEEN_BEFORE: dict[str, tuple[type, str, str]] = {  # what eval and train refuse: the class, the trial, and what is said
    "wide state": (WideState, "sizes", "state() gives shape (2,) in tick 0, and the spec's state has 1 dimension (x)"),
    "nan": (NaNScene, "sizes", "environment() gives nan for goal in tick 9; give finite numbers"),
    "wide rows": (WideRows, "sizes", "the expert gives rows of shape (1, 3) for 1 row of the actions dx; give (1, 1)"),
    "no rows": (NoRows, "sizes", "the expert gives None, and no array of real numbers; give one"),
    "raises": (Raising, "sizes", "raised TypeError (advance() wants a torque) in faulty.py, line "),
    "writes": (Writing, "sizes", "raised ValueError (assignment destination is read-only) in faulty.py, line "),
    "no event argument": (
        NoEventArgument,
        "sizes",
        "NoEventArgument.reset(seed) cannot be called as reset(seed, event=",
    ),
    "no frames": (NoFrames, "sizes", "NoFrames has no method frames(); add it (docs/tasks.md)"),
    "no instruction": (
        NoInstruction,
        "sizes",
        "NoInstruction.instruction is None; give a text, empty if there is none",
    ),
    "late event": (LateEvent, "event", "event_tick is 200 and max_ticks 24, so the event does not come within"),
    "no event_tick": (UnsaidEvent, "sizes", "event_tick is None after reset; give a whole number of ticks"),
    "out of range": (Overreaching, "expert's actions", "the expert asks for 0.5 m of dx in tick 6 of seed 0, and the "),
    "float tick": (FloatTick, "sizes", "event_tick is 6.0 after reset; give a whole number of ticks, an int"),
    "complex": (ComplexState, "sizes", "state() gives ndarray of complex128, and no array of real numbers; give one"),
    "no return": (NoState, "sizes", "state() gives None, and no array of real numbers; give one"),
    "attribute": (AttributeState, "sizes", "AttributeState.state is ndarray, and no method; write it as state()"),
    "no seed": (Unseeded, "reset", "draw all that is random from the seed in reset"),
}
ONLY_TRIED: dict[str, tuple[type, str, str]] = {
    "short chunks": (ShortChunks, "sizes", "rows of shape (4, 1) for 32 rows of the actions dx; give (32, 1)"),
    "no event": (NoEvent, "event", "no event is seen: the episode of seed 0 is the same with event=True and False"),
    "another tick": (OtherTick, "event", "the event of seed 0 is first seen in tick 6, and event_tick is 4"),
    "endless": (Endless, "end", "the episode of seed 0 was not over after max_ticks (24) under its expert"),
    "guarded": (Limited, "guard", "actions of the expert (rate); let it keep the limits of the spec"),
    "another kind": (
        Mistaken,
        "roller",
        "% of what the state moves, and a state that is not rolled by 100 %; ",
    ),
    "idle": (Idle, "expert", "the expert solves 0 of 3 episodes, asked in every tick and without delay"),
}
CALLED: dict[str, tuple[type, str, str]] = {  # what eval refuses where it takes the task's expert and roller
    "no expert": (NoExpert, "sizes", "gives NoneType; give a function (seen, rng) -> rows (docs/tasks.md)"),
    "raising attribute": (
        RaisingAttribute,
        "sizes",
        "RaisingAttribute.expert raised RuntimeError (not yet) in faulty.py, line ",
    ),
    "no roller": (NoRoller, "roller", "NoRoller.roller() gives NoneType; give a function (state, rows) -> state, such"),
    "wide roller": (WideRoller, "roller", "the roller gives shape (2,) for x; give (1,), as seen after the rows"),
    "nan roller": (NaNRoller, "roller", "the roller gives nan for x; give finite numbers"),
    "raising roller": (RaisingRoller, "roller", "RaisingRoller.roller() raised NotImplementedError (no model) in fau"),
}
FAULTS = SEEN_BEFORE | CALLED | ONLY_TRIED
UNMADE: dict[str, tuple[type, str]] = {  # what every command refuses: the class, and what is said
    "raises": (Unmade, "task 'rail' raised ValueError (boom) in faulty.py, line "),
    "no spec": (NoSpec, "task 'rail' has a spec of type dict; give a RobotSpec (docs/tasks.md)"),
}


def maker(fault: str) -> type[Task]:
    """The class of the task with `fault`."""
    return FAULTS[fault][0]


def registered(folder: Path, **tasks: type) -> Path:
    """`folder`, in which each class of this module is registered as a task by a package, found if it is on the path."""
    info = folder / "faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    lines = [f"{name} = faulty:{make.__name__}\n" for name, make in tasks.items()]
    (info / "entry_points.txt").write_text("".join([f"[{GROUP}]\n", *lines]))
    return folder
