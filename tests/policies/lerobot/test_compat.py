import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest
from benchmarks.policy_parity import CONFIGS, features_of

from every import every
from rollahead.errors import ConfigError
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE

FEATURES = {"input_features": {STATE: {"type": "STATE", "shape": [3]}, ENVIRONMENT: {"type": "ENV", "shape": [2]}}}


def refused(name: str, written: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        compat.config_of(name, written)
    return str(caught.value)


@every("name", compat.HOMES)
def test_every_part_of_lerobot_is_found_in_this_version(name: str) -> None:
    assert getattr(compat, name) is not None


def test_a_part_that_is_not_listed_is_none() -> None:
    with pytest.raises(AttributeError, match="has no name 'PI0Policy' of LeRobot"):
        _ = compat.PI0Policy


def test_a_part_that_cannot_be_imported_is_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(compat.HOMES, "Moved", ("lerobot.nowhere", "lerobot.configs.types"))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"Moved of LeRobot .* cannot be imported \(No module named .*; .*'Moved'"):
        _ = compat.Moved


def test_lerobot_is_imported_no_sooner_than_it_is_asked_for() -> None:
    code = "import sys, rollahead.policies.lerobot.compat; sys.exit('lerobot' in sys.modules or 'torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("version", ["0.4.4", "0.4.10", "0.5.0", "0.6.1", "0.6.99"])
def test_versions_in_the_range_are_taken(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    compat.check_version()


@pytest.mark.parametrize("version", ["0.1", "0.3.9", "0.4.3", "0.7.0", "0.7.0rc1", "0.7.1", "1.0"])
def test_versions_out_of_the_range_are_refused_with_both(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    with pytest.raises(ConfigError) as caught:
        _ = compat.DiffusionPolicy
    assert str(caught.value) == (
        f"LeRobot {version} is installed, and rollahead works with >=0.4.4,<0.7 (it is tested with 0.4.4 and 0.6.1); "
        "use one of these: pip install 'lerobot>=0.4.4,<0.7'"
    )


def test_without_lerobot_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(ConfigError, match=r"LeRobot is not installed; .* pip install 'rollahead\[policies\]'"):
        _ = compat.ACTPolicy


def test_a_configuration_comes_back_as_it_was_written_but_for_what_is_changed() -> None:
    made = compat.config_of(
        "DiffusionConfig", {"type": "diffusion", "horizon": 32, "down_dims": [8, 16], **FEATURES}, clip_sample=False
    )
    assert (made.horizon, made.down_dims, made.clip_sample) == (32, (8, 16), False)
    assert made.robot_state_feature.shape == (3,)


@pytest.mark.parametrize("name", ["gradient_checkpointing", "pretrained_revision"])
def test_what_another_version_has_for_training_is_left_out(name: str) -> None:
    assert compat.config_of("ACTConfig", {name: None}).chunk_size == 100


def test_a_field_that_this_version_does_not_know_is_refused_by_name() -> None:
    said = refused("ACTConfig", {"chunk_size": 8, "n_action_steps": 8, "memory": 3})
    assert said.startswith(f"LeRobot {compat.version()} does not know memory of this ACTConfig")


def test_what_lerobot_refuses_is_passed_on_as_one_sentence() -> None:
    said = refused("DiffusionConfig", {"prediction_type": "velocity"})
    assert "`prediction_type` must be one of" in said and "\n" not in said


def test_a_network_that_lerobot_cannot_make_is_refused_with_the_reason() -> None:
    config = CONFIGS["act"](
        input_features=features_of({STATE: (3,)}), output_features=features_of({ACTION: (2,)}), device="cpu"
    )
    with pytest.raises(ConfigError, match=r"cannot make a ACTPolicy of this .*at least one image or the environment"):
        compat.made("ACTPolicy", config)


def test_a_package_that_lerobot_misses_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(config: object) -> object:
        raise ImportError(
            "'diffusers' is required but not installed. Install it with: pip install 'lerobot[diffusion]'"
        )

    monkeypatch.setattr(compat, "_part", lambda name: make)
    with pytest.raises(ConfigError, match=r"DiffusionPolicy of LeRobot .* cannot be made \('diffusers' is required"):
        compat.made("DiffusionPolicy", None)
