"""The Policy protocol between a network and the planner that calls it.

    encoded = policy.encode(EncoderInput(images, stamps, epoch, task))   vision and language, without the state
    context = policy.bind(encoded, observations, delay)                  the state, as late as possible
    drawn   = sampler(policy, context, noise)                            chunks (B, T, W), normalised: several calls of
                                                                         `denoise`, or one of `act`
    rows    = policy.rows(drawn.chunks[0])                               (H, A), in robot units, row 0 for now

One context serves all B noises. A policy whose `spec.state_in` is `encode` receives the observations in `encode`.

T: rows that the network makes, some of which may be for ticks before now; H: rows from now on; W: numbers in a row of
the network; A, S, E: dimensions of action, state and environment; A <= W, since some networks pad (VLAs to 32);
B: batch size. Tensors are float32 and on the policy's device.

Threads: the worker's alone.
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

Encoded = TypeVar("Encoded", default=Any)  # features of images and task text
Bound_co = TypeVar("Bound_co", default=Any, covariant=True)  # the context: those features with the state
Bound = TypeVar("Bound", default=Any)
Context = Any  # the context of any policy, which samplers pass on to it


@dataclass(frozen=True, slots=True, eq=False)
class EncoderInput:
    """Images and task text to be encoded, with the keys under which features of the images are cached.

    Attributes:
        images: Images of the n_obs newest observations, oldest first, by the policy's camera names.
        stamps: Capture stamps of the images, in the same order. Images of a camera with the same stamp are the same.
        epoch: Hard epoch of the request; features that were cached in another epoch are dropped.
        task: Task text.
        observations: Observations for `Policy.bind`, if the policy's `state_in` is `encode`; empty otherwise.
        delay: Ticks by which their state is ahead of the rest, see `Policy.bind`; 0 if they are empty.
    """

    images: Sequence[Images]
    stamps: Sequence[Mapping[str, int]]
    epoch: int = 0
    task: str = ""
    observations: Sequence[Observation] = ()
    delay: int = 0

    @classmethod
    def of(cls, observations: Sequence[Observation], epoch: int = 0) -> "EncoderInput":
        """Images and task text of `observations`, whose cameras have the policy's names."""
        images, stamps = [each.images for each in observations], [each.image_stamps for each in observations]
        return cls(images, stamps, epoch, observations[-1].task)


@dataclass(frozen=True, slots=True)
class Trained:
    """Conditions of a policy's training beyond imitation.

    Attributes:
        offsets: Largest number of ticks by which the state was ahead of images and environment (VLASH, arXiv
            2512.01031, section 4.2).
        delay_input: Whether the policy receives the planned delay in ticks as an extra input (the last environment
            dimension).
        prefixes: Largest number of first rows that were given (training-time RTC, arXiv 2512.05964).
        prefix_lengths: How the number of given rows was drawn, a key of `policies.data.windows.PREFIX_LENGTHS`.
        offset_state: State in examples where it is ahead: `recorded`, or `told` for the position targets sent in the
            tick before (`rollahead.policies.data.told`).
    """

    offsets: int = 0
    delay_input: bool = False
    prefixes: int = 0
    prefix_lengths: str = "half"
    offset_state: str = "recorded"


class Policy(Protocol[Encoded, Bound_co]):
    """Interface of every trained policy.

    `warm`: noise levels of a start from the last plan, if they were measured for the policy
    (`rollahead.policies.denoising.contraction`); else None.
    """

    warm: tuple[float, ...] | None

    @property
    def name(self) -> str:
        """Name of the kind of policy, for messages."""
        ...

    @property
    def spec(self) -> PolicySpec:
        """Spec of the policy: its inputs, actions, horizon and rate."""
        ...

    @property
    def trained(self) -> Trained:
        """Conditions of its training beyond imitation."""
        ...

    @property
    def shape(self) -> tuple[int, int]:
        """Shape (T, W) of a chunk of the network."""
        ...

    def encode(self, seen: EncoderInput) -> Encoded:
        """Encodes images and task text, and the state only if `state_in` is `encode`. Phase: hot, in the worker."""
        ...

    def bind(self, encoded: Encoded, observations: Sequence[Observation], delay: int) -> Bound_co:
        """Makes the context of the network from the encoded images and task text, the state and the environment.

        Its tensors are not made in inference mode, since guidance needs gradients through the network.

        Args:
            encoded: Result of `encode`.
            observations: The n_obs newest observations, oldest first, in the policy's order of names.
            delay: Ticks by which the state is ahead of images and environment.

        Phase: hot, in the worker.
        """
        ...

    def rows(self, chunk: torch.Tensor) -> FloatArray:
        """Rows (H, A) of a normalised chunk (T, W), in robot units and the policy's order of names.

        The numbers after the first A of each row are left out. Phase: hot.
        """
        ...

    def normalised(self, rows: FloatArray) -> torch.Tensor:
        """Normalised rows (n, W) of rows (n, A) in robot units and the policy's order of names.

        The numbers after the first A are those that the network was trained to give there. Phase: hot.
        """
        ...


class Denoiser(Policy[Encoded, Bound], Protocol[Encoded, Bound]):
    """A policy that makes a chunk from noise in several denoising steps."""

    @property
    def process(self) -> Process:
        """Noise process: how noise and actions are mixed, and what `denoise` predicts."""
        ...

    def denoise(self, context: Bound, x: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        """Prediction (B, T, W) of the network, whose meaning `process` gives. Phase: hot.

        Args:
            context: Context of the network.
            x: Noisy chunks, (B, T, W).
            t: Times (B,), or (B, T) if each row has its own.
        """
        ...


@runtime_checkable
class Featured(Policy[Encoded, Bound], Protocol[Encoded, Bound]):
    """A policy that gives features of its network for a corrector (z of A2C2, arXiv 2509.23224)."""

    @property
    def feature_dim(self) -> int:
        """Number Z of features."""
        ...

    def features(self, context: Bound) -> FloatArray:
        """Features (Z,), which depend on `context` alone. Phase: hot, in the worker."""
        ...


class OneShot(Policy[Encoded, Bound], Protocol[Encoded, Bound]):
    """A policy that makes a chunk in one call of its network (ACT)."""

    def act(self, context: Bound) -> torch.Tensor:
        """Normalised chunk (T, W). Phase: hot."""
        ...
