from functools import cache

import pytest
import torch
from torch import nn
from torch.nn import functional

from mtal.models import MultiTaskModel, build_encoder

FRAME, PIXEL = {"tools": 3, "bleeding": 1, "phase": 4}, {"anatomy": 5, "structures": 2}


def running_statistics(module):
    return {k: v.clone() for k, v in module.state_dict().items() if "running" in k or "tracked" in k}


def monte_carlo(model):
    """Evaluation mode with the dropout switched on."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.train()
    return model


@pytest.fixture(scope="module")
def built():
    """Each encoder is built once and shared by the tests, which leave its weights alone."""

    @cache
    def build(name):
        torch.manual_seed(0)
        return build_encoder(name)

    return build


class ModelAxioms:
    """What every pair of encoder and decoder must do; five heads, one of each kind and a second of two."""

    encoder: str
    decoder: str
    stride: int
    channels = 32

    @pytest.fixture
    def shared_encoder(self, built):
        return built(self.encoder)

    def build(self, encoder, tasks, *, frozen=False, decoder=None):
        torch.manual_seed(0)
        encoder.requires_grad_(True).train()
        return MultiTaskModel(encoder, tasks, decoder or self.decoder, self.channels, hidden=16, frozen=frozen)

    @pytest.fixture
    def model(self, shared_encoder, tasks):
        return self.build(shared_encoder, tasks).eval()

    @pytest.mark.parametrize("size", [(64, 64), (32, 96)])
    def test_shapes(self, model, size):
        height, width = size
        with torch.no_grad():
            output = model(torch.zeros(2, 3, height, width, dtype=torch.uint8))
        space = (height // self.stride, width // self.stride)
        assert list(output.heads) == [*FRAME, *PIXEL]
        assert output.shared.shape == (2, model.encoder.dim)
        for name, classes in FRAME.items():
            assert output.heads[name].logits.shape == (2, classes)
            assert output.heads[name].features.shape == (2, 16)
        for name, classes in PIXEL.items():
            assert output.heads[name].logits.shape == (2, classes, *space)
            assert output.heads[name].features.shape == (2, self.channels, *space)

    def test_images_and_their_levels_give_the_same(self, model, images):
        with torch.no_grad():
            levels = model.encoder(images)
            from_images, from_levels = model(images), model(levels)
        assert torch.equal(from_images.shared, from_levels.shared)
        for a, b in zip(from_images.heads.values(), from_levels.heads.values(), strict=True):
            assert torch.equal(a.logits, b.logits)
            assert torch.equal(a.features, b.features)

    def test_logits_are_the_linear_last_layer_of_the_features(self, model, images):
        monte_carlo(model)
        with torch.no_grad():
            output = model(images)
            for name, head in output.heads.items():
                last = model.heads[name].last
                assert torch.equal(head.logits, last(head.features))
                matrix = last.weight.flatten(1)  # [C, D]
                by_hand = torch.einsum("nd...,cd->nc...", head.features, matrix)
                by_hand += last.bias.view(1, -1, *[1] * (head.logits.ndim - 2))
                torch.testing.assert_close(head.logits, by_hand, rtol=1e-4, atol=1e-5)

    def test_frame_heads_see_the_shared_vector_and_peaks_beside_the_mean_and_maximum_of_the_map(self, model, images):
        with torch.no_grad():
            output = model(images)
            decoded = output.heads["anatomy"].features.flatten(2)  # the pixel head's dropout is off
            maps = model.encoder(images)[: len(model.encoder.out_channels)]
            peaks = [deep.flatten(2).max(dim=2).values for deep in maps[-3:]]
            vector = torch.cat([output.shared, *peaks, decoded.mean(dim=2), decoded.max(dim=2).values], dim=1)
            expected = model.heads["tools"](vector)[0]
        torch.testing.assert_close(output.heads["tools"].logits, expected, rtol=1e-4, atol=1e-5)

    def test_a_frame_does_not_depend_on_its_batch(self, model, images):
        with torch.no_grad():
            both, alone = model(images), model(images[1:])
        for a, b in zip(both.heads.values(), alone.heads.values(), strict=True):
            torch.testing.assert_close(a.logits[1:], b.logits, rtol=1e-3, atol=1e-4)

    def test_every_head_teaches_the_encoder(self, shared_encoder, tasks, images):
        model = self.build(shared_encoder, tasks).train()
        first = next(p for p in model.encoder.parameters() if p.ndim == 4)
        for name, head in model(images).heads.items():
            (gradient,) = torch.autograd.grad(head.logits.square().sum(), first, retain_graph=True)
            assert gradient.any(), name

    def test_masks_teach_the_tags(self, model, images):
        """The decoder is shared: a pixel head's loss moves what a frame head sees."""
        decoder = [p for p in model.decoder.parameters() if p.ndim > 1]
        output = model(images)
        for name in ("tools", "anatomy"):
            loss = output.heads[name].logits.square().sum()
            gradients = torch.autograd.grad(loss, decoder, retain_graph=True, allow_unused=True)
            assert any(g is not None and g.any() for g in gradients), name

    def test_frozen_encoder_gets_no_gradient(self, shared_encoder, tasks, images):
        model = self.build(shared_encoder, tasks, frozen=True).train()
        output = model(images)
        assert not output.shared.requires_grad
        sum(head.logits.square().sum() for head in output.heads.values()).backward()
        assert all(p.grad is None and not p.requires_grad for p in model.encoder.parameters())
        assert all(head.last.weight.grad.any() for head in model.heads.values())

    def test_frozen_encoder_keeps_its_statistics(self, shared_encoder, tasks, images):
        model = self.build(shared_encoder, tasks, frozen=True)
        before = running_statistics(model.encoder)
        model(images)  # as built, before anyone calls train() or eval()
        for mode in (True, False, True):
            model.train(mode)
            assert not model.encoder.training
            assert model.heads.training == model.decoder.training == mode
            model(images)
        after = running_statistics(model.encoder)
        assert all(torch.equal(before[k], after[k]) for k in before)

    def test_encoder_that_is_not_frozen_trains(self, shared_encoder, tasks):
        model = self.build(shared_encoder, tasks).train()
        assert model.encoder.training
        assert not model.eval().encoder.training

    def test_frozen_model_trains_all_but_the_encoder(self, shared_encoder, tasks, images):
        model = self.build(shared_encoder, tasks, frozen=True)
        state = model.trained_state()
        assert set(state) == {k for k in model.state_dict() if k.startswith(("decoder.", "heads."))}
        other = MultiTaskModel(shared_encoder, tasks, self.decoder, self.channels, hidden=16, frozen=True)
        assert not other.load_state_dict(dict(state), strict=False).unexpected_keys
        with torch.no_grad():
            a, b = model.eval()(images), other.eval()(images)
        assert all(torch.equal(a.heads[k].logits, b.heads[k].logits) for k in a.heads)

    def test_model_that_is_not_frozen_keeps_everything(self, model):
        assert model.trained_state().keys() == model.state_dict().keys()

    def test_dropout_leaves_the_encoder_alone(self, model, images):
        monte_carlo(model)
        before = running_statistics(model)
        with torch.no_grad():
            passes = [model(images) for _ in range(2)]
        assert torch.equal(passes[0].shared, passes[1].shared)
        for name in [*FRAME, *PIXEL]:
            assert not torch.equal(passes[0].heads[name].logits, passes[1].heads[name].logits), name
        after = running_statistics(model)
        assert all(torch.equal(before[k], after[k]) for k in before)

    def test_gradients_at_the_levels_chain_to_those_of_the_whole_model(self, model, images):
        """Levels taken out of the encoder carry all that a head tells it: acquisition reads gradients there."""
        first = next(p for p in model.encoder.parameters() if p.ndim == 4)
        loss = functional.softplus(model(images).heads["tools"].logits).sum()
        (whole,) = torch.autograd.grad(loss, first)
        inside = model.encoder(images)
        levels = [t.detach().requires_grad_() for t in inside]
        functional.softplus(model(levels).heads["tools"].logits).sum().backward()
        used = [i for i, t in enumerate(levels) if t.grad is not None]
        (chained,) = torch.autograd.grad([inside[i] for i in used], first, [levels[i].grad for i in used])
        torch.testing.assert_close(chained, whole, rtol=1e-3, atol=1e-4 * whole.abs().max().item())

    def test_size_that_is_not_divisible(self, model):
        with pytest.raises(ValueError, match=r"needs a height and width divisible by (16|32), not 40x64"):
            model(torch.zeros(1, 3, 40, 64, dtype=torch.uint8))


class PlainVit(ModelAxioms):
    decoder = "dpt"
    stride = 2

    @pytest.mark.parametrize("wrong", ["fpn", "unet"])
    def test_wrong_decoder(self, shared_encoder, tasks, wrong):
        with pytest.raises(ValueError, match=r"is a plain ViT and takes model\.decoder=dpt"):
            self.build(shared_encoder, tasks, decoder=wrong)


class Cnn(ModelAxioms):
    def test_wrong_decoder(self, shared_encoder, tasks):
        with pytest.raises(ValueError, match=r"is a CNN and takes model\.decoder=fpn or unet"):
            self.build(shared_encoder, tasks, decoder="dpt")

    def test_statistics_of_an_encoder_that_is_not_frozen_move(self, shared_encoder, tasks, images):
        model = self.build(shared_encoder, tasks).train()
        before = running_statistics(model.encoder)
        model(images)
        after = running_statistics(model.encoder)
        assert before
        assert not any(torch.equal(before[k], after[k]) for k in before if k.endswith("running_mean"))


class Fpn(Cnn):
    decoder = "fpn"
    stride = 4


class UNet(Cnn):
    decoder = "unet"
    stride = 2


class TestResNet18Fpn(Fpn):
    encoder = "resnet18"


class TestResNet18UNet(UNet):
    encoder = "resnet18"


class TestEfficientNetLite0Fpn(Fpn):
    encoder = "efficientnet_lite0"


class TestEfficientNetLite0UNet(UNet):
    encoder = "efficientnet_lite0"


class TestMobileNetV3Fpn(Fpn):
    encoder = "mobilenetv3_small_050"


class TestMobileNetV3UNet(UNet):
    encoder = "mobilenetv3_small_050"


class TestVitTinyDpt(PlainVit):
    encoder = "vit_tiny"
