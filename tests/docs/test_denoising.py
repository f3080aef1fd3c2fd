"""What docs/denoising.md says was measured is what was measured."""

import pytest
from benchmarks.chunking import read_table
from benchmarks.pages import DOCS

from benchmarks import rti

WORDS = " ".join((DOCS / "denoising.md").read_text().split())
CELLS = {(cell["task"], cell["latency"], cell["way"]): cell["success"] for cell in read_table()}


def mole(latency: str, *ways: str) -> list[float]:
    return [CELLS["mole", latency, way] for way in ways]


@pytest.mark.parametrize("name", ["rtc", "rtc, identity"])
def test_what_the_pull_of_each_jacobian_does_is_as_it_was_played(name: str) -> None:
    columns = [("mole", "4"), ("interception", "2"), ("interception", "4")]
    whole, short = (
        [f"{CELLS[task, latency, way]:.0f}" for task, latency in columns] for way in (name, f"{name}, pull to d")
    )
    cells = " | ".join(f"{one} ({other})" for one, other in zip(whole, short, strict=True))
    words = "`rtc`" + name.removeprefix("rtc")
    assert f"| {words} | {cells} |" in WORDS
    assert mole("8", name, f"{name}, pull to d") == [0.0] * 2


def test_holding_to_the_last_plan_costs_more_the_longer_the_interval() -> None:
    tried = {cell["way"]: cell["tried"] for cell in read_table() if (cell["task"], cell["latency"]) == ("mole", "4")}
    ways = ("naive", "rtc", "bid", "vlash")
    shares = [one["success"] for way in ways for one in tried[way] if one["s"] == 8]
    said = "`naive` hits {:.0f} % and `rtc` {:.0f} % on whack-a-mole (`bid`, next, {:.0f} %; `vlash` {:.0f} %)"
    assert said.format(*shares) in WORDS


def test_a_policy_that_predicts_noise_is_held_by_either_pull() -> None:
    ways = [f"{name}, predicts noise" for name in ("rtc", "rtc, identity", "naive", "vlash")]
    said = "at 80 ms `rtc` hits {:.0f} %, with the identity {:.0f} %, `naive` {:.0f} %, `vlash` {:.0f} %"
    assert said.format(*mole("4", *ways)) in WORDS
    assert "(at 40 ms {:.0f}, {:.0f}, {:.0f} and {:.0f} %)".format(*mole("2", *ways)) in WORDS


def test_a_prefix_is_worth_much_and_rolling_more() -> None:
    shares = mole("8", "tt_rtc", "naive", "vlash")
    said = "hits {:.0f} % on whack-a-mole at 160 ms, where `naive` hits {:.0f} % and `vlash` {:.0f} %"
    assert said.format(*shares) in WORDS


@pytest.mark.parametrize("way", ["bid", "bid, and a weaker policy", "bid, agreement alone"])
def test_choosing_among_several_does_as_naive_does_at_best(way: str) -> None:
    for (task, latency, name), success in CELLS.items():
        if name == way:
            assert success <= CELLS[task, latency, "naive"] + 2.0
    chosen, naive = (CELLS["interception", "4", name] for name in (way, "naive"))
    assert f"on interception at 80 ms {chosen:.0f} % instead of {naive:.0f} %" in WORDS


def test_holding_to_the_last_plan_does_harm_where_the_latency_varies() -> None:
    rtc, naive = ([CELLS[task, "recorded", name] for task in ("mole", "interception")] for name in ("rtc", "naive"))
    said = "`rtc` hits {:.0f} % on whack-a-mole and {:.0f} % on interception, `naive` {:.0f} % and {:.0f} %"
    assert said.format(*rtc, *naive) in WORDS


def test_a_pull_beside_rolling_costs_reaction() -> None:
    shares = [
        CELLS[task, "12", way]
        for task in ("mole", "interception")
        for way in ("vlash, identity, pull to 4", "vlash", "vlash, pull to 4")
    ]
    said = (
        "at 240 ms {:.0f} % instead of {:.0f} % on whack-a-mole, which the full gradient keeps ({:.0f} %), "
        "and {:.0f} % instead of {:.0f} % on interception ({:.0f} % with the full gradient)"
    )
    assert said.format(*shares) in WORDS


def test_a_head_that_sees_only_the_state_does_for_naive_what_rolling_does_and_helps_late_plans() -> None:
    shares = mole("12", "naive + a2c2, state only", "naive", "vlash")
    said = "`naive` at 240 ms ({:.0f} % instead of {:.0f} %) as much as rolling does (`vlash` {:.0f} %"
    assert said.format(*shares) in WORDS
    assert abs(mole("12", "vlash + a2c2, state only")[0] - shares[2]) <= 2.0
    late = mole("recorded", "vlash", "vlash + a2c2, state only")
    assert "it takes `vlash` from {:.0f} % to {:.0f} %".format(*late) in WORDS


def test_scaling_a_strike_cost_a_velocity_policy_more_than_it_cured() -> None:
    cells = {(cell["net"], cell["sampler"], cell["d"]): cell["success"] for cell in rti.read_table()}
    scaled, plain = (cells[net, "euler 2", 0] for net in ("strike_velocity_scaled", "strike_velocity"))
    assert f"two cold steps: {scaled:.0f} % instead of {plain:.0f} %" in WORDS
    assert cells["strike_velocity", "rti [0.2], clip", 0] == plain


def test_the_papers_list_is_for_a_plan_at_every_tick() -> None:
    name = "rti [2, 1, 0] of ddpm"
    cells = {(cell["net"], cell["sampler"], cell["s"], cell["d"]): cell["success"] for cell in rti.read_table()}
    every, eighth = (cells["mole_epsilon", name, s, 0] for s in (1, 8))
    assert f"without delay it hits {every:.0f} % so, and {eighth:.0f} % with a plan every 8 ticks" in WORDS


def test_a_policy_that_plays_well_loses_nothing_by_rti_where_the_scene_surprises_and_gains_less() -> None:
    cells = {(cell["net"], cell["sampler"], cell["s"], cell["d"]): cell["success"] for cell in rti.read_table()}
    warm, cold = (cells["interception_diffusion", name, 1, 0] for name in ("rti [20, 10]", "ddim 1"))
    assert f"on interception {warm:.0f} % from the last plan and {cold:.0f} cold" in WORDS
    warm, cold = (cells["two_diffusion", name, 8, 4] for name in ("rti [20]", "ddim 1"))
    assert f"with one call for two targets {warm:.0f} % instead of {cold:.0f} at 80 ms" in WORDS
