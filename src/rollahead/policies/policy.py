"""Policies: the seam between a network and the planner that drives it.

    encoded = policy.encode(EncoderInput(images, stamps, epoch, task))   vision and language, without the state
    context = policy.bind(encoded, observations, delay)                  the state, as late as possible
    drawn   = sampler(policy, context, noise)                            chunks (B, T, W), normalised: `denoise` again
                                                                         and again, or `act` once
    rows    = policy.rows(drawn.chunks[0])                               (H, A), in robot units, row 0 for now

One context serves all B noises. A policy whose `spec.state_in` is `encode` is given the observations before it encodes.

T: rows that the network makes, some of which may be for ticks before now; H: those from now on; W: numbers in a row of
the network; A, S, E: dimensions of action, state and environment, A <= W, since networks pad (VLAs to 32); B: batch.
Tensors are float32 and on the policy's device. A policy is one thread's: the worker's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from typing_extensions import TypeVar

from rollahead.policies.process import Process
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.messages import Images, Observation
from rollahead.runtime.types.spec import PolicySpec

Encoded = TypeVar("Encoded", default=Any)  # what a policy makes of images and task
Bound_co = TypeVar("Bound_co", default=Any, covariant=True)  # the same with the state: its context
Bound = TypeVar("Bound", default=Any)
Context = Any  # the context of whichever policy: what samplers pass on


@dataclass(frozen=True, slots=True, eq=False)
class EncoderInput:
    """Images and task text to be encoded, with the keys under which features of the images are cached.

    images: of the n_obs newest observations, oldest first, by the policy's camera names; stamps: their capture stamps,
    likewise: of one camera, images with the same stamp are the same; epoch: hard epoch of the request: what was cached
    in another one is dropped; task: what the robot is told to do.
    observations, delay: as `Policy.bind` is given them, for a policy whose `state_in` is `encode`; else none.
    """

    images: Sequence[Images]
    stamps: Sequence[Mapping[str, int]]
    epoch: int = 0
    task: str = ""
    observations: Sequence[Observation] = ()
    delay: int = 0

    @classmethod
    def of(cls, observations: Sequence[Observation], epoch: int = 0) -> "EncoderInput":
        """The images and the task of `observations`, whose cameras are named as the policy's."""
        images, stamps = [each.images for each in observations], [each.image_stamps for each in observations]
        return cls(images, stamps, epoch, observations[-1].task)


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


class Policy(Protocol[Encoded, Bound_co]):
    """Interface of every trained policy.

    `warm`: the levels of noise that a start from the last plan takes with it, if that was found
    (`rollahead.policies.denoising.contraction`).
    """

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
        """(T, W), of a chunk as the network makes it."""
        ...

    def encode(self, seen: EncoderInput) -> Encoded:
        """Encodes images and task; with the state only if `state_in` is `encode`. Phase: hot, in the worker."""
        ...

    def bind(self, encoded: Encoded, observations: Sequence[Observation], delay: int) -> Bound_co:
        """Makes the context: what was `encoded`, with the state and environment of the n_obs newest observations, in
        the policy's own order of names. delay: by how many ticks the state is ahead of what else is seen. Its tensors
        are no inference tensors, for guidance goes back through the network. Phase: hot, in the worker."""
        ...

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """(H, A), in robot units and the policy's order of names, of a normalised chunk (T, W), whose numbers after the
        first A of a row are left out. Phase: hot."""
        ...

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """(n, W), normalised, of rows (n, A) in robot units and the policy's order of names; the numbers after the
        first A are what the network was trained to give there. Phase: hot."""
        ...


class Denoiser(Policy[Encoded, Bound], Protocol[Encoded, Bound]):
    """A policy that makes a chunk of noise, step by step."""

    @property
    def process(self) -> Process:
        """How noise and action are mixed, and what `denoise` predicts of the mixture."""
        ...

    def denoise(self, context: Bound, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """(B, T, W), what `process` says, for the chunks `x` (B, T, W) at times `t` (B,), or (B, T) where each row may
        have its own. Phase: hot."""
        ...


@runtime_checkable
class Featured(Policy[Encoded, Bound], Protocol[Encoded, Bound]):
    """A policy that tells what its network made of an observation, for a corrector (A2C2's z)."""

    @property
    def feature_dim(self) -> int:
        """Z, how many numbers."""
        ...

    def features(self, context: Bound) -> FloatArray:
        """(Z,), the same for the same bound `context`. Phase: hot, in the worker."""
        ...


class OneShot(Policy[Encoded, Bound], Protocol[Encoded, Bound]):
    """A policy that makes a chunk at once (ACT)."""

    def act(self, context: Bound) -> torch.Tensor:
        """(T, W), normalised. Phase: hot."""
        ...
