"""What every selector must do."""

import numpy as np
import pytest
import torch

from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding
from mtal.acquisition.moments import Moments
from mtal.acquisition.selectors import Candidates, Constraint, MinimumGap, tie_break


def frame_ids(frames):
    return [f"video{i // 10:02d}/{i:06d}" for i in range(frames)]


def make(utility, left, features, labelled=None, ids=None):
    """Candidates that bring everything; ``left`` ``[N, C]`` and ``features`` ``[N, D]`` also make the gradients."""
    embedding = JointGradientEmbedding({"tools": GradientBlock(left, features), "anatomy": GradientBlock(left * 2)})
    hashes = tie_break(0, ids if ids is not None else frame_ids(len(utility)))
    return Candidates(hashes, utility, embedding, features, labelled)


def tensors(frames, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.rand(frames, generator=generator, dtype=torch.float64),
        torch.randn(frames, 3, generator=generator, dtype=torch.float64),
        torch.randn(frames, 4, generator=generator, dtype=torch.float64),
    )


def random_candidates(frames=30, seed=0):
    return make(*tensors(frames, seed))


class SelectorAxioms:
    selector = None
    spreads = False  # picks duplicates of picked frames last
    seeded = False  # depends on the generator

    def picks(self, candidates, budget, seed=0, constraint=None):
        chosen = self.selector(candidates, budget, np.random.default_rng(seed), constraint)
        assert chosen.dtype == torch.int64
        return chosen.tolist()

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
        assert self.picks(random_candidates(), 10, seed=3) == self.picks(random_candidates(), 10, seed=3)

    def test_other_seeds(self):
        runs = {tuple(self.picks(random_candidates(), 10, seed=seed)) for seed in range(8)}
        assert (len(runs) > 1) == self.seeded

    def test_global_random_state_is_neither_read_nor_moved(self):
        first = self.picks(random_candidates(), 10)
        torch.manual_seed(123)
        state = torch.get_rng_state()
        assert self.picks(random_candidates(), 10) == first
        assert torch.equal(torch.get_rng_state(), state)

    def test_smaller_budget_is_the_start_of_a_larger_one(self):
        assert self.picks(random_candidates(), 20)[:6] == self.picks(random_candidates(), 6)

    def test_order_of_candidates_does_not_matter(self):
        parts, ids = tensors(30), frame_ids(30)
        order = np.random.default_rng(5).permutation(30)
        moved = make(*(part[order] for part in parts), ids=[ids[i] for i in order])
        assert [int(order[i]) for i in self.picks(moved, 12)] == self.picks(make(*parts), 12)

    def test_pitfall_13_all_equal_frames_do_not_favour_the_start_of_the_file(self):
        same = make(torch.full((60,), 0.5), torch.ones(60, 3), torch.ones(60, 4))
        picks = self.picks(same, 12)
        assert len(set(picks)) == 12
        assert sorted(picks) != list(range(12))
        assert 15 < np.mean(picks) < 45

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
        video, time_s = np.arange(30) // 10, np.arange(30) % 10
        gap = MinimumGap(3.0, Moments(video, time_s))
        picks = self.picks(random_candidates(), 5, constraint=gap)
        for k, i in enumerate(picks):
            assert all(video[i] != video[j] or abs(time_s[i] - time_s[j]) >= 3 for j in picks[:k])

    def test_minimum_gap_gives_way_to_the_budget(self):
        gap = MinimumGap(100.0, Moments(np.zeros(30), np.arange(30.0)))
        with pytest.warns(UserWarning, match="halved") as caught:
            picks = self.picks(random_candidates(), 30, constraint=gap)
        assert sorted(picks) == list(range(30))
        assert len(caught) == 1

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
