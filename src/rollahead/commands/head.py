"""`rollahead train policy=a2c2`: a head that corrects the rows of a trained policy tick by tick.

runs/<name>/dataset      demonstrations, if none were given
runs/<name>/head.npz     the head: strategy.corrector=runs/<name>/head.npz
runs/<name>/summary.json how it does; written last
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig
from rich.progress import track

from rollahead.commands.app import console, group, run_folder
from rollahead.commands.course import Course, course_of
from rollahead.commands.progress import steps
from rollahead.commands.results import describe, table, write_records
from rollahead.errors import ConfigError
from rollahead.policies.checkpoint import load_policy
from rollahead.policies.residual import HeadConfig, HeadTraining, Stored, stored_chunks
from rollahead.policies.samplers import make_sampler
from rollahead.policies.shipped import find
from rollahead.runtime.options import call
from rollahead.runtime.run_folder import SUMMARY, RunFolder, provenance
from rollahead.sim.evaluation import evaluate_all, summarise

NAME, FILE = "a2c2", "head.npz"
HELD = 0.05  # of the demonstrations, to measure with


@dataclass(frozen=True, slots=True)
class HeadOptions:
    """What `policy` says of a head. base: the policy that it corrects."""

    base: str
    width: int
    depth: int
    every: int
    fresh: bool
    lag: int


def main(config: DictConfig) -> None:
    """Trains a head as `config` says, and plays with it."""
    given = group(config, "policy")
    del given["name"], given["horizon"]  # the latter is for whoever plays
    chosen = call(HeadOptions, given, "policy")
    own = HeadConfig(chosen.width, chosen.depth, chosen.every, chosen.fresh, chosen.lag)
    policy = load_policy(find(chosen.base))
    if policy.spec.cameras:
        raise ConfigError(f"{chosen.base} sees images, and a head in NumPy sees none; give a base without cameras")
    course = course_of(config)
    sampler = make_sampler(group(config, "sampler"), policy)
    folder = run_folder(config)
    torch.set_num_threads(course.options.threads)
    frames = course.frames(folder.path / "dataset")
    with torch.inference_mode():
        made = stored_chunks(policy, sampler, frames, own, course.lead, course.options.seed)
        total = sum(-(-(int(length) - course.lead) // own.every) for length in frames.lengths)
        chunks = list(track(made, "storing chunks", total, console=console()))
    stored = Stored(*(np.array([one[i] for one in chunks]) for i in range(3)))
    training = HeadTraining(policy, frames, stored, own, chosen.base, seed=course.options.seed, held=HELD)
    wanted = course.training
    with steps(console(), 0, wanted.steps) as shown:
        for step in training.run(wanted.steps, wanted.batch, wanted.learning_rate):
            shown.at(step)
    left, before = training.error()
    training.head().save(folder.path / FILE)
    console().print(f"of the residuals of demonstrations held out {100 * left / before:.0f} % are left")
    _evaluate(course, chosen.base, folder, {"left": left / before})


def _evaluate(course: Course, base: str, folder: RunFolder, said: Mapping[str, Any]) -> None:
    """Plays the task without the head and with it."""
    corrector = str(folder.path / FILE)
    plain = [replace(cell, planner={"name": "policy", "checkpoint": base}) for cell in course.cells(folder.path)]
    headed = [replace(cell, strategy=replace(cell.strategy, corrector=corrector)) for cell in plain]
    cells = [cell for pair in zip(plain, headed, strict=True) for cell in pair]
    ran = evaluate_all(cells, workers=course.options.workers) if cells else iter(())
    played = list(track(ran, "evaluating", len(cells), console=console()))
    if played:
        write_records(folder, played)
    described = [describe(cell, summarise(episodes)) for cell, episodes in zip(cells, played, strict=True)]
    summary = {"command": "train", "cells": described, "head": said, **provenance(course.options.seed)}
    folder.write_json(SUMMARY, summary)
    if described:
        console().print(table(described))
    console().print(f"corrector: {corrector}", soft_wrap=True)
