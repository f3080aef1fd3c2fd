"""What goes through shared memory comes out as it went in."""

import multiprocessing
import signal
import threading
from dataclasses import asdict, replace

import numpy as np
import pytest

import other_process
from rollahead.errors import ConfigError
from rollahead.runtime.transport.shared import SharedMailbox
from rollahead.runtime.transport.wire import (
    MOST_TEXT,
    CommandsCodec,
    ImageLatentCodec,
    SharedInbox,
    SharedOutbox,
    check_task,
)
from rollahead.runtime.types.arrays import frozen
from rollahead.runtime.types.messages import (
    Commands,
    Failure,
    ImageLatent,
    Observation,
    Request,
    Result,
    Snapshot,
    StageTimes,
)
from rollahead.runtime.types.spec import Camera, Dim, RobotSpec

SPEC = RobotSpec(
    (Dim("x", drives="x"), Dim("y", drives="y")),
    (Dim("x"), Dim("y"), Dim("z")),
    10.0,
    environment=(Dim("ball"),),
    cameras=(Camera("top", 4, 6), Camera("wrist", 2, 2)),
)
H, N_OBS = 4, 2


def observation(tick: int, *, images: bool = True) -> Observation:
    rng = np.random.default_rng(tick)
    seen = {"top": rng.integers(0, 255, (4, 6, 3), np.uint8)} if images else {}
    return Observation(
        tick,
        frozen(rng.normal(size=3)),
        frozen([0.5 * tick]),
        seen,
        {"top": tick - 1} if images else {},
        "näher",
        2,
        {"top": 2**62 + tick} if images else {},
    )


def snapshot(tick: int, n: int = 2 * H, m: int = H, observations: int = N_OBS) -> Snapshot:
    rng = np.random.default_rng(tick)
    window = tuple(observation(tick - back) for back in range(observations - 1, -1, -1))
    return Snapshot(
        tick, window, frozen(rng.normal(size=(n, 2))), frozen(rng.normal(size=(m, 2))), tick // 3, 7, covered=m // 2
    )


def asked(tick: int, **numbers: int | None) -> Snapshot:
    seen = snapshot(tick)
    address = {"origin": tick + 2, "start": tick + 2, "roll_to": tick + 2, **numbers}
    return seen.with_request(Request(seen, **address, delay=2))


def boxes() -> tuple[SharedOutbox, SharedInbox]:
    outbox = SharedOutbox(SPEC, H, N_OBS)
    return outbox, SharedInbox(SPEC, H, outbox)


def same(one: Snapshot, other: Snapshot, *, images: bool) -> None:
    assert (one.tick, one.epoch, one.seed, one.covered) == (other.tick, other.epoch, other.seed, other.covered)
    np.testing.assert_array_equal(one.sent, other.sent)
    np.testing.assert_array_equal(one.planned, other.planned)
    for a, b in zip(one.observations, other.observations, strict=True):
        assert (a.tick, a.task, a.state_age) == (b.tick, b.task, b.state_age)
        assert a.state.tolist() == b.state.tolist()
        assert a.environment.tolist() == b.environment.tolist()
        assert dict(b.image_ticks) == (dict(a.image_ticks) if images else {})
        assert dict(b.image_stamps) == (dict(a.image_stamps) if images else {})
        assert set(b.images) == (set(a.images) if images else set())
        for name in b.images:
            np.testing.assert_array_equal(a.images[name], b.images[name])


@pytest.mark.parametrize("n, m, observations", [(0, 0, 1), (3, 1, 1), (2 * H, H, N_OBS)])
def test_a_snapshot_comes_out_as_it_went_in_but_for_its_images(n: int, m: int, observations: int) -> None:
    outbox, _ = boxes()
    put = snapshot(9, n, m, observations)
    outbox.put(put)
    got = outbox.peek()
    assert got is not None
    assert got.request is None
    same(put, got, images=False)


@pytest.mark.parametrize("numbers", [{}, {"origin": None}, {"roll_to": None}, {"origin": None, "start": None}])
def test_a_request_comes_out_with_its_snapshot_images_and_numbers(numbers: dict[str, int | None]) -> None:
    outbox, _ = boxes()
    put = asked(9, **numbers)
    outbox.put(put)
    got = outbox.peek()
    assert got is not None
    assert got.request is not None
    assert put.request is not None
    same(put, got.request.asked, images=True)
    for name in ("origin", "start", "roll_to", "delay", "tick", "epoch", "deadline", "seed"):
        assert getattr(got.request, name) == getattr(put.request, name)


def test_a_worker_that_looks_late_still_gets_the_request_and_the_newest_state() -> None:
    outbox, _ = boxes()
    first = asked(3)
    outbox.put(first)
    for tick in (4, 5):
        outbox.put(replace(snapshot(tick), epoch=first.epoch, request=first.request))
    got = outbox.peek()
    assert got is not None
    assert got.tick == 5
    assert got.request is not None
    assert got.request.tick == 3
    same(first, got.request.asked, images=True)


def test_a_request_stays_one_object_as_long_as_it_is_open() -> None:
    outbox, _ = boxes()
    first = asked(3)
    outbox.put(first)
    one = outbox.peek()
    outbox.put(replace(snapshot(4), epoch=first.epoch, request=first.request))
    other = outbox.peek()
    assert one is not None
    assert other is not None
    assert one.request is other.request


def test_a_result_comes_back_with_the_request_that_the_executor_made() -> None:
    outbox, inbox = boxes()
    put = asked(3)
    outbox.put(put)
    seen = outbox.peek()
    assert seen is not None
    assert seen.request is not None
    rows, anchor = frozen(np.arange(2.0 * H).reshape(H, 2)), frozen([1.0, 2.0, 3.0])
    inbox.put(Result(seen.request, rows, 2, anchor, 1.5, calls=3, steps=4, made=5, stages=StageTimes(*range(7))))
    got = inbox.peek()
    assert isinstance(got, Result)
    assert got.request is put.request
    assert got.rows.tolist() == rows.tolist()
    assert got.anchor.tolist() == anchor.tolist()
    assert (got.state_tick, got.cost) == (2, 1.5)
    assert (got.calls, got.steps, got.made) == (3, 4, 5)
    assert got.stages == StageTimes(*range(7))
    assert inbox.peek() is got


@pytest.mark.parametrize("features", [0, 1, 5])
def test_the_policy_features_of_a_result_come_back_with_it(features: int) -> None:
    outbox = SharedOutbox(SPEC, H, 1)
    inbox = SharedInbox(SPEC, H, outbox, features)
    outbox.put(asked(3))
    seen = outbox.peek()
    assert seen is not None
    assert seen.request is not None
    values = frozen(np.arange(float(features)) + 0.5)
    inbox.put(Result(seen.request, frozen(np.zeros((H, 2))), 2, frozen(np.zeros(3)), 1.5, policy_features=values))
    got = inbox.peek()
    assert isinstance(got, Result)
    assert got.policy_features.tolist() == values.tolist()


def test_a_failure_comes_back_in_words() -> None:
    _, inbox = boxes()
    assert inbox.peek() is None
    inbox.put(Failure("the planner gave NaN — twice"))
    got = inbox.peek()
    assert isinstance(got, Failure)
    assert got.message == "the planner gave NaN — twice"


def test_a_failure_that_is_too_long_is_cut_and_not_lost() -> None:
    _, inbox = boxes()
    for word in ("ä", "aä", "漢", "a漢", "🤖", "a🤖"):
        inbox.put(Failure(word * MOST_TEXT))
        got = inbox.peek()
        assert isinstance(got, Failure)
        assert (word * MOST_TEXT).startswith(got.message)  # no character is split
        assert MOST_TEXT - 4 < len(got.message.encode()) <= MOST_TEXT


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("no file \udcff\udc80", "no file \\udcff\\udc80"),
        ("\0", "\\x00"),
        ("a\0b\0", "a\\x00b\\x00"),
        ("", "it gave no reason"),
    ],
)
def test_a_failure_is_told_whatever_its_text_is(words: str, told: str) -> None:
    _, inbox = boxes()
    inbox.put(Failure(words))
    assert inbox.peek() == Failure(told)
    image_latents = SharedMailbox(ImageLatentCodec(3))
    image_latents.put(Failure(words))
    assert image_latents.peek() == Failure(told)


def test_a_lookout_gets_the_newest_images_of_its_cameras_and_no_request() -> None:
    outbox = SharedOutbox(SPEC, H, N_OBS, SPEC.cameras[:1])
    outbox.put(asked(9))
    got = outbox.watched.peek()
    assert got is not None
    same(replace(snapshot(9, 0, 0, 1), covered=H // 2), got, images=True)
    assert got.request is None
    taken = outbox.peek()
    assert taken is not None
    assert taken.request is not None  # which is left to the worker


def test_images_are_put_once_in_each_epoch_and_not_before_all_are_there() -> None:
    outbox, put = SharedOutbox(SPEC, H, N_OBS, SPEC.cameras[:1]), snapshot(9)
    outbox.put(replace(put, observations=(observation(9, images=False),)))
    assert outbox.watched.peek() is None
    outbox.put(put)
    first = outbox.watched.peek()
    outbox.put(replace(put, tick=10))
    assert outbox.watched.peek() is first
    outbox.put(replace(put, tick=11, epoch=put.epoch + 1))
    again = outbox.watched.peek()
    assert again is not None
    assert (again.tick, again.epoch) == (11, put.epoch + 1)


def test_a_sight_comes_out_as_it_went_in_and_so_does_the_failure_that_follows() -> None:
    box = SharedMailbox(ImageLatentCodec(3))
    for tick in range(5):
        box.put(ImageLatent(tick, 2, frozen([tick, 0.25, -1.0])))
        got = box.peek()
        assert isinstance(got, ImageLatent)
        assert (got.tick, got.epoch, got.values.tolist()) == (tick, 2, [tick, 0.25, -1.0])
        assert not got.values.flags.writeable
    box.put(Failure("the eye broke"))
    assert box.peek() == Failure("the eye broke")


@pytest.mark.parametrize("commands", [Commands(), Commands(paused=True, estops=2, resets=1, latched=True, task="ü")])
def test_orders_come_out_as_they_went_in(commands: Commands) -> None:
    box = SharedMailbox(CommandsCodec())
    box.put(commands)
    got = box.peek()
    assert got is not None
    assert asdict(got) == asdict(commands)


def test_a_task_that_is_too_long_for_a_message_is_refused() -> None:
    assert check_task("x" * MOST_TEXT) == "x" * MOST_TEXT
    with pytest.raises(ConfigError, match=f"the task text has {MOST_TEXT + 2} bytes; give at most {MOST_TEXT}"):
        check_task("x" * MOST_TEXT + "ä")


@pytest.mark.parametrize("text", ["pick\udcff", "\ud800", "pick\0"])
def test_a_task_with_what_is_no_character_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(ConfigError, match=r"the task text has '.*', which no text in UTF-8 can have; give it without"):
        check_task(text)


def test_a_reader_goes_on_with_what_it_had_when_the_writer_is_killed_between_two_puts() -> None:
    outbox, _ = boxes()
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=other_process.die_between_puts, args=(SPEC, outbox, theirs), daemon=True
    )
    process.start()
    assert mine.poll(60)
    assert mine.recv() == "asked"
    before = outbox.peek()
    assert before is not None
    assert before.tick == 5
    mine.send("go on")
    process.join(30)
    assert process.exitcode == -signal.SIGKILL
    got: list[Snapshot | None] = []
    reading = threading.Thread(target=lambda: got.extend([outbox.peek(), outbox.peek()]), daemon=True)
    reading.start()
    reading.join(10)
    assert got == [before, before]


def test_between_two_processes_a_request_is_answered() -> None:
    outbox, inbox = boxes()
    mine, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=other_process.ask_and_report, args=(SPEC, outbox, inbox, theirs), daemon=True
    )
    process.start()
    assert mine.poll(60)
    assert mine.recv() == "asked"
    seen = outbox.peek()
    assert seen is not None
    assert seen.request is not None
    rows = frozen(np.full((H, 2), seen.observations[-1].state[0]))
    inbox.put(Result(seen.request, rows, seen.tick, seen.observations[-1].state, 1.0))
    mine.send("answered")
    assert mine.poll(30)
    assert mine.recv() == (True, rows.tolist())
    process.join(30)
