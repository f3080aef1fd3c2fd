"""The training of one policy on one data set: batches, the error that is reported, and the checkpoint.

Threads: the caller's.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError

from rollahead.errors import ConfigError, ControlError
from rollahead.policies.checkpoints.card import DELAY, Card, write_card
from rollahead.policies.data.batches import Batches
from rollahead.policies.data.frames import Frames
from rollahead.policies.data.pictures import MOST_MB, Pictures, scaled
from rollahead.policies.data.rolled_scene import rolled_scenes
from rollahead.policies.data.statistics import with_imagenet
from rollahead.policies.data.windows import Windows, held_out, statistics
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, IMAGES, STATE
from rollahead.policies.policy import Trained
from rollahead.policies.training.recipes import Sizes, make_trainable
from rollahead.policies.training.shared_encoding import share_encoding
from rollahead.policies.training.training import Batch, Training, TrainingConfig, seed_torch
from rollahead.runtime.rolling.roll import SceneRoller
from rollahead.runtime.types.seeds import generator
from rollahead.runtime.types.spec import RobotSpec

WATCHED = 512  # held-out examples whose error is reported
WATCHED_SEEN = 64  # the same with images, which are large
WATCHED_STEP = -1  # stands for the held-out examples; steps begin at 0
OURS = ("delay", "prefix")  # keys of a batch that LeRobot's pipelines do not have


@dataclass(frozen=True, slots=True)
class Making:
    """Computing resources of a training: device, worker processes and image cache.

    They change no result except for rounding.

    Attributes:
        device: Torch device of the network and its batches.
        workers: Processes that decode images, 0 for none.
        image_cache_mb: Limit of the memory for decoded images, in MiB.
    """

    device: str = "cpu"
    workers: int = 0
    image_cache_mb: float = MOST_MB


class Trainer:
    """A policy in training on a data set.

    Args:
        frames: The data set.
        policy: `name` of a recipe and its options (`policies.training.recipes`).
        trained: Delays and prefixes to train for.
        config: Steps, batch size, learning rate, seed.
        task: Task that the data is of, for the card.
        lead: Frames at the start of each demonstration that are seen, but not learned from.
        demonstrated: Seeds of the demonstrations, for the card.
        robot: Robot of the data, as in `Windows`.
        scene: Roller of the environment in a run, if there is one.
        shared: Number of delays that share one image encoding, None for all delays.
        making: Computing resources.
    """

    def __init__(
        self,
        frames: Frames,
        policy: Mapping[str, Any],
        trained: Trained,
        config: TrainingConfig,
        task: Mapping[str, Any],
        lead: int = 0,
        demonstrated: tuple[int, int] | None = None,
        robot: RobotSpec | None = None,
        scene: SceneRoller | None = None,
        shared: int | None = None,
        making: Making | None = None,
    ) -> None:
        """Builds the policy and its batches. Raises: ConfigError, if the arguments do not fit together."""
        making = making or Making()
        self._shared = _sharing(shared, frames, trained)
        seed_torch(int(generator("weights", config.seed).integers(2**62)))
        self._trainable = make_trainable(policy, sizes_of(frames, trained), making.device)
        learn, keep = held_out(frames)
        rows, n_obs = self._trainable.rows, self._trainable.n_obs
        rolled = rolled_scenes(frames, scene, trained.offsets) if scene is not None and trained.offsets else None
        pictures = Pictures(frames, making.image_cache_mb) if frames.cameras else None
        kept = keep if len(keep) else learn
        self._windows, self._kept = (
            Windows(frames, rows, n_obs, trained, episodes, lead, robot, rolled, pictures) for episodes in (learn, kept)
        )
        self._seed, self._batch = config.seed, config.examples(bool(frames.cameras))
        self._examples = WATCHED_SEEN if frames.cameras else WATCHED
        workers = making.workers if frames.cameras else 0
        self._batches = Batches(self._made, workers, config.steps, pinned=making.device.startswith("cuda"))
        self._before, self._after = compat.normalising_pipelines(
            self._trainable.policy.config, with_imagenet(statistics(frames, trained))
        )
        self._half = torch.from_numpy(np.ptp(frames.action, axis=0) / 2)
        self._card = Card(
            state=frames.names[STATE],
            environment=environment_of(frames, trained),
            action=frames.names[ACTION],
            rate_hz=frames.fps,
            trained=trained,
            task=task,
            demonstrated=demonstrated,
        )
        self.training = Training(self._trainable.policy, lambda step: self._normalised(self._batches.of(step)), config)
        if self._shared > 1:  # the averaged copy, which is evaluated and saved, encodes each example
            assert self._trainable.encoder is not None, "checked"
            share_encoding(self._trainable.encoder, self._shared, self._trainable.images)
        self._watched = dict(self._batches.of(WATCHED_STEP))  # last, because it starts processes

    @property
    def weights(self) -> int:
        """Number of trainable weights."""
        return sum(weight.numel() for weight in self._trainable.policy.parameters())

    @torch.no_grad()
    def cold_error(self) -> float:
        """Error of one denoising step from pure noise, on demonstrations that were held out.

        It is the root mean square error, as a share of half the range of each action in the data. A chunk made in one
        step shows what the policy has learned without the effect of further sampling steps.
        """
        policy, batch = self.training.averaged, self._normalised(self._watched)
        start = generator("cold").standard_normal(self._watched[ACTION].shape, dtype=np.float32)
        chunks = self._trainable.cold(policy, batch, torch.from_numpy(start).to(batch[ACTION].device))
        error = ((self._after(chunks) - self._watched[ACTION]) / self._half)[..., self._half > 0]
        counted = ~self._watched["action_is_pad"]
        return float(error[counted].square().mean()) ** 0.5

    def close(self) -> None:
        """Ends the processes that decode images, if the training stops before its last step."""
        self._batches.close()

    def save(self, folder: Path) -> None:
        """Writes the checkpoint with the averaged weights, in place of an existing one.

        It is complete, or not written at all.

        Raises: ControlError, if it cannot be written.
        """
        unfinished, before = (folder.with_name(folder.name + end) for end in (".unfinished", ".before"))
        _tidy(folder, unfinished, before)
        try:
            self.training.averaged.save_pretrained(unfinished)
            self._before.save_pretrained(unfinished)
            self._after.save_pretrained(unfinished)
            write_card(unfinished, self._card)
            if folder.exists():
                folder.rename(before)
            unfinished.rename(folder)
        except (OSError, SafetensorError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ControlError(
                f"the checkpoint {folder} could not be written ({reason}); free some space, and resume the training"
            ) from error
        finally:
            _tidy(folder, unfinished, before)

    def _made(self, step: int) -> Batch:
        """The batch of `step` before normalisation, or the held-out examples. Called in any process."""
        if step == WATCHED_STEP:
            return self._kept.draw(generator("watched"), self._examples)
        return self._draw(generator("batches", self._seed, step), self._batch)

    def _draw(self, rng: np.random.Generator, n: int) -> Batch:
        windows, shared = self._windows, self._shared
        return windows.draw(rng, n) if shared == 1 else windows.draw_shared(rng, n, shared)

    def _normalised(self, batch: Batch) -> dict[str, torch.Tensor]:
        device = self._trainable.policy.config.device
        moved = {key: values.to(device, non_blocking=True) for key, values in batch.items()}
        images = {key: scaled(values) for key, values in moved.items() if key.startswith(IMAGES)}
        normalised: dict[str, torch.Tensor] = self._before({**moved, **images})
        if self._trainable.timed and self._trainable.n_obs == 1:
            normalised |= {key: normalised[key][:, None] for key in self._trainable.policy.config.input_features}
        return {**normalised, **{key: moved[key] for key in OURS}}


def _sharing(shared: int | None, frames: Frames, trained: Trained) -> int:
    """The number of delays that share one encoding: `shared`, or as many as possible.

    Raises: ConfigError, if it is invalid.
    """
    most = trained.offsets + 1 if frames.cameras else 1
    if shared is None:
        return most
    if not frames.cameras and shared != 1:
        raise ConfigError(
            f"shared_offsets is {shared}, and there are no images whose encoding could be shared; set it to 1"
        )
    if not 1 <= shared <= most:
        raise ConfigError(f"shared_offsets is {shared} and offsets {trained.offsets}; give from 1 to {most}")
    return shared


def _tidy(folder: Path, unfinished: Path, before: Path) -> None:
    """Leaves a complete checkpoint at most.

    The previous one, renamed to `before`, goes back if the new one is missing. Unfinished ones are deleted.
    """
    if before.exists() and not folder.exists():
        before.rename(folder)
    for path in (unfinished, before):
        shutil.rmtree(path, ignore_errors=True)


def sizes_of(frames: Frames, trained: Trained) -> Sizes:
    """The sizes of a policy for `frames`."""
    return Sizes(
        state=frames.state.shape[1],
        action=frames.action.shape[1],
        environment=len(environment_of(frames, trained)),
        images=frames.sizes,
        trained=trained,
    )


def environment_of(frames: Frames, trained: Trained) -> tuple[str, ...]:
    """The names of the policy's environment: those of the data, and the delay if it is an input."""
    delay = (DELAY,) if trained.delay_input else ()
    return (*frames.names.get(ENVIRONMENT, ()), *delay)
