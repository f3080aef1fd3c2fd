"""What `import rollahead` gives."""

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import rollahead
from rollahead import extending

LONG = 20  # characters that the first sentence of a docstring has at least
NO_SENTENCE = re.compile(r"^(Of|As|By|That|Those|What|The same)\b")


@pytest.mark.parametrize("module", [rollahead, extending], ids=lambda module: module.__name__)
def test_each_public_name_is_there_is_offered_and_is_what_type_checkers_are_told(module: ModuleType) -> None:
    tree = ast.parse(Path(inspect.getfile(module)).read_text())
    lazy = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
    imports = [node for node in (*tree.body, *lazy[0].body) if isinstance(node, ast.ImportFrom)]
    told = {name.name: node.module for node in imports for name in node.names if name.name != "TYPE_CHECKING"}
    assert set(told) == set(module.__all__) <= set(dir(module))
    assert module.__all__ == sorted(module.__all__, key=lambda name: (not name.isupper(), name.islower(), name))
    for name, where in told.items():
        value = getattr(module, name)
        assert value is getattr(sys.modules[str(where)], name)


@pytest.mark.parametrize("module", [rollahead, extending], ids=lambda module: module.__name__)
def test_the_first_sentence_of_each_public_docstring_stands_alone(module: ModuleType) -> None:
    documented = {name: getattr(module, name) for name in module.__all__}
    documented = {
        name: value for name, value in documented.items() if inspect.isclass(value) or inspect.isfunction(value)
    }
    for name, value in documented.items():
        first = re.split(r"[.:](?:\s|$)", inspect.getdoc(value) or "")[0]
        assert len(first) >= LONG, f"{name}: {first!r}"
        assert not NO_SENTENCE.match(first), f"{name}: {first!r}"


def test_a_name_that_is_not_there_is_said_as_python_says_it() -> None:
    for module in (rollahead, extending):
        with pytest.raises(AttributeError, match=f"module '{module.__name__}' has no attribute 'evaluat'"):
            module.evaluat  # noqa: B018


DRIVES = """
import sys
import numpy as np
import rollahead
rollahead.drive("loopback", lambda seen: np.tile(seen.state, (8, 1)), seconds=0.2)
print("imported:", *sorted(m for m in ("torch", "mujoco", "lerobot", "rollahead.sim", "pyarrow") if m in sys.modules))
"""


def test_driving_a_robot_with_a_function_imports_neither_torch_nor_a_simulator() -> None:
    ran = subprocess.run([sys.executable, "-c", DRIVES], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "imported:\n"), ran.stderr
