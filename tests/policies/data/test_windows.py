import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from every import every
from rollahead.errors import ConfigError
from rollahead.policies.data.frames import Frames
from rollahead.policies.data.rolled_scene import rolled_scenes
from rollahead.policies.data.windows import NO_PREFIX, Windows, held_out, statistics
from rollahead.policies.lerobot.features import ACTION, ENVIRONMENT, STATE
from rollahead.policies.policy import Trained
from rollahead.runtime.rolling.roll import for_spec
from rollahead.runtime.types.spec import Dim, Kind, RobotSpec

LENGTHS = (3, 1, 5)
STATS = {"min": np.array([100.0]), "mean": np.array([104.0]), "count": np.array([9])}


def frames_of(lengths=LENGTHS, environment=1):
    """Frame i has state (i, -i), environment (100 + i, ...) and action (1000 + i,), so that each number says where it
    is from."""
    n = sum(lengths)
    numbers = np.arange(n, dtype=np.float32)[:, None]
    return Frames(
        folder=Path("frames"),
        fps=50.0,
        state=np.hstack([numbers, -numbers]),
        environment=100 + np.tile(numbers, environment),
        action=1000 + numbers,
        bounds=np.concatenate([[0], np.cumsum(lengths)]),
        names={STATE: ("a", "b"), ENVIRONMENT: ("x", "y")[:environment], ACTION: ("v",)},
        stats={ENVIRONMENT: STATS} if environment else {},
    )


def naive(lengths, rows, n_obs, now, delay):
    """The same example by counting on: frames of the state, of what is seen and of the rows; where it is padded."""
    start = next(sum(lengths[:k]) for k in range(len(lengths)) if now < sum(lengths[: k + 1]))
    stop = start + next(n for k, n in enumerate(lengths) if sum(lengths[:k]) == start)

    def kept(frame):
        return min(max(frame, start), stop - 1)

    past = range(1 - n_obs, 1)
    ahead = [now + 1 - n_obs + i for i in range(rows)]
    return (
        [kept(now + k) for k in past],
        [kept(now - delay + k) for k in past],
        [kept(frame) for frame in ahead],
        [not start <= frame < stop for frame in ahead],
    )


def every_place(lengths, offsets):
    """All (frame, delay) whose frame has as many before it in its episode."""
    starts = np.repeat(np.cumsum((0, *lengths[:-1])), lengths)
    return [(now, d) for now in range(sum(lengths)) for d in range(offsets + 1) if now - d >= starts[now]]


@every("rows, n_obs", [(rows, n_obs) for rows in range(1, 7) for n_obs in range(1, 4) if n_obs <= rows])
def test_every_window_is_that_of_a_loop_over_its_frames(rows, n_obs):
    windows = Windows(frames_of(), rows, n_obs)
    places = every_place(LENGTHS, offsets=4)
    now, delay = map(np.array, zip(*places, strict=True))
    batch = windows.at(now, delay, prefix=0 * now)
    for i, (frame, late) in enumerate(places):
        state, seen, ahead, padded = naive(LENGTHS, rows, n_obs, frame, late)
        assert batch[STATE][i].reshape(n_obs, 2)[:, 0].tolist() == state
        assert batch[STATE][i].reshape(n_obs, 2)[:, 1].tolist() == [-k for k in state]
        assert batch[ENVIRONMENT][i].reshape(n_obs).tolist() == [100 + k for k in seen]
        assert batch[ACTION][i, :, 0].tolist() == [1000 + k for k in ahead]
        assert batch["action_is_pad"][i].tolist() == padded


@pytest.mark.parametrize("offsets", range(3))
def test_every_place_and_delay_is_drawn_and_no_other_and_each_delay_as_often(offsets):
    lengths = (3, 4, 5)
    windows = Windows(frames_of(lengths), 2, trained=Trained(offsets))
    batch = windows.draw(np.random.default_rng(0), 20_000)
    drawn = list(zip(batch[STATE][:, 0].int().tolist(), batch["delay"].tolist(), strict=True))
    places = every_place(lengths, offsets)
    assert set(drawn) == set(places)
    assert torch.equal(batch[ENVIRONMENT][:, 0] - 100, batch[STATE][:, 0] - batch["delay"])
    for delay in range(offsets + 1):
        of_delay = [frame for frame, late in drawn if late == delay]
        assert len(of_delay) / len(drawn) == pytest.approx(1 / (offsets + 1), abs=0.02)
        likely = 1 / sum(late == delay for _, late in places)
        shares = np.bincount(of_delay) / len(of_delay)
        assert shares[shares > 0] == pytest.approx(likely, abs=0.03)


@pytest.mark.parametrize("prefixes", range(4))
def test_uniform_prefix_lengths_are_each_as_likely_and_an_exponential_one_of_n_by_exp_of_minus_n(prefixes):
    for how, weights in (("uniform", np.ones(prefixes + 1)), ("exponential", np.exp(-np.arange(prefixes + 1.0)))):
        windows = Windows(frames_of(), 4, trained=Trained(prefixes=prefixes, prefix_lengths=how))
        drawn = windows.draw(np.random.default_rng(0), 20_000)["prefix"].numpy()
        found = np.bincount(drawn, minlength=prefixes + 1) / len(drawn)
        assert found == pytest.approx(weights / weights.sum(), abs=0.02)


@pytest.mark.parametrize("prefixes", range(4))
def test_half_of_the_prefixes_are_none_and_the_rest_is_uniform(prefixes):
    windows = Windows(frames_of(), 4, trained=Trained(prefixes=prefixes))
    drawn = windows.draw(np.random.default_rng(0), 20_000)["prefix"].numpy()
    share = (1 - NO_PREFIX) / (prefixes + 1)
    wanted = [NO_PREFIX + share, *[share] * prefixes]
    assert np.bincount(drawn, minlength=prefixes + 1) / len(drawn) == pytest.approx(wanted, abs=0.02)


def test_rows_that_are_given_are_what_the_robot_did_and_all_others_what_it_should_have_done():
    plain = frames_of((9, 9))
    frames = replace(plain, executed=-plain.action)
    windows = Windows(frames, 4, trained=Trained(prefixes=3))
    now, none = np.array([3, 3, 12, 16]), np.zeros(4, np.int64)
    batch = windows.at(now, none, np.array([0, 2, 3, 1]))
    rows = batch[ACTION][..., 0].numpy()
    assert (np.sign(rows) == [[1, 1, 1, 1], [-1, -1, 1, 1], [-1, -1, -1, 1], [-1, 1, 1, 1]]).all()
    assert np.abs(rows)[1].tolist() == [1003, 1004, 1005, 1006]
    same = Windows(plain, 4, trained=Trained(prefixes=3)).at(now, none, np.array([0, 2, 3, 1]))
    assert torch.equal(same[ACTION], batch[ACTION].abs())


def test_an_example_with_a_prefix_begins_so_early_that_what_is_learned_of_it_still_comes_after_the_lead():
    lead, prefixes, offsets = 4, 3, 2
    windows = Windows(frames_of((12, 12)), 6, trained=Trained(offsets=offsets, prefixes=prefixes), lead=lead)
    batch = windows.draw(np.random.default_rng(0), 5000)
    now = batch[STATE][:, 0].numpy().astype(int) % 12
    prefix, delay = batch["prefix"].numpy(), batch["delay"].numpy()
    assert (now + prefix >= lead).all() and (now >= delay).all()
    assert {int(frame) for frame in now[prefix == prefixes]} == set(range(lead - prefixes, 12))
    assert now[prefix == 0].min() == lead


def arm(*kinds: Kind) -> RobotSpec:
    """A robot whose action v drives state b."""
    return RobotSpec(tuple(Dim("v", kind=kind, drives="b") for kind in kinds), (Dim("a"), Dim("b")), rate_hz=50.0)


@every("n_obs", (1, 2))
@every("kind", (Kind.POSITION, Kind.ROTATION, Kind.DISCRETE))
def test_a_told_state_is_what_was_done_the_tick_before_and_what_no_target_drives_is_of_when_the_rest_was_seen(
    n_obs, kind
):
    plain = frames_of((6, 7))
    frames = replace(plain, executed=-plain.action)
    trained = Trained(offsets=3, offset_state="told")
    windows = Windows(frames, 4, n_obs, trained, robot=arm(kind))
    now, delay = map(np.array, zip(*every_place((6, 7), 3), strict=True))
    state = windows.at(now, delay, 0 * now)[STATE].numpy().reshape(len(now), n_obs, 2)
    for (a, b), frame, late, back in zip(
        state.reshape(-1, 2),
        np.repeat(now, n_obs),
        np.repeat(delay, n_obs),
        [*range(1 - n_obs, 1)] * len(now),
        strict=True,
    ):
        first = 0 if frame < 6 else 6
        then = max(frame + back, first)
        assert a == max(frame - late + back, first)
        assert b == (-(1000 + max(then - 1, first)) if late else -then)


def test_the_told_state_is_that_of_the_roller_told_at_run_time():
    frames = frames_of((9,))
    frames = replace(frames, executed=-frames.action)
    windows = Windows(frames, 4, trained=Trained(offsets=3, offset_state="told"), robot=arm(Kind.POSITION))
    roll = for_spec(arm(Kind.POSITION))
    for now, delay in every_place((9,), 3):
        state = windows.at(np.array([now]), np.array([delay]), np.array([0]))[STATE][0].numpy()
        assert state.tolist() == roll(frames.state[now - delay], frames.sent[now - delay : now]).tolist()


def test_of_a_data_set_alone_an_action_is_the_target_of_the_state_of_its_name():
    names = {STATE: ("v", "b"), ENVIRONMENT: ("x",), ACTION: ("v",)}
    windows = Windows(replace(frames_of((5,)), names=names), 2, trained=Trained(2, offset_state="told"))
    assert windows.at(np.array([2]), np.array([1]), np.array([0]))[STATE].tolist() == [[1001.0, -1.0]]


def test_the_same_generator_draws_the_same_batch():
    windows = Windows(frames_of((9, 9)), 4, 2, Trained(3, True, 2))
    first, second = (windows.draw(np.random.default_rng(5), 32) for _ in range(2))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_batch_has_lerobots_shapes_and_kinds():
    batch = Windows(frames_of((9, 9)), 4, 2, Trained(3)).draw(np.random.default_rng(0), 6)
    assert {key: (tuple(values.shape), values.dtype) for key, values in batch.items()} == {
        STATE: ((6, 2, 2), torch.float32),
        ENVIRONMENT: ((6, 2, 1), torch.float32),
        ACTION: ((6, 4, 1), torch.float32),
        "action_is_pad": ((6, 4), torch.bool),
        "delay": ((6,), torch.int64),
        "prefix": ((6,), torch.int64),
    }


@pytest.mark.parametrize("n_obs", (1, 2))
@pytest.mark.parametrize("environment", (0, 2))
def test_a_policy_that_is_told_the_delay_finds_it_last_in_the_environment(environment, n_obs):
    windows = Windows(frames_of((9, 9), environment), 4, n_obs, Trained(3, delay_input=True))
    batch = windows.draw(np.random.default_rng(0), 50)
    told = batch[ENVIRONMENT].reshape(50, n_obs, environment + 1)[:, :, -1]
    assert torch.equal(told, batch["delay"][:, None].expand(50, n_obs).float())


def test_without_an_environment_there_is_none_in_the_batch():
    assert ENVIRONMENT not in Windows(frames_of(environment=0), 2).draw(np.random.default_rng(0), 4)


def test_only_the_chosen_episodes_are_drawn():
    windows = Windows(frames_of(), 2, episodes=[0, 2])
    assert set(windows.draw(np.random.default_rng(0), 500)[STATE][:, 0].int().tolist()) == {0, 1, 2, 4, 5, 6, 7, 8}


@every("episodes", range(1, 60))
def test_what_is_held_out_is_five_in_a_hundred_and_the_rest_is_learned(episodes):
    learn, keep = held_out(frames_of((1,) * episodes))
    assert sorted([*learn, *keep]) == list(range(episodes))
    assert len(learn) >= 1
    assert len(keep) == (0 if episodes == 1 else max(1, round(0.05 * episodes)))
    assert np.all(np.diff(keep) >= episodes // max(len(keep), 1) - 1)


@pytest.mark.parametrize("offsets", (1, 4, 12))
def test_the_statistics_of_the_delay_are_those_of_what_is_drawn(offsets):
    told = statistics(frames_of(), Trained(offsets, delay_input=True))[ENVIRONMENT]
    uniform = np.arange(offsets + 1)
    assert told["min"].tolist() == [100.0, 0.0]
    assert told["mean"].tolist() == [104.0, uniform.mean()]
    assert told["count"].tolist() == [sum(LENGTHS)]
    alone = statistics(frames_of(environment=0), Trained(offsets, delay_input=True))[ENVIRONMENT]
    assert math.isclose(alone["std"][-1], uniform.std())
    assert alone["max"][-1] == offsets


def test_without_the_delay_the_statistics_are_the_data_sets():
    frames = frames_of()
    assert statistics(frames, Trained(4)) == statistics(frames) == dict(frames.stats)


@every(
    "given, words",
    [
        ({"trained": Trained(offsets=5)}, "episode 1 of data set frames has 1 frames, and .*offsets=5 needs 6"),
        ({"trained": Trained(offsets=-1)}, "offsets is -1"),
        ({"trained": Trained(prefixes=4)}, "prefixes 4; .* from 0 to 3"),
        ({"n_obs": 3, "trained": Trained(prefixes=2)}, "prefixes 2; .* from 0 to 1"),
        ({"n_obs": 0}, "n_obs 0; give n_obs from 1 to 4"),
        ({"n_obs": 5}, "n_obs 5; give n_obs from 1 to 4"),
        ({"trained": Trained(delay_input=True)}, "delay_input is true and offsets 0"),
        ({"trained": Trained(2, offset_state="tolled")}, "no offset_state 'tolled'; did you mean 'told'"),
        ({"trained": Trained(0, offset_state="told")}, "has no state .v. for action 'v' .only a, b.*offset_state=rec"),
        (
            {"trained": Trained(0, offset_state="told"), "robot": arm(Kind.VELOCITY)},
            "action 'v' is a velocity, not an absolute position; use offset_state=recorded",
        ),
        (
            {"trained": Trained(0, offset_state="told"), "robot": arm(Kind.DELTA)},
            "action 'v' is a delta, not an absolute position; use offset_state=recorded",
        ),
        ({"trained": Trained(prefix_lengths="unifrom")}, "no distribution of prefix lengths .*'unifrom'.*uniform"),
    ],
)
def test_what_cannot_be_drawn_is_refused(given, words):
    with pytest.raises(ConfigError, match=words):
        Windows(frames_of(), 4, **given)


@every("lead", range(4))
@every("offsets", range(4))
def test_what_is_drawn_as_now_is_every_frame_after_the_lead_that_has_the_delay_before_it(lead, offsets):
    lengths = (6, 4, 5)
    windows = Windows(frames_of(lengths), rows=1, trained=Trained(offsets), lead=lead)
    batch = windows.draw(np.random.default_rng(0), 4000)
    drawn = set(zip(batch[STATE][:, 0].int().tolist(), batch["delay"].tolist(), strict=True))
    starts = np.repeat(np.cumsum((0, *lengths[:-1])), lengths)
    assert drawn == {(now, d) for now, d in every_place(lengths, offsets) if now - starts[now] >= lead}


@every("delays", (1, 2, 4))
@every("lead", (0, 3))
def test_examples_that_share_what_was_seen_have_a_delay_each_and_no_rows_where_it_leads_out(delays, lead):
    lengths, offsets = (6, 8), 3
    windows = Windows(frames_of(lengths), 2, trained=Trained(offsets), lead=lead)
    batch = windows.draw_shared(np.random.default_rng(0), 4000 * delays, delays)
    seen = (batch[ENVIRONMENT][:, 0] - 100).int().numpy().reshape(-1, delays)
    now = batch[STATE][:, 0].int().numpy().reshape(-1, delays)
    delay, padded = (
        batch["delay"].numpy().reshape(-1, delays),
        batch["action_is_pad"].all(1).numpy().reshape(-1, delays),
    )
    assert (seen == seen[:, :1]).all()
    assert (now - delay == seen).all()
    counted = ~padded
    starts = np.repeat((0, 6), lengths)
    assert set(zip(now[counted].tolist(), delay[counted].tolist(), strict=True)) == {
        (k, d) for k, d in every_place(lengths, offsets) if k - starts[k] >= lead
    }
    for row, used in zip(delay, counted, strict=True):
        assert len(set(row[used])) == used.sum()
    assert batch["prefix"].eq(0).all()


# --- a scene that the run rolls ---

LONGER = (4, 6, 5)


def taken_along(environment, state, rows):
    """The second number of the scene moves with the robot's first, by what is done in a tick."""
    return environment + np.array([0.0, rows[:, 0].sum()])


@pytest.mark.parametrize("n_obs", [1, 2])
def test_where_the_run_rolls_the_scene_it_is_given_as_it_is_rolled_from_then_to_now(n_obs):
    frames = frames_of(LONGER, environment=2)
    windows = Windows(frames, 4, n_obs, Trained(offsets=3), rolled=rolled_scenes(frames, taken_along, 3))
    places = every_place(LONGER, offsets=3)
    now, delay = map(np.array, zip(*places, strict=True))
    scenes = windows.at(now, delay, prefix=0 * now)[ENVIRONMENT].reshape(len(places), n_obs, 2)
    for i, (frame, late) in enumerate(places):
        _, seen, _, _ = naive(LONGER, 4, n_obs, frame, late)
        done = [sum(1000 + t for t in range(k, k + late)) for k in seen]
        assert scenes[i].tolist() == [[100 + k, 100 + k + moved] for k, moved in zip(seen, done, strict=True)]


def test_the_delay_that_is_told_is_then_none_as_it_is_in_the_run():
    frames = frames_of(LONGER, environment=2)
    trained = Trained(offsets=2, delay_input=True)
    now, delay = np.array([2, 8]), np.array([2, 1])
    for rolled, told in ((None, [2.0, 1.0]), (rolled_scenes(frames, taken_along, 2), [0.0, 0.0])):
        batch = Windows(frames, 2, 1, trained, rolled=rolled).at(now, delay, prefix=0 * now)
        assert batch[ENVIRONMENT][:, -1].tolist() == told
        assert batch["delay"].tolist() == [2, 1]
