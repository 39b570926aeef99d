from dataclasses import replace

import pytest
import torch
from agreement import record
from axioms.autograd import LinearHead
from axioms.heads import KINDS, random_head, rows

from mtal.acquisition.fisher import fisher_factor, fisher_sum

FAMILIES = ["bernoulli", "categorical"]


def information(factors):
    """VᵀV per frame, ``[N, P, P]``."""
    return factors.transpose(1, 2) @ factors


def by_enumeration(head):
    """Σ_y P(y)·g gᵀ over all labels of a frame, g by a backward pass: ``[N, P, P]``."""
    return torch.stack([torch.einsum("l,lp,lq->pq", p, g, g) for p, g in head.gradients_of_all_labels()])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_frame_head_is_the_fisher_information_of_autograd(family, bias):
    head = LinearHead(family, sites=1, bias=bias)
    factors = fisher_factor(head.output, max_dim=None)
    assert factors.shape == (7, 3, 3 * (4 + bias))
    expected = by_enumeration(head)
    error = (information(factors) - expected).abs().max()
    record("Fisher information, frame heads", "autograd over all labels", error)
    assert error < 1e-12


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("family", FAMILIES)
def test_head_with_pixels_is_unbiased(family, soft):
    """Over many signs, against autograd over all labels of up to three sites."""
    head = LinearHead(family, sites=3, classes=2, features=2, frames=4, soft=soft)
    factors = [fisher_factor(head.output, max_dim=None, rank=8, seed=2 * seed) for seed in range(600)]
    assert factors[0].shape == (4, 8, 6)
    draws = torch.stack([information(f) for f in factors])  # [draws, N, P, P]
    error = draws.mean(dim=0) - by_enumeration(head)
    scale = draws.mean(dim=0).diagonal(dim1=1, dim2=2).sum(dim=1)
    record(
        "Fisher information, heads with pixels",
        "autograd over all labels, mean of 600 sketches, relative",
        (error.abs().amax(dim=(1, 2)) / scale).max(),
    )
    assert (error.abs() <= 5 * draws.std(dim=0) / 600**0.5 + 1e-12).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_relative_error_is_about_one_over_root_of_the_rank(family):
    head = random_head(family, 9, classes=4, features=3, frames=5)
    traces = torch.stack(
        [fisher_factor(head, max_dim=None, rank=16, seed=2 * seed).square().sum(dim=(1, 2)) for seed in range(200)]
    )
    assert (traces.std(dim=0) / traces.mean(dim=0)).max() < 1.5 * (2 / 16) ** 0.5


class TestSketch:
    head = random_head("categorical", 1, classes=8, features=9)

    def test_only_where_larger(self):
        assert fisher_factor(self.head, max_dim=80).shape == (6, 8, 80)  # 8 · (9 + 1)
        assert fisher_factor(self.head, max_dim=79).shape == (6, 8, 79)
        torch.testing.assert_close(fisher_factor(self.head, max_dim=80), fisher_factor(self.head, max_dim=None))

    @pytest.mark.parametrize(("family", "sites"), KINDS)
    def test_is_a_linear_map_of_the_whole(self, family, sites):
        head = random_head(family, sites, frames=20, classes=4, features=5)
        whole, sketch = fisher_factor(head, max_dim=None), fisher_factor(head, max_dim=7)
        flat = whole.flatten(end_dim=1)
        projection = torch.linalg.lstsq(flat, sketch.flatten(end_dim=1)).solution
        torch.testing.assert_close(flat @ projection, sketch.flatten(end_dim=1), rtol=1e-8, atol=1e-10)

    def test_information_is_unbiased(self):
        whole = fisher_factor(self.head, max_dim=None)
        gram = whole @ whole.transpose(1, 2)
        draws = torch.stack(
            [(s := fisher_factor(self.head, max_dim=16, seed=seed)) @ s.transpose(1, 2) for seed in range(300)]
        )
        assert ((draws.mean(dim=0) - gram).abs() <= 5 * draws.std(dim=0) / 300**0.5 + 1e-12).all()


@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_same_for_every_batch(family, sites):
    head = random_head(family, sites, classes=5, features=6)
    batches = torch.cat([fisher_factor(rows(head, [i]), max_dim=9) for i in range(6)])
    torch.testing.assert_close(batches, fisher_factor(head, max_dim=9))


@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_sure_and_invalid_frames_bring_nothing(family, sites):
    head = random_head(family, sites)
    sure = replace(
        head, probs=head.probs.round() if family == "bernoulli" else torch.eye(3).double()[[0]].expand(6, sites, 3)
    )
    assert fisher_factor(sure).abs().max() == 0
    valid = head.mask.clone()
    valid[2] = False
    assert fisher_factor(replace(head, valid=valid))[2].abs().max() == 0


def test_what_stands_at_invalid_sites_is_not_looked_at():
    head = random_head("categorical", 4)
    features = head.features.clone()
    features[~head.mask] = torch.nan
    torch.testing.assert_close(fisher_factor(replace(head, features=features)), fisher_factor(head))


def test_sum_is_that_of_the_frames():
    factors = fisher_factor(random_head("bernoulli", 1), max_dim=None)
    torch.testing.assert_close(fisher_sum(factors), information(factors).sum(dim=0))
    assert fisher_sum(factors.float()).dtype == torch.float64


def test_half_precision_is_widened():
    head = random_head("bernoulli", 1)
    assert fisher_factor(replace(head, features=head.features.half())).dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "message"), [({"max_dim": 0}, "max_dim must be 1 or more"), ({"rank": 0}, "rank must be 1 or more")]
)
def test_impossible_sizes_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fisher_factor(random_head("bernoulli", 1), **arguments)


def test_missing_features_are_named():
    with pytest.raises(ValueError, match=r"HeadOutput\.features"):
        fisher_factor(replace(random_head("bernoulli", 1), features=None))
