import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from benchmarks.policy_parity import HORIZON, SIDE

from rollahead.errors import ConfigError
from rollahead.policies.checkpoints.card import CARD
from rollahead.policies.checkpoints.checkpoint import ADAPTERS, load_policy, read_checkpoint
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

ROBOT = RobotSpec(
    state=tuple(Dim(name) for name in ("x", "y", "z")),
    action=tuple(Dim(name, kind=Kind.VELOCITY) for name in ("vx", "vy", "vz", "grip")),
    environment=(Dim("ball_x"), Dim("ball_y")),
    rate_hz=20.0,
)


@pytest.fixture
def folder(diffusion_folder: Path, tmp_path: Path) -> Path:
    """A checkpoint to break."""
    return Path(shutil.copytree(diffusion_folder, tmp_path / "broken"))


def configure(folder: Path, **changed: Any) -> None:
    written = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**written, **changed}))


def refused(folder: Path | str, **given: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load_policy(folder, **given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("name", "horizon"), [("diffusion_folder", HORIZON - 1), ("act_folder", HORIZON)])
def test_the_type_says_which_policy_is_made(name: str, horizon: int, request: pytest.FixtureRequest) -> None:
    policy = load_policy(request.getfixturevalue(name))
    assert policy.spec.horizon == horizon and policy.name.lower().split()[1] in name
    assert type(policy).__module__ in ADAPTERS.values()


def test_a_folder_may_be_a_text(diffusion_folder: Path) -> None:
    assert load_policy(str(diffusion_folder)).spec == load_policy(diffusion_folder).spec


def test_a_checkpoint_without_a_card_has_the_robots_names_and_rate(folder: Path) -> None:
    (folder / CARD).unlink()
    spec = load_policy(folder, robot=ROBOT, trust_order=True).spec
    assert (spec.state, spec.action) == (("x", "y", "z"), ("vx", "vy", "vz", "grip"))
    assert (spec.environment, spec.rate_hz) == (("ball_x", "ball_y"), 20.0)
    assert "nothing says at what rate" in refused(folder)


def test_a_checkpoint_without_a_card_has_the_names_of_its_data_set(folder: Path, tmp_path: Path) -> None:
    (folder / CARD).unlink()
    parts = {"state": ("observation.state", 3), "e": ("observation.environment_state", 2), "action": ("action", 4)}
    features = {key: {"names": [f"{part}_{i}" for i in range(n)]} for part, (key, n) in parts.items()}
    (tmp_path / "data" / "meta").mkdir(parents=True)
    (tmp_path / "data" / "meta" / "info.json").write_text(json.dumps({"fps": 30, "features": features}))
    spec = load_policy(folder, dataset=tmp_path / "data", robot=ROBOT).spec
    assert (spec.action[0], spec.environment[1], spec.rate_hz) == ("action_0", "e_1", 30.0)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere").startswith(f"there is no folder {tmp_path / 'nowhere'}; give")


def test_a_folder_without_a_configuration_is_no_checkpoint(tmp_path: Path) -> None:
    assert f"{tmp_path} has no config.json, so it is not a checkpoint; give the folder" in refused(tmp_path)


def test_the_folder_of_a_run_of_ours_leads_to_its_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "checkpoint").mkdir()
    assert refused(tmp_path).endswith("give the folder of a checkpoint")
    (tmp_path / "checkpoint" / "config.json").touch()
    assert refused(tmp_path).endswith(f"so it is not a checkpoint; give {tmp_path / 'checkpoint'}")


def test_the_folder_above_a_checkpoint_of_lerobots_training_leads_to_it(tmp_path: Path) -> None:
    inner = tmp_path / "checkpoints" / "000500" / "pretrained_model"
    inner.mkdir(parents=True)
    (inner / "config.json").touch()
    assert refused(tmp_path).endswith(f"so it is not a checkpoint; give {inner}")


@pytest.mark.parametrize("text", ["", '{"type": "diffusion", "input_', "\x00"])
def test_a_configuration_that_ends_too_soon_is_said_so(text: str, folder: Path) -> None:
    (folder / "config.json").write_text(text)
    assert refused(folder).startswith(f"{folder / 'config.json'} is damaged or was not written to its end (")


def test_a_configuration_that_is_a_list_is_none(folder: Path) -> None:
    (folder / "config.json").write_text("[]")
    assert "is not the configuration of a policy" in refused(folder)


@pytest.mark.parametrize("kind", ["difusion", "smolvla", None, 3])
def test_an_unknown_type_is_refused_with_those_that_are_known(kind: Any, folder: Path) -> None:
    configure(folder, type=kind)
    said = refused(folder)
    assert said.startswith(f"there is no policy type in {folder / 'config.json'} {str(kind)!r}")
    assert "Known: act, diffusion, rollahead_flow" in said


def register_policy(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """A package that registers an adapter for checkpoints of the type `theirs`."""
    (info := folder / "theirs-1.0.dist-info").mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rollahead.policies]\ntheirs = {folder.name}_adapter:load\n")
    (folder / f"{folder.name}_adapter.py").write_text(f"def load(checkpoint, device):\n    {body}\n")
    monkeypatch.syspath_prepend(folder)


def test_an_adapter_of_another_package_makes_the_policies_of_its_type(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(folder, type="theirs")
    body = "from rollahead.policies.adapters import diffusion; return diffusion.load(checkpoint, device)"
    register_policy(tmp_path / "theirs", monkeypatch, body)
    assert load_policy(folder).spec.horizon == HORIZON - 1


def test_what_an_adapter_of_another_package_makes_is_checked(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(folder, type="theirs")
    register_policy(tmp_path / "none", monkeypatch, "return 3")
    assert refused(folder).startswith("policy type 'theirs' is made as int, which has no spec, trained, shape, ")


BREAKS: Mapping[str, tuple[Callable[[Path], object], str]] = {
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), "the checkpoint has no "),
    "weights end too soon": (
        lambda folder: (folder / "model.safetensors").write_bytes((folder / "model.safetensors").read_bytes()[:-9]),
        "model.safetensors is damaged or was not written to its end (",
    ),
    "weights do not fit": (
        lambda folder: configure(folder, down_dims=[16, 64]),
        "model.safetensors does not fit config",
    ),
    "no processors": (
        lambda folder: [path.unlink() for path in folder.glob("policy_*")],
        "policy_preprocessor.json, which says how its numbers are normalised",
    ),
    "half the processors": (
        lambda folder: (folder / "policy_postprocessor.json").unlink(),
        "policy_postprocessor.json, which says how its numbers are normalised",
    ),
    "a feature of nobody's": (
        lambda folder: configure(folder, input_features={"observation.effort": {"type": "STATE", "shape": [2]}}),
        "the policy takes observation.effort (STATE), which is neither observation.state",
    ),
    "a field of another version": (
        lambda folder: configure(folder, memory=3),
        "does not know memory of this Diffusion",
    ),
    "a card of another policy": (
        lambda folder: (folder / CARD).write_text('{"format": 1, "state": ["s"], "action": [], "rate_hz": 50}'),
        "rollahead.json has 1 names of state (s), and the policy 3; mend it",
    ),
    "a configuration without end": (
        lambda folder: (folder / "config.json").write_text("[" * 100_000 + "]" * 100_000),
        "config.json is nested too deeply to be a policy's; copy it again",
    ),
    "processors without end": (
        lambda folder: (folder / "policy_preprocessor.json").write_text("[" * 100_000),
        "policy_preprocessor.json cannot be read (",
    ),
    "a horizon beyond memory": (
        lambda folder: configure(folder, horizon=10**9),
        "config.json is 1000000000; take a checkpoint of 1 to 10000 rows",
    ),
    "no horizon": (lambda folder: configure(folder, horizon=0), "horizon in "),
    "an adapter of PEFT": (
        lambda folder: configure(folder, use_peft=True),
        "holds a PEFT adapter (use_peft), which is not read here; merge it into its base policy",
    ),
    "a card that ends too soon": (
        lambda folder: (folder / CARD).write_text("{"),
        "rollahead.json is not a valid card (",
    ),
    "only a configuration": (
        lambda folder: [path.unlink() for path in folder.iterdir() if path.name != "config.json"],
        "the checkpoint has no ",
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_checkpoint_that_is_not_whole_or_not_ours_is_refused_in_one_sentence(name: str, folder: Path) -> None:
    damage, words = BREAKS[name]
    damage(folder)
    assert words in refused(folder, robot=ROBOT)


def test_the_sizes_of_its_cameras_are_by_their_names(seeing_folder: Path) -> None:
    read = read_checkpoint(seeing_folder)
    assert read.camera_sizes == dict.fromkeys(load_policy(seeing_folder).spec.cameras, (SIDE, SIDE))


@pytest.mark.parametrize(
    ("changed", "steps", "decay"),
    [
        ({"n_action_steps": 9}, 9, None),
        ({"n_action_steps": 1, "temporal_ensemble_coeff": 0.01}, None, 0.01),
        ({"n_action_steps": None}, None, None),
        ({"n_action_steps": "many", "temporal_ensemble_coeff": "0.01"}, None, None),
    ],
)
def test_lerobots_action_steps_are_read_unless_it_ensembles(
    changed: dict[str, Any], steps: int | None, decay: float | None, folder: Path
) -> None:
    configure(folder, **changed)
    read = read_checkpoint(folder)
    assert (read.action_steps, read.ensemble_decay) == (steps, decay)


def test_a_saved_rename_map_names_the_cameras_of_the_data_set(seeing_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(seeing_folder, tmp_path / "renamed"))
    assert read_checkpoint(folder).rename == {}
    path = folder / "policy_preprocessor.json"
    written = json.loads(path.read_text())
    (step,) = (each for each in written["steps"] if each["registry_name"] == "rename_observations_processor")
    step["config"]["rename_map"] = {"observation.images.front": "observation.images.camera_1"}
    path.write_text(json.dumps(written))
    assert read_checkpoint(folder).rename == {"camera_1": "front"}
