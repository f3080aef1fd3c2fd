"""Checks of a task: sizes, numbers, the event, the expert's rows and whether a seed gives the same episode again.

    check_task(task, "reach", seed=0)      plays two short episodes; raises ConfigError at the first fault

`evaluate` and `record` call it before their episodes; `rollahead doctor task=...` tries more (`task_trials`). Every
fault of a task is reported in a sentence with both numbers and what to do, whatever the task raised.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rollahead.blame import blamed
from rollahead.errors import ConfigError, counted
from rollahead.runtime.control.images import misfit
from rollahead.runtime.planning.planner import Plan
from rollahead.runtime.rolling.roll import Rollers, SceneRoller, StateRoller, lookback_of
from rollahead.runtime.safety.hold import Hold
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation
from rollahead.runtime.types.robot import Frame
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import Dim, RobotSpec, names_of
from rollahead.sim.task import Task, begin, event_tick_of, has_event
from rollahead.sim.task_calls import check_takes, expert_of

REAL = "biuf"  # kinds of numpy dtypes that hold real numbers
ROUNDING = 1e-9  # tolerance of a range, as a share of its width
CALLS: dict[str, Sequence[str]] = {  # the calls of an episode, all arguments by position
    "reset": ["seed"],
    "state": [],
    "environment": [],
    "frames": [],
    "advance": ["action"],
}

Driver = Callable[[Task], Plan]


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """An episode of n ticks.

    Attributes:
        seed: Seed of the episode.
        states: (n + 1, S), at the start of each tick and at the end.
        environments: (n + 1, E), likewise.
        actions: (n, A).
        event_tick: The task's `event_tick` at the start; None without an event.
        done: The task's `done` at the end.
        success: The task's `success` at the end.
    """

    seed: int
    states: FloatArray
    environments: FloatArray
    actions: FloatArray
    event_tick: int | None
    done: bool
    success: bool

    @property
    def ticks(self) -> int:
        """The number of ticks that were played."""
        return len(self.actions)

    @property
    def seen(self) -> FloatArray:
        """States and environments side by side, (n + 1, S + E)."""
        return np.hstack([self.states, self.environments])


def by_expert(task: Task) -> Plan:
    """The plan of an episode that the expert drives with a new chunk in every tick."""
    return expert_of(task, 1)


def standing(task: Task) -> Plan:
    """The plan of an episode in which the robot holds the position in which it is first seen."""
    home: list[FloatArray] = []

    def plan(seen: Observation, rng: np.random.Generator) -> FloatArray:
        if not home:
            home.append(Hold(task.spec).first(seen.state, None))
        return home[0][None]

    return plan


def check_task(task: Task, name: str, seed: int, *, expert: bool = True, event: bool = True) -> Played:
    """Plays an episode of `task` under its expert and returns it; plays another without the event if the task has one.

    Args:
        task: The task.
        name: Name of the task, for messages.
        seed: Seed of both episodes.
        expert: Whether the expert drives; False drives the episodes by a hold, for policies that need no expert.
        event: Whether to play the second episode; False for figures without reactions.

    Raises: ConfigError, if a size is not that of the spec, a number is not finite, the expert leaves the ranges of the
    actions, no event comes, or the seed does not give the same episode again.
    """
    drive = by_expert if expert else standing
    try:
        played = play(task, seed, drive)
        check_begins_alike(task, played)
        check_event_tick(played, task)
        if expert:
            check_limits(played, task.spec)
        if event and has_event(task):
            check_event(played, play(task, seed, drive, event=False))
        check_frames(task)
    except ConfigError as error:
        raise ConfigError(f"task {name!r}: {error}; rollahead doctor task={name} tries the rest of it") from error
    return played


def play(task: Task, seed: int, drive: Driver = by_expert, *, event: bool = True) -> Played:
    """Plays one episode of `task` with the plan of `drive`, without executor, guard or delay, for `max_ticks` at most.

    Raises: ConfigError, if the task raises, or gives an array of another size than its spec, or NaN or infinite values.
    """
    check_calls(task)
    with blamed(f"its episode of seed {seed}", task):
        begin(task, seed, event=event)
        event_tick = _whole("event_tick", task.event_tick) if has_event(task) else None
        most = _whole("max_ticks", task.max_ticks)
        plan, rng = drive(task), generator("expert", seed)
        seen = [look(task, 0)]
        actions: list[FloatArray] = []
        while not task.done and len(actions) < most:
            actions.append(frozen(checked_rows(plan(seen[-1], rng), task.spec, 1)[0]))  # read-only, as in a run
            task.advance(actions[-1])
            seen.append(look(task, len(actions)))
        return Played(
            seed=seed,
            states=frozen([one.state for one in seen]),
            environments=frozen([one.environment for one in seen]),
            actions=frozen(np.reshape(actions, (-1, len(task.spec.action)))),
            event_tick=event_tick,
            done=bool(task.done),
            success=bool(task.success),
        )


def check_calls(task: Task) -> None:
    """Checks the core members of a task.

    Raises: ConfigError, if one is missing or cannot be called as in an episode.
    """
    for method, arguments in CALLS.items():
        check_takes(task, method, arguments, ["event"] if method == "reset" and has_event(task) else [])
    if not isinstance(said := getattr(task, "instruction", None), str):
        raise ConfigError(
            f"{type(task).__name__}.instruction is {said!r}; give a text, empty if there is none (docs/tasks.md)"
        )


def look(task: Task, tick: int) -> Observation:
    """The observation at the start of `tick`. Raises: ConfigError, if it does not fit the spec, or is not finite."""
    spec = task.spec
    state = _numbers("state()", task.state(), spec.state, "state", tick)
    environment = _numbers("environment()", task.environment(), spec.environment, "environment", tick)
    return Observation(tick=tick, state=state, environment=environment)


def check_frames(task: Task) -> None:
    """Checks that `frames` gives an image of each camera of the spec.

    Raises: ConfigError, if an image is missing or does not fit the spec.
    """
    if not task.spec.cameras:
        return
    check_takes(task, "frames")
    with blamed("frames()", task):
        given = task.frames()
        for camera in task.spec.cameras:
            if camera.name not in given:
                raise ConfigError(
                    f"frames() gives images of {', '.join(given) or 'no camera'}, and the spec has camera "
                    f"{camera.name!r}; give one of each"
                )
            if wrong := misfit(Frame(given[camera.name], 0), camera):
                raise ConfigError(wrong)


def _numbers(call: str, given: Any, dims: Sequence[Dim], what: str, tick: int) -> FloatArray:
    numbers = as_numbers(call, given)
    names = ", ".join(names_of(dims)) or "none"
    if numbers.shape != (len(dims),):
        raise ConfigError(
            f"{call} gives shape {numbers.shape} in tick {tick}, and the spec's {what} has "
            f"{counted(len(dims), 'dimension')} ({names}); make them agree"
        )
    if not np.isfinite(numbers).all():
        at = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise ConfigError(f"{call} gives {numbers[at]} for {dims[at].name} in tick {tick}; give finite numbers")
    return frozen(numbers)


def checked_rows(rows: Any, spec: RobotSpec, horizon: int, who: str = "expert") -> FloatArray:
    """The `rows` of an expert as an array (horizon, A).

    Raises: ConfigError, if they have another shape, or NaN or infinite values.
    """
    numbers, wanted = as_numbers(f"the {who}", rows), (horizon, len(spec.action))
    if numbers.shape != wanted:
        raise ConfigError(
            f"the {who} gives rows of shape {numbers.shape} for {counted(horizon, 'row')} of the actions "
            f"{', '.join(names_of(spec.action))}; give {wanted} (horizon, action)"
        )
    if not np.isfinite(numbers).all():
        row, at = np.argwhere(~np.isfinite(numbers))[0]
        raise ConfigError(f"the {who} gives {numbers[row, at]} for {spec.action[at].name}; give finite numbers")
    return numbers


def as_numbers(what: str, given: Any) -> FloatArray:
    """Converts what `what` has `given` to a float64 array. Raises: ConfigError, if it is no array of real numbers."""
    try:
        numbers = np.asarray(given)
    except ValueError:  # nested lists of different lengths
        numbers = np.asarray(None)
    if numbers.dtype.kind not in REAL:
        raise ConfigError(f"{what} gives {_kind(given)}, and no array of real numbers; give one")
    return numbers.astype(np.float64)


def _kind(given: Any) -> str:
    return (
        "None"
        if given is None
        else f"{type(given).__name__} of {given.dtype}"
        if hasattr(given, "dtype")
        else type(given).__name__
    )


def _whole(what: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ConfigError(f"{what} is {value!r} after reset; give a whole number of ticks, an int")
    return int(value)


def check_event_tick(played: Played, task: Task) -> None:
    """Checks that the event, if there is one, comes within the episode. Raises: ConfigError, if it does not."""
    if (at := played.event_tick) is None:
        return
    if not 0 <= at < task.max_ticks:
        raise ConfigError(
            f"event_tick is {at} and max_ticks {task.max_ticks}, so the event does not come within an episode; give "
            "a tick from 0 to below max_ticks"
        )
    if at > played.ticks:
        raise ConfigError(
            f"the episode of seed {played.seed} was over after {counted(played.ticks, 'tick')}, before its event at "
            f"event_tick {at}; let it go on until the event"
        )


def check_limits(played: Played, spec: RobotSpec) -> None:
    """Checks the actions of an episode. Raises: ConfigError, if one was outside its range in `spec`."""
    for j, dim in enumerate(spec.action):
        wanted = played.actions[:, j]
        slack = ROUNDING * (dim.high - dim.low) if np.isfinite(dim.high - dim.low) else 0.0
        outside = np.maximum(dim.low - wanted, wanted - dim.high)
        if len(wanted) and outside.max() > slack:
            tick = int(outside.argmax())
            raise ConfigError(
                f"the expert asks for {_told(wanted[tick], dim)} of {dim.name} in tick {tick} of seed {played.seed}, "
                f"and the spec allows {dim.low:g} to {_told(dim.high, dim)}; clip it, or widen the range"
            )


def check_rollers(rollers: Rollers, name: str, task: Task, played: Played) -> None:
    """Tries the rollers on one state and scene of the episode `played`, over one tick.

    Args:
        rollers: The rollers of state and scene.
        name: Name of the roller, for messages.
        task: The task.
        played: An episode of it.

    Raises: ConfigError, if a roller raises, or its result differs in size from its input or is not finite.
    """
    before = lookback_of(rollers.state)
    rows = played.actions[: before + 1] if played.ticks > before else played.actions[:0]
    task.reset(played.seed)
    for action in rows[:before]:
        task.advance(action)
    try:
        with blamed("the roller", rollers.state):
            rolled(rollers.state, task, rows)
        if rollers.scene is not None:
            with blamed("the scene roller", rollers.scene):
                _rolled_scene(rollers.scene, task, rows)
    except ConfigError as error:
        raise ConfigError(f"roller {name!r}: {error} (docs/tasks.md)") from error


def rolled(roller: StateRoller, task: Task, rows: FloatArray) -> FloatArray:
    """The current state of `task` rolled ahead over `rows` (lookback + n, A), an array (S,).

    Raises: ConfigError, if the roller's result has another size, or is not finite.
    """
    return _checked("the roller", roller(frozen(task.state()), rows), task.spec.state)


def _rolled_scene(roller: SceneRoller, task: Task, rows: FloatArray) -> None:
    scene, state = frozen(task.environment()), frozen(task.state())
    _checked("the scene roller", roller(scene, state, rows), task.spec.environment)


def _checked(who: str, given: Any, dims: Sequence[Dim]) -> FloatArray:
    numbers = as_numbers(who, given)
    if numbers.shape != (len(dims),):
        raise ConfigError(
            f"{who} gives shape {numbers.shape} for {', '.join(names_of(dims)) or 'nothing'}; give {(len(dims),)}, as "
            "seen after the rows"
        )
    if not np.isfinite(numbers).all():
        at = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise ConfigError(f"{who} gives {numbers[at]} for {dims[at].name}; give finite numbers")
    return numbers


def _told(value: float, dim: Dim) -> str:
    return f"{value:g} {dim.unit}".rstrip()


def check_event(played: Played, without: Played) -> None:
    """Checks that an episode first differs from that `without` the event at the task's `event_tick`.

    Raises: ConfigError, if it does not differ, or first in another tick.
    """
    at, n = played.event_tick, min(played.ticks, without.ticks) + 1
    differs = np.flatnonzero((played.seen[:n] != without.seen[:n]).any(axis=1))
    if without.event_tick != at:
        raise ConfigError(
            f"event_tick is {at} with the event and {without.event_tick} without it, both of seed {played.seed}; "
            "draw it in reset either way"
        )
    if not len(differs):
        raise ConfigError(
            f"no event is seen: the episode of seed {played.seed} is the same with event=True and False; let "
            f"something be seen from event_tick ({at}) on, or evaluate with reactions=false"
        )
    if differs[0] != at:
        raise ConfigError(
            f"the event of seed {played.seed} is first seen in tick {differs[0]}, and event_tick is {at}; let "
            "both be the same, and draw all that is random whether event is True or False"
        )


def check_begins_alike(task: Task, played: Played) -> None:
    """Checks that the seed of `played` begins the same episode again. Raises: ConfigError, if it does not."""
    with blamed(f"reset({played.seed})", task):
        task.reset(played.seed)
        first = look(task, 0)
    check_same(first.state, played.states[0], task.spec.state, played.seed, 0)
    check_same(first.environment, played.environments[0], task.spec.environment, played.seed, 0)
    if (event_tick := event_tick_of(task)) != played.event_tick:
        raise _other("event_tick", played.seed, 0, played.event_tick, event_tick)


def check_same(now: FloatArray, before: FloatArray, dims: Sequence[Dim], seed: int, tick: int) -> None:
    """Checks that the values `now` are equal to the bit to those `before`, in a tick of two episodes of one seed.

    Raises: ConfigError, if a value differs.
    """
    for one, other, dim in zip(now, before, dims, strict=True):
        if one != other:
            raise _other(dim.name, seed, tick, other, one)


def _other(what: str, seed: int, tick: int, before: Any, now: Any) -> ConfigError:
    return ConfigError(
        f"seed {seed} gave {what} {_plain(before)!r} in tick {tick} at first and {_plain(now)!r} the second time; draw "
        "all that is random from the seed in reset, and put all that an episode changes back there"
    )


def _plain(value: Any) -> Any:
    """A number for a message: `np.float64(6.0)` becomes 6 and `np.float64(0.5)` 0.5; other values are unchanged."""
    number = value.item() if isinstance(value, np.generic) else value
    return int(number) if isinstance(number, float) and number.is_integer() else number
