import subprocess
import sys
from importlib import import_module, resources
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from pathlib import Path

import pytest

import rollahead
from every import every
from rollahead.cli import COMMANDS, main
from rollahead.commands.config_files import read_config

HEAVY = ("torch", "lerobot", "mujoco", "numpy", "hydra", "omegaconf", "yaml", "pyarrow", "rich")


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]], ids=repr)
def test_help_names_every_command_and_what_it_is_for(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rollahead", *arguments])
    main()
    out, err = capsys.readouterr()
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert err == ""
    for name in COMMANDS:
        assert [name, read_config("", name).title] in lines
    assert all(len(line) <= 100 for line in out.splitlines())


def test_version_is_that_of_the_installed_package(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rollahead", "--version"])
    main()
    assert capsys.readouterr().out == f"rollahead {version('rollahead')}\n" == f"rollahead {rollahead.__version__}\n"


def test_an_unknown_command_is_answered_by_a_near_miss_and_exit_status_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["rollahead", "evla", "strategy=sync"])
    with pytest.raises(SystemExit) as ended:
        main()
    out, err = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert err.startswith("rollahead: there is no command 'evla'; did you mean 'eval'?")
    assert err.count("\n") == 1


def test_ctrl_c_during_imports_is_one_line_and_no_traceback() -> None:
    code = (
        "import os, signal, sys\n"
        "class Interrupted:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'hydra':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "sys.meta_path.insert(0, Interrupted())\n"
        "sys.argv = ['rollahead', 'run']\n"
        "from rollahead.cli import main\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (2, "", "rollahead run: interrupted\n")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["evla"], ["eval", "strategy=rtc", "--help"]], ids=repr
)
def test_what_runs_no_command_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys, atexit\n"
        f"atexit.register(lambda: print('imported:', *[m for m in {HEAVY!r} if m in sys.modules]))\n"
        f"sys.argv = ['rollahead', *{arguments!r}]\n"
        "from rollahead.cli import main\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.stdout.splitlines()[-1] == "imported:", ran.stdout


def test_a_run_on_a_real_robot_imports_nothing_of_the_simulator(tmp_path: Path) -> None:
    code = (
        "import sys, atexit\n"
        "atexit.register(lambda: print('imported:', *sorted(m for m in sys.modules if m.startswith(HIDDEN))))\n"
        "HIDDEN = ('rollahead.sim', 'mujoco')\n"
        "sys.argv = ['rollahead', 'run', 'robot=loopback', 'planner=sine', 'seconds=0.2', 'name=mine']\n"
        "from rollahead.cli import main\n"
        "main()\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout.splitlines()[-1]) == (0, "imported:"), ran.stderr


def test_the_program_is_installed_and_is_this_one() -> None:
    (script,) = entry_points(group="console_scripts", name="rollahead")
    assert script.load() is main


@every("name", COMMANDS)
def test_each_command_has_a_module_and_a_configuration_of_its_name(name: str) -> None:
    assert find_spec(f"rollahead.commands.{name.replace('-', '_')}") is not None
    assert resources.files("rollahead.configs").joinpath(f"{name}.yaml").is_file()


def test_the_package_itself_imports_nothing() -> None:
    assert import_module("rollahead").__doc__
    code = "import sys; before = set(sys.modules); import rollahead; print(*sorted(set(sys.modules) - before))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["rollahead"]
