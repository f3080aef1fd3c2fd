"""What a checkpoint of LeRobot's tells a command, without a card of ours."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from benchmarks.policy_parity import features_of, stats_of
from safetensors.torch import load_file, save_file

from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.runtime.types.spec import names_of
from rollahead.sim.task import make_task

from .conftest import Ran, refusal

Command = Callable[..., Ran]
SIZES = {STATE: (4,), ENVIRONMENT: (2,), ACTION: (2,)}  # of the task mole
TRUSTED = "planner.trust_order=true"


def saved(folder: Path, **options: Any) -> str:
    """The options of a command that plans with a small ACT for the task mole, as LeRobot saves one."""
    small = {"dim_model": 32, "n_heads": 2, "dim_feedforward": 64, "n_encoder_layers": 1, "use_vae": False}
    config = compat.ACTConfig(
        input_features=features_of({key: SIZES[key] for key in (STATE, ENVIRONMENT)}),
        output_features=features_of({ACTION: SIZES[ACTION]}),
        device="cpu",
        pretrained_backbone_weights=None,
        **{"chunk_size": 16, "n_action_steps": 11, **small, **options},
    )
    compat.made("ACTPolicy", config).save_pretrained(folder)
    for processor in compat.make_pre_post_processors(config, dataset_stats=stats_of(SIZES)):
        processor.save_pretrained(folder)
    return f"planner.checkpoint={folder}"


def trained_on(folder: Path, fps: int, **names: list[str]) -> None:
    """LeRobot's word on the data set that the checkpoint in `folder` was trained on."""
    data = folder / "data"
    spec = make_task("mole").spec
    told = {STATE: names_of(spec.state), ENVIRONMENT: names_of(spec.environment), ACTION: names_of(spec.action)}
    features = {key: {"names": names.get(key, list(each))} for key, each in told.items()}
    (data / "meta").mkdir(parents=True)
    (data / "meta/info.json").write_text(json.dumps({"fps": fps, "features": features}))
    (folder / "train_config.json").write_text(json.dumps({"dataset": {"repo_id": "user/mole", "root": str(data)}}))


EVAL = ("eval", "planner=policy", "episodes=1", "workers=1", "reactions=false", "latency.ticks=2", "name=mine")


@pytest.mark.parametrize("command", [EVAL, ("run", "planner=policy", "episodes=1")])
def test_an_order_and_a_rate_that_no_file_gives_are_refused_before_anything_moves(
    command: tuple[str, ...], rollahead: Command, tmp_path: Path
) -> None:
    said = refusal(rollahead(*command, saved(tmp_path / "act")), command[0])
    assert said.startswith(f"no file says in which order {tmp_path / 'act'} has its state, environment and action, nor")
    assert said.endswith("if the robot has the same order and rate (50 Hz), planner.trust_order=true")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", [EVAL, ("run", "planner=policy", "episodes=1")])
def test_what_was_assumed_is_printed_where_it_is_trusted(
    command: tuple[str, ...], rollahead: Command, tmp_path: Path
) -> None:
    ran = rollahead(*command, saved(tmp_path / "act"), TRUSTED)
    assert ran.status == 0
    assert f"assumed: the action of {tmp_path / 'act'} is in the robot's order, vx, vy; no file names it\n" in ran.out
    assert f"assumed: {tmp_path / 'act'} was trained at the robot's rate, 50 Hz; no file gives one\n" in ran.out


def test_a_rate_that_the_data_set_of_train_config_gives_is_not_the_robots(rollahead: Command, tmp_path: Path) -> None:
    given = saved(tmp_path / "act")
    trained_on(tmp_path / "act", 30)
    said = refusal(rollahead(*EVAL, given), "eval")
    assert said == "the policy was made for 30 Hz and the robot runs at 50 Hz; drive the robot at 30 Hz"


def test_an_order_that_the_data_set_of_train_config_gives_is_driven_by_name(rollahead: Command, tmp_path: Path) -> None:
    sent = {}
    for order in (["vx", "vy"], ["vy", "vx"]):
        folder = tmp_path / "".join(order)
        given = saved(folder)
        trained_on(folder, 50, action=order)
        weights = load_file(folder / "model.safetensors")
        for key in weights:  # all networks the same, and no more than an offset of the action
            weights[key].fill_(0.0)
        save_file(weights, folder / "model.safetensors")
        ran = rollahead(*EVAL[:-1], f"name={'_'.join(order)}", given, "traces=1")
        assert ran.status == 0
        assert f"names and rate are those of data set {folder / 'data'}, which train_config.json names\n" in ran.out
        ticks = pq.read_table(tmp_path / f"runs/{'_'.join(order)}/ticks.parquet").to_pydict()
        sent[tuple(order)] = [ticks[f"action.{name}"][-1] for name in ("vx", "vy")]
    (first, second), swapped = sent[("vx", "vy")], sent[("vy", "vx")]
    assert swapped == [second, first] and first != second


def summary(tmp_path: Path) -> dict[str, Any]:
    strategy: dict[str, Any] = json.loads((tmp_path / "runs/mine/summary.json").read_text())["cells"][0]["strategy"]
    return strategy


@pytest.mark.parametrize(
    ("options", "s"), [((), 11), (("strategy.s=5",), 5), (("strategy.q=2",), 5)], ids=["open", "given", "at speed"]
)
def test_sync_runs_as_many_rows_as_lerobot_would_unless_it_is_given(
    options: tuple[str, ...], s: int, rollahead: Command, tmp_path: Path
) -> None:
    ran = rollahead(*EVAL, saved(tmp_path / "act"), TRUSTED, "strategy=sync", *options)
    assert (ran.status, summary(tmp_path)["s"]) == (0, s)
    said = f"strategy.s = {s}, from the checkpoint's n_action_steps = 11\n" in ran.out
    assert said == (options != ("strategy.s=5",))


def test_without_a_checkpoint_sync_and_ensemble_have_defaults_of_their_own(rollahead: Command, tmp_path: Path) -> None:
    for strategy, option, value in (("sync", "s", 8), ("ensemble", "ensemble", {"decay": 0.01})):
        assert rollahead(*EVAL[:1], f"strategy={strategy}", *EVAL[2:-1], f"name={strategy}").status == 0
        said = json.loads((tmp_path / f"runs/{strategy}/summary.json").read_text())["cells"][0]["strategy"]
        assert said[option] == value


def test_an_ensemble_decays_as_the_checkpoint_says_unless_it_is_given(rollahead: Command, tmp_path: Path) -> None:
    given = saved(tmp_path / "act", temporal_ensemble_coeff=0.3, n_action_steps=1)
    ran = rollahead(*EVAL, given, TRUSTED, "strategy=ensemble")
    assert (ran.status, summary(tmp_path)["ensemble"]) == (0, {"decay": 0.3})
    assert "strategy.ensemble.decay = 0.3, the checkpoint's temporal_ensemble_coeff\n" in ran.out
    ran = rollahead(*EVAL[:-1], "name=other", given, TRUSTED, "strategy=ensemble", "strategy.ensemble.decay=0.1")
    assert "strategy.ensemble.decay" not in ran.out


def test_a_checkpoint_that_ensembles_says_so_where_another_strategy_does_not(
    rollahead: Command, tmp_path: Path
) -> None:
    given = saved(tmp_path / "act", temporal_ensemble_coeff=0.3, n_action_steps=1)
    ran = rollahead(*EVAL, given, TRUSTED, "strategy=sync")
    assert (ran.status, summary(tmp_path)["s"]) == (0, 8)
    unused = "the checkpoint's temporal_ensemble_coeff = 0.3 is not used by strategy=sync; strategy=ensemble uses it\n"
    assert unused in ran.out


def test_a_first_state_unlike_those_of_training_is_said_once(rollahead: Command, tmp_path: Path) -> None:
    given = saved(tmp_path / "act")
    (path,) = (tmp_path / "act").glob("policy_preprocessor*.safetensors")
    statistics = load_file(path)
    statistics[f"{STATE}.mean"][1] += 1000.0
    save_file(statistics, path)
    ran = rollahead("run", "planner=policy", "episodes=2", "name=mine", given, TRUSTED)
    assert ran.status == 0
    line = "the state is more than 10 standard deviations outside what the policy was trained on: y is "
    assert ran.out.count(line) == 1 and "look at units (degrees, percent), calibration and names\n" in ran.out
