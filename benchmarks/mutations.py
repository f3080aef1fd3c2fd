"""Mutation test of the suite: one token of the core is changed at a time, in a copy, and the tests are run on it.

python -m benchmarks.mutations     prints which test noticed each, and how many of all were noticed
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import record, row

ROOT = Path(__file__).parents[1]
SUITE = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", "--no-header")


@dataclass(frozen=True, slots=True)
class Mutation:
    """A fault: in the file `module` of the package `part`, `old` is replaced by `new`.

    `fault`: its effect; `tests`: the tests of the part that are run.
    """

    fault: str
    module: str
    old: str
    new: str
    tests: str = "."
    part: str = "runtime"


MUTATIONS = (
    Mutation("the switch comes a tick late", "chunk.py", "chunk.start <= k <", "chunk.start < k <"),
    Mutation("a chunk is used one row too long", "chunk.py", "k < chunk.stop]", "k <= chunk.stop]"),
    Mutation("the oldest chunk wins", "chunk.py", "chunks[-1].between", "chunks[0].between"),
    Mutation("results of an old epoch are taken", "executor.py", "epoch == self._epoch", "epoch <= self._epoch"),
    Mutation(
        "every setpoint begins anew", "whereabouts.py", 'when a setpoint was sent."""\n        self.anew = None', '"""'
    ),
    Mutation(
        "one reading is enough",
        "whereabouts.py",
        "settled = self._looked and buffer.steady and",
        "settled = self._looked and",
        "test_loop.py",
    ),
    Mutation(
        "a robot is far at once",
        "hold.py",
        "minimum(around, 2 * math.pi - around), distance) > self._far",
        "minimum(around, 2 * math.pi - around), distance) >= 0",
        "test_loop.py",
    ),
    Mutation(
        "a setpoint that is overdue is sent",
        "executor.py",
        "if not pace(j):",
        "if not pace(j) and j > 99:",
        "test_loop.py",
    ),
    Mutation(
        "a target in motion is at rest",
        "executor.py",
        "self._homing is None and self._guard.stands and",
        "self._homing is None and",
        "test_limits.py",
    ),
    Mutation(
        "starvation is forgotten",
        "executor.py",
        "self._starved = chunk is None",
        "self._starved = False",
        "test_loop.py",
    ),
    Mutation(
        "an axis forgets what it was sent",
        "edges.py",
        "self._moved + setpoint[self._at] * self._move",
        "self._moved",
        "test_guard.py",
    ),
    Mutation(
        "an axis may not brake in time",
        "edges.py",
        "+ stopping(np.abs(moves), speeding, self._brake, self._jerk)",
        "",
        "test_guard.py",
    ),
    Mutation(
        "an image is a tick younger",
        "observation_buffer.py",
        "limit is not None and age > limit",
        "limit is not None and age > limit + 1",
        "test_observation_buffer.py",
    ),
    Mutation(
        "skipped ticks make no state older",
        "observation_buffer.py",
        "reading.age + ticks",
        "reading.age + 1",
        "test_observation_buffer.py",
    ),
    Mutation(
        "an order that comes in between is lost",
        "commands.py",
        "while self._waiting and not self._applying",
        "if self._waiting and not self._applying",
        "test_commands.py",
    ),
    Mutation("a skipped tick repeats a step", "hold.py", "self._delta, 0.0, last", "self._delta, last, last"),
    Mutation("late rows are not cut", "strategy.py", "start=max(start, k)", "start=max(start, 0)"),
    Mutation("the roll ends a tick early", "strategy.py", "roll_to=origin", "roll_to=origin - 1"),
    Mutation("braking starts a tick late", "hold.py", "np.arange(1, n + 1)", "np.arange(0, n)"),
    Mutation("the newest measurement is not used", "binding.py", "return newest if", "return request.asked if"),
    Mutation("a tick is skipped too soon", "loop.py", "grid.due_ns(k + 1):", "grid.due_ns(k):", "test_loop.py"),
    Mutation(
        "an e-stop that was reset before is obeyed no more",
        "loop.py",
        "and not commands.latched",
        "and True",
        "test_loop.py",
    ),
    Mutation("a dead worker is not noticed", "loop.py", "executor.failure = DEAD", "pass", "test_loop.py"),
    Mutation(
        "a planner that failed leaves its plan",
        "executor.py",
        "self.failure = failure\n        self.pause()",
        "self.failure = failure",
        "test_loop.py",
    ),
    Mutation("after an e-stop something is sent", "executor.py", "if self._stopped or not", "if not", "test_loop.py"),
    Mutation(
        "a stale state is used",
        "executor.py",
        "self._paused or self._buffer.trouble else self._timeline.c",
        "self._paused else self._timeline.c",
        "test_realtime.py",
    ),
    Mutation(
        "a refused jump becomes the last setpoint",
        "guard.py",
        "return self._refuse(asked, state, age, JUMP)",
        "return self._sent(asked, asked), JUMP",
        "test_guard.py",
    ),
    Mutation("the ramp never ends", "guard.py", "self._ramped += ramps", "self._ramped += 0", "test_guard.py"),
    Mutation(
        "setpoints of a tick are a setpoint late",
        "servo.py",
        "np.arange(substeps)",
        "np.arange(1, substeps + 1)",
        "test_servo.py",
    ),
    Mutation(
        "an interrupt breaks off what closes", "interrupts.py", "or _protected(frame)", "or False", "test_interrupts.py"
    ),
    Mutation("what hangs is not noticed", "watchdog.py", "stalled_s > limit_s", "stalled_s > 1e9", "test_watchdog.py"),
    Mutation(
        "an injected latency ends a tick late",
        "worker.py",
        "begun + done - BEFORE_HEAD",
        "begun + done + BEFORE_HEAD",
        "test_worker.py",
    ),
    Mutation(
        "a pure delay is not rolled over",
        "binding.py",
        "measured.state_tick, tick, lookback_of(roller)",
        "measured.state_tick, tick, 0",
        "test_binding.py",
    ),
    Mutation(
        "chunks of an old epoch are a guess", "lookahead.py", "covering[-1].epoch == epoch", "True", "test_lookahead.py"
    ),
    Mutation("a chunk of rtc takes over at once", "strategy.py", "start=snapshot.tick + delay", "start=snapshot.tick"),
    Mutation(
        "a step too many is taken",
        "timer.py",
        "self.spare - self._took",
        "self.spare - self._took + 1",
        "test_timer.py",
    ),
    Mutation("rows lost cost nothing", "recommend.py", "MISS * made.lost", "0.0 * made.lost", "test_recommend.py"),
    Mutation("an estimate may be more than s", "recommend.py", "unsure = 3 *", "unsure = 2 *", "test_recommend.py"),
    *(
        Mutation(*fault, part="evaluation")
        for fault in (
            ("a search reports its own seeds", "search.py", "seed=SEED,", "seed=cell.seed,", "test_search.py"),
            (
                "a cut line is an episode",
                "journal.py",
                "len(whole) + 1 if whole",
                "len(whole) if whole",
                "test_journal.py",
            ),
        )
    ),
    Mutation(
        "another seed goes on with a run",
        "resume.py",
        '"resume", "workers")',
        '"resume", "workers", "seed")',
        "test_resume.py",
        "commands",
    ),
    *(
        Mutation(*fault, part="policies")
        for fault in (
            (
                "the scene is seen later than it was",
                "windows.py",
                "seen = now - delay",
                "seen = now",
                "test_windows.py",
            ),
            (
                "what the robot did while wandering is learned",
                "windows.py",
                "before[before >= lead]",
                "before[before >= 0]",
                "test_windows.py",
            ),
            (
                "rows past the end are learned",
                "flow/modeling_flow.py",
                "~(given | padded)",
                "~given",
                "flow/test_modeling_flow.py",
            ),
            ("a prefix is a row too long", "flow/modeling_flow.py", "rows < batch", "rows <= batch", "flow"),
            (
                "the last step is left out",
                "samplers/sampler.py",
                "i == last or",
                "i == last - 1 or",
                "test_samplers.py",
            ),
            (
                "rows of the past are sent",
                "observed.py",
                "chunk[self.past :, ",
                "chunk[: len(chunk) - self.past, ",
                "test_diffusion.py",
            ),
            (
                "a rolled scene is told to be old",
                "local.py",
                "self._rollers.scene is not None",
                "False",
                "test_local.py",
            ),
            (
                "a guess is a row off",
                "warm_start.py",
                "kept.chunk.device) + shift",
                "kept.chunk.device) + shift + 1",
                "test_warm_start.py",
            ),
            (
                "an old run's plan is a guess",
                "warm_start.py",
                "request.seed[:2] == last.seed[:2]",
                "True",
                "test_warm_start.py",
            ),
            ("the pull pushes", "steering.py", "x0.add_(pull,", "x0.sub_(pull,", "test_steering.py"),
            ("a prefix is shown as noise", "steering.py", "own[:, :n] = 0.0", "own[:, :n] = t", "test_steering.py"),
            (
                "what was rejected is sent",
                "samplers/rti.py",
                "SampleResult(cold.chunks",
                "SampleResult(result.chunks",
                "test_rti.py",
            ),
            (
                "a prefix is a row too long",
                "chunking.py",
                "PrefixConditioning(known[:n])",
                "PrefixConditioning(known[: n + 1])",
                "test_chunking.py",
            ),
            (
                "the optimizer begins anew after a kill",
                "training.py",
                '"average": self._average, "optimizer": self._optimizer}',
                '"average": self._average}',
                "test_training.py",
            ),
        )
    ),
)


def noticed_by(mutation: Mutation) -> str | None:
    """The first test that fails with `mutation`, None if none does."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "src", Path(folder) / "src")
        source_root = Path(folder) / "src"
        path = _only(source_root / "rollahead" / mutation.part, mutation.module)
        source = path.read_text()
        if source.count(mutation.old) != 1:
            raise SystemExit(
                f"{mutation.module} has {source.count(mutation.old)} times {mutation.old!r}; mend the mutation"
            )
        path.write_text(source.replace(mutation.old, mutation.new))
        environment = {**os.environ, "PYTHONPATH": str(source_root), "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(
            [sys.executable, *SUITE, _only(ROOT / "tests" / mutation.part, mutation.tests)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    failed = re.search(r"^(?:FAILED|ERROR) \S*?(\w+\.py\S*)", ran.stdout, re.M)
    return failed.group(1) if failed else None


def _only(folder: Path, name: str) -> Path:
    """Returns the one file `name` in `folder`, or the folder itself for `.`. Raises: SystemExit, if it is not there."""
    if name == ".":
        return folder
    found = list(folder.rglob(name))
    if len(found) != 1:
        raise SystemExit(f"{folder} has {len(found)} files {name}; mend the mutation")
    return found[0]


def main() -> int:
    """Tries all mutations, and records the share that was noticed."""
    caught = 0
    for mutation in MUTATIONS:
        test = noticed_by(mutation)
        caught += test is not None
        print(f"{mutation.module:<12} {mutation.fault:<36} {test or 'NOT NOTICED'}", flush=True)
    share = 100.0 * caught / len(MUTATIONS)
    record("skeleton", [row("mutations_noticed", share, "%", goal=">= 100", command="python -m benchmarks.mutations")])
    return 0 if caught == len(MUTATIONS) else 1


if __name__ == "__main__":
    sys.exit(main())
