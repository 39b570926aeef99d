import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids

from mtal.acquisition.moments import Moments
from mtal.acquisition.selectors import Bait, Candidates, Constraint, MinimumGap, tie_break


class TestBait(SelectorAxioms):
    selector = Bait()
    prefix_stable = False


class TestForwardOnly(SelectorAxioms):
    selector = Bait(oversample=1.0)


def information(frames=25, seed=0):
    """Factors of three heads of different rank, size and scale, and what is labelled of two of them."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*size):
        return torch.randn(*size, generator=generator, dtype=torch.float64)

    fisher = {
        "tools": normal(frames, 3, 5),
        "bleeding": 20 * normal(frames, 1, 4),
        "anatomy": 0.1 * normal(frames, 4, 6),
    }
    rows = {"tools": normal(7, 5), "anatomy": 0.1 * normal(9, 6)}
    return fisher, {task: r.T @ r for task, r in rows.items()}


def candidates(fisher, labelled=None):
    frames = len(next(iter(fisher.values())))
    return Candidates(tie_break(0, frame_ids(frames)), fisher=fisher, labelled_fisher=labelled)


def select(pool, budget, constraint=None, **parameters):
    return Bait(**parameters)(pool, budget, np.random.default_rng(0), constraint).tolist()


def objective(fisher, labelled, regularization, batch):
    """The docstring's formula, with inverses of whole matrices."""
    total = 0.0
    for task, factors in fisher.items():
        v = factors.numpy()
        f = np.einsum("nrp,nrq->npq", v, v)
        unit = np.trace(f.mean(axis=0)) / v.shape[2]
        start = regularization * np.eye(v.shape[2])
        if task in labelled:
            start = start + labelled[task].numpy() / unit
        pool = f.mean(axis=0)
        after = np.linalg.inv(start + f[batch].sum(axis=0) / unit)
        total += np.trace(after @ pool) / np.trace(np.linalg.inv(start) @ pool)
    return total


def brute_force(fisher, labelled, regularization, budget, oversample):
    """Forward and backward greedy on the objective of every choice; also the objectives on the way."""
    batch, path = [], []
    frames = len(next(iter(fisher.values())))
    for _ in range(min(int(np.ceil(budget * oversample)), frames)):
        left = [i for i in range(frames) if i not in batch]
        values = [objective(fisher, labelled, regularization, [*batch, i]) for i in left]
        batch.append(left[int(np.argmin(values))])
        path.append(min(values))
    while len(batch) > budget:
        values = [objective(fisher, labelled, regularization, batch[:k] + batch[k + 1 :]) for k in range(len(batch))]
        del batch[int(np.argmin(values))]
        path.append(min(values))
    return batch, path


@pytest.mark.parametrize(("seed", "regularization", "oversample"), [(0, 1.0, 2.0), (1, 0.01, 2.0), (2, 30.0, 1.5)])
def test_agrees_with_brute_force(seed, regularization, oversample):
    fisher, labelled = information(seed=seed)
    picks = select(candidates(fisher, labelled), 6, regularization=regularization, oversample=oversample)
    expected, _ = brute_force(fisher, labelled, regularization, 6, oversample)
    record("BAIT", "brute force over whole inverses: frames that differ", float(picks != expected))
    assert picks == expected


def test_trace_of_the_updates_is_that_of_whole_inverses():
    from mtal.acquisition.selectors.bait import _Batch, _heads

    fisher, labelled = information()
    heads = _heads(fisher, labelled, 0.3)
    for head in heads:
        head.hold(np.arange(25))
    batch = []
    for i in (3, 8, 1, 20, 14):
        before = objective(fisher, labelled, 0.3, batch)
        for k in (5, 11):
            taken = sum(head.gain()[k] for head in heads)
            assert taken == pytest.approx(before - objective(fisher, labelled, 0.3, [*batch, k]), rel=1e-9)
        for head in heads:
            head.add(i)
        batch.append(i)
        traces = sum(np.sum(head.inverse * head.pool) for head in heads)
        error = abs(traces - objective(fisher, labelled, 0.3, batch))
        record("BAIT", "trace from whole inverses", error)
        assert error < 1e-12
    parts = [_Batch(head, batch) for head in heads]
    left = list(range(len(batch)))
    for out in (1, 3):  # 8 and 20
        for part in parts:
            part.remove(out)
        left.remove(out)
        loss = sum(part.loss(np.array(left)) for part in parts)
        kept = [batch[place] for place in left]
        now = objective(fisher, labelled, 0.3, kept)
        without = [objective(fisher, labelled, 0.3, [j for j in kept if j != i]) - now for i in kept]
        np.testing.assert_allclose(loss, without, rtol=1e-9)
    for head in heads:
        head.refresh()
        known, opened = head.products(head.factors)
        np.testing.assert_allclose(known, head.factors @ head.inverse @ head.factors.transpose(0, 2, 1), atol=1e-12)
        turned = head.inverse @ head.pool @ head.inverse
        np.testing.assert_allclose(opened, head.factors @ turned @ head.factors.transpose(0, 2, 1), atol=1e-12)


def test_one_step_by_hand():
    # one parameter: F = 4, 1, 0, scaled to a mean of 1: 12/5, 3/5, 0; λ = 1: (1 + 12/5)⁻¹ is the smallest
    fisher = {"a": torch.tensor([2.0, 1.0, 0.0])[:, None, None]}
    assert select(candidates(fisher), 3) == [0, 1, 2]


def test_labelled_directions_are_not_asked_for_again():
    fisher = {"a": torch.tensor([[[1.0, 0.0]], [[0.0, 0.9]]])}
    assert select(candidates(fisher), 1) == [0]
    assert select(candidates(fisher, {"a": torch.diag(torch.tensor([50.0, 0.0]))}), 1) == [1]


def test_every_head_has_an_equal_say():
    fisher, labelled = information()
    scaled = {task: factors * (k + 1) ** 5 for k, (task, factors) in enumerate(fisher.items())}
    known = {task: labelled[task] * (k + 1) ** 10 for k, task in enumerate(fisher) if task in labelled}
    assert select(candidates(scaled, known), 8) == select(candidates(fisher, labelled), 8)


def test_head_without_information_has_no_say():
    fisher, labelled = information()
    silent = {**fisher, "phase": torch.zeros(25, 2, 3)}
    assert select(candidates(silent, labelled), 8) == select(candidates(fisher, labelled), 8)


def test_forward_pass_does_not_make_rules_give_way():
    """Warnings are errors here: 10 frames of one video at 1 s, of which a gap of 2 s allows five."""
    moments = Moments(np.zeros(10), np.arange(10.0))
    fisher, _ = information(frames=10)
    picks = select(candidates(fisher), 3, Constraint(10, rules=[MinimumGap(2.0, moments)]))
    assert len(picks) == 3
    assert np.diff(np.sort(picks)).min() >= 2


def test_goes_on_where_the_forward_pass_had_to_stop():
    moments = Moments(np.zeros(10), np.arange(10.0))
    fisher, _ = information(frames=10)
    gap = MinimumGap(4.0, moments)
    with pytest.warns(UserWarning, match="halved"):
        picks = select(candidates(fisher), 8, Constraint(10, rules=[gap]))
    assert len(set(picks)) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"regularization": 0.0}, "regularization of bait must be 1e-06 or more"),
        ({"oversample": 0.5}, "oversample of bait must be 1 or more, not 0.5"),
    ],
)
def test_impossible_parameters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Bait(**arguments)


@pytest.mark.parametrize(
    ("fisher", "labelled", "message"),
    [
        (torch.zeros(3, 2), {}, r"fisher.a must be \[N, R, P\], not \[3, 2\]"),
        (torch.ones(3, 1, 2), {"a": torch.zeros(3, 3)}, r"labelled_fisher.a must be \[2, 2\], not \[3, 3\]"),
        (torch.full((3, 1, 2), torch.nan), {}, "information of a is not finite"),
    ],
)
def test_impossible_information_is_refused(fisher, labelled, message):
    with pytest.raises(ValueError, match=message):
        select(candidates({"a": fisher}, labelled), 2)


def test_large_pools_are_drawn_from(monkeypatch):
    from mtal.acquisition.selectors import bait

    fisher, labelled = information(frames=40)
    order = np.argsort(candidates(fisher).tie_break)
    outside = np.isin(np.arange(40), order[25:])
    expected = select(candidates(fisher, labelled), 6, Constraint(40, outside))
    monkeypatch.setattr(bait, "_POOL", 25)
    monkeypatch.setattr(bait, "_NUMBERS", 50)  # a few frames at a time
    with pytest.warns(UserWarning, match="bait chooses among 25 frames drawn from 40"):
        assert select(candidates(fisher, labelled), 6) == expected
    with pytest.warns(UserWarning, match="drawn from 40"):
        picks = select(candidates(fisher, labelled), 30)
    assert set(picks[:25]) == set(order[:25])
    assert picks[25:] == order[25:30].tolist()  # then by hash
