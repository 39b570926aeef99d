from pathlib import Path

import pytest

from mtal.refusals import Refusals, first_of


def gathered(*errors):
    refusals = Refusals()
    for error in errors:
        with refusals:
            raise error
    return refusals


def taken(*errors):
    refusals = Refusals()
    for error in errors:
        refusals.take(error)
    return refusals


class TestRefusals:
    def test_none(self):
        Refusals().tell()

    def test_one_is_told_as_it_is(self):
        error = ValueError("a.png: bad")
        with pytest.raises(ValueError, match=r"a\.png: bad") as told:
            gathered(error).tell()
        assert told.value is error

    @pytest.mark.parametrize(("count", "rest"), [(10, ""), (12, r"\n  and 2 more")])
    def test_many_are_counted_and_ten_told(self, count, rest):
        lines = "".join(rf"\n  {k}" for k in range(10))
        with pytest.raises(ValueError, match=rf"^{count} faults:{lines}{rest}$"):
            gathered(*(ValueError(str(k)) for k in range(count))).tell()

    def test_three_are_named_within_a_line(self):
        assert first_of(range(3)) == "0, 1, 2"
        assert first_of(range(9)) == "0, 1, 2, …"

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

    def test_of_one_kind_and_of_what(self):
        with pytest.raises(IndexError, match=r"^2 of 9 sources cannot be read:\n  a: bad\n  b: bad$"):
            taken(IndexError("a: bad"), IndexError("b: bad")).tell(what="of 9 sources cannot be read")
        with pytest.raises(ValueError, match=r"^2 faults:\n  a: bad\n  b: worse$"):
            taken(IndexError("a: bad"), ValueError("b: worse")).tell()

    def test_those_of_another_are_taken_one_by_one(self):
        with pytest.raises(FileNotFoundError) as told:
            gathered(FileNotFoundError("a"), FileNotFoundError("b")).tell()
        with pytest.raises(ValueError, match=r"^3 faults:\n  a\n  b\n  c$"):
            gathered(told.value, ValueError("c")).tell()

    def test_alike_are_counted_beside_errors(self):
        refusals = Refusals(Path("a.json"))
        refusals.take(ValueError("b: bad"))
        refusals.add("images without a name", "entry 3")
        assert len(refusals) == 2
        with pytest.raises(ValueError, match=r"^2 faults:\n  b: bad\n  a\.json: images without a name: 1 \(entry 3\)"):
            refusals.tell("name them")
