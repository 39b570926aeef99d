"""Answers stay with the pictures that they were given for, though folders grow."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mtal.annotation import Answer, FolderOracle, Said
from mtal.datasets import table
from mtal.datasets.dataset import SurgicalDataset


def draw(root: Path, *names: str) -> None:
    (root / "images").mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(root / "images" / name)


def load(root: Path, **patient_of: str) -> SurgicalDataset:
    rows = "".join(f"images/{name}.png,{patient},\n" for name, patient in patient_of.items())
    (root / "frames.csv").write_text(f"image,patient,tool_hook\n{rows}")
    return table.load(root / "frames.csv", test_patients=["b"])


def frame_of(dataset: SurgicalDataset, name: str) -> str:
    return next(f for f in dataset.index.frame_ids if Path(dataset.labels.frame_sizes[f]).stem == name)


def answered(dataset: SurgicalDataset, store: Path, name: str) -> FolderOracle:
    oracle = FolderOracle(dataset, store.parent / "desk", store=store)
    oracle.add([Answer(frame_of(dataset, name), "tools", Said.LABELLED, np.array([1], np.uint8), "anna")])
    return oracle


@pytest.fixture
def root(tmp_path) -> Path:
    draw(tmp_path, "alpha.png", "gamma.png", "omega.png")
    return tmp_path


PATIENTS = {"alpha": "a", "gamma": "a", "omega": "b"}


class TestCountedInOrder:
    def test_a_picture_in_between_gets_no_answer_of_another(self, root):
        answered(load(root, **PATIENTS), root / "labels", "gamma")
        draw(root, "beta.png")
        grown = load(root, **PATIENTS, beta="a")
        with pytest.raises(ValueError, match=r"pictures\.json: frames of this store are other pictures now: 1 \("):
            FolderOracle(grown, root / "desk", store=root / "labels")

    def test_a_picture_at_the_end_moves_none(self, root):
        gamma = answered(load(root, **PATIENTS), root / "labels", "gamma").label
        draw(root, "zeta.png")
        grown = load(root, **PATIENTS, zeta="b")
        oracle = FolderOracle(grown, root / "desk", store=root / "labels")
        assert oracle.label([frame_of(grown, "gamma")], (8, 8))["tools"].tolist() == [[1]]
        assert gamma([frame_of(grown, "gamma")], (8, 8))["tools"].tolist() == [[1]]

    def test_the_folder_may_lie_elsewhere(self, root, tmp_path_factory):
        answered(load(root, **PATIENTS), root / "labels", "gamma")
        moved = root.rename(tmp_path_factory.mktemp("elsewhere") / "pictures")
        dataset = load(moved, **PATIENTS)
        oracle = FolderOracle(dataset, moved / "desk", store=moved / "labels")
        assert oracle.label([frame_of(dataset, "gamma")], (8, 8))["tools"].tolist() == [[1]]

    def test_answers_of_before_pictures_were_known_are_noted_at_the_next_start(self, root):
        answered(load(root, **PATIENTS), root / "labels", "gamma")
        (root / "labels" / "pictures.json").unlink()
        FolderOracle(load(root, **PATIENTS), root / "desk", store=root / "labels")
        draw(root, "beta.png")
        with pytest.raises(ValueError, match=r"gamma\.png and is images/beta\.png"):
            FolderOracle(load(root, **PATIENTS, beta="a"), root / "desk", store=root / "labels")


def test_a_recording_that_is_named_anew_is_warned_of(tmp_path):
    draw(tmp_path, "1.png", "2.png")
    (tmp_path / "b").mkdir()
    draw(tmp_path / "b", "1.png")
    one = "image,patient,tool_hook\nimages/1.png,a,\nimages/2.png,a,\nb/images/1.png,b,\n"
    (tmp_path / "frames.csv").write_text(one)
    answered(table.load(tmp_path / "frames.csv", test_patients=["b"]), tmp_path / "labels", "2")
    draw(tmp_path, "3.png")
    (tmp_path / "frames.csv").write_text(one + "images/3.png,c,\n")
    grown = table.load(tmp_path / "frames.csv", test_patients=["b"])
    with pytest.warns(UserWarning, match=r"1 frames of this store seem to have other names now \(images/2\.png was"):
        FolderOracle(grown, tmp_path / "desk", store=tmp_path / "labels")
