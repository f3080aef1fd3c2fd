"""`rollahead run`: drives a robot in real time, a simulated one or a real one."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from rollahead.assembly.live import Live
from rollahead.assembly.planners import make_image_encoder, make_planning
from rollahead.assembly.rollers import Scene, make_rollers
from rollahead.commands.advised import strategy_of
from rollahead.commands.app import console, group, options, report_on, run_folder
from rollahead.commands.results import describe_live, table
from rollahead.commands.rig import Rig, guard_of, rig
from rollahead.commands.stages import stage
from rollahead.commands.view import Watch, watching
from rollahead.errors import ConfigError, ControlError
from rollahead.runtime.config.build import Drive, StrategyConfig, make_latency
from rollahead.runtime.drivers.stages import unsaid
from rollahead.runtime.planning.latency import NONE
from rollahead.runtime.recording.run_folder import SUMMARY, RunFolder, provenance
from rollahead.runtime.system.interrupts import deferred, interrupts
from rollahead.runtime.system.tuning import Tuning
from rollahead.runtime.types.options import call
from rollahead.runtime.types.seeds import check_seed

GROUPS = ("robot", "task", "strategy", "latency", "planner", "roller", "sampler", "guard", "tuning")


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of `rollahead run` outside its groups (configs/run.yaml)."""

    seconds: float | None
    episodes: int
    seed: int
    isolation: str
    substeps: int
    shape: str
    task_text: str
    rest_pose: Mapping[str, float] | None
    view: bool

    def __post_init__(self) -> None:
        if self.episodes < 1 or (self.seconds is not None and not self.seconds > 0):
            raise ConfigError(
                f"episodes is {self.episodes} and seconds {self.seconds}; give at least 1, and a positive time or null"
            )
        check_seed(self.seed, self.episodes)


def main(config: DictConfig) -> None:
    """Drives the robot of `config` in real time, and writes a run folder."""
    chosen = options(config, RunOptions, GROUPS)
    with interrupts(), rig(config) as driven:
        live = live_of(config, chosen, driven)
        folder = run_folder(config)
        name, strategy = group(config, "robot")["name"], live.drive.strategy
        title = f"{name} · {strategy.name}, s = {strategy.s} · {live.isolation}"
        watched = watching(console(), title, driven.spec.rate_hz, view=chosen.view)
        with watched as watch, _summed_up(folder, watch, driven.spec.rate_hz, strategy, chosen.seed) as said:
            if driven.world is not None:
                from rollahead.commands.simulated import play_episodes

                play_episodes(config, chosen.seed, chosen.episodes, driven.world, live, folder, watch, said)
            else:
                _robot(driven, live, chosen.seconds, folder, watch)
    watch.sum_up()
    if said["cells"]:
        console().print(table(said["cells"]))
    report_on(folder.path)


def say(line: str) -> None:
    """Prints a line for the user, without markup."""
    console().print(line, soft_wrap=True, markup=False, highlight=False)


def live_of(config: DictConfig, chosen: RunOptions, driven: Rig) -> Live:
    """The settings with which `config` drives the rig. Raises: ConfigError, if they cannot be made or do not fit."""
    scene = Scene(driven.spec, driven.task)
    rollers = make_rollers(group(config, "roller"), scene)
    with stage("loading the policy"):
        strategy, lines = strategy_of(config, driven.spec)
        planning = make_planning(group(config, "planner"), scene, rollers, strategy, group(config, "sampler"), say)
    for line in lines:
        say(line)
    planning.check_roller(group(config, "roller"), scene, strategy)
    if driven.task is not None:
        from rollahead.commands.simulated import check_simulated

        check_simulated(config, chosen.seed, chosen.episodes, driven.task, planning, rollers)
    latency = group(config, "latency")
    return Live(
        drive=Drive(
            strategy=strategy,
            horizon=planning.horizon,
            n_obs=planning.n_obs,
            seed=chosen.seed,
            task=chosen.task_text or ("" if driven.task is None else driven.task.instruction),
            guard=guard_of(config, simulated=driven.task is not None),
            substeps=chosen.substeps,
            shape=chosen.shape,
            cameras=planning.cameras,
            rest_pose=chosen.rest_pose or {},
        ),
        planner=planning.planner,
        latency=None if latency["name"] == NONE else make_latency(rate_hz=driven.spec.rate_hz, **latency),
        isolation=chosen.isolation,
        tuning=call(Tuning, group(config, "tuning"), "tuning"),
        image_encoder=make_image_encoder(strategy),
        stage=stage if driven.world is None else unsaid,  # a simulated robot connects again in each episode
    )


def _robot(driven: Rig, live: Live, seconds: float | None, folder: RunFolder, watch: Watch) -> None:
    """Drives a real robot for `seconds`, or until the user ends the run if that is None."""
    runtime = live.runtime(driven.make_robot, live.drive.seed)
    with suppress(KeyboardInterrupt):
        watch.over(runtime, folder.path, None if seconds is None else round(seconds * driven.spec.rate_hz))


@contextmanager
def _summed_up(
    folder: RunFolder, watch: Watch, rate_hz: float, strategy: StrategyConfig, seed: int
) -> Iterator[dict[str, Any]]:
    """Writes `summary.json` at the end, also if the run fails; yields a dictionary for further entries in it."""
    said: dict[str, Any] = {"cells": []}
    try:
        yield said
    except ControlError as error:
        said["error"] = str(error)
        raise
    finally:
        figures = said["cells"][0]["figures"] if said["cells"] else None
        ran = describe_live(strategy, watch.gauges.figures(), figures)
        summary = {
            "command": "run",
            **said,
            "realtime": [ran],
            "rate_hz": rate_hz,
            "tuned": watch.tuned,
            "records_lost": watch.records_lost,
        }
        try:
            with deferred():
                folder.write_json(SUMMARY, {**summary, **provenance(seed)})
        except ControlError as error:
            if "error" not in said:
                raise
            raise ControlError(f"{said['error']}; and {error}") from error
