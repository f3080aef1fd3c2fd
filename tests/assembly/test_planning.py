"""What a user may give as a planner, in Python and as an entry point."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

from rollahead.assembly.planners import make_planning
from rollahead.assembly.planning import AUTO, Brief, Planning, blank, planning_from
from rollahead.assembly.rollers import Scene
from rollahead.errors import ConfigError
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.timer import NO_DEADLINE, Timer
from rollahead.runtime.rolling.roll import Rollers, still
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec

SPEC = RobotSpec(
    (Dim("a", low=-1.0, high=1.0, drives="a"), Dim("b", kind=Kind.VELOCITY, low=-2.0, high=2.0, drives="b")),
    (Dim("a"), Dim("b")),
    50.0,
)
REAL = Scene(SPEC)
UNROLLED = Rollers(still)


class Still:
    """A planner that keeps the robot where it is."""

    horizon = 6

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Timer = NO_DEADLINE) -> Result:
        seen = newest().observation
        return Result(request, frozen(np.zeros((6, 2))), seen.tick, seen.state, 0.0)


def registered(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """A package that registers `make` of a module of `source` as the planner `mine`."""
    (info := folder / "mine-1.0.dist-info").mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rollahead.planners]\nmine = {folder.name}_planner:make\n")
    (folder / f"{folder.name}_planner.py").write_text(source)
    monkeypatch.syspath_prepend(folder)


def brief(**changed: Any) -> Brief:
    return replace(Brief(REAL, UNROLLED, AUTO, StrategyConfig("vlash")), **changed)


def test_a_planner_of_another_package_is_made_with_its_options_and_the_brief(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = """
        import numpy as np
        def make(brief, horizon=4, height=0.5):
            return lambda seen: np.full((horizon, len(brief.scene.spec.action)), height)
    """
    registered(tmp_path, monkeypatch, dedent(source))
    assert make_planning({"name": "mine", "horizon": 7}, REAL, UNROLLED).horizon == 7
    with pytest.raises(ConfigError, match=r"there is no option of the planner 'hight'; did you mean 'height'"):
        make_planning({"name": "mine", "hight": 7}, REAL, UNROLLED)
    with pytest.raises(ConfigError, match=r"there is no planner 'min'; did you mean 'mine'"):
        make_planning({"name": "min"}, REAL, UNROLLED)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return 3", "planner 'mine' is made as int; make it a Planning"),
        ("return lambda seen: [[0.0]]", r"planner 'mine' gives rows of shape \(1, 1\) .*; make it give \(H, 2\)"),
        ("return lambda seen: None", r"planner 'mine' gives no rows for a blank observation"),
        ("raise OSError('no server')", r"planner 'mine' raised OSError \(no server\) in .*_planner.py, line 2"),
        ("return lambda seen: 1 / 0", r"planner 'mine' raised ZeroDivisionError .* in .*_planner.py, line 2"),
    ],
)
def test_what_is_no_planner_is_refused_by_its_name(
    body: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registered(tmp_path, monkeypatch, f"def make(brief):\n    {body}\n")
    with pytest.raises(ConfigError, match=said):
        make_planning({"name": "mine"}, REAL, UNROLLED)


def test_a_planner_with_a_horizon_and_a_planning_are_taken_as_they_are() -> None:
    planner = Still()
    assert planning_from(planner, brief()) == Planning(planner, 6, cameras=None)  # it may use any image
    planning = Planning(planner, 4, n_obs=2)
    assert planning_from(planning, brief()) is planning


def test_a_planner_without_a_horizon_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Still, "horizon")
    with pytest.raises(ConfigError, match=r"made as Still, whose horizon is None; give it a horizon"):
        planning_from(Still(), brief())


def test_a_function_plans_from_the_state_as_it_was_rolled_and_may_have_no_answer() -> None:
    calls: list[float] = []

    def function(seen: Observation) -> FloatArray | None:
        calls.append(float(seen.state[0]))
        return None if seen.state[0] > 4 else np.tile(seen.state, (5, 1))

    planner = planning_from(function, brief(rollers=Rollers(lambda state, rows: state + len(rows)))).planner
    for tick, rolled in ((2, 3.0), (4, 5.0)):
        seen = Observation(tick, frozen([float(tick), 0.0]))
        rows = frozen(np.zeros((3, 2)))
        asked = Snapshot(tick, (seen,), rows[:0], rows, 0, 0)
        result = planner.infer(Request(asked, tick + 1, tick + 1, tick + 1, 1), lambda seen=asked: seen)
        assert calls[-1] == rolled
        assert (result is None) == (rolled > 4)
        assert result is None or (result.rows.shape, result.anchor[0]) == ((5, 2), rolled)


def test_a_blank_observation_is_as_the_spec_says_and_within_its_ranges() -> None:
    spec = replace(SPEC, state=(Dim("a", low=2.0, high=3.0), Dim("b")), cameras=(Camera("top", 4, 6),))
    seen = blank(spec)
    assert seen.state.tolist() == [2.0, 0.0]
    assert seen.images["top"].shape == (4, 6, 3)
    assert dict(seen.image_ticks) == {"top": 0}
