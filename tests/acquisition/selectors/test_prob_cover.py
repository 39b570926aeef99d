import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids, tensors
from scipy.spatial.distance import cdist

from mtal.acquisition.embedding import FeatureEmbedding
from mtal.acquisition.selectors import Candidates, Cap, Constraint, ProbCover, prob_cover, tie_break
from mtal.acquisition.selectors.clusters import k_means
from mtal.acquisition.selectors.distances import middle


class TestProbCover(SelectorAxioms):
    selector = ProbCover(delta=1.2)
    spreads = True


class TestProbCoverByPurity(SelectorAxioms):
    selector = ProbCover()
    spreads = True


def select(x, budget, labelled=None, selector=None, constraint=None):
    pool = Candidates(tie_break(0, frame_ids(len(x))), features=x, labelled_features=labelled)
    return (selector or ProbCover(delta=1.0))(pool, budget, np.random.default_rng(0), constraint).tolist()


def plain(x, budget, delta, labelled, hashes):
    """Count what every ball newly covers at every pick; then the farthest."""
    d, reach = cdist(x, x), cdist(x, labelled).min(axis=1, initial=np.inf)
    covered, picks = reach <= delta, []
    while len(picks) < budget:
        free = np.ones(len(x), dtype=bool)
        free[picks] = False
        gain = ((d <= delta) & ~covered).sum(axis=1).astype(float)
        if not gain[free].any():
            gain = np.minimum(reach, d[picks].min(axis=0, initial=np.inf))
        best = np.flatnonzero(free & (gain == gain[free].max()))
        picks.append(int(best[np.argmin(hashes[best])]))
        covered |= d[picks[-1]] <= delta
    return picks


@pytest.mark.parametrize("labelled", [0, 9])
@pytest.mark.parametrize("delta", [0.3, 0.8, 1.5, 5.0])
@pytest.mark.parametrize("frames", [40, 700])
def test_agrees_with_counting_at_every_pick(frames, delta, labelled):
    x = tensors(frames + labelled)[2]
    seen, pool = x[:labelled], x[labelled:]
    expected = plain(pool.numpy(), 30, delta, seen.numpy().reshape(-1, 4), tie_break(0, frame_ids(frames)))
    picks = select(pool, 30, seen, ProbCover(delta))
    record("ProbCover", "every ball counted at every pick", float(picks != expected))
    assert picks == expected


@pytest.mark.parametrize("frames", [1, 2, 499, 500, 501, 1100])
def test_pitfall_15_no_block_of_the_pool_is_dropped(frames):
    """All frames far apart: each covers itself only, and all are picked, the last ones too."""
    x = 10.0 * torch.arange(frames)[:, None]
    assert sorted(select(x, frames)) == list(range(frames))


def test_border_belongs_to_the_ball():
    x = torch.tensor([[0.0], [1.0], [2.0], [10.0], [11.25], [12.25]])
    assert select(x, 2)[0] == 1
    assert select(x, 2)[1] in (4, 5)


def test_what_labelled_frames_cover_counts_for_nothing():
    x = torch.tensor([[0.0], [0.4], [0.8], [5.0], [5.5]])
    assert select(x, 1)[0] in (0, 1, 2)  # all three cover three
    assert select(x, 1, labelled=torch.tensor([[0.4]]))[0] in (3, 4)


def test_then_the_farthest():
    # 1 covers 0 to 2; nothing is left to cover, and 0 and 2 are equally far
    x = torch.tensor([[0.0], [1.0], [1.9]])
    assert select(x, 3) == [1, 0, 2]
    assert select(x, 3, labelled=torch.tensor([[0.1], [1.0], [1.2]])) == [2, 0, 1]


def test_forbidden_frames_are_covered_but_not_picked():
    x = torch.tensor([[0.0], [1.0], [2.0], [9.0]])
    picks = select(x, 2, constraint=Constraint(4, np.array([False, True, False, False])))
    # 0 and 2 each cover two; 9 covers itself, as does the other of the two
    assert picks[0] in (0, 2)


class TestRadius:
    x = torch.cat([c + torch.randn(50, 2, generator=torch.Generator().manual_seed(c)) for c in (0, 6, 12)]).double()

    def purity(self, delta, labels):
        inside = cdist(self.x, self.x) <= delta
        return np.mean([len(set(labels[ball])) == 1 for ball in inside])

    @pytest.mark.parametrize("purity", [1.0, 0.95, 0.6, 1e-9])
    def test_is_the_largest_at_which_enough_balls_are_pure(self, purity):
        labels = k_means(self.x, 4, seed=0)
        delta = ProbCover(purity=purity, clusters=4).purest_radius(FeatureEmbedding(self.x, torch.zeros(2)))
        assert self.purity(delta, labels) >= purity
        if purity > 1e-9:
            assert self.purity(delta * (1 + 1e-9), labels) < purity
        record("radius of ProbCover", "purity of all balls counted", max(0.0, purity - self.purity(delta, labels)))

    def test_is_measured_on_some_frames_of_a_large_pool(self, monkeypatch):
        monkeypatch.setattr(prob_cover, "ROWS", 64)
        some = ProbCover(clusters=4).purest_radius(FeatureEmbedding(self.x, torch.zeros(2)))
        assert some == ProbCover(clusters=4).purest_radius(FeatureEmbedding(self.x[:64], torch.zeros(2)))

    def test_of_frames_all_the_same_is_nothing(self):
        assert ProbCover().purest_radius(FeatureEmbedding(torch.ones(5, 2), torch.ones(2))) == 0.0

    def test_is_used(self):
        # about the origin that the selector takes: a radius from other roundings may leave out a frame on the edge
        delta = ProbCover(clusters=4).purest_radius(FeatureEmbedding(self.x, middle(self.x, np.arange(150))))
        pool = Candidates(np.arange(150, dtype=np.uint64), features=self.x)
        chosen, given = (
            s(pool, 20, np.random.default_rng(0)).tolist() for s in (ProbCover(clusters=4), ProbCover(delta))
        )
        assert chosen == given
        assert given != ProbCover(2 * delta)(pool, 20, np.random.default_rng(0)).tolist()


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"delta": -1.0}, "delta of ProbCover must be 0 or more"),
        ({"purity": 0.0}, "purity of ProbCover must be above 0 and at most 1, not 0"),
        ({"purity": 1.1}, "purity of ProbCover"),
        ({"clusters": 1}, "clusters of ProbCover must be 2 or more, not 1"),
    ],
)
def test_impossible_arguments_are_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        ProbCover(**arguments)


def test_a_large_pool_is_represented_by_the_smallest_hashes(monkeypatch):
    """Counted by hand on those; every frame may be picked."""
    monkeypatch.setattr(prob_cover, "_EXACT", 50)
    monkeypatch.setattr(prob_cover, "_REPRESENTED", 30)
    x = torch.randn(90, 2, generator=torch.Generator().manual_seed(0))
    hashes = tie_break(0, frame_ids(90))
    order = np.argsort(hashes)
    inside = cdist(x, x[order[:30]]) <= 0.7  # [N, R]
    expected = []
    for _ in range(6):
        gain = inside.sum(axis=1)
        best = next(i for i in order if gain[i] == gain.max())
        expected.append(int(best))
        inside[:, inside[best]] = False
    picks = ProbCover(0.7)(Candidates(hashes, features=x), 6, np.random.default_rng(0)).tolist()
    assert picks == expected
    assert not set(picks) <= set(order[:30].tolist())


def test_covering_goes_on_when_it_is_another_patient_s_turn():
    """The first that may be picked cover nothing new, those of the other patient do."""
    x = torch.tensor([0, 0.1, 0.2, 10, 10.1, 20, 20.1, 20.2, 30, 30.1, 0.05, 0.15])[:, None]
    pool = Candidates(np.arange(12, dtype=np.uint64), features=x)
    patients = np.array([0] * 10 + [1] * 2)
    why: dict[int, str] = {}
    constraint = Constraint(12, rules=[Cap(1, patients, told=False)])
    picks = ProbCover(delta=0.5)(pool, 5, np.random.default_rng(0), constraint, why).tolist()
    assert picks[0] == 0  # covers the most, with the lowest hash
    assert picks[1] in (10, 11)  # the other patient, whose frames are covered
    assert picks[2] == 5  # three frames that nobody covers, and not the farthest
    assert why == {picks[1]: "far from all that is covered"} | {p: why[p] for p in picks[3:] if p in why}
