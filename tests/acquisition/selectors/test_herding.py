import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids, tensors
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import normalize

from mtal.acquisition.selectors import Candidates, Constraint, Herding, tie_break
from mtal.acquisition.selectors.herding import closest


class TestHerding(SelectorAxioms):
    selector = Herding()


class TestHerdingWithoutUtility(SelectorAxioms):
    selector = Herding(gamma=0.0)


def test_the_reason_is_what_was_read():
    assert Herding(gamma=0.0).reason(1) == "stands for frames like it"
    assert Herding().reason(1) == "stands for uncertain frames like it"


class TestHerdingOfFewFrames(SelectorAxioms):
    selector = Herding(max_reference=9)


def select(x, budget, labelled=None, selector=None, utility=None, constraint=None):
    pool = Candidates(tie_break(0, frame_ids(len(x))), utility, features=x, labelled_features=labelled)
    return (selector or Herding(gamma=0.0))(pool, budget, np.random.default_rng(0), constraint).tolist()


def covered(kernel, weight, chosen, before):
    """Σᵢ uᵢ·max k, what the picks are to make large; ``kernel [candidates, represented]``."""
    return weight @ np.maximum(before, kernel[chosen].max(axis=0, initial=0))


def greedy(x, budget, weight, radius, labelled=None, represented=None):
    """All coverages at every pick, the smallest hash among equals."""
    x = normalize(x.double().numpy())
    reference = x if represented is None else x[represented]
    kernel = rbf_kernel(x, reference, gamma=radius**-2)
    before = np.zeros(len(reference))
    if labelled is not None:
        before = rbf_kernel(normalize(labelled.double().numpy()), reference, gamma=radius**-2).max(axis=0)
    chosen, hashes = [], tie_break(0, frame_ids(len(x)))
    for _ in range(budget):
        values = np.array([covered(kernel, weight, [*chosen, j], before) for j in range(len(x))])
        values[chosen] = -np.inf
        best = np.flatnonzero(values >= values.max() - 1e-9)
        chosen.append(int(best[np.argmin(hashes[best])]))
    return chosen


@pytest.mark.parametrize("radius", [0.05, 1.0])
@pytest.mark.parametrize("labelled", [0, 6])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_brute_force(seed, labelled, radius):
    utility, _, x = tensors(66, seed)[:3]
    seen, pool, utility = x[:labelled], x[labelled:], utility[labelled:]
    weight = ((utility - utility.min()) / (utility.max() - utility.min())).numpy()
    picks = select(pool, 15, seen, Herding(radius=radius), utility)
    expected = greedy(pool, 15, weight, radius, seen if labelled else None)
    record("herding", "all coverages at every pick", float(picks != expected))
    assert picks == expected


def test_the_radius_is_the_smallest_distance_between_labelled_frames():
    x = tensors(60)[2]
    seen, pool = torch.cat([x[:8], x[:1]]), x[8:]  # one frame stands twice
    unit = normalize(seen[:8].double().numpy())
    radius = min(np.linalg.norm(unit[i] - unit[j]) for i in range(8) for j in range(i))
    assert closest(torch.from_numpy(normalize(seen.double().numpy()))) == pytest.approx(radius, rel=1e-6)
    assert select(pool, 12, seen) == greedy(pool, 12, np.ones(len(pool)), radius, seen)


def test_the_same_picture_of_another_batch_does_not_collapse_the_radius():
    x = torch.nn.functional.normalize(torch.randn(6, 8, generator=torch.manual_seed(0)), dim=1)
    copy = x[:1] * (1 + 2e-7 * torch.randn(8, generator=torch.manual_seed(1)))
    assert closest(torch.cat([x, copy])) == pytest.approx(closest(x), rel=1e-3)


def test_the_radius_is_one_where_no_two_labelled_frames_differ():
    x = tensors(40)[2]
    assert select(x, 8) == greedy(x, 8, np.ones(40), 1.0)
    assert select(x[1:], 8, x[[0, 0]]) == greedy(x[1:], 8, np.ones(39), 1.0, x[[0]])


def test_few_frames_stand_for_the_pool():
    x = tensors(50)[2]
    few = np.argsort(tie_break(0, frame_ids(50)))[:20]
    picks = select(x, 8, selector=Herding(gamma=0.0, max_reference=20))
    assert picks == greedy(x, 8, np.ones(20), 1.0, represented=few)


def test_the_length_of_features_does_not_matter():
    x = tensors(50)[2]
    assert select(x * torch.linspace(1, 9, 50)[:, None], 8) == select(x, 8)


def test_a_small_radius_takes_the_most_uncertain():
    """Nothing covers anything but itself then, which is uncertainty sampling; a large one covers everything at once."""
    utility, _, x = tensors(40)[:3]
    assert select(x, 6, selector=Herding(radius=1e-6), utility=utility) == utility.argsort(descending=True)[:6].tolist()


def test_forbidden_frames_are_covered_but_not_picked():
    x = torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [0.0, 1.0], [-0.1, 1.0]])
    assert select(x, 2, constraint=Constraint(5, np.array([False, True, False, True, False]))) == [2, 4]


@pytest.mark.parametrize("radius", [0.0, -1.0, float("inf")])
def test_radius_out_of_range(radius):
    with pytest.raises(ValueError, match=f"radius of herding must be above 0.*{radius}"):
        Herding(radius=radius)


def test_max_reference_out_of_range():
    with pytest.raises(ValueError, match="max_reference of herding must be 1 frame or more, not 0"):
        Herding(max_reference=0)
