from rollahead.report.legend import legend
from rollahead.report.timeline import picture

from .records import inference, parse, recording


def words(strategy: str, *args: object, **kwargs: object) -> str:
    seen = recording(*args, **kwargs)  # type: ignore[arg-type]
    return " ".join(entry.words for entry in legend([picture(seen, strategy, 3, 0, 20)]))


def test_only_what_is_there_is_explained() -> None:
    plain = words("naive", [0] * 8, [inference(0, 0, origin=0, start=0)])
    for other in ("too late", "never used", "Committed", "hold", "skipped", "averaged", "only repeat", "none of its"):
        assert other not in plain


def test_each_thing_that_is_there_is_explained() -> None:
    late = inference(2, 4, origin=2, start=4, lost=2)
    first = inference(0, 0, origin=0, start=0)
    expired = inference(6, 9, None, None)
    seen = words("vlash", [None, 0, 0, 0, 2, 2, 2, None], [first, late, expired], skipped=[7])
    for thing in ("too late", "never used", "Committed", "hold", "skipped", "none of its"):
        assert thing in seen


def test_the_kinds_that_only_some_strategies_have_are_explained() -> None:
    records = [inference(0, 0, origin=0, start=0), inference(2, 4, origin=2, start=4)]
    assert "averaged" in words("ensemble", [0] * 4 + [2] * 6, records)
    assert "only repeat" in words("rtc", [0] * 4 + [2] * 6, records)


def test_every_entry_has_a_drawing() -> None:
    for entry in legend([picture(recording([0] * 8, [inference(0, 0, 0, 0)]), "naive", 3, 0, 8)]):
        assert len(parse(entry.svg)) >= 1
