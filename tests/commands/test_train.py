import errno
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from faulty import Rail, registered
from rollahead.commands.train_plan import HELD, train_plan_of
from rollahead.errors import ControlError
from rollahead.policies.checkpoints.card import read_card
from rollahead.policies.checkpoints.checkpoint import load_policy
from rollahead.policies.data.dataset import read_dataset, write_dataset
from rollahead.policies.lerobot import compat
from rollahead.policies.training.training import Training
from rollahead.runtime.robots.lerobot import version as lerobot_version
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.seeds import MOST_SEED
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec
from rollahead.sim.demonstrations import Demonstration
from rollahead.sim.task import make_task

from .conftest import Ran, refusal

Command = Callable[..., Ran]
PROGRAM = Path(sys.executable).parent / "rollahead"
NET = ("policy.width=16", "policy.depth=1", "policy.horizon=8")
FEW = ("training.steps=6", "training.batch=8", "watch.every=2", "offsets=3", "workers=1", "name=mine")
TASK = ("demonstrations.count=6", "demonstrations.ticks=20", "watch.episodes=1", "evaluation.episodes=1")
SMALL = (*NET, *FEW, *TASK, "evaluation.delays=[0,2]")
OTHERS = {
    "flow": NET,
    "diffusion": ("policy=diffusion", "policy.horizon=8", "policy.down_dims=[8,16]", "policy.train_steps=10"),
    "act": ("policy=act", "policy.horizon=8", "policy.width=16", "policy.heads=2", "policy.depth=1"),
}
SIDE = 64


def spec_of(environment: int, cameras: int, rate_hz: float = 50.0) -> RobotSpec:
    return RobotSpec(
        action=tuple(Dim(name, kind=Kind.VELOCITY) for name in ("a", "b")),
        state=(Dim("s"), Dim("t")),
        environment=tuple(Dim(f"e{i}") for i in range(environment)),
        cameras=tuple(Camera(f"camera_{i}", SIDE, SIDE) for i in range(cameras)),
        rate_hz=rate_hz,
    )


def record_into(folder: Path, spec: RobotSpec, episodes: int = 3, length: int = 12) -> Path:
    """A data set of random numbers and pictures."""
    rng = np.random.default_rng(0)
    shown = [
        Demonstration(
            *(frozen(rng.standard_normal((length, len(dims)))) for dims in (spec.state, spec.environment, spec.action)),
            images={
                camera.name: rng.integers(0, 256, (length, camera.height, camera.width, 3)).astype(np.uint8)
                for camera in spec.cameras
            },
        )
        for _ in range(episodes)
    ]
    write_dataset(folder, spec, shown, text="move", fps=spec.rate_hz)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data sets: of a state, and more."""
    folder = tmp_path_factory.mktemp("data")
    for name, sizes in {"state": (0, 0), "scene": (2, 0), "filmed": (0, 2)}.items():
        record_into(folder / name, spec_of(*sizes))
    return folder


@pytest.fixture(scope="module")
def mole_like(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of random numbers by the names of whack-a-mole."""
    return record_into(tmp_path_factory.mktemp("mole") / "dataset", make_task("mole").spec)


def looks() -> list[Any]:
    return [json.loads(line) for line in Path("runs/mine/training.jsonl").read_text().splitlines()]


def weights(run: str = "mine") -> bytes:
    return (Path("runs") / run / "checkpoint/model.safetensors").read_bytes()


def test_a_task_leads_to_a_checkpoint_with_its_evaluation_beside_it(rollahead: Command) -> None:
    ran = rollahead("train", *SMALL, "seed=3")
    assert (ran.status, ran.err) == (0, "")
    run = Path("runs/mine")
    assert read_dataset(run / "dataset").episodes == 6
    assert [look["step"] for look in looks()] == [2, 4, 6]
    assert all(np.isfinite(look["cold_error"]) and look["success"] in (0.0, 100.0) for look in looks())
    summary = json.loads((run / "summary.json").read_text())
    beside = json.loads((run / "checkpoint/evaluation.json").read_text())
    assert {cell["planner"].pop("checkpoint") for cell in beside["cells"]} == {"."}
    assert {cell["planner"].pop("checkpoint") for cell in summary["cells"]} == {"runs/mine/checkpoint"}
    assert beside == summary
    assert (summary["command"], summary["seed"]) == ("train", 3)
    assert [cell["latency"]["ticks"] for cell in summary["cells"]] == [0, 2]
    assert pq.read_table(run / "episodes.parquet")["episode"].to_pylist() == [3 + HELD] * 2
    assert "checkpoint: runs/mine/checkpoint" in ran.out
    assert "report: runs/mine/report.html" in ran.out
    policy = load_policy(run / "checkpoint")
    assert (policy.trained.offsets, policy.trained.delay_input) == (3, True)
    assert not list(run.glob("**/*.unfinished"))
    eval_options = ("episodes=1", "workers=1", "reactions=false", "latency.ticks=2", "strategy.s=8", "name=played")
    assert rollahead("eval", "planner=policy", f"planner.checkpoint={run}/checkpoint", *eval_options).status == 0


def test_a_checkpoint_is_not_evaluated_on_the_episodes_that_it_has_learned_from(
    rollahead: Command, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(registered(tmp_path_factory.mktemp("site"), rail=Rail))
    few = ("demonstrations.count=6", "demonstrations.ticks=20", "watch.episodes=0", "evaluation.episodes=1")
    ran = rollahead("train", "task=rail", *NET, *FEW, *few, "evaluation.delays=[0]", "seed=3")
    assert (ran.status, ran.err) == (0, "")
    card = read_card(Path("runs/mine/checkpoint"))
    assert card is not None and card.demonstrated == (3, 9)
    policy = ("planner=policy", "planner.checkpoint=runs/mine/checkpoint", "task=rail", "workers=1", "strategy.s=8")
    for seed in (0, 2, 3, 8):
        said = refusal(rollahead("eval", *policy, f"seed={seed}", "episodes=2" if seed == 2 else "episodes=4"), "eval")
        assert said.startswith("the policy has learned from the episodes of rail with the seeds 3 to 8, and seed=")
        assert said.endswith("plays some of them again; give seed=9 or more")
    said = refusal(rollahead("run", *policy[:3], "seed=4", "episodes=1"), "run")
    assert "the seeds 3 to 8, and seed=4 with episodes=1 plays some of them again; give seed=9 or more" in said
    assert rollahead("eval", *policy, "seed=9", "episodes=1", "name=new").status == 0
    assert rollahead("eval", *policy, "seed=1", "episodes=2", "name=before").status == 0


def test_demonstrations_that_begin_anywhere_are_no_episodes_and_leave_no_seeds(rollahead: Command) -> None:
    assert rollahead("train", *SMALL, "training.steps=2").status == 0
    card = read_card(Path("runs/mine/checkpoint"))
    assert card is not None and card.demonstrated is None


def test_a_policy_is_trained_and_played_with_the_roller_that_it_will_run_with(rollahead: Command) -> None:
    pick = ("task=pick", *SMALL, "evaluation.delays=[2]", "demonstrations.exploration_ticks=2")
    for roller in ("robot", "attached"):
        ran = rollahead("train", *pick, f"roller={roller}", f"name={roller}")
        assert (ran.status, ran.err) == (0, "")
        assert ran.out.count("what it holds is seen where it was") == (roller == "robot")
        (cell,) = json.loads(Path("runs", roller, "summary.json").read_text())["cells"]
        assert cell["roller"]["name"] == roller
    assert weights("robot") != weights("attached")


def test_a_training_that_was_begun_before_rollers_were_told_goes_on(rollahead: Command) -> None:
    assert rollahead("train", *SMALL).status == 0
    config = OmegaConf.load("runs/mine/config.yaml")
    assert isinstance(config, DictConfig)
    del config["roller"]
    assert train_plan_of(config).roller == {"name": "robot"}


def test_the_log_has_a_line_per_look_with_the_time_left_and_no_more(rollahead: Command) -> None:
    ran = rollahead("train", *SMALL, "training.steps=40", "watch.every=20")
    lines = [line for line in ran.out.splitlines() if line.strip()]
    assert len(lines) < 13
    assert "\r" not in ran.out
    assert lines[0] == "training flow on demonstrations of mole, 40 steps, device=cpu"
    shown = [line for line in lines if line.startswith("step ")]
    assert [line.split(":")[0] for line in shown] == ["step 20 of 40", "step 40 of 40"]
    assert "error of a cold step" in shown[0]
    assert "plays" in shown[0]
    assert " left" in shown[0]


DATA = [
    *(("state", name) for name in OTHERS),
    *(("scene", name) for name in ("diffusion", "act")),
    *(("filmed", name) for name in ("diffusion", "act")),
]


@pytest.mark.parametrize("name, policy", DATA)
def test_any_policy_learns_from_a_data_set_of_the_users(name: str, policy: str, data: Path, rollahead: Command) -> None:
    told = name == "state" and policy != "flow"  # LeRobot's want more than a state
    options = (f"dataset={data / name}", "training.steps=2", *(["delay_input=true"] if told else []))
    ran = rollahead("train", *FEW, *OTHERS[policy], *options)
    assert (ran.status, ran.err) == (0, "")
    made = load_policy(Path("runs/mine/checkpoint"))
    assert (made.spec.state, made.spec.action) == (("s", "t"), ("a", "b"))
    assert made.spec.cameras == (("camera_0", "camera_1") if name == "filmed" else ())
    assert OmegaConf.load("runs/mine/config.yaml").task is None  # type: ignore[union-attr]
    assert json.loads(Path("runs/mine/summary.json").read_text())["cells"] == []
    assert made.trained.delay_input == told


DOCS = (Path(__file__).parents[2] / "docs/train.md").read_text()
OWN_DATA = re.findall(r"^rollahead train (.*dataset=path/to/dataset.*)$", DOCS, re.MULTILINE)


@pytest.mark.parametrize("command", OWN_DATA)
def test_what_the_documented_command_makes_is_driven_by_lerobots_own_class(
    command: str, tmp_path: Path, rollahead: Command
) -> None:
    cameras = tuple(Camera(name, SIDE, SIDE) for name in ("front", "wrist"))
    record_into(tmp_path / "recorded", replace(spec_of(0, 0), cameras=cameras))
    given = command.replace("path/to/dataset", str(tmp_path / "recorded")).split()
    policy = next(option for option in given if option.startswith("policy=")).removeprefix("policy=")
    small = (*OTHERS[policy], "training.steps=1", "name=mine")
    ran = rollahead("train", *given, *(option for option in small if option not in given))
    assert (ran.status, ran.err) == (0, "")
    checkpoint = "runs/mine/checkpoint"
    made = getattr(compat, {"act": "ACTPolicy", "diffusion": "DiffusionPolicy"}[policy]).from_pretrained(checkpoint)
    before, after = compat.make_pre_post_processors(made.config, pretrained_path=checkpoint)
    seen = {"observation.state": torch.zeros(2), "task": "move"}
    images = {key: torch.rand(3, SIDE, SIDE) for key in made.config.image_features}
    assert set(made.config.input_features) == {"observation.state", *images}
    if policy == "act":
        chunk = after(made.predict_action_chunk(before({**seen, **images})))
        assert chunk.shape == (1, 8, 2)
    action = after(made.select_action(before({**seen, **images})))
    assert action.shape == (1, 2) and torch.isfinite(action).all()


@pytest.mark.parametrize("without", ["task=null", "~task"])
def test_a_task_may_be_taken_away_in_so_many_words(without: str, data: Path, rollahead: Command) -> None:
    ran = rollahead("train", *FEW, *NET, f"dataset={data / 'scene'}", without)
    assert (ran.status, ran.err) == (0, "")


def test_cameras_may_be_left_out(data: Path, rollahead: Command) -> None:
    given = (*FEW, f"dataset={data / 'filmed'}", "training.steps=2")
    message = refusal(rollahead("train", *given, *NET), "train")
    assert "policy=flow sees no images, and the data has camera_0, camera_1" in message
    assert "cameras=[]" in message
    assert rollahead("train", *given, *NET, "cameras=[]").status == 0
    assert rollahead("train", *given, *OTHERS["act"], "cameras=[camera_1]", "name=other").status == 0
    assert load_policy(Path("runs/other/checkpoint")).spec.cameras == ("camera_1",)


def test_a_data_set_of_a_task_is_learned_from_and_the_task_played(mole_like: Path, rollahead: Command) -> None:
    played = ("watch.episodes=1", "evaluation.episodes=1", "evaluation.delays=[0,2]")
    ran = rollahead("train", *NET, *FEW, f"dataset={mole_like}", "task=mole", *played)
    assert (ran.status, ran.err) == (0, "")
    assert len(json.loads(Path("runs/mine/summary.json").read_text())["cells"]) == 2


REFUSED = {
    "nothing to learn from": (["task=null"], "nothing to learn from; give task=..., or dataset=..."),
    "a policy": (["policy=flwo"], "no policy 'flwo'; did you mean 'flow'"),
    "a width": (["policy.width=0"], "number below 1"),
    "steps": (["training.steps=0"], "steps is 0"),
    "a seed": (["seed=-1"], "seed is -1"),
    "an action to scale": (["scale={strike: 0.1}"], "there is no action to scale 'strike'"),
    "a scale": (["scale=0.1"], "scale is 0.1; give names with their values"),
    "threads": (["threads=0"], "threads is 0"),
    "workers": (["workers=0"], "workers 0"),
    "a device that is not there": (["device=warp"], "device is warp, and torch cannot use it on this machine"),
    "memory below nothing": (["dataset=DATA/filmed", "image_cache_mb=-1"], "image_cache_mb is -1; give at least 0"),
    "images of a task": (["image_cache_mb=1"], "image_cache_mb is of no use without dataset=..."),
    "a made-up option": (["+wach=3"], "wach"),
    "a made-up option of the watch": (["+watch.evry=3"], "no option of the watch 'evry'; did you mean 'every'"),
    "one of the evaluation": (["+evaluation.delay=3"], "no option of the evaluation 'delay'; did you mean 'delays'"),
    "one of the demonstrations": (["+demonstrations.tick=3"], "no option of the demonstrations 'tick'"),
    "one of the training": (["+training.step=3"], "no option of the training 'step'"),
    "looks": (["watch.every=0"], "watch.every is 0"),
    "no delays": (["evaluation.delays=[]"], "evaluation.delays is []"),
    "a delay as a number": (["evaluation.delays=4"], "evaluation.delays is 4; give a list"),
    "a delay longer than the chunk": (["evaluation.delays=[0,9]"], "d = 9"),
    "no demonstrations": (["demonstrations.count=0"], "demonstrations.count is 0"),
    "short demonstrations": (
        ["demonstrations.ticks=3"],
        "ticks is 3, demonstrations.exploration_ticks 12 and offsets 3; give at least 13",
    ),
    "wandering": (["demonstrations.exploration_ticks=-1"], "exploration_ticks"),
    "noise": (["demonstrations.noise=2"], "noise 2"),
    "offsets": (["offsets=-1"], "offsets"),
    "a delay that is never": (
        ["offsets=0", "delay_input=true"],
        "would always be 0; give delay_input=false, or offsets of at least 1",
    ),
    "a kernel that is even": ([*OTHERS["diffusion"], "policy.kernel=4"], "policy=diffusion cannot be trained so ("),
    "prefixes": (["prefixes=8"], "prefixes 8"),
    "a state of no offset": (
        ["offsets=0", "delay_input=false", "offset_state=told"],
        "offset_state is of no use with offsets=0; leave it out",
    ),
    "targets of a robot that takes velocities": (
        ["offset_state=told"],
        "action 'vx' is a velocity, no absolute position; use offset_state=recorded",
    ),
    "a roller that gives another state": (
        ["task.mode=absolute", "offset_state=told"],
        "roller=robot gives it where the robot will be; use roller=told",
    ),
    "lengths of no prefixes": (["prefix_lengths=uniform"], "prefix_lengths is of no use with prefixes=0"),
    "a distribution of prefixes": (
        ["prefixes=2", "prefix_lengths=unifrom"],
        "no distribution of prefix lengths 'unifrom'; did you mean 'uniform'",
    ),
    "an average of the loss": (["policy.loss_average=row"], "no loss_average 'row'; did you mean 'rows'"),
    "prefixes of another policy": ([*OTHERS["act"], "prefixes=2"], "policy=act cannot be trained with prefixes"),
    "a sampler": (["sampler=ddim"], "sampler=ddim needs a policy that denoises by diffusion"),
    "a task": (["task=mloe"], "no task 'mloe'; did you mean 'mole'"),
    "a roller of another task": (["roller=attached"], "there is no environment dimension 'obj_x'; "),
    "cameras of nothing": (["cameras=[top]"], "cameras is of no use without dataset=...; leave it out"),
    "names of nothing": (["rename={a: b}"], "rename is of no use without dataset=...; leave it out"),
}
OF_DATA = {
    "nothing there": (["dataset=gone"], "there is no data set at gone"),
    "demonstrations": (["dataset=DATA/scene", "demonstrations.count=9"], "demonstrations.count is of no use with"),
    "an evaluation": (["dataset=DATA/scene", "evaluation.episodes=9"], "evaluation.episodes is of no use without task"),
    "a sampler": (["dataset=DATA/scene", "sampler=euler"], "sampler is of no use without task"),
    "a roller": (["dataset=DATA/scene", "roller=scene"], "roller is of no use without task"),
    "play": (["dataset=DATA/scene", "watch.episodes=9"], "watch.episodes is of no use without task"),
    "a camera": (["dataset=DATA/filmed", "cameras=[top]"], "no camera in data set"),
    "a camera without a list": (["dataset=DATA/filmed", "cameras=top"], "cameras is 'top'; give a list"),
    "a name": (["dataset=DATA/scene", "rename={u: v}"], "no name to change in data set"),
    "names in one word": (["dataset=DATA/scene", "rename=u"], "rename is 'u'; give names, as in rename={u: its name}"),
    "other names": (["dataset=DATA/scene", "task=mole"], "rename it, as in rename={'s': "),
    "a state alone": (["dataset=DATA/state", *OTHERS["act"], "delay_input=false"], "use policy=flow"),
    "offsets": (["dataset=DATA/scene", "offsets=12"], "has 12 frames, and training with offsets=12 needs 13"),
}


@pytest.mark.parametrize("name", [*REFUSED, *(f"{name} with data" for name in OF_DATA)])
def test_what_cannot_be_is_refused_before_anything_is_made(name: str, data: Path, rollahead: Command) -> None:
    given, words = REFUSED[name] if name in REFUSED else OF_DATA[name.removesuffix(" with data")]
    keys = {argument.split("=")[0] for argument in given}
    alone = any(key in keys for key in ("dataset", "task"))
    small = [option for option in (*(() if "policy" in keys else NET), *FEW, *(() if alone else TASK))]
    options = [option for option in small if option.split("=")[0] not in keys]
    message = refusal(rollahead("train", *options, *(option.replace("DATA", str(data)) for option in given)), "train")
    assert words in message
    assert not Path("runs").exists()


def test_a_data_set_of_another_rate_than_the_robots_is_refused(tmp_path: Path, rollahead: Command) -> None:
    spec = make_task("mole").spec
    slow = RobotSpec(spec.action, spec.state, 30.0, spec.environment)
    record_into(tmp_path / "slow", slow)
    message = refusal(rollahead("train", *NET, *FEW, "task=mole", f"dataset={tmp_path / 'slow'}"), "train")
    assert "was recorded at 30 Hz and the robot runs at 50 Hz" in message


def test_statistics_that_are_not_the_datas_are_said_once_and_not_used(
    data: Path, tmp_path: Path, rollahead: Command
) -> None:
    copy = shutil.copytree(data / "scene", tmp_path / "scene")
    path = copy / "meta/stats.json"
    stats = json.loads(path.read_text())
    stats["action"] = {figure: [value / 57 for value in values] for figure, values in stats["action"].items()}
    path.write_text(json.dumps(stats))
    for name, folder in (("right", data / "scene"), ("wrong", copy)):
        ran = rollahead("train", *NET, *FEW[:-1], f"dataset={folder}", f"name={name}")
        assert (ran.status, ran.err) == (0, "")
        said = [line for line in ran.out.splitlines() if "stats.json" in line]
        assert len(said) == (name == "wrong")
    assert re.match(
        r"meta/stats.json of data set .* says -?[\d.]+ for the (min|max|std) of action '[ab]', and the data has "
        r"-?[\d.]+: the data's own statistics are used",
        said[0],
    )
    errors = [
        json.loads((Path("runs") / name / "training.jsonl").read_text().splitlines()[-1]) for name in ("right", "wrong")
    ]
    assert errors[0]["cold_error"] == pytest.approx(errors[1]["cold_error"], rel=1e-3)


def test_a_data_set_is_found_by_its_id_in_lerobots_folder(
    data: Path, rollahead: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compat, "HF_LEROBOT_HOME", data.parent, raising=False)
    ran = rollahead("train", *NET, *FEW, f"dataset={data.name}/scene")
    assert (ran.status, ran.err) == (0, "")
    assert load_policy(Path("runs/mine/checkpoint")).spec.environment == ("e0", "e1")


def spoil_numbers(folder: Path) -> None:
    path = next(folder.glob("data/*/*.parquet"))
    table = pq.read_table(path)
    values = table["observation.state"].to_pylist()
    values[5][1] = float("nan")
    column = table.column_names.index("observation.state")
    spoiled = pa.array(values, table.schema.field("observation.state").type)
    pq.write_table(table.set_column(column, table.schema.field("observation.state"), spoiled), path)


def spoil_version(folder: Path) -> None:
    info = json.loads((folder / "meta/info.json").read_text())
    (folder / "meta/info.json").write_text(json.dumps({**info, "codebase_version": "v2.1"}))


def spoil_end(folder: Path) -> None:
    path = next(folder.glob("data/*/*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])


def spoil_statistics(folder: Path) -> None:
    stats = json.loads((folder / "meta/stats.json").read_text())
    stats["action"]["std"][0] = float("nan")
    (folder / "meta/stats.json").write_text(json.dumps(stats))


SPOILED = {
    "a statistic that is none": (spoil_statistics, "as the std of action in meta/stats.json, and 2 finite numbers"),
    "a number that is none": (spoil_numbers, "has nan in observation.state 't', frame 5 of episode 0"),
    "another version": (spoil_version, "is of LeRobot's format v2.1, and v3.0 is read"),
    "not finalised": (spoil_end, "was not finalised, or not copied whole"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_data_set_that_is_not_whole_is_refused(name: str, tmp_path: Path, data: Path, rollahead: Command) -> None:
    spoil, words = SPOILED[name]
    shutil.copytree(data / "scene", tmp_path / "spoiled")
    spoil(tmp_path / "spoiled")
    assert words in refusal(rollahead("train", *NET, *FEW, f"dataset={tmp_path / 'spoiled'}"), "train")
    assert not Path("runs").exists()


def test_another_lerobot_than_those_known_is_refused(monkeypatch: pytest.MonkeyPatch, rollahead: Command) -> None:
    monkeypatch.setattr(lerobot_version, "version", lambda: "0.3.3")
    assert "LeRobot 0.3.3 is installed, and rollahead works with >=0.4.4,<0.7" in refusal(
        rollahead("train", *SMALL), "train"
    )
    assert not Path("runs").exists()


class Killed(BaseException):
    """As SIGKILL: nobody catches it."""


def at_step(step: int, do: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Does something in the midst of that step, once."""
    advance = Training.advance

    def advanced(training: Training) -> None:
        if training.step == step:
            monkeypatch.setattr(Training, "advance", advance)
            do()
        advance(training)

    monkeypatch.setattr(Training, "advance", advanced)


def killed() -> None:
    raise Killed


LONG = (*SMALL, "training.steps=7", "watch.every=3")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Command], bytes]:
    """The weights of the training that was left alone; it is run once."""
    found: list[bytes] = []

    def ran(rollahead: Command) -> bytes:
        if not found:
            assert rollahead("train", *LONG, "name=whole").status == 0
            found.append(weights("whole"))
        return found[0]

    return ran


@pytest.mark.parametrize("step", [1, 3, 5])
def test_a_training_that_was_killed_goes_on_and_ends_the_same_to_the_bit(
    step: int, monkeypatch: pytest.MonkeyPatch, rollahead: Command, whole: Callable[[Command], bytes]
) -> None:
    expected = whole(rollahead)
    at_step(step, killed, monkeypatch)
    with pytest.raises(Killed):
        rollahead("train", *LONG)
    assert not Path("runs/mine/checkpoint").exists()
    ran = rollahead("train", "resume=runs/mine")
    assert (ran.status, ran.err) == (0, "")
    assert weights() == expected
    assert [look["step"] for look in looks()] == [3, 6, 7]


def test_a_training_that_was_killed_before_it_was_saved_has_each_look_once(
    monkeypatch: pytest.MonkeyPatch, rollahead: Command
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(Training, "save", lambda training, path: killed())
        with pytest.raises(Killed):
            rollahead("train", *LONG)
    assert [look["step"] for look in looks()] == [3]
    assert rollahead("train", "resume=runs/mine").status == 0
    assert [look["step"] for look in looks()] == [3, 6, 7]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_it_after_the_step_with_its_state_kept_and_says_how_to_go_on(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, rollahead: Command, whole: Callable[[Command], bytes]
) -> None:
    expected = whole(rollahead)
    at_step(4, lambda: os.kill(os.getpid(), number), monkeypatch)
    message = refusal(rollahead("train", *LONG), "train")
    assert message == "interrupted; go on with rollahead train resume=runs/mine"
    assert torch.load("runs/mine/training.pt", weights_only=True)["step"] == 5
    assert rollahead("train", "resume=runs/mine").status == 0
    assert weights() == expected


def alive(group: int) -> bool:
    """Whether a process of `group` is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_the_whole_group_of_a_training_with_images_ends_it_in_one_sentence_and_leaves_nothing(
    number: signal.Signals, data: Path, tmp_path: Path
) -> None:
    many = ("training.steps=1000000", "training.batch=2", "watch.every=3", "offsets=0", "workers=2", "name=mine")
    program = subprocess.Popen(
        [PROGRAM, "train", f"dataset={data / 'filmed'}", *OTHERS["act"], *many],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert program.stdout is not None
        while "3 of 1000000: error of a cold step" not in (line := program.stdout.readline()):
            assert line, program.communicate()
        workers = Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
        os.killpg(program.pid, number)
        _, err = program.communicate(timeout=120)
    finally:
        program.kill()
    assert len(workers) == 2
    assert (program.returncode, err) == (
        2,
        "rollahead train: interrupted; go on with rollahead train resume=runs/mine\n",
    )
    assert not alive(program.pid)
    shared = {path.name.split("_")[1] for path in Path("/dev/shm").glob("torch_*")}
    assert shared.isdisjoint([str(program.pid), *workers])
    assert torch.load(tmp_path / "runs/mine/training.pt", weights_only=True)["step"] >= 3


def test_a_training_whose_data_fails_keeps_its_state_and_goes_on_from_there(
    monkeypatch: pytest.MonkeyPatch, rollahead: Command, whole: Callable[[Command], bytes]
) -> None:
    def fails() -> None:
        raise ControlError("a process that makes batches was killed")

    expected = whole(rollahead)
    with monkeypatch.context() as patched:
        at_step(4, fails, patched)
        assert refusal(rollahead("train", *LONG), "train") == "a process that makes batches was killed"
    assert rollahead("train", "resume=runs/mine").status == 0
    assert weights() == expected


def test_an_interrupt_in_the_rehearsal_leaves_no_scratch_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rollahead: Command
) -> None:
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    at_step(0, lambda: os.kill(os.getpid(), signal.SIGTERM), monkeypatch)
    assert refusal(rollahead("train", *SMALL), "train") == "interrupted"
    assert not list((tmp_path / "scratch").glob("tmp*")) and not Path("runs").exists()


def test_an_interrupt_while_demonstrations_are_recorded_leaves_none_and_they_are_recorded_again(
    monkeypatch: pytest.MonkeyPatch, rollahead: Command
) -> None:
    import rollahead.commands.train_plan as plan

    def interrupted(folder: Path, *args: Any, **options: Any) -> None:
        if folder.parent.name == "mine":
            raise KeyboardInterrupt
        write_dataset(folder, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(plan, "write_dataset", interrupted)
        assert "resume=runs/mine" in refusal(rollahead("train", *SMALL), "train")
    assert not Path("runs/mine/dataset").exists()
    assert rollahead("train", "resume=runs/mine").status == 0


def test_a_training_that_was_killed_in_its_evaluation_is_evaluated(
    monkeypatch: pytest.MonkeyPatch, rollahead: Command
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("rollahead.commands.train.evaluate_all", lambda *_, **__: killed())
        with pytest.raises(Killed):
            rollahead("train", *SMALL)
    before = weights()
    assert not Path("runs/mine/checkpoint/evaluation.json").exists()
    assert rollahead("train", "resume=runs/mine").status == 0
    assert weights() == before
    assert Path("runs/mine/checkpoint/evaluation.json").exists()


def test_what_cannot_be_resumed_is_refused_in_one_sentence(rollahead: Command) -> None:
    assert rollahead("train", *SMALL).status == 0
    run = Path("runs/mine")
    assert "runs/mine is finished; begin a new one" in refusal(rollahead("train", "resume=runs/mine"), "train")
    (run / "summary.json").unlink()
    message = refusal(rollahead("train", "resume=runs/mine", "training.steps=9", "+watch.x=1"), "train")
    assert message.startswith("resume goes on with runs/mine as it was begun, so training.steps, watch.x cannot be set")
    state = (run / "training.pt").read_bytes()
    (run / "training.pt").write_bytes(state[: len(state) // 2])
    message = refusal(rollahead("train", "resume=runs/mine"), "train")
    assert "runs/mine/training.pt is damaged or was not written to its end; remove it" in message
    (run / "config.yaml").write_text("policy: {name: [")
    assert "runs/mine/config.yaml is damaged" in refusal(rollahead("train", "resume=runs/mine"), "train")
    (run / "config.yaml").write_text("task: {name: mole}")
    assert "runs/mine is not the folder of a training" in refusal(rollahead("train", "resume=runs/mine"), "train")
    message = refusal(rollahead("train", "resume=runs/gone"), "train")
    assert "runs/gone is not the folder of a run" in message


def test_a_full_disk_is_one_sentence_and_the_training_can_go_on(
    monkeypatch: pytest.MonkeyPatch, rollahead: Command, whole: Callable[[Command], bytes]
) -> None:
    expected = whole(rollahead)

    def full(path: Path, content: Any) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        at_step(4, lambda: patched.setattr(Path, "write_bytes", full), patched)
        message = refusal(rollahead("train", *LONG), "train")
    assert "No space left on device); free some space" in message
    assert not Path("runs/mine/checkpoint").exists()
    assert not list(Path("runs/mine").glob("*.unfinished"))
    assert rollahead("train", "resume=runs/mine").status == 0
    assert weights() == expected


def test_a_training_that_explodes_is_one_sentence(rollahead: Command) -> None:
    message = refusal(rollahead("train", *SMALL, "training.learning_rate=1e30", "training.steps=200"), "train")
    assert "at step" in message
    assert "lower training.learning_rate" in message
    assert not Path("runs/mine/checkpoint").exists()


def test_play_in_between_leaves_torch_its_threads(monkeypatch: pytest.MonkeyPatch, rollahead: Command) -> None:
    before, during = torch.get_num_threads(), []
    at_step(5, lambda: during.append(torch.get_num_threads()), monkeypatch)
    assert rollahead("train", *SMALL, "threads=2").status == 0
    torch.set_num_threads(before)
    assert during == [2]


def test_episodes_are_played_from_seeds_of_which_no_demonstration_is(rollahead: Command) -> None:
    assert MOST_SEED > 2 * HELD
    assert rollahead("train", *SMALL, "demonstrations.count=3").status == 0
    seeds = set(pq.read_table("runs/mine/episodes.parquet")["episode"].to_pylist())
    assert seeds.isdisjoint(range(3))
