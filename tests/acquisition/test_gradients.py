from dataclasses import replace

import numpy as np
import pytest
import torch
from axioms.autograd import LinearHead
from axioms.heads import KINDS, random_head, rows

from mtal.acquisition.gradients import GradientBlock, JointGradientEmbedding, gradient_block, mean_gradient
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
        torch.testing.assert_close(block.inner_products(block), gradients @ gradients.T, rtol=1e-10, atol=1e-12)

    def test_mean_gradient_is_the_gradient_itself(self, family, sites, bias):
        head = LinearHead(family, sites, bias=bias)
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

    def test_distances_are_unbiased(self):
        exact = pairwise(gradient_block(self.head, max_dim=None))
        sketches = torch.stack([pairwise(gradient_block(self.head, max_dim=16, seed=seed)) for seed in range(400)])
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
