"""Checks of the command line: each mistake becomes one sentence that says what to write instead.

`check` finds, before Hydra runs, mistakes for which Hydra's or argparse's message would not help; `explain` rewords the
errors that Hydra raises.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from hydra.errors import MissingConfigException

from rollahead.commands import lerobot_flags
from rollahead.commands.config_files import CONFIGS, keys, members
from rollahead.commands.lerobot_flags import shell
from rollahead.commands.offered import nearby, options
from rollahead.commands.renamed import moved, renamed
from rollahead.errors import ConfigError, unknown_name

SWEEP = ("-m", "--multirun")
HELP = ("-h", "--help")
INSPECTING = (  # flags of Hydra that show something instead of running, or choose the files; some take a value
    *("--hydra-help", "--cfg", "-c", "--resolve", "--package", "-p", "--info", "-i", "--shell-completion", "-sc"),
    *("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp"),
)
OWN_FILES = ("--config-dir", "-cd")  # flags of Hydra that add a folder of configurations
NAMED = re.compile(r"""(?<=[{ ,])["']([\w.]+)["']\s*:\s*""")  # a quoted name in braces, as in JSON
FLAG = re.compile(r"-+[A-Za-z]")
OPTION = re.compile(r"[+~]*[A-Za-z_][\w.@/-]*=")  # beginning of an option
USUAL = ("fixed", "recorded", "lognormal", "policy", "vlash")  # members suggested first, if several have the option
WHOLE: Mapping[str, str] = {"report": "run"}  # commands with a single option, whose name users leave out
MEANT: Mapping[str, tuple[str, str]] = {  # by group: what a value that is no member may be, and the option for it
    "robot": ("a robot of LeRobot's", "robot=lerobot robot.type"),
    "planner": ("a checkpoint", "planner=policy planner.checkpoint"),
    "latency": ("a recorded latency", "latency=recorded latency.path"),
    "roller": ("a calibration", "roller=identified roller.path"),
    "task": ("what a policy is told to do", "task_text"),
}


def check(command: str, arguments: Sequence[str]) -> None:
    """Checks the arguments of `command` before Hydra parses them.

    Raises: ConfigError, if an argument is not UTF-8, has an old name, or is neither an option with a value nor a flag.
    """
    for argument in arguments:
        if any("\ud800" <= character <= "\udfff" for character in argument):
            shown = argument.encode(errors="surrogateescape").decode(errors="backslashreplace")
            raise ConfigError(
                f"{shown} holds bytes that are no text here; write it in UTF-8, and set LC_ALL=C.UTF-8 if the terminal "
                "has no UTF-8"
            )
    if any(argument.split("=", 1)[0] in INSPECTING for argument in arguments):
        return
    if old := moved(command, arguments) or next(filter(None, map(renamed, _whole(arguments))), None):
        raise ConfigError(old)
    if flags := list(_flags(arguments)):
        raise ConfigError(_without_dashes(command, arguments, flags))
    for i, argument in enumerate(arguments):
        group, _, value = argument.partition("=")
        if value.startswith("[") and group and (CONFIGS / group).is_dir():
            swept = shell(f"{group}={value.strip('[]')}")
            raise ConfigError(f"{argument} is a list; to run one after the other write {swept} --multirun")
        if not (OPTION.match(argument) or argument.startswith(("-", "~"))):
            raise ConfigError(_stray(command, arguments, i))


def explain(command: str, arguments: Sequence[str], error: Exception) -> str:
    """A sentence that names the argument for which Hydra raised `error`, and what was perhaps meant."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_member(command, error.missing_cfg_file, error.options)
    if any(argument.split("=", 1)[0] in OWN_FILES for argument in arguments):
        return _not_in_own_files(error)
    for group, name in (argument.split("=", 1) for argument in arguments if "=" in argument):
        if (CONFIGS / group).is_dir() and name not in ("null", *members(group)) and "," not in name:
            return _no_member(command, f"{group}/{name}", None)
    said = str(error).strip().splitlines()[0].rstrip(".")
    if "Multiple values for" in said and (added := [each for each in arguments if each.startswith("+")]):
        return f"{added[0]} is chosen already; write {added[0].lstrip('+')} without the plus"
    if "Ambiguous value" in said:
        return _ambiguous(said)
    known, chosen = options(command, arguments)
    for argument in arguments:
        key = argument.split("=", 1)[0].lstrip("+~")
        if "=" in argument and not key.startswith(("hydra.", "-")) and key not in known:
            return _unknown(command, arguments, key, known, chosen)
    return _unreadable(command, said, getattr(error, "override", None))


def _not_in_own_files(error: Exception) -> str:
    """Hydra's own message in one sentence, since the options in the user's own files are not known here."""
    said = [line.strip().rstrip(".") for line in str(error).strip().splitlines() if line.strip()]
    return "; ".join(one if i == 0 else one[0].lower() + one[1:] for i, one in enumerate(said[:2]))


# --- words without a key and a value ---


def _stray(command: str, arguments: Sequence[str], i: int) -> str:
    """The advice for the word `arguments[i]`, which is neither an option nor a flag."""
    word, more = arguments[i], list(takewhile(lambda each: not _begins(each), arguments[i:]))
    see = f"write option=value, as rollahead {command} --help shows"
    if word == "help":
        see = f"write rollahead {command} --help"
    elif i and OPTION.match(arguments[i - 1]):
        before = arguments[i - 1]
        whole = before + word if before.endswith("=") else " ".join([before, *more])
        see = f"if it belongs to the value before it, write {shell(whole)}"
    elif len(more) > 1 and re.fullmatch(r"[a-z_][\w.]*[:=]?", word):
        see = f"write {shell(word.rstrip(':=') + '=' + ' '.join(more[1:]).lstrip('= '))}"
    elif found := re.fullmatch(r"\s*([A-Za-z_][\w.]*)(?::|\s*=)\s*(.+)", word):
        see = f"write {shell(f'{found[1]}={found[2]}')}"
    elif command in WHOLE:
        see = f"write {shell(f'{WHOLE[command]}={word}')}"
    return f"{word!r} is no option; {see}"


def _whole(arguments: Sequence[str]) -> Iterator[str]:
    """Yields each option with the words after it that a shell has split off its value."""
    for i, argument in enumerate(arguments):
        yield " ".join([argument, *takewhile(lambda each: not _begins(each), arguments[i + 1 :])])


def _begins(argument: str) -> bool:
    """Whether an option or a flag begins with `argument`."""
    return bool(OPTION.match(argument) or FLAG.match(argument) or argument.startswith("~"))


# --- flags ---


@dataclass(frozen=True, slots=True)
class _Flag:
    """A word with dashes.

    Attributes:
        written: The word with its value, as the user wrote it.
        name: The word without dashes.
        value: The value; empty if there is none.
    """

    written: str
    name: str
    value: str


def _flags(arguments: Sequence[str]) -> Iterator[_Flag]:
    """Yields the flags with dashes in `arguments` that this program does not have; a value may be the next word."""
    for i, argument in enumerate(arguments):
        if FLAG.match(argument) and argument not in (*SWEEP, *HELP):
            flag, equals, value = argument.partition("=")
            more = takewhile(lambda each: not _begins(each), arguments[i + 1 :])
            value = " ".join([*filter(None, [value]), *more])
            yield _Flag(
                shell(f"{flag}={value}") if equals else " ".join([flag, *filter(None, [value and shell(value)])]),
                flag.lstrip("-"),
                value,
            )


def _without_dashes(command: str, arguments: Sequence[str], flags: Sequence[_Flag]) -> str:
    """The advice for `flags`, which are LeRobot's, or options of this program with dashes before them."""
    plain = [argument for argument in arguments if OPTION.match(argument)]
    named = [f"{flag.name}={flag.value}" for flag in flags]
    known, chosen = options(command, [*plain, *named])
    ours = [flag for flag in flags if _is_option(command, flag, known, chosen)]
    theirs = [flag for flag in flags if flag not in ours and lerobot_flags.known(command, flag.name)]
    without = " ".join(shell(f"{flag.name}={flag.value}") for flag in ours)
    if theirs:
        said = lerobot_flags.in_our_words(
            command, {flag.name: flag.value for flag in theirs}, [flag.written for flag in theirs]
        )
        return f"{said}; and write {without} without dashes" if ours else said
    if ours:
        return f"{' '.join(flag.written for flag in ours)}: options have no dashes here; write {without}"
    if flags[0].name in chosen:
        return _no_member(command, f"{flags[0].name}/{flags[0].value}", None)
    if not flags[0].value:
        return str(unknown_name("flag", flags[0].written, (*SWEEP, *HELP)))
    return _unknown(command, arguments, flags[0].name, known, chosen)


def _is_option(command: str, flag: _Flag, known: Sequence[str], chosen: Mapping[str, str]) -> bool:
    """Whether `flag` without dashes is an option of `command` and not LeRobot's, or chooses a member of a group."""
    if flag.name in chosen:
        return flag.value in members(flag.name)
    return flag.name in known and not lerobot_flags.template(command, flag.name)


# --- options and groups ---


def _unknown(command: str, arguments: Sequence[str], key: str, known: Sequence[str], chosen: Mapping[str, str]) -> str:
    """The advice for the option `key`, which is not among the options `known` of the `chosen` members of the groups."""
    group, _, option = key.partition(".")
    given = option and any(argument.startswith(f"{group}=") for argument in arguments)
    of = [name for name in members(group) if option and option in keys(group, name)]
    if group in chosen and of and not given:
        name = next((name for name in USUAL if name in of), of[0])
        return f"{key} is an option of {group}={name}, and {group} is {chosen[group]}; add {group}={name}"
    if lerobot_flags.known(command, key) and (group != "robot" or not given or "robot=lerobot" in arguments):
        theirs = {}
        for argument in arguments:
            name, _, value = argument.partition("=")
            if name not in known and lerobot_flags.known(command, name):
                theirs[name] = value
        theirs = theirs or {key: ""}
        return lerobot_flags.in_our_words(command, theirs, [shell(f"{name}={theirs[name]}") for name in theirs])
    if others := [other for other in lerobot_flags.FOLDERS if key in keys("", other)]:
        return f"{key} is an option of rollahead {' and '.join(others)}, and not of {command}"
    return str(unknown_name("option", key, nearby(key, known)))


def _no_member(command: str, missing: str, options: Sequence[str] | None) -> str:
    """The advice for `missing`, a group and a name that is not one of its members."""
    group, _, name = missing.partition("/")
    said = str(unknown_name(group, name, options or members(group)))
    words = re.search(r"\s" if group == "task" else r"[\s_/]", name)
    if group not in MEANT or (group == "task" and not words) or ("did you mean" in said and not words):
        return said
    what, option = MEANT[group]
    if group == "latency" and re.fullmatch(r"[\d.]+", name):
        what, option = "a latency of so many ticks", "latency=fixed latency.ticks"
        name = name if name.isdigit() else "<seconds times control rate>"
    where = " of rollahead run" if group == "task" and command != "run" else ""
    *others, last = option.split()
    return f"{said}; {what} is {' '.join([*others, shell(f'{last}={name}')])}{where}"


def _ambiguous(said: str) -> str:
    """The advice for several values of one option; `said` is Hydra's message."""
    argument = re.sub(r"^.*?'(.*)'$", r"\1", said)
    key, _, values = argument.partition("=")
    listed = "" if (CONFIGS / key).is_dir() else f", or write {shell(f'{key}=[{values}]')} for a list"
    return f"{argument} has several values; add --multirun to run one after the other{listed}"


def _unreadable(command: str, said: str, override: str | None) -> str:
    """The advice for a value that Hydra cannot parse; `said` is Hydra's message."""
    if re.search(r"[{,]\s*null\s*:", override or said):
        return f"a name in {override or said.partition(' override ')[2]} is null; give a text"
    if override is None:
        return f"{said}; see rollahead {command} --help"
    if "==" in override:
        return f"{shell(override)} has two equals signs; write {shell(override.replace('==', '='))}"
    if NAMED.search(override):
        plain = NAMED.sub(lambda found: f"{found[1]}: ", override)
        return f"{shell(override)} has names in quotes; write them without, as in {shell(plain)}"
    return (
        f"the value of {shell(override)} cannot be read; close its brackets and quotes, and put what has other "
        "characters than letters, digits and ./_- into quotes of its own, as in \"robot.config={id: 'my arm, left'}\""
    )
