"""Policies: the seam between a network and the planner that drives it.

    context = policy.encode(images, task)                  what does not depend on the state: vision, language
    context = policy.bind(context, observations, delay)    the state, as late as possible
    drawn   = sampler(policy, context, noise)              chunks (B, T, A), normalised: `denoise` again and again, or
    rows    = policy.rows(drawn.chunks[0])                 `act` once; (H, A), in robot units, row 0 for now

T: rows that the network makes, some of which may be for ticks before now; H: those from now on; A, S, E: dimensions of
action, state and environment; B: batch. Tensors are float32 and on the policy's device. A policy is one thread's: the
worker's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from rollahead.policies.process import Process
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Images, Observation
from rollahead.runtime.types.spec import PolicySpec

Context = Any  # what a policy makes of an observation: its own affair


@dataclass(frozen=True, slots=True)
class Trained:
    """Conditions that a policy was trained for beside imitation, in ticks.

    offsets: the state was up to so many ticks ahead of what else is seen (VLASH, arXiv 2512.01031, section 4.2);
    delay_input: the policy is told by how many; prefixes: up to so many first rows were given
    (training-time RTC, arXiv 2512.05964); prefix_lengths: how their number was drawn
    (`policies.data.windows.PREFIX_LENGTHS`); offset_state: what the state was where it was ahead, as `recorded`,
    or the position targets that the robot was `told` in the tick before (`rollahead.policies.data.told`).
    """

    offsets: int = 0
    delay_input: bool = False
    prefixes: int = 0
    prefix_lengths: str = "half"
    offset_state: str = "recorded"


class Policy(Protocol):
    """Interface of every trained policy. warm: the levels of noise that a start from the last plan takes with it, if
    that was found (`rollahead.policies.denoising.contraction`)."""

    warm: tuple[float, ...] | None

    @property
    def name(self) -> str:
        """Of its kind, for what is said to people."""
        ...

    @property
    def spec(self) -> PolicySpec: ...

    @property
    def trained(self) -> Trained: ...

    @property
    def shape(self) -> tuple[int, int]:
        """(T, A), of a chunk as the network makes it."""
        ...

    def encode(self, images: Sequence[Images], task: str) -> Context:
        """What is seen and said, without the state. images: of the n_obs newest observations, oldest first. Phase: hot,
        in the worker."""
        ...

    def bind(self, context: Context, observations: Sequence[Observation], delay: int) -> Context:
        """`context` with the state and environment of the n_obs newest observations, in the policy's own order of
        names. delay: by how many ticks the state is ahead of what else is seen. Phase: hot, in the worker."""
        ...

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """(H, A), in robot units and the policy's order of names, of a normalised chunk (T, A). Phase: hot."""
        ...

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """(n, A), normalised, of rows in robot units and the policy's order of names. Phase: hot."""
        ...


class Denoiser(Policy, Protocol):
    """A policy that makes a chunk of noise, step by step."""

    @property
    def process(self) -> Process:
        """How noise and action are mixed, and what `denoise` predicts of the mixture."""
        ...

    def denoise(self, context: Context, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """(B, T, A), what `process` says, for the chunks `x` (B, T, A) at times `t` (B,), or (B, T) where each row may
        have its own. Phase: hot."""
        ...


@runtime_checkable
class Featured(Policy, Protocol):
    """A policy that tells what its network made of an observation, for a corrector (A2C2's z)."""

    @property
    def feature_dim(self) -> int:
        """Z, how many numbers."""
        ...

    def features(self, context: Context) -> FloatArray:
        """(Z,), the same for the same bound `context`. Phase: hot, in the worker."""
        ...


class OneShot(Policy, Protocol):
    """A policy that makes a chunk at once (ACT)."""

    def act(self, context: Context) -> torch.Tensor:
        """(T, A), normalised. Phase: hot."""
        ...
