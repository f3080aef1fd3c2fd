import json
import math
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field, replace

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import pytest
import torch

from full_disk import files_no_longer_than
from rollahead.errors import ConfigError, ControlError
from rollahead.policies.data.dataset import read_dataset, write_dataset
from rollahead.policies.data.frames import check_lengths, check_robot
from rollahead.policies.data.pictures import Pictures
from rollahead.policies.data.windows import Windows
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, IMAGES, STATE
from rollahead.runtime.types.spec import Camera, Dim, Kind, RobotSpec

LENGTHS = (4, 7, 3)
SPEC = RobotSpec(
    action=(Dim("vx", "m/s", Kind.VELOCITY, -1, 1), Dim("vy", "m/s", Kind.VELOCITY, -1, 1)),
    state=(Dim("x", "m"), Dim("y", "m"), Dim("z", "m")),
    environment=(Dim("ball", "m"),),
    rate_hz=50.0,
)
FILMED = replace(SPEC, cameras=(Camera("top", 6, 8),))


@dataclass
class Shown:
    """A demonstration."""

    state: np.ndarray
    environment: np.ndarray
    action: np.ndarray
    images: dict = field(default_factory=dict)
    executed: np.ndarray | None = None


def shown(spec=SPEC, lengths=LENGTHS):
    """Demonstrations of random numbers, the same ones for a spec."""
    rng = np.random.default_rng(0)
    return [
        Shown(
            rng.normal(size=(n, len(spec.state))),
            rng.normal(size=(n, len(spec.environment))),
            rng.normal(size=(n, len(spec.action))),
            {
                each.name: rng.integers(256, size=(n, each.height, each.width, 3), dtype=np.uint8)
                for each in spec.cameras
            },
        )
        for n in lengths
    ]


def joined(demonstrations, part):
    return np.concatenate([getattr(each, part) for each in demonstrations]).astype(np.float32)


def opened(folder):
    """By LeRobot itself."""
    return compat.LeRobotDataset("local/test", root=folder)


@pytest.fixture(scope="module", autouse=True)
def own_cache(tmp_path_factory):
    """What LeRobot opens is cached here, and not at home for good."""
    config = datasets.config
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(config, "HF_DATASETS_CACHE", tmp_path_factory.mktemp("cache"))
        yield


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A whole data set, not to be changed."""
    folder = tmp_path_factory.mktemp("written") / "dataset"
    write_dataset(folder, SPEC, shown(), text="hit it", fps=50.0)
    return folder


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """One with images, not to be changed."""
    folder = tmp_path_factory.mktemp("filmed") / "dataset"
    write_dataset(folder, FILMED, shown(FILMED), text="hit it", fps=50.0)
    return folder


@pytest.fixture
def copied(written, tmp_path):
    """A copy to damage."""
    return shutil.copytree(written, tmp_path / "copied")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """One that LeRobot has recorded frame by frame, as it comes: no names, images whose colours come first."""
    folder = tmp_path_factory.mktemp("recorded") / "dataset"
    features = {
        STATE: {"dtype": "float32", "shape": (3,), "names": None},
        ACTION: {"dtype": "float32", "shape": (2,), "names": {"motors": ["left", "right"]}},
        "observation.images.wrist": {"dtype": "image", "shape": (6, 8, 3), "names": ["height", "width", "channels"]},
    }
    dataset = compat.LeRobotDataset.create("local/test", 30, features, root=folder, use_videos=False)
    for episode in shown(FILMED):
        for state, action, image in zip(episode.state, episode.action, episode.images["top"], strict=True):
            frame = {STATE: state.astype(np.float32), ACTION: action.astype(np.float32)}
            dataset.add_frame({**frame, "observation.images.wrist": image, "task": "any"})
        dataset.save_episode()
    dataset.finalize()
    return folder


def changed(folder, **keys):
    """Changes keys of info.json."""
    path = folder / "meta/info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **keys}))


def features_of(folder):
    return json.loads((folder / "meta/info.json").read_text())["features"]


def spoiled(folder, column, frame, dim, value):
    """Puts `value` into one number of the data."""
    path = next(folder.glob("data/*/*.parquet"))
    table = pq.read_table(path)
    rows = np.array(table[column].to_pylist(), np.float32)
    rows[frame, dim] = value
    values = pa.array(list(rows), type=table.schema.field(column).type)
    pq.write_table(table.set_column(table.schema.get_field_index(column), table.schema.field(column), values), path)


def test_what_is_written_opens_in_lerobot_with_the_same_frames(written):
    dataset, demonstrations = opened(written), shown()
    assert (dataset.fps, dataset.num_episodes, len(dataset)) == (50, len(LENGTHS), sum(LENGTHS))
    items = [dataset[i] for i in range(len(dataset))]
    for feature, part in ((STATE, "state"), (ENVIRONMENT, "environment"), (ACTION, "action")):
        seen = np.stack([item[feature].numpy().reshape(-1) for item in items])
        np.testing.assert_array_equal(seen, joined(demonstrations, part))
    assert {item["task"] for item in items} == {"hit it"}
    assert [item["episode_index"].item() for item in items] == np.repeat(range(3), LENGTHS).tolist()
    assert [item["timestamp"].item() for item in items[:4]] == pytest.approx([0, 0.02, 0.04, 0.06])


def test_lerobots_windows_are_ours(written):
    rows = 5
    windows = Windows(read_dataset(written), rows)
    deltas = {ACTION: [i / 50 for i in range(rows)]}
    dataset = compat.LeRobotDataset("local/test", root=written, delta_timestamps=deltas)
    frames = np.arange(len(dataset))
    batch = windows.at(frames, 0 * frames, 0 * frames)
    for frame in frames.tolist():
        assert torch.equal(batch[ACTION][frame], dataset[frame][ACTION])
        assert torch.equal(batch["action_is_pad"][frame], dataset[frame]["action_is_pad"])


def test_what_is_written_is_read_back_whole(written):
    frames, demonstrations = read_dataset(written), shown()
    for part in ("state", "environment", "action"):
        values = getattr(frames, part)
        np.testing.assert_array_equal(values, joined(demonstrations, part))
        assert values.dtype == np.float32 and not values.flags.writeable
    assert frames.bounds.tolist() == [0, 4, 11, 14]
    assert (len(frames), frames.episodes, frames.lengths.tolist(), frames.fps) == (14, 3, list(LENGTHS), 50.0)
    assert frames.names == {STATE: ("x", "y", "z"), ENVIRONMENT: ("ball",), ACTION: ("vx", "vy")}
    assert dict(frames.cameras) == {}


def test_the_statistics_are_lerobots(written):
    ours, theirs = read_dataset(written).stats, opened(written).meta.stats
    assert set(ours) == {STATE, ENVIRONMENT, ACTION}
    for feature in ours:
        assert {"mean", "std", "min", "max", "q01", "q99"} <= set(ours[feature])
        for figure, values in ours[feature].items():
            np.testing.assert_allclose(values, theirs[feature][figure])
    actions = joined(shown(), "action")
    np.testing.assert_allclose(ours[ACTION]["min"], actions.min(0))
    np.testing.assert_allclose(ours[ACTION]["std"], actions.std(0), rtol=1e-5)


def test_a_robot_without_an_environment_has_none_in_its_data_set(tmp_path):
    spec = replace(SPEC, environment=())
    write_dataset(tmp_path / "dataset", spec, shown(spec), text="", fps=50)
    frames = read_dataset(tmp_path / "dataset")
    assert frames.environment.shape == (14, 0)
    assert frames.names[ENVIRONMENT] == () and set(frames.stats) == {STATE, ACTION}


def test_images_are_stored_and_nothing_else_is_left(filmed):
    dataset, pictures = opened(filmed), joined(shown(FILMED), "state")
    taken = np.concatenate([each.images["top"] for each in shown(FILMED)])
    for i in range(len(pictures)):
        seen = (dataset[i][IMAGES + "top"] * 255).round().byte().permute(1, 2, 0)
        np.testing.assert_array_equal(seen.numpy(), taken[i])
    assert sorted(path.name for path in filmed.iterdir()) == ["data", "meta"]


@pytest.mark.parametrize("most_mb", (1.0, 0.0007, 0.0), ids=("kept", "some kept", "not kept"))
def test_pictures_are_those_of_the_frames_asked_for_however_often(filmed, most_mb):
    frames = read_dataset(filmed)
    assert (dict(frames.cameras), dict(frames.sizes)) == ({"top": IMAGES + "top"}, {"top": (6, 8)})
    pictures = Pictures(frames, most_mb)
    taken = np.concatenate([each.images["top"] for each in shown(FILMED)])
    for wanted in ([[3, 3], [0, 13]], [[5, 3], [3, 5]], [[13, 12], [0, 1]]):
        seen = pictures.of(np.array(wanted))["top"]
        assert seen.shape == (2, 2, 3, 6, 8) and seen.dtype == torch.uint8
        np.testing.assert_array_equal(seen.permute(0, 1, 3, 4, 2).numpy(), taken[wanted])


@pytest.mark.parametrize("n_obs", (1, 2))
def test_windows_have_the_images_of_what_is_seen(recorded, n_obs):
    frames = read_dataset(recorded, rename={"wrist": "top"})
    now, delay = np.array([4, 6, 13]), np.array([0, 2, 1])
    seen = Windows(frames, 3, n_obs).at(now, delay, 0 * now)[IMAGES + "top"]
    taken = np.concatenate([each.images["top"] for each in shown(FILMED)])
    past = np.maximum((now - delay)[:, None] + np.arange(1 - n_obs, 1), [[4], [4], [11]])
    wanted = torch.from_numpy(taken[past]).permute(0, 1, 4, 2, 3)
    torch.testing.assert_close(seen, wanted if n_obs > 1 else wanted[:, 0])


def test_a_data_set_of_lerobots_own_recorder_is_read(recorded):
    frames = read_dataset(recorded)
    np.testing.assert_array_equal(frames.action, joined(shown(FILMED), "action"))
    assert frames.names == {STATE: ("state_0", "state_1", "state_2"), ENVIRONMENT: (), ACTION: ("left", "right")}
    assert dict(frames.cameras) == {"wrist": IMAGES + "wrist"}
    assert dict(read_dataset(recorded, cameras=[]).cameras) == {}


@pytest.fixture
def own_scheduling():
    """The video encoder puts whoever calls it, as root, under SCHED_FIFO."""
    before, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    yield
    os.sched_setscheduler(0, before, parameters)


@pytest.mark.filterwarnings("ignore:The video decoding")  # torchvision's, of its own way
@pytest.mark.usefixtures("own_scheduling")
def test_videos_are_read_too(tmp_path):
    features = {
        STATE: {"dtype": "float32", "shape": (2,), "names": ["x", "y"]},
        ACTION: {"dtype": "float32", "shape": (2,), "names": ["vx", "vy"]},
        IMAGES + "top": {"dtype": "video", "shape": (64, 96, 3), "names": ["height", "width", "channels"]},
    }
    dataset = compat.LeRobotDataset.create("local/test", 20, features, root=tmp_path / "videos", video_backend="pyav")
    for grey in (0, 50, 100, 150):
        picture = np.full((64, 96, 3), grey, np.uint8)
        values = {STATE: np.float32([grey, 0]), ACTION: np.float32([0, 0])}
        dataset.add_frame({**values, IMAGES + "top": picture, "task": "any"})
    dataset.save_episode()
    dataset.finalize()
    frames = read_dataset(tmp_path / "videos")
    assert frames.state[:, 0].tolist() == [0, 50, 100, 150]
    seen = Pictures(frames).of(np.array([3, 1]))["top"]
    assert seen.float().mean((1, 2, 3)).tolist() == pytest.approx([150, 50], abs=3)


def test_features_dimensions_and_cameras_are_called_as_rename_says(recorded):
    frames = read_dataset(recorded, rename={"state_1": "elbow", "left": "vx", "wrist": "top"})
    assert frames.names[STATE] == ("state_0", "elbow", "state_2")
    assert frames.names[ACTION] == ("vx", "right")
    assert dict(frames.cameras) == {"top": IMAGES + "wrist"}
    assert set(frames.stats) == {STATE, ACTION, IMAGES + "top"}


def test_a_feature_may_be_the_state_by_another_name(copied):
    features = features_of(copied)
    features["observation.joints"] = features.pop(STATE)
    changed(copied, features=features)
    for path in copied.glob("data/*/*.parquet"):
        table = pq.read_table(path)
        names = ["observation.joints" if name == STATE else name for name in table.column_names]
        pq.write_table(table.rename_columns(names), path)
    stats = json.loads((copied / "meta/stats.json").read_text())
    stats["observation.joints"] = stats.pop(STATE)
    (copied / "meta/stats.json").write_text(json.dumps(stats))
    with pytest.raises(ConfigError, match=r"has no observation.state, only .*observation.joints"):
        read_dataset(copied)
    frames = read_dataset(copied, rename={"observation.joints": STATE})
    np.testing.assert_array_equal(frames.state, joined(shown(), "state"))


# --- writing what cannot be


def test_an_existing_folder_is_not_written_over(written):
    before = sorted(written.rglob("*"))
    with pytest.raises(ConfigError, match="exists already"):
        write_dataset(written, SPEC, shown(), text="", fps=50.0)
    assert sorted(written.rglob("*")) == before


def test_a_rate_that_lerobot_does_not_have_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"33.3 Hz.*record at 33 Hz"):
        write_dataset(tmp_path / "dataset", SPEC, shown(), text="", fps=33.3)


def test_no_demonstrations_make_no_data_set(tmp_path):
    with pytest.raises(ConfigError, match="no demonstrations"):
        write_dataset(tmp_path / "dataset", SPEC, [], text="", fps=50.0)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_leaves_nothing_and_one_sentence(tmp_path):
    with (
        files_no_longer_than(2000),
        pytest.raises(ControlError, match=r"dataset could not be written \(.*large.*\); free some space"),
    ):
        write_dataset(tmp_path / "dataset", SPEC, shown(lengths=(500, 500)), text="", fps=50.0)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_of_images_leaves_nothing_and_one_sentence(tmp_path):
    spec = replace(SPEC, cameras=(Camera("top", 60, 80),))
    with (
        files_no_longer_than(10_000),
        pytest.raises(ControlError, match=r"dataset could not be written \(.*large.*\); free some space"),
    ):
        write_dataset(tmp_path / "dataset", spec, shown(spec), text="", fps=50.0)
    assert list(tmp_path.iterdir()) == []


def test_demonstrations_that_break_off_leave_nothing(tmp_path):
    def breaking():
        yield from shown()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(tmp_path / "dataset", SPEC, breaking(), text="", fps=50.0)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_in_nobodys_way(tmp_path):
    (tmp_path / "dataset.unfinished/data").mkdir(parents=True)
    write_dataset(tmp_path / "dataset", SPEC, shown(), text="", fps=50.0)
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


# --- reading what is no data set, or none to train on


def refusal(folder, **options):
    """The one sentence that refuses it."""
    with pytest.raises(ConfigError) as caught:
        read_dataset(folder, **options)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_a_folder_that_is_none_is_refused(tmp_path):
    assert f"no data set at {tmp_path / 'none'}" in refusal(tmp_path / "none")
    assert "no meta/info.json" in refusal(tmp_path)


def test_a_broken_info_is_refused(copied):
    (copied / "meta/info.json").write_text("{")
    assert "info.json cannot be read" in refusal(copied)
    (copied / "meta/info.json").write_text("[]")
    assert "is not a JSON object" in refusal(copied)
    (copied / "meta/info.json").write_text('{"codebase_version": "v3.0", "features": {}}')
    assert "has no fps, total_frames" in refusal(copied)


def older(folder, place):
    """The data set in `folder`, as LeRobot's format v2.1 had it, in `place`."""
    table = pq.read_table(folder / "data")
    info = json.loads((folder / "meta/info.json").read_text())
    stats = json.loads((folder / "meta/stats.json").read_text())
    (place / "data/chunk-000").mkdir(parents=True)
    (place / "meta").mkdir()
    for episode in range(len(LENGTHS)):
        rows = table.filter(pa.compute.equal(table["episode_index"], episode))
        pq.write_table(rows, place / f"data/chunk-000/episode_{episode:06d}.parquet")
    lines = {
        "tasks": [{"task_index": 0, "task": "move"}],
        "episodes": [{"episode_index": i, "tasks": ["move"], "length": n} for i, n in enumerate(LENGTHS)],
        "episodes_stats": [{"episode_index": i, "stats": stats} for i in range(len(LENGTHS))],
    }
    for name, each in lines.items():
        (place / f"meta/{name}.jsonl").write_text("\n".join(map(json.dumps, each)) + "\n")
    path = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
    more = {"total_chunks": 1, "total_videos": 0, "chunks_size": 1000, "data_path": path, "video_path": None}
    (place / "meta/info.json").write_text(json.dumps({**info, **more, "codebase_version": "v2.1"}))
    return place


@pytest.mark.slow
def test_the_command_for_an_older_format_converts_it_as_it_stands_and_keeps_it(written, tmp_path):
    folder = older(written, tmp_path / "my data")
    said = refusal(folder)
    assert "is of LeRobot's format v2.1, and v3.0 is read; convert it in place, which keeps the old one" in said
    command = shlex.split(said[said.index("python -m") :])
    assert command[-1] == "--push-to-hub=false"
    ran = subprocess.run([sys.executable, *command[1:]], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    np.testing.assert_array_equal(read_dataset(folder).action, read_dataset(written).action)
    assert refusal(tmp_path / "my data_old").startswith("data set")


def test_an_older_format_in_the_cache_of_the_hub_is_converted_in_lerobots_own_folder(written, tmp_path):
    place = tmp_path / "hub/datasets--user--my.set-1/snapshots/0123abcd"
    said = refusal(older(written, place))
    assert said.endswith("--repo-id=user/my.set-1 --push-to-hub=false, and give dataset=user/my.set-1")


def test_a_format_before_that_has_to_be_converted_twice(copied):
    changed(copied, codebase_version="v1.6")
    assert "format v1.6" in refusal(copied) and "convert it to v2.1" in refusal(copied)


@pytest.mark.parametrize("pattern", ("data/*/*.parquet", "meta/episodes/*/*.parquet"))
@pytest.mark.parametrize("kept", (0, 200))
def test_a_data_set_that_was_not_finalised_is_refused(copied, pattern, kept):
    path = next(copied.glob(pattern))
    path.write_bytes(path.read_bytes()[:kept])
    assert f"not finalised, or not copied whole ({path.relative_to(copied)}" in refusal(copied)


@pytest.mark.parametrize(
    "pattern, words",
    [("data/*/*.parquet", "episodes 14 and its files 0"), ("meta/episodes/*/*.parquet", "episodes 0 and its files 14")],
)
def test_a_data_set_that_was_not_copied_whole_is_refused(copied, pattern, words):
    next(copied.glob(pattern)).unlink()
    assert words in refusal(copied)


def test_a_data_set_without_frames_is_refused(copied):
    for pattern in ("data/*/*.parquet", "meta/episodes/*/*.parquet"):
        next(copied.glob(pattern)).unlink()
    changed(copied, total_frames=0)
    assert "has no frames" in refusal(copied)


@pytest.mark.parametrize("feature", (STATE, ACTION))
def test_a_data_set_without_state_or_action_is_refused(copied, feature):
    features = features_of(copied)
    del features[feature]
    changed(copied, features=features)
    assert f"has no {feature}, only observation" in refusal(copied).replace("only action", "only observation")


def test_a_column_that_is_told_and_not_there_is_refused(copied):
    path = next(copied.glob("data/*/*.parquet"))
    pq.write_table(pq.read_table(path).drop([ACTION]), path)
    assert "has no action in data/" in refusal(copied)


def test_a_state_that_is_no_vector_is_refused(copied):
    features = features_of(copied)
    changed(copied, features={**features, STATE: {**features[STATE], "shape": [2, 3]}})
    assert "observation.state of shape (2, 3)" in refusal(copied)


def test_as_many_names_as_numbers_are_needed(copied):
    features = features_of(copied)
    changed(copied, features={**features, STATE: {**features[STATE], "names": ["x", "y"]}})
    assert "info.json of data set" in refusal(copied) and "has shape (3,), and 2 names" in refusal(copied)
    changed(copied, features={**features, STATE: {**features[STATE], "shape": [2], "names": ["x", "y"]}})
    assert "42 numbers of observation.state in 14 frames, and 2 names" in refusal(copied)


@pytest.mark.parametrize("keys", ({"fps": None}, {"fps": 0}, {"fps": "50"}, {"features": None}, {"features": [STATE]}))
def test_an_info_with_a_damaged_key_is_refused(copied, keys):
    changed(copied, **keys)
    assert f"is damaged ({next(iter(keys))} is {next(iter(keys.values()))!r}); copy" in refusal(copied)


@pytest.mark.parametrize(
    "column, entry, words",
    [
        (STATE, {"shape": [3]}, "no 'dtype'"),
        (STATE, {"dtype": "float32", "shape": None}, "NoneType"),
        (STATE, None, "NoneType"),
        (ACTION, {"dtype": "float32", "shape": [3], "names": ["vx", "vy"]}, "action has shape (3,), and 2 names"),
        (ACTION, {"dtype": "float32", "shape": [2], "names": {"vx": 0, "vy": "1"}}, "neither a list of names"),
        (IMAGES + "top", {"dtype": "image", "shape": [6, 8]}, "images have shape (6, 8)"),
    ],
)
def test_an_info_with_a_damaged_feature_is_refused(copied, column, entry, words):
    changed(copied, features={**features_of(copied), column: entry})
    said = refusal(copied)
    assert f"meta/info.json of data set {copied} is damaged (" in said and words in said


@pytest.mark.parametrize("feature", (STATE, ENVIRONMENT, ACTION))
@pytest.mark.parametrize("figure", ("mean", "std", "min", "max"))
@pytest.mark.parametrize("value", (None, [], [math.nan], [math.inf], [0.0] * 4), ids=str)
def test_statistics_that_are_none_are_refused_by_name(copied, feature, figure, value):
    path = copied / "meta/stats.json"
    stats = json.loads(path.read_text())
    if value is None:
        del stats[feature][figure]
    else:
        stats[feature][figure] = value * len(stats[feature][figure]) if len(value) == 1 else value
    path.write_text(json.dumps(stats))
    said = refusal(copied)
    assert f"as the {figure} of {feature} in meta/stats.json" in said and "recompute the statistics" in said


@pytest.mark.parametrize("told", (None, {"mean": "much"}, {"mean": [[1], [1, 2]]}))
def test_statistics_that_are_no_numbers_are_refused(copied, told):
    path = copied / "meta/stats.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), STATE: told}))
    assert "statistics of observation.state in meta/stats.json that are not numbers" in refusal(copied)


def test_names_that_are_there_twice_are_refused(written):
    assert "has x twice in observation.state" in refusal(written, rename={"y": "x"})


def test_what_is_to_be_renamed_must_be_there(written):
    assert "'yy'; did you mean 'y'" in refusal(written, rename={"yy": "x"})


def test_a_camera_to_keep_must_be_there(filmed):
    assert "'tip'; did you mean 'top'" in refusal(filmed, cameras=["tip"])


@pytest.mark.parametrize("value", (math.nan, math.inf, -math.inf))
@pytest.mark.parametrize(
    "column, frame, dim, words",
    [
        (STATE, 0, 1, "observation.state 'y', frame 0 of episode 0"),
        (STATE, 10, 2, "observation.state 'z', frame 6 of episode 1"),
        (ACTION, 11, 0, "action 'vx', frame 0 of episode 2"),
    ],
)
def test_a_number_that_is_none_is_refused_with_its_place(copied, column, frame, dim, words, value):
    spoiled(copied, column, frame, dim, value)
    assert f"has {value} in {words}" in refusal(copied)


@pytest.mark.parametrize("damage", ("missing", "without the action"))
def test_missing_statistics_are_refused(copied, damage):
    path = copied / "meta/stats.json"
    stats = json.loads(path.read_text())
    del stats[ACTION]
    path.unlink() if damage == "missing" else path.write_text(json.dumps(stats))
    assert "no statistics of" in (said := refusal(copied)) and "action" in said


# --- whether it fits


@pytest.fixture
def frames(written):
    return read_dataset(written)


def renamed(dims, **names):
    return tuple(replace(dim, name=names.get(dim.name, dim.name)) for dim in dims)


def test_the_robot_that_it_was_recorded_with_fits(frames, filmed):
    check_robot(frames, SPEC)
    check_robot(frames, FILMED)
    check_robot(read_dataset(filmed), FILMED)


@pytest.mark.parametrize(
    "robot, words",
    [
        (replace(SPEC, rate_hz=30.0), "recorded at 50 Hz and the robot runs at 30 Hz"),
        (
            replace(SPEC, state=renamed(SPEC.state, z="height")),
            "has observation.state 'z', and the robot has only x, y, height; rename it, as in rename={'z': ",
        ),
        (replace(SPEC, environment=()), "environment_state 'ball', and the robot has only none"),
        (
            replace(SPEC, action=renamed(SPEC.action, vy="v_y")),
            "the robot has action 'v_y', and data set .* has only vx, vy; rename it, as in rename={'vy': 'v_y'}",
        ),
    ],
)
def test_a_robot_that_does_not_fit_is_refused_by_name(frames, robot, words):
    with pytest.raises(ConfigError, match=words):
        check_robot(frames, robot)


def test_a_camera_that_the_robot_has_not_is_refused_by_name(filmed):
    with pytest.raises(ConfigError, match="has camera 'top', and the robot has only none"):
        check_robot(read_dataset(filmed), SPEC)


def test_an_episode_that_is_too_short_is_refused_with_its_number(frames):
    check_lengths(frames, 3, "this")
    with pytest.raises(ConfigError, match=r"episode 2 of data set .* has 3 frames, and this needs 4"):
        check_lengths(frames, 4, "this")


def test_every_frame_has_its_place(frames):
    places = [frames.place(frame) for frame in range(len(frames))]
    assert places == [(episode, i) for episode, n in enumerate(LENGTHS) for i in range(n)]


def test_what_was_executed_is_kept_where_it_was_something_else_and_is_the_action_where_not(tmp_path):
    spec = replace(SPEC, cameras=())
    made = [replace(one, images={}, executed=2 * one.action) for one in shown(spec)]
    write_dataset(tmp_path / "strayed", spec, made, text="", fps=50)
    frames = read_dataset(tmp_path / "strayed")
    np.testing.assert_allclose(frames.sent, 2 * frames.action, rtol=1e-6)
    write_dataset(tmp_path / "kept", spec, [replace(one, images={}) for one in shown(spec)], text="", fps=50)
    kept = read_dataset(tmp_path / "kept")
    np.testing.assert_array_equal(kept.sent, kept.action)
