"""`rollahead train`: trains a policy on demonstrations or a data set, and evaluates its checkpoint.

runs/<name>/dataset          the demonstrations, a LeRobotDataset
runs/<name>/training.pt      the state of the training, from which `resume` goes on
runs/<name>/training.jsonl   loss, error and success during the training, a line per evaluation
runs/<name>/interim          the newest checkpoint of the training
runs/<name>/checkpoint       the checkpoint of the finished training, with `evaluation.json`
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
IDLE: Idle = (  # the options that have no effect, and in which case
    ("with dataset=...", lambda config: config.dataset is not None, ("demonstrations",)),
    ("without dataset=...", lambda config: config.dataset is None, ("rename", "cameras", "image_cache_mb")),
    ("without task=...", lambda config: config.get("task") is None, UNPLAYED),
    ("with offsets=0", lambda config: config.offsets == 0, ("offset_state", "shared_offsets")),
    ("with prefixes=0", lambda config: config.prefixes == 0, ("prefix_lengths",)),
)


def main(config: DictConfig) -> None:
    """Trains the policy of `config`, or resumes a training, and evaluates its checkpoint."""
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
    """Prints, in a log, which policy is trained on which data; a terminal shows a stage and a bar in its place."""
    if not console().is_terminal:
        data = plan.options.dataset
        on = f"data set {data}" if data is not None else f"demonstrations of {(plan.task or {})['name']}"
        words = f"training {plan.policy['name']} on {on}, {counted(plan.training.steps, 'step')}"
        console().print(f"{words}, device={plan.making.device}", soft_wrap=True)


def _preparing() -> AbstractContextManager[object]:
    """A stage that a terminal shows before the first step; a log has its first line already."""
    return stage("preparing the training") if console().is_terminal and on_a_terminal() else nullcontext()


def _begun(path: Path) -> RunFolder:
    """The run in `path`, to be resumed. Raises: ConfigError, if it is finished, or other options are given as well."""
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
    """The configuration with which the run was begun. Raises: ConfigError, if it is not one of a training."""
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
    """Turns an interrupt inside into a ControlError that says how to resume the training."""
    try:
        with interrupts():
            yield
    except KeyboardInterrupt as error:
        raise ControlError(f"interrupted; go on with rollahead train resume={folder.path}") from error


def _train(plan: TrainPlan, trainer: Trainer, folder: RunFolder) -> None:
    """Trains to the last step, from the state in `folder` if there is one."""
    training, state = trainer.training, folder.path / STATE
    if state.exists():
        training.restore(state)
    last = plan.training.steps
    try:
        with steps(console(), training.step, last) as shown:
            while training.step < last:
                with deferred():  # an interrupt waits for the end of the step
                    training.advance()
                shown.at(training.step, training.loss)
                if training.step % plan.watch.every == 0 or training.step == last:
                    trainer.save(folder.path / "interim")
                    shown.say(_watched(plan, trainer, folder))
                    training.save(state)
    except (KeyboardInterrupt, ControlError):  # the last step is complete, or has changed nothing
        training.save(state)
        raise


def _watched(plan: TrainPlan, trainer: Trainer, folder: RunFolder) -> str:
    """Measures the policy during the training, adds a line to the log file, and returns the result in words."""
    training, threads = trainer.training, torch.get_num_threads()
    seen = {"step": training.step, "loss": training.loss, "cold_error": trainer.cold_error()}
    words = f"error of a cold step {seen['cold_error']:.3f}"
    if plan.watch.episodes and plan.task is not None:
        seen["success"] = summarise(evaluate(plan.cell(folder.path / "interim", 0, plan.watch.episodes)))["success"]
        torch.set_num_threads(threads)  # playing has set it to one
        words += f", plays {seen['success']:.0f} %"
    path = folder.path / LOG
    lines = path.read_text().splitlines() if path.exists() else []
    before = [line for line in lines if json.loads(line)["step"] < training.step]  # a killed one leaves more
    folder.write_text(LOG, "\n".join([*before, json.dumps(finite({**seen, "time": time.time()}))]) + "\n")
    return words


def _evaluate(plan: TrainPlan, trainer: Trainer, folder: RunFolder) -> None:
    """Plays the task with the checkpoint, if there is a task, and prints and writes the results."""
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
