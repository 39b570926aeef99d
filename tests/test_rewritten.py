"""Tests whose assertions another process has rewritten say as much as others of what they found."""

from types import FunctionType

import pytest
from _pytest.assertion import rewrite
from rewritten import look_there, rewrite_all


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(rewrite, "_rewrite_test", rewrite._rewrite_test)  # put back what was there
    return tmp_path / "rewritten"


def said(code) -> str:
    """By a test that fails."""
    defined: dict[str, FunctionType] = {}
    exec(code, defined)
    with pytest.raises(AssertionError) as failed:
        defined["test_sum"]()
    return str(failed.value)


def test_is_what_pytest_makes_of_it(folder, tmp_path):
    tests = tmp_path / "tests" / "sums"
    tests.mkdir(parents=True)
    test = tests / "test_sum.py"
    test.write_text("def test_sum():\n    a = 2\n    assert a + 1 == 4\n")
    (tests / "helper.py").write_text("assert True\n")
    rewrite_all([tmp_path / "tests"], folder)
    assert len(list(folder.iterdir())) == 1
    plain = rewrite._rewrite_test(test, None)
    look_there(folder)
    assert rewrite._rewrite_test(test, None) == plain
    assert said(plain[1]) == "assert (2 + 1) == 4"


def test_one_that_was_changed_meanwhile_is_rewritten_anew(folder, tmp_path):
    test = tmp_path / "test_sum.py"
    test.write_text("def test_sum():\n    assert 1 == 2\n")
    rewrite_all([test], folder)
    test.write_text("def test_sum():\n    assert 1 == 3\n")
    look_there(folder)
    assert said(rewrite._rewrite_test(test, None)[1]) == "assert 1 == 3"


def test_one_that_is_no_python_is_left_to_pytest(folder, tmp_path):
    for name, source in (("test_a.py", "def"), ("test_b.py", "assert True")):
        (tmp_path / name).write_text(source)
    rewrite_all([tmp_path], folder)
    assert [path.name.rpartition("%")[2] for path in folder.iterdir()] == ["test_b.py"]
