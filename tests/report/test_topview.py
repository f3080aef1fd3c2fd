import numpy as np

from rollahead.report.load import EpisodeResult, Recording, Results
from rollahead.report.topview import BEFORE, Panel, panel

from .records import recording

N = 40
COLUMNS = {
    "state.x": np.arange(N) / 100,
    "state.y": np.zeros(N),
    "state.vx": np.ones(N),
    "environment.cup_x": np.ones(N),
    "environment.cup_y": np.arange(N) / 10,
    "environment.mass": np.ones(N),
}


def seen(columns: dict[str, np.ndarray] | None = None, made: Recording | None = None) -> Panel | None:
    made = made or recording([0] * N, columns=COLUMNS if columns is None else columns)
    return panel("vlash", "series2", made, EpisodeResult(0, True, 25, 0.3), 50.0)


def without(name: str) -> dict[str, np.ndarray]:
    return {key: values for key, values in COLUMNS.items() if key != name}


def test_tool_and_objects_are_found_by_their_names() -> None:
    found = seen()
    assert found
    assert list(found.objects) == ["cup"]
    assert found.tool[-1].tolist() == [0.39, 0.0]
    assert found.objects["cup"][-1].tolist() == [1.0, 3.9]


def test_rates_are_no_objects() -> None:
    found = seen({**COLUMNS, "environment.cup_vx": np.ones(N), "environment.cup_vy": np.ones(N)})
    assert found
    assert list(found.objects) == ["cup"]


def test_it_opens_shortly_before_the_event() -> None:
    found = seen()
    assert found
    assert len(found.tool) == len(found.sent) == N - 25 + BEFORE
    assert found.event == BEFORE


def test_a_task_without_a_tool_or_without_an_object_cannot_be_seen() -> None:
    assert seen(without("state.y")) is None
    assert seen(without("environment.cup_y")) is None
    assert seen({}) is None


def test_what_was_sent_is_told_for_each_tick() -> None:
    found = seen(made=recording([0] * 20 + [None] * 8 + [25] * 12, columns=COLUMNS))
    assert found
    assert found.sent == ("before",) * 5 + ("hold",) * 8 + ("after",) * 12


def test_whack_a_mole_can_be_seen(results: Results) -> None:
    cell = results.cells[4]
    found = panel("vlash", "series2", cell.recording(0), cell.episodes[0], cell.rate_hz)
    assert found
    assert list(found.objects) == ["mole"]
