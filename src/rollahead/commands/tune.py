"""`rollahead tune`: finds the least number of denoising steps that suffices with a warm start from the last plan."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from omegaconf import DictConfig
from rich.box import SIMPLE_HEAD
from rich.table import Table

from rollahead.commands.app import console, group, options, run_folder
from rollahead.errors import ConfigError
from rollahead.evaluation.evaluation import Cell, planning_of, run_episode
from rollahead.policies.checkpoints.shipped import FOLDER, find
from rollahead.policies.denoising.contraction import FILE, Curve, Noting, Tried, measured, write_curve
from rollahead.policies.denoising.samplers import RTI, Steps
from rollahead.policies.local import LocalPlanner
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.recording.run_folder import SUMMARY, provenance
from rollahead.sim.task import make_task

GROUPS = ("task", "planner", "sampler", "roller")
SHORT, DELAY = 8, 4  # execution horizon and delay in ticks, if chunks are long enough


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """Options of `rollahead tune` outside its groups (configs/tune.yaml)."""

    inferences: int
    seed: int

    def __post_init__(self) -> None:
        if self.inferences < 1:
            raise ConfigError(f"inferences is {self.inferences}; give at least 1")


def main(config: DictConfig) -> None:
    """Measures warm starts of the policy of `config`, and prints and writes the curve.

    The curve is written to the checkpoint's folder, or to the run folder for a shipped checkpoint.
    """
    chosen = options(config, TuneOptions, GROUPS)
    if config.get("planner") is None or config.planner.get("name") != "policy":
        raise ConfigError(
            "a sampler is tuned for a policy that denoises; give planner=policy with its checkpoint, or planner=flow"
        )
    sampler = group(config, "sampler")
    if sampler["name"] == RTI:
        raise ConfigError(
            f"the levels of sampler={RTI} are what is found, from a sampler of cold starts; leave {RTI} out"
        )
    cell = Cell(
        task=group(config, "task"),
        strategy=StrategyConfig("vlash"),
        latency={"name": "fixed", "ticks": 0},
        planner=group(config, "planner"),
        roller=group(config, "roller"),
        sampler=sampler,
        seed=chosen.seed,
        reactions=False,
    )
    task = make_task(**cell.task)
    planning = planning_of(cell, task)
    planner = planning.planner
    assert isinstance(planner, LocalPlanner), "of a policy"
    policy: Any = planner.policy
    cold = planner.sampler
    if not isinstance(cold, Steps):
        raise ConfigError(
            f"a sampler is tuned for a policy that denoises, and {policy.name} makes its chunk at once; use "
            "another policy"
        )
    schedule = _schedule(planning.horizon)
    cell = replace(cell, strategy=schedule, latency={"name": "fixed", "ticks": schedule.d})
    folder = run_folder(config)
    planner.sampler = noting = Noting(cold, chosen.inferences)
    seed = chosen.seed
    while not noting.full:
        before = len(noting.asked)
        run_episode(cell, task, seed, planning=planning)
        if len(noting.asked) == before:
            raise ConfigError(f"no request of episode {seed} had a last plan to start from, so nothing can be measured")
        seed += 1
    with torch.inference_mode():
        curve = measured(policy, cold, noting.asked, chosen.seed)
    checkpoint = find(str(cell.planner["checkpoint"]))
    where = folder.path if checkpoint.is_relative_to(FOLDER) else checkpoint  # shipped checkpoints are not changed
    written = write_curve(where, curve)
    folder.write_json(SUMMARY, {"command": "tune", "warm": str(written), **provenance(chosen.seed)})
    _say(curve, written)


def _schedule(horizon: int) -> StrategyConfig:
    """A schedule in which a chunk of `horizon` rows still has rows left when the next one is made.

    Raises: ConfigError, if there is no such schedule.
    """
    s = min(SHORT, horizon // 2)
    if s < 1:
        raise ConfigError(
            f"chunks of {horizon} row are over when the next is made, and no start for it; use longer ones"
        )
    return StrategyConfig("vlash", s=s, d=min(DELAY, s))


def _say(curve: Curve, written: Path) -> None:
    console().print(
        f"{curve.requests} requests; two cold starts differ by {curve.spread:.3f} (root mean square, normalised)",
        soft_wrap=True,
    )
    console().print(table(curve))
    if curve.chosen is None:
        console().print("no warm start that was tried contracts and is as good as a cold one: leave sampler=rti alone")
    else:
        levels = ",".join(f"{level:g}" for level in curve.chosen.levels)
        console().print(f'to use it: rollahead eval sampler=rti "sampler.warm=[{levels}]"', soft_wrap=True)
    console().print(f"{FILE}: {written}", soft_wrap=True)


def table(curve: Curve) -> Table:
    """A table of the curve with a row for each list of levels."""
    printed = Table(box=SIMPLE_HEAD, header_style="bold", pad_edge=False, collapse_padding=True)
    printed.add_column("levels", no_wrap=True)
    for heading in ("calls", "error left", "off a cold start", ""):
        printed.add_column(heading, justify="right", no_wrap=True)
    for one in curve.tried:
        printed.add_row(*_row(one), "chosen" if one == curve.chosen else "")
    return printed


def _row(one: Tried) -> tuple[str, ...]:
    levels = ", ".join(f"{level:g}" for level in one.levels)
    return levels, str(one.calls), f"{100 * one.rho:.0f} %", f"{one.error:.3f}"
