"""`rollahead train-corrector`: trains a corrector network, which corrects the actions of a trained policy in each tick.

runs/<name>/dataset      demonstrations, if no data set was given
runs/<name>/head.npz     the corrector network: strategy.corrector.path=runs/<name>/head.npz
runs/<name>/summary.json its figures; written last
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from rich.progress import track

from rollahead.commands.app import console, group, run_folder
from rollahead.commands.progress import steps
from rollahead.commands.results import describe, table, write_records
from rollahead.commands.train_options import Idle, useful
from rollahead.commands.train_plan import TrainPlan, train_plan_of
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, evaluate_all, summarise
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.checkpoints.shipped import find
from rollahead.policies.correctors.image_encoder import BLOCK, shrunk_frames
from rollahead.policies.correctors.residual import (
    CorrectorTraining,
    CorrectorTrainingConfig,
    Stored,
    featured_by,
    stored_chunks,
)
from rollahead.policies.data.frames import CAMERA, Frames
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.runtime.config.techniques import CorrectorConfig
from rollahead.runtime.recording.run_folder import SUMMARY, RunFolder, provenance
from rollahead.runtime.types.options import call, check_kind
from rollahead.runtime.types.spec import indices_of

FILE = "head.npz"
UNSEEING = ("corrector.latent", "corrector.image_age")
IDLE: Idle = (
    ("with dataset=...", lambda config: config.dataset is not None, ("demonstrations",)),
    ("without dataset=...", lambda config: config.dataset is None, ("rename",)),
    ("without task=...", lambda config: config.get("task") is None, ("evaluation", "roller")),
    ("without corrector.cameras", lambda config: not config.corrector.cameras, UNSEEING),
)
HELD = 0.05  # share of the demonstrations that is held out to measure the error


def main(config: DictConfig) -> None:
    """Trains the corrector network of `config`, and plays the task, if there is one, without and with it."""
    config = useful(config, IDLE)
    if config.get("task") is None and OmegaConf.is_interpolation(config.corrector, "base"):
        raise ConfigError("corrector.base must be given with dataset=...; give the policy's folder, or its name")
    given = group(config, "corrector")
    del given["name"]
    check_kind("corrector.base", base := given.pop("base"), str)
    own = call(CorrectorTrainingConfig, given, "corrector")
    policy = load_policy(find(base))
    if policy.spec.cameras:
        raise ConfigError(f"{base} sees images, and chunks are stored without; give a base without cameras")
    if policy.trained.offset_state == "told":
        raise ConfigError(
            f"{base} was trained with offset_state=told, and chunks are stored from recorded states; give a base "
            "trained with offset_state=recorded"
        )
    if own.features:
        featured_by(policy)
    plan = train_plan_of(config, {"horizon": policy.spec.horizon})
    cells = [replace(cell, lag=own.lag) for cell in plan.cells(find(base))]
    _check_cameras(plan, own.cameras)
    sampler = make_sampler(group(config, "sampler"), policy)
    folder = run_folder(config)
    frames = plan.frames(folder.path / "dataset")
    torch.set_num_threads(plan.options.threads or 1)
    pictures = _pictures(frames, own.cameras) if own.cameras else None
    with torch.inference_mode():
        made = stored_chunks(policy, sampler, frames, own, plan.lead, plan.options.seed)
        total = sum(-(-(int(length) - plan.lead) // own.every) for length in frames.lengths)
        chunks = list(track(made, "storing chunks", total, console=console()))
    stored = Stored(*(np.array([one[i] for one in chunks]) for i in range(4)))
    seed = plan.options.seed
    training = CorrectorTraining(
        policy, frames, stored, own, base, seed=seed, held=HELD, pictures=pictures, device=plan.making.device
    )
    wanted = plan.training
    with steps(console(), 0, wanted.steps) as shown:
        for step in training.run(wanted.steps, wanted.examples(False), wanted.learning_rate):
            shown.at(step)
    left, before = training.error()
    training.save(folder.path / FILE)
    console().print(f"of the residuals of demonstrations held out {100 * left / before:.0f} % are left")
    _evaluate(plan, cells, folder, {"left": left / before})


def _check_cameras(plan: TrainPlan, cameras: Sequence[str]) -> None:
    """Checks that the data set has images of `cameras`. Raises: ConfigError, if it has not."""
    if cameras and plan.task is not None:
        raise ConfigError(
            "corrector.cameras is for a data set with images, and simulated tasks have none; give dataset=..., and no "
            "task"
        )
    given = tuple(plan.frames(Path(), quiet=True).cameras) if cameras else ()
    indices_of(CAMERA, cameras, given, "data set", "give one that it has in corrector.cameras")


def _pictures(frames: Frames, cameras: Sequence[str]) -> torch.Tensor:
    """The images of all frames, shrunk so that they fit in memory."""
    blocks = shrunk_frames(frames, cameras)
    return torch.cat(list(track(blocks, "shrinking images", -(-len(frames) // BLOCK), console=console())))


def _evaluate(plan: TrainPlan, plain: Sequence[Cell], folder: RunFolder, said: Mapping[str, Any]) -> None:
    """Plays each of the cells `plain` without and with the corrector network, and writes the results."""
    corrector = CorrectorConfig(str(folder.path / FILE))
    headed = [replace(cell, strategy=replace(cell.strategy, corrector=corrector)) for cell in plain]
    cells = [cell for pair in zip(plain, headed, strict=True) for cell in pair]
    ran = evaluate_all(cells, workers=plan.options.workers) if cells else iter(())
    played = list(track(ran, "evaluating", len(cells), console=console()))
    if played:
        write_records(folder, played)
    described = [describe(cell, summarise(episodes)) for cell, episodes in zip(cells, played, strict=True)]
    summary = {"command": "train-corrector", "cells": described, "head": said, **provenance(plan.options.seed)}
    folder.write_json(SUMMARY, summary)
    if described:
        console().print(table(described))
    console().print(f"corrector: {corrector.path}", soft_wrap=True)
