import numpy as np
import torch
from scipy.stats import chisquare

from mtal.acquisition.draw import content_hash, draw, draw_order


def rows(frames, features=3, seed=0):
    return torch.randn(frames, features, generator=torch.Generator().manual_seed(seed))


def test_hash_is_of_the_content():
    x = rows(50)
    x[9] = x[4]
    hashes = content_hash(x, 0)
    assert hashes.dtype == np.uint64
    assert hashes[9] == hashes[4]
    assert len(set(hashes.tolist())) == 49
    assert not (content_hash(x, 1) == hashes).any()
    assert (content_hash(x.flip(0), 0) == hashes[::-1]).all()
    assert (content_hash(x.double(), 0) == hashes).all()


def test_rows_of_few_bits_differ():
    """Powers of two, signs and zeros: a hash that loses high bits would mix them up."""
    values = torch.tensor([0.0, 1.0, -1.0, 2.0, -2.0, 0.5])
    x = torch.cartesian_prod(values, values, values)
    assert len(set(content_hash(x, 0).tolist())) == 216


def test_minus_zero_is_zero():
    zero, minus = content_hash(torch.tensor([[0.0], [-0.0]]), 0)
    assert zero == minus


def test_is_a_set_of_distinct_rows_in_ascending_order():
    chosen = draw(rows(40), 12, seed=0)
    assert chosen.dtype == torch.int64
    assert len(chosen) == 12
    assert (chosen.diff() > 0).all()


def test_small_pools_are_taken_whole():
    for size in (5, 6):
        assert draw(rows(5), size, seed=0).tolist() == [0, 1, 2, 3, 4]


def test_order_of_rows_does_not_matter():
    x = rows(40)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
    moved = draw(x[order], 12, seed=0)
    assert sorted(order[moved].tolist()) == draw(x, 12, seed=0).tolist()


def test_order_of_draw_begins_with_what_is_drawn():
    x = rows(40)
    x[7] = x[30] = x[3]  # copies have a turn each
    order = draw_order(x, seed=0)
    for size in range(1, 40):
        assert order[:size].sort().values.equal(draw(x, size, seed=0))
    assert draw_order(x[:0], seed=0).tolist() == []


def test_every_row_is_as_likely():
    x = rows(20)
    counts = np.bincount(np.concatenate([draw(x, 5, seed).numpy() for seed in range(400)]), minlength=20)
    assert chisquare(counts).pvalue > 0.01


def test_copies_are_drawn_one_by_one():
    """30 of 60 rows are the same: about half of the draws are of it, never all or none."""
    x = torch.cat([rows(30), torch.zeros(30, 3)])
    shares = [(draw(x, 20, seed) >= 30).double().mean().item() for seed in range(200)]
    assert min(shares) > 0.1
    assert max(shares) < 0.9
    assert abs(np.mean(shares) - 0.5) < 0.03


def test_other_rows_leave_the_ranking_of_a_row_alone():
    """What is drawn from a larger pool is drawn from any part of it that holds it, copies included."""
    x = rows(60).repeat(2, 1)
    chosen = draw(x, 20, seed=0)
    part = torch.cat([chosen % 60, torch.arange(25)]).unique()
    part = torch.cat([part, part + 60])
    assert set(chosen.tolist()) <= set(part[draw(x[part], 20, seed=0)].tolist())


def test_other_seeds_draw_others():
    assert draw(rows(40), 12, seed=0).tolist() != draw(rows(40), 12, seed=1).tolist()
