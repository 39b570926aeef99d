import json

import pytest
from miniature import annotated
from miniature.annotated import HEADS

from mtal.datasets.annotations import load


def read(root, heads, **changes):
    content = annotated.coco(root) | changes
    (root / "coco.json").write_text(json.dumps(content))
    return load(root / "coco.json", "coco", heads=heads, test_patients=["ben"])


def test_all_that_are_not_there_at_once(root):
    heads = {"tools": {"classes": ["hok", "hook"]}, "a": {"support": "pixel", "classes": ["lung"]}}
    missing = r"2 categories that are not there \('hok' of tools, did you mean 'hook'\?; 'lung' of a\)"
    with pytest.raises(ValueError, match=missing + r"; there are 'liver' \(2 x region\), 'fat'"):
        read(root, heads)


def test_no_heads(root):
    message = r"say which heads there are, as in 'data\.heads=.*there are 'liver' \(2 x region\), .*'hook' \(2 x box\)"
    with pytest.raises(ValueError, match=message):
        read(root, None)


def test_all_categories(root):
    dataset = read(root, {"tags": {}, "pixels": {"support": "pixel"}})
    assert dataset.label_map("tags").classes == ("liver", "fat", "hook", "clip")
    assert dataset.label_map("pixels").classes == ("liver", "fat")  # the others have boxes


def test_nothing_outlined(root):
    with pytest.raises(ValueError, match=r"nothing is outlined, so data\.heads\.a has no classes; remove it"):
        read(root, {"a": {"support": "pixel"}}, annotations=[])


def test_nearly_the_name_of_a_class(root):
    categories = [{"id": k + 1, "name": n} for k, n in enumerate(["liver", "Liver", "hook", "clip"])]
    with pytest.warns(
        UserWarning, match=r"'Liver' \(2 times\) is in no head, but 'liver' is; .*\{Liver: liver, liver: liver\}"
    ):
        read(root, {"anatomy": HEADS["anatomy"] | {"classes": ["liver"]}}, categories=categories)
