"""What README.md says to do works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]


def test_the_example_in_the_readme_runs_and_shows_vlash_ahead():
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    hits = {line.split()[0]: float(line.split()[2]) for line in ran.stdout.splitlines()}
    assert hits["vlash"] > hits["sync"] > hits["naive"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_inside_the_repository_lead_somewhere(page):
    targets = re.findall(r"\]\((?!http)([^)#]*)", page.read_text())
    missing = [target for target in targets if target and not (page.parent / target).exists()]
    assert missing == []
