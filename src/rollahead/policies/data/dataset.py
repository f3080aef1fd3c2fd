"""Writing demonstrations as a LeRobotDataset (v3.0), and reading any LeRobotDataset into memory.

LeRobot itself writes, into a folder beside the one asked for, which is renamed when it is finalised. So a folder with
the final name is complete. pyarrow reads all frames at once: LeRobot's own way, frame by frame, takes minutes.
"""

import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from rollahead.errors import ConfigError, ControlError
from rollahead.policies.data.frames import Frames, check_finite
from rollahead.policies.data.schema import Schema, read_schema
from rollahead.policies.data.stored import bounds_of, read_info, read_stats, read_table, vectors_of
from rollahead.policies.lerobot import compat
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, EXECUTED, IMAGES, PARTS, STATE
from rollahead.runtime.types.arrays import FloatArray
from rollahead.runtime.types.spec import RobotSpec, names_of

BUFFERED = 100  # episodes whose metadata LeRobot writes at a time


class Demonstration(Protocol):
    """One episode of n ticks.

    Attributes:
        state: (n, S), the state at each tick.
        environment: (n, E), the environment at each tick.
        action: (n, A), the action to learn.
        executed: (n, A), the action that was sent, None if it is the same.
        images: (n, height, width, 3) of each camera.
    """

    @property
    def state(self) -> FloatArray:
        """(n, S), the state at each tick."""
        ...

    @property
    def environment(self) -> FloatArray:
        """(n, E), the environment at each tick."""
        ...

    @property
    def action(self) -> FloatArray:
        """(n, A), the action to learn."""
        ...

    @property
    def executed(self) -> FloatArray | None:
        """(n, A), the action that was sent, None if it is the same."""
        ...

    @property
    def images(self) -> Mapping[str, NDArray[np.uint8]]:
        """(n, height, width, 3) of each camera."""
        ...


def read_dataset(folder: Path, rename: Mapping[str, str] | None = None, cameras: Sequence[str] | None = None) -> Frames:
    """The data set in `folder`.

    Args:
        folder: Root of a LeRobotDataset.
        rename: New names of features, dimensions or cameras, by those in the data set.
        cameras: Cameras to keep, by their new names; None for all.

    Raises: ConfigError, if there is no data set, or no policy can be trained on it. The message names the feature and
    the reason.
    """
    info = read_info(folder)
    schema = read_schema(folder, info["features"], rename or {}, cameras)
    has_executed = info["features"].get(EXECUTED, {}).get("shape") == info["features"][schema.columns[ACTION]]["shape"]
    table = read_table(folder, info["total_frames"], [*schema.columns.values(), *([EXECUTED] if has_executed else [])])
    parts = {
        part: vectors_of(folder, table, schema.columns[feature], len(schema.names[feature]))
        for feature, part in PARTS.items()
        if feature in schema.columns
    }
    nothing = np.empty((table.num_rows, 0), np.float32)
    frames = Frames(
        folder=folder,
        fps=float(info["fps"]),
        **{"environment": nothing, **parts},
        bounds=bounds_of(table),
        names=schema.names,
        cameras=schema.cameras,
        sizes=schema.sizes,
        stats=read_stats(folder, _sources(schema)),
        executed=vectors_of(folder, table, EXECUTED, len(schema.names[ACTION])) if has_executed else None,
    )
    check_finite(frames)
    return frames


def _sources(schema: Schema) -> dict[str, str]:
    """The name in the data set of each feature that is read."""
    return {**schema.columns, **{IMAGES + name: key for name, key in schema.cameras.items()}}


def write_dataset(
    folder: Path, spec: RobotSpec, demonstrations: Iterable[Demonstration], *, text: str, fps: float
) -> None:
    """Writes demonstrations as a LeRobotDataset.

    Args:
        folder: Folder to create.
        spec: Robot of the demonstrations. The images of its cameras are written too.
        demonstrations: Episodes to write, at least one.
        text: Instruction of the task.
        fps: Ticks per second, an integer.

    Raises: ConfigError, if the folder exists, there are no demonstrations, or LeRobot cannot store the rate;
    ControlError, if the disk is full or not writable. Nothing is left in these cases.
    """
    if folder.exists():
        raise ConfigError(f"the data set {folder} exists already; give another folder, or remove it")
    if fps != round(fps):
        raise ConfigError(f"the rate is {fps:g} Hz, and LeRobot's data sets have whole numbers; record at {fps:.0f} Hz")
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)  # left by a process that was killed
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _write(unfinished, spec, demonstrations, text, round(fps))
        unfinished.rename(folder)
    except OSError as error:
        raise ControlError(
            f"the data set {folder} could not be written ({error.strerror or error}); free some space, or give another "
            "folder"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _write(folder: Path, spec: RobotSpec, demonstrations: Iterable[Demonstration], text: str, fps: int) -> None:
    dataset = compat.LeRobotDataset.create(
        f"rollahead/{folder.stem}",
        fps,
        _features(spec),
        root=folder,
        use_videos=False,
        video_backend="pyav",  # no video is written, and looking for another backend prints warnings
        metadata_buffer_size=BUFFERED,
    )
    plain = nullcontext() if spec.cameras else compat.no_images()
    with _quiet(), _finalised(dataset), plain:
        for index, demonstration in enumerate(demonstrations):
            with _stored(folder / "images", demonstration.images) as paths:
                dataset.save_episode(_episode(dataset, index, demonstration, paths, text))
        if not dataset.meta.total_episodes:
            raise ConfigError(f"there are no demonstrations to write to {folder.stem}; ask for at least 1")


def _features(spec: RobotSpec) -> dict[str, dict[str, Any]]:
    """The features of a robot in LeRobot's format."""
    dims = {STATE: spec.state, ENVIRONMENT: spec.environment, ACTION: spec.action, EXECUTED: spec.action}
    vectors: dict[str, dict[str, Any]] = {
        feature: {"dtype": "float32", "shape": (len(these),), "names": list(names_of(these))}
        for feature, these in dims.items()
        if these
    }
    axes = ["height", "width", "channels"]
    images: dict[str, dict[str, Any]] = {
        IMAGES + camera.name: {"dtype": "image", "shape": (camera.height, camera.width, 3), "names": axes}
        for camera in spec.cameras
    }
    return vectors | images


def _episode(
    dataset: Any, index: int, demonstration: Demonstration, images: Mapping[str, list[str]], text: str
) -> dict[str, Any]:
    """An episode in the format of LeRobot's own buffer. Adding it frame by frame would check each frame anew."""
    n = len(demonstration.action)
    values = {
        feature: np.asarray(getattr(demonstration, part), np.float32)
        for feature, part in PARTS.items()
        if feature in dataset.features
    }
    executed = demonstration.executed
    values[EXECUTED] = values[ACTION] if executed is None else np.asarray(executed, np.float32)
    return {
        "size": n,
        "task": [text] * n,
        "episode_index": index,
        "timestamp": np.arange(n, dtype=np.float32) / dataset.fps,
        "frame_index": np.arange(n),
        "index": [],  # LeRobot fills these two
        "task_index": [],
        **{feature: rows[:, 0] if rows.shape[1] == 1 else rows for feature, rows in values.items()},
        **images,
    }


@contextmanager
def _stored(folder: Path, images: Mapping[str, NDArray[np.uint8]]) -> Iterator[dict[str, list[str]]]:
    """Writes the images of an episode as PNG files, and gives their paths by feature while the context is open.

    LeRobot takes the images from these files. Its own writer would go on where the disk is full.
    """
    from PIL import Image

    paths: dict[str, list[str]] = {}
    for camera, pictures in images.items():
        (folder / camera).mkdir(parents=True)
        paths[IMAGES + camera] = [str(folder / camera / f"{i:06d}.png") for i in range(len(pictures))]
        for path, picture in zip(paths[IMAGES + camera], pictures, strict=True):
            Image.fromarray(picture).save(path)
    yield paths
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _finalised(dataset: Any) -> Iterator[None]:
    """Finalises `dataset` when the context is left, also after an error.

    Otherwise its destructor would finalise it, where an exception cannot be caught.
    """
    try:
        yield
        dataset.finalize()
    except BaseException:
        with suppress(OSError):
            dataset.finalize()
        raise


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides the progress bar of each episode while the context is open."""
    import datasets

    shown = not datasets.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            datasets.enable_progress_bars()
