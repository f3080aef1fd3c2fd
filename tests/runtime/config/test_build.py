from collections.abc import Callable, Mapping
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from every import every
from rollahead import configs
from rollahead.errors import ConfigError
from rollahead.runtime.config.build import (
    GROUP,
    LATENCIES,
    STRATEGIES,
    TRIGGERS,
    WARM_UP,
    StrategyConfig,
    make_delay,
    make_latency,
    make_strategy,
)
from rollahead.runtime.config.feasibility import SCHEDULES, check_schedule
from rollahead.runtime.config.techniques import BidConfig, CorrectorConfig, EnsembleConfig, GuidanceConfig
from rollahead.runtime.control.strategy import Chunked, Ensemble, Naive, Sync, Vlash
from rollahead.runtime.control.trigger import AsSoonAsPossible, Every, Overlap
from rollahead.runtime.planning.latency import Fixed, Latency, LatencyModel, Lognormal, Recorded, Spikes, Uniform
from rollahead.runtime.planning.timed_latency import Scheduled
from rollahead.runtime.types.chunk import Mean
from rollahead.runtime.types.options import call
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

SPEC = RobotSpec(tuple(Dim(kind.value, kind=kind, drives="x") for kind in Kind), (Dim("x"),), rate_hz=50.0)
TAKES = {  # what a person may set; the rate is the robot's
    "fixed": ("bind_fraction", "ticks"),
    "lognormal": ("bind_fraction", "p50", "p95"),
    "uniform": ("bind_fraction", "high", "low"),
    "spikes": ("bind_fraction", "high", "low", "probability", "ticks"),
    "recorded": ("bind_fraction", "path", "replay"),
    "scheduled": ("at_s", "bind_fraction", "ramp", "ticks"),
}
OPTIONS: dict[str, dict[str, object]] = {
    "fixed": {"ticks": 3},
    "lognormal": {"p50": 3.0, "p95": 5.0},
    "uniform": {"low": 3, "high": 5},
    "spikes": {"ticks": 3, "probability": 0.1, "low": 5, "high": 9},
    "scheduled": {"at_s": [0.0, 1.0], "ticks": [3, 5]},
}


WITHOUT_SPEED_UP = {"rtc", "tt_rtc", "bid"}


def test_every_strategy_that_can_be_named_has_its_needs_and_its_class() -> None:
    assert set(STRATEGIES) == set(SCHEDULES)
    made = {name: make_strategy(StrategyConfig(name, s=4), SPEC, horizon=8, delay=2) for name in STRATEGIES}
    assert {name: type(strategy) for name, strategy in made.items()} == {
        "sync": Sync,
        "naive": Naive,
        "naive_arrival": Naive,
        "ensemble": Ensemble,
        "vlash": Vlash,
        **dict.fromkeys(WITHOUT_SPEED_UP, Chunked),
    }
    assert isinstance(made["naive_arrival"], Naive)
    assert made["naive_arrival"].arrival
    assert isinstance(made["naive"], Naive)
    assert not made["naive"].arrival
    assert isinstance(made["sync"], Sync)
    assert made["sync"].s == 4


@every(
    ("make", "option", "value", "words"),
    [
        (GuidanceConfig, "mask", "linea", "there is no strategy.guidance.mask 'linea'; did you mean 'linear'"),
        (GuidanceConfig, "jacobian", "half", "there is no strategy.guidance.jacobian 'half'; Known: full, identity"),
        (GuidanceConfig, "execution_horizon", -1, "strategy.guidance.execution_horizon is -1; give a row from 0 on"),
        (
            GuidanceConfig,
            "max_guidance_weight",
            0.0,
            "strategy.guidance.max_guidance_weight is 0.0; give more than 0, and at most 1000",
        ),
        (BidConfig, "candidates", 257, "strategy.bid.candidates is 257; give from 1 to 256"),
        (BidConfig, "rho", 0.0, "strategy.bid.rho is 0.0; give more than 0, and at most 1"),
        (
            CorrectorConfig,
            "max_residual",
            0.0,
            "strategy.corrector.max_residual is 0.0; give more than 0, and at most 2",
        ),
    ],
)
def test_an_impossible_value_of_a_technique_is_refused_with_its_whole_name(
    make: Callable[..., object], option: str, value: object, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make(**{option: value})
    assert words in str(caught.value)


OWN_DEFAULTS = {
    ("vlash", "guidance.execution_horizon"): 4,  # its guidance ends early, as it begins at the switch
    ("sync", "s"): None,  # the checkpoint's, if it has one
    ("ensemble", "ensemble.decay"): None,  # the same
}


@every("name", STRATEGIES)
def test_the_defaults_on_the_command_line_are_those_of_the_class(name: str) -> None:
    said = flat(yaml.safe_load((Path(configs.__file__).parent / "strategy" / f"{name}.yaml").read_text()))
    defaults = flat(asdict(StrategyConfig(name)))
    assert said == {option: OWN_DEFAULTS.get((name, option), defaults[option]) for option in said}


def flat(options: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """The options with dots in their names, without groups."""
    found = {}
    for name, value in options.items():
        found |= flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return found


USED = {  # by group of options, the strategies whose YAML file has it
    "guidance": {"vlash", "rtc"},
    "bid": {"bid"},
    "ensemble": {"ensemble"},
    "corrector": set(STRATEGIES),
}


def test_the_options_of_a_technique_are_those_of_the_strategies_that_use_it() -> None:
    for name in STRATEGIES:
        given = yaml.safe_load((Path(configs.__file__).parent / "strategy" / f"{name}.yaml").read_text())
        for group, users in USED.items():
            assert (group in given) == (name in users), (name, group)


def test_an_option_that_a_technique_does_not_have_is_refused_with_its_whole_name() -> None:
    with pytest.raises(ConfigError) as caught:
        call(StrategyConfig, {"name": "rtc", "guidance": {"maks": "exp"}}, "strategy")
    assert "there is no option 'strategy.guidance.maks'; did you mean 'strategy.guidance.mask'" in str(caught.value)
    with pytest.raises(ConfigError) as caught:
        call(StrategyConfig, {"name": "rtc", "corrector": "head.npz"}, "strategy")
    said = "strategy.corrector is 'head.npz'; give its options by their names, as strategy.corrector.path=..."
    assert str(caught.value) == said


def test_each_trigger_is_made_with_the_numbers_of_the_configuration() -> None:
    made = {
        name: make_strategy(StrategyConfig("vlash", s=5, overlap=3, trigger=name), SPEC, horizon=8, delay=2).trigger
        for name in TRIGGERS
    }
    assert made == {"every": Every(5), "asap": AsSoonAsPossible(), "overlap": Overlap(3)}


def test_an_ensemble_spares_discrete_dimensions_and_rotations() -> None:
    blend = make_strategy(StrategyConfig("ensemble", s=4, ensemble=EnsembleConfig(0.3)), SPEC, horizon=8, delay=2).blend
    assert isinstance(blend, Mean)
    assert blend.decay == 0.3
    assert blend.exempt.tolist() == [kind in (Kind.DISCRETE, Kind.ROTATION) for kind in Kind]


@every("name", STRATEGIES)
def test_a_strategy_is_made_if_and_only_if_its_schedule_is_feasible_in_ticks(name: str) -> None:
    for horizon, q, s, delay in product((6, 12), (1, 2, 3), range(0, 13, 3), range(0, 13, 3)):
        config = StrategyConfig(name, s=s, q=q)
        if name in WITHOUT_SPEED_UP and q > 1:
            with pytest.raises(ConfigError, match="does not go with speed-up"):
                make_strategy(config, SPEC, horizon, delay)
            continue
        try:
            check_schedule(name, horizon // q, s, delay)
        except ConfigError as refusal:
            with pytest.raises(ConfigError) as caught:
                make_strategy(config, SPEC, horizon, delay)
            assert str(caught.value) == str(refusal)
        else:
            make_strategy(config, SPEC, horizon, delay)


def refused(name: str, horizon: int, delay: int, **options: object) -> str | None:
    """What `make_strategy` says against it; None if it is made."""
    try:
        make_strategy(StrategyConfig(name, **options), SPEC, horizon, delay)
    except ConfigError as refusal:
        return str(refusal)
    return None


@every("name", STRATEGIES)
def test_a_way_with_late_plans_that_a_strategy_does_not_have_is_refused_with_those_it_has(name: str) -> None:
    ways = {"vlash": ("moved", "tick"), "tt_rtc": ("discarded", "tick")}.get(name, ("tick",))
    for way in ("tick", "moved", "discarded"):
        said = refused(name, 8, 2, s=4, late=way)
        words = f"there is no way with a late plan of {name} {way!r}; "
        assert (said or "").startswith(words) == (way not in ways)
        assert way in ways or (said or "").endswith(f"Known: {', '.join(ways)}")


def schedule(name: str, horizon: int, s: int, delay: int) -> str | None:
    """What `check_schedule` says against it."""
    try:
        check_schedule(name, horizon, s, delay)
    except ConfigError as refusal:
        return str(refusal)
    return None


ASKING = sorted({*STRATEGIES} - {"sync"})  # those that ask before their chunk is over, when their trigger says so


@every("name", ASKING)
def test_asking_as_soon_as_possible_is_checked_as_a_switch_every_delay_ticks(name: str) -> None:
    for horizon, delay, s in product(range(1, 13), range(13), (0, 5, 99)):
        expected = schedule(name, horizon, max(delay, 1), delay)
        assert refused(name, horizon, delay, trigger="asap", s=s) == expected


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_sync_is_checked_at_its_s_whatever_the_trigger(trigger: str) -> None:
    for s, delay in product(range(10), range(6)):
        assert refused("sync", 8, delay, trigger=trigger, s=s, overlap=3) == schedule("sync", 8, s, delay)


@every("name", sorted({*STRATEGIES} - WITHOUT_SPEED_UP))
def test_a_speed_up_that_leaves_no_action_of_a_chunk_is_refused_by_its_name(name: str) -> None:
    for horizon, q in product(range(1, 6), range(1, 9)):
        message = refused(name, horizon, 0, s=1, q=q)
        assert (message is not None and message.startswith(f"q = {q} leaves no whole action")) == (q > horizon)


# ---- the delay to plan for ----------------------------------------------------------------------------------------


@every("fixed", range(5))
def test_a_configured_delay_is_taken_as_it_is_and_nothing_is_sampled(fixed: int) -> None:
    class Untouched:
        def sample(self, seed: int, n: int, tick: int = 0) -> Latency:
            raise AssertionError("a fixed delay needs no sample")

    assert make_delay(StrategyConfig("vlash", d=fixed), Untouched(), seed=0).delay == fixed


@every("quantile", [0.0, 0.5, 0.9, 1.0])
@every("seed", range(3))
def test_an_estimated_delay_is_the_quantile_of_inferences_that_are_not_the_episode_s(
    quantile: float, seed: int
) -> None:
    model = Lognormal(5.0, 12.0)
    warm = sorted(model.sample(seed, -1 - n).done for n in range(WARM_UP))
    delay = make_delay(StrategyConfig("vlash", quantile=quantile), model, seed).delay
    assert np.mean(np.array(warm) <= delay) >= quantile
    assert np.mean(np.array(warm) < delay) <= quantile


@every("ticks", range(6))
def test_of_a_constant_latency_the_estimate_is_the_latency(ticks: int) -> None:
    assert make_delay(StrategyConfig("vlash"), Fixed(ticks), seed=1).delay == ticks


# ---- latency models -----------------------------------------------------------------------------------------------


def test_a_latency_model_is_made_by_its_name_and_options(tmp_path: Path) -> None:
    made: dict[str, LatencyModel] = {name: make_latency(name, 50.0, **OPTIONS[name]) for name in OPTIONS}
    assert made == {
        "fixed": Fixed(3),
        "lognormal": Lognormal(3.0, 5.0),
        "uniform": Uniform(3, 5),
        "spikes": Spikes(3, 0.1, 5, 9),
        "scheduled": Scheduled([0.0, 50.0], [3, 5]),
    }
    assert {*OPTIONS, "recorded"} == set(LATENCIES)


def test_no_latency_is_told_what_it_is_for_and_what_to_give() -> None:
    with pytest.raises(ConfigError, match=r"latency=none is .* for rollahead run alone; give another, as in latency"):
        make_latency("none", 50.0)


@pytest.mark.parametrize("rate_hz", [10.0, 50.0])
def test_a_recording_in_seconds_is_read_at_the_rate_of_the_robot(rate_hz: float, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0.1\n0.35\n")
    made = make_latency("recorded", rate_hz, path=str(tmp_path / "a.txt"), bind_fraction=0.5)
    assert isinstance(made, Recorded)
    assert [latency.done for latency in made.latencies] == ([1, 4] if rate_hz == 10.0 else [5, 18])


@every("name", LATENCIES)
def test_an_option_that_a_model_does_not_take_is_told_what_it_takes(name: str) -> None:
    near = "did you mean 'ticks'? " if "ticks" in TAKES[name] else ""
    with pytest.raises(ConfigError) as caught:
        make_latency(name, 50.0, tick=3)
    assert str(caught.value) == f"there is no option of the latency 'tick'; {near}Known: {', '.join(TAKES[name])}"


@pytest.mark.parametrize(
    ("name", "first"), [("fixed", "ticks"), ("lognormal", "p50"), ("uniform", "low"), ("recorded", "path")]
)
def test_an_option_that_a_model_needs_is_named_where_it_is_missing(name: str, first: str) -> None:
    with pytest.raises(ConfigError, match=rf"^latency\.{first} must be given; add latency\.{first}=\.\.\.$"):
        make_latency(name, 50.0)


@every(
    ("name", "options", "message"),
    [
        ("fixed", {"ticks": "soon"}, "latency.ticks is 'soon'; give a whole number"),
        ("fixed", {"ticks": 2.5}, "latency.ticks is 2.5; give a whole number"),
        ("fixed", {"ticks": 2, "bind_fraction": None}, "latency.bind_fraction is None; give a number"),
        ("lognormal", {"p50": "soon", "p95": 9.0}, "latency.p50 is 'soon'; give a number"),
        ("recorded", {"path": 3}, "latency.path is 3; give a text"),
        (7, {}, "latency.name is 7; give a text"),
    ],
)
def test_an_option_of_another_kind_is_refused_with_the_kind_it_must_have(
    name: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        make_latency(name, 50.0, **options)
    assert str(caught.value) == message


# ---- strategies of other packages ---------------------------------------------------------------------------------

ELSEWHERE = """
from collections import namedtuple

class Early(namedtuple("Early", "name trigger spec margin")):
    plan = schedule = blend = None

def make(config, trigger, spec, margin: int = 1):
    return Early(config.name, trigger, spec, margin) if margin else margin
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers the strategy `early`."""
    info = tmp_path / "early-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: early\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nearly = a_strategy_of_elsewhere:make\n")
    (tmp_path / "a_strategy_of_elsewhere.py").write_text(ELSEWHERE)
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("elsewhere")
def test_a_strategy_of_another_package_is_made_with_its_own_options() -> None:
    for options, margin in (({}, 1), ({"margin": 4}, 4)):
        config = StrategyConfig("early", s=5, options=options)
        assert make_strategy(config, SPEC, horizon=8, delay=7) == ("early", Every(5), SPEC, margin)


@pytest.mark.usefixtures("elsewhere")
def test_what_is_no_strategy_is_refused_by_its_name() -> None:
    said = refused("early", 8, 2, options={"margin": 0})
    assert said == (
        "strategy 'early' is made as int, which has no trigger, blend, plan, schedule; make it a Strategy "
        "(docs/extending.md)"
    )


@pytest.mark.usefixtures("elsewhere")
def test_of_a_strategy_of_another_package_only_s_is_checked() -> None:
    for s, delay in product(range(10), range(12)):
        assert refused("early", 8, delay, s=s) == (
            None if 1 <= s <= 8 else schedule("sync", 8, s, delay).replace("sync", "early")
        )


@pytest.mark.usefixtures("elsewhere")
def test_a_near_miss_of_a_strategy_of_another_package_is_offered_beside_ours() -> None:
    message = refused("earl", 8, 2)
    assert (
        message
        == f"there is no strategy 'earl'; did you mean 'early'? Known: {', '.join(sorted({*STRATEGIES, 'early'}))}"
    )


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("early", {"margn": 3}, "did you mean 'strategy.options.margin'"),
        ("early", {"margin": "wide"}, "strategy.options.margin is 'wide'; give a whole number"),
        ("vlash", {"margin": 3}, "there is no option 'strategy.options.margin'"),
    ],
)
def test_an_option_that_a_strategy_does_not_take_is_refused(name: str, options: dict[str, object], said: str) -> None:
    message = refused(name, 8, 2, options=options)
    assert message is not None
    assert said in message


# ---- latency models of other packages ----

RAMP = """
from rollahead.runtime.planning.latency import Latency

class Ramp:
    def __init__(self, rate_hz, first_s, most=9):
        self.first, self.most = round(first_s * rate_hz), most
    def sample(self, seed, n, tick=0):
        return Latency(0, min(self.first + max(n, 0), self.most))
"""


def register_latency(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str, make: str) -> None:
    (info := folder / "ramp-1.0.dist-info").mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: ramp\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[rollahead.latencies]\nramp = {folder.name}_ramp:{make}\n")
    (folder / f"{folder.name}_ramp.py").write_text(source)
    monkeypatch.syspath_prepend(folder)


def test_a_latency_model_of_another_package_is_made_with_the_rate_and_its_options(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_latency(tmp_path, monkeypatch, RAMP, "Ramp")
    model = make_latency("ramp", 50.0, first_s=0.1)
    assert [model.sample(0, n).done for n in (-1, 0, 1, 9)] == [5, 5, 6, 9]
    for options, said in (
        ({}, r"latency.first_s must be given"),
        ({"first": 1}, r"no option of the latency 'first'; did you mean 'first_s'"),
    ):
        with pytest.raises(ConfigError, match=said):
            make_latency("ramp", 50.0, **options)
    with pytest.raises(ConfigError, match=r"is made as Ramp, which has no median, scaled; make it one that can be"):
        make_latency("ramp", 50.0, median=3, first_s=0.1)


def test_what_is_no_latency_model_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register_latency(tmp_path, monkeypatch, "def make(rate_hz):\n    return 3\n", "make")
    with pytest.raises(ConfigError, match=r"latency model 'ramp' is made as int, which has no sample; make it a Lat"):
        make_latency("ramp", 50.0)
