import math

import numpy as np
import pytest
import torch
import yaml
from composed import CONFIGS

from mtal.datasets.label_map import IGNORE
from mtal.learning.augmentation import DRAWS, Augmentation

H, W = 24, 32
AT, VIEWS = np.array([3, 3, 7, 9]), np.array([0, 1, 1, 5])


def preset(name: str) -> Augmentation:
    read = yaml.safe_load((CONFIGS / "augment" / f"{name}.yaml").read_text())
    base = yaml.safe_load((CONFIGS / "augment" / "light.yaml").read_text()) if "defaults" in read else {}
    return Augmentation(**{k: v for k, v in {**base, **read}.items() if k not in ("_target_", "defaults")})


@pytest.fixture(scope="module")
def scene() -> tuple[torch.Tensor, torch.Tensor]:
    """Four frames of smooth colours and a mask of blocks that the red channel tells."""
    generator = torch.Generator().manual_seed(0)
    mask = torch.randint(3, (4, H // 8, W // 8), generator=generator)
    mask = mask.repeat_interleave(8, 1).repeat_interleave(8, 2).to(torch.uint8)
    images = torch.randint(40, 200, (4, 3, H, W), generator=generator).to(torch.uint8)
    images[:, 0] = 60 + 60 * mask
    return images, mask


def by_hand(u: float, **options) -> tuple[Augmentation, torch.Tensor]:
    """All choices are u, in a view of one frame."""
    draw = torch.full((1, DRAWS), u)
    draw[:, 0] = 1
    return Augmentation(**options), draw


class TestDraw:
    def test_depends_on_seed_frame_and_view_alone(self):
        made = preset("endoscopy")
        together = made.draw(5, AT, VIEWS)
        for row in range(4):
            assert torch.equal(made.draw(5, AT[[row]], VIEWS[[row]])[0], together[row])
        others = [together[1], made.draw(6, AT[1:2], VIEWS[1:2])[0], together[2], made.draw(5, AT[1:2], VIEWS[3:])[0]]
        assert len({tuple(row.tolist()) for row in others}) == 4

    @pytest.mark.parametrize("name", ["light", "endoscopy"])
    def test_view_0_is_the_frame_itself(self, name, scene):
        images, masks = scene
        made = preset(name)
        draw = made.draw(0, AT, VIEWS)
        seen, labels = made.images(images, draw), made.masks(masks, draw)
        assert torch.equal(seen[0], images[0].float())
        assert torch.equal(labels[0], masks[0])
        assert all((seen[i] - images[i]).abs().mean() > 1 for i in (1, 2, 3))

    def test_mixed_precision_leaves_masks_where_their_pictures_are(self):
        """A checkerboard of pixels, of which every one that moves shows."""
        rows, columns = torch.arange(96)[:, None], torch.arange(160)
        masks = ((rows + columns) % 2).to(torch.uint8).expand(4, -1, -1)
        images = 255 * masks.unsqueeze(1).expand(-1, 3, -1, -1)
        made = preset("endoscopy")
        draw = made.draw(0, AT, VIEWS)
        with torch.autocast("cpu", torch.bfloat16):
            mixed = made.images(images, draw), made.masks(masks, draw)
        assert torch.equal(mixed[0], made.images(images, draw))
        assert torch.equal(mixed[1], made.masks(masks, draw))

    @pytest.mark.parametrize("name", ["light", "endoscopy"])
    def test_a_view_does_not_depend_on_its_batch(self, name, scene):
        images, masks = scene
        made = preset(name)
        draw = made.draw(0, AT, VIEWS)
        whole, labels = made.images(images, draw), made.masks(masks, draw)
        for i in range(4):
            torch.testing.assert_close(made.images(images[i : i + 1], draw[i : i + 1])[0], whole[i], rtol=0, atol=1e-3)
            assert torch.equal(made.masks(masks[i : i + 1], draw[i : i + 1])[0], labels[i])


class TestGeometry:
    def test_flip_to_the_bit(self, scene):
        images, masks = (x[:1] for x in scene)
        made, draw = by_hand(0.49, flip=True)
        torch.testing.assert_close(made.images(images, draw), images.flip(-1).float(), rtol=0, atol=1e-3)
        assert torch.equal(made.masks(masks, draw), masks.flip(-1))
        made, draw = by_hand(0.51, flip=True)
        assert torch.equal(made.masks(masks, draw), masks)

    def test_crop_in_the_middle(self, scene):
        """Half of each side, u = ½ shifting by nothing: pixel x lies at W/4 + (x + ½)/2."""
        masks = scene[1][:1]
        made, draw = by_hand(0.5, scale=0.5)
        draw[:, 2] = 1.0  # the smallest crop
        rows = torch.floor(H / 4 + (torch.arange(H) + 0.5) / 2).long()
        columns = torch.floor(W / 4 + (torch.arange(W) + 0.5) / 2).long()
        assert torch.equal(made.masks(masks, draw), masks[:, rows[:, None], columns])

    def test_a_quarter_turn(self):
        """Of a square, by 90 degrees: rows become columns."""
        mask = torch.arange(64, dtype=torch.uint8).view(1, 8, 8)
        made, draw = by_hand(1.0, rotation=90.0)
        turned = made.masks(mask, draw)
        assert torch.equal(turned, torch.rot90(mask, 1, (1, 2))) or torch.equal(turned, torch.rot90(mask, -1, (1, 2)))

    def test_what_comes_from_outside_is_black_and_not_annotated(self):
        image = torch.full((1, 3, 32, 64), 200, dtype=torch.uint8)
        mask = torch.ones(1, 32, 64, dtype=torch.uint8)
        made, draw = by_hand(1.0, rotation=45.0)
        seen, labels = made.images(image, draw), made.masks(mask, draw)
        outside = labels[0] == IGNORE
        assert set(labels.unique().tolist()) == {1, IGNORE}
        assert 0.1 < outside.float().mean() < 0.9
        assert (seen[0, :, outside] < 101).all()  # the nearest pixel is outside, so less than half is of the frame
        assert (seen[0, :, ~outside] > 99).all()

    def test_an_angle_stays_one_in_a_wide_picture(self):
        """A disc is a disc after it is turned."""
        y, x = torch.meshgrid(torch.arange(40) - 19.5, torch.arange(80) - 39.5, indexing="ij")
        disc = (x**2 + y**2 < 15**2).to(torch.uint8).unsqueeze(0)
        made, draw = by_hand(0.9, rotation=60.0)
        turned = made.masks(disc, draw)
        assert ((turned == 1) ^ (disc == 1)).float().sum() < 0.05 * disc.sum()

    @pytest.mark.parametrize("name", ["light", "endoscopy"])
    def test_masks_lie_on_their_pictures(self, name, scene):
        """The red channel tells the class; away from borders of blocks a view's does too."""
        images, masks = scene
        made = preset(name)
        geometry = Augmentation(flip=True, scale=made.scale, rotation=made.rotation)
        for view in range(1, 6):
            draw = geometry.draw(1, AT, np.full(4, view))
            seen, labels = geometry.images(images, draw)[:, 0], geometry.masks(masks, draw)
            known = labels != IGNORE
            told = ((seen - 60) / 60).round()
            assert (told == labels)[known].float().mean() > 0.85
            exact = ((seen - 60) / 60 - told).abs() < 0.02
            assert (told == labels)[known & exact].float().mean() > 0.99

    def test_layers_turn_like_maps(self, scene):
        masks = scene[1]
        made = preset("endoscopy")
        draw = made.draw(2, AT, VIEWS)
        layers = torch.stack([masks, masks], dim=1)
        assert torch.equal(made.masks(layers, draw)[:, 1], made.masks(masks, draw))


class TestOptics:
    def test_circle_hides_picture_and_labels(self):
        image = torch.full((1, 3, 40, 60), 200, dtype=torch.uint8)
        mask = torch.ones(1, 40, 60, dtype=torch.uint8)
        made, draw = by_hand(0.5, circle=0.6)
        seen, labels = made.images(image, draw), made.masks(mask, draw)
        hidden = labels[0] == IGNORE
        assert (seen[0, :, hidden] == 0).all()
        assert (seen[0, :, ~hidden] > 190).all()
        share = 1 - math.pi * (1.1 * 20) ** 2 / (40 * 60)  # but for what two caps take
        assert float(hidden.float().mean()) == pytest.approx(share, abs=0.05)

    @pytest.mark.parametrize(
        ("option", "change"),
        [
            ({"smoke": 1.0}, lambda a, b: b.std() < a.std()),
            ({"specular": 1.0}, lambda a, b: (b >= a - 0.01).all() and b.max() > 250),
            (
                {"vignette": 1.0},
                lambda a, b: b[..., 0, 0].mean() < 0.8 * a[..., 0, 0].mean(),
            ),
            ({"blur": 0.1}, lambda a, b: b.diff(dim=-1).abs().mean() < 0.6 * a.diff(dim=-1).abs().mean()),
            ({"brightness": 0.4}, lambda a, b: abs(float(b.mean() / a.mean()) - 0.92) < 0.02),
            ({"contrast": 0.5}, lambda a, b: abs(float(b.std() / a.std()) - 0.9) < 0.02),
            ({"saturation": 1.0}, lambda a, b: b.std(dim=1).mean() < 0.9 * a.std(dim=1).mean()),
            ({"hue": 0.5}, lambda a, b: (b - a).abs().mean() > 5),
        ],
    )
    def test_does_what_it_is_called(self, option, change, scene):
        """With u = 0.4 every change is 1 + (2 · 0.4 − 1) · strength."""
        images = scene[0][:1]
        made, draw = by_hand(0.4, **option)
        assert change(images.float(), made.images(images, draw))
        assert made.images(images, draw).is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(made.masks(scene[1][:1], draw), scene[1][:1])


class TestSettings:
    @pytest.mark.parametrize(
        ("wrong", "told"),
        [
            ({"flip": 1}, "augment.flip must be true or false, not 1"),
            (
                {"views": 1},
                "augment.views must be a whole number of at least 2, of which one is the frame itself, not",
            ),
            ({"scale": 0.0}, "augment.scale must be a number from 0.05 to 1, not 0.0"),
            ({"rotation": 270}, "augment.rotation must be a number from 0 to 180, not 270"),
            ({"smoke": "some"}, "augment.smoke must be a number from 0 to 1, not 'some'"),
        ],
    )
    def test_wrong_values(self, wrong, told):
        with pytest.raises(ValueError, match=told):
            Augmentation(**wrong)

    def test_all_that_is_wrong_at_once(self):
        with pytest.raises(ValueError, match=r"^3 wrong options:\n.*flip must.*\n.*views must.*\n.*hue must.*$"):
            Augmentation(flip=1, views=1, hue=2)

    def test_none(self):
        assert preset("none").is_none
        assert Augmentation(views=9).is_none
        assert not preset("light").is_none
        assert not preset("endoscopy").is_none
