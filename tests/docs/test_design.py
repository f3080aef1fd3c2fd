"""docs/design.md prints the tables of the code."""

import re
from pathlib import Path

import pytest

from rollahead.runtime.config.feasibility import tables

DESIGN = Path(__file__).parents[2] / "docs" / "design.md"


@pytest.mark.parametrize("name", ["schedules", "refusals"])
def test_the_design_page_prints_the_table_that_the_code_has(name):
    printed = re.search(rf"<!-- {name}:[^>]*-->\n(.*?)\n?<!-- end -->", DESIGN.read_text(), re.S)
    assert printed is not None
    assert printed.group(1) == tables()[name]
