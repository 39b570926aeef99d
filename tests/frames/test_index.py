import pandas as pd
import pytest

from mtal.frames.index import FrameIndex, frame_id


def table(*rows: tuple[str, str, int, str]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "frame_id": frame_id(video, frame),
                "patient": patient,
                "video": video,
                "frame": frame,
                "time_s": frame / 25,
                "source": f"{video}.mp4",
                "split": split,
            }
            for patient, video, frame, split in rows
        ]
    )


TWO = table(("p1", "b", 1250, "pool"), ("p1", "b", 7, "pool"), ("p2", "a", 0, "test"))


def test_frame_id_by_hand():
    assert frame_id("video01", 1250) == "video01/001250"


class TestFrameIndex:
    def test_sorted_by_video_and_frame(self):
        assert FrameIndex(TWO).frame_ids == ["a/000000", "b/000007", "b/001250"]

    def test_select_keeps_the_order_asked(self):
        rows = FrameIndex(TWO).select(["b/001250", "a/000000", "b/001250"])
        assert rows["frame"].tolist() == [1250, 0, 1250]

    def test_select_of_an_unknown_frame(self):
        with pytest.raises(KeyError, match="1 of the frames asked are not in the frame index: 'b/000008'"):
            FrameIndex(TWO).select(["a/000000", "b/000008"])

    def test_split(self):
        index = FrameIndex(TWO)
        assert index.split("pool").frame_ids == ["b/000007", "b/001250"]
        assert len(index.split("val")) == 0

    def test_there_and_back(self, tmp_path):
        FrameIndex(TWO).write(tmp_path / "frames.parquet")
        pd.testing.assert_frame_equal(FrameIndex.read(tmp_path / "frames.parquet").table, FrameIndex(TWO).table)

    def test_a_patient_in_two_splits_is_refused(self):
        shared = table(("p1", "a", 0, "pool"), ("p1", "b", 0, "test"))
        with pytest.raises(ValueError, match="patient 'p1' is in the splits pool and test"):
            FrameIndex(shared)
        assert len(FrameIndex(shared, disjoint_by="video")) == 2

    def test_a_video_in_two_splits_is_refused_always(self):
        shared = table(("p1", "a", 0, "pool"), ("p1", "a", 1, "test"))
        with pytest.raises(ValueError, match="video 'a' is in the splits pool and test"):
            FrameIndex(shared, disjoint_by="video")

    def test_frame_listed_twice(self):
        with pytest.raises(ValueError, match="'a/000000' is listed twice"):
            FrameIndex(table(("p", "a", 0, "pool"), ("p", "a", 0, "pool")))

    def test_several_are_told_at_once(self):
        with pytest.raises(ValueError, match="'a/000000', 'a/000001', 'a/000002' and 1 more are listed"):
            FrameIndex(table(*(("p", "a", k // 2, "pool") for k in range(8))))
        with pytest.raises(ValueError, match=r"patient 'p0' is in .* and test, 'p1' is .*, 'p2' is .* and 1 more: "):
            FrameIndex(table(*((f"p{k // 2}", f"v{k}", 0, "test" if k % 2 else "pool") for k in range(8))))

    def test_a_video_of_two_patients(self):
        """Such as liver/01 and liver_01, or op.mpg and op.mp4, under one name."""
        with pytest.raises(ValueError, match=r"recordings of several patients: 'op' of ann and bob; give each"):
            FrameIndex(table(("ann", "op", 0, "pool"), ("bob", "op", 1, "pool"), ("ann", "other", 1, "pool")))

    def test_unknown_split(self):
        with pytest.raises(ValueError, match="unknown split 'train'; splits are pool, val, test"):
            FrameIndex(table(("p", "a", 0, "train")))

    def test_missing_column(self):
        with pytest.raises(ValueError, match=r"lacks the columns \['patient'\]"):
            FrameIndex(TWO.drop(columns="patient"))

    def test_positions_follow_the_order_asked(self):
        index = FrameIndex(TWO)
        asked = ["b/001250", "a/000000", "b/001250"]
        assert index.positions(asked).tolist() == index.positions(pd.Series(asked)).tolist() == [2, 0, 2]
        assert index.positions([]).tolist() == []

    def test_no_column_holds_python_objects(self):
        """A string each of ten million frames would be gigabytes."""
        kinds = FrameIndex(TWO.astype(object)).table.dtypes
        assert not any(pd.api.types.is_object_dtype(kind) for kind in kinds)
        shared = [c for c, kind in kinds.items() if isinstance(kind, pd.CategoricalDtype)]
        assert shared == ["patient", "video", "source", "split"]

    def test_plain_columns_on_disk_and_of_a_few_rows(self, tmp_path):
        index = FrameIndex(TWO)
        index.write(tmp_path / "frames.parquet")
        pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "frames.parquet"), index.select(index.frame_ids))
        assert index.pool.tolist() == [1, 2]
