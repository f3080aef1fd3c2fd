"""Two packages as a user installs them: the one that docs/extending.md prints, and the example of a task."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.pages import DOCS, ROOT, blocks

PROGRAMS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True)
class Installed:
    """Where both are. folder: an empty one, to work in."""

    folder: Path
    environment: dict[str, str]

    def rollahead(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """`rollahead <arguments>`, in the folder."""
        return self.ran([str(PROGRAMS / "rollahead"), *arguments])

    def ran(self, program: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        """What came of `program`, in the folder."""
        where = {"cwd": self.folder, "env": self.environment}
        return subprocess.run(program, capture_output=True, text=True, check=False, **where, **options)


def install(folder: Path) -> Installed:
    """Installs both below `folder`."""
    write_package(folder / "printed")
    pip = [PROGRAMS / "uv", "pip", "install", "--quiet", "--offline", "--no-deps", "--no-build-isolation"]
    packages = [folder / "printed", ROOT / "examples/rollahead-reach"]
    where = ["--python", sys.executable, "--target", folder / "site"]
    subprocess.run([*pip, *where, *packages], check=True, env=os.environ | {"UV_LINK_MODE": "copy"})
    (work := folder / "work").mkdir()
    write_configs(work)
    return Installed(work, os.environ | {"PYTHONPATH": str(folder / "site"), "COLUMNS": "120"})


def write_configs(folder: Path) -> None:
    """Writes the configurations that docs/tasks.md prints below `folder`."""
    for block in blocks(DOCS / "tasks.md"):
        if block.file.startswith("conf/"):
            (path := folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)


def write_package(folder: Path) -> None:
    """The package that the page prints, file by file."""
    for block in blocks(DOCS / "extending.md"):
        if block.file:
            (path := folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
    (folder / "my_parts" / "__init__.py").touch()
