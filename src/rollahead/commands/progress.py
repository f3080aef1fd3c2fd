"""How far a training is: on a terminal a bar with the time left, and everywhere a line for each time that it is looked
at, so that a log holds as many."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TaskID, TimeRemainingColumn

REFRESHES_PER_S = 4


class Steps:
    """What is done of `last` steps."""

    def __init__(self, progress: Progress, task: TaskID, last: int) -> None:
        self._progress = progress
        self._task = task
        self._last = last

    def at(self, step: int) -> None:
        """So many are done."""
        self._progress.update(self._task, completed=step)

    def say(self, words: str) -> None:
        """A line: the step, `words` and, where there is no bar, the time left."""
        task = self._progress.tasks[0]
        remaining = None if self._progress.console.is_terminal else task.time_remaining
        left = f", {_clock(remaining)} left" if remaining else ""
        self._progress.console.print(f"step {task.completed:>{len(str(self._last))}.0f} of {self._last}: {words}{left}")


@contextmanager
def steps(console: Console, done: int, last: int) -> Iterator[Steps]:
    """Shows how far it is of `last` steps, of which so many are `done` already."""
    *columns, _ = Progress.get_default_columns()
    left = TimeRemainingColumn(elapsed_when_finished=True)
    bar = Progress(*columns, left, console=console, disable=not console.is_terminal, refresh_per_second=REFRESHES_PER_S)
    with bar:
        yield Steps(bar, bar.add_task("training", total=last, completed=done), last)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"
