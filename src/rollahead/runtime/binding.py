"""Binding: the state a policy is given, chosen as late as possible.

The worker calls `bind` after what does not depend on the state (vision, language) is done. The newest snapshot then has
a newer measurement than the request, and fewer ticks are left to roll over:

    tick      t_obs        t_obs + bind        roll_to = origin
    request   |------------|
    roll                   |~~~~~~~~~~~~~~~~~~~|
"""

from dataclasses import replace

from rollahead.runtime.arrays import FloatArray, frozen
from rollahead.runtime.messages import Observation, Request, Snapshot
from rollahead.runtime.roll import SceneRoller, StateRoller


def bind(
    request: Request, newest: Snapshot, roller: StateRoller, scene: SceneRoller | None = None
) -> tuple[Observation, ...]:
    """The observations to plan from, oldest first, each with its state rolled to its own tick before `roll_to`.

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
    state = roller(measured.state, source.rows(measured.state_tick, tick))
    environment: FloatArray = old.environment
    if scene is not None:  # as it was seen with the images, so from the request's tick on
        then = roller(old.state, asked.rows(old.state_tick, old.tick))
        environment = frozen(scene(environment, then, source.rows(old.tick, tick)))
    return replace(old, tick=tick, state=frozen(state), state_age=tick - measured.state_tick, environment=environment)
