"""The page: `report.html`, one file that needs nothing else.

write_report(Path("runs/demo"))  ->  runs/demo/report.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollahead.errors import ConfigError
from rollahead.report import theme
from rollahead.report.animation import animate
from rollahead.report.comparison import Named, Scene, by_setting, choose_scene, name_cells, over_delay
from rollahead.report.figures import table
from rollahead.report.lanes import NARROW, WIDE, draw
from rollahead.report.legend import legend
from rollahead.report.load import Results, load
from rollahead.report.realtime import live_rows
from rollahead.report.timeline import Picture, Row, picture, window
from rollahead.report.topview import Panel, panel
from rollahead.report.training import in_words, names
from rollahead.report.words import IN_WORDS, driven, facts, measures, sentence, trained
from rollahead.runtime.latency import latency_words
from rollahead.runtime.run_folder import written_whole

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined, Template
    from markupsafe import Markup

    from rollahead.report.curves import training_plots
    from rollahead.report.plots import Shown, delay_plots, episode_plots
except ImportError as error:
    raise ConfigError(f"a report cannot be made ({error}); install rollahead[viz]") from error

REPORT = "report.html"


@dataclass(frozen=True, slots=True)
class TimelineView:
    """One strategy's timeline and what is said of it."""

    series: str
    options: str
    words: str
    success: bool
    facts: tuple[str, ...]
    wide: str
    narrow: str


def write_report(folder: Path) -> Path:
    """Makes `report.html` of a run's folder, or a sweep's, in it; an old one is replaced. Its path.

    Raises: ConfigError, if the folder is none that a run has left; ControlError, if the disk does not take it.
    """
    html = make(load(folder))
    path = folder / REPORT
    with written_whole(path) as unfinished:
        unfinished.write_text(html, encoding="utf-8")
    return path


def make(results: Results) -> str:
    """The page as HTML."""
    named = name_cells(results.cells)
    series = over_delay(named)
    live = [str(ran["strategy"]["name"]) for ran in results.realtime]
    trainings = dict(zip(names(results.trainings), results.trainings, strict=True))
    styles = theme.styles(dict.fromkeys([*(cell.series for cell in named), *series, *live, *trainings]))
    scene = choose_scene(named) if named else None
    return _template().render(
        results=results,
        name_of_run=results.folder.resolve().name,
        sentence=_sentence(results, named),
        facts=facts(results),
        settings=[(group[0].setting, table(group)) for group in by_setting(named)],
        trainings={name: in_words(one) for name, one in trainings.items()},
        training_plots=training_plots(trainings, styles),
        live=live_rows(results.realtime),
        compared=any(len(group) > 1 for group in by_setting(named)),
        delay_plots=delay_plots(series, styles),
        delay_series=list(series),
        measures=measures(),
        variables=theme.css_variables(":root"),
        styles=styles,
        symbols=theme.SYMBOLS,
        **(_scene(scene, styles) if scene else {"scene": None}),
    )


def _sentence(results: Results, named: Sequence[Named]) -> str:
    """What was done."""
    if results.trainings:
        return trained(named, results.trainings)
    return sentence(named, results.command) if named else driven(results)


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("rollahead.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["raw"] = Markup  # our own drawings
    return environment.get_template("template.html.j2")


def animation(results: Results) -> str | None:
    """The animation alone, as an SVG document for an <img>; None if nothing is recorded, or to be seen from above."""
    named = name_cells(results.cells)
    scene = choose_scene(named)
    return _animation(scene, theme.styles(dict.fromkeys(cell.series for cell in named))) if scene else None


def _animation(scene: Scene, styles: Mapping[str, int]) -> str | None:
    panels = [_panel(named, scene.episode, f"series{styles[named.series]}") for named in scene.pair]
    seen = [shown for shown in panels if shown]
    latency = scene.cells[0].cell.latency
    words = f"latency {latency_words(latency)}" if latency["name"] == "fixed" else f"{latency['name']} latency"
    return animate(seen, f"{words}, half speed") if len(seen) == len(panels) else None


def _panel(named: Named, episode: int, colour: str) -> Panel | None:
    cell = named.cell
    recording, result = cell.recording(episode), cell.episodes[episode]
    return panel(named.series, colour, recording, result, cell.rate_hz, _window_s(named))


def _window_s(named: Named) -> float | None:
    """How long there is to reach the object, if the task says it."""
    return named.cell.task.get("window_s")


def _scene(scene: Scene, styles: Mapping[str, int]) -> dict[str, Any]:
    """What the template is given to show of one episode."""
    pictures = _pictures(scene)
    return {
        "scene": scene,
        "timelines": [_view(named, scene.episode, drawn) for named, drawn in zip(scene.cells, pictures, strict=True)],
        "legend": legend(pictures),
        "animation": _animation(scene, styles),
        "timed": all(_window_s(named) for named in scene.pair),
        "pair": [named.series for named in scene.pair],
        "episode_plots": episode_plots(
            [Shown(n.series, styles[n.series], n.cell.recording(scene.episode)) for n in scene.pair],
            scene.stimulus_tick,
            scene.cells[0].cell.rate_hz,
        ),
    }


def _pictures(scene: Scene) -> list[Picture]:
    """A picture per strategy, all of the same ticks."""
    recordings = [named.cell.recording(scene.episode) for named in scene.cells]
    start, stop = window(scene.stimulus_tick, recordings)
    return [
        picture(recording, named.strategy, scene.stimulus_tick, start, stop)
        for named, recording in zip(scene.cells, recordings, strict=True)
    ]


def _view(named: Named, episode: int, drawn: Picture) -> TimelineView:
    title = f"Chunks and switches of {named.series}, episode {episode}"
    wide, narrow = (draw(drawn, layout, named.cell.rate_hz, title) for layout in (WIDE, NARROW))
    return TimelineView(
        series=named.series,
        options=named.options,
        words=IN_WORDS.get(named.strategy, ""),
        success=named.cell.episodes[episode].success,
        facts=_facts(drawn, named.cell.rate_hz),
        wide=wide,
        narrow=narrow,
    )


def _facts(drawn: Picture, rate_hz: float) -> tuple[str, ...]:
    first = drawn.first_aware
    after = "none here" if first is None else f"{(first - drawn.stimulus) / rate_hz:.2f} s after it"
    late = _count(drawn, Row.LATE)
    more = drawn.ended - drawn.stop
    return (
        f"first action that knows of the stimulus: {after}",
        f"the robot holds in {len(drawn.holds)} of {min(drawn.ended, drawn.stop) - drawn.start} ticks",
        f"{late} rows come too late" if late else "no row comes too late",
        *([f"ends {more} ticks after what is shown"] if more > 0 else []),
    )


def _count(drawn: Picture, kind: Row) -> int:
    return sum(drawn.start <= tick < drawn.stop for lane in drawn.lanes for tick in lane.ticks(kind))
