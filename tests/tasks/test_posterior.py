import pytest
import torch

from mtal.tasks import HeadOutput
from mtal.tasks.posterior import likeliest_class

PROBS = torch.full((2, 3, 4), 0.25)


class TestHeadOutput:
    def test_every_site_counts_unless_told_otherwise(self):
        assert HeadOutput("categorical", PROBS).mask.tolist() == [[True] * 3] * 2

    def test_mask_is_the_one_given(self):
        valid = torch.tensor([[True, False, True], [False, False, True]])
        assert HeadOutput("categorical", PROBS, valid=valid).mask.tolist() == valid.tolist()

    def test_members_lead(self):
        assert HeadOutput("bernoulli", torch.rand(5, 2, 3, 4)).mask.shape == (2, 3)

    def test_accepts_features_of_any_length(self):
        assert HeadOutput("bernoulli", PROBS, features=torch.randn(2, 3, 7)).features.shape == (2, 3, 7)

    def test_accepts_an_empty_pool(self):
        assert HeadOutput("bernoulli", torch.zeros(0, 1, 4)).mask.shape == (0, 1)

    @pytest.mark.parametrize("value", [0.0, 1.0, 1 + 5e-7, -5e-7])
    def test_accepts_the_ends_and_their_rounding(self, value):
        assert HeadOutput("bernoulli", torch.full((1, 1, 1), value)).probs.item() == pytest.approx(value)

    @pytest.mark.parametrize("value", [-0.01, 1.01, float("nan"), float("inf"), float("-inf")])
    def test_refuses_what_is_no_probability(self, value):
        probs = PROBS.clone()
        probs[1, 2, 3] = value
        with pytest.raises(ValueError, match=r"probabilities must lie in \[0, 1\]"):
            HeadOutput("categorical", probs)

    def test_refuses_an_unknown_family(self):
        with pytest.raises(ValueError, match="unknown family 'softmax'; families are bernoulli and categorical"):
            HeadOutput("softmax", PROBS)

    @pytest.mark.parametrize("shape", [(4,), (2, 4), (1, 1, 1, 1, 1)])
    def test_refuses_other_dimensions(self, shape):
        with pytest.raises(ValueError, match=r"probs must be \[N, S, C\] or \[K, N, S, C\]"):
            HeadOutput("bernoulli", torch.zeros(shape))

    @pytest.mark.parametrize("shape", [(2, 4), (3, 3), (2, 3, 4), (2,)])
    def test_refuses_a_mask_of_other_sites(self, shape):
        with pytest.raises(ValueError, match="valid is"):
            HeadOutput("categorical", PROBS, valid=torch.ones(shape, dtype=torch.bool))

    @pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
    def test_refuses_a_mask_of_integers(self, dtype):
        with pytest.raises(ValueError, match="valid must be bool or weights"):
            HeadOutput("categorical", PROBS, valid=torch.ones(2, 3, dtype=dtype))

    @pytest.mark.parametrize("value", [-0.01, 1.01, float("nan")])
    def test_refuses_weights_outside_their_range(self, value):
        weights = torch.ones(2, 3)
        weights[1, 2] = value
        with pytest.raises(ValueError, match=r"valid must lie in \[0, 1\]; these weights span"):
            HeadOutput("categorical", PROBS, valid=weights)

    def test_weights_give_a_mask_where_yes_or_no_is_needed(self):
        head = HeadOutput("categorical", PROBS, valid=torch.tensor([[0.5, 0.49, 1.0], [0.0, 0.0, 0.0]]))
        assert head.mask.tolist() == [[True, False, True], [False] * 3]
        torch.testing.assert_close(head.site_weights, head.valid)
        torch.testing.assert_close(head.total_weight, torch.tensor([1.99, 1.0]))

    @pytest.mark.parametrize("shape", [(2, 3), (2, 4, 7), (1, 3, 7), (2, 3, 7, 1)])
    def test_refuses_features_of_other_sites(self, shape):
        with pytest.raises(ValueError, match="features are"):
            HeadOutput("categorical", PROBS, features=torch.zeros(shape))

    def test_members_do_not_share_features_of_another_pool(self):
        with pytest.raises(ValueError, match="features are"):
            HeadOutput("categorical", torch.full((5, 2, 3, 4), 0.25), features=torch.zeros(5, 2, 7))

    @pytest.mark.parametrize(
        ("extra", "message"),
        [
            ({"grid": (2, 2)}, "grid is 2 x 2 but probs has 3 sites"),
            ({"shared_gradient": torch.zeros(3, 5)}, r"shared_gradient must be \[2, D\], not \[3, 5\]"),
            ({"shared_gradient": torch.zeros(2)}, r"shared_gradient must be \[2, D\], not \[2\]"),
            ({"predicted_loss": torch.zeros(2, 1)}, r"predicted_loss must be \[2\], not \[2, 1\]"),
            ({"class_weights": torch.ones(3)}, r"class_weights must be \[4\], not \[3\]"),
            ({"class_weights": torch.tensor([1.0, -1.0, 1.0, 1.0])}, "finite and 0 or more"),
            ({"class_weights": torch.tensor([1.0, torch.inf, 1.0, 1.0])}, "finite and 0 or more"),
        ],
    )
    def test_refuses_extras_that_do_not_fit(self, extra, message):
        with pytest.raises(ValueError, match=message):
            HeadOutput("categorical", PROBS, **extra)

    def test_accepts_extras_that_fit(self):
        head = HeadOutput(
            "categorical", PROBS, None, grid=(1, 3), shared_gradient=torch.zeros(2, 5), class_weights=torch.zeros(4)
        )
        assert head.grid == (1, 3)


class TestPredictiveDistribution:
    MEMBERS = torch.tensor([[0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], dtype=torch.float64)[:, None, None]

    def test_is_the_mean_probability_of_the_members(self):
        head = HeadOutput("categorical", self.MEMBERS)
        torch.testing.assert_close(head.predictive, torch.tensor([[[0.5, 0.5]]], dtype=torch.float64))
        assert torch.equal(HeadOutput("categorical", self.MEMBERS[0]).predictive, self.MEMBERS[0])

    def test_half_precision_is_widened_and_rounding_cut_off(self):
        head = HeadOutput("bernoulli", torch.tensor([1 + 5e-7, -5e-7])[:, None, None, None])
        assert head.members.flatten().tolist() == [1.0, 0.0]
        assert HeadOutput("bernoulli", torch.full((2, 1, 1, 1), 0.5).half()).members.dtype == torch.float32
        assert HeadOutput("bernoulli", torch.full((1, 1, 1), 0.5).half()).predictive.dtype == torch.float32

    def test_members_are_left_as_they_are(self):
        members = self.MEMBERS.clone()
        HeadOutput("categorical", members).predictive.zero_()
        assert torch.equal(members, self.MEMBERS)

    def test_one_posterior_has_no_members(self):
        assert HeadOutput("categorical", PROBS).members is None

    def test_gradient_stops_here(self):
        probs = PROBS.clone().requires_grad_()
        assert not HeadOutput("categorical", probs).predictive.requires_grad

    @pytest.mark.parametrize("classes", [1, 2, 11, 300])
    def test_likeliest_class_agrees_with_argmax(self, classes):
        probs = torch.rand(7, 5, classes, generator=torch.Generator().manual_seed(classes)).softmax(dim=-1)
        assert torch.equal(likeliest_class(probs), probs.argmax(dim=-1))
        far_apart = probs.transpose(1, 2).contiguous().transpose(1, 2)
        assert torch.equal(HeadOutput("categorical", far_apart).likeliest, probs.argmax(dim=-1))

    def test_lowest_class_wins_a_tie(self):
        assert likeliest_class(torch.tensor([[0.2, 0.4, 0.4], [0.3, 0.3, 0.3]])).tolist() == [1, 0]
