from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mtal.annotation import Answer, LabelStore, Said
from mtal.datasets.label_map import IGNORE, LabelMap

TOOLS = LabelMap("tools", "frame", False, ("grasper", "hook"), ((0, 0, 1), (0, 0, 2)))


def add_ten(root: Path, annotator: str) -> None:
    """Somebody else with the same folder, whose lock is as little mine as that of another process."""
    store = LabelStore(root, [TOOLS])
    for k in range(10):
        store.add([Answer(f"v/{k:06d}", "tools", Said.LABELLED, np.array([1, 0], np.uint8), annotator)])


def test_labels_of_every_kind_come_back_as_they_were(store, answer):
    """At the size of the frame, to the pixel, and for another process."""
    generator = np.random.default_rng(0)
    mask = generator.choice(np.array([0, 1, IGNORE], np.uint8), size=(480, 854))
    vessels = generator.choice(np.array([0, 1, IGNORE], np.uint8), size=(2, 480, 854))
    store.add([answer("a b/000001", "tools", [0, 0]), answer("a b/000001", "phase", 2)])
    store.add([answer("a b/000001", "anatomy", mask), answer("a b/000001", "vessels", vessels, seconds=12.5)])
    labels = LabelStore(store.root, store.label_maps.values()).view().labels
    assert labels.targets("tools", ["a b/000001"]).tolist() == [[0, 0]]  # nothing there
    assert labels.targets("phase", ["a b/000001"]).tolist() == [2]
    np.testing.assert_array_equal(labels.targets("anatomy", ["a b/000001"], (480, 854))[0], mask)
    np.testing.assert_array_equal(labels.targets("vessels", ["a b/000001"], (480, 854))[0], vessels)
    rows = store.rows()
    assert rows["seconds"].tolist()[-1] == 12.5
    with Image.open(store.root / rows["mask"].iloc[2]) as image:
        assert image.size == (854, 480)


def test_a_correction_is_a_new_row_and_the_one_that_counts(store, answer):
    store.add([answer("v/1", "tools", [1, 0]), answer("v/1", "anatomy", np.zeros((2, 2)))])
    before = store.view()
    store.add([answer("v/1", "tools", [1, 1]), answer("v/1", "anatomy", np.ones((2, 2)))])
    after = store.view()
    assert store.rows()["revision"].tolist() == [1, 1, 2, 2]
    assert before.labels.targets("tools", ["v/1"]).tolist() == [[1, 0]]
    assert after.labels.targets("tools", ["v/1"]).tolist() == [[1, 1]]
    assert after.labels.targets("anatomy", ["v/1"], (2, 2)).min() == 1
    assert before.labels.targets("anatomy", ["v/1"], (2, 2)).max() == 0  # its file was not overwritten
    assert before.digest != after.digest


def test_two_add_to_one_store_at_the_same_time(store):
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(add_ten, [store.root] * 2, ["anna", "anna"]))
    rows = store.rows()
    assert rows.groupby("frame_id")["revision"].apply(sorted).tolist() == [[1, 2]] * 10


def test_what_is_half_written_is_not_there(store, answer, monkeypatch):
    def breaks(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    store.add([answer("v/1", "tools", [1, 0])])
    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_parquet", breaks)
        with pytest.raises(OSError, match="the disk is full; free some of it, or give the oracle another store"):
            store.add([answer("v/2", "tools", [1, 0]), answer("v/2", "anatomy", np.zeros((2, 2)))])
    assert LabelStore(store.root, store.label_maps.values()).view().labels.frame_ids == ["v/1"]
    store.add([answer("v/2", "tools", [1, 0])])
    assert store.view().labels.frame_ids == ["v/1", "v/2"]


OTHER = LabelMap("tools", "frame", False, ("hook", "grasper"), ((0, 0, 1), (0, 0, 2)))
TOLD = r"tools was any per frame of grasper, hook and is any per frame of hook, grasper"


@pytest.mark.parametrize("said", [[1, 0], Said.ASKED])
def test_refuses_other_classes_of_a_known_task(store, answer, said):
    """Of which there is a label, or which was handed out."""
    store.add([answer("v/1", "tools", said=said) if isinstance(said, Said) else answer("v/1", "tools", said)])
    with pytest.raises(ValueError, match=TOLD):
        LabelStore(store.root, [OTHER])
    more = LabelMap("smoke", "frame", False, ("smoke",), ((9, 9, 9),))
    LabelStore(store.root, [more]).add([answer("v/1", "smoke", [1])])  # another task has room beside them
    with pytest.raises(ValueError, match=TOLD):
        LabelStore(store.root, [OTHER])
    LabelStore(store.root, store.label_maps.values())


def test_a_store_that_nobody_put_anything_into_takes_other_classes(store, answer):
    """It may be left of a run that was refused for another fault, and whose heads have been corrected since."""
    store.add([answer("v/1", "phase", 2)])  # says nothing of tools
    LabelStore(store.root, [OTHER]).add([answer("v/1", "tools", [1, 0])])
    with pytest.raises(ValueError, match="tools was any per frame of hook, grasper and is any per frame of grasper, h"):
        store.add([answer("v/2", "tools", [1, 0])])  # looked at the store before there was a label
    assert LabelStore(store.root, [OTHER]).view().labels.frame_ids == ["v/1"]


@pytest.mark.parametrize(
    ("task", "label", "told"),
    [
        ("tools", [1], r"tools of 'v/1': the label has the shape \[1\]"),
        ("tools", [1, 2], "tools of 'v/1': 2 stands for no class"),
        ("phase", 3, "phase of 'v/1': 3 stands for no class"),
        ("anatomy", [[7]], "anatomy of 'v/1': 7 stands for no class"),
        ("vessels", [[0, 1]], r"vessels of 'v/1': the label has the shape \[1, 2\]"),
        ("smoke", [1], "no task 'smoke' in this label store; it has tools, phase, anatomy, vessels"),
    ],
)
def test_refuses_a_label_that_does_not_go_with_its_task(store, answer, task, label, told):
    with pytest.raises(ValueError, match=told):
        store.add([answer("v/1", task, label)])
    assert store.rows().empty


def test_an_answer_says_that_it_has_a_label_or_has_none():
    with pytest.raises(ValueError, match="tools of 'v/1': an answer that is labelled and label=None"):
        Answer("v/1", "tools", Said.LABELLED)


def test_new_answers_are_a_part_of_their_own(tmp_path):
    """Whatever is there stays as it is."""
    store = LabelStore(tmp_path, [TOOLS])
    label = np.array([1, 0], np.uint8)
    store.add([Answer(f"v/{k:06d}", "tools", Said.LABELLED, label) for k in range(300)])
    before = {f: f.read_bytes() for f in tmp_path.rglob("*.parquet")}
    store.add([Answer(f"v/{k:06d}", "tools", Said.LABELLED, 1 - label) for k in range(100)])
    new = set(tmp_path.rglob("*.parquet")) - before.keys()
    assert [len(pd.read_parquet(f)) for f in new] == [100]
    assert {f: f.read_bytes() for f in before} == before
    assert store.view().labels.targets("tools", ["v/000099", "v/000100"]).tolist() == [[0, 1], [1, 0]]
