"""Options of `rollahead train` beside those of its task and its policy; see configs/train.yaml."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rollahead.errors import ConfigError
from rollahead.policies.data.pictures import MOST_MB
from rollahead.runtime.types.seeds import check_seed

HELD = 1_000_000  # the seeds of episodes that are played are so far from those of demonstrations


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """The options that are in no group."""

    dataset: str | None
    cameras: Sequence[str] | None
    offsets: int
    offset_state: str
    shared_offsets: int | None
    delay_input: bool | None
    prefixes: int
    prefix_lengths: str
    scale: Mapping[str, float] | None
    seed: int
    threads: int | None
    workers: int
    resume: str | None
    device: str | None = None  # these two are not in runs that were begun without
    image_cache_mb: int = int(MOST_MB)

    def __post_init__(self) -> None:
        if (self.threads is not None and self.threads < 1) or self.workers < 1:
            raise ConfigError(f"threads is {self.threads} and workers {self.workers}; give at least 1 of each")
        if self.image_cache_mb < 0:
            raise ConfigError(f"image_cache_mb is {self.image_cache_mb}; give at least 0")
        check_seed(self.seed, 2 * HELD)


@dataclass(frozen=True, slots=True)
class Demonstrations:
    """How many, of how many ticks, how noisy; exploration_ticks: the first of these ticks, in which the robot goes
    anywhere."""

    count: int
    ticks: int
    noise: float
    exploration_ticks: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= HELD:
            raise ConfigError(f"demonstrations.count is {self.count}; give from 1 to {HELD}")


@dataclass(frozen=True, slots=True)
class Watch:
    """every: so many steps; episodes: of play."""

    every: int
    episodes: int

    def __post_init__(self) -> None:
        if self.every < 1 or self.episodes < 0:
            raise ConfigError(f"watch.every is {self.every} and watch.episodes {self.episodes}; give at least 1, and 0")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """delays: in ticks; episodes: of each."""

    delays: Sequence[int]
    episodes: int

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) < 0 or self.episodes < 1:
            raise ConfigError(
                f"evaluation.delays is {self.delays} and evaluation.episodes {self.episodes}; give a list of ticks, "
                "such as [0, 8], and at least 1"
            )
