"""The plan of a training: its checked options, and a rehearsal of the whole training before a folder is made."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any

import torch
from omegaconf import DictConfig
from rich.progress import track

from rollahead.assembly.rollers import Scene, check_offset_state, leaves_behind, make_rollers
from rollahead.commands.app import console, group, options
from rollahead.commands.train_options import HELD, Demonstrations, Evaluation, TrainOptions, Watch
from rollahead.errors import ConfigError, one_line
from rollahead.evaluation.evaluation import Cell, check
from rollahead.policies.checkpoints.hub import dataset_folder
from rollahead.policies.data.dataset import read_dataset, write_dataset
from rollahead.policies.data.frames import Frames, check_robot, narrowed
from rollahead.policies.data.statistics import with_own_statistics
from rollahead.policies.device import device_of
from rollahead.policies.policy import Trained
from rollahead.policies.training.trainer import Making, Trainer
from rollahead.policies.training.training import TrainingConfig
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.rolling.roll import SceneRoller
from rollahead.runtime.types.options import call
from rollahead.sim.demonstrations import record
from rollahead.sim.task import Teachable, make_task

GROUPS = (
    "task",
    "policy",
    "corrector",
    "demonstrations",
    "training",
    "watch",
    "evaluation",
    "sampler",
    "roller",
    "rename",
)
ROBOT = MappingProxyType({"name": "robot"})
THREADS = torch.get_num_threads()  # torch's default for this machine
SHORT = 8  # execution horizon of an evaluation, unless the delay is longer
FEW = 2  # number of demonstrations in a rehearsal
FOREIGN = (RuntimeError, ValueError, LookupError, TypeError, AttributeError)  # errors of torch and LeRobot
SHOWN = 5  # number of episodes of each cell whose traces are kept for the report


@dataclass(frozen=True, slots=True)
class TrainPlan:
    """Checked options of a training.

    Attributes:
        options: Options outside the groups.
        task: `name` and options of the task; None if there is none to record or to play.
        policy: `name` and options of the policy.
        trained: Properties of the training that the checkpoint keeps.
        training: Options of the optimisation.
        demonstrations: Options of the demonstrations.
        watch: Options of the evaluation during the training.
        evaluation: Options of the evaluation after the training.
        sampler: `name` and options of the sampler with which the task is played.
        rename: Names in the data set mapped to names in the robot.
        roller: `name` and options of the roller with which the task is played.
        making: Computing resources.
    """

    options: TrainOptions
    task: Mapping[str, Any] | None
    policy: Mapping[str, Any]
    trained: Trained
    training: TrainingConfig
    demonstrations: Demonstrations
    watch: Watch
    evaluation: Evaluation
    sampler: Mapping[str, Any]
    rename: Mapping[str, str]
    roller: Mapping[str, Any]
    making: Making

    def __post_init__(self) -> None:
        if self.task is None and self.options.dataset is None:
            raise ConfigError("there is nothing to learn from; give task=..., or dataset=...")
        ticks, least = self.demonstrations.ticks, max(self.trained.offsets, self.lead) + 1
        if self.options.dataset is None and ticks < least:
            raise ConfigError(
                f"demonstrations.ticks is {ticks}, demonstrations.exploration_ticks "
                f"{self.demonstrations.exploration_ticks} and offsets {self.trained.offsets}; give at least {least} "
                "ticks, or less of these"
            )

    def frames(self, folder: Path, *, quiet: bool = False) -> Frames:
        """The training data: the user's data set, or the demonstrations in `folder`, which are recorded if missing.

        Args:
            folder: Folder of the demonstrations.
            quiet: Whether to print nothing.

        Raises: ConfigError, if the data set does not fit the task.
        """
        if self.options.dataset is None:
            if not folder.exists():
                self._record(folder, quiet)
            return narrowed(read_dataset(folder), self.options.scale or {})
        read = read_dataset(Path(self.options.dataset), self.rename, self.options.cameras)
        frames, wrong = with_own_statistics(read)
        if wrong and not quiet:
            console().print(wrong, soft_wrap=True)
        if self.task is not None:
            check_robot(frames, make_task(**self.task).spec)
        return narrowed(frames, self.options.scale or {})

    def _record(self, folder: Path, quiet: bool) -> None:
        assert self.task is not None, "checked"
        wanted, spec = self.demonstrations, make_task(**self.task).spec
        shown: Iterable[Any] = record(
            self.task,
            wanted.count,
            wanted.ticks,
            self.options.seed,
            wanted.noise,
            exploration_ticks=wanted.exploration_ticks,
            workers=self.options.workers,
        )
        shown = track(shown, "recording demonstrations", wanted.count, console=console(), disable=quiet)
        write_dataset(folder, spec, shown, text=str(self.task["name"]), fps=spec.rate_hz)

    def trainer(self, frames: Frames) -> Trainer:
        """The trainer of the policy on `frames`. Raises: ConfigError, if the policy cannot be trained on them."""
        robot = None if self.task is None else make_task(**self.task).spec
        task, seeds = self.task or {}, self.demonstrated
        trainer = Trainer(
            frames,
            self.policy,
            self.trained,
            self.training,
            task,
            self.lead,
            seeds,
            robot,
            self._scene,
            self.options.shared_offsets,
            self.making,
        )
        if self.task is not None:
            check_offset_state(self.trained.offset_state, self.roller, self._rolled)
        return trainer

    def threads(self, frames: Frames) -> int:
        """Number of torch's threads; by default one, which is fastest for small networks, or all cores with images."""
        return self.options.threads or (THREADS if frames.cameras else 1)

    @property
    def leaves_behind(self) -> bool:
        """Whether examples with an offset roll the robot ahead but not the object that it holds."""
        return self.task is not None and self.trained.offsets > 0 and leaves_behind(self._rolled, self.roller)

    @property
    def _scene(self) -> SceneRoller | None:
        """The scene roller of the run; None if it has none."""
        return None if self.task is None else make_rollers(self.roller, self._rolled).scene

    @property
    def _rolled(self) -> Scene:
        assert self.task is not None, "asked by whoever has one"
        task = make_task(**self.task)
        return Scene(task.spec, task)

    @property
    def lead(self) -> int:
        """Number of ticks at the start of each demonstration in which the robot moves at random; not trained on."""
        return self.demonstrations.exploration_ticks if self.options.dataset is None and self._teachable else 0

    @property
    def demonstrated(self) -> tuple[int, int] | None:
        """The first seed of the demonstrated episodes, and the one after their last.

        None for a data set, and for a `Teachable` task, whose demonstrations are not episodes.
        """
        if self.options.dataset is not None or self._teachable:
            return None
        return self.options.seed, self.options.seed + self.demonstrations.count

    @property
    def _teachable(self) -> bool:
        return self.task is not None and isinstance(make_task(**self.task), Teachable)

    def cell(self, checkpoint: Path, delay: int, episodes: int) -> Cell:
        """The cell in which the task is played with `checkpoint` at a latency of `delay` ticks."""
        assert self.task is not None, "asked by whoever has one"
        rows = int(self.policy["horizon"]) - int(self.policy.get("n_obs", 1)) + 1
        return Cell(
            task=self.task,
            strategy=StrategyConfig("vlash", s=max(min(SHORT, rows), delay)),
            latency={"name": "fixed", "ticks": delay},
            planner={"name": "policy", "checkpoint": str(checkpoint)},
            roller=self.roller,
            sampler=self.sampler,
            episodes=episodes,
            seed=self.options.seed + HELD,
            reactions=False,
        )

    def cells(self, checkpoint: Path) -> list[Cell]:
        """The cells of the evaluation of `checkpoint`, one per delay; empty without a task."""
        if self.task is None:
            return []
        cells = [self.cell(checkpoint, delay, self.evaluation.episodes) for delay in self.evaluation.delays]
        return [replace(cell, traces=SHOWN) for cell in cells]


def train_plan_of(config: DictConfig, policy: Mapping[str, Any] | None = None) -> TrainPlan:
    """The plan of the training in `config`.

    Args:
        config: Configuration of the command.
        policy: Options of a policy that is trained already, for the training of a corrector; None for those in
            `config`.

    Raises: ConfigError, if an option is unknown, or its value is of another kind.
    """
    chosen = options(config, TrainOptions, GROUPS)
    if chosen.dataset is not None:
        chosen = replace(chosen, dataset=str(dataset_folder(chosen.dataset)))
    delay_input = chosen.delay_input
    if delay_input is None:  # LeRobot's programs cannot give a policy its delay
        delay_input = chosen.dataset is None and chosen.offsets > 0
    return TrainPlan(
        options=chosen,
        task=None if config.get("task") is None else group(config, "task"),
        policy=group(config, "policy") if policy is None else policy,
        trained=Trained(
            offsets=chosen.offsets,
            delay_input=delay_input,
            prefixes=chosen.prefixes,
            prefix_lengths=chosen.prefix_lengths,
            offset_state=chosen.offset_state,
        ),
        training=call(TrainingConfig, group(config, "training"), "training", seed=chosen.seed),
        demonstrations=call(Demonstrations, group(config, "demonstrations"), "demonstrations"),
        watch=call(Watch, group(config, "watch") if "watch" in config else {}, "watch"),
        evaluation=call(Evaluation, group(config, "evaluation"), "evaluation"),
        sampler=group(config, "sampler"),
        rename=_names(config.rename),
        roller=group(config, "roller") if "roller" in config else ROBOT,  # a run of an earlier version has none
        making=Making(device_of(chosen.device), chosen.workers, chosen.image_cache_mb),
    )


def _names(rename: Any) -> dict[str, str]:
    if rename is None:
        return {}
    if not isinstance(rename, DictConfig):
        raise ConfigError(f"rename is {rename!r}; give names, as in rename={{{rename}: its name}}")
    return {str(name): str(other) for name, other in rename.items()}


def rehearse(plan: TrainPlan) -> None:
    """Rehearses the training in a temporary folder, with a few demonstrations, one step and no episode.

    Raises: ConfigError, if a part of the training would fail.
    """
    few = replace(plan.demonstrations, count=min(FEW, plan.demonstrations.count))
    making = replace(plan.making, workers=0, image_cache_mb=0)
    small = replace(plan, demonstrations=few, options=replace(plan.options, workers=1), making=making)
    with TemporaryDirectory() as scratch:
        checkpoint = Path(scratch) / "checkpoint"
        _learn(small, small.frames(Path(scratch) / "dataset", quiet=True), checkpoint)
        for cell in plan.cells(checkpoint):
            check(cell, workers=plan.options.workers)


def _learn(plan: TrainPlan, frames: Frames, checkpoint: Path) -> None:
    """Trains one step, measures the error, and saves a checkpoint. Raises: ConfigError, if the policy fails to."""
    try:
        trainer = plan.trainer(frames)
        trainer.training.advance()
        trainer.cold_error()
        trainer.save(checkpoint)
    except FOREIGN as error:
        words = one_line(error).removesuffix(".") or type(error).__name__
        raise ConfigError(
            f"policy={plan.policy['name']} cannot be trained so ({words}); see the options of policy.* and "
            "training.* in rollahead train --help"
        ) from error
