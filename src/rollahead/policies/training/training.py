"""Training: one step after the other on batches of windows, an average of the weights kept, resumed where it was.

    training = Training(policy, draw, config)
    while training.step < config.steps:
        training.advance()

Every step has a batch and noise of its own, so a training that was killed and resumed is the one that was not.

What is watched is not the mean loss, which low noise dominates and which says little about play: it is the error of one
cold step, from nothing but noise, on demonstrations that were held out, and the play itself, by whoever trains.
"""

import io
import math
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.optim.swa_utils import AveragedModel

from rollahead.errors import ConfigError, InferenceError, one_line
from rollahead.runtime.recording.run_folder import written_whole
from rollahead.runtime.types.seeds import generator

Batch = Mapping[str, torch.Tensor]
MakeBatch = Callable[[int], Batch]  # of a step

BATCH, SEEN_BATCH = 256, 8  # the latter is LeRobot's
FUSED = ("cpu", "cuda")  # devices where AdamW has one kernel for all of its step, which takes a third of the time
WARM_UP = 100  # steps over which the learning rate rises


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """steps: how many; batch: examples in each, None for `BATCH`, or `SEEN_BATCH` with images; learning_rate: at its
    highest, falling to nothing along a cosine; average: decay of the averaged weights, which are what is kept; clip:
    of the gradient's norm."""

    steps: int = 20_000
    batch: int | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-6
    average: float = 0.999
    clip: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 1 or (self.batch is not None and self.batch < 1) or self.seed < 0:
            raise ConfigError(
                f"steps is {self.steps}, batch {self.batch} and seed {self.seed}; give at least 1, 1 and 0"
            )
        if not (
            0 < self.learning_rate < math.inf and self.weight_decay >= 0 and 0 <= self.average < 1 and self.clip > 0
        ):
            raise ConfigError(
                f"learning_rate is {self.learning_rate}, weight_decay {self.weight_decay}, average {self.average} and "
                f"clip {self.clip}; give positive ones, a weight_decay of at least 0, and an average from 0 to below 1"
            )

    def examples(self, seeing: bool) -> int:
        """How many each step has. seeing: with images, which are large."""
        return self.batch or (SEEN_BATCH if seeing else BATCH)


class Training:
    """The training of `policy`, a network whose `forward(batch)` gives a loss first.

    draw: the normalised batch of a step, which depends on nothing else.
    """

    def __init__(self, policy: torch.nn.Module, draw: MakeBatch, config: TrainingConfig) -> None:
        self.step = 0
        self.loss = math.nan  # a running mean
        self._policy = policy.train()
        self._draw = draw
        self._config = config
        self._average = AveragedModel(policy, multi_avg_fn=self._averaged)
        weights = list(policy.parameters())
        fused = all(weight.device.type in FUSED for weight in weights)
        self._optimizer = torch.optim.AdamW(
            weights, lr=config.learning_rate, weight_decay=config.weight_decay, fused=fused
        )

    @property
    def averaged(self) -> Any:
        """The policy with the averaged weights."""
        return self._average.module.eval()

    def advance(self) -> None:
        """One step. Raises: InferenceError, if the loss is not a number, or its gradient; no weight is changed then."""
        config = self._config
        batch = self._draw(self.step)
        seed_torch(int(generator("training", config.seed, self.step).integers(2**62)))
        for group in self._optimizer.param_groups:
            group["lr"] = config.learning_rate * self._pace()
        loss, *_ = self._policy(batch)
        self._check("loss", loss)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._check("gradient's norm", torch.nn.utils.clip_grad_norm_(self._policy.parameters(), config.clip))
        self._optimizer.step()
        self._average.update_parameters(self._policy)
        self.step += 1
        self.loss = loss.item() if self.step == 1 else 0.99 * self.loss + 0.01 * loss.item()

    def save(self, path: Path) -> None:
        """Writes all that `restore` needs, whole or not at all."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        content = io.BytesIO()  # torch's own writer does not say why a disk refuses
        torch.save({"step": self.step, "loss": self.loss, **parts}, content)
        with written_whole(path) as unfinished:
            unfinished.write_bytes(content.getvalue())  # not a view of it: kept by an error, it crashes Python 3.12.1

    def restore(self, path: Path) -> None:
        """Goes on where `save` was. Raises: ConfigError, if what is there is damaged, or of another policy."""
        saved = _read(path)
        try:
            for name, part in self._parts().items():
                part.load_state_dict(saved[name])
        except (KeyError, RuntimeError, ValueError) as error:
            raise ConfigError(
                f"{path} is of another policy ({one_line(error)}); resume with the configuration that it was begun with"
            ) from error
        self.step, self.loss = saved["step"], saved["loss"]

    def _check(self, what: str, value: torch.Tensor) -> None:
        if not torch.isfinite(value):
            raise InferenceError(
                f"the {what} is {value.item()} at step {self.step}; lower training.learning_rate, or look at the data"
            )

    def _parts(self) -> dict[str, Any]:
        return {"policy": self._policy, "average": self._average, "optimizer": self._optimizer}

    def _pace(self) -> float:
        """Of the learning rate: up over `WARM_UP` steps, then down along a cosine."""
        rising = min((self.step + 1) / WARM_UP, 1.0)
        return rising * 0.5 * (1.0 + math.cos(math.pi * self.step / self._config.steps))

    def _averaged(self, average: Any, current: Any, seen: Any) -> None:
        """The average moves by little once it has seen many."""
        decay = min(self._config.average, (1.0 + float(seen)) / (10.0 + float(seen)))
        torch._foreach_lerp_(average, current, 1.0 - decay)


def seed_torch(seed: int) -> None:
    """As `torch.manual_seed`, which each time notes its whole stack for a CUDA that may never be used."""
    torch.default_generator.manual_seed(seed)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(seed)


def _read(path: Path) -> dict[str, Any]:
    try:
        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        raise ConfigError(
            f"{path} is damaged or was not written to its end; remove it to train from the first step again"
        ) from error
    if not isinstance(saved, dict):
        raise ConfigError(f"{path} holds no training; remove it to train from the first step again")
    return saved
