"""Options of the techniques that a strategy uses: RTC guidance, bidirectional decoding, a corrector, ensembling.

Each is a group of its own under `strategy`, as in `strategy.guidance.mask`, and checks its values itself.
"""

from dataclasses import dataclass

from rollahead.errors import ConfigError, unknown_name

MASKS = ("exp", "linear", "ones", "zeros")  # names of the soft masks of RTC guidance
JACOBIANS = ("full", "identity")  # what the gradient of guidance goes back through: the network, or nothing
MOST_CANDIDATES, MOST_WEIGHT = 256, 1000
MOST_RESIDUAL = 2  # in halves of an action's range: the whole range


@dataclass(frozen=True, slots=True)
class GuidanceConfig:
    """RTC guidance of a chunk towards the last plan while it is denoised (arXiv 2506.07339).

    enabled: whether `vlash` uses it, `rtc` always does; mask: how the weight of a row falls off from the switch on, one
    of `MASKS`; execution_horizon: the row from which on the weight is 0 (LeRobot's word; not the execution horizon `s`
    of the strategy), None for H - s; jacobian: `full` (as published) or `identity` (as in LeRobot 0.6.1);
    max_guidance_weight: the upper limit of the guidance weight, None for the number of denoising steps.

    Raises: ConfigError, if a value is none of its choices or out of its range.
    """

    enabled: bool = False
    mask: str = "exp"
    execution_horizon: int | None = None
    jacobian: str = "full"
    max_guidance_weight: float | None = None

    def __post_init__(self) -> None:
        if self.mask not in MASKS:
            raise unknown_name("strategy.guidance.mask", self.mask, MASKS)
        if self.jacobian not in JACOBIANS:
            raise unknown_name("strategy.guidance.jacobian", self.jacobian, JACOBIANS)
        if self.execution_horizon is not None and self.execution_horizon < 0:
            raise ConfigError(
                f"strategy.guidance.execution_horizon is {self.execution_horizon}; give a row from 0 on, from which on "
                "the guidance weight is 0"
            )
        if self.max_guidance_weight is not None and not 0 < self.max_guidance_weight <= MOST_WEIGHT:
            raise ConfigError(
                f"strategy.guidance.max_guidance_weight is {self.max_guidance_weight}; give more than 0, and at most "
                f"{MOST_WEIGHT}"
            )


@dataclass(frozen=True, slots=True)
class BidConfig:
    """Choice among several chunks by bidirectional decoding (arXiv 2408.17355).

    candidates: number of chunks to choose from; verifier: name of the cost by which a chunk is compared with the last
    plan; rho: factor by which the weight of a row falls from row to row; modes: one in so many candidates is compared
    with the others, None for no contrast; weak: checkpoint of a weaker policy, from whose chunks the chosen one should
    differ, None for none.

    Raises: ConfigError, if a number is out of its range.
    """

    candidates: int = 16
    verifier: str = "agreement"
    rho: float = 0.5
    modes: int | None = 3
    weak: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.candidates <= MOST_CANDIDATES:
            raise ConfigError(f"strategy.bid.candidates is {self.candidates}; give from 1 to {MOST_CANDIDATES}")
        if not 0 < self.rho <= 1:
            raise ConfigError(f"strategy.bid.rho is {self.rho}; give more than 0, and at most 1 (all rows count alike)")


@dataclass(frozen=True, slots=True)
class CorrectorConfig:
    """Correction of each row by a small network that sees the newest state (A2C2, arXiv 2509.23224).

    path: file of the network, None for no correction; max_residual: the largest correction of an action, in halves of
    its range.

    Raises: ConfigError, if `max_residual` is out of its range.
    """

    path: str | None = None
    max_residual: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.max_residual <= MOST_RESIDUAL:
            raise ConfigError(
                f"strategy.corrector.max_residual is {self.max_residual}; give more than 0, and at most "
                f"{MOST_RESIDUAL}, the whole range"
            )


@dataclass(frozen=True, slots=True)
class EnsembleConfig:
    """Weights of temporal ensembling. decay: chunk n of those that cover a tick, from the oldest on, has the weight
    exp(-decay * n)."""

    decay: float = 0.01
