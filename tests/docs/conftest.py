import pytest

from .installed import Installed, install


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """An empty folder, and an environment with the packages of `installed.py` in it."""
    return install(tmp_path_factory.mktemp("installed"))
