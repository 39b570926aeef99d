import doctest

import pandas as pd
import pytest

from mtal.annotation import seconds
from mtal.annotation.seconds import took, without_breaks


def test_examples():
    found = doctest.testmod(seconds)
    assert found.attempted > 0
    assert found.failed == 0


def test_somebody_was_away_by_what_the_same_person_takes_for_the_same_head():
    # quartiles of 10…17: 11 and 15, so 27 and 30 are the fences; a slow annotator is not away, nor is a slow head
    table = [("anna", "tools", s) for s in (10, 11, 12, 13, 14, 15, 16, 17, 30, 31)]
    table += [("ben", "tools", s) for s in (100, 110, 120)] + [("anna", "anatomy", s) for s in (300, 310)]
    answers = pd.DataFrame(table, columns=["annotator", "task", "seconds"])
    kept = without_breaks(answers)
    # of all ten: Q1 = 12, Q3 = 16 (the lower ones), fences 28 and 32
    assert kept.isna().tolist() == [False] * 15
    longer = without_breaks(pd.concat([answers, pd.DataFrame([("anna", "tools", 33)], columns=answers.columns)]))
    # of eleven: Q1 = 12, Q3 = 17 (places 2 and 7), fences 32 and 34
    assert longer.isna().sum() == 0
    away = pd.DataFrame([("anna", "tools", 600), ("ben", "tools", 241)], columns=answers.columns)
    assert without_breaks(pd.concat([answers, away], ignore_index=True)).isna().tolist() == [False] * 15 + [True] * 2


def test_nobody_takes_no_time_or_an_unknown_one():
    answers = pd.DataFrame({"annotator": "", "task": "tools", "seconds": [0.0, float("nan"), 5.0]})
    assert without_breaks(answers).isna().tolist() == [True, True, False]


def test_a_frame_took_what_all_heads_and_annotators_took(store, answer):
    store.add([answer(f"v/{k}", "tools", [1, 0], annotator="anna", seconds=s) for k, s in enumerate((4, 5, 6, 900))])
    store.add([answer("v/0", "phase", 1, annotator="anna", seconds=10)])
    store.add([answer("v/0", "tools", [1, 1], annotator="ben", seconds=7), answer("v/9", "phase", 1)])
    table = took(store.view(), ["v/3", "v/0", "v/9"])
    assert table["took_s"].tolist()[:2] == [5, 4 + 10 + 7]  # the break counts as the median of 4, 5 and 6
    assert table["annotators"].tolist()[:2] == [1, 2]
    assert table.loc[2].isna().all()
    assert took(store.view(), []).empty


def test_seconds_that_nobody_knows_are_none(store, answer):
    store.add([answer("v/0", "tools", [1, 0])])
    assert took(store.view(), ["v/0"])["took_s"].isna().all()
    assert without_breaks(store.view().answers).tolist() == pytest.approx([float("nan")], nan_ok=True)
