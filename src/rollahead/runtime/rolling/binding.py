"""Binding: the state a policy is given, chosen as late as possible.

The worker calls `bind` after what does not depend on the state (vision, language) is done. The newest snapshot then has
a newer measurement than the request, and fewer ticks are left to roll over:

    tick      t_obs        t_obs + bind        roll_to = origin
    request   |------------|
    roll                   |~~~~~~~~~~~~~~~~~~~|
    lookback            ...|

A roller with a `lookback` is given the rows of so many ticks before as well.
"""

from dataclasses import replace

import numpy as np

from rollahead.runtime.rolling.roll import SceneRoller, StateRoller, lookback_of
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Snapshot


def bind(
    request: Request, newest: Snapshot, roller: StateRoller, scene: SceneRoller | None = None
) -> tuple[Observation, ...]:
    """Returns the observations to plan from, oldest first, each with its state rolled to its own tick before `roll_to`.

    Without a `roll_to` they are as observed. The `state_age` of the last says how many ticks were rolled: its state was
    measured at `state_tick`. Images stay as they were seen; so does the environment, unless `scene` rolls it.
    """
    if request.roll_to is None:
        return request.observations
    source = _source(request, newest)
    ahead = request.roll_to - request.tick
    return tuple(_roll_to(old, old.tick + ahead, source, request.asked, roller, scene) for old in request.observations)


def _source(request: Request, newest: Snapshot) -> Snapshot:
    """The newest snapshot, unless it lies past the end of the roll or in another epoch: then the request's own."""
    assert request.roll_to is not None
    usable = newest.epoch == request.epoch and newest.tick <= request.roll_to
    return newest if usable else request.asked


def _roll_to(
    old: Observation, tick: int, source: Snapshot, asked: Snapshot, roller: StateRoller, scene: SceneRoller | None
) -> Observation:
    seen = (*asked.observations, *source.observations)
    measured = next((one for one in reversed(seen) if one.state_tick <= tick), seen[0])
    state = roller(measured.state, _rows(source, measured.state_tick, tick, lookback_of(roller)))
    environment: FloatArray = old.environment
    if scene is not None:  # as it was seen with the images, so from the request's tick on
        then = roller(old.state, _rows(asked, old.state_tick, old.tick, lookback_of(roller)))
        environment = frozen(scene(environment, then, _rows(source, old.tick, tick, lookback_of(scene))))
    return replace(old, tick=tick, state=frozen(state), state_age=tick - measured.state_tick, environment=environment)


def _rows(source: Snapshot, start: int, stop: int, lookback: int) -> FloatArray:
    """(lookback + n, A): the actions of the n ticks `[start, stop)`, as `Snapshot.rows` has them, and of the `lookback`
    ticks before the first of these.

    Where fewer were ever sent the first one is repeated in front, which mostly is a hold: the robot was at rest. Where
    none is known there are no rows, and the state stays as it was measured.
    """
    rows = source.rows(start - lookback, stop)
    if not lookback or not len(rows):
        return rows
    missing = min(stop - start + lookback - len(rows), lookback)  # more are of ticks in which nothing was sent yet
    return np.concatenate([np.repeat(rows[:1], missing, axis=0), rows]) if missing else rows
