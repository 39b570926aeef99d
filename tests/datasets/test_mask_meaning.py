import re
from typing import ClassVar

import numpy as np
import pytest
from miniature.squares import H, W, grow, picture, save
from PIL import Image

from mtal.datasets import table

RED, GREEN, BLACK = [255, 0, 0], [0, 128, 0], [0, 0, 0]


@pytest.fixture
def path(tmp_path):
    """A table of four frames with masks: all black, and with red and green."""
    rows = ["patient,image,mask,split"]
    for k in range(4):
        save(tmp_path / f"images/{k}.png", picture(k))
        first = BLACK if k == 0 else RED
        save(tmp_path / f"masks/{k}.png", grow([[first] * 4, [GREEN if k else BLACK] * 4, [BLACK] * 4]))
        rows.append(f"{'ab'[k // 2]},images/{k}.png,masks/{k}.png,{('pool', 'test')[k // 2]}")
    (tmp_path / "frames.csv").write_text("\n".join(rows))
    return tmp_path / "frames.csv"


def advised(error: pytest.ExceptionInfo) -> dict[str, str]:
    """The option that a message tells to give."""
    found = re.search(r"'data\.mask_classes=\{(.*)\}'", str(error.value))
    return dict(entry.split(": ") for entry in found[1].split(", "))


class TestColours:
    @pytest.mark.parametrize("given", [{}, {1: "grasper", 2: "hook"}])
    def test_advice_that_works(self, path, given):
        with pytest.raises(ValueError, match=r"4 masks together hold 0/0/0, 0/128/0, 255/0/0") as error:
            table.load(path, mask_classes=given)
        assert advised(error) == {"0/0/0": "background", "0/128/0": "class1", "255/0/0": "class2"}
        classes = table.load(path, mask_classes=advised(error)).label_map("anatomy").classes
        assert classes == ("background", "class1", "class2")

    def test_advice_where_somebody_says_that_black_is_not_annotated(self, path):
        with pytest.raises(ValueError, match="4 masks together hold") as error:
            table.load(path, mask_ignore=[0])
        assert advised(error) == {"0/128/0": "class1", "255/0/0": "class2"}

    def test_all_strays_over_all_masks(self, path):
        save(path.parent / "masks/3.png", grow([[[7, 8, 9]] * 4, [RED] * 4, [BLACK] * 4]))
        with pytest.raises(
            ValueError, match=r"masks.1\.png: colours 0/128/0, 7/8/9 stand for no class .*name all of them"
        ):
            table.load(path, mask_classes={"255/0/0": "grasper", "1/1/1": "hook"})

    def test_colours_of_gray_masks(self, path):
        for k in range(4):
            save(path.parent / f"masks/{k}.png", grow([[0, 9, 9, 0]] * 3))
        dataset = table.load(path, mask_classes={"0/0/0": "no", "9/9/9": "yes"})
        assert dataset.labels.targets("anatomy", ["images_a/000000"], (H, W))[0, 0, ::4].tolist() == [0, 1, 1, 0]


class TestGray:
    def write(self, path, *values):
        for k in range(4):
            save(path.parent / f"masks/{k}.png", grow([[values[k % len(values)]] * 4, [0] * 4, [0] * 4]))

    def test_one_class(self, path):
        self.write(path, 255)
        with pytest.raises(
            ValueError, match=r"data\.mask_classes has the one class 'tool'.*4 masks together hold 0, 255"
        ) as error:
            table.load(path, mask_classes={255: "tool"})
        assert advised(error) == {"0": "background", "255": "tool"}
        assert table.load(path, mask_classes=advised(error)).label_map("anatomy").classes == ("background", "tool")

    def test_all_strays_over_all_masks(self, path):
        self.write(path, 1, 2, 7, 9)
        with pytest.raises(
            ValueError, match=r"masks.2\.png: gray values 7, 9 stand for no class of task 'anatomy' \(4 masks"
        ):
            table.load(path, mask_classes={1: "liver", 2: "fat"})

    def test_all_wrong_sizes_at_once(self, path):
        for k in (1, 2, 3):
            save(path.parent / f"masks/{k}.png", np.zeros((H, W + k), np.uint8))
        with pytest.raises(
            ValueError, match=r"(?s)^3 faults:\n.*1\.png: the mask is 12x17 but its frame is 12x16.*3\.png"
        ):
            table.load(path, mask_classes={0: "no", 1: "yes"})


class TestIndexed:
    """Pictures of one and the same scene, whose palettes have the colours in orders of their own."""

    COLORS = ([0, 0, 0], [255, 0, 0], [0, 128, 0])
    ORDERS = ((0, 1, 2), (2, 0, 1), (1, 2, 0), (0, 1, 2))
    OPTIONS: ClassVar = {"0/0/0": "rest", "255/0/0": "grasper", "0/128/0": "hook"}

    def write(self, path, orders=ORDERS, colors=COLORS):
        for k, order in enumerate(orders):
            numbers = np.argsort(order)[np.array(grow([[1] * 4, [2] * 4, [0] * 4]))].astype(np.uint8)
            image = Image.fromarray(numbers, mode="P")
            image.putpalette([channel for color in order for channel in colors[color]])
            image.save(path.parent / f"masks/{k}.png")

    def classes(self, path, options):
        dataset = table.load(path, mask_classes=options, mask_ignore=[])
        return [dataset.labels.mask("anatomy", frame)[::4, 0].tolist() for frame in dataset.labels.frame_ids]

    def test_are_read_by_colour(self, path):
        self.write(path)
        assert self.classes(path, self.OPTIONS) == [[1, 2, 0]] * 4

    def test_beside_pictures_in_colour(self, path):
        self.write(path, self.ORDERS[:3])  # the fourth is of red, green and black
        assert self.classes(path, self.OPTIONS) == [[1, 2, 0]] * 4

    @pytest.mark.parametrize("given", [{}, {0: "rest", 1: "grasper", 2: "hook"}])
    def test_advice_that_works(self, path, given):
        self.write(path)
        with pytest.raises(ValueError, match=r"4 masks together hold 0/0/0, 0/128/0, 255/0/0") as error:
            table.load(path, mask_classes=given, mask_ignore=[])
        assert ("0 is 0/0/0 in 0.png and 0/128/0 in 1.png, since indexed" in str(error.value)) == bool(given)
        assert advised(error) == {"0/0/0": "background", "0/128/0": "class1", "255/0/0": "class2"}
        assert self.classes(path, advised(error)) == [[2, 1, 0]] * 4

    def test_numbers_of_one_palette(self, path):
        self.write(path, [(0, 1, 2)] * 4)
        assert self.classes(path, {0: "rest", 1: "grasper", 2: "hook"}) == [[1, 2, 0]] * 4

    def test_grays_in_any_order(self, path):
        self.write(path, colors=([0] * 3, [100] * 3, [200] * 3))
        assert self.classes(path, {0: "rest", 100: "grasper", 200: "hook"}) == [[1, 2, 0]] * 4
        with pytest.raises(ValueError, match=r"0 is 0/0/0 in 0\.png and 200/200/200 in 1\.png, since indexed"):
            self.classes(path, {0: "rest", 1: "grasper", 2: "hook"})


class TestMuchBlackThatIsNoClass:
    """Background that is neither learnt nor scored: what is left is easy, and looks good."""

    @pytest.fixture
    def painted(self, path):
        """Black is 7 of 12 squares of each mask."""
        for k in range(4):
            save(path.parent / f"masks/{k}.png", grow([[1, 1, 2, 0], [1, 2, 0, 0], [0] * 4]))
        return path

    def test_is_told_once_with_its_share_and_a_way_out_that_works(self, painted):
        with pytest.warns(UserWarning, match=r"0 is 58% of the pixels of the masks that were looked at \(4\)") as told:
            table.load(painted, mask_classes={1: "liver", 2: "fat"})
        assert len(told) == 1
        assert "'data.mask_classes={0: background, 1: liver, 2: fat}'" in str(told[0].message)
        assert "say so by 'data.mask_ignore=[0, 255]'" in str(told[0].message)
        table.load(painted, mask_classes={0: "background", 1: "liver", 2: "fat"})
        table.load(painted, mask_classes={1: "liver", 2: "fat"}, mask_ignore=[0, 255])

    def test_of_a_head_of_ones_own(self, painted):
        head = {"mask": "mask", "classes": {1: "shaft", 2: "tip"}}
        with pytest.warns(UserWarning, match=r"no class of task 'tool'.*'data\.heads\.tool\.ignore=\[0, 255\]'"):
            table.load(painted, heads={"tool": head})
        table.load(painted, heads={"tool": head | {"ignore": [0, 255]}})

    def test_of_colours(self, path):
        for k in range(4):
            save(path.parent / f"masks/{k}.png", grow([[RED] * 4, [GREEN] * 4, [BLACK] * 4]))
        with pytest.warns(UserWarning, match=r"0 is 33% .*\{0/0/0: background, 0/128/0: b, 255/0/0: a\}"):
            table.load(path, mask_classes={"255/0/0": "a", "0/128/0": "b"})
        table.load(path, mask_classes={"255/0/0": "a", "0/128/0": "b"}, mask_ignore=[0, 255])

    def test_a_border_is_not_much(self, path):
        for k in range(4):
            save(path.parent / f"masks/{k}.png", grow([[1] * 4, [2] * 4, [1, 2, 1, 0]]))  # a twelfth
        table.load(path, mask_classes={1: "liver", 2: "fat"})
