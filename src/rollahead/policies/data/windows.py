"""Windows: the examples that a policy is trained on, drawn from the frames of a data set in batches.

    now    a frame of an episode: the state is of now, and the action rows are from now on
    seen   `delay` frames before it: all else that is seen, environment and images, is of then

The delay is drawn anew for each example, uniform over 0 .. offsets, and `now` then uniform over the frames that have as
many before them in their episode (temporal offsets: VLASH, arXiv 2512.01031, section 4.2). With `offset_state` told and
a delay above 0 the state is not that recorded, but what the robot was told in the tick before; what no target drives is
as measured when the rest was seen, which is what the roller `told` gives. Where the run rolls the
scene as well, the environment is rolled from `seen` to now, and the policy is told a delay of 0. Drawn anew is also the
prefix, how many action rows from now on are given, from 0 to `prefixes` (training-time RTC, arXiv 2512.05964), as
`prefix_lengths` says:

    half          none in half of the examples, uniform in the others
    uniform       every number as often (LeRobot's)
    exponential   n with a weight of exp(-n) (the authors', in simulation)

What is given is what the robot did, not what it should have done: else the state would tell it all, and
the rows given nothing. So an example with a prefix may begin as many frames before the first that is learned from.

`draw_shared` draws several delays for what was seen at one frame, so that its images need to be encoded only once; a
delay that leads out of the demonstration has no row to learn from (as in VLASH's shared observation).

B: batch, T: rows, of which the first n_obs - 1 are before now, as in LeRobot; S, E, A: dimensions.
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from rollahead.errors import ConfigError, unknown_name
from rollahead.policies.data.frames import Floats, Frames, Stats, check_lengths
from rollahead.policies.data.pictures import Pictures
from rollahead.policies.data.told import OFFSET_STATES, told_pairs
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, IMAGES, STATE
from rollahead.policies.policy import Trained
from rollahead.runtime.types.spec import RobotSpec

NO_PREFIX = 0.5  # of the draws
Batch = dict[str, torch.Tensor]


class Windows:
    """rows: T; n_obs: observations per example, one frame apart; trained: what is drawn; episodes: which ones, all of
    them if not said; lead: frames at the start of each that are seen, but are never now; robot: says what drives what,
    if it is known; rolled: (N, offsets + 1, E), the environment as the run rolls it to now (`rolled_scenes`), if it
    does; pictures: of `frames`, if others use them as well."""

    def __init__(
        self,
        frames: Frames,
        rows: int,
        n_obs: int = 1,
        trained: Trained | None = None,
        episodes: Sequence[int] | NDArray[np.intp] | None = None,
        lead: int = 0,
        robot: RobotSpec | None = None,
        rolled: Floats | None = None,
        pictures: Pictures | None = None,
    ) -> None:
        """Raises: ConfigError, if an episode is too short for the offsets, or the prefixes too long for the rows, or
        what the robot was told is no state of its."""
        self._frames = frames
        self._rolled = rolled
        self._trained = trained = trained or Trained()
        _check(frames, rows, n_obs, trained, lead)
        self._pictures = (pictures or Pictures(frames)) if frames.cameras else None
        self._told = told_pairs(frames, robot) if trained.offset_state == "told" else None
        self._history = np.arange(1 - n_obs, 1)
        self._ahead = np.arange(1 - n_obs, 1 - n_obs + rows)
        self._first, self._last = _ends(frames)
        self._order, self._counts = _eligible(frames, trained.offsets, episodes, lead)
        self._lead, self._seen = lead, _seen(frames, trained.offsets, self._order)

    def draw(self, rng: np.random.Generator, n: int) -> Batch:
        """A batch of `n` examples: see `at`."""
        delay = rng.integers(self._trained.offsets + 1, size=n)
        now = self._order[(rng.random(n) * self._counts[delay]).astype(np.intp)]
        prefix = PREFIX_LENGTHS[self._trained.prefix_lengths](rng, self._trained.prefixes, n)
        if self._trained.prefixes:
            back = (rng.random(n) * (prefix + 1)).astype(np.intp)
            now = np.maximum(now - back, self._first[now] + delay)
        return self.at(now, delay, prefix)

    def draw_shared(self, rng: np.random.Generator, n: int, delays: int) -> Batch:
        """A batch in which as many examples in a row as `delays`, from 1 to offsets + 1, were seen at one frame, each
        with a delay of its own: n examples, or the next multiple of `delays` below, but at least `delays`. No rows are
        given."""
        count = max(n // delays, 1)
        offsets = self._trained.offsets
        seen = np.repeat(self._seen[rng.integers(len(self._seen), size=count)], delays)
        every = np.tile(np.arange(offsets + 1), (count, 1))
        delay = rng.permuted(every, axis=1)[:, :delays].reshape(-1)
        inside = (seen + delay <= self._last[seen]) & (seen + delay - self._first[seen] >= self._lead)
        delay = np.where(inside, delay, 0)
        batch = self.at(seen + delay, delay, np.zeros_like(delay))
        batch["action_is_pad"][torch.from_numpy(~inside)] = True
        return batch

    def at(self, now: NDArray[np.intp], delay: NDArray[np.int64], prefix: NDArray[np.int64]) -> Batch:
        """The batch of the frames `now` (B,), seen `delay` (B,) frames before, `prefix` (B,) rows given.

        By LeRobot's keys: state (B, S) and environment (B, E), (B, n_obs, .) if n_obs > 1; action (B, T, A), float32,
        the end's row repeated past an end of the episode, and marked there in action_is_pad (B, T); and delay and
        prefix (B,), int64. The delay is the environment's last dimension too, if the policy is told. Images are uint8,
        to be `scaled`.
        """
        seen = now - delay
        wanted = now[:, None] + self._ahead
        rows = self._inside(now, wanted)
        state = self._state(now, delay)
        environment = self._scene(self._past(seen), delay)
        given = self._ahead < prefix[:, None]
        action = np.where(given[..., None], self._frames.done[rows], self._frames.action[rows])
        if self._trained.delay_input:
            told = delay if self._rolled is None else np.zeros_like(delay)  # as `LocalPlanner` tells it
            environment = np.concatenate([environment, _spread(told, environment)], axis=-1)
        batch = {STATE: state, ACTION: action, "action_is_pad": wanted != rows}
        if environment.shape[-1]:
            batch[ENVIRONMENT] = environment
        batch |= {"delay": delay, "prefix": prefix}
        tensors = {key: torch.from_numpy(values) for key, values in batch.items()}
        if self._pictures is None:
            return tensors
        return tensors | {IMAGES + name: each for name, each in self._pictures.of(self._past(seen)).items()}

    def _state(self, now: NDArray[np.intp], delay: NDArray[np.int64]) -> Floats:
        """(B, S), or (B, n_obs, S): the state of `now`, as it was recorded or as the robot was told it."""
        if self._told is None:
            return self._frames.state[self._past(now)]
        action, state = self._told
        measured, past = self._frames.state[self._past(now - delay)], self._past(now)
        told = measured.copy()
        told[..., state] = self._frames.done[np.maximum(past - 1, self._first[past])][..., action]
        return np.where((delay > 0).reshape(-1, *(1,) * (told.ndim - 1)), told, measured)

    def _scene(self, seen: NDArray[np.intp], delay: NDArray[np.int64]) -> Floats:
        """(B, E) or (B, n_obs, E), the environment of the frames `seen`, as it is given `delay` (B,) frames later."""
        if self._rolled is None:
            return self._frames.environment[seen]
        ahead = delay.reshape(-1, *(1,) * (seen.ndim - 1))
        return self._rolled[seen + ahead, ahead]

    def _past(self, newest: NDArray[np.intp]) -> NDArray[np.intp]:
        """(B, n_obs) frames up to `newest`, (B,) if n_obs is 1."""
        if len(self._history) == 1:
            return newest
        return self._inside(newest, newest[:, None] + self._history)

    def _inside(self, now: NDArray[np.intp], wanted: NDArray[np.intp]) -> NDArray[np.intp]:
        """`wanted` (B, .), kept within the episode of `now` (B,)."""
        return np.clip(wanted, self._first[now, None], self._last[now, None])


def _half(rng: np.random.Generator, most: int, n: int) -> NDArray[np.int64]:
    return rng.integers(most + 1, size=n) * (rng.random(n) >= NO_PREFIX)


def _uniform(rng: np.random.Generator, most: int, n: int) -> NDArray[np.int64]:
    return rng.integers(most + 1, size=n)


def _exponential(rng: np.random.Generator, most: int, n: int) -> NDArray[np.int64]:
    weights = np.exp(-np.arange(most + 1.0))
    return rng.choice(most + 1, size=n, p=weights / weights.sum())


PREFIX_LENGTHS: Mapping[str, Callable[[np.random.Generator, int, int], NDArray[np.int64]]] = {
    "half": _half,
    "uniform": _uniform,
    "exponential": _exponential,
}


def held_out(frames: Frames, share: float = 0.05) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The episodes to train on, and those kept to measure with: `share` of them, spread evenly; always the same, at
    least one, and none of a single one."""
    episodes = np.arange(frames.episodes)
    count = min(max(round(share * len(episodes)), 1), len(episodes) - 1)
    kept = np.floor((np.arange(count) + 0.5) * len(episodes) / max(count, 1)).astype(np.intp)
    return np.setdiff1d(episodes, kept), kept


def statistics(frames: Frames, trained: Trained | None = None) -> Stats:
    """The data set's, by LeRobot's keys, with those of the delay if the policy is told it: uniform, 0 to offsets."""
    stats = {feature: dict(figures) for feature, figures in frames.stats.items()}
    if trained is None or not trained.delay_input:
        return stats
    own, delay = stats.get(ENVIRONMENT, {}), _delay_stats(trained.offsets)
    stats[ENVIRONMENT] = {
        figure: np.append(own.get(figure, np.empty(0)), value)
        for figure, value in delay.items()
        if not own or figure in own
    }
    if "count" in own:
        stats[ENVIRONMENT]["count"] = own["count"]
    return stats


def _delay_stats(offsets: int) -> dict[str, float]:
    quantiles = {f"q{percent:02d}": round(percent / 100 * offsets) for percent in (1, 10, 50, 90, 99)}
    std = math.sqrt(((offsets + 1) ** 2 - 1) / 12)
    return {"min": 0.0, "max": offsets, "mean": offsets / 2, "std": std, **quantiles}


def _spread(delay: NDArray[np.int64], environment: Floats) -> Floats:
    """`delay` (B,) as one more dimension of `environment` (B, E) or (B, n_obs, E)."""
    shape = (len(delay), *(1,) * (environment.ndim - 1))
    return np.broadcast_to(delay.reshape(shape), (*environment.shape[:-1], 1)).astype(np.float32)


def _check(frames: Frames, rows: int, n_obs: int, trained: Trained, lead: int) -> None:
    if not 1 <= n_obs <= rows:
        raise ConfigError(f"rows is {rows} and n_obs {n_obs}; give n_obs from 1 to {rows}")
    if trained.offsets < 0 or not 0 <= trained.prefixes <= rows - n_obs:
        raise ConfigError(
            f"offsets is {trained.offsets} and prefixes {trained.prefixes}; give offsets of at least 0, and prefixes "
            f"from 0 to {rows - n_obs}, as there are {rows - n_obs + 1} rows from now on"
        )
    if trained.prefix_lengths not in PREFIX_LENGTHS:
        raise unknown_name("distribution of prefix lengths", trained.prefix_lengths, PREFIX_LENGTHS)
    if trained.offset_state not in OFFSET_STATES:
        raise unknown_name("offset_state", trained.offset_state, OFFSET_STATES)
    if trained.delay_input and not trained.offsets:
        raise ConfigError(
            "delay_input is true and offsets 0, so the delay would always be 0; give delay_input=false, or offsets of "
            "at least 1"
        )
    check_lengths(frames, max(trained.offsets, lead) + 1, f"training with offsets={trained.offsets}")


def _ends(frames: Frames) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """(N,) and (N,): of each frame the first and the last of its episode."""
    return np.repeat(frames.bounds[:-1], frames.lengths), np.repeat(frames.bounds[1:] - 1, frames.lengths)


def _eligible(
    frames: Frames, offsets: int, episodes: Sequence[int] | NDArray[np.intp] | None, lead: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The frames that may be drawn, those with the most frames before them first, so that a delay of k is for the first
    counts[k] (offsets + 1,) of them."""
    chosen = np.arange(frames.episodes) if episodes is None else np.asarray(episodes, np.intp)
    now = np.concatenate([np.arange(frames.bounds[k], frames.bounds[k + 1]) for k in chosen])
    before = now - _ends(frames)[0][now]
    now, before = now[before >= lead], before[before >= lead]
    order = now[np.argsort(-before, kind="stable")]
    return order, np.array([(before >= k).sum() for k in range(offsets + 1)])


def _seen(frames: Frames, offsets: int, now: NDArray[np.intp]) -> NDArray[np.intp]:
    """The frames from which one of those in `now` is at most `offsets` away in the same episode, in their order."""
    first = _ends(frames)[0][now]
    reached = np.maximum(now - np.arange(offsets + 1)[:, None], first)
    return np.unique(reached)
