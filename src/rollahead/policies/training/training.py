"""The training loop: optimizer steps on batches, averaged weights, and resuming.

    training = Training(policy, draw, config)
    while training.step < config.steps:
        training.advance()

Each step has its own batch and noise, drawn from a seed and the step. So a training that was killed and resumed gives
the same weights as one that was not.

The mean loss says little about a policy's success, because low noise levels dominate it. So the caller reports two
other figures: the error of one denoising step from pure noise on held-out demonstrations, and the success in played
episodes.
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
MakeBatch = Callable[[int], Batch]  # from a step to its batch

BATCH, SEEN_BATCH = 256, 8  # examples per step, without and with images; the latter is LeRobot's default
FUSED = ("cpu", "cuda")  # devices with a fused AdamW, which takes a third of the time
WARM_UP = 100  # steps over which the learning rate rises


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """Options of a training.

    Attributes:
        steps: Number of optimizer steps.
        batch: Examples per step, None for `BATCH`, or `SEEN_BATCH` with images.
        learning_rate: Peak learning rate. It falls to 0 along a cosine.
        weight_decay: AdamW's weight decay.
        average: Decay of the averaged weights, which are saved.
        clip: Limit of the gradient's norm.
        seed: Seed of the weights, batches and noise.
    """

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
        """Examples per step. `seeing`: whether the policy takes images, which are large."""
        return self.batch or (SEEN_BATCH if seeing else BATCH)


class Training:
    """The training of a network whose `forward(batch)` returns a loss first.

    Args:
        policy: The network.
        draw: Function that gives the normalised batch of a step. It must depend on the step alone.
        config: Options of the training.
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
        """The policy with the averaged weights, in evaluation mode."""
        return self._average.module.eval()

    def advance(self) -> None:
        """Does one optimizer step.

        Raises: InferenceError, if the loss or the gradient is NaN or infinite. No weight is changed then.
        """
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
        """Writes everything that `restore` needs. The file is complete, or not written at all."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        content = io.BytesIO()  # torch's own writer does not say why a disk refuses
        torch.save({"step": self.step, "loss": self.loss, **parts}, content)
        with written_whole(path) as unfinished:
            unfinished.write_bytes(content.getvalue())  # not a view of it: kept by an error, it crashes Python 3.12.1

    def restore(self, path: Path) -> None:
        """Resumes at the step at which `save` was called.

        Raises: ConfigError, if the file is damaged, or belongs to another policy.
        """
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
        """Factor of the learning rate: rises over `WARM_UP` steps, then falls along a cosine."""
        rising = min((self.step + 1) / WARM_UP, 1.0)
        return rising * 0.5 * (1.0 + math.cos(math.pi * self.step / self._config.steps))

    def _averaged(self, average: Any, current: Any, seen: Any) -> None:
        """Updates the averaged weights in place. The decay is smaller in the first steps."""
        decay = min(self._config.average, (1.0 + float(seen)) / (10.0 + float(seen)))
        torch._foreach_lerp_(average, current, 1.0 - decay)


def seed_torch(seed: int) -> None:
    """Seeds torch's generators, as `torch.manual_seed` does, but without its cost.

    `torch.manual_seed` records the whole call stack each time, for a CUDA that may never be used.
    """
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
