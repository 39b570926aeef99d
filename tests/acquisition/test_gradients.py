from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import record
from axioms.autograd import LinearHead
from axioms.heads import KINDS, random_head, rows

from mtal.acquisition.gradients import (
    GradientBlock,
    JointGradientEmbedding,
    gradient_block,
    mean_gradient,
    shared_gradient_block,
)
from mtal.tasks.posterior import HeadOutput


def pairwise(embedding):
    return torch.stack([embedding.sq_distance_to(j) for j in range(len(embedding))], dim=1)


def brute_force(gradients):
    return (gradients[:, None] - gradients[None]).square().sum(dim=2)


def autograd(head):
    return torch.stack(list(head.hallucinated_gradients()))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("family", "sites"), KINDS)
class TestAgainstAutograd:
    def test_block(self, family, sites, bias):
        head = LinearHead(family, sites, bias=bias)
        block, gradients = gradient_block(head.output), autograd(head)
        torch.testing.assert_close(block.sq_norm, gradients.square().sum(dim=1), rtol=1e-10, atol=1e-12)
        torch.testing.assert_close(pairwise(block), brute_force(gradients), rtol=1e-10, atol=1e-12)
        record("gradient distances (BADGE)", "autograd", (pairwise(block) - brute_force(gradients)).abs().max())
        torch.testing.assert_close(block.inner_products(block), gradients @ gradients.T, rtol=1e-10, atol=1e-12)

    @pytest.mark.parametrize("soft", [False, True])
    def test_mean_gradient_is_the_gradient_itself(self, family, sites, bias, soft):
        head = LinearHead(family, sites, bias=bias, soft=soft)
        torch.testing.assert_close(mean_gradient(head.output).flatten(1), autograd(head), rtol=1e-10, atol=1e-12)

    def test_one_class(self, family, sites, bias):
        head = LinearHead("bernoulli", sites, classes=1, bias=bias)
        torch.testing.assert_close(pairwise(gradient_block(head.output)), brute_force(autograd(head)))


def test_joint_distance_gives_every_head_an_equal_say():
    heads = {
        "tools": LinearHead("bernoulli", sites=1, classes=5, seed=1),
        "bleeding": LinearHead("bernoulli", sites=1, classes=1, seed=2),
        "anatomy": LinearHead("categorical", sites=4, seed=3),
    }
    weights = {"tools": 2.0, "anatomy": 0.5}
    joint = JointGradientEmbedding({task: gradient_block(head.output) for task, head in heads.items()}, weights)
    scaled = []
    for task, head in heads.items():
        g = autograd(head)
        scaled.append(g * (weights.get(task, 1.0) / g.square().sum(dim=1).mean()).sqrt())
    side_by_side = torch.cat(scaled, dim=1)
    torch.testing.assert_close(joint.sq_norm, side_by_side.square().sum(dim=1), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(pairwise(joint), brute_force(side_by_side), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(joint.inner_products(joint), side_by_side @ side_by_side.T, rtol=1e-10, atol=1e-12)
    index = torch.tensor([4, 0, 0, 6])
    pairs = joint.take(index).paired_sq_distances(joint.take(index.flip(0)))
    torch.testing.assert_close(pairs, brute_force(side_by_side)[index, index.flip(0)], rtol=1e-10, atol=1e-12)
    assert joint.width == 5 + 5 + 1 + 5 + 15  # tools and bleeding have other features, all with a bias; 3 classes · 5
    assert joint.sq_norm.mean().item() == pytest.approx(2.0 + 1.0 + 0.5)


@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_frame_heads_are_factors_and_pixel_heads_are_whole(family, sites):
    block = gradient_block(random_head(family, sites, classes=3, features=2))
    if sites == 1:
        assert block.left.shape == (6, 3)
        assert block.right.shape == (6, 3)  # two features and the bias
    else:
        assert block.left.shape == (6, 9)
        assert block.right is None


@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_pitfall_11_batches_do_not_add_up(family, sites):
    head = random_head(family, sites)
    batches = GradientBlock.cat([gradient_block(rows(head, part)) for part in ([0, 1, 2], [3], [4, 5])])
    torch.testing.assert_close(pairwise(batches), pairwise(gradient_block(head)))


@pytest.mark.parametrize(("family", "sites"), KINDS)
def test_array_and_back(family, sites):
    block = gradient_block(random_head(family, sites))
    array = block.to_array()
    assert array.dtype == np.float32
    again = GradientBlock.from_array(array, None if block.right is None else block.left.shape[1])
    torch.testing.assert_close(pairwise(again), pairwise(block), rtol=1e-5, atol=1e-6)


def test_duplicates_are_at_exactly_zero():
    """Also for gradients of large norm, in both kinds of block."""
    left = torch.randn(5, 300, generator=torch.Generator().manual_seed(0)) * 1e6
    left[3] = left[1]
    for block in (GradientBlock(left), GradientBlock(left, left[:, :7])):
        assert block.sq_distance_to(1)[[1, 3]].tolist() == [0.0, 0.0]
        assert (block.sq_distance_to(1)[[0, 2, 4]] > 0).all()


def test_close_but_different_frames_are_told_apart():
    block = GradientBlock(torch.tensor([[1.0, 0.0], [1.0, 1e-5]]))
    assert block.sq_distance_to(0)[1].item() == pytest.approx(1e-10, rel=1e-4)


def test_frame_without_valid_site_has_no_gradient():
    for sites in (1, 4):
        head = random_head("categorical", sites)
        valid = head.mask.clone()
        valid[2] = False
        assert gradient_block(replace(head, valid=valid)).sq_norm[2] == 0


class TestSketch:
    head = random_head("categorical", 4, classes=8, features=9)

    def test_only_where_larger(self):
        assert gradient_block(self.head, max_dim=80).left.shape == (6, 80)  # 8 · (9 + 1)
        assert gradient_block(self.head, max_dim=79).left.shape == (6, 79)
        assert gradient_block(self.head, max_dim=None).left.shape == (6, 80)
        torch.testing.assert_close(gradient_block(self.head, max_dim=80).left, mean_gradient(self.head).flatten(1))

    def test_same_for_every_batch(self):
        whole = gradient_block(self.head, max_dim=16)
        batches = GradientBlock.cat([gradient_block(rows(self.head, [i]), max_dim=16) for i in range(6)])
        torch.testing.assert_close(batches.left, whole.left)

    def test_seed(self):
        left = [gradient_block(self.head, max_dim=16, seed=seed).left for seed in (0, 0, 1)]
        assert torch.equal(left[0], left[1])
        assert not torch.allclose(left[0], left[2])

    # residuals of a categorical head add up to zero over the classes, so they say nothing of signs that are all shifted
    @pytest.mark.parametrize("family", ["categorical", "bernoulli"])
    def test_distances_are_unbiased(self, family):
        head = random_head(family, 4, classes=8, features=9)
        exact = pairwise(gradient_block(head, max_dim=None))
        sketches = torch.stack([pairwise(gradient_block(head, max_dim=16, seed=seed)) for seed in range(400)])
        error = sketches.mean(dim=0) - exact
        assert (error.abs() <= 5 * sketches.std(dim=0) / 400**0.5).all()

    def test_relative_error_is_about_one_over_root_of_the_size(self):
        exact = pairwise(gradient_block(self.head, max_dim=None))
        sketches = torch.stack([pairwise(gradient_block(self.head, max_dim=32, seed=seed)) for seed in range(100)])
        apart = ~torch.eye(6, dtype=torch.bool)
        relative = (sketches / exact)[:, apart].std()
        assert relative < 1.5 * (2 / 32) ** 0.5  # variance of a squared length is at most 2/m


def test_head_of_zero_gradients_has_no_say_and_is_named():
    blocks = {"tools": GradientBlock(torch.zeros(3, 2)), "anatomy": GradientBlock(torch.eye(3))}
    with pytest.warns(UserWarning, match="gradients of tools are zero"):
        joint = JointGradientEmbedding(blocks)
    assert joint.scales == {"tools": 0.0, "anatomy": 1.0}
    assert pairwise(joint)[0].tolist() == [0.0, 2.0, 2.0]


def test_impossible_blocks_are_refused():
    with pytest.raises(ValueError, match=r"right of a gradient block must be \[N, …\] with N = 3, not \[2, 2\]"):
        GradientBlock(torch.zeros(3, 2), torch.zeros(2, 2))
    with pytest.raises(ValueError, match="left of a gradient block holds 1 non-finite"):
        GradientBlock(torch.tensor([[torch.nan]]))
    with pytest.raises(ValueError, match="all of them rank one or none"):
        GradientBlock.cat([GradientBlock(torch.zeros(1, 2)), GradientBlock(torch.zeros(1, 2), torch.zeros(1, 2))])
    with pytest.raises(ValueError, match="all of them rank one or none"):
        GradientBlock.cat([])


def test_impossible_embeddings_are_refused():
    block = GradientBlock(torch.eye(3))
    with pytest.raises(ValueError, match="same number of frames"):
        JointGradientEmbedding({"a": block, "b": GradientBlock(torch.eye(2))})
    with pytest.raises(ValueError, match="same number of frames"):
        JointGradientEmbedding({})
    with pytest.raises(ValueError, match="weight -1"):
        JointGradientEmbedding({"a": block}, {"a": -1})
    with pytest.raises(ValueError, match="of head 'b'"):
        JointGradientEmbedding({"a": block}, {"b": 1.0})


def test_missing_features_are_named():
    with pytest.raises(ValueError, match=r"HeadOutput\.features"):
        gradient_block(HeadOutput("bernoulli", torch.tensor([[[0.5]]])))


def random_block(columns, right=None, frames=400, seed=0, dtype=torch.float32):
    left = torch.randn(frames, columns, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return GradientBlock(left.to(dtype), None if right is None else right.to(dtype))


def whole_gradients(block):
    """``[N, C · D]`` float64."""
    if block.right is None:
        return block.left.double()
    return (block.left.double()[:, :, None] * block.right.double()[:, None]).flatten(1)


class TestHeadsOnTheSameFeatures:
    def heads(self):
        h = torch.randn(400, 9, generator=torch.Generator().manual_seed(7))
        blocks = {
            "tools": random_block(7, h),
            "anatomy": random_block(12, seed=1),
            "bleeding": random_block(1, h.clone(), seed=2),
            "phase": random_block(4, h.double(), seed=3, dtype=torch.float64),
        }
        weights = {"tools": 2.0, "bleeding": 0.3}
        parts = []
        for task, block in blocks.items():
            g = whole_gradients(block)
            parts.append(g * (weights.get(task, 1.0) / g.square().sum(dim=1).mean()).sqrt())
        return JointGradientEmbedding(blocks, weights), torch.cat(parts, dim=1)

    def test_share_its_products(self):
        joint, _ = self.heads()
        assert [part.left.shape[1] for part in joint.parts] == [7 + 1, 12, 4]  # phase is in another precision
        assert joint.width == 7 + 1 + 9 + 12 + 4 + 9

    def test_and_the_distances_stay_the_same(self):
        joint, whole = self.heads()
        exact = torch.cdist(whole, whole, compute_mode="donot_use_mm_for_euclid_dist").square()
        torch.testing.assert_close(joint.sq_norm, whole.square().sum(dim=1), rtol=1e-12, atol=0)
        index = torch.arange(400)
        pairs = joint.take(index).paired_sq_distances(joint.take(index.flip(0)))
        torch.testing.assert_close(pairs, exact[index, index.flip(0)], rtol=1e-12, atol=0)
        scale = joint.sq_norm[:, None] + joint.sq_norm
        error = (scale - 2 * joint.inner_products(joint).double() - exact).abs()
        assert (error <= joint.rounding * scale).all()
        assert joint.rounding < 1e-5


def test_single_precision_is_kept():
    """A pool of a million frames in float64 would not fit."""
    h = torch.randn(5, 3)
    assert GradientBlock(h).left.dtype == torch.float32
    assert GradientBlock(h).left.data_ptr() == h.data_ptr()
    assert GradientBlock(h.half()).left.dtype == torch.float32
    mixed = GradientBlock(h, h.double())
    assert mixed.left.dtype == mixed.right.dtype == torch.float64


def test_distance_of_one_pair_survives_the_cancellation():
    """Gradients 10⁻⁸ apart, in factors that only differ in float64, and equal gradients of other factors."""
    r, h = torch.tensor([[1.0, 2.0]], dtype=torch.float64), torch.tensor([[3.0, -1.0, 2.0]], dtype=torch.float64)
    one = GradientBlock(r, h)
    # ‖(r + d) ⊗ h − r ⊗ h‖² = ‖d‖²‖h‖² = 10⁻¹⁶ · 14
    near = GradientBlock(r + torch.tensor([0.0, 1e-8]), h)
    assert near.paired_sq_distances(one).item() == pytest.approx(14e-16, rel=1e-6)
    # ‖r ⊗ (h + e) − r ⊗ h‖² = ‖r‖²‖e‖² = 5 · 10⁻¹⁶
    near = GradientBlock(r, h + torch.tensor([1e-8, 0.0, 0.0]))
    assert near.paired_sq_distances(one).item() == pytest.approx(5e-16, rel=1e-6)
    assert GradientBlock(2 * r, h / 2).paired_sq_distances(one).item() == 0.0


@pytest.mark.parametrize("factor", [2.0, 0.5, 4.0, 0.25])  # products with these are exact
def test_equal_gradients_of_other_factors_are_at_exactly_zero(factor):
    r, h = torch.rand(200, 8, dtype=torch.float64), torch.rand(200, 40, dtype=torch.float64)
    assert not GradientBlock(r * factor, h / factor).paired_sq_distances(GradientBlock(r, h)).any()


def test_scales_do_not_depend_on_the_order_of_frames_to_the_last_bit():
    block = random_block(3, frames=5000)
    order = torch.randperm(5000, generator=torch.Generator().manual_seed(0))
    moved = GradientBlock(block.left[order])
    assert JointGradientEmbedding({"a": block}).scales == JointGradientEmbedding({"a": moved}).scales


class TestSharedGradients:
    def heads(self, dim=96):
        gradients = {
            task: torch.randn(6, dim, generator=torch.Generator().manual_seed(i)) for i, task in enumerate("ab")
        }
        return gradients, {t: replace(random_head("bernoulli", 1), shared_gradient=g) for t, g in gradients.items()}

    def test_whole_where_short(self):
        gradients, heads = self.heads(dim=64)
        for task, head in heads.items():
            assert torch.equal(shared_gradient_block(head).left, GradientBlock(gradients[task]).left)

    def test_sketched_where_longer_by_the_same_signs_for_all_heads(self):
        gradients, heads = self.heads()
        blocks = {task: shared_gradient_block(head) for task, head in heads.items()}
        assert all(block.left.shape == (6, 64) and block.right is None for block in blocks.values())
        both = shared_gradient_block(
            replace(heads["a"], shared_gradient=gradients["a"] + gradients["b"])
        ).left  # g is linear, so is its sketch
        torch.testing.assert_close(both, blocks["a"].left + blocks["b"].left)

    def test_size_and_seed(self):
        _, heads = self.heads()
        assert shared_gradient_block(heads["a"], max_dim=None).left.shape == (6, 96)
        other = shared_gradient_block(heads["a"], seed=1).left
        assert not torch.allclose(other, shared_gradient_block(heads["a"]).left)

    def test_missing_ones_are_named(self):
        with pytest.raises(ValueError, match=r"HeadOutput\.shared_gradient"):
            shared_gradient_block(random_head("bernoulli", 1))


def test_embedding_without_a_say_is_flat():
    with pytest.warns(UserWarning, match="zero on every frame"):
        joint = JointGradientEmbedding({"a": GradientBlock(torch.zeros(3, 2), torch.ones(3, 4))})
    assert joint.sq_norm.tolist() == [0.0] * 3
    assert joint.rounding == 0.0
    assert joint.paired_sq_distances(joint.take(slice(0, 1))).tolist() == [0.0] * 3
    assert pairwise(joint).tolist() == [[0.0] * 3] * 3
