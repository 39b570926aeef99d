from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import torch
from agreement import record
from axioms.autograd import LinearHead
from axioms.selectors import SelectorAxioms, frame_ids, make, tensors
from scipy.stats import chisquare

from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding, gradient_block
from mtal.acquisition.selectors import Badge, Candidates, Constraint, badge, distances, tie_break


class TestBadge(SelectorAxioms):
    selector = Badge()
    seeded = True
    spreads = True


class TestBadgeSampledFirst(SelectorAxioms):
    selector = Badge(first="sampled")
    seeded = True
    spreads = True


class TestBadgeByUtility(SelectorAxioms):
    selector = Badge(gamma=2.0)
    seeded = True


def on_a_line(*positions, utility=None):
    """Frames whose one-number gradients are ``positions``."""
    gradient = JointGradientEmbedding({"tools": GradientBlock(torch.tensor(positions)[:, None])})
    return Candidates(tie_break(0, frame_ids(len(positions))), utility, gradient)


def second_picks(selector, candidates, draws, constraint=None):
    generator = np.random.default_rng(0)
    counts = np.zeros(len(candidates))
    for _ in range(draws):
        counts[selector(candidates, 2, generator, constraint and constraint()).tolist()[1]] += 1
    return counts


def test_first_is_the_largest_norm():
    for seed in range(5):
        assert Badge()(on_a_line(1.0, -5.0, 3.0), 1, np.random.default_rng(seed)).tolist() == [1]


def test_second_is_drawn_by_squared_distance():
    # from 5, D² is 1, 4, 25 and 100, over 130
    counts = second_picks(Badge(), on_a_line(5.0, 4.0, 3.0, 0.0, -5.0 + 1e-9), 700)
    assert counts[0] == 0
    assert chisquare(counts[1:], 700 * np.array([1, 4, 25, 100]) / 130).pvalue > 0.001


def test_second_is_drawn_by_utility_times_squared_distance():
    # u mapped to [0, 1] is 1, ½, ¼, 0; squared 1, ¼, 1/16, 0; D² from 5 is 0, 1, 4, 9: 1/4 to 1/4
    candidates = on_a_line(5.0, 4.0, 3.0, 2.0, utility=torch.tensor([9.0, 7.0, 6.0, 5.0]))
    counts = second_picks(Badge(gamma=2.0), candidates, 500)
    assert counts[[0, 3]].tolist() == [0, 0]
    assert chisquare(counts[1:3]).pvalue > 0.001


def test_sampled_first_is_drawn_by_squared_norm():
    # 1, 4, 9 over 14
    generator = np.random.default_rng(0)
    firsts = [Badge(first="sampled")(on_a_line(1.0, -2.0, 3.0), 1, generator).item() for _ in range(600)]
    assert chisquare(np.bincount(firsts, minlength=3), 600 * np.array([1, 4, 9]) / 14).pvalue > 0.001


def test_uniform_where_all_that_is_left_are_duplicates():
    counts = second_picks(Badge(), on_a_line(*[2.0] * 6), 400)
    first = int(np.flatnonzero(counts == 0)[0])
    assert chisquare(np.delete(counts, first)).pvalue > 0.001


def test_excluded_frames_do_not_set_the_range_of_utilities():
    # without the outlier u is (1, 0, ½): from 5, frame 1 has weight 0
    candidates = on_a_line(5.0, 4.0, 3.0, 2.0, utility=torch.tensor([2.0, 0.0, 1.0, 1e9]))
    outlier = np.array([False, False, False, True])
    counts = second_picks(Badge(gamma=1.0), candidates, 50, lambda: Constraint(4, outlier))
    assert counts.tolist() == [0, 0, 50, 0]


def test_agrees_with_kmeans_plus_plus_on_autograd_gradients():
    """The same draws on explicit gradients, each head divided by its root mean square."""
    heads = {
        "tools": LinearHead("bernoulli", sites=1, frames=12),
        "anatomy": LinearHead("categorical", sites=3, frames=12, seed=1),
    }
    whole = []
    for head in heads.values():
        g = torch.stack(list(head.hallucinated_gradients())).numpy()
        whole.append(g / np.sqrt((g**2).sum(axis=1).mean()))
    g = np.concatenate(whole, axis=1)
    hashes = tie_break(0, frame_ids(12))
    by_hash = np.argsort(hashes)
    generator = np.random.default_rng(7)
    expected = [int((g**2).sum(axis=1).argmax())]
    while len(expected) < 12:
        d2 = ((g[:, None] - g[expected][None]) ** 2).sum(axis=2).min(axis=1)
        d2[expected] = 0
        chances = (d2 / d2.sum())[by_hash]
        expected.append(int(by_hash[np.flatnonzero(np.cumsum(chances) > generator.random())[0]]))
    gradient = JointGradientEmbedding({task: gradient_block(head.output) for task, head in heads.items()})
    picks = Badge()(Candidates(hashes, gradient=gradient), 12, np.random.default_rng(7))
    record("BADGE", "k-means++ on autograd gradients", float(picks.tolist() != expected))
    assert picks.tolist() == expected


def test_needs_utilities_only_where_they_count():
    assert Badge().needs == {"gradient"}
    assert Badge(gamma=0.5).needs == {"gradient", "utility"}


def test_pitfall_14_first_centre_is_a_frame_and_not_the_origin():
    # frame 0 lies at the origin; D² to it must not stay once a first centre is chosen
    counts = second_picks(Badge(), on_a_line(0.0, 1.0, 1.0, 1.0), 200)
    assert counts[0] == 200


@pytest.mark.parametrize(("arguments", "match"), [({"gamma": -1}, "-1"), ({"first": "origin"}, "'origin'")])
def test_impossible_arguments_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        Badge(**arguments)


def test_high_gamma_approaches_top_k_among_the_diverse():
    utility, left, features = tensors(30)
    utility[:25] *= 0.01
    picks = Badge(gamma=8.0)(make(utility, left, features), 4, np.random.default_rng(0)).tolist()
    assert all(i >= 25 for i in picks)


@pytest.mark.parametrize(("draw", "weighty"), [(0.0, "smallest"), (1.0, "largest")])
def test_ends_of_the_draw_do_not_land_on_a_frame_without_weight(draw, weighty):
    """All but two frames are duplicates of the first pick, so their weight is 0, first and last in hash order too."""

    class Always:
        def random(self, size=None):
            return np.full(size, draw) if size else draw

    hashes = np.arange(6, dtype=np.uint64)
    gradient = JointGradientEmbedding({"tools": GradientBlock(torch.tensor([9.0, 9.0, 1.0, 2.0, 9.0, 9.0])[:, None])})
    second = Badge()(Candidates(hashes, gradient=gradient), 2, Always()).tolist()[1]
    assert second == {"smallest": 2, "largest": 3}[weighty]


@pytest.fixture
def large(monkeypatch):
    """Draw by bounds as in a large pool, and bring them up to date after every fourth pick."""
    monkeypatch.setattr(badge, "_SMALL", 0)
    monkeypatch.setattr(badge, "_PENDING", 4)


@pytest.mark.usefixtures("large")
class TestLargePool(SelectorAxioms):
    selector = Badge()
    seeded = True
    spreads = True


@pytest.mark.usefixtures("large")
class TestLargePoolByUtility(SelectorAxioms):
    selector = Badge(gamma=2.0, first="sampled")
    seeded = True


@pytest.mark.parametrize(("pending", "gamma"), [(1, 1.0), (64, 0.0)])
def test_draws_by_bounds_have_the_distribution_of_k_means_plus_plus(large, monkeypatch, gamma, pending):
    """Ordered triples of 5 frames against their probabilities by enumeration."""
    monkeypatch.setattr(badge, "_PENDING", pending)
    utility, left, features = tensors(5)
    candidates = make(utility, left, features)
    d2 = torch.stack([candidates.gradient.sq_distance_to(j) for j in range(5)]).numpy()
    u = (((utility - utility.min()) / (utility.max() - utility.min())) ** gamma).numpy()
    start = u * candidates.gradient.sq_norm.numpy()
    expected = {}
    for i, j, k in permutations(range(5), 3):
        second, third = u * d2[i], u * np.minimum(d2[i], d2[j])
        expected[i, j, k] = start[i] / start.sum() * second[j] / second.sum() * third[k] / third.sum()
    draws = 500
    generator = np.random.default_rng(0)
    selector = Badge(gamma, first="sampled")
    seen = Counter(tuple(selector(candidates, 3, generator).tolist()) for _ in range(draws))
    often = [triple for triple, p in expected.items() if p * draws >= 5]
    observed = np.array([seen[triple] for triple in often] + [draws - sum(seen[triple] for triple in often)])
    chances = np.array([expected[triple] for triple in often])
    assert len(often) >= 10
    assert chisquare(observed, draws * np.append(chances, 1 - chances.sum())).pvalue > 0.001


def test_many_duplicates_are_found_out_by_bounds(large):
    """Four different gradients, each 500 times: once three are picked all the weight is on the fourth."""
    gradient = JointGradientEmbedding({"tools": GradientBlock(torch.randn(4, 20).repeat(500, 1))})
    picks = Badge()(Candidates(tie_break(0, frame_ids(2000)), gradient=gradient), 8, np.random.default_rng(0)).tolist()
    assert sorted(i % 4 for i in picks[:4]) == [0, 1, 2, 3]
    assert len(set(picks)) == 8


def test_bounds_are_enough_for_most_frames(large, monkeypatch):
    """5,000 frames in 100 groups: exact distances are asked for of some hundreds, not of 50 · 5,000."""
    monkeypatch.setattr(badge, "_PENDING", 64)
    asked = []
    exact = distances.NearestCentre.exact
    monkeypatch.setattr(distances.NearestCentre, "exact", lambda self, at: asked.append(len(at)) or exact(self, at))
    groups = torch.randn(100, 32, generator=torch.Generator().manual_seed(0)).repeat(50, 1)
    x = groups + 0.3 * torch.randn(5000, 32, generator=torch.Generator().manual_seed(1))
    gradient = JointGradientEmbedding({"tools": GradientBlock(x)})
    Badge()(Candidates(tie_break(0, frame_ids(5000)), gradient=gradient), 50, np.random.default_rng(0))
    assert sum(asked) < 1500
