"""Options of the techniques that a strategy uses: RTC guidance, bidirectional decoding, a corrector, ensembling.

Each class is a group of options under `strategy`, as in `strategy.guidance.mask`, and checks its own values.
"""

from dataclasses import dataclass

from rollahead.errors import ConfigError, unknown_name

MASKS = ("exp", "linear", "ones", "zeros")  # names of the soft masks of RTC guidance
JACOBIANS = ("full", "identity")  # whether the gradient of guidance goes through the network, or skips it
MOST_CANDIDATES, MOST_WEIGHT = 256, 1000
MOST_RESIDUAL = 2  # in halves of an action's range: the whole range


@dataclass(frozen=True, slots=True)
class GuidanceConfig:
    """RTC guidance of a chunk towards the last plan while it is denoised (arXiv 2506.07339).

    Attributes:
        enabled: Whether `vlash` uses guidance; `rtc` always does.
        mask: How the weight of a row decreases from the switch on, one of `MASKS`.
        execution_horizon: First row with the weight 0; None for H - s. The word is LeRobot's; it is not the execution
            horizon `s` of the strategy.
        jacobian: `full` (as published) or `identity` (as in LeRobot 0.6.1).
        max_guidance_weight: Upper limit of the guidance weight; None for the number of denoising steps.

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

    Attributes:
        candidates: Number of chunks to choose from.
        verifier: Name of the cost by which a chunk is compared with the last plan.
        rho: Factor by which the weight decreases from row to row.
        modes: The candidates / modes chunks of the lowest cost are contrasted; None for no contrast.
        weak: Checkpoint of a weaker policy, from whose chunks the chosen one should differ; None for none.

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

    Attributes:
        path: File of the network; None for no correction.
        max_residual: Largest correction of an action, in halves of its range.

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
    """Weights of temporal ensembling.

    `decay`: the n-th chunk that covers a tick, counted from the oldest, has the weight exp(-decay * n).
    """

    decay: float = 0.01
