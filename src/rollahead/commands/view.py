"""The live view of a run in the terminal, and the summary of its figures at the end."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.live import Live
from rich.table import Table

from rollahead.commands import keys
from rollahead.runtime.drivers.realtime import Realtime
from rollahead.runtime.recording.gauges import Gauges
from rollahead.runtime.recording.recorder import Recorder

LOOK_S = 0.05  # interval at which keys are read
EVERY_S = 0.25  # interval at which the view is drawn
LAST_S = 5.0  # period, up to now, of the times and ages in the view


class Watch:
    """Live view of runs, which also carries out the commands of the keys pressed.

    Args:
        console: Console for the summary.
        live: Display for the live view; None without a terminal.
        title: Title of the view.
        rate_hz: Control rate.
        pressed: Returns the keys pressed since its last call.
    """

    def __init__(self, console: Console, live: Live | None, title: str, rate_hz: float, pressed: keys.Pressed) -> None:
        self.gauges = Gauges(rate_hz)
        self.tuned: dict[str, str] = {}  # scheduling settings in effect, see `Realtime.tuned`
        self.records_lost = 0  # records of ticks and inferences that are missing in the run folder
        self.ended = False  # whether a key has ended the run
        self._console = console
        self._live = live
        self._title = title
        self._rate_hz = rate_hz
        self._pressed = pressed
        self._drawn_s = 0.0

    def __call__(self, runtime: Realtime) -> bool:
        """Updates the view and carries out key commands; returns whether the run shall end. Called repeatedly."""
        self.follow(runtime)
        self.ended = keys.obey(runtime, self._pressed()) or self.ended
        now_s = time.monotonic()
        if self._live is not None and now_s - self._drawn_s >= EVERY_S and _in_front(self._console):
            self._drawn_s = now_s
            self._live.start()  # not earlier, since stages are shown until then
            self._live.update(self._table(LAST_S, keys.HELP), refresh=True)
        return self.ended

    def over(self, runtime: Realtime, folder: Path, ticks: int | None) -> None:
        """Runs `runtime` for `ticks` ticks, or until a key ends it, and records it in `folder`."""
        recorder = Recorder(folder)
        try:
            with recorder, recorder.follow(runtime.trace), runtime:
                runtime.start(ticks)
                try:
                    while not (runtime.wait(LOOK_S) or self(runtime)):
                        pass
                finally:  # keys still work until the robot is disconnected
                    runtime.finish()
                    while not runtime.wait(LOOK_S):
                        self(runtime)
        finally:
            self.follow(runtime)
            self.records_lost += recorder.lost

    def follow(self, runtime: Realtime) -> None:
        """Takes the new records of `runtime`."""
        self.gauges.follow(runtime.trace, runtime.start_ns)
        self.tuned = runtime.tuned

    def sum_up(self) -> None:
        """Prints the figures of all runs so far."""
        self._console.print(self._table(None, None))
        if self.records_lost:
            self._console.print(
                f"{self.records_lost} records were written over before the recorder had read them, and the files have "
                "gaps; leave this machine less to do beside the run",
                soft_wrap=True,
            )

    def _table(self, last_s: float | None, caption: str | None) -> Table:
        table = Table(title=self._title, title_justify="left", caption=caption, box=SIMPLE_HEAD, show_header=False)
        table.add_column(style="bold", no_wrap=True)
        table.add_column()
        figures = self.gauges.figures(last_s)
        if last_s is not None:
            table.add_row("now", figures["status"])
        for name, words in lines(figures, self._rate_hz).items():
            table.add_row(name, words)
        return table


@contextmanager
def watching(console: Console, title: str, rate_hz: float, *, view: bool) -> Iterator[Watch]:
    """A context with a `Watch`, which draws a live view if the console is a terminal and `view` is True."""
    with keys.keys() as pressed:
        if not (view and console.is_terminal):
            yield Watch(console, None, title, rate_hz, pressed)
            return
        live = Live(console=console, auto_refresh=False, transient=True)
        try:
            yield Watch(console, live, title, rate_hz, pressed)
        finally:
            live.stop()


def _in_front(console: Console) -> bool:
    """Whether this program may draw: it is in the foreground, or its output does not go to its controlling terminal."""
    try:
        return keys.foreground(console.file.fileno())
    except OSError:  # the console has no file descriptor
        return True


def lines(figures: Mapping[str, Any], rate_hz: float) -> dict[str, str]:
    """The lines of the view, by label, from the figures of `Gauges`."""
    late, uneven, age, delay = (figures[name] for name in ("late_us", "uneven_us", "age_ticks", "delay_ticks"))
    ticks = _counts(figures, ("underruns", "skipped", "stale", "paused", "estopped"))
    chunks = _counts(figures, ("placed", "late", "expired", "dropped", "refused", "no_answer"))
    return {
        "rate": f"{_number(figures['rate_hz'], 2)} Hz of {rate_hz:g} Hz",
        "late": f"p50 {_ms(late['p50'])}   p99 {_ms(late['p99'])}   max {_ms(late['max'])}   after a tick was due",
        "jitter": f"p50 {_ms(uneven['p50'])}   p99 {_ms(uneven['p99'])}   of the time from tick to tick",
        "delay": f"planned {_number(figures['delay_planned'])}   measured p50 {_number(delay['p50'])}   "
        f"p95 {_number(delay['p95'])}   max {_number(delay['max'])} ticks",
        "age": f"p50 {_number(age['p50'])}   max {_number(age['max'])} ticks from observation to action",
        "ticks": f"{figures['ticks']}   {ticks}",
        "chunks": f"{figures['inferences']}   {chunks}   rows lost {figures['rows_lost']}",
        "guard": "   ".join(f"{name} {n}" for name, n in figures["guard"].items()) or "nothing to do",
    }


def _counts(figures: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return "   ".join(f"{name.replace('_', ' ')} {figures.get(name, 0)}" for name in names)


def _number(value: float | None, digits: int = 0) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _ms(us: float | None) -> str:
    return "-" if us is None else f"{us / 1000:.2f} ms"
