import pytest

from mtal.datasets.refusals import Refusals


def gathered(*errors):
    refusals = Refusals()
    for error in errors:
        with refusals:
            raise error
    return refusals


class TestRefusals:
    def test_none(self):
        Refusals().tell()

    def test_one_is_told_as_it_is(self):
        error = ValueError("a.png: bad")
        with pytest.raises(ValueError, match=r"a\.png: bad") as told:
            gathered(error).tell()
        assert told.value is error

    def test_many_are_counted_and_three_told(self):
        with pytest.raises(ValueError, match=r"^5 faults:\n  0\n  1\n  2\n  and 2 more$"):
            gathered(*(ValueError(str(k)) for k in range(5))).tell()

    def test_the_same_is_told_once(self):
        assert len(gathered(ValueError("a"), ValueError("a"), ValueError("b"))) == 2

    def test_missing_files(self):
        with pytest.raises(FileNotFoundError, match="2 faults"):
            gathered(FileNotFoundError("a"), FileNotFoundError("b")).tell()
        with pytest.raises(ValueError, match="2 faults"):
            gathered(FileNotFoundError("a"), ValueError("b")).tell()

    def test_faults_of_the_program_pass(self):
        with pytest.raises(KeyError):
            gathered(KeyError("a"))
