import pytest

from mtal.datasets.annotations.heads import Head


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"clases": ["a"]},
            r"data\.heads\.x has no 'clases', did you mean 'classes'\?; it has kind, support, classes, rest",
        ),
        ("multilabel", r"data\.heads\.x has no 'multilabel'"),
        ({"kind": "multi"}, r"data\.heads\.x\.kind is 'multi'; it must be multilabel or exclusive"),
        ({"support": "pixels"}, r"data\.heads\.x\.support is 'pixels'; it must be frame or pixel"),
        ({"classes": []}, r"data\.heads\.x\.classes is empty; leave it out to take all categories"),
        ({"rest": "other"}, r"data\.heads\.x\.rest is for pixels of one class each; remove it"),
        (
            {"support": "pixel", "kind": "multilabel", "rest": "o"},
            r"data\.heads\.x\.rest is for pixels of one class each",
        ),
    ],
)
def test_entries_that_mean_nothing(entry, message):
    with pytest.raises(ValueError, match=message):
        Head.parse("x", entry)


def test_a_name_that_is_taken():
    with pytest.raises(ValueError, match=r"data\.heads\.frame: a head cannot be called as a column of the frame index"):
        Head.parse("frame", {})


def test_what_is_taken_for_granted():
    assert Head.parse("x", {}) == Head("x", "frame", False)
    assert Head.parse("x", {"support": "pixel"}) == Head("x", "pixel", True)


def test_classes_by_other_names():
    head = Head.parse("x", {"support": "pixel", "classes": {1: "liver", 2: "fat", "3": "liver"}, "rest": "other"})
    assert head.names == ("other", "liver", "fat")
    assert head.label_map().classes == head.names
