"""What every fusion rule must do."""

import math

import pytest
import torch

TASKS = ("tools", "bleeding", "anatomy")


def random_scores(frames=30, seed=0):
    return torch.rand(frames, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class FusionAxioms:
    rule = None
    invariant_to_monotone_maps = False
    every_head_counts = True

    def test_one_utility_per_frame_in_float64(self):
        utility = self.rule(random_scores().float(), tasks=TASKS)
        assert utility.shape == (30,)
        assert utility.dtype == torch.float64
        assert utility.isfinite().all()

    def test_order_of_frames_does_not_matter(self):
        scores = random_scores()
        order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(self.rule(scores[order], tasks=TASKS), self.rule(scores, tasks=TASKS)[order])

    def test_order_of_heads_does_not_matter(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        order = [2, 0, 1]
        moved = self.rule(scores[:, order], weights[order], [TASKS[t] for t in order])
        torch.testing.assert_close(moved, self.rule(scores, weights, TASKS))

    def test_duplicates_get_equal_utilities(self):
        scores = random_scores()
        scores[17] = scores[2]
        utility = self.rule(scores, tasks=TASKS)
        assert utility[17] == utility[2]

    def test_all_equal_scores_give_equal_utilities(self):
        assert len(self.rule(torch.full((5, 3), 0.3), tasks=TASKS).unique()) == 1

    def test_a_frame_better_for_every_head_is_not_worse(self):
        scores = random_scores()
        better = (scores[:, None] >= scores[None]).all(dim=2)  # [N, N]
        utility = self.rule(scores, torch.tensor([1.0, 2.0, 0.5]), TASKS)
        assert better.sum() > 30
        assert (utility[:, None] >= utility[None] - 1e-12)[better].all()

    def test_raising_the_scores_of_a_frame_does_not_lower_it(self):
        scores = random_scores()
        raised = scores.clone()
        raised[4] += 0.3
        before, after = self.rule(scores, tasks=TASKS), self.rule(raised, tasks=TASKS)
        assert (after > after[4]).sum() <= (before > before[4]).sum()

    def test_only_ratios_of_weights_matter_for_the_order(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        order = self.rule(scores, weights, TASKS).argsort(descending=True, stable=True)
        assert torch.equal(self.rule(scores, weights * 8, TASKS).argsort(descending=True, stable=True), order)

    def test_head_of_weight_zero_has_no_say(self):
        scores, weights = random_scores(), torch.tensor([1.0, 0.0, 2.0])
        other = scores.clone()
        other[:, 1] = other[:, 1].flip(0) * 50
        torch.testing.assert_close(self.rule(other, weights, TASKS), self.rule(scores, weights, TASKS))

    def test_heads_that_count(self):
        scores = random_scores()
        changed = []
        for t in range(3):
            other = scores.clone()
            other[:, t] = other[:, t].flip(0)
            changed.append(not torch.allclose(self.rule(other, tasks=TASKS), self.rule(scores, tasks=TASKS)))
        assert any(changed)
        assert all(changed) == self.every_head_counts

    def test_monotone_map_of_a_column(self):
        scores = random_scores()
        mapped = scores.clone()
        mapped[:, 0] = (mapped[:, 0] * 5).exp()
        mapped[:, 2] = mapped[:, 2] ** 3 * 0.01
        same = torch.allclose(self.rule(mapped, tasks=TASKS), self.rule(scores, tasks=TASKS))
        assert same == self.invariant_to_monotone_maps

    def test_one_frame(self):
        assert self.rule(torch.tensor([[0.1, 0.2, 0.3]]), tasks=TASKS).shape == (1,)

    @pytest.mark.parametrize("weights", [[0.0, 0.0, 0.0], [1.0, -1.0, 1.0], [1.0, math.nan, 1.0]])
    def test_impossible_weights_are_refused(self, weights):
        with pytest.raises(ValueError, match="weights must be 0 or more and not all 0"):
            self.rule(random_scores(), torch.tensor(weights), TASKS)

    def test_nan_is_refused(self):
        scores = random_scores()
        scores[3, 1] = math.nan
        with pytest.raises(ValueError, match="1 scores are not finite"):
            self.rule(scores, tasks=TASKS)

    def test_disagreeing_shapes_are_refused(self):
        with pytest.raises(ValueError, match="weights"):
            self.rule(random_scores(), torch.ones(2), TASKS)
        with pytest.raises(ValueError, match="task names"):
            self.rule(random_scores(), tasks=TASKS[:2])
