from pathlib import Path

import pytest

from rollahead.errors import ConfigError
from rollahead.runtime.config.extensions import load

GROUP = "rollahead.of_a_test"
OURS = {"round": complex, "square": float}


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages that register `square`, as we have one, and `long`, which cannot be imported."""
    info = tmp_path / "shapes-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shapes\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nsquare = builtins:int\nlong = a_module_nobody_has:make\n")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("registered")
def test_ours_is_taken_before_another_packages_of_the_same_name() -> None:
    assert load(GROUP, "shape", "square", "") is int
    assert load(GROUP, "shape", "square", "", OURS) is float


@pytest.mark.usefixtures("registered")
def test_what_is_unknown_is_refused_with_ours_and_theirs() -> None:
    with pytest.raises(ConfigError) as caught:
        load(GROUP, "shape", "squar", "", OURS)
    assert str(caught.value) == "there is no shape 'squar'; did you mean 'square'? Known: long, round, square"


@pytest.mark.usefixtures("registered")
def test_what_cannot_be_imported_is_told_with_the_remedy() -> None:
    with pytest.raises(
        ConfigError, match=r"^shape 'long' cannot be imported \(No module named 'a_module_nobody_has'\); add it$"
    ):
        load(GROUP, "shape", "long", "add it", OURS)


@pytest.mark.parametrize("name", [None, 3, True])
def test_a_name_that_is_no_text_is_refused(name: object) -> None:
    with pytest.raises(ConfigError, match=f"shape.name is {name!r}; give a text"):
        load(GROUP, "shape", name, "")  # type: ignore[arg-type]
