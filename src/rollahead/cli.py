"""The command line: selects the command, and only then imports the modules that it needs."""

import sys
from contextlib import nullcontext
from importlib import import_module

from rollahead.output import output

COMMANDS = (
    *("demo", "run", "eval", "train", "train-corrector"),
    *("recommend", "tune", "identify", "report", "doctor"),
)

HELP = ("-h", "--help")
USAGE = """rollahead: drive a fast robot with a slow policy

usage: rollahead <command> [key=value ...]

{commands}

rollahead <command> --help   shows its options, with examples
rollahead --version          prints the version
rollahead --completion       completes all this in bash: eval "$(rollahead --completion)"
"""

# Hydra completes the options of one application, so the words before them are removed from its line.
COMPLETION = """_rollahead() {{
    local word="${{COMP_WORDS[COMP_CWORD]}}" choices="{commands}"
    if [ "$COMP_CWORD" -gt 1 ]; then
        choices=$(COMP_LINE="rollahead ${{COMP_WORDS[*]:2}}" rollahead "${{COMP_WORDS[1]}}" -sc query=bash 2>/dev/null)
    fi
    COMPREPLY=($(compgen -W "$choices" -- "$word"))
    [[ "${{COMPREPLY[*]}}" == *= ]] && compopt -o nospace
}}
COMP_WORDBREAKS=${{COMP_WORDBREAKS//=}}
complete -F _rollahead rollahead
"""


def main() -> None:
    """The `rollahead` program."""
    with output() as out:
        try:
            status = _run(sys.argv[1:])
        except SystemExit as ended:
            status = ended.code
        out.flush()
    if out.lost:
        if sys.stderr is not None:
            sys.stderr.write(
                f"rollahead: some output could not be printed ({out.lost}); free some space for standard output\n"
            )
        status = status or 2
    if status is not None:
        sys.exit(status)


def _run(arguments: list[str]) -> int | str | None:
    """Does what `arguments` say; the exit status of a command."""
    if not arguments or arguments[0] in (*HELP, "help"):
        from rollahead.commands.config_files import read_config

        commands = "\n".join(f"  {name:<15}  {read_config('', name).title}" for name in COMMANDS)
        sys.stdout.write(USAGE.format(commands=commands))
    elif "--version" in arguments[:2]:
        from rollahead import __version__

        sys.stdout.write(f"rollahead {__version__}\n")
    elif arguments[0] == "--completion":
        sys.stdout.write(COMPLETION.format(commands=" ".join(COMMANDS)))
    else:
        return _command(arguments[0], arguments[1:])
    return None


def _command(command: str, arguments: list[str]) -> int:
    if command not in COMMANDS:
        from rollahead.commands.renamed import moved

        if sentence := moved(command, arguments):
            sys.stderr.write(f"rollahead {command}: {sentence}\n")
            return 2
        from rollahead.errors import unknown_name

        sys.stderr.write(f"rollahead: {unknown_name('command', command, COMMANDS)}\n")
        return 2
    if any(argument in HELP for argument in arguments):
        from rollahead.commands.help import help_of

        if (text := help_of(command, arguments)) is not None:
            sys.stdout.write(text)
            return 0
    try:
        from rollahead.commands.stages import begin, on_a_terminal, stage

        begin()
        with stage("starting") if on_a_terminal() else nullcontext():
            module = import_module(f"rollahead.commands.{command.replace('-', '_')}")
            from rollahead.commands.app import start
    except KeyboardInterrupt:  # imports may take seconds; after them `start` handles interrupts
        sys.stderr.write(f"rollahead {command}: interrupted\n")
        return 2
    return start(command, module.main, arguments)
