from dataclasses import replace

import numpy as np
import pytest
from miniature.squares import H, W, grow, save

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.label_map import IGNORE, LabelMap
from mtal.datasets.split_report import examples, split_report

TOOLS = LabelMap("tools", "frame", False, ("hook", "clipper"), ((1, 0, 0), (0, 1, 0)))
PHASE = LabelMap("phase", "frame", True, ("start", "end"), ((1, 0, 0), (0, 1, 0)))
ANATOMY = LabelMap("anatomy", "pixel", True, ("liver", "fat"), ((1, 0, 0), (0, 1, 0)), {0: IGNORE, 1: 0, 2: 1})
BLEEDING = LabelMap("bleeding", "frame", False, ("bleeding",), ((1, 0, 0),))
LIVER, BOTH, NOTHING = [[1] * 4] * 3, [[1] * 4, [1, 2, 1, 1], [0] * 4], [[0] * 4] * 3
# the columns are those of the data set; tools are hook and clipper
FRAMES = [
    ("ada", "a1", "pool", [1, 0], 0, LIVER),
    ("ada", "a1", "pool", [1, IGNORE], 0, LIVER),
    ("ada", "a2", "pool", [0, 0], 1, BOTH),
    ("ben", "b", "pool", None, None, None),
    ("cid", "c", "test", [1, 0], 0, LIVER),
    ("dee", "d", "test", [0, 0], 0, NOTHING),
]


def dataset(root, frames=FRAMES, label_maps=(TOOLS, PHASE, ANATOMY, BLEEDING), disjoint_by="patient"):
    rows = []
    for k, (patient, video, split, tools, phase, mask) in enumerate(frames):
        path = None if mask is None else save(root / f"{k}.png", grow(mask))
        place = {"patient": patient, "video": video, "frame": k, "time_s": k, "source": video, "split": split}
        rows.append({**place, "tools": tools, "phase": phase, "anatomy": path, "bleeding": None})
    return SurgicalDataset.from_rows(
        "toy", rows, label_maps, dict.fromkeys(("a1", "a2", "b", "c", "d"), (H, W)), disjoint_by
    )


@pytest.fixture
def report(tmp_path):
    return split_report(dataset(tmp_path))


class Drawn:
    """Two classes that overlap; nobody looked for the second in one frame."""

    def __init__(self, *layers):
        self.layers = layers

    def read(self, label_map, frame_size):
        return np.array([[[value] * W] * H for value in self.layers], dtype=np.uint8)


def test_classes_that_overlap(tmp_path):
    overlapping = replace(ANATOMY, exclusive=False)
    rows = [
        {"patient": p, "video": p, "frame": 0, "time_s": 0, "source": p, "split": s, "anatomy": Drawn(*layers)}
        for p, s, layers in (("a", "pool", (1, 1)), ("b", "test", (0, IGNORE)))
    ]
    sizes = dict.fromkeys("ab", (H, W))
    report = split_report(SurgicalDataset.from_rows("toy", rows, (overlapping,), sizes))
    assert report.shown.tolist() == [[1, 1], [0, IGNORE]]


class TestCounts:
    def test_splits(self, report):
        assert report.splits.to_dict("records") == [
            {"split": "pool", "frames": 4, "videos": 3, "patients": 2},
            {"split": "test", "frames": 2, "videos": 2, "patients": 2},
        ]

    @pytest.mark.parametrize(
        ("name", "pool", "test"),  # annotated, positive, patients
        [
            ("tools/hook", (3, 2, 1), (2, 1, 1)),
            ("tools/clipper", (2, 0, 0), (2, 0, 0)),
            ("phase/start", (3, 2, 1), (2, 2, 2)),
            ("phase/end", (3, 1, 1), (2, 0, 0)),
            ("anatomy/liver", (3, 3, 1), (1, 1, 1)),
            ("anatomy/fat", (3, 1, 1), (1, 0, 0)),
            ("bleeding/bleeding", (0, 0, 0), (0, 0, 0)),
        ],
    )
    def test_classes(self, report, name, pool, test):
        task, cls = name.split("/")
        found = report.classes[(report.classes["task"] == task) & (report.classes["class"] == cls)].iloc[0]
        for split, expected in (("pool", pool), ("test", test)):
            assert tuple(found[[f"{split}_annotated", f"{split}_positive", f"{split}_patients"]]) == expected

    def test_together(self, report):
        names = (report.classes["task"] + "/" + report.classes["class"]).tolist()
        together = dict(zip(names, report.together.tolist(), strict=True))
        #                            hook clip start end liver fat bleeding
        assert together["tools/hook"] == [3, 0, 3, 0, 3, 0, 0]
        assert together["phase/end"] == [0, 0, 0, 1, 1, 1, 0]
        assert together["anatomy/liver"] == [3, 0, 3, 1, 4, 1, 0]
        np.testing.assert_array_equal(report.together, report.together.T)


class TestWarnings:
    def test_all_of_them(self, report):
        assert report.warnings == (
            "bleeding: nobody annotated it, so it can be neither learnt nor tested",
            "tools/hook, anatomy/liver: the positives of the test are of one patient, on whom the score rests",
            "tools/clipper: no positive at all",
            "phase/end, anatomy/fat: all positives are of one patient (ada), so nothing tells of other patients",
            "phase/end, anatomy/fat: no positive in the test, so it has no score",
        )

    def test_only_in_the_test(self, tmp_path):
        frames = [("ada", "a1", "pool", [0, 0], 0, LIVER), ("cid", "c", "test", [1, 1], 0, LIVER)]
        frames += [("dee", "d", "test", [1, 1], 0, LIVER)]
        told = split_report(dataset(tmp_path, frames, (TOOLS,))).warnings
        assert told == ("tools/hook, tools/clipper: no positive in the pool, so it can't be learnt",)

    def test_one_patient_tested(self, tmp_path):
        told = split_report(dataset(tmp_path, FRAMES[:5], (TOOLS, PHASE))).warnings
        assert told[0] == "the test split is one patient, on whom every score rests"
        assert not any("hook" in warning for warning in told)

    def test_shared_patients(self, tmp_path):
        frames = [("ada", "a1", "pool", [0, 1], 0, LIVER), ("ada", "a2", "test", [1, 1], 0, LIVER)]
        told = split_report(dataset(tmp_path, frames, (TOOLS,), "video")).warnings
        assert "splits share patients (ada): test scores are optimistic" in told

    def test_names_that_may_be_one_patient(self, tmp_path):
        frames = [
            (patient, video, split, [0, 1], 0, LIVER)
            for patient, video, split in (("OP07", "a1", "pool"), ("op7", "a2", "test"), ("OP8", "b", "pool"))
        ]
        told = split_report(dataset(tmp_path, frames, (TOOLS,))).warnings
        assert "OP07 and op7 lie in several splits: are they one patient?" in told

    def test_no_test(self, tmp_path):
        told = split_report(dataset(tmp_path, FRAMES[:1], (TOOLS,))).warnings
        assert told[0] == "there is no test split: nothing can be measured"


class TestMasks:
    def test_a_bad_mask_is_named(self, tmp_path):
        broken = dataset(tmp_path)
        save(tmp_path / "2.png", np.full((H, W), 9, dtype=np.uint8))
        with pytest.raises(ValueError, match=r"2\.png: gray value 9"):
            split_report(broken)


class TestExamples:
    def test_every_class_is_seen_where_it_is(self, tmp_path):
        toy = dataset(tmp_path)
        report = split_report(toy)
        chosen = [toy.index.frame_ids.index(i) for i in examples(report, toy)]
        seen = (report.shown[chosen] == 1).any(axis=0)
        np.testing.assert_array_equal(seen, (report.shown == 1).any(axis=0))
        assert len(chosen) == len(set(chosen)) == 6

    def test_the_rare_come_first(self, tmp_path):
        toy = dataset(tmp_path)
        # phase/end and anatomy/fat are in frame 2 alone
        assert examples(split_report(toy), toy, 1) == ["a2/000002"]
