import json

import numpy as np
import pytest
from miniature.squares import H, W, grow, picture, save, shrink

from mtal.datasets import table
from mtal.datasets.label_map import IGNORE
from mtal.datasets.table_heads import HeadOptions

I = IGNORE  # noqa: E741
LEFT = grow([[1, 1, 0, 0]] * 3)
TOP = grow([[255] * 4, [0] * 4, [0] * 4])
SHAFT = grow([[1, 1, 2, 0], [1, 1, 2, 2], [1, 1, 255, 2]])


@pytest.fixture
def write(tmp_path):
    """Write a table of frames of two patients from columns after patient, image and split; returns its path."""
    for k in range(4):
        save(tmp_path / "images" / f"{k}.png", picture(k))
    for name, mask in (("left", LEFT), ("top", TOP), ("shaft", SHAFT)):
        save(tmp_path / f"masks/{name}.png", mask)

    def write(**columns):
        rows = [["a", f"images/{k}.png", "pool"] for k in (0, 1)] + [["b", f"images/{k}.png", "test"] for k in (2, 3)]
        lines = [["patient", "image", "split", *columns]]
        lines += [row + [column[k] for column in columns.values()] for k, row in enumerate(rows)]
        quoted = [",".join('"' + str(c).replace('"', '""') + '"' for c in line) for line in lines]
        (tmp_path / "frames.csv").write_text("\n".join(quoted))
        return tmp_path / "frames.csv"

    return write


def load(path, **head):
    """The label map and the labels of one head, in the order of the rows."""
    dataset = table.load(path, heads={"head": head})
    label_map = dataset.label_map("head")
    size = (H, W) if label_map.support == "pixel" else None
    return label_map, dataset.labels.targets("head", dataset.index.frame_ids, size)


CVS = {"cvs_plate": [1, 0, "", 1], "cvs_triangle": [0, "", "", 1], "other": [1, 1, 1, 1]}


class TestColumns:
    @pytest.mark.parametrize(
        ("columns", "classes"),
        [
            ("cvs_*", ("plate", "triangle")),
            (["cvs_plate", "cvs_t*"], ("cvs_plate", "riangle")),
            ({"cvs_plate": "cystic plate", "cvs_triangle": "triangle"}, ("cystic plate", "triangle")),
        ],
    )
    def test_multilabel(self, write, columns, classes):
        label_map, labels = load(write(**CVS), columns=columns)
        assert (label_map.support, label_map.exclusive, label_map.classes) == ("frame", False, classes)
        assert labels.tolist() == [[1, 0], [0, I], [I, I], [1, 1]]

    def test_empty_is_absent(self, write):
        assert load(write(**CVS), columns="cvs_*", empty="absent")[1].tolist() == [[1, 0], [0, 0], [0, 0], [1, 1]]

    def test_one_of_them(self, write):
        path = write(is_open=[1, 0, "", ""], is_closed=[0, 1, "", 1])
        label_map, labels = load(path, columns="is_*", kind="exclusive")
        assert (label_map.exclusive, label_map.classes) == (True, ("open", "closed"))
        assert labels.tolist() == [0, 1, I, 1]

    def test_not_one_of_them(self, write):
        path = write(is_open=[1, 0, "", ""], is_closed=[1, 0, "", 1])
        with pytest.raises(
            ValueError, match=r"(?s)2 faults.*line 2.*'is_open' and 'is_closed' is 1; .*none of them is 1"
        ):
            load(path, columns="is_*", kind="exclusive")

    @pytest.mark.parametrize("columns", ["csv_*", ["csv_plate"], {"csv_plate": "plate"}])
    def test_misspelt(self, write, columns):
        with pytest.raises(ValueError, match=r"data\.heads\.head\.columns: .*did you mean 'cvs_"):
            load(write(**CVS), columns=columns)

    def test_all_bad_cells_at_once(self, write):
        with pytest.raises(ValueError, match=r"(?s)^4 faults:\n.*line 2.*'x' is no label.*line 5.*'2' is no label.*$"):
            load(write(cvs_a=["x", "y", "z", 2]), columns="cvs_*")


class TestColumn:
    def test_names(self, write):
        label_map, labels = load(write(phase=["packaging", "Clipping", "", "clipping"]), column="phase")
        assert label_map.exclusive
        assert label_map.classes == ("Clipping", "clipping", "packaging")
        assert labels.tolist() == [2, 0, I, 1]

    def test_numbers_in_their_order(self, write):
        label_map, labels = load(write(phase=[10, 9, "", 2]), column="phase")
        assert label_map.classes == ("2", "9", "10")
        assert labels.tolist() == [2, 1, I, 0]

    @pytest.mark.parametrize("cells", [["1.0", "10.0", "", "2.0"], ["1,0", "10,0", "-1,0", "2,00"]])
    def test_whole_numbers_as_fractions(self, write, cells):
        label_map, labels = load(write(phase=cells), column="phase", ignore=[-1])
        assert label_map.classes == ("1", "2", "10")
        assert labels.tolist() == [0, 2, I, 1]
        options = {"classes": {1: "prep", 2: "cut", 10: "close"}, "ignore": [-1.0]}
        label_map, labels = load(write(phase=cells), column="phase", **options)
        assert label_map.classes == ("prep", "cut", "close")
        assert labels.tolist() == [0, 2, I, 1]

    def test_numbers_of_any_kind_in_their_order(self, write):
        label_map, labels = load(write(grade=["10.5", "-1", "2.50", "9,5"]), column="grade")
        assert label_map.classes == ("-1", "2.50", "9,5", "10.5")
        assert labels.tolist() == [3, 0, 1, 2]

    @pytest.mark.parametrize("mark", ["NA", "N/A", "#N/A", "NaN", "nan", "null", "<NA>"])
    @pytest.mark.parametrize("options", [{}, {"classes": ["cut", "prep"]}, {"kind": "multilabel"}])
    def test_what_may_stand_for_nothing(self, write, mark, options):
        path = write(phase=["cut", mark, "prep", mark])
        told = r"(?s)2 faults:.*line 3, column 'phase': '.*' may say .* list it in data\.heads\.head\.ignore or data\."
        with pytest.raises(ValueError, match=told):
            load(path, column="phase", **options)
        label_map, labels = load(path, column="phase", ignore=[mark], **options)
        assert label_map.classes == ("cut", "prep")
        assert labels[1].tolist() == (I if label_map.exclusive else [I, I])
        label_map, labels = load(path, column="phase", **options | {"classes": ["cut", "prep", mark]})
        assert label_map.classes == ("cut", "prep", mark)
        assert labels[1].tolist() == (2 if label_map.exclusive else [0, 0, 1])

    def test_marks_as_options_read_them(self, write):
        path = write(phase=["cut", "NaN", "prep", "null"])
        assert load(path, column="phase", ignore=[float("nan"), None])[1].tolist() == [0, I, 1, I]

    @pytest.mark.parametrize("classes", [["clip", "pack"], {"c": "clip", "C": "clip", "p": "pack"}])
    def test_given_classes(self, write, classes):
        cells = ["c", "p", "C", "x"] if isinstance(classes, dict) else ["clip", "pack", "clip", "x"]
        label_map, labels = load(write(phase=cells), column="phase", classes=classes, ignore=["x"])
        assert label_map.classes == ("clip", "pack")
        assert labels.tolist() == [0, 1, 0, I]

    def test_unknown_classes_are_told_at_once(self, write):
        path = write(phase=["clip", "pakc", "klip", "pack"])
        with pytest.raises(
            ValueError, match=r"(?s)2 faults:.*line 3.*'pakc' is no class of .*did you mean 'pack'.*'klip'"
        ):
            load(path, column="phase", classes=["clip", "pack"])

    @pytest.mark.parametrize("separator", [";", ",", "|", "/"])
    def test_several_in_a_cell(self, write, separator):
        path = write(tools=[f"hook{separator} grasper", "grasper", "none", ""])
        options = {"separator": "/"} if separator == "/" else {}
        label_map, labels = load(path, column="tools", kind="multilabel", **options)
        assert (label_map.exclusive, label_map.classes) == (False, ("grasper", "hook"))
        assert labels.tolist() == [[1, 1], [1, 0], [0, 0], [I, I]]

    def test_empty_is_absent(self, write):
        path = write(tools=["hook", "", "grasper", ""])
        assert load(path, column="tools", kind="multilabel", empty="absent")[1].tolist() == [
            [0, 1],
            [0, 0],
            [1, 0],
            [0, 0],
        ]

    @pytest.mark.parametrize(
        ("cells", "options", "message"),
        [
            (
                ["a;b", "a", "b", ""],
                {},
                r"line 2.*'a' and 'b' exclude each other; set data\.heads\.head\.kind=multilabel",
            ),
            (["a;b,c"] * 4, {"kind": "multilabel"}, r"cells hold ';' and ','; say by data\.heads\.head\.separator"),
            (["none;a"] * 4, {"kind": "multilabel"}, "says none and names classes"),
            (["a"] * 4, {}, r"data\.heads\.head\.column=tools: there is only the class 'a'"),
            ([""] * 4, {}, "there is no class"),
        ],
    )
    def test_refused(self, write, cells, options, message):
        with pytest.raises(ValueError, match=message):
            load(write(tools=cells), column="tools", **options)


class TestMask:
    def test_by_hand(self, write):
        path = write(tool_mask=["masks/shaft.png", "", "", "masks/shaft.png"])
        label_map, labels = load(path, mask="tool_mask", classes={1: "shaft", 2: "wrist"})
        assert (label_map.support, label_map.exclusive, label_map.classes) == ("pixel", True, ("shaft", "wrist"))
        assert shrink(labels[0]) == [[0, 0, 1, I], [0, 0, 1, 1], [0, 0, I, 1]]
        assert (labels[1:3] == I).all()

    def test_what_nobody_annotated(self, write):
        path = write(tool_mask=["masks/shaft.png"] * 4)
        _, labels = load(path, mask="tool_mask", classes={0: "no", 1: "shaft"}, ignore=[2, 255])
        assert shrink(labels[3]) == [[1, 1, I, 0], [1, 1, I, I], [1, 1, I, I]]

    def test_names_of_options_in_messages(self, write):
        path = write(tool_mask=["masks/shaft.png"] * 4)
        told = r"mean, as in 'data\.heads\.head\.classes=\{0: background, 1: class1, 2: class2\}'"
        with pytest.raises(ValueError, match=told):
            load(path, mask="tool_mask")
        with pytest.raises(
            ValueError, match=r"gray value 2 stands .* data\.heads\.head\.classes, or in data\.heads\.head\.ignore"
        ):
            load(path, mask="tool_mask", classes={0: "no", 1: "shaft"}, ignore=[255])
        with pytest.raises(ValueError, match=r"data\.heads\.head\.classes is \['shaft'\]; say what each value means"):
            load(path, mask="tool_mask", classes=["shaft"])


class TestMasks:
    def check(self, labels):
        assert labels.shape == (4, 2, H, W)
        np.testing.assert_array_equal(labels[0], [LEFT, TOP // 255])
        assert (labels[1, 0] == I).all()
        np.testing.assert_array_equal(labels[1, 1], TOP // 255)
        assert (labels[2] == I).all()
        assert (labels[3] == 0).all()

    def test_columns_of_files(self, write, tmp_path):
        save(tmp_path / "masks/none.png", 0 * LEFT)
        path = write(
            liver=["masks/left.png", "", "", "masks/none.png"], vessel=["masks/top.png", "masks/top.png", "", "none"]
        )
        label_map, labels = load(path, masks={"liver": "liver", "vessel": "vessel"})
        assert (label_map.support, label_map.exclusive, label_map.classes) == ("pixel", False, ("liver", "vessel"))
        self.check(labels)

    def test_outlines(self, write):
        left, top = [[0, 0, 8, 0, 8, 12, 0, 12]], {"size": [H, W], "counts": [0, *[4, 8] * 16]}
        path = write(liver=[json.dumps(left), "", "", "[]"], vessel=[json.dumps(top)] * 2 + ["", "[]"])
        self.check(load(path, masks={"liver": "liver", "vessel": "vessel"})[1])

    def test_a_folder_for_each_class(self, write, tmp_path):
        for name, mask in (
            ("liver/0", LEFT),
            ("vessel/0", TOP),
            ("vessel/1", TOP),
            ("liver/3", 0 * TOP),
            ("vessel/3", 0 * TOP),
        ):
            save(tmp_path / f"drawn/{name}.png", mask)
        masks = {"liver": "drawn/liver/{stem}.png", "vessel": "drawn/vessel/{stem}.png"}
        self.check(load(write(), masks=masks)[1])
        with pytest.raises(
            FileNotFoundError, match=r"data\.heads\.head\.masks\.liver: no file 'lever/\{stem\}\.png' is there"
        ):
            load(write(), masks=masks | {"liver": "lever/{stem}.png"})

    def test_a_mask_is_of_one_image(self, tmp_path):
        """Numbers repeat from patient to patient."""
        for patient in ("ada", "ben"):
            for number in (1, 2):
                save(tmp_path / patient / f"{number}.png", picture(number))
                save(tmp_path / "drawn/liver" / patient / f"{number}.png", LEFT if patient == "ada" else TOP)
            save(tmp_path / f"drawn/liver/{number}.png", LEFT)
        rows = [f"{p},{p}/{k}.png,{s}" for p, s in (("ada", "pool"), ("ben", "test")) for k in (1, 2)]
        (tmp_path / "frames.csv").write_text("\n".join(["patient,image,split", *rows]))
        with pytest.raises(ValueError, match=r"liver/2\.png would be the mask of .*ada/2\.png and of .*ben/2\.png"):
            load(tmp_path / "frames.csv", masks={"liver": "drawn/liver/{stem}.png"}, rest="none", kind="exclusive")
        masks = {"liver": "drawn/liver/{folder}/{stem}.png"}
        _, labels = load(tmp_path / "frames.csv", masks=masks, rest="none", kind="exclusive")
        assert shrink(labels[0]) != shrink(labels[2])

    def test_exclusive(self, write):
        path = write(liver=["masks/left.png"] * 4, vessel=["masks/top.png"] * 3 + [""])
        label_map, labels = load(
            path, masks={"liver": "liver", "vessel": "vessel"}, kind="exclusive", rest="background"
        )
        assert label_map.classes == ("background", "liver", "vessel")
        assert shrink(labels[0]) == [[2, 2, 2, 2], [1, 1, 0, 0], [1, 1, 0, 0]]
        assert shrink(labels[3]) == [[1, 1, I, I]] * 3  # the rest may be a vessel, which nobody looked for

    def test_bad_ones_are_told_at_once(self, write, tmp_path):
        save(tmp_path / "masks/small.png", LEFT[1:])
        path = write(liver=["masks/small.png", "masks/shaft.png", "[[1]]", ""], vessel=[""] * 4)
        with pytest.raises(ValueError, match=r"line 4, column 'liver': '\[\[1\]\]' has a polygon of less"):
            load(path, masks={"liver": "liver", "vessel": "vessel"})
        path = write(liver=["masks/small.png", "masks/shaft.png", "", ""], vessel=[""] * 4)
        with pytest.raises(
            ValueError, match=r"(?s)2 faults:.*small\.png: the mask is 11x16 but .*shaft\.png: .* holds 1, 2, 255"
        ):
            load(path, masks={"liver": "liver", "vessel": "vessel"})


class TestOptions:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ("cvs_*", r"data\.heads\.cvs is 'cvs_\*'; write options"),
            (
                {"colums": "cvs_*"},
                r"data\.heads\.cvs has no 'colums', did you mean 'columns'\?; options are columns, column",
            ),
            ({"kind": "multilabel"}, "does not say where its labels are; give one of columns, column, mask, masks"),
            ({"column": "a", "mask": "b"}, "has column and mask; give one of"),
            ({"column": "a", "kind": "multi"}, r"data\.heads\.cvs\.kind is 'multi'; it is multilabel or exclusive"),
            ({"columns": "a", "rest": "b"}, r"data\.heads\.cvs\.rest goes with masks, not with columns"),
            ({"masks": {"a": "b"}, "rest": "c"}, r"rest goes with kind: exclusive"),
            ({"column": "a", "empty": "absent"}, r"empty goes with kind: multilabel"),
            ({"mask": "a", "kind": "multilabel"}, "a pixel of one mask has one class; give a mask for each class"),
            ({"masks": "a"}, r"data\.heads\.cvs\.masks is 'a'; it must be class: column"),
            ({"column": 3}, r"data\.heads\.cvs\.column is 3; it must be the name of a column"),
        ],
    )
    def test_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            HeadOptions.parse("cvs", options)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (
                {"column": 3, "kind": "multi", "rest": "b"},
                r"^3 wrong options:\n.*kind is 'multi'.*\n.*column is 3.*\n.*rest goes with masks.*$",
            ),
            (
                {"colums": "cvs_*", "kind": "multi"},
                r"^2 wrong options:\n.*no 'colums', did you.*\n.*kind is 'multi'.*$",
            ),
            (
                {"mask": "", "masks": "a"},
                r"^3 wrong options:\n.*mask is ''.*\n.*masks is 'a'.*\n.*has mask and masks.*$",
            ),
        ],
    )
    def test_all_that_is_wrong_at_once(self, options, message):
        with pytest.raises(ValueError, match=message):
            HeadOptions.parse("cvs", options)

    def test_of_all_heads(self, write):
        heads = {"cvs": "cvs_*", "clip": {"columns": "clip"}, "bile": {"column": "bile", "kind": "multi"}}
        told = r"^3 wrong options:\n.*heads\.cvs is .*\n.*data\.heads\.clip\.columns: .*\n.*bile\.kind is.*$"
        with pytest.raises(ValueError, match=told):
            table.load(write(tool_hook=[1] * 4), heads=heads)


class TestBesideTheShortWays:
    def test_columns_that_heads_take(self, write):
        path = write(tool_hook=[1] * 4, tool_clip=[0] * 4, bleeding=[0] * 4, mask=["masks/shaft.png"] * 4)
        heads = {"clip": {"columns": "tool_clip"}, "shafts": {"mask": "mask", "classes": {1: "a", 2: "b"}}}
        dataset = table.load(path, heads=heads)
        assert {m.task: m.classes for m in dataset.label_maps} == {
            "tools": ("hook",),
            "bleeding": ("bleeding",),
            "clip": ("tool_clip",),
            "shafts": ("a", "b"),
        }

    def test_a_head_of_that_name(self, write):
        dataset = table.load(
            write(tool_hook=[1] * 4, seen=["a;b"] * 4), heads={"tools": {"column": "seen", "kind": "multilabel"}}
        )
        assert [(m.task, m.classes) for m in dataset.label_maps] == [("tools", ("a", "b"))]

    def test_faults_of_all_kinds_at_once(self, write):
        path = write(tool_hook=["x", 1, 1, 1], mask=["gone.png", "", "", ""])
        (path.parent / "images/3.png").unlink()
        with pytest.raises(
            ValueError, match=r"(?s)^3 faults:\n.*3\.png is not there.*'x' is no label.*gone\.png is not there"
        ):
            table.load(path)
