"""What the benchmark of real-time iteration plays, and what it makes of it."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from benchmarks.rti import CHOICES, NETS, choice, flips, keys, name_of, read, time_ratio

from benchmarks import rti
from rollahead.policies.checkpoints.shipped import find
from rollahead.policies.denoising.samplers import make_sampler
from rollahead.runtime.control.trace import TickStatus, Trace
from rollahead.runtime.types.arrays import frozen
from rollahead.sim.task import make_task

from ..policies.fakes import Gaussian, cosine


def test_every_cell_has_a_file_of_its_own_a_known_net_and_a_schedule_that_can_be() -> None:
    names = [name_of(key) for key, _, _ in keys()]
    assert len(set(names)) == len({key for key, _, _ in keys()})
    for (net, _, s, d), _, episodes in keys():
        assert d <= s and episodes >= 200
        assert NETS[net].recipe is not None or find(net).exists()


def test_every_sampler_of_a_diffusion_can_be_made() -> None:
    for (net, _, _, _), sampler, _ in keys():
        if "flow" not in net and "velocity" not in net:
            make_sampler(sampler, Gaussian(process=cosine()))


def episode(moves: list[list[float]]) -> Any:
    """One with two moles, to the left at (-1, 0) and to the right at (1, 0), the tool between them."""
    spec = make_task("mole", targets=2).spec
    trace = Trace(spec, 100)
    for k, move in enumerate(moves):
        scene = frozen([-1.0, 0.0, 1.0, 0.0])
        trace.tick(k, 0, TickStatus.OK, None, -1, frozen(move), frozen(np.zeros(len(spec.state))), scene)
    return SimpleNamespace(trace=trace, event_tick=2)


def test_a_change_of_mind_is_a_move_towards_the_other_mole_while_it_moves_after_they_jumped() -> None:
    left, right, rest = [-1.0, 0.0], [1.0, 0.0], [0.01, 0.0]
    assert flips(episode([right, left, right, right, right])) == 0  # before they jumped it may do as it likes
    assert flips(episode([rest, rest, right, left, left, right])) == 2
    assert flips(episode([rest, rest, left, rest, left])) == 0


def test_task_times_are_compared_over_episodes_that_both_solve() -> None:
    ours, theirs = {"time_s": [1.0, None, 3.0, 9.0]}, {"time_s": [2.0, 5.0, 2.0, None]}
    assert time_ratio(ours, theirs) == pytest.approx(1.0)
    assert np.isnan(time_ratio({"time_s": [None]}, {"time_s": [1.0]}))


def test_what_is_chosen_is_chosen_on_seeds_that_are_not_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rti, "PLAYED", tmp_path)
    (tmp_path / "choosing").mkdir()
    net, samplers, s, d = CHOICES["two, one call"]
    for i, name in enumerate(samplers):
        for folder, hits in ((tmp_path, [i == 0] * 4), (tmp_path / "choosing", [i == 1] * 4)):
            key = (net, name, s, d)
            (folder / name_of(key)).write_text(json.dumps({"key": key, "hits": hits}))
    assert choice("two, one call") == list(samplers)[1]
    assert len(read()) == 2
