import pytest
import torch
from torch import nn
from torch.nn import functional

from mtal.models.heads import FrameHead, PixelHead


@pytest.fixture
def frame_head():
    torch.manual_seed(0)
    return FrameHead(in_features=10, hidden=6, classes=3, dropout=0.5)


@pytest.fixture
def pixel_head():
    torch.manual_seed(0)
    return PixelHead(in_channels=6, classes=3, dropout=0.5)


class TestFrameHead:
    def test_shapes(self, frame_head):
        logits, features = frame_head(torch.randn(4, 10))
        assert (logits.shape, features.shape) == ((4, 3), (4, 6))

    def test_last_layer_is_linear_in_the_features(self, frame_head):
        logits, features = frame_head(torch.randn(4, 10))  # dropout on: features are those the last layer saw
        assert type(frame_head.last) is nn.Linear
        assert torch.equal(logits, functional.linear(features, frame_head.last.weight, frame_head.last.bias))

    def test_gradient_of_the_last_layer_is_residual_times_features(self, frame_head):
        logits, features = frame_head(torch.randn(4, 10))
        y = torch.tensor([0, 2, 1, 1])
        functional.cross_entropy(logits, y, reduction="sum").backward()
        residual = logits.detach().softmax(dim=1) - functional.one_hot(y, 3)  # [N, C]
        torch.testing.assert_close(frame_head.last.weight.grad, residual.T @ features.detach())
        torch.testing.assert_close(frame_head.last.bias.grad, residual.sum(dim=0))

    def test_scale_of_the_input_does_not_matter(self, frame_head):
        x = torch.randn(4, 10)
        frame_head.eval()
        torch.testing.assert_close(frame_head(1000 * x)[0], frame_head(x)[0], rtol=1e-3, atol=1e-4)

    def test_dropout_acts_in_training_only(self, frame_head):
        x = torch.randn(4, 10)
        assert not torch.equal(frame_head(x)[1], frame_head(x)[1])
        frame_head.eval()
        assert torch.equal(frame_head(x)[1], frame_head(x)[1])


class TestPixelHead:
    def test_shapes(self, pixel_head):
        logits, features = pixel_head(torch.randn(2, 6, 4, 5))
        assert (logits.shape, features.shape) == ((2, 3, 4, 5), (2, 6, 4, 5))

    def test_last_layer_is_linear_in_the_features_of_each_pixel(self, pixel_head):
        logits, features = pixel_head(torch.randn(2, 6, 4, 5))
        weight = pixel_head.last.weight
        assert weight.shape == (3, 6, 1, 1)
        by_pixel = functional.linear(features.movedim(1, -1), weight[:, :, 0, 0], pixel_head.last.bias)
        torch.testing.assert_close(logits, by_pixel.movedim(-1, 1))

    def test_gradient_of_the_last_layer_is_residual_times_features_summed_over_pixels(self, pixel_head):
        logits, features = pixel_head(torch.randn(2, 6, 4, 5))
        y = torch.randint(0, 2, (2, 3, 4, 5)).float()
        functional.binary_cross_entropy_with_logits(logits, y, reduction="sum").backward()
        residual = logits.detach().sigmoid() - y
        expected = torch.einsum("nchw,ndhw->cd", residual, features.detach())
        torch.testing.assert_close(pixel_head.last.weight.grad[:, :, 0, 0], expected, rtol=1e-5, atol=1e-5)

    def test_dropout_takes_whole_channels_in_training_only(self, pixel_head):
        x = torch.ones(1, 6, 4, 5)
        _, features = pixel_head(x)
        assert set(features.mean(dim=(2, 3)).flatten().tolist()) == {0.0, 2.0}  # kept ones are scaled by 1 / (1 - p)
        pixel_head.eval()
        assert torch.equal(pixel_head(x)[1], x)
