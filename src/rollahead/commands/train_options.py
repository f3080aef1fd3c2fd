"""Options of `rollahead train` and `train-corrector` beside those of their groups; see configs/train.yaml."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from rollahead.commands.app import given_options
from rollahead.errors import ConfigError
from rollahead.policies.data.pictures import MOST_MB
from rollahead.runtime.types.seeds import check_seed

Idle = Sequence[tuple[str, Callable[[DictConfig], bool], Sequence[str]]]  # when which options are of no use

HELD = 1_000_000  # the seeds of episodes that are played are so far from those of demonstrations


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """The options that are in no group. A run of an earlier version, and the training of a corrector, have not all."""

    dataset: str | None
    seed: int
    threads: int | None
    workers: int
    cameras: Sequence[str] | None = None
    offsets: int = 0
    offset_state: str = "recorded"
    shared_offsets: int | None = None
    delay_input: bool | None = None
    prefixes: int = 0
    prefix_lengths: str = "half"
    scale: Mapping[str, float] | None = None
    resume: str | None = None
    device: str | None = None
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

    every: int = 1
    episodes: int = 0

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


def useful(config: DictConfig, idle: Idle) -> DictConfig:
    """`config`, without a task where a data set is given and no task was asked for.

    Raises: ConfigError, if an option was given that is of no use, as `idle` says.
    """
    given = given_options()
    if config.dataset is not None and config.get("task") is not None and not any(map(_under("task"), given)):
        config.task = None
    for when, holds, options in idle:
        found = [key for key in given if any(_under(option)(key) for option in options)]
        if found and holds(config):
            raise ConfigError(f"{found[0]} is of no use {when}; leave it out")
    return config


def _under(option: str) -> Callable[[str], bool]:
    return lambda key: key == option or key.startswith(f"{option}.")
