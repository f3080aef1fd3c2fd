"""docs/safety.md names a test for each thing that it says; these are those tests."""

import re
from pathlib import Path

from every import every

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "safety.md").read_text()
NAMED = [words for words in re.findall(r"\*([^*]+)\*", PAGE.replace("**", "")) if len(words.split()) > 3]
TESTS = [
    name.replace("_", " ")
    for path in (ROOT / "tests").rglob("test_*.py")
    for name in re.findall(r"^def (test_\w+)", path.read_text(), re.M)
]


def plain(words: str) -> str:
    return re.sub(r"[^a-z0-9]+", " ", re.sub("['-]", "", words.lower())).strip()


@every("words", [part for found in NAMED for part in found.split(";")])
def test_what_the_safety_page_says_is_tested(words: str) -> None:
    assert any(plain(words) in test for test in TESTS), words


def test_the_page_names_its_tests() -> None:
    assert len(NAMED) >= 15
