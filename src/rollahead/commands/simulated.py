"""Episodes of a simulated task in `rollahead run`. Imported only for `robot=sim`: a real robot needs no simulator."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

from omegaconf import DictConfig

from rollahead.assembly.live import Live
from rollahead.assembly.planners import EXPERT
from rollahead.assembly.planning import Planning
from rollahead.commands.app import group
from rollahead.commands.results import describe, write_records
from rollahead.commands.rig import limits_of
from rollahead.commands.view import Watch
from rollahead.evaluation.evaluation import Cell, summarise
from rollahead.evaluation.live import Played, live_episode, play
from rollahead.runtime.control.trace import Trace
from rollahead.runtime.recording.recorder import Recorder
from rollahead.runtime.recording.run_folder import RunFolder
from rollahead.runtime.rolling.roll import Rollers
from rollahead.sim.task import Task
from rollahead.sim.task_check import check_rollers, check_task
from rollahead.sim.world import World


def check_simulated(
    config: DictConfig, seed: int, episodes: int, task: Task, planning: Planning, rollers: Rollers
) -> None:
    """Checks that `task` can be played with the planner and rollers of `config`. Raises: ConfigError, if it cannot."""
    name, expert = group(config, "task")["name"], group(config, "planner")["name"] == EXPERT
    planning.check_seeds(name, seed, episodes)
    played = check_task(task, name, seed, expert=expert, event=False)
    check_rollers(rollers, str(group(config, "roller")["name"]), task, played)


def play_episodes(
    config: DictConfig,
    seed: int,
    episodes: int,
    world: World,
    live: Live,
    folder: RunFolder,
    watch: Watch,
    said: dict[str, Any],
) -> None:
    """Plays episodes of a simulated task, one after the other, and adds a cell of them to `said`.

    The cell is added also if a later episode fails, unless none was completed.

    Args:
        config: Configuration of the run.
        seed: Seed of the first episode.
        episodes: Number of episodes.
        world: World of the task.
        live: Settings of the runtime.
        folder: Run folder.
        watch: Live view, which may end the run.
        said: Entries of `summary.json`.
    """
    played: list[Played] = []
    recorder = Recorder(folder.path)
    try:
        with suppress(KeyboardInterrupt), recorder:
            for each in range(seed, seed + episodes):
                if not watch.ended:
                    played.append(play(world, live, each, watch, partial(_record, recorder)))
    finally:
        watch.records_lost += recorder.lost
        if played:
            said["cells"] = [_cell(config, seed, world, live, folder, played)]


def _record(recorder: Recorder, trace: Trace, seed: int) -> AbstractContextManager[None]:
    return recorder.follow(trace, cell=0, episode=seed)


def _cell(
    config: DictConfig, seed: int, world: World, live: Live, folder: RunFolder, played: Sequence[Played]
) -> dict[str, Any]:
    """Describes the episodes played as a cell, and writes a row for each episode to the folder."""
    episodes = [live_episode(one, world.task.spec) for one in played]
    write_records(folder, [episodes])
    cell = Cell(
        task=group(config, "task"),
        strategy=live.drive.strategy,
        latency=group(config, "latency"),
        planner=group(config, "planner"),
        roller=group(config, "roller"),
        sampler=group(config, "sampler"),
        episodes=len(played),
        seed=seed,
        reactions=False,
        limits=limits_of(config),
        guard=live.drive.guard,
    )
    return describe(cell, summarise(episodes))
