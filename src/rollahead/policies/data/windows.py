"""Windows: training examples, drawn in batches from the frames of a data set.

    now    a frame of an episode: the state is that of `now`, and the action rows start at `now`
    seen   the frame `delay` frames earlier: environment and images are those of `seen`

The delay is drawn for each example, uniformly from 0 to `offsets`. `now` is then drawn uniformly from the frames that
have as many frames before them in their episode (temporal offsets: VLASH, arXiv 2512.01031, section 4.2).

With `offset_state` told and a delay above 0, the state is the target sent in the tick before instead of the recorded
state. Dimensions that no target drives keep the value measured at `seen`. The roller `told` does the same in a run. If
the run rolls the environment as well, the environment is rolled from `seen` to `now`, and the delay given to the policy
is 0.

The length of the prefix, the number of first action rows that are given, is also drawn for each example, from 0 to
`prefixes` (training-time RTC, arXiv 2512.05964), with the distribution `prefix_lengths`:

    half          0 in half of the examples, uniform in the others
    uniform       uniform (LeRobot)
    exponential   n with weight exp(-n) (the authors, in simulation)

The prefix holds the actions that were sent. The actions to learn would be useless as a prefix, because they follow
from the state. An example with a prefix may begin as many frames before the first frame that is learned from.

`draw_shared` draws several delays for one `seen` frame, so that its images are encoded only once. A delay that leads
out of the demonstration has no row to learn from, as in VLASH's shared observation.

B: batch; T: rows, of which the first n_obs - 1 are before `now`, as in LeRobot; S, E, A: dimensions.
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

NO_PREFIX = 0.5  # share of the examples of `half` that have no prefix
Batch = dict[str, torch.Tensor]


class Windows:
    """Training examples of a data set.

    Args:
        frames: The data set.
        rows: T, rows per example.
        n_obs: Observations per example, one frame apart.
        trained: Delays and prefixes to draw.
        episodes: Episodes to draw from, None for all.
        lead: Frames at the start of each episode that are seen, but are never `now`.
        robot: Robot of the data, which says which action drives which state, if known.
        rolled: (N, offsets + 1, E), the environment rolled to `now` (`rolled_scenes`), if the run rolls it.
        pictures: Images of `frames`, if others use them as well.
    """

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
        """Prepares the frames that can be drawn.

        Raises: ConfigError, if an episode is too short for the offsets, the prefixes are too long for the rows, or a
        target drives no state.
        """
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
        """A batch of `n` examples, in the format of `at`."""
        delay = rng.integers(self._trained.offsets + 1, size=n)
        now = self._order[(rng.random(n) * self._counts[delay]).astype(np.intp)]
        prefix = PREFIX_LENGTHS[self._trained.prefix_lengths](rng, self._trained.prefixes, n)
        if self._trained.prefixes:
            back = (rng.random(n) * (prefix + 1)).astype(np.intp)
            now = np.maximum(now - back, self._first[now] + delay)
        return self.at(now, delay, prefix)

    def draw_shared(self, rng: np.random.Generator, n: int, delays: int) -> Batch:
        """A batch in which `delays` examples in a row share the frame `seen`, each with a delay of its own.

        It has n examples, rounded down to a multiple of `delays`, but at least `delays`. `delays` is from 1 to offsets
        + 1. No prefix is given.
        """
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
        """The batch of the frames `now` (B,), seen `delay` (B,) frames earlier, with prefixes of `prefix` (B,) rows.

        Keys are LeRobot's: state (B, S) and environment (B, E), or (B, n_obs, .) if n_obs > 1; action (B, T, A),
        float32. Past an end of the episode its last row is repeated, and marked in action_is_pad (B, T). Further keys
        are delay and prefix (B,), int64. The delay is also the last dimension of the environment if the policy takes it
        as an input. Images are uint8, to be converted with `scaled`.
        """
        seen = now - delay
        wanted = now[:, None] + self._ahead
        rows = self._inside(now, wanted)
        state = self._state(now, delay)
        environment = self._scene(self._past(seen), delay)
        given = self._ahead < prefix[:, None]
        action = np.where(given[..., None], self._frames.sent[rows], self._frames.action[rows])
        if self._trained.delay_input:
            given_delay = delay if self._rolled is None else np.zeros_like(delay)  # as `LocalPlanner` gives it in a run
            environment = np.concatenate([environment, _spread(given_delay, environment)], axis=-1)
        batch = {STATE: state, ACTION: action, "action_is_pad": wanted != rows}
        if environment.shape[-1]:
            batch[ENVIRONMENT] = environment
        batch |= {"delay": delay, "prefix": prefix}
        tensors = {key: torch.from_numpy(values) for key, values in batch.items()}
        if self._pictures is None:
            return tensors
        return tensors | {IMAGES + name: each for name, each in self._pictures.of(self._past(seen)).items()}

    def _state(self, now: NDArray[np.intp], delay: NDArray[np.int64]) -> Floats:
        """(B, S) or (B, n_obs, S): the state at `now`, as recorded, or as the targets sent."""
        if self._told is None:
            return self._frames.state[self._past(now)]
        action, state = self._told
        measured, past = self._frames.state[self._past(now - delay)], self._past(now)
        told = measured.copy()
        told[..., state] = self._frames.sent[np.maximum(past - 1, self._first[past])][..., action]
        return np.where((delay > 0).reshape(-1, *(1,) * (told.ndim - 1)), told, measured)

    def _scene(self, seen: NDArray[np.intp], delay: NDArray[np.int64]) -> Floats:
        """(B, E) or (B, n_obs, E): the environment of frames `seen`, as it is given `delay` (B,) frames later."""
        if self._rolled is None:
            return self._frames.environment[seen]
        ahead = delay.reshape(-1, *(1,) * (seen.ndim - 1))
        return self._rolled[seen + ahead, ahead]

    def _past(self, newest: NDArray[np.intp]) -> NDArray[np.intp]:
        """(B, n_obs): the frames up to `newest` (B,). (B,) if n_obs is 1."""
        if len(self._history) == 1:
            return newest
        return self._inside(newest, newest[:, None] + self._history)

    def _inside(self, now: NDArray[np.intp], wanted: NDArray[np.intp]) -> NDArray[np.intp]:
        """`wanted` (B, .), clipped to the episode of `now` (B,)."""
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
    """The episodes to train on, and the episodes to measure on.

    `share` of the episodes, spread evenly, are held out: at least one, but none if there is only one. The choice is
    always the same.
    """
    episodes = np.arange(frames.episodes)
    count = min(max(round(share * len(episodes)), 1), len(episodes) - 1)
    kept = np.floor((np.arange(count) + 0.5) * len(episodes) / max(count, 1)).astype(np.intp)
    return np.setdiff1d(episodes, kept), kept


def statistics(frames: Frames, trained: Trained | None = None) -> Stats:
    """The statistics of a data set, by LeRobot's keys.

    If the policy takes the delay as an input, those of the delay are appended to the environment's: uniform from 0 to
    offsets.
    """
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
    """`delay` (B,) as an additional dimension for `environment` (B, E) or (B, n_obs, E)."""
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
    """(N,) and (N,): the first and the last frame of the episode of each frame."""
    return np.repeat(frames.bounds[:-1], frames.lengths), np.repeat(frames.bounds[1:] - 1, frames.lengths)


def _eligible(
    frames: Frames, offsets: int, episodes: Sequence[int] | NDArray[np.intp] | None, lead: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The frames that may be drawn, ordered by the number of frames before them, and how many of them allow each delay.

    A delay of k may be drawn for the first counts[k] of them; counts has the shape (offsets + 1,).
    """
    chosen = np.arange(frames.episodes) if episodes is None else np.asarray(episodes, np.intp)
    now = np.concatenate([np.arange(frames.bounds[k], frames.bounds[k + 1]) for k in chosen])
    before = now - _ends(frames)[0][now]
    now, before = now[before >= lead], before[before >= lead]
    order = now[np.argsort(-before, kind="stable")]
    return order, np.array([(before >= k).sum() for k in range(offsets + 1)])


def _seen(frames: Frames, offsets: int, now: NDArray[np.intp]) -> NDArray[np.intp]:
    """The sorted frames from which a frame in `now` is at most `offsets` away in the same episode."""
    first = _ends(frames)[0][now]
    reached = np.maximum(now - np.arange(offsets + 1)[:, None], first)
    return np.unique(reached)
