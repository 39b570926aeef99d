import os

import pytest

from mtal.cores import usable_cores


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores are given to processes on Linux alone")
def test_cores_that_a_scheduler_has_not_given_are_not_counted():
    given = os.sched_getaffinity(0)
    assert usable_cores() == len(given)
    os.sched_setaffinity(0, {min(given)})
    try:
        assert usable_cores() == 1
    finally:
        os.sched_setaffinity(0, given)


def test_where_no_process_has_cores_of_its_own(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1
