import pytest
from miniature import annotated
from miniature.squares import grow, picture, save

from mtal.datasets.annotations import masks


class TestRead:
    def test_folders_of_classes_below_those_of_patients(self, root):
        annotated.masks_of_classes(root)
        for category in ("liver", "fat"):
            for patient in ("ada", "ben"):
                target = root / "other" / patient / category
                target.parent.mkdir(parents=True, exist_ok=True)
                (root / "masks" / category / patient).rename(target)
        found = masks.read(root / "other", root / "images", ())
        assert [sorted(m.names[0] for m in i.marks) for i in found.images] == [["fat", "liver"]] * 3
        assert found.categories == ("fat", "liver")

    def test_colours_with_names(self, root):
        (root / "gray/labelmap.txt").write_text("background:0,0,0::\nliver:1,1,1::\nfat:2,2,2::\n")
        found = masks.read(root / "gray", None, ())
        assert found.categories == ("liver", "fat")
        names, places = found.images[0].mask.read((12, 16), "a")
        assert names == ["background", "liver", "fat"]
        assert (places == grow(annotated.FRAMES["ada/0004"][0])).all()

    def test_masks_below_images(self, root):
        (root / "gray").rename(root / "images/masks")
        found = masks.read(root / "images/masks", root / "images", {"1", "2"})
        assert [i.file for i in found.images] == ["ada/0004.png", "ada/0009.png", "ben/0002.png"]


class TestDamage:
    def test_a_mask_beside_its_image(self, root):
        """Both have the name that masks are found by."""
        save(root / "images/ada/0004.jpg", picture(1))
        with pytest.raises(ValueError, match=r"images: two images of one name: 1 \(ada/0004\.jpg and ada/0004\.png\)"):
            masks.read(root / "gray", None, {"1", "2"})

    def test_no_images(self, root):
        (root / "images").rename(root / "pictures")
        with pytest.raises(FileNotFoundError, match=r"images: no images here; give their folder as data\.root=DIR"):
            masks.read(root / "gray", None, ())

    def test_no_masks(self, root):
        with pytest.raises(FileNotFoundError, match=r"nothing: no masks here; give their folder as data\.path=DIR"):
            masks.read(root / "nothing", None, ())

    def test_masks_without_images(self, root):
        for k in range(4):
            save(root / f"gray/x{k}.png", picture(0))
        with pytest.raises(
            FileNotFoundError, match=r"gray: masks without an image: 4 \(x0\.png, x1\.png, x2\.png, …\)"
        ):
            masks.read(root / "gray", None, ())

    def test_of_one_class_and_of_several(self, root):
        save(root / "gray/liver/ada/0004.png", picture(0))
        with pytest.raises(ValueError, match=r"gray: some masks are of one class \(.*liver.*\) and some of several"):
            masks.read(root / "gray", None, {"1"})

    def test_classes_that_are_no_values(self, root):
        with pytest.raises(ValueError, match=r"data\.heads: 'liver' is no gray value .*or write a labelmap\.txt"):
            masks.read(root / "gray", None, {"liver"})

    def test_values_that_are_not_listed(self, root):
        found = masks.read(root / "gray", None, {"1"})
        with pytest.raises(ValueError, match=r"0004\.png: gray value 2 stands for no class of task 'a'"):
            found.images[0].mask.read((12, 16), "a")
