import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from rollahead.errors import ConfigError, ControlError
from rollahead.policies.data.batches import Batch, Batches
from rollahead.policies.data.frames import Frames
from rollahead.policies.data.pictures import Pictures
from rollahead.policies.policy import Trained
from rollahead.policies.training.trainer import Making

from ..trainers import ACT, trainer_of
from ..training.test_trainer import filmed as filmed

STEPS = 4


def made(step: int) -> Batch:
    if step == 3:
        raise ConfigError("step 3 has no batch; leave it out")
    return {"step": torch.tensor([step]), "process": torch.tensor([os.getpid()])}


def test_the_processes_end_with_the_last_step_or_when_told() -> None:
    before = set(multiprocessing.active_children())
    first, second = batches(2), batches(2)
    for step in range(4, 8):
        first.of(step)
    second.of(5)
    second.close()
    assert set(multiprocessing.active_children()) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_of_another_program_to_the_processes_ends_none_of_them(number: signal.Signals) -> None:
    made = batches(2)
    by = {int(made.of(step)["process"]) for step in (4, 5)}
    told = "import os, sys\nfor process in sys.argv[2:]: os.kill(int(process), int(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", told, str(int(number)), *map(str, by)], check=True)
    assert {int(made.of(step)["process"]) for step in (6, 7)} == by
    assert not multiprocessing.active_children()


def test_a_process_ends_at_once_when_the_training_terminates_it() -> None:
    made = batches(1)
    made.of(4)
    (process,) = multiprocessing.active_children()
    process.terminate()
    process.join(timeout=60)
    assert process.exitcode == 0
    made.close()


def test_an_interrupt_while_a_batch_is_waited_for_ends_the_processes() -> None:
    def interrupting(step: int) -> Batch:
        if step == 4:
            os.kill(parent, signal.SIGINT)
            threading.Event().wait(0.2)
        return {}

    parent, made = os.getpid(), Batches(interrupting, 1, 8)
    with pytest.raises(KeyboardInterrupt):
        made.of(4)
    assert not multiprocessing.active_children()


def test_a_process_that_is_killed_is_one_sentence_that_says_what_to_do() -> None:
    endless = Batches(lambda step: {"process": torch.tensor(os.getpid())}, 1, 1000)
    os.kill(int(endless.of(0)["process"]), signal.SIGKILL)
    with pytest.raises(
        ControlError, match=r"^a process that makes batches was killed, or made none in 300 s \(.*workers=1"
    ):
        for step in range(1, 1000):
            endless.of(step)
    ended()


@pytest.mark.slow
def test_a_process_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rollahead.policies.data.batches.PATIENCE_S", 0.1)
    hangs = Batches(lambda step: {"step": torch.tensor(threading.Event().wait())}, 1, 8)
    with pytest.raises(ControlError, match=r"made none in 0\.1 s \(DataLoader timed out after 0\.1 seconds"):
        hangs.of(4)
    ended()


def test_what_a_process_does_not_foresee_is_not_taken_for_a_lost_process() -> None:
    def unforeseen(step: int) -> Batch:
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError, match="a fault of ours"):
        Batches(unforeseen, 1, 8).of(4)
    assert not multiprocessing.active_children()


def ended() -> None:
    """Waits for the processes that were told to end."""
    for process in multiprocessing.active_children():
        process.join(60)
        assert not process.is_alive()


def batches(workers: int) -> Batches:
    return Batches(made, workers, 8)


@pytest.mark.parametrize("workers", [0, 1, 2, 3])
def test_each_step_has_its_own_batch_in_order_and_after_a_leap(workers: int) -> None:
    made = batches(workers)
    for step in (-1, 0, 1, 2, 6, 7, 0, 4):
        assert made.of(step)["step"].tolist() == [step]
    made.close()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_batches_are_made_by_so_many_other_processes(workers: int) -> None:
    made = batches(workers)
    by = {int(made.of(step)["process"]) for step in (-1, 0, 1, 2)}
    assert (by == {os.getpid()}) == (workers == 0)
    assert len(by) == max(workers, 1)
    made.close()


@pytest.mark.parametrize("workers", [0, 2])
def test_what_a_process_refuses_is_raised_as_it_is_by_the_training(workers: int) -> None:
    made = batches(workers)
    with pytest.raises(ConfigError, match=r"^step 3 has no batch; leave it out$"):
        made.of(3)


def test_processes_draw_nothing_from_the_generator_of_the_training() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    made = batches(2)
    made.of(0)
    made.close()
    assert torch.equal(torch.rand(3), expected)


def trained(frames: Frames, workers: int, cache_mb: float, resumed: int = 0, **options: int) -> dict[str, torch.Tensor]:
    """Averaged weights after `STEPS` steps. resumed: after so many it is ended, and another goes on."""
    trained = Trained(offsets=options.pop("offsets", 0))
    making = Making("cpu", workers, cache_mb)
    trainer = trainer_of(ACT, frames, trained, making=making, steps=STEPS, batch=3)
    for _ in range(resumed):
        trainer.training.advance()
    if resumed:
        path = frames.folder.parent / "training.pt"
        trainer.training.save(path)
        trainer.close()
        trainer = trainer_of(ACT, frames, trained, making=making, steps=STEPS, batch=3)
        trainer.training.restore(path)
    while trainer.training.step < STEPS:
        trainer.training.advance()
    return {**trainer.training.averaged.state_dict(), "error": torch.tensor(trainer.cold_error())}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(one[key], other[key]) for key in one) and one.keys() == other.keys()


@pytest.fixture(scope="module")
def alone(filmed: Frames) -> Iterator[dict[str, torch.Tensor]]:
    """Trained in one process, with everything kept."""
    yield trained(filmed, 0, 64.0)


@pytest.mark.parametrize(
    "workers, cache_mb, resumed", [(1, 64.0, 0), (3, 0.0, 0), (2, 0.3, 0), (0, 0.0, 0), (2, 64.0, 2)]
)
def test_a_training_is_the_same_to_the_bit_with_any_number_of_processes_any_cache_and_if_resumed(
    workers: int, cache_mb: float, resumed: int, filmed: Frames, alone: dict[str, torch.Tensor]
) -> None:
    assert same(trained(filmed, workers, cache_mb, resumed), alone)


def test_without_images_no_process_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fork", lambda: pytest.fail("forked"))
    trainer = trainer_of(making=Making(workers=2))
    trainer.training.advance()


@pytest.mark.parametrize("cache_mb, kept", [(0.0, 0), (1.0, 36), (0.25, 10), (64.0, 36)])
def test_the_cache_takes_no_more_memory_than_it_may(cache_mb: float, kept: int, filmed: Frames) -> None:
    pictures = Pictures(filmed, cache_mb)
    size = sum(cache.nbytes for cache in pictures._cache.values())
    assert pictures.kept == kept and size <= cache_mb * 2**20
    assert size == kept * 2 * 3 * 64 * 64


def test_what_another_process_has_decoded_is_not_decoded_again(filmed: Frames) -> None:
    pictures = Pictures(filmed)
    frames = np.arange(5)
    made = Batches(lambda step: pictures.of(frames), 1, 1)
    seen = made.of(0)
    pictures._decoded = lambda frame: pytest.fail("decoded again")  # type: ignore[method-assign,assignment]
    assert all(torch.equal(seen[name], again) for name, again in pictures.of(frames).items())


def test_an_image_that_cannot_be_decoded_is_one_sentence_that_says_where_it_is(
    filmed: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures = Pictures(filmed)
    monkeypatch.setattr(pictures, "_dataset", dict)
    made = Batches(lambda step: pictures.of(np.array([14])), 1, 1)
    with pytest.raises(
        ConfigError, match=r"^the images of frame 2 of episode 1 of data set .* cannot be decoded \(14\);"
    ):
        made.of(0)


def test_an_image_that_could_not_be_decoded_is_decoded_when_it_is_wanted_again(
    filmed: Frames, monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures, wanted = Pictures(filmed), np.array([14])
    with monkeypatch.context() as broken:
        broken.setattr(pictures, "_dataset", dict)
        with pytest.raises(ConfigError):
            pictures.of(wanted)
    expected = Pictures(filmed, 0.0).of(wanted)
    assert all(torch.equal(seen, expected[name]) for name, seen in pictures.of(wanted).items())
