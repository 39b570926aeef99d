"""What every normaliser must do."""

import math
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from mtal.acquisition.normalizers import active_columns

CONFIGS = Path(__file__).parents[2] / "configs" / "acquisition" / "normalizer"


def random_scores(frames=40, columns=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(frames, columns, generator=generator, dtype=torch.float64)
    return scores * torch.tensor([1.0, 100.0, 0.01])[:columns] + torch.tensor([0.0, 5.0, -3.0])[:columns]


class NormalizerAxioms:
    """
    keeps_distinct: different scores stay different; else some may become equal, in order still.
    affine_invariant, monotone_invariant: the same result after any increasing map of that kind.
    reads_frames: statistics come from the frames, so that a reference and groups make a difference.
    """

    normalizer = None
    keeps_distinct = True
    affine_invariant = True
    monotone_invariant = False
    reads_frames = True

    def normalized(self, scores, reference=None, **groups):
        """Normalised within ranges that hold all the scores, the reference's too."""
        known = [scores] if reference is None else [scores, reference]
        ranges = self.wide(*known) if len(scores) else None
        return self.normalizer(scores, reference=reference, ranges=ranges, **groups)

    def test_shape_and_float64(self):
        normalised = self.normalized(random_scores().float())
        assert normalised.shape == (40, 3)
        assert normalised.dtype == torch.float64

    def test_keeps_order_within_a_column(self):
        scores = random_scores()
        normalised = self.normalized(scores)
        for t in range(3):
            steps = normalised[scores[:, t].argsort(), t].diff()
            assert (steps >= 0).all()
            assert (steps > 0).all() == self.keeps_distinct
            assert (steps > 0).double().mean() > 0.8

    def test_keeps_ties(self):
        scores = random_scores()
        scores[7] = scores[3]
        normalised = self.normalized(scores)
        assert torch.equal(normalised[7], normalised[3])

    def test_order_of_frames_does_not_matter(self):
        scores = random_scores()
        order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
        torch.testing.assert_close(self.normalized(scores[order]), self.normalized(scores)[order])

    def test_columns_do_not_see_each_other(self):
        scores = random_scores()
        torch.testing.assert_close(self.normalized(scores[:, [2, 0]]), self.normalized(scores)[:, [2, 0]])

    def test_unit_of_a_column(self):
        scores = random_scores()
        same = torch.allclose(self.normalized(scores * 7 - 2), self.normalized(scores))
        assert same == self.affine_invariant

    def test_monotone_map_of_a_column(self):
        scores = random_scores(columns=1)
        same = torch.allclose(self.normalized(scores.exp()), self.normalized(scores))
        assert same == self.monotone_invariant

    @pytest.mark.parametrize("value", [0.0, 0.1, -7e8])
    def test_constant_column_stays_constant_and_finite(self, value):
        scores = random_scores()
        scores[:, 1] = value
        normalised = self.normalized(scores)
        assert normalised.isfinite().all()
        assert active_columns(normalised).tolist() == [True, False, True]

    def test_the_input_is_left_as_it_is(self):
        scores = random_scores()
        self.normalized(scores).zero_()
        assert torch.equal(scores, random_scores())

    def test_one_frame(self):
        normalised = self.normalized(torch.tensor([[3.0, -4.0]]))
        assert normalised.shape == (1, 2)
        assert normalised.isfinite().all()

    def test_no_frame(self):
        assert self.normalized(torch.zeros(0, 2)).shape == (0, 2)

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_non_finite_scores_are_refused(self, bad):
        with pytest.raises(ValueError, match="finite scores"):
            self.normalizer(torch.tensor([[1.0], [bad]]))
        with pytest.raises(ValueError, match="finite reference scores"):
            self.normalizer(torch.tensor([[1.0]]), reference=torch.tensor([[1.0], [bad]]))

    def test_yaml_gives_the_defaults(self):
        made = type(self.normalizer)
        found = [OmegaConf.load(path) for path in sorted(CONFIGS.glob("*.yaml"))]
        (config,) = [c for c in found if c._target_ == f"mtal.acquisition.normalizers.{made.__name__}"]
        assert {**config, "_target_": made} == {**vars(made()), "_target_": made}

    # Statistics of an earlier round

    def test_scores_themselves_as_reference_change_nothing(self):
        scores = random_scores()
        scores[5:9] = scores[4]
        torch.testing.assert_close(
            self.normalized(scores, scores.clone()), self.normalized(scores), rtol=1e-13, atol=1e-13
        )

    def test_with_a_reference_a_frame_does_not_see_the_other_frames(self):
        scores, reference = random_scores(), random_scores(25, seed=1)
        ranges = self.wide(scores, reference)
        everyone = self.normalizer(scores, reference=reference, ranges=ranges)
        alone = [self.normalizer(row[None], reference=reference, ranges=ranges) for row in scores]
        torch.testing.assert_close(torch.cat(alone), everyone)
        unseen = torch.allclose(self.normalizer(scores, ranges=ranges), everyone)
        assert unseen != self.reads_frames

    def test_shift_is_seen_against_a_frozen_reference(self):
        scores = random_scores()
        shift = scores.std(dim=0) / 2
        ranges = self.wide(scores, scores + shift)
        before = self.normalizer(scores, reference=scores, ranges=ranges)
        after = self.normalizer(scores + shift, reference=scores, ranges=ranges)
        assert (after >= before).all()
        assert (after.mean(dim=0) > before.mean(dim=0)).all()

    def test_keeps_order_against_a_frozen_reference(self):
        scores, reference = random_scores(), random_scores(25, seed=1)
        normalised = self.normalized(scores, reference)
        for t in range(3):
            assert (normalised[scores[:, t].argsort(), t].diff() >= 0).all()

    def test_scores_far_from_the_reference_stay_finite(self):
        scores = torch.tensor([[-1e30], [0.0], [1e30]])
        normalised = self.normalized(scores, random_scores(columns=1))
        assert normalised.isfinite().all()
        assert (normalised.diff(dim=0) >= 0).all()

    def test_order_of_the_reference_does_not_matter(self):
        scores, reference = random_scores(), random_scores(25, seed=1)
        torch.testing.assert_close(self.normalized(scores, reference.flip(0)), self.normalized(scores, reference))

    @pytest.mark.parametrize("frames", [1, 4])
    def test_constant_reference_gives_a_constant(self, frames):
        scores = random_scores()
        reference = scores[:1].repeat(frames, 1)
        normalised = self.normalized(scores, reference)
        assert normalised.isfinite().all()
        assert active_columns(normalised).any() != self.reads_frames

    def test_empty_reference_is_refused(self):
        with pytest.raises(ValueError, match="cannot take its statistics from no frame"):
            self.normalizer(random_scores(), reference=torch.zeros(0, 3))

    # Groups

    groups = torch.tensor([3, 0, 7] * 13 + [9])  # three videos, and one of a single frame

    def test_each_group_by_itself(self):
        scores = random_scores()
        ranges = self.wide(scores, scores)
        normalised = self.normalizer(scores, groups=self.groups, ranges=ranges)
        for group in (0, 3, 7, 9):
            here = self.groups == group
            torch.testing.assert_close(normalised[here], self.normalizer(scores[here], ranges=ranges))
        seen = not torch.allclose(normalised, self.normalizer(scores, ranges=ranges))
        assert seen == self.reads_frames

    def test_each_group_by_its_own_part_of_the_reference(self):
        scores, reference = random_scores(), random_scores(25, seed=1)
        ranges = self.wide(scores, reference)
        reference_groups = torch.tensor([7, 3, 3, 7, 1] * 5)
        normalised = self.normalizer(
            scores, reference=reference, groups=self.groups, reference_groups=reference_groups, ranges=ranges
        )
        for group in (0, 3, 7, 9):  # 0 and 9 are not there, so they take all of it
            here, there = self.groups == group, reference_groups == group
            own = reference[there] if group in (3, 7) else reference
            torch.testing.assert_close(normalised[here], self.normalizer(scores[here], reference=own, ranges=ranges))

    def test_groups_without_groups_of_the_reference_take_all_of_it(self):
        scores, reference = random_scores(), random_scores(25, seed=1)
        torch.testing.assert_close(
            self.normalized(scores, reference, groups=self.groups), self.normalized(scores, reference)
        )

    def test_order_within_a_group_is_kept(self):
        scores = random_scores()
        normalised = self.normalized(scores, groups=self.groups)
        for group in (0, 3, 7):
            here = self.groups == group
            for t in range(3):
                steps = normalised[here, t][scores[here, t].argsort()].diff()
                assert (steps >= 0).all()
                assert (steps > 0).double().mean() > 0.7

    def test_codes_and_order_of_groups_do_not_matter(self):
        scores = random_scores()
        order = torch.randperm(40, generator=torch.Generator().manual_seed(1))
        expected = self.normalized(scores, groups=self.groups)
        torch.testing.assert_close(self.normalized(scores, groups=-5 * self.groups), expected)
        torch.testing.assert_close(self.normalized(scores[order], groups=self.groups[order]), expected[order])

    def test_disagreeing_shapes_are_refused(self):
        scores, reference = random_scores(), random_scores(25)
        with pytest.raises(ValueError, match=r"reference must be \[25, 3\] for scores \[40, 3\], not \[25, 2\]"):
            self.normalizer(scores, reference=reference[:, :2])
        with pytest.raises(ValueError, match=r"groups must be \[40\]"):
            self.normalizer(scores, groups=torch.zeros(39))
        with pytest.raises(ValueError, match=r"reference_groups must be \[25\]"):
            self.normalizer(scores, reference=reference, reference_groups=torch.zeros(40))
        with pytest.raises(ValueError, match=r"ranges must be \[3, 2\]"):
            self.normalizer(scores, ranges=torch.zeros(2, 2))
        with pytest.raises(ValueError, match=r"finite scores \[N, T\]"):
            self.normalizer(scores[:, 0])

    @staticmethod
    def wide(*scores):
        """Ranges that hold all of them."""
        known = torch.cat(scores)
        return torch.stack([known.amin(dim=0) - 1, known.amax(dim=0) + 1], dim=1)
