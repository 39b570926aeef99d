import re

import pytest
from miniature import annotated
from miniature.squares import picture, save

from mtal.datasets.annotations import voc


@pytest.fixture
def set_(root):
    annotated.voc(root)
    return root


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


class TestRead:
    def test_xml_beside_images_in_folders_of_splits(self, tmp_path):
        for split in ("train", "valid"):
            save(tmp_path / split / "a.png", picture(1))
            (tmp_path / split / "a.xml").write_text(
                "<annotation><size><width>0</width><height>0</height></size><object><name> hook </name><bndbox/>"
                "<attributes><attribute><name>on</name><value>fat</value></attribute></attributes></object></annotation>"
            )
        found = voc.read(tmp_path, None)
        assert [(i.file, i.split) for i in found.images] == [("train/a.png", "pool"), ("valid/a.png", "val")]
        assert found.images[0].marks[0].names == ("hook", "hook/on=fat")
        assert found.categories == ("hook",)

    def test_linked_folders_and_capitals(self, set_, tmp_path):
        expected = voc.read(set_, None)
        for folder in ("Annotations", expected.base.name, "SegmentationClass"):
            (set_ / folder / "ben").rename(tmp_path / f"ben_{folder}")
            (set_ / folder / "ben").symlink_to(tmp_path / f"ben_{folder}")
            (set_ / folder / "again").symlink_to(set_ / folder)  # a link that leads back up
        for file in ("Annotations/ada/0004.xml", "SegmentationClass/ada/0004.png", "ImageSets/Main/train.txt"):
            if (set_ / file).exists():
                (set_ / file).rename((set_ / file).with_suffix((set_ / file).suffix.upper()))
        found = voc.read(set_, None)
        assert [i.file for i in found.images] == [i.file for i in expected.images]
        assert [(i.marks, i.split) for i in found.images] == [(i.marks, i.split) for i in expected.images]
        assert [i.mask is None for i in found.images] == [i.mask is None for i in expected.images]

    def test_a_mask_beside_its_image(self, set_):
        found = voc.read(set_, None)
        save(found.base / "ada/0004.jpg", picture(2))
        with pytest.raises(ValueError, match=r"two images of one name: 1 \(ada/0004\.jpg and ada/0004\.png\); one of"):
            voc.read(set_, None)

    def test_the_image_that_the_xml_names(self, set_):
        (set_ / "Annotations/ada/0004.xml").rename(set_ / "Annotations/ada/first.xml")
        edit(set_ / "Annotations/ada/first.xml", "another.jpg", "ada/0004.png")
        (set_ / "SegmentationClass/ada/0004.png").unlink()
        assert [len(i.marks) for i in voc.read(set_, None).images if i.file == "ada/0004.png"] == [1]

    def test_two_xml_files_of_an_image(self, set_):
        (set_ / "Annotations/first.xml").write_text("<annotation><filename>ada/0004.png</filename></annotation>")
        with pytest.raises(
            ValueError, match=r"images with two XML files: 1 \(ada/0004\.png with first\.xml\); keep one"
        ):
            voc.read(set_, None)

    def test_masks_alone_with_the_names_of_labelme(self, set_):
        import shutil

        shutil.rmtree(set_ / "Annotations")
        (set_ / "labelmap.txt").unlink()
        (set_ / "class_names.txt").write_text("_background_\nleft liver\nfat\n")
        found = voc.read(set_, None)
        assert found.categories == ("left liver", "fat")
        assert found.images[0].mask.names == {
            (224, 224, 192): None,
            (0, 0, 0): "background",
            (128, 0, 0): "left liver",
            (0, 128, 0): "fat",
        }


class TestDamage:
    @pytest.mark.parametrize(
        ("damage", "error", "message"),
        [
            (
                lambda r: edit(r / "Annotations/ada/0004.xml", "<size>", "<siz>"),
                ValueError,
                r"0004\.xml: this is no XML",
            ),
            (
                lambda r: (r / "Annotations/ada/0004.xml").write_text("<annotations/>"),
                ValueError,
                r"XML files that are not of VOC: 1 \(0004\.xml has the root <annotations>\)",
            ),
            (
                lambda r: edit(r / "Annotations/ada/0004.xml", "<name>hook", "<name>"),
                ValueError,
                r"XML files with objects without a name: 1 \(0004\.xml\)",
            ),
            (
                lambda r: edit(r / "Annotations/ada/0004.xml", "<width>16", "<width>17"),
                ValueError,
                r"another size than the annotations say: 1 \(0004\.png is 12x16",
            ),
            (
                lambda r: edit(r / "Annotations/ada/0004.xml", "<width>16", "<width>17.0"),
                ValueError,
                r"another size than the annotations say: 1 \(0004\.png is 12x16",
            ),
            (
                lambda r: edit(r / "Annotations/ada/0004.xml", "<width>16", "<width>wide"),
                ValueError,
                r"XML files with a size that cannot be read: 1 \(0004\.xml: width 'wide' is no number of pixels\)",
            ),
            (
                lambda r: (r / "images/ada/0004.png").unlink(),
                FileNotFoundError,
                r"0004\.xml: images that are missing: 1 \(another\.jpg\).*data\.root=DIR",
            ),
            (
                lambda r: save(r / "SegmentationClass/x.png", picture(0)),
                FileNotFoundError,
                r"masks without an image: 1 \(x\.png\)",
            ),
            (
                lambda r: (r / "labelmap.txt").unlink(),
                FileNotFoundError,
                r"labelmap\.txt: .*write it with a line 'name:R",
            ),
            (
                lambda r: edit(r / "labelmap.txt", "128,0,0", "128,0"),
                ValueError,
                r"labelmap\.txt, line 3: 'liver:128,0::' is not of the form 'name:R,G,B::'",
            ),
            (
                lambda r: edit(r / "labelmap.txt", "0,9,0", "128,0,0"),
                ValueError,
                r"labelmap\.txt, line 4: 'fat' has the colour of 'liver'; give it another",
            ),
        ],
    )
    def test_is_named(self, set_, damage, error, message):
        damage(set_)
        with pytest.raises(error, match=message):
            voc.read(set_, None)

    def test_nothing_here(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=re.escape(f"{tmp_path}: neither XML files")):
            voc.read(tmp_path, None)
