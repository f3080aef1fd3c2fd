from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_module
from omegaconf import OmegaConf

from rollahead.errors import ConfigError
from rollahead.report.load import load
from rollahead.report.training import Look, TrainingResult, in_words, names, read_training

from .records import LOOKS, edit_summary, seen, write_training

NIGHT_S = 30_000.0


def trained(folder: Path, **options: Any) -> TrainingResult:
    return read_training(write_training(folder / "run", **options), {})


def test_what_was_trained_is_read(tmp_path: Path) -> None:
    found = trained(tmp_path)
    assert (found.run, found.task, found.policy["name"]) == ("run", "mole", "flow")
    assert (found.steps, found.batch, found.played) == (2000, 64, 10)
    assert found.aims == {"offsets": 12, "delay_input": True, "prefixes": 0}
    assert found.source == "1,500 demonstrations"


def test_every_look_is_read(tmp_path: Path) -> None:
    assert trained(tmp_path).looks == (Look(1000, 0.2, 40.0, 90.0), Look(2000, 0.05, 90.0, 180.0))


def test_what_is_not_known_of_a_look_is_none(tmp_path: Path) -> None:
    assert trained(tmp_path, looks=[seen(5, None)]).looks == (Look(5, None, None, 0.0),)


def test_a_data_set_is_named_in_place_of_demonstrations(tmp_path: Path) -> None:
    found = trained(tmp_path, dataset="data/cups", task=None)
    assert (found.source, found.task) == ("data set data/cups", None)


def test_a_configuration_without_the_key_of_a_task_has_none(tmp_path: Path) -> None:
    run = write_training(tmp_path / "run")
    config = OmegaConf.load(run / "config.yaml")
    del config["task"]
    OmegaConf.save(config, run / "config.yaml")
    assert read_training(run, {}).task is None


def test_the_configuration_of_the_command_is_read(tmp_path: Path) -> None:
    run = write_training(tmp_path / "run")
    with initialize_config_module("rollahead.configs", version_base="1.3"):
        (run / "config.yaml").write_text(OmegaConf.to_yaml(compose("train")))
    found = read_training(run, {})
    assert (found.task, found.policy["name"], found.dataset) == ("mole", "flow", None)


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_last_line_that_was_cut_off_is_left_out(tmp_path: Path, cut: int) -> None:
    run = write_training(tmp_path / "run")
    log = run / "training.jsonl"
    log.write_bytes(log.read_bytes()[:-1][:-cut])
    assert [look.step for look in read_training(run, {}).looks] == [1000]


def test_a_training_without_a_log_has_no_looks(tmp_path: Path) -> None:
    run = write_training(tmp_path / "run")
    (run / "training.jsonl").unlink()
    found = read_training(run, {})
    assert (found.looks, found.minutes) == ((), None)
    assert in_words(found) == "2,000 steps of 64 examples."


BROKEN: dict[str, Callable[[Path], object]] = {
    "no configuration": lambda run: (run / "config.yaml").unlink(),
    "one that is no YAML": lambda run: (run / "config.yaml").write_text("a: [1"),
    "one that is not text": lambda run: (run / "config.yaml").write_bytes(b"\xff\xfe\x00"),
    "one of nothing": lambda run: (run / "config.yaml").write_text(""),
    "one of a list": lambda run: (run / "config.yaml").write_text("- a"),
    "one of another command": lambda run: (run / "config.yaml").write_text("task: {name: mole}"),
    "one with a word for a group": lambda run: (run / "config.yaml").write_text("policy: flow\ntask: mole"),
    "a line that is damaged inside": lambda run: (run / "training.jsonl").write_text('{"step": 1\n{"step": 2'),
    "a line that is no look": lambda run: (run / "training.jsonl").write_text("[1]\n[2]\n"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_is_damaged_is_named_with_what_to_do(tmp_path: Path, how: str) -> None:
    run = write_training(tmp_path / "run")
    BROKEN[how](run)
    with pytest.raises(ConfigError, match=r"run/(config\.yaml|training\.jsonl) cannot be read") as caught:
        read_training(run, {})
    assert "; make the run again" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_minutes_are_those_of_the_pace_between_looks(tmp_path: Path) -> None:
    assert trained(tmp_path).minutes == pytest.approx(2 * 90 / 60)


def test_a_night_before_it_was_resumed_is_not_counted(tmp_path: Path) -> None:
    looks = [seen(100 * i, time_s=60.0 * i + (NIGHT_S if i > 2 else 0.0)) for i in range(1, 6)]
    assert trained(tmp_path, looks=looks).minutes == pytest.approx(5.0)


def test_from_one_look_no_pace_is_known(tmp_path: Path) -> None:
    assert trained(tmp_path, looks=LOOKS[:1]).minutes is None


def test_minutes_and_weights_are_taken_from_the_summary_if_it_has_them(tmp_path: Path) -> None:
    run = write_training(tmp_path / "run")
    edit_summary(run, training={"minutes": 7.2, "weights": 412_345})
    (found,) = load(run).trainings
    assert (found.minutes, found.weights) == (7.2, 412_345)
    assert in_words(found).startswith("0.4 M weights, 2,000 steps of 64 examples, about 7 minutes; ")


def test_the_end_is_told_in_one_line(tmp_path: Path) -> None:
    assert in_words(trained(tmp_path)) == (
        "2,000 steps of 64 examples, about 3 minutes; at the end the error of a cold step is 0.050, and 90 % of 10 "
        "episodes succeed without delay."
    )


def test_what_was_not_played_is_not_told(tmp_path: Path) -> None:
    assert in_words(trained(tmp_path, looks=[seen(2000, 0.05)])).endswith(
        "; at the end the error of a cold step is 0.050."
    )


@pytest.mark.parametrize(
    ("minutes", "words"), [(0.2, "less than a minute"), (1.2, "about 1 minute;"), (61.4, "about 61 minutes")]
)
def test_minutes_are_rounded(tmp_path: Path, minutes: float, words: str) -> None:
    run = write_training(tmp_path / "run")
    assert words in in_words(read_training(run, {"training": {"minutes": minutes}}))


def test_few_weights_are_counted_one_by_one(tmp_path: Path) -> None:
    run = write_training(tmp_path / "run")
    assert in_words(read_training(run, {"training": {"weights": 4321}})).startswith("4,321 weights, ")


def test_a_training_is_called_by_its_policy_and_in_a_sweep_by_its_number_too(tmp_path: Path) -> None:
    found = [read_training(write_training(tmp_path / name), {}) for name in ("0", "1")]
    assert names(found[:1]) == ["flow"]
    assert names(found) == ["0 flow", "1 flow"]
    assert names([]) == []
