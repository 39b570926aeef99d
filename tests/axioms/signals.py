"""What every signal must do."""

import math
from dataclasses import replace

import pytest
import torch
from axioms.heads import KINDS, random_head, rows

from mtal.tasks.posterior import HeadOutput


@pytest.mark.parametrize(("family", "sites"), KINDS)
class SignalAxioms:
    signal = None

    def test_one_value_per_frame_within_its_range(self, family, sites):
        values = self.signal(random_head(family, sites))
        assert values.shape == (6,)
        low, high = self.signal.range
        assert ((values >= low) & (values <= high)).all()
        assert len(values.unique()) == 6

    def test_order_of_frames_does_not_matter(self, family, sites):
        head = random_head(family, sites)
        order = torch.tensor([3, 0, 5, 1, 4, 2])
        torch.testing.assert_close(self.signal(rows(head, order)), self.signal(head)[order])

    def test_batches_do_not_matter(self, family, sites):
        head = random_head(family, sites)
        one_by_one = torch.cat([self.signal(rows(head, [i])) for i in range(6)])
        torch.testing.assert_close(one_by_one, self.signal(head))

    def test_duplicates_score_the_same(self, family, sites):
        values = self.signal(rows(random_head(family, sites), [2, 4, 2]))
        assert values[0] == values[2] != values[1]

    def test_invalid_sites_have_no_say(self, family, sites):
        head = random_head(family, sites, holes=False)
        valid = torch.ones(6, sites + 2, dtype=torch.bool)
        valid[:, sites:] = False

        def with_two_more_sites(p, h):
            return self.signal(
                HeadOutput(
                    family,
                    torch.cat([head.probs, torch.full((6, 2, 3), p)], dim=1),
                    valid,
                    torch.cat([head.features, torch.full((6, 2, 2), h)], dim=1),
                )
            )

        torch.testing.assert_close(with_two_more_sites(0.3, math.nan), with_two_more_sites(0.9, 7.0), rtol=0, atol=0)
        if sites > 1:
            torch.testing.assert_close(with_two_more_sites(0.3, math.nan), self.signal(head))

    def test_frame_without_a_valid_site_scores_zero(self, family, sites):
        head = random_head(family, sites)
        valid = head.mask.clone()
        valid[2] = False
        values = self.signal(replace(head, valid=valid))
        assert values[2] == 0
        assert (values[[0, 1, 3, 4, 5]] > 0).all()

    def test_certain_posterior_scores_zero_and_not_nan(self, family, sites):
        head = random_head(family, sites)
        certain = torch.zeros_like(head.probs)
        certain[..., 1] = 1.0
        assert self.signal(replace(head, probs=certain)).tolist() == [0.0] * 6

    def test_members_are_averaged_as_probabilities(self, family, sites):
        head, other = random_head(family, sites), random_head(family, sites, seed=1)
        members = replace(head, probs=torch.stack([head.probs, other.probs]))
        mean = replace(head, probs=(head.probs + other.probs) / 2)
        torch.testing.assert_close(self.signal(members), self.signal(mean))

    def test_half_precision_is_close(self, family, sites):
        head = random_head(family, sites)
        half = replace(head, probs=head.probs.half(), features=head.features.half())
        torch.testing.assert_close(self.signal(half).double(), self.signal(head), rtol=0.02, atol=0.01)


class UncertaintyAxioms(SignalAxioms):
    """What every signal in [0, 1] that reads the posterior only must do as well."""

    def test_resolution_does_not_matter(self, family, sites):
        head = random_head(family, sites)
        finer = HeadOutput(family, head.probs.repeat(1, 9, 1), head.mask.repeat(1, 9))
        torch.testing.assert_close(self.signal(finer), self.signal(head))

    @pytest.mark.parametrize("classes", [2, 5, 20])
    def test_number_of_classes_does_not_matter(self, family, sites, classes):
        p = 0.5 if family == "bernoulli" else 1 / classes
        unsure = torch.full((1, sites, classes), p, dtype=torch.float64)
        assert self.signal(HeadOutput(family, unsure)).item() == pytest.approx(1.0, abs=1e-12)

    def test_grows_towards_uniform(self, family, sites):
        peak = torch.tensor([0.8, 0.1, 0.1], dtype=torch.float64).expand(1, sites, 3)
        flat = torch.full_like(peak, 0.5 if family == "bernoulli" else 1 / 3)
        values = [
            self.signal(HeadOutput(family, a * flat + (1 - a) * peak)).item() for a in (0.0, 0.25, 0.5, 0.75, 1.0)
        ]
        assert values == sorted(values)
        assert len(set(values)) == 5

    def test_pitfall_6_sigmoid_outputs_are_not_a_softmax(self, family, sites):
        """Sure of three tools at once, sure of none, and sure of nothing are three different things."""
        triples = torch.tensor([[0.99, 0.98, 0.97], [0.01, 0.02, 0.03], [0.5, 0.5, 0.5]], dtype=torch.float64)
        values = self.signal(HeadOutput("bernoulli", triples.unsqueeze(1).repeat(1, sites, 1)))
        assert values[0] == pytest.approx(values[1].item())
        assert values[0] < 0.15
        assert values[2] == 1.0

    def test_pitfall_7_many_pixels_do_not_outweigh_one_frame_label(self, family, sites):
        p = torch.tensor([0.7, 0.3], dtype=torch.float64)
        pixels = HeadOutput(family, p.expand(1, 4096, 2))
        frame = HeadOutput(family, p.expand(1, 1, 2))
        torch.testing.assert_close(self.signal(pixels), self.signal(frame))

    def test_single_class_categorical_is_certain(self, family, sites):
        assert self.signal(HeadOutput("categorical", torch.ones(2, sites, 1))).tolist() == [0.0, 0.0]
