"""The timelines of docs/concepts.md, drawn from what the core did in simulated time, and the table beside them:

python docs/images/timelines.py

A cart on a rail moves by steps of 1 cm per tick at most. At the event its goal jumps by 12 cm. Every strategy has
the same cart, the same planner, which is perfect, the same delay and the same execution horizon.

In each drawing: above, the way of the cart, and the ways that the plans meant; below, the chunks, as in every report.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rollahead.assembly.planners import Planning
from rollahead.evaluation.evaluation import Cell, run_episode
from rollahead.report.lanes import Canvas, Layout, draw
from rollahead.report.load import Recording
from rollahead.report.theme import css_variables, element, text
from rollahead.report.timeline import Picture, Row, picture
from rollahead.runtime.config.build import StrategyConfig
from rollahead.runtime.planning.planner import Plan, Planner, ScriptedPlanner
from rollahead.runtime.rolling.roll import StateRoller, for_spec
from rollahead.runtime.types.arrays import FloatArray, frozen
from rollahead.runtime.types.messages import Observation, Request, Result, Snapshot
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec
from rollahead.sim.task import TaskBase

STRATEGIES = ("sync", "naive", "naive_arrival", "ensemble", "vlash")
HORIZON, S, DELAY = 16, 8, 6  # ticks
RATE_HZ = 50.0
JUMP_CM, STEP_CM = 12.0, 1.0
STIMULUS, SHOWN, AFTER = 36, (28, 76), 48  # ticks; AFTER of the episode follow the event
LAYOUT = Layout(width=450, gutter=98, right=22, lane=16, every=10)  # read as wide as a phone, or larger
WAYS = 128  # px
HIGHEST_CM, LOWEST_CM = 19.0, -1.5
ROOT = Path(__file__).parents[2]
STYLE = (ROOT / "src" / "rollahead" / "report" / "style.css").read_text(encoding="utf-8")
MORE = (
    "svg .label{font-size:13px}.card{fill:var(--card)}"
    ".goal{stroke:var(--muted);stroke-width:1.5;stroke-dasharray:5 3;fill:none}"
    ".way{stroke:var(--ink);stroke-width:2.5;fill:none;stroke-linejoin:round}"
    ".meant{stroke:var(--before);stroke-width:1.5;stroke-dasharray:3 2;fill:none}.meant.aware{stroke:var(--after)}"
)


class Cart(TaskBase):
    """The task: be where the goal is. No episode ends early, so that all drawings show the same ticks."""

    spec = RobotSpec(
        action=(Dim("step", "cm", Kind.DELTA, -STEP_CM, STEP_CM, drives="x"),),
        state=(Dim("x", "cm"),),
        environment=(Dim("goal_x", "cm"),),
        rate_hz=RATE_HZ,
    )
    max_ticks = STIMULUS + AFTER
    event_tick = STIMULUS
    success = False

    def reset(self, seed: int, *, event: bool = True) -> None:
        self._x, self._tick = 0.0, 0

    @property
    def done(self) -> bool:
        return self._tick >= self.max_ticks

    def state(self) -> FloatArray:
        return frozen([self._x])

    def environment(self) -> FloatArray:
        return frozen([JUMP_CM if self._tick >= STIMULUS else 0.0])

    def advance(self, action: FloatArray) -> None:
        self._x += float(action[0])
        self._tick += 1

    def expert(self, horizon: int) -> Plan:
        """Straight to the goal, as fast as the cart can."""

        def plan(observation: Observation, rng: np.random.Generator) -> FloatArray:
            left = observation.environment - observation.state
            steps = np.arange(1, horizon + 1)[:, None] * STEP_CM
            return np.diff(np.sign(left) * np.minimum(steps, np.abs(left)), axis=0, prepend=0.0)

        return plan

    def roller(self) -> StateRoller:
        return for_spec(self.spec)


class Noting:
    """A planner that keeps what it gave."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self.results: list[Result] = []

    def infer(self, request: Request, newest: Callable[[], Snapshot], timer: Any = None) -> Result:
        self.results.append(self._planner.infer(request, newest))
        return self.results[-1]


@dataclass(frozen=True)
class Played:
    """An episode. plans: by the tick of the request, what the policy gave."""

    recording: Recording
    plans: dict[int, Result]
    picture: Picture

    @property
    def x(self) -> FloatArray:
        """(n,), where the cart is at the head of each tick, in cm."""
        return self.recording.ticks["state.x"]


def play(strategy: str) -> Played:
    """The episode as that strategy has it."""
    task = Cart()
    planner = Noting(ScriptedPlanner(task.expert(HORIZON), task.roller()))
    cell = Cell({"name": "cart"}, StrategyConfig(strategy, s=S), {"name": "fixed", "ticks": DELAY})
    trace = run_episode(cell, task, 0, planning=Planning(planner, HORIZON))
    recording = Recording(trace.tick_columns(), tuple(trace.inferences))
    plans = {result.request.tick: result for result in planner.results}
    return Played(recording, plans, picture(recording, strategy, STIMULUS, *SHOWN))


def drawing(strategy: str) -> str:
    """The SVG of that strategy."""
    played = play(strategy)
    canvas = Canvas(played.picture, LAYOUT, "")
    lanes = draw(played.picture, LAYOUT, RATE_HZ, strategy).replace("<svg ", f'<svg y="{WAYS}" ', 1)
    height = WAYS + float(lanes.split('height="')[1].split('"')[0])
    rules = "".join(line for line in STYLE.splitlines() if line.startswith("svg "))
    return element(
        "svg",
        element("style", css_variables("svg") + rules + MORE),
        element("rect", width="100%", height="100%", rx=8, class_="card"),
        *_ways(canvas, played),
        lanes,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {LAYOUT.width:g} {height:g}",
        width=LAYOUT.width,
        height=height,
    )


def _ways(canvas: Canvas, played: Played) -> Iterator[str]:
    """The goal, what each plan meant, and on top the way that the cart went."""
    start, stop = SHOWN
    right, left = LAYOUT.width - LAYOUT.right, LAYOUT.gutter
    yield text("goal", left - 8, _y(0.0) - 8, class_="label", text_anchor="end")
    yield text("cart", left - 8, _y(0.0) + 8, class_="label strong", text_anchor="end")
    jump = canvas.x(STIMULUS)
    yield element("path", d=f"M{left} {_y(0.0):g}H{jump:g}V{_y(JUMP_CM):g}H{right:g}", class_="goal")
    for request, way in meant(played).items():
        yield element("path", d=_line(canvas, way), class_="meant aware" if request >= STIMULUS else "meant")
    way = [(tick, float(played.x[tick])) for tick in range(start, stop + 1)]
    yield element("path", d=_line(canvas, way), class_="way")
    for request, way in meant(played).items():
        if request >= STIMULUS:
            yield _diamond(canvas, *way[0])


def meant(played: Played) -> dict[int, list[tuple[int, float]]]:
    """By request, where a plan takes the cart to be: from the state that the policy was given, at the head of the tick
    that row 0 is for, to the head of the tick after the last of its rows that is sent."""
    found = {}
    for record in played.recording.inferences:
        sent = [tick for tick, request in played.picture.source.items() if request == record.request]
        if record.origin is not None and sent:
            plan = played.plans[record.request]
            at = plan.anchor[0] + np.concatenate([[0.0], np.cumsum(plan.rows[:, 0])])
            ticks = range(record.origin, max(sent) + 2)
            found[record.request] = [(tick, float(at[tick - record.origin])) for tick in ticks]
    return found


def _y(cm: float) -> float:
    return 6 + (WAYS - 6) * (HIGHEST_CM - cm) / (HIGHEST_CM - LOWEST_CM)


def _line(canvas: Canvas, way: list[tuple[int, float]]) -> str:
    """Of the part that is shown."""
    seen = [(tick, cm) for tick, cm in way if SHOWN[0] <= tick <= SHOWN[1]]
    return "M" + "L".join(f"{canvas.x(tick):.1f} {_y(cm):.1f}" for tick, cm in seen)


def _diamond(canvas: Canvas, tick: int, cm: float) -> str:
    path = f"M{canvas.x(tick) - 4:.1f} {_y(cm):.1f}l4 -4l4 4l-4 4z"
    return element("path", d=path, class_="given", data_tick=tick)


def table() -> str:
    """What the drawings show, in Markdown, in ticks from the jump."""
    heads = ("strategy", "first action that knows", "on the goal for good", "past it by", "ticks held", "rows late")
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for strategy in STRATEGIES:
        played = play(strategy)
        there = arrival(played)
        first = (played.picture.first_aware or 0) - STIMULUS
        past = max(float(played.x.max()) - JUMP_CM, 0.0)
        held = sum(tick >= STIMULUS for tick in played.picture.holds)
        late = sum(len(lane.ticks(Row.LATE)) for lane in played.picture.lanes if lane.aware)
        words = "never" if there is None else f"+{there - STIMULUS}"
        lines.append(f"| `{strategy}` | +{first} | {words} | {past:.0f} cm | {held} | {late} |")
    return "\n".join(lines)


def arrival(played: Played) -> int | None:
    """The tick from whose head on the cart is on its goal; None if it is not at the end."""
    away = np.flatnonzero(np.abs(played.x - JUMP_CM) > 0.5)
    return None if away[-1] == len(played.x) - 1 else int(away[-1]) + 1


if __name__ == "__main__":
    for name in STRATEGIES:
        (Path(__file__).parent / f"timeline_{name}.svg").write_text(drawing(name) + "\n", encoding="utf-8")
    page = ROOT / "docs" / "concepts.md"
    before, _, rest = page.read_text(encoding="utf-8").partition("<!-- timelines:")
    head, _, rest = rest.partition("-->\n")
    after = rest.partition("<!-- end -->")[2]
    page.write_text(f"{before}<!-- timelines:{head}-->\n{table()}\n<!-- end -->{after}", encoding="utf-8")
