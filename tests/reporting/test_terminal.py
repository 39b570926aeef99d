from __future__ import annotations

import io

import pytest
from rich.console import Console

from mtal.reporting import RoundTable, summary, write_report


def record(number, labelled, tools, joint):
    return {
        "round": number,
        "labelled": labelled,
        "metrics": {"tools/mAP": tools, "tools/AP/hook": 0.1, "bleeding/AP": None, "joint": joint},
    }


def table_on(width, **options):
    stream = io.StringIO()
    table = RoundTable(["tools", "bleeding"], Console(file=stream, width=width, **options))
    table.add(record(0, 24, 0.5, 0.4), 61.25)
    table.add(record(1, 48, 0.625, 0.35), 7.0)
    table.add(record(2, 72, 0.625, 0.35), 7.0)
    return stream.getvalue().splitlines()


def test_one_header_and_a_row_per_round_with_the_change():
    assert [line.split() for line in table_on(200)] == [
        ["round", "labelled", "tools", "mAP", "bleeding", "AP", "joint", "seconds"],
        ["0", "24", "0.500", "-", "0.400", "61.2"],
        ["1", "48", "0.625", "+0.125", "-", "0.350", "-0.050", "7.0"],
        ["2", "72", "0.625", "+0.000", "-", "0.350", "+0.000", "7.0"],
    ]


def test_columns_are_fixed_whatever_the_width_of_the_terminal():
    lines = table_on(200)
    assert table_on(40) == lines
    assert len({line.rstrip().rfind(".") for line in lines[1:]}) == 1  # seconds under each other
    assert lines[2].index("0.625") == lines[1].index("0.500")
    assert "\x1b" not in "".join(lines)


def test_says_whether_training_had_converged_where_val_decided():
    stream = io.StringIO()
    table = RoundTable(["tools"], Console(file=stream, width=200))
    for number, converged in enumerate((True, False)):
        training = {"steps": 650, "converged": converged}
        table.add(record(number, 24, 0.5, 0.4) | {"training": training}, 7.0)
    header, first, second = stream.getvalue().splitlines()
    assert header.split()[-3:] == ["joint", "trained", "seconds"]
    assert "650 steps, converged" in first
    assert "650 steps, not converged" in second
    assert len(header) == len(first) == len(second)


def test_gains_are_green_and_losses_red_in_a_terminal():
    text = "\n".join(table_on(200, force_terminal=True, color_system="standard"))
    assert "\x1b[32m+0.125" in text
    assert "\x1b[31m-0.050" in text


def said(run_dir, **options):
    stream = io.StringIO()
    summary(run_dir, Console(file=stream, width=40), **options)
    return stream.getvalue().splitlines()


def test_summary_says_where_the_report_is(run_dir):
    report = write_report(run_dir)
    assert said(run_dir) == [f"Report: {report}  (open it in a browser)"]


def test_summary_without_a_report_says_how_to_draw_one(run_dir):
    assert said(run_dir) == [f"Report: none yet; draw it with: python scripts/report.py {run_dir}"]


@pytest.mark.parametrize(
    ("folders", "line"),
    [
        (["offline-run-20260101_1-x", "offline-run-20260102_1-x"], "wandb sync {0}/wandb/offline-run-20260102_1-x"),
        (["offline-run-20260101_1-x", "run-20260102_1-x"], "uploaded during the run"),
        (["run-20260101_1-x", "offline-run-20260102_1-x"], "wandb sync {0}/wandb/offline-run-20260102_1-x"),
    ],
)
def test_summary_names_the_newest_offline_run(run_dir, folders, line):
    for folder in folders:
        (run_dir / "wandb" / folder).mkdir(parents=True)
    assert said(run_dir)[1].endswith(line.format(run_dir))


def test_summary_offers_nothing_of_what_a_failure_left_behind(run_dir):
    for folder in ("run-20260101_1-x", "offline-run-20260102_1-x"):
        (run_dir / "wandb" / folder).mkdir(parents=True)
        told = said(run_dir, failed=True)[1]
        assert told == f"W&B:    failed, see the warning; log the run with: python scripts/log_to_wandb.py {run_dir}"


def test_summary_quotes_what_a_shell_would_break(make_run):
    path = make_run("two words")
    (path / "wandb" / "offline-run-20260101_1-x").mkdir(parents=True)
    assert said(path) == [
        f"Report: none yet; draw it with: python scripts/report.py '{path}'",
        f"W&B:    offline; upload it with: wandb sync '{path}/wandb/offline-run-20260101_1-x'",
    ]
