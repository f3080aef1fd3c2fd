import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.first_use import FIGURES, ROOT, lines_of, minutes


def test_lines_are_counted_without_blank_ones_in_all_folders(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.py").write_text("one\n\n    two\n   \n")
    (tmp_path / "inner" / "b.py").write_text("three")
    (tmp_path / "c.txt").write_text("not counted\n")
    assert lines_of(tmp_path) == 3


def test_the_root_is_that_of_tests_and_source() -> None:
    assert lines_of(ROOT / "tests") > 0 < lines_of(ROOT / "src")
    assert FIGURES["lines"]().value == lines_of(ROOT / "tests") / lines_of(ROOT / "src")


def test_what_fails_gives_no_figure(tmp_path: Path) -> None:
    assert minutes([sys.executable, "-c", ""], tmp_path) > 0
    with pytest.raises(subprocess.CalledProcessError):
        minutes([sys.executable, "-c", "raise SystemExit(2)"], tmp_path)
