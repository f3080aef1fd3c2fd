"""Options of `rollahead train` and `train-corrector` outside their groups; see configs/train.yaml."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from omegaconf import DictConfig

from rollahead.commands.app import given_options
from rollahead.errors import ConfigError
from rollahead.policies.data.pictures import MOST_MB
from rollahead.runtime.types.seeds import check_seed

Idle = Sequence[tuple[str, Callable[[DictConfig], bool], Sequence[str]]]  # cases in which options have no effect

HELD = 1_000_000  # difference between the seeds of evaluation episodes and demonstrations


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """Options outside the groups (configs/train.yaml).

    Those with defaults are missing in the training of a corrector, or in a run of an earlier version.
    """

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
    """Options of the demonstrations by the task's expert.

    Attributes:
        count: Number of demonstrations.
        ticks: Length of a demonstration in ticks.
        noise: Noise on the executed actions, in halves of an action's range.
        exploration_ticks: Number of these ticks, at the start, in which the robot moves at random.
    """

    count: int
    ticks: int
    noise: float
    exploration_ticks: int

    def __post_init__(self) -> None:
        if not 1 <= self.count <= HELD:
            raise ConfigError(f"demonstrations.count is {self.count}; give from 1 to {HELD}")


@dataclass(frozen=True, slots=True)
class Watch:
    """Options of the evaluation during the training.

    Attributes:
        every: Number of steps from one evaluation to the next.
        episodes: Number of episodes per evaluation; 0 for none.
    """

    every: int = 1
    episodes: int = 0

    def __post_init__(self) -> None:
        if self.every < 1 or self.episodes < 0:
            raise ConfigError(f"watch.every is {self.every} and watch.episodes {self.episodes}; give at least 1, and 0")


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Options of the evaluation after the training.

    Attributes:
        delays: Delays of an inference, in ticks.
        episodes: Number of episodes per delay.
    """

    delays: Sequence[int]
    episodes: int

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) < 0 or self.episodes < 1:
            raise ConfigError(
                f"evaluation.delays is {self.delays} and evaluation.episodes {self.episodes}; give a list of ticks, "
                "such as [0, 8], and at least 1"
            )


def useful(config: DictConfig, idle: Idle) -> DictConfig:
    """Removes the default task from `config` if a data set is given, and checks for options without effect.

    Args:
        config: Configuration of the command; it is changed.
        idle: Cases in which options have no effect: description, condition and options.

    Raises: ConfigError, if an option was given that has no effect.
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
