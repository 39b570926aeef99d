from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, frame_ids, random_candidates
from scipy.stats import chisquare

from mtal.acquisition.selectors import Candidates, Cap, ClassStratified, Constraint, TopK, tie_break
from mtal.tasks.posterior import HeadOutput


class TestClassStratified(SelectorAxioms):
    selector = ClassStratified()
    seeded = True


QUIET = 60  # a round in which nothing is left of the noise


def shows(*frames, family="bernoulli"):
    """A head of one site in which each class is predicted in the frames that are given, each a string of 0 and 1."""
    answer = torch.tensor([[float(bit) for bit in frame] for frame in frames])
    return HeadOutput(family, (0.05 + 0.9 * answer if family == "bernoulli" else answer)[:, None])


def candidates(utility, round_number=QUIET, **posterior):
    hashes = np.arange(len(utility), dtype=np.uint64)
    utility = torch.tensor(utility, dtype=torch.float64)
    return Candidates(hashes, utility=utility, posterior=posterior, round_number=round_number)


def select(pool, budget, constraint=None, seed=0, **parameters):
    return ClassStratified(**parameters)(pool, budget, np.random.default_rng(seed), constraint).tolist()


def test_worked_example_over_two_heads():
    # strata: hook {1, 4}, grasper {0, 1, 2, 3}, bleeding {5}; utilities fall from 0 to 6
    tools = shows("10", "11", "10", "10", "01", "00", "00")
    bleeding = shows("0", "0", "0", "0", "0", "1", "0")
    pool = candidates([0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1], tools=tools, bleeding=bleeding)
    # 5, the only bleeding; 1, the best hook, and a grasper; 0 by utility; all strata but bleeding, which has no frame
    # left, have 1 or 2: hook 4; grasper (2) 2, hook (2) has none left; 3 by utility; 6 when no stratum has any left
    assert select(pool, 7) == [5, 1, 0, 4, 2, 3, 6]


def test_class_that_no_frame_predicts_goes_by_its_likeliest_site():
    probs = torch.tensor([[[0.9, 0.1], [0.7, 0.3]], [[0.8, 0.2], [0.8, 0.2]], [[0.6, 0.4], [1.0, 0.0]]])  # [N, G, C]
    pool = candidates([0.0, 0.0, 0.0], anatomy=HeadOutput("categorical", probs, grid=(1, 2)))
    assert select(pool, 1) == [2]


def test_all_picks_by_utility_when_nothing_is_stratified():
    pool = replace(random_candidates(), round_number=QUIET)
    assert select(pool, 12, stratified=0.0) == TopK()(pool, 12, np.random.default_rng(0)).tolist()


@pytest.mark.parametrize(("stratified", "expected"), [(2 / 3, 20), (0.5, 15), (1.0, 30), (0.1, 3)])
def test_share_of_the_picks_that_go_by_strata(stratified, expected):
    # class 1 is in the 30 frames of lowest utility of 90, so only strata reach it; class 0 is in the other 60
    pool = candidates([1 - i / 100 for i in range(90)], phase=shows(*["10"] * 60, *["01"] * 30, family="categorical"))
    picks = select(pool, 30, stratified=stratified)
    low = sum(i >= 60 for i in picks)
    # the first pick is of the rarer class; a pick by utility alone is of class 0, which then has its turn later
    balanced = min(15, expected)
    assert low == balanced


def test_batch_holds_every_class_of_every_head():
    """Strata by brute force: 27 picks of 400 frames hold 13 classes, the rarest of 1 % among them."""
    generator = torch.Generator().manual_seed(0)
    rates = torch.tensor([0.5, 0.3, 0.1, 0.05, 0.02, 0.01])
    tools = (torch.rand(400, 6, generator=generator) < rates).double()
    bleeding = (torch.rand(400, 1, generator=generator) < 0.03).double()
    organs = torch.randint(0, 5, (400, 4), generator=generator)
    organs[organs == 4] = (torch.rand(int((organs == 4).sum()), generator=generator) < 0.02).long() * 4
    posterior = {
        "tools": HeadOutput("bernoulli", tools[:, None]),
        "bleeding": HeadOutput("bernoulli", bleeding[:, None]),
        "anatomy": HeadOutput("categorical", torch.nn.functional.one_hot(organs, 5).double(), grid=(2, 2)),
    }
    utility = torch.rand(400, generator=generator)
    pool = Candidates(tie_break(0, frame_ids(400)), utility=utility, posterior=posterior)
    picks = select(pool, 27)
    present = torch.cat([tools, bleeding, torch.stack([(organs == c).any(dim=1) for c in range(5)], dim=1)], dim=1) > 0
    counts = present[picks].sum(dim=0)
    missing = float((counts == 0).sum())
    record("class-stratified", "classes of a batch missed that the pool holds", missing)
    assert present.any(dim=0).all()
    assert missing == 0
    assert counts.min() >= min(present.sum(dim=0).min(), 27 * 2 // 3 // 12)


def test_class_predicted_nowhere_takes_its_likeliest_frame():
    probs = torch.tensor([[0.9, 0.1], [0.9, 0.4], [0.2, 0.3], [0.9, 0.2]])[:, None]
    pool = candidates([0.9, 0.5, 0.4, 0.3], tools=HeadOutput("bernoulli", probs))
    assert select(pool, 3) == [1, 2, 0]  # p = 0.4, which also shows class 0; p = 0.3 of the rarer one; best utility
    excluded = np.array([False, True, False, False])
    assert select(pool, 1, Constraint(4, excluded)) == [2]  # p = 0.3


def test_class_in_every_frame_is_no_stratum():
    everywhere = shows("100", "100", "101", "110", family="bernoulli")
    pool = candidates([0.9, 0.8, 0.1, 0.2], organs=everywhere)
    assert select(pool, 3, stratified=1.0) == [3, 2, 0]


def test_pixel_head_counts_any_valid_cell():
    cells = torch.tensor([[[0.9, 0.1], [0.9, 0.1]], [[0.9, 0.1], [0.2, 0.8]], [[0.9, 0.1], [0.3, 0.7]]])
    valid = torch.tensor([[True, True], [True, False], [True, True]])
    for family in ("categorical", "bernoulli"):
        pool = candidates([0.9, 0.8, 0.1], organs=HeadOutput(family, cells, valid, grid=(1, 2)))
        assert select(pool, 1) == [2]


def test_categorical_head_predicts_the_likeliest_class():
    # predicted: 0, 0, 1; the least likely are 1, 2, 2
    probs = torch.tensor([[0.5, 0.1, 0.4], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])[:, None]
    pool = candidates([0.9, 0.8, 0.1], phase=HeadOutput("categorical", probs))
    # class 2 is predicted nowhere and likeliest in 0, which shows class 0 too; then the rarer of the others
    assert select(pool, 2, stratified=1.0) == [0, 2]


def test_noise_may_stay():
    pool = candidates([0.2, 0.4, 0.8], 50, tools=shows("0", "0", "0"))
    selector, generator = ClassStratified(stratified=0.0, decay=1.0), np.random.default_rng(0)
    assert len({selector(pool, 1, generator).item() for _ in range(50)}) == 3


def test_ties_between_strata_do_not_go_by_the_order_of_the_heads():
    heads = {"a": shows("1", "0", "0"), "b": shows("0", "1", "0")}
    first = candidates([0.1, 0.1, 0.9], **heads)
    second = candidates([0.1, 0.1, 0.9], **dict(reversed(heads.items())))
    assert select(first, 3) == select(second, 3)


def test_noise_is_power_noise_that_decays():
    """Without strata, the first pick has P(i) ∝ uᵢ^β with β = 1, then 1/0.5 = 2 and 4 in the rounds after."""
    utility = [0.2, 0.4, 0.8]
    for round_number, beta in ((1, 1.5), (2, 3.0), (3, 6.0)):
        pool = candidates(utility, round_number, tools=shows("0", "0", "0"))
        generator = np.random.default_rng(round_number)
        selector = ClassStratified(stratified=0.0, beta=1.5, decay=0.5)
        drawn = [selector(pool, 1, generator).item() for _ in range(600)]
        weight = np.array(utility) ** beta
        assert chisquare(np.bincount(drawn, minlength=3), weight / weight.sum() * 600).pvalue > 0.001


def test_strata_without_allowed_frames_are_passed_over():
    # both frames of the rare class are of one video, of which the cap admits one
    pool = candidates([0.9, 0.8, 0.3, 0.2, 0.1], tools=shows("10", "10", "01", "01", "10"))
    cap = Cap(1, np.array([0, 1, 2, 2, 3]))
    assert select(pool, 3, Constraint(5, rules=[cap]), stratified=1.0) == [2, 0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stratified": 1.1}, "stratified of class_stratified must be a share from 0 to 1, not 1.1"),
        ({"beta": -1.0}, "beta of class_stratified must be 0 or more, not -1"),
        ({"decay": 0.0}, "decay of class_stratified must be above 0 and at most 1, not 0"),
        ({"decay": 1.5}, "decay of class_stratified"),
    ],
)
def test_impossible_parameters_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        ClassStratified(**arguments)


def test_beta_0_looks_at_no_utility():
    tools = shows("10", "10", "10", "01", "00", "00")
    bare = Candidates(np.arange(6, dtype=np.uint64), posterior={"tools": tools})
    assert "utility" not in ClassStratified(beta=0.0).needs
    told = candidates([9.0, 0.1, 0.1, 0.1, 0.1, 0.1], tools=tools)
    for seed in range(5):
        assert select(bare, 6, seed=seed, beta=0.0) == select(told, 6, seed=seed, beta=0.0)


def test_says_which_stratum_a_pick_fills():
    tools = shows("10", "10", "01", "00")
    why = {}
    pool = replace(candidates([0.9, 0.8, 0.7, 0.6], tools=tools), classes={"tools": ("hook", "clip")})
    picks = ClassStratified()(pool, 4, np.random.default_rng(0), None, why).tolist()
    assert picks == [2, 0, 1, 3]
    assert why[2] == "for the share of tools: clip, predicted in 1 frames"
    assert why[0] == "for the share of tools: hook, predicted in 2 frames"
    assert why[1] == why[3] == "among the highest utilities, with chance"
    bare, why = candidates([0.9, 0.8, 0.7], tools=shows("10", "10", "00")), {}
    ClassStratified()(bare, 1, np.random.default_rng(0), None, why)
    assert list(why.values()) == ["likeliest to show tools class 1, which is predicted in no frame"]
