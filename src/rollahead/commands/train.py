"""`rollahead train`: from demonstrations, or a data set, to a checkpoint with its evaluation beside it.

runs/<name>/dataset          the demonstrations, a LeRobotDataset
runs/<name>/training.pt      where the training stands; one that was ended goes on from there with `resume`
runs/<name>/training.jsonl   what was watched
runs/<name>/interim          the checkpoint as it stands
runs/<name>/checkpoint       that of the finished training, with `evaluation.json`
runs/<name>/summary.json     the evaluation; written last
"""

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from pathlib import Path

import torch
from omegaconf import DictConfig, OmegaConf
from rich.progress import track
from yaml import YAMLError  # type: ignore[import-untyped]

from rollahead.assembly.rollers import LEFT_BEHIND
from rollahead.commands.app import console, given_options, report_on, run_folder
from rollahead.commands.progress import steps
from rollahead.commands.results import describe, table, write_records
from rollahead.commands.stages import on_a_terminal, stage
from rollahead.commands.train_options import Idle, useful
from rollahead.commands.train_plan import TrainPlan, rehearse, train_plan_of
from rollahead.errors import ConfigError, ControlError, counted
from rollahead.evaluation.evaluation import Episode, evaluate, evaluate_all, summarise
from rollahead.policies.training.trainer import Trainer
from rollahead.runtime.recording.run_folder import CONFIG, SUMMARY, RunFolder, finite, provenance
from rollahead.runtime.system.interrupts import deferred, interrupts

STATE, LOG = "training.pt", "training.jsonl"
UNPLAYED = ("evaluation", "watch.episodes", "roller", "sampler")
IDLE: Idle = (  # when which options are of no use
    ("with dataset=...", lambda config: config.dataset is not None, ("demonstrations",)),
    ("without dataset=...", lambda config: config.dataset is None, ("rename", "cameras", "image_cache_mb")),
    ("without task=...", lambda config: config.get("task") is None, UNPLAYED),
    ("with offsets=0", lambda config: config.offsets == 0, ("offset_state", "shared_offsets")),
    ("with prefixes=0", lambda config: config.prefixes == 0, ("prefix_lengths",)),
)


def main(config: DictConfig) -> None:
    """Trains what `config` describes, or goes on with what was begun."""
    if config.resume is None:
        plan = train_plan_of(useful(config, IDLE))
        _begin(plan)
        with interrupts(), _preparing():
            rehearse(plan)
        if plan.leaves_behind:
            console().print(LEFT_BEHIND, soft_wrap=True)
        folder = run_folder(config)
    else:
        folder = _begun(Path(str(config.resume)))
        plan = train_plan_of(_read(folder))
        _begin(plan)
    with _resumable(folder):
        frames = plan.frames(folder.path / "dataset")
        torch.set_num_threads(plan.threads(frames))
        with _preparing():
            trainer = plan.trainer(frames)
        with closing(trainer):
            _train(plan, trainer, folder)
        trainer.save(folder.path / "checkpoint")
        _evaluate(plan, trainer, folder)


def _begin(plan: TrainPlan) -> None:
    """Prints in a log what is about to be trained; on a terminal a stage and a bar follow."""
    if not console().is_terminal:
        data = plan.options.dataset
        on = f"data set {data}" if data is not None else f"demonstrations of {(plan.task or {})['name']}"
        words = f"training {plan.policy['name']} on {on}, {counted(plan.training.steps, 'step')}"
        console().print(f"{words}, device={plan.making.device}", soft_wrap=True)


def _preparing() -> AbstractContextManager[object]:
    """Shows on a terminal that something goes on before the first step; a log has had its first line."""
    return stage("preparing the training") if console().is_terminal and on_a_terminal() else nullcontext()


def _begun(path: Path) -> RunFolder:
    """The run in `path`, to go on with. Raises: ConfigError, if it is finished, or other options are given as well."""
    folder = RunFolder.again(path)
    if others := [key for key in given_options() if key != "resume"]:
        raise ConfigError(
            f"resume goes on with {path} as it was begun, so {', '.join(others)} cannot be set any more; leave it out, "
            "or begin a new training"
        )
    if (path / SUMMARY).exists():
        raise ConfigError(f"the run in {path} is finished; begin a new one, with another name=...")
    return folder


def _read(folder: RunFolder) -> DictConfig:
    """The configuration that the run was begun with. Raises: ConfigError, if it is of no training."""
    path = folder.path / CONFIG
    try:
        begun = OmegaConf.load(path)
    except (YAMLError, OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is damaged; begin a new training") from error
    if not isinstance(begun, DictConfig) or not {"policy", "training", "watch"} <= set(begun):
        raise ConfigError(f"{folder.path} is not the folder of a training; give one that rollahead train has left")
    return begun


@contextmanager
def _resumable(folder: RunFolder) -> Iterator[None]:
    """Says how to go on, if it is interrupted."""
    try:
        with interrupts():
            yield
    except KeyboardInterrupt as error:
        raise ControlError(f"interrupted; go on with rollahead train resume={folder.path}") from error


def _train(plan: TrainPlan, trainer: Trainer, folder: RunFolder) -> None:
    """To the last step, from where the training in `folder` stands."""
    training, state = trainer.training, folder.path / STATE
    if state.exists():
        training.restore(state)
    last = plan.training.steps
    try:
        with steps(console(), training.step, last) as shown:
            while training.step < last:
                with deferred():  # a step is done whole, or not at all
                    training.advance()
                shown.at(training.step, training.loss)
                if training.step % plan.watch.every == 0 or training.step == last:
                    trainer.save(folder.path / "interim")
                    shown.say(_watched(plan, trainer, folder))
                    training.save(state)
    except (KeyboardInterrupt, ControlError):  # no step was begun, or it changed nothing
        training.save(state)
        raise


def _watched(plan: TrainPlan, trainer: Trainer, folder: RunFolder) -> str:
    """Writes down how it does, and says it in short."""
    training, threads = trainer.training, torch.get_num_threads()
    seen = {"step": training.step, "loss": training.loss, "cold_error": trainer.cold_error()}
    words = f"error of a cold step {seen['cold_error']:.3f}"
    if plan.watch.episodes and plan.task is not None:
        seen["success"] = summarise(evaluate(plan.cell(folder.path / "interim", 0, plan.watch.episodes)))["success"]
        torch.set_num_threads(threads)  # playing takes one
        words += f", plays {seen['success']:.0f} %"
    path = folder.path / LOG
    lines = path.read_text().splitlines() if path.exists() else []
    before = [line for line in lines if json.loads(line)["step"] < training.step]  # more, of one that was killed
    folder.write_text(LOG, "\n".join([*before, json.dumps(finite({**seen, "time": time.time()}))]) + "\n")
    return words


def _evaluate(plan: TrainPlan, trainer: Trainer, folder: RunFolder) -> None:
    """Plays the task with the checkpoint, and says how it did."""
    checkpoint = folder.path / "checkpoint"
    cells = plan.cells(checkpoint)
    played: list[list[Episode]] = []
    if cells:
        ran = evaluate_all(cells, workers=plan.options.workers)
        played = list(track(ran, "evaluating", len(cells), console=console()))
        write_records(folder, played)
    described = [describe(cell, summarise(episodes)) for cell, episodes in zip(cells, played, strict=True)]
    training = {"weights": trainer.weights}
    summary = {"command": "train", "cells": described, "training": training, **provenance(plan.options.seed)}
    beside = [{**cell, "planner": {**cell["planner"], "checkpoint": "."}} for cell in described]
    folder.write_json("checkpoint/evaluation.json", {**summary, "cells": beside})
    folder.write_json(SUMMARY, summary)
    if described:
        console().print(table(described))
    console().print(f"checkpoint: {checkpoint}", soft_wrap=True)
    report_on(folder.path)
