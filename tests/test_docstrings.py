"""Docstrings can be read on their own, as in an editor's hover."""

import ast
import re
from pathlib import Path

import rollahead

PACKAGE = Path(rollahead.__file__).parent
LEANING = re.compile(r"(Of|As|By|That|Those|The same|What|In words)\b")  # beginnings that need the line before them


def test_no_docstring_begins_with_words_that_lean_on_something_else() -> None:
    leaning = [
        f"{path.relative_to(PACKAGE)}: {said.splitlines()[0]}"
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
        if (said := ast.get_docstring(node)) and LEANING.match(said)
    ]
    assert leaning == []
