"""What every fusion rule must do."""

import inspect
import math
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from scipy.stats import spearmanr

TASKS = ("tools", "bleeding", "anatomy")
CONFIGS = Path(__file__).parents[2] / "configs" / "acquisition" / "fusion"


def random_scores(frames=30, seed=0, heads=3):
    return torch.rand(frames, heads, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def coarse_scores(frames=40, seed=0, heads=3, levels=4):
    """Scores with many ties and many equal rows: multiples of 1 / levels from 0 to 1."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(levels + 1, (frames, heads), generator=generator).double() / levels


def dominates(scores):
    """Whether frame i is nowhere lower than frame j, ``[N, N]``."""
    return (scores[:, None] >= scores[None]).all(dim=2)


class FusionAxioms:
    """
    choice: YAML that makes the rule with its defaults.
    lowest, highest: range that scores have to be in; others are refused.
    is_mean: the utility is between the lowest and the highest score of the frame.
    is_probability: scores that are probabilities give a probability.
    invariant_to_monotone_maps: only the order within each head counts.
    every_head_counts: no head is left out.
    weights_matter: the heavier a head, the more the order is its own; else weights that are not 0 change nothing.
    raising_never_lowers: a frame whose scores rise does not fall behind another.
    """

    rule = None
    choice = None
    lowest, highest = -math.inf, math.inf
    is_mean = False
    is_probability = False
    invariant_to_monotone_maps = False
    every_head_counts = True
    weights_matter = True
    raising_never_lowers = True

    def test_one_utility_per_frame_in_float64(self):
        utility = self.rule(random_scores().float(), tasks=TASKS)
        assert utility.shape == (30,)
        assert utility.dtype == torch.float64
        assert utility.isfinite().all()

    def test_the_input_is_left_as_it_is(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5], dtype=torch.float64)
        self.rule(scores, weights, TASKS)
        assert torch.equal(scores, random_scores())
        assert weights.tolist() == [1.0, 2.0, 0.5]

    @pytest.mark.parametrize("scores", [random_scores(), coarse_scores(30)], ids=["distinct", "ties"])
    def test_order_of_frames_does_not_matter(self, scores):
        order = torch.randperm(30, generator=torch.Generator().manual_seed(1))
        weights = torch.tensor([1.0, 2.0, 0.5])
        moved = self.rule(scores[order], weights, TASKS)
        torch.testing.assert_close(moved, self.rule(scores, weights, TASKS)[order])

    @pytest.mark.parametrize("weights", [[1.0, 2.0, 0.5], [1.0, 1.0, 1.0]])
    @pytest.mark.parametrize("scores", [random_scores(), coarse_scores(30)], ids=["distinct", "ties"])
    def test_order_of_heads_does_not_matter(self, scores, weights):
        weights, order = torch.tensor(weights), [2, 0, 1]
        moved = self.rule(scores[:, order], weights[order], [TASKS[t] for t in order])
        torch.testing.assert_close(moved, self.rule(scores, weights, TASKS))

    def test_duplicates_get_equal_utilities(self):
        scores = random_scores()
        scores[17] = scores[2]
        utility = self.rule(scores, tasks=TASKS)
        assert utility[17] == utility[2]

    def test_duplicates_get_equal_utilities_to_the_bit_wherever_they_stand(self):
        distinct = random_scores(53)
        which = torch.randint(53, (1003,), generator=torch.Generator().manual_seed(1))
        by_row = self.rule(distinct[which], torch.tensor([1.0, 2.0, 0.7]), TASKS)
        by_column = self.rule(distinct[which].T.contiguous().T, torch.tensor([1.0, 2.0, 0.7]), TASKS)
        assert torch.equal(by_row, by_column)
        for row in range(53):
            assert len(by_row[which == row].unique()) == 1

    @pytest.mark.parametrize("heads", [5, 7])
    def test_duplicates_of_many_heads_are_equal_to_the_bit_in_the_last_rows_too(self, heads):
        scores = random_scores(17, heads=heads)
        scores[-1] = scores[0]  # sums along columns are of eight rows at once, and of the rest one by one
        names = [*TASKS, *(f"head {t}" for t in range(3, heads))]
        for seed in range(5):
            weights = random_scores(1, seed, heads)[0]
            utility = self.rule(scores, weights, names)
            assert utility[0] == utility[-1]

    def test_all_equal_scores_give_equal_utilities(self):
        assert len(self.rule(torch.full((5, 3), 0.3), tasks=TASKS).unique()) == 1

    @pytest.mark.parametrize("scores", [random_scores(), coarse_scores()], ids=["distinct", "ties"])
    def test_a_frame_better_for_every_head_is_not_worse(self, scores):
        better = dominates(scores)  # [N, N]
        utility = self.rule(scores, torch.tensor([1.0, 2.0, 0.5]), TASKS)
        assert better.sum() > 30
        assert (utility[:, None] >= utility[None] - 1e-12)[better].all()

    def test_raising_the_scores_of_a_frame_does_not_lower_it(self):
        kept = []
        for seed in range(5):
            scores = random_scores(seed=seed)
            before = self.rule(scores, tasks=TASKS)
            for frame in range(0, 30, 3):
                raised = scores.clone()
                raised[frame] += 0.3 * (1 - raised[frame])
                after = self.rule(raised, tasks=TASKS)
                kept.append(bool((after > after[frame]).sum() <= (before > before[frame]).sum()))
        assert all(kept) == self.raising_never_lowers

    def test_between_the_lowest_and_the_highest_score(self):
        scores = random_scores()
        utility = self.rule(scores, torch.tensor([1.0, 2.0, 0.5]), TASKS)
        above = utility >= scores.amin(dim=1) - 1e-12
        below = utility <= scores.amax(dim=1) + 1e-12
        assert bool((above & below).all()) == self.is_mean
        assert self.rule.keeps_unit == (self.is_mean or self.is_probability)
        assert not self.is_probability or ((utility >= 0) & (utility <= 1)).all()

    @pytest.mark.parametrize(("of", "beyond"), [("lowest", -0.01), ("highest", 1.01)])
    def test_scores_beyond_the_range_are_refused(self, of, beyond):
        scores = random_scores()
        scores[3], scores[4] = 0.0, 1.0
        assert self.rule(scores, tasks=TASKS).isfinite().all()
        scores[5, 1] = beyond
        if math.isinf(getattr(self, of)):
            assert self.rule(scores, tasks=TASKS).isfinite().all()
        else:
            with pytest.raises(ValueError, match=rf"{type(self.rule).__name__} needs scores .*{beyond}.* normaliser"):
                self.rule(scores, tasks=TASKS)

    def test_only_ratios_of_weights_matter_for_the_order(self):
        scores, weights = random_scores(), torch.tensor([1.0, 2.0, 0.5])
        order = self.rule(scores, weights, TASKS).argsort(descending=True, stable=True)
        assert torch.equal(self.rule(scores, weights * 8, TASKS).argsort(descending=True, stable=True), order)

    def test_no_weights_are_equal_weights(self):
        scores = random_scores()
        assert torch.equal(self.rule(scores, torch.ones(3), TASKS), self.rule(scores, tasks=TASKS))

    def test_heavier_head_moves_the_order_towards_its_own(self):
        scores = random_scores(60)
        before = self.rule(scores, tasks=TASKS)
        for t in range(3):
            weights = torch.ones(3)
            weights[t] = 4.0
            after = self.rule(scores, weights, TASKS)
            if self.weights_matter:
                assert spearmanr(after, scores[:, t])[0] > spearmanr(before, scores[:, t])[0] + 0.01
            else:
                assert torch.equal(after, before)

    def test_head_of_weight_zero_has_no_say(self):
        scores, weights = random_scores(), torch.tensor([1.0, 0.0, 2.0])
        other = scores.clone()
        other[:, 1] = other[:, 1].flip(0) * 50 - 10
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
        mapped[:, 0] = (mapped[:, 0] * 5).expm1() / math.expm1(5)
        mapped[:, 2] = mapped[:, 2] ** 3 * 0.01
        same = torch.allclose(self.rule(mapped, tasks=TASKS), self.rule(scores, tasks=TASKS))
        assert same == self.invariant_to_monotone_maps

    def test_one_frame(self):
        assert self.rule(torch.tensor([[0.1, 0.2, 0.3]]), tasks=TASKS).shape == (1,)

    def test_no_frame(self):
        utility = self.rule(torch.zeros(0, 3), tasks=TASKS)
        assert utility.shape == (0,)
        assert utility.dtype == torch.float64

    def test_one_head_keeps_its_order(self):
        scores = coarse_scores(heads=1)
        utility = self.rule(scores, tasks=("bleeding",))
        assert (utility[:, None] >= utility[None])[dominates(scores)].all()
        assert len(utility.unique()) > 2

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

    def test_yaml_lists_the_parameters_and_their_defaults(self):
        config = OmegaConf.load(CONFIGS / f"{self.choice}.yaml")
        assert config.pop("_target_") == f"mtal.acquisition.fusion.{type(self.rule).__name__}"
        parameters = inspect.signature(type(self.rule)).parameters
        assert list(config) == list(parameters)
        defaults = {name: p.default for name, p in parameters.items() if p.default is not inspect.Parameter.empty}
        assert {name: config[name] for name in defaults} == defaults
