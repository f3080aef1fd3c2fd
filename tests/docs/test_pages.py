"""What the pages say to do can be done: their commands are taken, their code runs, and it prints what they say."""

import contextlib
import io
import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from benchmarks.pages import DOCS, ROOT, blocks, commands

from rollahead.cli import COMMANDS, main

from .installed import Installed

NAMES = (
    "quickstart",
    "concepts",
    "choosing",
    "calibrate",
    "measuring",
    "denoising",
    "extending",
    "tasks",
    "robots",
    "train",
)
PAGES = [DOCS / f"{name}.md" for name in NAMES] + [ROOT / "README.md"]
WALKED = [DOCS / "quickstart.md", DOCS / "measuring.md"]  # from the first block to the last
NEITHER = ("doctor", "demo", "train")  # take minutes, or have tests that do them


def taken(wanted: list[list[str]], installed: Installed) -> list[str]:
    """What is said against each command when its options are read, every value of a sweep once, and nothing is run; in
    a process of its own, since Hydra keeps what other packages have registered."""
    ran = installed.ran([sys.executable, str(Path(__file__).with_name("composing.py"))], input=json.dumps(wanted))
    assert ran.stderr == ""
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_on_a_page_have_options_and_choices_that_there_are(page: Path, installed: Installed) -> None:
    wanted = [command for block in blocks(page) for command in commands(block)]
    broken = ["eval", "strategy=vlash", "strategy.ss=8"]  # so that a refusal would be seen
    *refusals, seen = taken([*wanted, broken], installed)
    assert "Could not override 'strategy.ss'" in seen
    said = {" ".join(command): words for command, words in zip(wanted, refusals, strict=True) if words}
    assert said == {}


def test_the_commands_of_the_pages_are_found() -> None:
    found = [command[0] for page in PAGES for block in blocks(page) for command in commands(block)]
    assert len(found) >= 40
    assert set(found) <= set(COMMANDS)


def cheap(command: list[str], name: str) -> list[str]:
    """The same, over in a second or two. name: of the run, if it has none."""
    program, *arguments = command
    named = [] if any(argument.startswith("name=") for argument in arguments) else [f"name={name}"]
    if program == "run":
        return [*command, *named, "seconds=0.5" if "robot=loopback" in arguments else "episodes=1"]
    searched = ["search.episodes=1"] if any(argument.startswith("search.") for argument in arguments) else []
    return [*command, *named, *searched, "episodes=2", "workers=1"]


def walk(page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Does all that `page` says, in order and in this folder; what its code is said to print and does not."""
    wrong = []
    printed, names = "", {"__name__": "page"}
    for i, block in enumerate(blocks(page)):
        for j, command in enumerate(commands(block)):
            if command[0] not in NEITHER and "robot=lerobot" not in command:
                monkeypatch.setattr(sys, "argv", ["rollahead", *cheap(command, f"step-{i}-{j}")])
                with pytest.raises(SystemExit) as ended:
                    main()
                said = capsys.readouterr().err
                wrong += [f"{command}: {said}"] if ended.value.code else []
        if block.language == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, page.name, "exec"), names)
            printed = out.getvalue()
        if block.language == "text":
            wrong += [block.text] if block.text != printed else []
    return wrong


@pytest.mark.slow
@pytest.mark.parametrize("page", WALKED, ids=lambda page: page.stem)
def test_a_page_can_be_walked_from_its_first_block_to_its_last(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    Path("latencies.txt").write_text("0.11\n0.16\n0.14\n")  # which the reader is said to have
    assert walk(page, monkeypatch, capsys) == []
    if page.stem == "measuring":
        assert figures_named(page) <= figures_left(Path("runs/cell"))


def figures_named(page: Path) -> set[str]:
    """Those of the page's first table, in code in its first column."""
    rows = page.read_text().partition("| figure |")[2].partition("\n\n")[0].splitlines()[2:]
    return {row.split("`")[1] for row in rows}


def figures_left(run: Path) -> set[str]:
    (cell,) = json.loads((run / "summary.json").read_text())["cells"]
    return set(cell["figures"])


def test_what_the_code_on_measuring_prints_without_a_run_stands_below_it() -> None:
    found = blocks(DOCS / "measuring.md")
    shown = [(code, below) for code, below in pairwise(found) if below.language == "text"]
    assert len(shown) == 2
    for code, below in shown:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            exec(compile(code.text, "measuring.md", "exec"), {"__name__": "page"})
        assert out.getvalue() == below.text


def anchors(page: Path) -> set[str]:
    """What its headings are reached by."""
    words = (line.lstrip("#").strip().lower() for line in page.read_text().splitlines() if line.startswith("#"))
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in words}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_link_into_a_page_leads_to_a_heading_and_a_picture_is_there(page: Path) -> None:
    text = page.read_text()
    links = re.findall(r"\]\((?!http)([^)#\s]*\.md)?#([^)\s]+)\)", text)
    lost = [(to, part) for to, part in links if part not in anchors(page.parent / to if to else page)]
    assert lost == []
    assert [source for source in re.findall(r'src="([^"]+)"', text) if not (page.parent / source).exists()] == []
