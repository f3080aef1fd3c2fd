import threading

import pytest

from rollahead.errors import RobotError
from rollahead.runtime.system.patience import in_thread, within


def test_a_call_that_hangs_is_left_behind_and_told() -> None:
    free = threading.Event()
    with pytest.raises(RobotError, match=r"the robot did not stop within 0\.05 s; use its own switch"):
        within(0.05, "stop", lambda: free.wait(30))
    free.set()


@pytest.mark.parametrize("error", [OSError("no answer"), SystemExit("no licence")])
def test_what_a_call_raises_is_told(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(RobotError, match=rf"did not stop \({type(error).__name__}: {error}\)"):
        within(5.0, "stop", fail)


def test_where_no_thread_can_be_started_as_when_the_program_ends_the_call_is_made_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(self: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    called: list[str] = []
    in_thread("stop", lambda: called.append("stop"))(1.0)
    assert called == ["stop"]
    with pytest.raises(RobotError, match="ZeroDivisionError"):
        within(1.0, "stop", lambda: 1 / 0)
