import pytest
import timm
import torch
from torch import nn

from mtal.models import build_encoder
from mtal.models.normalisation import normalisation


@pytest.mark.parametrize(
    ("name", "timm_name", "is_vit", "dim"),
    [
        ("resnet18", "resnet18", False, 512),
        ("resnet50", "resnet50", False, 2048),
        ("efficientnet_lite0", "tf_efficientnet_lite0", False, 320),
        ("mobilenetv3_small_050", "mobilenetv3_small_050", False, 288),
        ("test_convnext", "test_convnext", False, 64),
        ("vit_tiny", "vit_tiny_patch16_224", True, 192),
        ("vit_small", "vit_small_patch16_224", True, 384),
        ("vit_medium_patch16_gap_240", "vit_medium_patch16_gap_240", True, 512),
    ],
)
class TestEveryEncoder:
    def test_levels(self, images, name, timm_name, is_vit, dim):
        encoder = build_encoder(name).eval()
        assert (encoder.name, encoder.is_vit, encoder.dim) == (timm_name, is_vit, dim)
        assert encoder.strides == ([16] * 4 if is_vit else [2, 4, 8, 16, 32])
        with torch.no_grad():
            levels = encoder(images)
        maps, tokens = levels[: len(encoder.strides)], levels[len(encoder.strides) :]
        for level, channels, stride in zip(maps, encoder.out_channels, encoder.strides, strict=True):
            assert level.shape == (2, channels, 64 // stride, 96 // stride)
        assert [t.shape for t in tokens] == ([(2, 1, dim)] * 4 if encoder.has_prefix else [])
        assert encoder.has_prefix == (is_vit and "gap" not in name)
        expected = torch.stack([maps[-1][n].flatten(1).mean(dim=1) for n in range(2)])
        torch.testing.assert_close(encoder.pool(levels), expected)


class TestCnn:
    def test_levels_are_those_of_the_whole_timm_model(self, images):
        encoder = build_encoder("resnet18").eval()
        whole = timm.create_model("resnet18").eval()
        whole.load_state_dict(encoder.backbone.model.state_dict(), strict=False)
        with torch.no_grad():
            x = whole.act1(whole.bn1(whole.conv1((images / 255 - encoder.mean) / encoder.std)))
            expected = [x]
            x = whole.maxpool(x)
            for layer in (whole.layer1, whole.layer2, whole.layer3, whole.layer4):
                x = layer(x)
                expected.append(x)
            for got, want in zip(encoder(images), expected, strict=True):
                assert torch.equal(got, want)


class TestVit:
    def test_levels_are_those_of_the_whole_timm_model(self):
        encoder = build_encoder("vit_tiny").eval()
        images = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
        whole = timm.create_model("vit_tiny_patch16_224").eval()
        whole.load_state_dict(encoder.backbone.model.state_dict())
        outputs = []
        for block in whole.blocks:
            block.register_forward_hook(lambda _, __, y: outputs.append(y))
        with torch.no_grad():
            whole((images / 255 - encoder.mean) / encoder.std)
            levels = encoder(images)
        # four blocks, evenly spaced up to the last
        for got, token, block in zip(levels[:4], levels[4:], (2, 5, 8, 11), strict=True):
            want = outputs[block]  # [N, 1 + 14·14, D]
            torch.testing.assert_close(got, want[:, 1:].transpose(1, 2).reshape(1, 192, 14, 14))
            torch.testing.assert_close(token, want[:, :1])


class TestNormalisation:
    @pytest.mark.parametrize(
        ("name", "mean", "std"),
        [
            ("resnet18", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ("efficientnet_lite0", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ],
    )
    def test_backbone_sees_the_statistics_it_was_trained_with(self, images, name, mean, std):
        encoder = build_encoder(name).eval()
        seen = []
        encoder.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        with torch.no_grad():
            encoder(images)
        for c in range(3):
            torch.testing.assert_close(seen[0][:, c], (images[:, c] / 255 - mean[c]) / std[c])

    @pytest.mark.parametrize("channels", ["rgb", "bgr"])
    def test_of_the_weights_own_pictures(self, images, channels):
        """In the order in which the encoder takes the channels."""
        mean, std = (0.3, 0.2, 0.1), (0.5, 0.4, 0.25)
        encoder = build_encoder("test_resnet", mean=mean, std=std, channels=channels).eval()
        seen = []
        encoder.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
        with torch.no_grad():
            encoder(images)
        for c in range(3):
            of = c if channels == "rgb" else 2 - c
            torch.testing.assert_close(seen[0][:, c], (images[:, of] / 255 - mean[c]) / std[c])
        told = {"name": "test_resnet", "mean": [0.3, 0.2, 0.1], "std": [0.5, 0.4, 0.25], "channels": channels}
        assert encoder.description == told | {"weights": None}

    def test_timm_s_turn_with_the_channels(self):
        """They are the same statistics of the same channels, wherever these stand."""
        assert normalisation("resnet18", channels="bgr").std == (0.225, 0.224, 0.229)

    def test_all_faults_at_once(self):
        with pytest.raises(ValueError, match=r"^3 wrong options:\n") as e:
            build_encoder("test_resnet", mean=(123.7, 116.3, 103.5), std=(0.2, 0.0), channels="grb")
        assert str(e.value) == (
            "3 wrong options:\n"
            "  encoder.mean must be three numbers from 0 to 1, of pictures scaled to 0 … 1, not [123.7, 116.3, 103.5]; "
            "divide by 255\n"
            "  encoder.std must be three numbers above 0 to 1, of pictures scaled to 0 … 1, not [0.2, 0.0]\n"
            "  encoder.channels must be rgb or bgr, not 'grb'"
        )

    def test_statistics_are_not_part_of_the_weights(self):
        assert not {"mean", "std"} & build_encoder("test_resnet").state_dict().keys()


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "mobilenetv3_small_050", "vit_tiny"])
def test_encoder_draws_no_random_numbers(images, name):
    """One pass serves all Monte-Carlo members only if nothing but BatchNorm tells training from evaluation."""
    encoder = build_encoder(name).train()
    for module in encoder.modules():
        assert getattr(module, "p", 0.0) == 0 or not isinstance(module, nn.modules.dropout._DropoutNd)
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    with torch.no_grad():
        for a, b in zip(encoder(images), encoder(images), strict=True):
            assert torch.equal(a, b)


class TestRefused:
    @pytest.mark.parametrize(
        ("name", "size", "stride"),
        [("test_resnet", (64, 80), 32), ("test_resnet", (33, 64), 32), ("test_vit", (64, 60), 16)],
    )
    def test_size_that_is_not_divisible(self, name, size, stride):
        images = torch.zeros(1, 3, *size, dtype=torch.uint8)
        with pytest.raises(
            ValueError, match=f"{name} needs .* divisible by {stride}, not {size[0]}x{size[1]}; set frames"
        ):
            build_encoder(name)(images)

    @pytest.mark.parametrize("name", ["resnet_18", "vit-tiny", ""])
    def test_unknown_name(self, name):
        with pytest.raises(ValueError, match=f"unknown encoder '{name}': not one of resnet18, resnet50, vit_tiny"):
            build_encoder(name)

    def test_unknown_name_lists_relatives(self):
        with pytest.raises(ValueError, match=r"timm has .*convnext"):
            build_encoder("convnext_gigantic")

    def test_unknown_tag(self):
        with pytest.raises(ValueError, match=r"encoder=resnet18\.nowhere: .*nowhere.*Leave the tag out"):
            build_encoder("resnet18.nowhere")

    @pytest.mark.parametrize("name", ["mixer_s32_224", "beit_base_patch16_224", "nest_tiny"])
    def test_no_pyramid(self, name):
        with pytest.raises(ValueError, match=f"{name} has no pyramid of feature maps .*take one of resnet18"):
            build_encoder(name)
