import pytest
from miniature import film
from miniature.squares import H, W

from mtal.datasets import table
from mtal.datasets.label_map import IGNORE

I = IGNORE  # noqa: E741
TOOLS = """patient,video,start_sec,end_sec,tool,split
ada,a.mp4,0,2,hook,pool
ada,a.mp4,1,"2,5",grasper,pool
ben,b.mp4,2,3,hook,test
"""
PHASES = "video;start_sec;end_sec;phase\na.mp4;0;1,5;clip\na.mp4;1,5;3;pack\n"
FRAMES = "patient,video,time_s,split\nada,a.mp4,0,pool\nada,a.mp4,1,pool\nada,a.mp4,1.5,pool\nben,b.mp4,2,test\n"


@pytest.fixture
def root(tmp_path):
    """Two videos of 3 s at 10 frames per second, with tables of intervals and of frames."""
    for name in "ab":
        film.write(tmp_path / f"{name}.mp4", film.numbered(30, (H, W)), fps=10)
    (tmp_path / "tools.csv").write_text(TOOLS)
    (tmp_path / "phases.csv").write_text(PHASES)
    (tmp_path / "frames.csv").write_text(FRAMES)
    return tmp_path


def load(root, name, **head):
    dataset = table.load(root / name, heads={"head": head})
    return dataset, dataset.labels.targets("head", dataset.index.frame_ids).tolist()


class TestTableOfIntervals:
    @pytest.mark.parametrize(("empty", "outside"), [("absent", [0, 0]), (None, [I, I])])
    def test_by_hand(self, root, empty, outside):
        dataset, labels = load(root, "tools.csv", column="tool", kind="multilabel", empty=empty)
        assert dataset.label_map("head").classes == ("grasper", "hook")
        assert dataset.index.frame_ids == [f"{v}/{f:06d}" for v in "ab" for f in (0, 10, 20)]
        assert dataset.index.table["split"].tolist() == ["pool"] * 3 + ["test"] * 3
        assert labels == [[0, 1], [1, 1], [1, 0], outside, outside, [0, 1]]

    def test_rate(self, root):
        dataset = table.load(root / "tools.csv", heads={"t": {"column": "tool", "kind": "multilabel"}}, interval_hz=2)
        assert len(dataset.index) == 12

    def test_classes_that_exclude_each_other(self, root):
        with pytest.raises(ValueError, match=r"line 2, column 'tool': 'hook' and 'grasper' exclude each other"):
            load(root, "tools.csv", column="tool")

    def test_behind_the_end(self, root):
        (root / "tools.csv").write_text(f"{TOOLS}ben,b.mp4,3,4,hook,test\n")
        told = r"tools\.csv: 1 intervals say nothing, .*behind .* \(line 5: 3 s, the last frame is at 2\.9 s\)"
        with pytest.warns(UserWarning, match=told):
            assert len(load(root, "tools.csv", column="tool", kind="multilabel")[0].index) == 6

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("0,2,hook", "2,2,hook", r"line 2, column 'start_sec': 2\.0 to 2\.0 is no interval in seconds"),
            ("ada,a.mp4,1", "eve,a.mp4,1", r"a\.mp4 has the patients 'ada', 'eve'"),
            ("video", "image", r"has the columns 'patient' and 'video', and no 'image'"),
            ("ben,b.mp4", "ben,", r"line 4, column 'video': it is empty"),
        ],
    )
    def test_damage(self, root, old, new, message):
        (root / "tools.csv").write_text(TOOLS.replace(old, new, 1))
        with pytest.raises(ValueError, match=message):
            load(root, "tools.csv", column="tool", kind="multilabel")


class TestIntervalsOfAnotherTable:
    def test_exclusive(self, root):
        dataset, labels = load(root, "frames.csv", column="phase", intervals="phases.csv")
        assert dataset.label_map("head").classes == ("clip", "pack")
        assert labels == [0, 0, 1, I]  # an end does not belong to its interval, and b.mp4 has none

    def test_absent_only_where_somebody_looked(self, root):
        options = {"column": "tool", "intervals": "tools.csv", "kind": "multilabel", "empty": "absent"}
        (root / "tools.csv").write_text(TOOLS.replace("0,2,hook", "0,1,hook").replace("ben,b.mp4", "ben,c.mp4"))
        told = (
            r"tools\.csv: 1 intervals say nothing, of recordings without a frame in .*frames\.csv "
            r"\(line 4: 'ben' 'c\.mp4'\); there they are called 'ada' 'a\.mp4', 'ben' 'b\.mp4'"
        )
        with pytest.warns(UserWarning, match=told):
            assert load(root, "frames.csv", **options)[1] == [[0, 1], [1, 0], [1, 0], [I, I]]

    def test_milliseconds(self, root):
        (root / "phases.csv").write_text("video,start_sec,end_sec,phase\na.mp4,0,1500,clip\na.mp4,1500,3000,pack\n")
        told = (
            r"phases\.csv: 1 intervals say nothing, .* \(line 3: 1500 s, the last frame is at 1\.5 s\); .*are seconds"
        )
        with pytest.warns(UserWarning, match=told):
            load(root, "frames.csv", column="phase", intervals="phases.csv", classes=["clip", "pack"])

    def test_nothing_in_common(self, root):
        (root / "phases.csv").write_text("case,start_sec,end_sec,phase\n1,0,1,clip\n")
        with pytest.raises(ValueError, match=r"phases\.csv: there is neither 'patient' nor 'video' .*intervals needs"):
            load(root, "frames.csv", column="phase", intervals="phases.csv")

    def test_without_the_column(self, root):
        with pytest.raises(
            ValueError, match=r"phases\.csv: there is no column 'step', which data\.heads\.head\.intervals"
        ):
            load(root, "frames.csv", column="step", intervals="phases.csv")
