from itertools import product

import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids
from scipy.stats import entropy

from mtal.acquisition.selectors import BatchBald, Candidates, Constraint, batch_bald, tie_break
from mtal.acquisition.selectors.configurations import Configurations
from mtal.acquisition.selectors.joint_labels import JointLabels
from mtal.tasks.posterior import HeadOutput


class TestBatchBald(SelectorAxioms):
    selector = BatchBald(samples=200)  # 48 joint labels per frame: thinned from the second pick on, with little noise


class TestThinned(SelectorAxioms):
    selector = BatchBald(samples=20, max_outcomes=8)
    seeded = True


def heads(frames=12, members=4, tools=2, phases=3, seed=0):
    """Members of three frame heads, with 2^tools · 2 · phases joint labels."""
    generator = torch.Generator().manual_seed(seed)

    def logits(classes):
        base = torch.randn(frames, classes, generator=generator, dtype=torch.float64)
        return (base + torch.randn(members, frames, classes, generator=generator, dtype=torch.float64)).unsqueeze(2)

    return {
        "tools": HeadOutput("bernoulli", logits(tools).sigmoid()),
        "bleeding": HeadOutput("bernoulli", logits(1).sigmoid()),
        "phase": HeadOutput("categorical", logits(phases).softmax(dim=-1)),
    }


def candidates(members):
    frames = next(iter(members.values())).probs.shape[1]
    return Candidates(tie_break(0, frame_ids(frames)), members=members)


def select(members, budget, constraint=None, seed=0, **parameters):
    return BatchBald(**parameters)(candidates(members), budget, np.random.default_rng(seed), constraint).tolist()


def joint_label(members, i):
    """Probability of every joint label of frame i given each member, ``[labels, K]``, one label after the other."""
    tools, bleeding, phase = (members[task].probs[:, i, 0].numpy() for task in ("tools", "bleeding", "phase"))
    rows = []
    for bits in product((0, 1), repeat=tools.shape[1]):
        for bleeds, phase_now in product((0, 1), range(phase.shape[1])):
            row = phase[:, phase_now] * (bleeding[:, 0] if bleeds else 1 - bleeding[:, 0])
            for c, bit in enumerate(bits):
                row = row * (tools[:, c] if bit else 1 - tools[:, c])
            rows.append(row)
    return np.array(rows)


def mutual_information(members, batch):
    """I(y₁ … y_b; k) = H(mean of the members) − mean H(member), over every combination of labels."""
    joint = np.ones((1, members["tools"].probs.shape[0]))
    for i in batch:
        joint = (joint[:, None] * joint_label(members, i)[None]).reshape(-1, joint.shape[1])
    return entropy(joint.mean(axis=1)) - entropy(joint, axis=0).mean()


def brute_force(members, budget):
    batch = []
    frames = members["tools"].probs.shape[1]
    for _ in range(budget):
        left = [i for i in range(frames) if i not in batch]
        batch.append(left[int(np.argmax([mutual_information(members, [*batch, i]) for i in left]))])
    return batch


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_enumeration_of_all_labels_of_the_batch(seed):
    members = heads(frames=8, seed=seed)
    picks = select(members, 3, samples=24**3)
    expected = brute_force(members, 3)
    record("BatchBALD", "greedy on I(y; k) by enumeration: frames that differ", float(picks != expected))
    assert picks == expected


def exact(members, batch, i):
    """What frame i adds to the batch, by the selector's own means."""
    labels = JointLabels(members, 10**6, np.arange(50, dtype=np.uint64), np.random.default_rng(0))
    configurations = Configurations(labels.members)
    for j in batch:
        configurations.append(*labels.outcomes(j), 10**6, np.random.default_rng(0))
    return configurations.adds(*labels.outcomes(i))


@pytest.mark.parametrize("batch", [[], [3], [3, 5], [3, 5, 0]])
def test_what_a_frame_adds_is_the_difference_of_mutual_information(batch):
    members = heads()
    for i in (1, 5, 7):
        error = abs(
            exact(members, batch, i) - (mutual_information(members, [*batch, i]) - mutual_information(members, batch))
        )
        record("BatchBALD", "I(y; k) by enumeration", error)
        assert error < 1e-9


def test_probabilities_that_do_not_add_up_are_made_to():
    phase = heads()["phase"]
    half = {"phase": HeadOutput("categorical", phase.probs / 2)}
    assert exact(half, [], 1) == pytest.approx(exact({"phase": phase}, [], 1))


def test_first_pick_is_that_of_bald():
    members = heads(frames=40)
    bald = [mutual_information(members, [i]) for i in range(40)]
    assert select(members, 1) == [int(np.argmax(bald))]


def test_pitfall_15_the_batch_is_in_greedy_order_and_its_start_is_the_best():
    members = heads(frames=8)
    picks = select(members, 3, samples=24**3)
    assert select(members, 1, samples=24**3) == picks[:1]
    assert select(members, 2, samples=24**3) == picks[:2]
    assert mutual_information(members, picks[:1]) > mutual_information(members, picks[-1:])


def test_pitfall_9_is_of_each_frame_and_not_of_the_pool():
    """Sure frames more or less move the mean of the pool, and must not move the picks."""
    members = heads(frames=8)
    more = {
        task: HeadOutput(head.family, torch.cat([head.probs, head.probs[:1, :1].expand(4, 20, -1, -1)], dim=1))
        for task, head in members.items()
    }
    assert select(more, 3, samples=24**3) == select(members, 3, samples=24**3)


def test_a_frame_that_repeats_a_pick_waits():
    # two frames tell the same perfectly; the third says less about the other two members
    probs = torch.tensor([[1.0, 1.0, 0.5], [1.0, 1.0, 0.5], [0.0, 0.0, 0.9], [0.0, 0.0, 0.1]], dtype=torch.float64)
    members = {"bleeding": HeadOutput("bernoulli", probs[:, :, None, None])}
    assert select(members, 3)[1] == 2


def test_is_never_negative_and_shrinks():
    members = heads(frames=30, members=5, seed=3)
    labels = JointLabels(members, 8, np.arange(30, dtype=np.uint64), np.random.default_rng(0))
    configurations = Configurations(5)
    before = labels.sum_of_bald()
    for j in range(8):
        now = np.array([configurations.adds(*labels.outcomes(i)) for i in range(30)])
        assert (now >= 0).all()
        assert now.mean() <= before.mean()
        before = now
        configurations.append(*labels.outcomes(j), 50, np.random.default_rng(j))
        assert len(configurations.weight) <= 50
        np.testing.assert_allclose(configurations.posterior.sum(axis=1), 1)


def test_first_bound_is_the_bald_of_each_label_added_up_and_not_below_that_of_all():
    members = heads(frames=30, tools=3)
    labels = JointLabels(members, 10**6, np.arange(30, dtype=np.uint64), np.random.default_rng(0))
    bald = np.array([Configurations(4).adds(*labels.outcomes(i)) for i in range(30)])
    bound = labels.sum_of_bald()
    assert (bound >= bald).all()
    expected = np.zeros(30)
    for head in members.values():
        p = head.probs[:, :, 0].numpy()  # [K, N, C]
        each = [np.stack([1 - p[..., c], p[..., c]], axis=-1) for c in range(p.shape[2])]
        for values in each if head.family == "bernoulli" else [p]:
            expected += entropy(values.mean(axis=0), axis=-1) - entropy(values, axis=-1).mean(axis=0)
    np.testing.assert_allclose(bound, expected, rtol=1e-8)


@pytest.mark.parametrize("outcomes", [2, 16, 256])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_of_groups_of_labels_and_merged_configurations_hold(outcomes, dtype):
    members = heads(frames=30, tools=4, members=6)
    labels = JointLabels(members, 10**6, np.arange(30, dtype=np.uint64), np.random.default_rng(0))
    configurations = Configurations(6)
    at = np.arange(30)
    for j in range(4):
        adds = np.array([configurations.adds(*labels.outcomes(i)) for i in at])
        for size in (1, 8, 10**6):
            merged = configurations.merged(size)
            bound = sum(merged.adds_at_most(probs) for probs in labels.joint(at, outcomes, dtype))
            assert (bound >= adds - 1e-15).all()
            if size > len(configurations.weight) and outcomes == 256:
                rounding = configurations.rounding(96, dtype)
                np.testing.assert_allclose(bound, adds + rounding, atol=rounding)
        configurations.append(*labels.outcomes(j), 200, np.random.default_rng(j))


@pytest.mark.parametrize("seed", range(2))
def test_exact_picks_are_those_of_looking_at_all_frames(seed):
    """Merged configurations and labels one by one decide here and there, as there are more than 32 of them."""
    members = heads(frames=300, seed=seed, tools=2)
    labels = JointLabels(members, 10**6, np.arange(300, dtype=np.uint64), np.random.default_rng(0))
    configurations = Configurations(4)
    picks = select(members, 3, samples=10**6)
    for j, pick in enumerate(picks):
        adds = np.array([configurations.adds(*labels.outcomes(i)) for i in range(300)])
        adds[picks[:j]] = 0
        assert pick == adds.argmax()
        configurations.append(*labels.outcomes(pick), 10**6, np.random.default_rng(0))


def test_thinned_picks_add_nearly_the_most(monkeypatch):
    shares = []
    choose = batch_bald._best

    def spy(most, labels, batch, allowed, hashes):
        pick = choose(most, labels, batch, allowed, hashes)
        adds = np.where(allowed, [batch.adds(*labels.outcomes(i)) for i in range(len(most))], 0)
        shares.append(adds[pick] / adds.max())
        return pick

    monkeypatch.setattr(batch_bald, "_best", spy)
    select(heads(frames=200, tools=4, members=10), 6, samples=400)
    record("BatchBALD, 16 looks", "a look at each frame: least share of the most that a pick adds", 1 - min(shares))
    assert min(shares) > 0.9
    assert sum(share == 1 for share in shares) >= 5


def test_large_pools_are_cut_to_the_frames_of_largest_bald(monkeypatch):
    members = heads(frames=60)
    everything = select(members, 3)
    monkeypatch.setattr(batch_bald, "_POOL", 20)
    with pytest.warns(UserWarning, match="batch_bald chooses among the 20 frames of largest BALD, of 60"):
        picks = select(members, 25)
    assert picks[:3] == everything
    bald = JointLabels(members, 128, np.arange(60, dtype=np.uint64), np.random.default_rng(0)).sum_of_bald()
    assert sorted(picks[:20]) == sorted(np.argsort(-bald)[:20])
    assert len(set(picks)) == 25


def test_thinned_configurations_are_close_to_all():
    members = heads(members=6, seed=1)
    batch, others = [3, 5, 0, 2], [1, 7, 9]
    expected = np.array([exact(members, batch, i) for i in others])
    runs = []
    for seed in range(30):
        labels = JointLabels(members, 24, np.arange(12, dtype=np.uint64), np.random.default_rng(seed))
        configurations = Configurations(6)
        for j in batch:
            configurations.append(*labels.outcomes(j), 300, np.random.default_rng(100 + seed))
        runs.append([configurations.adds(*labels.outcomes(i)) for i in others])
    error = np.abs(np.mean(runs, axis=0) / expected - 1).max()
    record("BatchBALD, 300 configurations", "all 331,776 configurations, mean of 30, relative", error)
    assert error < 0.02
    assert (np.std(runs, axis=0) / expected).max() < 0.08


def test_thinned_outcomes_are_close_to_all():
    members = heads(tools=5, members=6)  # 32 · 2 · 3 = 192
    labels = [JointLabels(members, 48, np.arange(12, dtype=np.uint64), np.random.default_rng(s)) for s in range(60)]
    for i in (1, 4):
        expected = exact(members, [], i)
        runs = np.array([Configurations(6).adds(*label.outcomes(i)) for label in labels])
        record("BatchBALD, 48 outcomes of a frame", "all 192, mean of 60, relative", abs(runs.mean() / expected - 1))
        assert abs(runs.mean() - expected) < 5 * runs.std() / 60**0.5
        assert runs.std() < 0.1 * expected


def test_many_labels_of_one_frame_are_never_enumerated():
    members = heads(frames=5, tools=25)  # 2^26 · 3
    assert sorted(select(members, 5)) == [0, 1, 2, 3, 4]


def test_invalid_frame_says_nothing():
    members = heads(frames=6)
    valid = torch.ones(6, 1, dtype=torch.bool)
    valid[2] = False
    silent = {task: HeadOutput(head.family, head.probs, valid) for task, head in members.items()}
    assert exact(silent, [], 2) == 0
    assert exact(silent, [], 1) == exact(members, [], 1) > 0
    assert select(silent, 6)[-1] == 2


def test_certain_members_are_fine():
    probs = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], dtype=torch.float64)[:, :, None, None]
    members = {"bleeding": HeadOutput("bernoulli", probs)}
    # H(1/3) for either; both together tell all three apart: log 3
    assert exact(members, [], 0) == pytest.approx(entropy([1 / 3, 2 / 3]))
    assert exact(members, [], 0) + exact(members, [0], 1) == pytest.approx(np.log(3))
    assert sorted(select(members, 2)) == [0, 1]


def test_goes_on_by_hash_once_the_labels_tell_the_member():
    certain = torch.eye(2, dtype=torch.float64)[:, [0, 1, 1, 0, 0], None, None]
    members = {"bleeding": HeadOutput("bernoulli", certain)}
    hashes = tie_break(0, frame_ids(5))
    assert select(members, 5) == np.argsort(hashes).tolist()


def test_respects_what_is_excluded():
    members = heads(frames=40)
    best = select(members, 1)[0]
    assert select(members, 1, Constraint(40, np.arange(40) == best)) != [best]


def test_impossible_members_are_refused():
    bleeding, tools = heads()["bleeding"], heads(members=5)["tools"]
    with pytest.raises(ValueError, match="same members, but their numbers differ"):
        select({"bleeding": bleeding, "tools": tools}, 1)
    with pytest.raises(ValueError, match=r"members \[K, N, 1, C\] of bleeding.*\[12, 1, 1\]"):
        BatchBald()(
            Candidates(tie_break(0, frame_ids(12)), members={"bleeding": HeadOutput("bernoulli", bleeding.probs[0])}),
            1,
            np.random.default_rng(0),
        )
    with pytest.raises(ValueError, match="of anatomy, one site per frame"):
        select({"anatomy": HeadOutput("bernoulli", torch.zeros(2, 3, 4, 1))}, 1)
    with pytest.raises(ValueError, match="bring no members"):
        BatchBald()(Candidates(tie_break(0, "ab"), members={}), 1, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 0}, "samples of batch_bald must be 1 or more, not 0"),
        ({"max_outcomes": 1}, "max_outcomes of batch_bald must be 2 or more, not 1"),
    ],
)
def test_impossible_parameters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchBald(**arguments)
