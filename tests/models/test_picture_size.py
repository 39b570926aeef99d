import pytest
import torch
from torch import nn

from mtal.models import MultiTaskModel, build_encoder
from mtal.models.picture_size import SubsampledConv, subsample_first

SIZE = (96, 64)


@pytest.mark.parametrize(
    "name", ["swin_tiny_patch4_window7_224", "swinv2_cr_tiny_ns_224", "hiera_tiny_224", "test_maxvit"]
)
def test_made_for_the_size_of_the_pictures(name, tasks):
    """None of them looks at pictures of another size than its own as timm makes it."""
    encoder = build_encoder(name, image_size=SIZE).eval()
    model = MultiTaskModel(encoder, tasks, channels=32, hidden=16).eval()
    with torch.no_grad():
        output = model(torch.zeros(2, 3, *SIZE, dtype=torch.uint8))
    assert output.heads["anatomy"].logits.shape[-2:] == (24, 16)


def test_does_not_end_the_process(tasks):
    """Which torch does in channels-last 1 x 1 convolutions with a stride, as here."""
    model = MultiTaskModel(build_encoder("repvgg_a0", image_size=SIZE), tasks, channels=32, hidden=16).eval()
    with torch.no_grad():
        output = model(torch.zeros(1, *SIZE, 3, dtype=torch.uint8).permute(0, 3, 1, 2))
    assert output.shared.shape == (1, model.encoder.dim)


@pytest.mark.parametrize("name", ["inception_v3", "legacy_xception"])
def test_refused_in_one_sentence(name):
    """And not sent to its own size of 299, of which no encoder takes pictures."""
    with pytest.raises(
        ValueError, match=rf"{name} cannot look at pictures of 96x64 \(.*\); choose another size, or another encoder$"
    ):
        build_encoder(name, image_size=SIZE)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [2, (1, 3)])
def test_subsampled_first_is_the_same_convolution(stride, groups):
    torch.manual_seed(0)
    conv = nn.Sequential(nn.Conv2d(4, 6, 1, stride, groups=groups), nn.Conv2d(6, 6, 3, 2), nn.Conv2d(6, 2, 1))
    x = torch.randn(2, 4, 11, 8)
    before = conv(x)
    subsample_first(conv)
    assert [type(m) is SubsampledConv for m in conv] == [True, False, False]
    torch.testing.assert_close(conv(x), before)
