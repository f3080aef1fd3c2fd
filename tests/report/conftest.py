from pathlib import Path

import pytest

from rollahead.report.load import Results, load

from . import records

STRATEGIES = ("sync", "naive", "naive_arrival", "ensemble", "vlash")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of five strategies at 8 ticks, all recorded, and of two at 4 ticks, not recorded."""
    cells = [records.cell(name) for name in STRATEGIES]
    cells += [records.cell(name, 4, traces=0) for name in ("sync", "vlash")]
    return records.write_run(tmp_path_factory.mktemp("runs") / "five", cells)


@pytest.fixture(scope="session")
def results(run: Path) -> Results:
    return load(run)


@pytest.fixture(scope="session")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of three runs, of which one left nothing."""
    folder = tmp_path_factory.mktemp("runs") / "sweep"
    records.write_run(folder / "0", [records.cell("sync", 2, episodes=1)])
    (folder / "1").mkdir()
    records.write_run(folder / "10", [records.cell("vlash", 2, episodes=1)])
    records.write_run(folder / "9", [records.cell("naive", 2, episodes=1, traces=0)])
    return folder


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training, measured at two delays; no ticks are kept."""
    cells = [records.cell("vlash", ticks, episodes=1, traces=0) for ticks in (0, 4)]
    return records.write_training(tmp_path_factory.mktemp("runs") / "learned", cells)


@pytest.fixture(scope="session")
def unrecorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that kept no ticks."""
    return records.write_run(tmp_path_factory.mktemp("runs") / "bare", [records.cell("vlash", 2, traces=0)])


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two tasks and two planners under two kinds of latency, its figures made up."""
    return records.write_study(tmp_path_factory.mktemp("runs") / "study", delays=(0, 8, 12), kinds=records.KINDS[:2])
