"""The page: `report.html`, one file that needs nothing else.

write_report(Path("runs/demo"))  ->  runs/demo/report.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rollahead.errors import ConfigError, one_line
from rollahead.report import theme
from rollahead.report.animation import animate
from rollahead.report.chapters import chapters
from rollahead.report.comparison import Named, Scene, by_setting, choose_scene, name_cells, over_delay
from rollahead.report.figures import table
from rollahead.report.findings import headline
from rollahead.report.grid import grid
from rollahead.report.lanes import NARROW, WIDE, draw
from rollahead.report.legend import legend
from rollahead.report.load import Results, load
from rollahead.report.realtime import live_rows, stage_rows
from rollahead.report.study import Study, study_of
from rollahead.report.timeline import EVENT, Picture, Row, last_picture, picture, window
from rollahead.report.topview import Panel, panel
from rollahead.report.training import in_words, names
from rollahead.report.words import (
    BY_DESIGN,
    IN_WORDS,
    SHORT,
    driven,
    facts,
    measures,
    rolled,
    sentence,
    studied,
    trained,
)
from rollahead.runtime.planning.latency import latency_words
from rollahead.runtime.recording.run_folder import REPORT, written_whole

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined, Template
    from markupsafe import Markup, escape

    from rollahead.report.curves import training_plots
    from rollahead.report.plots import Shown, delay_plots, episode_plots
except ImportError as error:
    raise ConfigError(f"a report cannot be made ({one_line(error)}); install rollahead[viz]") from error

MANY = 12  # largest number of settings for which a study's page shows all tables


@dataclass(frozen=True, slots=True)
class TimelineView:
    """Timeline of one strategy, with texts about it, for the template."""

    series: str
    options: str
    words: str
    success: bool
    facts: tuple[str, ...]
    wide: str
    narrow: str


def write_report(folder: Path) -> Path:
    """Writes `report.html` into the folder of a run or a sweep, replacing an old one, and returns its path.

    Raises ConfigError if no run has left the folder, ControlError if the disk does not take the file.
    """
    html = make(load(folder))
    path = folder / REPORT
    with written_whole(path) as unfinished:
        unfinished.write_text(html, encoding="utf-8")
    return path


def make(results: Results) -> str:
    """Page as HTML."""
    named = name_cells(results.cells)
    study = study_of(results.cells, named)
    series = {} if study else over_delay(named)
    live = [str(ran["strategy"]["name"]) for ran in results.realtime]
    trainings = dict(zip(names(results.trainings), results.trainings, strict=True))
    told = [*(cell.series for cell in named), *(study.joined if study else ()), *series, *live, *trainings]
    styles = theme.styles(dict.fromkeys(told))
    scene = choose_scene(named) if named else None
    view = chapters(study, styles) if study else None
    settled = _settled(named, study)
    sentence = _sentence(results, named, study)
    return _template().render(
        results=results,
        name_of_run=results.folder.resolve().name,
        lead=view.sentence if view else headline(named, scene.pair if scene else ()) if named else sentence,
        sentence=sentence,
        facts=facts(results),
        study=view,
        settings=[(group[0].heading, table(group), scene and group[0].setting == scene.setting) for group in settled],
        grid=grid(series) if series else None,
        meanings=_meanings(named, series, study),
        trainings={name: in_words(one) for name, one in trainings.items()},
        training_plots=training_plots(trainings, styles),
        live=live_rows(results.realtime),
        stages=[(str(one["strategy"]["name"]), rows) for one in results.realtime if (rows := stage_rows(one))],
        compared=any(len(group) > 1 for group in settled),
        delay_plots=delay_plots(series, styles),
        delay_series=list(series),
        measures=measures(),
        variables=theme.css_variables(":root"),
        styles=styles,
        symbols=theme.SYMBOLS,
        last=_last(results),
        **(_scene(scene, styles) if scene else {"scene": None}),
    )


def _settled(named: Sequence[Named], study: Study | None) -> list[list[Named]]:
    """Settings whose figures are shown in full.

    These are all settings; of a large study only those that are in no chart.
    """
    settings = by_setting(named)
    return by_setting(study.rest) if study and len(settings) > MANY else settings


def _sentence(results: Results, named: Sequence[Named], study: Study | None) -> str:
    """Sentence that says what was run."""
    if results.trainings:
        return trained(named, results.trainings)
    if study:
        return studied(study, results.command)
    return sentence(named, results.command) if named else driven(results)


def _meanings(named: Sequence[Named], series: Mapping[str, Sequence[Named]], study: Study | None) -> dict[str, str]:
    """Short text by series: what the robot does while the policy computes."""
    known = {each.series: each.strategy for each in named} | {name: line[0].strategy for name, line in series.items()}
    joined = {each.series: rolled(each.cell) for each in (study.guests if study else ())}
    return {name: SHORT[strategy] for name, strategy in known.items() if strategy in SHORT} | joined


def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("rollahead.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["raw"] = Markup  # our own drawings
    environment.filters["together"] = lambda words: words.replace(" %", "\N{NO-BREAK SPACE}%")
    environment.filters["breakable"] = lambda name: escape(name).replace("_", Markup("_<wbr/>"))
    return environment.get_template("template.html.j2")


def animation(results: Results) -> str | None:
    """Animation alone, as an SVG document for an <img>.

    None if nothing is recorded, or the task cannot be drawn from above.
    """
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
    """Seconds that there are to reach the object, if the task has such an option."""
    return named.cell.task.get("window_s")


def _scene(scene: Scene, styles: Mapping[str, int]) -> dict[str, Any]:
    """Values for the template to show one episode."""
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
            scene.event_tick,
            scene.cells[0].cell.rate_hz,
        ),
    }


def _pictures(scene: Scene) -> list[Picture]:
    """One timeline per strategy, all of the same ticks."""
    recordings = [named.cell.recording(scene.episode) for named in scene.cells]
    start, stop = window(scene.event_tick or 0, recordings)
    return [
        picture(recording, named.strategy, scene.event_tick, start, stop)
        for named, recording in zip(scene.cells, recordings, strict=True)
    ]


def _last(results: Results) -> dict[str, Any] | None:
    """Values for the template to show the last ticks of a run without a summary; None if there are none."""
    if results.last is None or not len(results.last.ticks["tick"]):
        return None
    ran = results.realtime[0]
    drawn = last_picture(results.last, str(ran["strategy"]["name"]))
    wide, narrow = (draw(drawn, layout, ran["rate_hz"], "The last chunks and switches") for layout in (WIDE, NARROW))
    return {"ticks": drawn.stop - drawn.start, "legend": legend([drawn]), "wide": wide, "narrow": narrow}


def _view(named: Named, episode: int, drawn: Picture) -> TimelineView:
    title = f"Chunks and switches of {named.series}, episode {episode}"
    wide, narrow = (draw(drawn, layout, named.cell.rate_hz, title) for layout in (WIDE, NARROW))
    return TimelineView(
        series=named.series,
        options=named.options,
        words=IN_WORDS.get(named.strategy, ""),
        success=named.cell.episodes[episode].success,
        facts=_facts(drawn, named.cell.rate_hz, named.strategy),
        wide=wide,
        narrow=narrow,
    )


def _facts(drawn: Picture, rate_hz: float, strategy: str) -> tuple[str, ...]:
    first = drawn.first_aware
    after = "none here" if first is None else f"{(first - drawn.event) / rate_hz:.2f} s after it"
    late = _count(drawn, Row.LATE)
    more = drawn.ended - drawn.stop
    return (
        *([f"first action that knows of the event: {after}"] if drawn.mark == EVENT else []),
        f"the robot holds in {len(drawn.holds)} of {min(drawn.ended, drawn.stop) - drawn.start} ticks",
        f"{late} rows come too late{BY_DESIGN.get(strategy, '')}" if late else "no row comes too late",
        *([f"ends {more} ticks after what is shown"] if more > 0 else []),
    )


def _count(drawn: Picture, kind: Row) -> int:
    return sum(drawn.start <= tick < drawn.stop for lane in drawn.lanes for tick in lane.ticks(kind))
