"""What every aggregation must do."""

from dataclasses import replace

import pytest
import torch
from axioms.heads import random_head, random_members, rows, softened

from mtal.tasks.posterior import HeadOutput

GRID = (4, 6)
FRAMES = 5


def map_head(family, holes=True, seed=0, members=None):
    """A pixel head on a 4 × 6 grid with class weights; about a third of the sites do not count."""
    options = {"frames": FRAMES, "classes": 3, "holes": holes}
    if members:
        head = random_members(family, GRID[0] * GRID[1], members, **options)
    else:
        head = random_head(family, GRID[0] * GRID[1], seed=seed, **options)
    return replace(head, grid=GRID, class_weights=torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64))


def random_values(*size, seed=7):
    return torch.rand(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tiled(per_site, grid=GRID):
    """Each cell cut into two by two: ``[..., S, X]`` to ``[..., 4 S, X]``, row by row."""
    cells = per_site.unflatten(-2, grid)
    return cells.repeat_interleave(2, dim=-3).repeat_interleave(2, dim=-2).flatten(-3, -2)


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
class SiteAggregationAxioms:
    aggregation = None
    all_sites_count = True  # a frame with a valid site always has a site that counts
    may_repeat_sites = True  # nothing is asked of where the sites lie, and none has to be more likely labelled than not

    def test_lies_between_the_least_and_the_largest_valid_value(self, family):
        head, values = map_head(family), random_values(FRAMES, 24)
        result = self.aggregation(values, head)
        assert result.shape == (FRAMES,)
        for n in range(FRAMES):
            valid = values[n][head.mask[n]]
            nothing_counts = not self.all_sites_count and result[n] == 0
            assert nothing_counts or valid.min() - 1e-12 <= result[n] <= valid.max() + 1e-12

    def test_equal_values_give_that_value(self, family):
        result = self.aggregation(torch.full((FRAMES, 24), 0.3, dtype=torch.float64), map_head(family))
        counts = result > 0
        assert counts.any()
        assert counts.all() or not self.all_sites_count
        torch.testing.assert_close(result[counts], torch.full_like(result[counts], 0.3))

    def test_is_linear_up_to_order(self, family):
        """Doubling and shifting all values doubles and shifts the result."""
        head, values = map_head(family), random_values(FRAMES, 24)
        result = self.aggregation(values, head)
        counts = result > 0
        shifted = self.aggregation(2 * values + 1, head)
        torch.testing.assert_close(shifted[counts], 2 * result[counts] + 1)

    def test_raising_a_value_does_not_lower_it(self, family):
        head, values = map_head(family), random_values(FRAMES, 24)
        before = self.aggregation(values, head)
        for site in range(24):
            raised = values.clone()
            raised[:, site] += 0.4
            assert (self.aggregation(raised, head) >= before - 1e-12).all()

    def test_invalid_sites_have_no_say(self, family):
        head, values = map_head(family), random_values(FRAMES, 24)
        invalid = ~head.mask
        probs = head.probs.clone()
        probs[invalid] = map_head(family, seed=3).probs[invalid]
        elsewhere = self.aggregation(values.masked_fill(invalid, torch.nan), replace(head, probs=probs))
        torch.testing.assert_close(elsewhere, self.aggregation(values, head), rtol=0, atol=0)

    def test_frame_without_a_valid_site_gets_zero(self, family):
        head, values = map_head(family), random_values(FRAMES, 24)
        valid = head.mask.clone()
        valid[2] = False
        result = self.aggregation(values, replace(head, valid=valid))
        assert result[2] == 0
        others = [0, 1, 3, 4]
        torch.testing.assert_close(result[others], self.aggregation(values, head)[others], rtol=0, atol=0)

    def test_one_site_passes_through(self, family):
        values = random_values(6, 1)
        head = random_head(family, 1)
        assert torch.equal(self.aggregation(values, head), values[:, 0])
        assert self.aggregation(values, replace(head, valid=torch.zeros(6, 1, dtype=torch.bool))).tolist() == [0.0] * 6

    def test_order_of_frames_does_not_matter(self, family):
        head, values = map_head(family), random_values(FRAMES, 24)
        order = [3, 0, 4, 2, 1]
        torch.testing.assert_close(
            self.aggregation(values[order], rows(head, order)), self.aggregation(values, head)[order]
        )

    def test_batches_do_not_matter(self, family):
        head, values = map_head(family), random_values(FRAMES, 24)
        one_by_one = torch.cat([self.aggregation(values[[n]], rows(head, [n])) for n in range(FRAMES)])
        torch.testing.assert_close(one_by_one, self.aggregation(values, head))

    def test_no_frame(self, family):
        assert self.aggregation(torch.zeros(0, 24), rows(map_head(family), [])).shape == (0,)

    def test_resolution_does_not_matter(self, family):
        head, values = map_head(family), random_values(FRAMES, 24)
        finer = replace(
            head,
            probs=tiled(head.probs),
            valid=tiled(head.valid.unsqueeze(-1)).squeeze(-1),
            features=None,
            grid=(2 * GRID[0], 2 * GRID[1]),
        )
        result = self.aggregation(tiled(values.unsqueeze(-1)).squeeze(-1), finer)
        torch.testing.assert_close(result, self.aggregation(values, head))

    def test_mirrored_picture_gets_the_same_value(self, family):
        head, values = map_head(family), random_values(FRAMES, 24)
        for mirror in (torch.arange(24).flip(0), torch.arange(24).unflatten(0, GRID).flip(1).flatten()):
            mirrored = replace(head, probs=head.probs[:, mirror], valid=head.valid[:, mirror], features=None)
            torch.testing.assert_close(self.aggregation(values[:, mirror], mirrored), self.aggregation(values, head))

    def test_members_count_as_their_mean(self, family):
        head, values = map_head(family, members=3), random_values(FRAMES, 24)
        mean = replace(head, probs=head.probs.mean(dim=0))
        torch.testing.assert_close(self.aggregation(values, head), self.aggregation(values, mean))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    def test_any_precision(self, family, dtype):
        head, values = map_head(family), random_values(FRAMES, 24)
        result = self.aggregation(values.to(dtype), head)
        assert result.dtype == dtype
        torch.testing.assert_close(result.double(), self.aggregation(values, head), rtol=0.02, atol=0.01)

    def test_half_precision_does_not_overflow(self, family):
        """300 × 300 sites add up to more than float16 holds."""
        probs = torch.full((1, 90_000, 2), 0.9 if family == "bernoulli" else 0.5)
        probs[0, ::2] = torch.tensor([0.1, 0.9])
        head = HeadOutput(family, probs, grid=(300, 300))
        ones = torch.ones(1, 90_000, dtype=torch.float16)
        assert self.aggregation(ones, head).item() == pytest.approx(1.0, abs=1e-3)

    def test_sites_that_count_in_part_are_sites_that_stand_there_as_often(self, family):
        """A site of weight ¾ beside one of ¼ is three sites beside one, on a row of sites instead of a map."""
        head, values = softened(map_head(family)), random_values(FRAMES, 24)
        result = self.aggregation(values, head)
        for n in range(FRAMES if self.may_repeat_sites else 0):
            often = (4 * head.valid[n]).long()
            repeated = replace(
                rows(head, [n]),
                probs=head.probs[n].repeat_interleave(often, dim=0)[None],
                valid=None,
                features=None,
                grid=(1, int(often.sum())),
            )
            expected = self.aggregation(values[n].repeat_interleave(often)[None], repeated)
            torch.testing.assert_close(result[[n]], expected)

    def test_weights_of_zero_and_one_are_a_mask(self, family):
        head, values = map_head(family), random_values(FRAMES, 24)
        as_weights = self.aggregation(values, replace(head, valid=head.valid.double()))
        torch.testing.assert_close(as_weights, self.aggregation(values, head), rtol=1e-12, atol=1e-12)

    def test_weights_are_relative(self, family):
        head, values = softened(map_head(family), quarters=(3, 4)), random_values(FRAMES, 24)
        lighter = replace(head, valid=head.valid * 0.8)
        torch.testing.assert_close(self.aggregation(values, lighter), self.aggregation(values, head))

    def test_without_a_mask_all_sites_count(self, family):
        head, values = map_head(family, holes=False), random_values(FRAMES, 24)
        everywhere = replace(head, valid=torch.ones(FRAMES, 24, dtype=torch.bool))
        assert torch.equal(self.aggregation(values, head), self.aggregation(values, everywhere))


class LabelAggregationAxioms:
    aggregation = None

    def head(self, sites=4, frames=FRAMES):
        head = random_head("bernoulli", sites, frames=frames)
        return replace(head, class_weights=torch.tensor([0.5, 2.0, 1.0]))

    def test_lies_between_the_least_and_the_largest_label(self):
        values = random_values(FRAMES, 4, 3)
        result = self.aggregation(values, self.head())
        assert result.shape == (FRAMES, 4)
        assert (result >= values.amin(dim=-1)).all()
        assert (result <= values.amax(dim=-1)).all()

    def test_equal_labels_give_their_value(self):
        result = self.aggregation(torch.full((FRAMES, 4, 3), 0.3, dtype=torch.float64), self.head())
        torch.testing.assert_close(result, torch.full_like(result, 0.3))

    def test_raising_a_label_does_not_lower_it(self):
        values = random_values(FRAMES, 4, 3)
        before = self.aggregation(values, self.head())
        for c in range(3):
            raised = values.clone()
            raised[..., c] += 0.4
            assert (self.aggregation(raised, self.head()) >= before - 1e-12).all()

    def test_order_of_labels_does_not_matter(self):
        values, head, order = random_values(FRAMES, 4, 3), self.head(), [2, 0, 1]
        moved = replace(head, probs=head.probs[..., order], class_weights=head.class_weights[order])
        torch.testing.assert_close(self.aggregation(values[..., order], moved), self.aggregation(values, head))

    def test_one_label_passes_through(self):
        values = random_values(FRAMES, 1, 1)
        head = HeadOutput("bernoulli", torch.full((FRAMES, 1, 1), 0.5))
        torch.testing.assert_close(self.aggregation(values, head), values[..., 0])

    @pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
    def test_any_precision(self, dtype):
        values = random_values(FRAMES, 4, 3)
        result = self.aggregation(values.to(dtype), self.head())
        assert result.dtype == dtype
        torch.testing.assert_close(result.double(), self.aggregation(values, self.head()), rtol=0.01, atol=0.01)
