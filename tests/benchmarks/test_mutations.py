"""Mutations are of code that there is: a benchmark whose texts went stale would stop at the first."""

from benchmarks.mutations import MUTATIONS, ROOT, _only


def test_every_mutation_finds_its_place_once_and_has_tests() -> None:
    for mutation in MUTATIONS:
        source = _only(ROOT / "src/rollahead" / mutation.part, mutation.module).read_text()
        assert source.count(mutation.old) == 1, mutation.fault
        assert _only(ROOT / "tests" / mutation.part, mutation.tests).exists()
