from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mtal.models import build_encoder
from mtal.models.decoders import Decoder
from mtal.models.encoders import Outline
from mtal.models.group_norm import GroupNorm


def some(outline, channels, *, prefix):
    of_outline = {"outline": outline, "is_vit": outline.is_vit, "name": outline.name, "strides": list(outline.strides)}
    return SimpleNamespace(**of_outline, out_channels=channels, has_prefix=prefix)


def cnn(name="test_resnet"):
    return some(Outline(name, False, (2, 4, 8, 16, 32)), [8, 12, 16, 20, 24], prefix=False)


def vit(patch=16, *, prefix=True):
    return some(Outline("some_vit", True, (patch,) * 4), [24] * 4, prefix=prefix)


def levels_of(encoder, height, width):
    """Random levels as that encoder would give them."""
    sizes = zip(encoder.out_channels, encoder.strides, strict=True)
    maps = [torch.randn(2, c, height // s, width // s) for c, s in sizes]
    return maps + [torch.randn(2, 1, c) for c in encoder.out_channels if encoder.has_prefix]


class TestOutput:
    @pytest.mark.parametrize("channels", [32, 64])
    @pytest.mark.parametrize("size", [(64, 64), (96, 32), (160, 224)])
    @pytest.mark.parametrize(
        ("name", "encoder", "stride"),
        [
            ("fpn", cnn(), 4),
            ("unet", cnn(), 2),
            ("dpt", vit(8), 2),
            ("dpt", vit(16), 2),
            ("dpt", vit(32), 2),
            ("dpt", vit(16, prefix=False), 2),
        ],
    )
    def test_shape(self, name, encoder, stride, size, channels):
        decoder = Decoder(encoder, name, channels).eval()
        with torch.no_grad():
            decoded = decoder(levels_of(encoder, *size))
        assert decoded.shape == (2, channels, size[0] // stride, size[1] // stride)

    @pytest.mark.parametrize(("encoder", "name"), [(cnn(), "fpn"), (vit(), "dpt")])
    def test_auto(self, encoder, name):
        assert Decoder(encoder).name == name

    def test_unet_takes_any_width(self):
        encoder = cnn()
        assert Decoder(encoder, "unet", 10).eval()(levels_of(encoder, 32, 32)).shape == (2, 10, 16, 16)

    @pytest.mark.parametrize(("name", "encoder"), [("fpn", cnn()), ("unet", cnn()), ("dpt", vit())])
    def test_every_level_is_used(self, name, encoder):
        # FPN starts at stride 4 and leaves the first map out
        levels = [t.requires_grad_() for t in levels_of(encoder, 64, 64)]
        Decoder(encoder, name, 32).eval()(levels).square().sum().backward()
        unused = [i for i, t in enumerate(levels) if t.grad is None or not t.grad.any()]
        assert unused == ([0] if name == "fpn" else [])

    @pytest.mark.parametrize("name", ["fpn", "unet"])
    def test_the_stand_in_for_the_image_is_not_used(self, name):
        encoder = cnn()
        decoder = Decoder(encoder, name, 32).eval()
        levels = levels_of(encoder, 64, 64)
        with torch.no_grad():
            assert torch.equal(decoder(levels), decoder.body([torch.full((2, 3, 64, 64), torch.nan), *levels]))

    @pytest.mark.parametrize("name", ["fpn", "unet"])
    def test_empty_first_level_of_a_convnext(self, name, images):
        encoder = build_encoder("test_convnext").eval()
        with torch.no_grad():
            decoded = Decoder(encoder, name, 32).eval()(encoder(images))
        assert decoded.shape == ((2, 32, 16, 24) if name == "fpn" else (2, 32, 32, 48))


class TestDropout:
    @pytest.mark.parametrize(("name", "encoder"), [("fpn", cnn()), ("unet", cnn()), ("dpt", vit())])
    def test_is_only_at_the_output(self, name, encoder):
        decoder = Decoder(encoder, name, 32, dropout=0.25)
        active = [m for m in decoder.modules() if isinstance(m, nn.modules.dropout._DropoutNd) and m.p > 0]
        assert active == [decoder.dropout]
        assert decoder.dropout.p == 0.25

    def test_drops_whole_channels_in_training_only(self):
        encoder = vit()
        torch.manual_seed(0)
        decoder = Decoder(encoder, "dpt", 32, dropout=0.5)
        levels = levels_of(encoder, 32, 32)
        with torch.no_grad():
            empty = (decoder(levels) == 0).all(dim=(2, 3)).sum().item()
            whole = (decoder.eval()(levels) == 0).all(dim=(2, 3)).sum().item()
        assert 10 < empty < 54  # 32 of 64 expected
        assert whole == 0


class TestRefused:
    @pytest.mark.parametrize("name", ["fpn", "unet"])
    def test_plain_vit_with_a_pyramid_decoder(self, name):
        with pytest.raises(ValueError, match=rf"some_vit is a plain ViT and takes model\.decoder=dpt, not {name}"):
            Decoder(vit(), name)

    def test_cnn_with_dpt(self):
        with pytest.raises(ValueError, match=r"test_resnet is a CNN and takes model\.decoder=fpn or unet, not dpt"):
            Decoder(cnn(), "dpt")

    def test_unknown_name(self):
        with pytest.raises(ValueError, match="unknown decoder 'segformer'; decoders are fpn, unet, dpt and auto"):
            Decoder(cnn(), "segformer")

    def test_patches_that_do_not_halve(self):
        with pytest.raises(ValueError, match=r"some_vit has patches of 14 pixels; DPT .* takes 4, 8, 16 or 32"):
            Decoder(vit(14))

    def test_fpn_of_a_width_that_its_normalisation_cannot_have(self):
        with pytest.raises(ValueError, match=r"model\.channels must be a multiple of 32 for the FPN decoder, not 48"):
            Decoder(cnn(), "fpn", 48)

    @pytest.mark.parametrize("size", [(48, 64), (64, 48), (112, 112)])
    def test_dpt_at_an_odd_number_of_patches(self, size):
        encoder = vit()
        with pytest.raises(ValueError, match=f"DPT over some_vit needs .* divisible by 32, not {size[0]}x{size[1]}"):
            Decoder(encoder)(levels_of(encoder, *size))


class TestGroupNorm:
    def test_all_of_fpn_are_replaced(self):
        norms = [m for m in Decoder(cnn(), "fpn", 32).modules() if isinstance(m, nn.GroupNorm)]
        assert norms
        assert {type(m) for m in norms} == {GroupNorm}

    def test_pretrained_names_stay(self):
        ours = Decoder(cnn(), "fpn", 32)
        assert any(name.endswith("block.1.weight") for name in ours.state_dict())
