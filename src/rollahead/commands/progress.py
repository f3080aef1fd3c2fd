"""Progress of a training: a bar with the time left on a terminal; lines at intervals elsewhere, such as in a log.

Both have a line for each evaluation during the training as well.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task, TaskID
from rich.text import Text

REFRESHES_PER_S = 4
FIRST_LINE_S, LINE_S = 30.0, 60.0  # time without a line after which a log gets one, at the start and later
UNKNOWN = "-:--:--"


class Steps:
    """Progress of a training.

    Args:
        progress: The bar.
        last: Number of the last step.
        done: Number of steps that were done before.
        clock: Returns the time in seconds.
    """

    def __init__(self, progress: Progress, last: int, done: int, clock: Callable[[], float]) -> None:
        self._progress, self._clock = progress, clock
        self._last, self._done, self._step = last, done, done
        self._began_s = clock()
        self._line_s = self._began_s + FIRST_LINE_S
        self._task: TaskID = progress.add_task("training", total=last, completed=done, left=UNKNOWN)

    def at(self, step: int, loss: float | None = None) -> None:
        """Shows that `step` steps are done; in a log, with the `loss`, if there was no line for a while."""
        self._step = step
        self._progress.update(self._task, completed=step, left=_shown(self._left_s()))
        if not self._progress.console.is_terminal and self._clock() >= self._line_s and step < self._last:
            self.say("" if loss is None else f"loss {loss:.3g}")

    def say(self, words: str) -> None:
        """Prints a line with the step, `words` and, if there is no bar, the time left."""
        left_s = None if self._progress.console.is_terminal else self._left_s()
        parts = [words, f"{_shown(left_s)} left" if left_s else ""]
        said = ", ".join(part for part in parts if part)
        self._progress.console.print(f"step {self._step:>{len(str(self._last))}} of {self._last}: {said}")
        self._line_s = self._clock() + LINE_S

    def _left_s(self) -> float | None:
        """Estimate of the time left in seconds, from the mean time per step; None before the first step."""
        made = self._step - self._done
        return (self._clock() - self._began_s) / made * (self._last - self._step) if made else None


class _Left(ProgressColumn):
    """Column with the time left, or, once the training is over, the time that it took."""

    def render(self, task: Task) -> Text:
        if task.finished_time is not None:
            return Text(_shown(task.finished_time), style="progress.elapsed")
        return Text(task.fields["left"], style="progress.remaining")


@contextmanager
def steps(console: Console, done: int, last: int, clock: Callable[[], float] = time.monotonic) -> Iterator[Steps]:
    """Shows the progress of a training of `last` steps, of which `done` are done already."""
    *columns, _ = Progress.get_default_columns()
    bar = Progress(
        *columns, _Left(), console=console, disable=not console.is_terminal, refresh_per_second=REFRESHES_PER_S
    )
    with bar:
        yield Steps(bar, last, done, clock)


def _shown(seconds: float | None) -> str:
    if seconds is None:
        return UNKNOWN
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
