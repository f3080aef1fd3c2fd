"""Options by name have the defaults of the command line."""

from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from every import every
from rollahead.api.options import CONFIGS, options_of

MEMBERS = [
    (group, path.stem)
    for group in ("task", "planner", "latency", "roller", "sampler", "robot")
    for path in sorted((CONFIGS / group).glob("*.yaml"))
]


@every("group, name", MEMBERS)
def test_a_name_has_the_options_that_the_command_line_gives_it(group: str, name: str) -> None:
    with initialize_config_module("rollahead.configs", version_base="1.3"):
        config = compose("run", overrides=[f"{group}={name}"])
    chosen = config[group]
    wanted = {key: chosen[key] for key in chosen if not OmegaConf.is_missing(chosen, key)}
    assert options_of(group, name, "mole") == wanted


def test_options_that_are_given_come_before_the_defaults() -> None:
    assert options_of("latency", {"name": "lognormal", "p95": 9})["p95"] == 9
    assert options_of("latency", {"name": "lognormal", "p95": 9})["p50"] == 4.0


def test_a_name_of_another_package_has_the_options_that_are_given() -> None:
    assert options_of("planner", {"name": "mine", "x": 1}) == {"name": "mine", "x": 1}
