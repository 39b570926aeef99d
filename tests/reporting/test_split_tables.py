import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from mtal.datasets.split_report import SplitReport
from mtal.reporting.split_tables import print_split_report, write_split_report

SHOWN = np.zeros((50, 2), dtype=np.uint8)  # forty frames of the pool, ten of the test
SHOWN[[0, 1, 2, 3, 4, 40, 41, 42, 43], 0] = 1
SHOWN[:, 1] = 255
SHOWN[2:10, 1] = 0  # in eight frames somebody looked for the clipper; three of them show the hook
SHOWN[[4, 5], 1] = 1
REPORT = SplitReport(
    name="toy",
    splits=pd.DataFrame({"split": ["pool", "test"], "frames": [40, 10], "videos": [3, 1], "patients": [2, 1]}),
    classes=pd.DataFrame(
        [
            {
                "task": "tools",
                "class": "hook",
                "kind": "tag",
                "pool_annotated": 40,
                "pool_positive": 5,
                "pool_patients": 2,
            }
            | {"test_annotated": 10, "test_positive": 4, "test_patients": 1},
            {"task": "tools", "class": "a clipper with quite a long name", "kind": "tag", "pool_annotated": 8}
            | {"pool_positive": 2, "pool_patients": 1, "test_annotated": 0, "test_positive": 0, "test_patients": 0},
        ]
    ),
    together=np.array([[9, 1], [1, 2]]),
    warnings=("tools/clipper: no positive in the test [sic]",),
    shown=SHOWN,
)


def printed(width):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    print_split_report(REPORT, console)
    return console.file.getvalue()


@pytest.mark.parametrize("width", [40, 120])
def test_nothing_is_cut(width):
    lines = [line.split() for line in printed(width).splitlines()]
    joined = [" ".join(line) for line in lines]
    assert ["pool", "40", "3", "2"] in lines
    assert ["1", "hook", "5", "12.5", "2", "4", "40.0", "1"] in lines  # 5 of 40, 4 of 10
    assert "2 a clipper with quite a long name 2 25.0 1 - - -" in joined  # nobody looked in the test
    assert ["1", "hook", "·", "33"] in lines  # 1 of the 3 in which somebody looked, and not of all 9
    assert "2 a clipper with quite a long name 50 ·" in joined
    assert "warning: tools/clipper: no positive in the test [sic]" in printed(width)


def test_files(tmp_path):
    paths = write_split_report(REPORT, tmp_path / "new")
    assert [p.name for p in paths] == ["report.txt", "splits.csv", "classes.csv", "together.csv"]
    assert "a clipper with quite a long name" in paths[0].read_text()
    pd.testing.assert_frame_equal(pd.read_csv(paths[1]), REPORT.splits)
    pd.testing.assert_frame_equal(pd.read_csv(paths[2]), REPORT.classes)
    together = pd.read_csv(paths[3], index_col=0)
    assert together.loc["tools/hook", "tools/a clipper with quite a long name"] == 1


def test_tags_alone_are_columns():
    classes = REPORT.classes.assign(kind=["tag", "pixel"])
    console = Console(file=io.StringIO(), width=120, color_system=None)
    print_split_report(replace(REPORT, classes=classes), console)
    lines = [" ".join(line.split()) for line in console.file.getvalue().splitlines()]
    assert "class 1" in lines
    assert "2 a clipper with quite a long name 50" in lines


def test_no_share_where_nobody_looked_for_both():
    apart = REPORT.shown.copy()
    apart[2:5, 0] = 255  # nobody looked for the hook where the clipper shows
    apart[5, 0] = 255
    report = replace(REPORT, shown=apart, together=np.array([[6, 0], [0, 2]]))
    console = Console(file=io.StringIO(), width=120, color_system=None)
    print_split_report(report, console)
    lines = [line.split() for line in console.file.getvalue().splitlines()]
    assert ["1", "hook", "·", "-"] in lines
