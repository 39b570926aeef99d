"""What every selector must do."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from mtal.acquisition.fisher import fisher_factor
from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding
from mtal.acquisition.moments import Moments
from mtal.acquisition.selectors import Candidates, Cap, Constraint, CostBudget, MinimumGap, tie_break
from mtal.acquisition.shown import Shown
from mtal.tasks.posterior import HeadOutput


def frame_ids(frames):
    return [f"video{i // 10:02d}/{i:06d}" for i in range(frames)]


def make(utility, left, features, labelled=None, ids=None):
    """Candidates that bring everything, all of it made of ``left`` ``[N, C]`` and ``features`` ``[N, D]``."""
    ids = ids if ids is not None else frame_ids(len(utility))
    embedding = JointGradientEmbedding({"tools": GradientBlock(left, features), "anatomy": GradientBlock(left * 2)})
    return Candidates(
        tie_break(0, ids),
        utility,
        embedding,
        features,
        labelled,
        posterior={**frame_heads(left, features), "anatomy": pixel_head(left, features)},
        fisher={
            **{task: fisher_factor(head, max_dim=None) for task, head in frame_heads(left, features).items()},
            "anatomy": fisher_factor(pixel_head(left, features), max_dim=8, rank=4),
        },
        members=frame_heads(torch.stack([left + step * features[:, :1] for step in (-1, 0, 2)]), features),
        moments=moments(ids),
        shown=shown(left, moments(ids).video),
        hidden={"tools": (left > 0).double().numpy(), "anatomy": (left < 0).double().numpy()},
    )


def shown(left, patients):
    """Two heads, five labelled frames of the first two patients; predictions say something, and so do utilities."""
    C = left.shape[1]
    labelled = np.arange(5 * C).reshape(5, C) % 3 == 0
    heads = {"tools": left.sigmoid(), "anatomy": (-left).sigmoid()}
    return Shown(
        classes={task: tuple(f"{task}{c}" for c in range(C)) for task in heads},
        expected={task: p.double().numpy() for task, p in heads.items()},
        known={task: labelled.astype(float) for task in heads},
        headroom={task: np.linspace(0.2, 0.8, C) for task in heads},
        absence=frozenset({"tools"}),
        patients=patients.astype(np.int64),
        labelled_patients=np.array([0, 0, 1, 0, 1]),
        alike=0.4,
        trust=0.5,
    )


def frame_heads(logits, features):
    """Tools and bleeding (Bernoulli) and phase (categorical) from ``[N, C]`` or ``[K, N, C]``."""
    logits, h = logits.unsqueeze(-2), features.unsqueeze(-2)  # one site
    return {
        "tools": HeadOutput("bernoulli", logits.sigmoid(), features=h, bias=False),
        "bleeding": HeadOutput("bernoulli", (logits[..., :1] - 1).sigmoid(), features=h, bias=False),
        "phase": HeadOutput("categorical", (2 * logits).softmax(dim=-1), features=h, bias=False),
    }


def pixel_head(logits, features):
    """Anatomy on a grid of 2 × 2 cells, from ``[N, C]`` and ``[N, D]``."""
    cells = features[:, torch.arange(4) % features.shape[1]]  # [N, 4]
    shifted = logits.unsqueeze(1) + cells.unsqueeze(2) * torch.linspace(-1, 1, logits.shape[1], dtype=logits.dtype)
    h = features.unsqueeze(1) * torch.linspace(0.5, 2, 4, dtype=features.dtype)[:, None]  # [N, 4, D]
    return HeadOutput("categorical", shifted.softmax(dim=-1), features=h, bias=False, grid=(2, 2))


def moments(ids):
    """Video and time of ``frame_ids``, one frame a second."""
    parts = [frame_id.removeprefix("video").split("/") for frame_id in ids]
    return Moments(np.array([int(video) for video, _ in parts]), np.array([float(frame) for _, frame in parts]))


def tensors(frames, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(frames, generator=generator, dtype=torch.float64),
        torch.randn(frames, 3, generator=generator, dtype=torch.float64),
        torch.randn(frames, 4, generator=generator, dtype=torch.float64),
    )


@cache
def random_candidates(frames=30, seed=0):
    """Shared by all tests: no selector may write into them."""
    return make(*tensors(frames, seed))


def smallest_gap(picks, moments):
    """Seconds between the closest two picks of one video."""
    return min(
        abs(moments.time_s[i] - moments.time_s[j])
        for k, i in enumerate(picks)
        for j in picks[:k]
        if moments.video[i] == moments.video[j]
    )


class SelectorAxioms:
    selector = None
    spreads = False  # picks duplicates of picked frames last
    seeded = False  # depends on the generator
    prefix_stable = True  # a smaller budget is the start of a larger one

    def picks(self, candidates, budget, seed=0, constraint=None):
        chosen = self.selector(candidates, budget, np.random.default_rng(seed), constraint)
        assert chosen.dtype == torch.int64
        return chosen.tolist()

    def test_says_by_what_it_picks(self):
        assert self.selector.reason(1) or self.selector.needs == {"utility"}

    @pytest.mark.parametrize("budget", [1, 2, 7, 29, 30])
    def test_exact_budget_of_distinct_frames(self, budget):
        picks = self.picks(random_candidates(), budget)
        assert len(picks) == len(set(picks)) == budget
        assert set(picks) <= set(range(30))

    def test_budget_beyond_the_pool_takes_all_and_says_so(self):
        with pytest.warns(UserWarning, match="the budget is 31 frames but only 30 are left"):
            picks = self.picks(random_candidates(), 31)
        assert sorted(picks) == list(range(30))

    def test_empty_pool_says_so(self):
        nobody = Constraint(30, np.ones(30, dtype=bool))
        with pytest.warns(UserWarning, match="only 0 are left"):
            assert self.picks(random_candidates(), 3, constraint=nobody) == []

    @pytest.mark.parametrize("budget", [0, -1])
    def test_budget_below_one_is_refused(self, budget):
        with pytest.raises(ValueError, match=f"1 frame or more, not {budget}"):
            self.picks(random_candidates(), budget)

    def test_one_frame(self):
        assert self.picks(random_candidates(1), 1) == [0]

    def test_same_seed_same_picks(self):
        again = make(*tensors(30))
        assert self.picks(random_candidates(), 10, seed=3) == self.picks(again, 10, seed=3)

    def test_other_seeds(self):
        first = self.picks(random_candidates(), 10)
        assert any(self.picks(random_candidates(), 10, seed=seed) != first for seed in range(1, 5)) == self.seeded

    def test_global_random_state_is_neither_read_nor_moved(self):
        first = self.picks(random_candidates(), 10)
        torch.manual_seed(123)
        state = torch.get_rng_state()
        assert self.picks(random_candidates(), 10) == first
        assert torch.equal(torch.get_rng_state(), state)

    def test_smaller_budget_is_the_start_of_a_larger_one(self):
        is_start = self.picks(random_candidates(), 20)[:6] == self.picks(random_candidates(), 6)
        assert is_start == self.prefix_stable

    def test_order_of_candidates_does_not_matter(self):
        parts, ids = tensors(30), frame_ids(30)
        order = np.random.default_rng(5).permutation(30)
        moved = make(*(part[order] for part in parts), ids=[ids[i] for i in order])
        assert [int(order[i]) for i in self.picks(moved, 12)] == self.picks(make(*parts), 12)

    def test_pitfall_13_all_equal_frames_do_not_favour_the_start_of_the_file(self):
        same = make(torch.full((60,), 0.5), torch.ones(60, 3), torch.ones(60, 4))
        means = []
        for seed in range(8):
            picks = self.picks(replace(same, tie_break=tie_break(seed, frame_ids(60))), 12)
            assert len(set(picks)) == 12
            assert sorted(picks) != list(range(12))
            means.append(np.mean(picks))
        assert 20 < np.mean(means) < 39  # the middle is 29.5

    def test_pitfall_14_all_zero_gradients_and_features(self):
        with pytest.warns(UserWarning, match="zero on every frame"):
            nothing = make(torch.zeros(20), torch.zeros(20, 3), torch.zeros(20, 4))
        assert sorted(self.picks(nothing, 20)) == list(range(20))

    def test_pitfall_14_duplicates_of_picks_come_last(self):
        # 5 different frames, each 8 times
        parts = [part.repeat(8, *[1] * (part.ndim - 1)) for part in tensors(5)]
        picks = self.picks(make(*parts), 40)
        assert sorted(picks) == list(range(40))
        if self.spreads:
            assert {i % 5 for i in picks[:5]} == set(range(5))

    def test_excluded_frames_are_never_picked(self):
        excluded = np.arange(30) % 3 == 0
        picks = self.picks(random_candidates(), 20, constraint=Constraint(30, excluded))
        assert sorted(picks) == [i for i in range(30) if i % 3]

    def test_minimum_gap_is_kept(self):
        # three videos of ten frames a second apart: at 3 s each video has room for four
        candidates = random_candidates()
        gap = MinimumGap(3.0, candidates.moments)
        picks = self.picks(candidates, 5, constraint=Constraint(30, rules=[gap]))
        assert len(picks) == 5
        assert smallest_gap(picks, candidates.moments) >= 3

    def test_minimum_gap_gives_way_to_the_budget(self):
        gap = MinimumGap(100.0, Moments(np.zeros(30), np.arange(30.0)))
        with pytest.warns(UserWarning, match="halved") as caught:
            picks = self.picks(random_candidates(), 30, constraint=Constraint(30, rules=[gap]))
        assert sorted(picks) == list(range(30))
        assert len(caught) == 1

    def test_cap_is_kept(self):
        candidates = random_candidates()
        cap = Cap(2, candidates.moments.video)
        picks = self.picks(candidates, 6, constraint=Constraint(30, rules=[cap]))
        assert np.bincount(candidates.moments.video[picks]).tolist() == [2, 2, 2]

    def test_cap_gives_way_to_the_budget(self):
        candidates = random_candidates()
        cap = Cap(2, candidates.moments.video)
        with pytest.warns(UserWarning, match="raised by one") as caught:
            picks = self.picks(candidates, 12, constraint=Constraint(30, rules=[cap]))
        assert np.bincount(candidates.moments.video[picks]).tolist() == [4, 4, 4]
        assert len(caught) == 1

    def test_cost_budget_ends_the_batch_without_a_warning(self):
        cost_s = np.random.default_rng(7).uniform(10, 60, 30)
        picks = self.picks(random_candidates(), 30, constraint=Constraint(30, rules=[CostBudget(200.0, cost_s)]))
        spent = cost_s[picks].sum()
        assert len(picks) == len(set(picks)) >= 3
        assert spent <= 200
        assert spent + np.delete(cost_s, picks).min() > 200

    def test_cost_budget_that_no_frame_fits_says_so(self):
        constraint = Constraint(30, rules=[CostBudget(5.0, np.full(30, 8.0))])
        with pytest.warns(UserWarning, match="the cost budget is 5 s but the cheapest frame left costs 8 s"):
            assert self.picks(random_candidates(), 30, constraint=constraint) == []

    def test_rules_hold_together(self):
        candidates = random_candidates()
        cost_s = np.where(np.arange(30) % 5 == 2, 500.0, 30.0)
        rules = [
            MinimumGap(2.0, candidates.moments),
            Cap(2, candidates.moments.video),
            CostBudget(170.0, cost_s),
        ]
        picks = self.picks(candidates, 6, constraint=Constraint(30, np.arange(30) % 7 == 0, rules))
        assert len(picks) == 5  # 150 s
        assert not {i for i in picks if i % 7 == 0 or i % 5 == 2}
        assert smallest_gap(picks, candidates.moments) >= 2
        assert np.bincount(candidates.moments.video[picks]).max() <= 2

    def test_gap_and_cap_give_way_to_the_budget_with_one_warning_each(self):
        candidates = random_candidates()
        rules = [MinimumGap(6.0, candidates.moments), Cap(1, candidates.moments.video)]
        with pytest.warns(UserWarning, match=r"gap is halved|cap is raised") as caught:
            picks = self.picks(candidates, 30, constraint=Constraint(30, rules=rules))
        assert sorted(picks) == list(range(30))
        assert sorted("cap" in str(warning.message) for warning in caught) == [False, True]

    def test_constraint_of_another_pool_is_refused(self):
        with pytest.raises(ValueError, match="on 29 frames but there are 30"):
            self.picks(random_candidates(), 3, constraint=Constraint(29))

    def test_missing_needs_are_named(self):
        bare = Candidates(tie_break(0, frame_ids(5)))
        if not self.selector.needs:
            assert len(self.picks(bare, 5)) == 5
            return
        with pytest.raises(ValueError, match=f"needs {', '.join(sorted(self.selector.needs))} of"):
            self.picks(bare, 2)

    def test_nan_utility_never_wins(self):
        utility, left, features = tensors(30)
        utility[4] = torch.nan
        candidates = make(utility, left, features)
        if "utility" in self.selector.needs:
            with pytest.raises(ValueError, match="1 utilities are not finite, the first at position 4"):
                self.picks(candidates, 3)
        kept = self.picks(candidates, 29, constraint=Constraint(30, utility.isnan().numpy()))
        assert sorted(kept) == [i for i in range(30) if i != 4]
