"""What every signal must do."""

import math
from dataclasses import replace

import pytest
import torch
from axioms.heads import KINDS, posterior, random_head, random_members, rows, with_gradient

from mtal.tasks.posterior import HeadOutput


@pytest.mark.parametrize(("family", "sites"), KINDS)
class FrameAxioms:
    """What every signal of one head must do, whatever it reads."""

    signal = None

    def head(self, family, sites):
        return with_gradient(random_head(family, sites))

    def test_one_value_per_frame_within_its_range(self, family, sites):
        values = self.signal(self.head(family, sites))
        assert values.shape == (6,)
        low, high = self.signal.range
        assert ((values >= low) & (values <= high)).all()
        assert len(values.unique()) > 1

    def test_order_of_frames_does_not_matter(self, family, sites):
        head = self.head(family, sites)
        order = torch.tensor([3, 0, 5, 1, 4, 2])
        torch.testing.assert_close(self.signal(rows(head, order)), self.signal(head)[order])

    def test_batches_do_not_matter(self, family, sites):
        head = self.head(family, sites)
        one_by_one = torch.cat([self.signal(rows(head, [i])) for i in range(6)])
        torch.testing.assert_close(one_by_one, self.signal(head))

    def test_no_frame(self, family, sites):
        assert self.signal(rows(self.head(family, sites), [])).shape == (0,)

    def test_duplicates_score_the_same(self, family, sites):
        values = self.signal(rows(self.head(family, sites), [2, 4, 2]))
        assert values[0] == values[2]

    def test_frame_without_a_valid_site_scores_zero(self, family, sites):
        head = self.head(family, sites)
        valid = head.mask.clone()
        valid[2] = False
        values, before = self.signal(replace(head, valid=valid)), self.signal(head)
        assert values[2] == 0
        assert values.count_nonzero() > 1
        torch.testing.assert_close(values[[0, 1, 3, 4, 5]], before[[0, 1, 3, 4, 5]])

    def test_weights_of_zero_and_one_are_a_mask(self, family, sites):
        head = self.head(family, sites)
        as_weights = self.signal(replace(head, valid=head.site_weights))
        torch.testing.assert_close(as_weights, self.signal(head), rtol=1e-12, atol=1e-12)

    def test_half_precision_is_close(self, family, sites):
        head = self.head(family, sites)
        names = ("probs", "features", "shared_gradient", "predicted_loss")
        half = replace(head, **{n: getattr(head, n).half() for n in names if getattr(head, n) is not None})
        torch.testing.assert_close(self.signal(half).double(), self.signal(head), rtol=0.02, atol=0.01)

    def test_layout_in_memory_does_not_matter(self, family, sites):
        """A pixel head leaves the classes of a site far apart."""
        head = self.head(family, sites)
        far_apart = head.probs.transpose(-1, -2).contiguous().transpose(-1, -2)
        torch.testing.assert_close(self.signal(replace(head, probs=far_apart)), self.signal(head))


class SignalAxioms(FrameAxioms):
    """What every signal that reads the posterior must do as well."""

    def test_frames_differ(self, family, sites):
        assert len(self.signal(self.head(family, sites)).unique()) == 6

    def test_other_frames_score_otherwise(self, family, sites):
        values = self.signal(rows(self.head(family, sites), [2, 4]))
        assert values[0] != values[1]

    def test_frames_with_a_valid_site_score_above_zero(self, family, sites):
        assert (self.signal(self.head(family, sites)) > 0).all()

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

    def test_a_site_of_little_weight_has_little_say(self, family, sites):
        """And a site of nearly full weight nearly all of it."""
        if sites == 1:
            return
        head = random_head(family, sites, holes=False)

        def weighing(weight):
            valid = torch.ones(6, sites, dtype=torch.float64)
            valid[:, 1] = weight
            return self.signal(replace(head, valid=valid))

        assert (weighing(1.0) != weighing(0.0)).all()
        torch.testing.assert_close(weighing(1e-3), weighing(0.0), rtol=0.01, atol=0)
        torch.testing.assert_close(weighing(0.999), weighing(1.0), rtol=0.01, atol=0)
        assert (weighing(0.3) != weighing(0.7)).all()

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


class MemberAxioms(FrameAxioms):
    """What every signal in [0, 1] that compares K members must do."""

    measures_disagreement = True  # 0 where all members say the same

    def head(self, family, sites):
        return random_members(family, sites)

    def test_order_of_members_does_not_matter(self, family, sites):
        head = self.head(family, sites)
        moved = replace(head, probs=head.probs[[2, 0, 3, 1]])
        torch.testing.assert_close(self.signal(moved), self.signal(head))

    def test_identical_members_do_not_disagree(self, family, sites):
        probs = random_head(family, sites).probs
        values = self.signal(HeadOutput(family, probs.expand(5, *probs.shape)))
        if self.measures_disagreement:
            torch.testing.assert_close(values, torch.zeros(6, dtype=torch.float64), rtol=0, atol=1e-7)
        else:
            assert (values > 0).all()

    def test_certain_members_of_one_opinion_score_zero_and_not_nan(self, family, sites):
        certain = torch.zeros(3, 6, sites, 4, dtype=torch.float64)
        certain[..., 1] = 1.0
        assert self.signal(HeadOutput(family, certain)).tolist() == [0.0] * 6

    @pytest.mark.parametrize("classes", [2, 5, 20])
    def test_sure_of_different_answers_scores_one(self, family, sites, classes):
        """Whatever the number of classes: as many members as answers, each sure of its own."""
        if family == "bernoulli":
            probs = torch.tensor([0.0, 1.0], dtype=torch.float64)[:, None, None, None].expand(2, 1, sites, classes)
        else:
            probs = torch.eye(classes, dtype=torch.float64)[:, None, None].expand(classes, 1, sites, classes)
        assert self.signal(HeadOutput(family, probs)).item() == pytest.approx(1.0, abs=1e-12)

    def test_each_member_twice_is_no_more_than_once(self, family, sites):
        head = self.head(family, sites)
        twice = self.signal(replace(head, probs=head.probs.repeat(2, 1, 1, 1)))
        torch.testing.assert_close(twice, self.signal(head))

    def test_invalid_sites_have_no_say(self, family, sites):
        head = random_members(family, sites, holes=False)
        valid = torch.ones(6, sites + 2, dtype=torch.bool)
        valid[:, sites:] = False
        values = []
        for low, high in ((0.5, 0.5), (0.0, 1.0)):
            more = torch.tensor([low, high, low, high], dtype=torch.float64)[:, None, None, None].expand(4, 6, 2, 3)
            values.append(self.signal(HeadOutput(family, torch.cat([head.probs, more], dim=2), valid)))
        torch.testing.assert_close(values[0], values[1], rtol=0, atol=0)
        if sites > 1:
            torch.testing.assert_close(values[0], self.signal(head))

    def test_resolution_does_not_matter(self, family, sites):
        head = self.head(family, sites)
        finer = HeadOutput(family, head.probs.repeat(1, 1, 9, 1), head.mask.repeat(1, 9))
        torch.testing.assert_close(self.signal(finer), self.signal(head))

    def test_pitfall_7_many_pixels_do_not_outweigh_one_frame_label(self, family, sites):
        p = torch.tensor([[0.7, 0.3], [0.2, 0.8]], dtype=torch.float64)[:, None, None]
        pixels = self.signal(HeadOutput(family, p.expand(2, 1, 4096, 2)))
        torch.testing.assert_close(pixels, self.signal(HeadOutput(family, p)))

    def test_pitfall_9_averaging_logits_is_not_averaging_probabilities(self, family, sites):
        """Two members, one very sure: the mean logit lets it outvote the other, the mean probability does not."""
        unsure = torch.tensor([0.4, 0.6, 0.0], dtype=torch.float64).expand(1, sites, 3)
        sure = torch.tensor([9.0, -9.0, 0.0], dtype=torch.float64).expand(1, sites, 3)
        apart = HeadOutput(family, torch.stack([posterior(family, unsure), posterior(family, sure)]))
        of_logits = posterior(family, (unsure + sure) / 2)
        together = HeadOutput(family, of_logits.expand(2, *of_logits.shape))
        assert self.signal(apart).item() > self.signal(together).item() + 0.1

    def test_single_class_categorical_is_certain(self, family, sites):
        assert self.signal(HeadOutput("categorical", torch.ones(3, 2, sites, 1))).tolist() == [0.0, 0.0]

    def test_one_posterior_is_refused(self, family, sites):
        with pytest.raises(ValueError, match=r"needs HeadOutput\.members: give probs a leading K"):
            self.signal(random_head(family, sites))
        with pytest.raises(ValueError, match="there is only one"):
            self.signal(random_members(family, sites, members=1))


class GradientAxioms(FrameAxioms):
    """What every signal that reads a field of the head and not its posterior must do."""

    field = None

    def test_posterior_is_not_read(self, family, sites):
        head = self.head(family, sites)
        other = replace(head, probs=random_head(family, sites, seed=9).probs)
        torch.testing.assert_close(self.signal(other), self.signal(head), rtol=0, atol=0)

    def test_missing_field_is_named(self, family, sites):
        with pytest.raises(ValueError, match=rf"needs HeadOutput\.{self.field}: "):
            self.signal(random_head(family, sites))


class JointAxioms:
    """What every signal that reads all heads of a frame must do."""

    signal = None

    def heads(self, seed=0):
        return {
            "tools": with_gradient(random_head("bernoulli", 1, seed=seed), seed=seed),
            "phase": with_gradient(random_head("categorical", 1, seed=seed + 1), seed=seed + 1),
            "anatomy": with_gradient(random_head("categorical", 4, seed=seed + 2), seed=seed + 2),
        }

    def of_rows(self, index):
        return self.signal({task: rows(head, index) for task, head in self.heads().items()})

    def test_one_value_per_frame_within_its_range(self):
        values = self.signal(self.heads())
        assert values.shape == (6,)
        low, high = self.signal.range
        assert ((values >= low) & (values <= high)).all()
        assert len(values.unique()) == 6

    def test_order_of_frames_does_not_matter(self):
        order = [3, 0, 5, 1, 4, 2]
        torch.testing.assert_close(self.of_rows(order), self.signal(self.heads())[order])

    def test_order_of_heads_does_not_matter(self):
        heads = self.heads()
        moved = {task: heads[task] for task in ("anatomy", "tools", "phase")}
        torch.testing.assert_close(self.signal(moved), self.signal(heads))

    def test_batches_do_not_matter(self):
        one_by_one = torch.cat([self.of_rows([i]) for i in range(6)])
        torch.testing.assert_close(one_by_one, self.signal(self.heads()))

    def test_no_frame(self):
        assert self.of_rows([]).shape == (0,)

    def test_duplicates_score_the_same(self):
        values = self.of_rows([2, 4, 2])
        assert values[0] == values[2] != values[1]

    def test_half_precision_is_close(self):
        half = {
            task: replace(head, probs=head.probs.half(), shared_gradient=head.shared_gradient.half())
            for task, head in self.heads().items()
        }
        torch.testing.assert_close(self.signal(half).double(), self.signal(self.heads()), rtol=0.02, atol=0.01)

    def test_no_head_is_refused(self):
        with pytest.raises(ValueError, match="needs one head or more"):
            self.signal({})
