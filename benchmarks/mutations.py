"""Does the suite notice? One token of the core is changed at a time, in a copy, and the runtime's tests are run on it.

python -m benchmarks.mutations     prints which test noticed, and how many of all were noticed
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
SUITE = ("-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-m", "not slow", "--no-header", "tests/runtime")


@dataclass(frozen=True, slots=True)
class Mutation:
    """In `module` of the runtime, `old` becomes `new`. fault: what it does."""

    fault: str
    module: str
    old: str
    new: str


MUTATIONS = (
    Mutation("the switch comes a tick late", "chunk.py", "chunk.start <= k <", "chunk.start < k <"),
    Mutation("a chunk is used one row too long", "chunk.py", "k < chunk.stop]", "k <= chunk.stop]"),
    Mutation("the oldest chunk wins", "chunk.py", "chunks[-1].between", "chunks[0].between"),
    Mutation("results of an old epoch are taken", "executor.py", "epoch == self._epoch", "epoch <= self._epoch"),
    Mutation("after the first hold nothing moves", "executor.py", "self._rejoin = False", "self._rejoin = True"),
    Mutation("a skipped tick repeats a step", "hold.py", "self._delta, 0.0, last", "self._delta, last, last"),
    Mutation("late rows are not cut", "strategy.py", "start=max(start, k)", "start=max(start, 0)"),
    Mutation("the roll ends a tick early", "strategy.py", "roll_to=origin", "roll_to=origin - 1"),
    Mutation("braking starts a tick late", "hold.py", "np.arange(1, n + 1)", "np.arange(0, n)"),
    Mutation("the newest measurement is not used", "binding.py", "return newest if", "return request.asked if"),
)


def noticed_by(mutation: Mutation) -> str | None:
    """The first test that fails with `mutation`; None if none does."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "src", Path(folder) / "src")
        path = Path(folder) / "src" / "rollahead" / "runtime" / mutation.module
        source = path.read_text()
        if source.count(mutation.old) != 1:
            raise SystemExit(
                f"{mutation.module} has {source.count(mutation.old)} times {mutation.old!r}; mend the mutation"
            )
        path.write_text(source.replace(mutation.old, mutation.new))
        environment = {**os.environ, "PYTHONPATH": str(path.parents[2]), "PYTHONDONTWRITEBYTECODE": "1"}
        ran = subprocess.run(
            [sys.executable, *SUITE], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
    failed = re.search(r"^(?:FAILED|ERROR) \S*?(\w+\.py\S*)", ran.stdout, re.M)
    return failed.group(1) if failed else None


def main() -> int:
    """Tries all; the share that was noticed is a figure."""
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
