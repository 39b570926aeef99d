from mtal.frames.faults import together


def test_one_is_told_as_it_is():
    fault = IndexError("a: there is no frame 7")
    assert together([fault], "of 9 sources") is fault


def test_several_are_counted_and_the_first_three_told():
    told = together([IndexError(f"{name}: bad") for name in "abcde"], "of 9 sources cannot be read")
    assert isinstance(told, IndexError)
    assert str(told) == "5 of 9 sources cannot be read: a: bad; b: bad; c: bad; and 2 more"


def test_of_several_kinds():
    told = together([IndexError("a: bad"), ValueError("b: worse")], "sources")
    assert isinstance(told, ValueError)
    assert str(told) == "2 sources: a: bad; b: worse"
