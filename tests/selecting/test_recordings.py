import pandas as pd
import pytest

from mtal.acquisition import Acquisition, selectors, signals
from mtal.acquisition.fusion import WeightedMean
from mtal.acquisition.normalizers import PercentileRank
from mtal.acquisition.weights import Headroom
from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_table import LabelTable
from mtal.datasets.vocalfolds import BLEEDING
from mtal.frames.image_folder import folder_source
from mtal.frames.index import FrameIndex
from mtal.selecting.recordings import looks_at_labelled, relative_file, with_labelled


def acquisition(selector=None, signal=None, **options):
    name = "contrastive" if signal else "entropy"
    chosen = {name: signal or signals.Entropy()}
    return Acquisition(chosen, PercentileRank(), WeightedMean(), selector or selectors.TopK(), **options)


def table(video, source, frames, patient="p"):
    ids = [f"{video}/{k:06d}" for k in frames]
    rows = {"frame_id": ids, "patient": patient, "video": video, "frame": frames, "time_s": [float(k) for k in frames]}
    return pd.DataFrame({**rows, "source": str(source), "split": "pool"})


def unlabelled(frames):
    labels = LabelTable(pd.DataFrame({"frame_id": frames["frame_id"], "bleeding": None}), [BLEEDING])
    return SurgicalDataset("videos", FrameIndex(frames), (BLEEDING,), labels)


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "a.mp4").touch()
    return unlabelled(table("a", tmp_path / "a.mp4", [0, 1, 2], "anna"))


class TestWithLabelled:
    def test_frames_of_the_same_file_are_not_candidates(self, dataset, tmp_path):
        """The run calls the video x; frame 1 was sampled here too, frame 7 was not."""
        (tmp_path / "link.mp4").symlink_to(tmp_path / "a.mp4")
        found = with_labelled(dataset, table("x", tmp_path / "link.mp4", [7, 1]), acquisition())
        assert found.labelled == ["a/000007", "a/000001"]
        assert found.dataset.index.frame_ids == ["a/000000", "a/000001", "a/000002", "a/000007"]
        assert found.candidates == 2
        assert set(found.dataset.index.table["patient"]) == {"anna"}

    def test_frames_of_the_same_folder_of_pictures_are_not_candidates(self, tmp_path):
        (tmp_path / "seq").mkdir()
        (tmp_path / "link").symlink_to(tmp_path / "seq")
        here, there = (folder_source(tmp_path / name, rate_hz=1) for name in ("seq", "link"))
        found = with_labelled(unlabelled(table("a", here, [0, 1, 2])), table("x", there, [1]), acquisition())
        assert found.labelled == ["a/000001"]
        assert found.candidates == 2

    def test_frames_held_out_for_the_test_are_not_candidates(self, tmp_path):
        held_out = table("b", tmp_path / "b.mp4", [0, 1], "bo").assign(split="test")
        frames = pd.concat([table("a", tmp_path / "a.mp4", [0, 1, 2], "anna"), held_out])
        found = with_labelled(unlabelled(frames), table("x", tmp_path / "a.mp4", [1]), acquisition())
        assert found.candidates == 2

    def test_others_are_there_only_when_looked_at(self, dataset, tmp_path):
        (tmp_path / "b.mp4").touch()
        labelled = table("a", tmp_path / "b.mp4", [1])
        assert with_labelled(dataset, labelled, acquisition()).labelled == []
        found = with_labelled(dataset, labelled, acquisition(selectors.TypiClust()))
        assert found.labelled == ["labelled:a/000001"]
        assert found.candidates == 3

    @pytest.mark.parametrize("selector", [None, selectors.TypiClust()])
    def test_patients_of_others_are_known_by_name(self, dataset, tmp_path, selector):
        (tmp_path / "b.mp4").touch()
        labelled = [table("a", tmp_path / "b.mp4", [1, 2], "anna"), table("x", tmp_path / "a.mp4", [1], "p")]
        found = with_labelled(dataset, pd.concat(labelled), acquisition(selector))
        assert found.elsewhere == ("anna", "anna")

    def test_gone(self, dataset, tmp_path):
        labelled = table("b", tmp_path / "b.mp4", [1])
        with_labelled(dataset, labelled, acquisition())
        with pytest.raises(FileNotFoundError, match=r"b\.mp4 is gone, but TypiClust looks at the 1 labelled .*such as"):
            with_labelled(dataset, labelled, acquisition(selectors.TypiClust()))


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        (acquisition(), ""),
        (acquisition(selectors.Badge()), ""),
        (acquisition(selectors.Random(), weights=Headroom()), ""),
        (acquisition(selectors.ProbCover()), "ProbCover"),
        (acquisition(selectors.Bait()), "Bait"),
        (acquisition(signal=signals.Contrastive()), "contrastive"),
        (acquisition(weights=Headroom()), "weighing by Headroom"),
        (acquisition(class_weights="headroom"), "class_weights=headroom"),
        (acquisition(calibrate=True), "calibration"),
    ],
)
def test_who_looks_at_labelled_frames(chosen, words):
    assert looks_at_labelled(chosen) == words


def test_relative_file(tmp_path):
    assert relative_file(str(tmp_path / "ward" / "bo.mkv"), tmp_path) == "ward/bo.mkv"
