from mtal.scoring.conduct import Conduct
from mtal.scoring.segments import Segment

A, B, C, *REST = (Segment(i, i + 1, ("a",)) for i in range(12))


def failing(*segments, who="bad"):
    conduct = Conduct()
    for segment in segments:
        conduct.note(who, segment, failed=True)
    return conduct


def test_in_order():
    assert Conduct().choose("bad", [A, B], ["bad", "good"]) == A
    assert Conduct().choose("bad", [], ["bad", "good"]) is None


def test_a_segment_goes_to_who_has_not_failed_it():
    conduct = failing(A)
    assert conduct.choose("bad", [A, B, C], ["bad", "good"]) == B
    assert conduct.choose("good", [A, B, C], ["bad", "good"]) == A
    assert conduct.choose("bad", [A, B, C], ["bad"]) == A
    conduct.note("good", A, failed=True)
    assert conduct.choose("bad", [A], ["bad", "good"]) == A


def test_the_last_ones_are_for_who_has_not_failed():
    assert failing(A).choose("bad", [C], ["bad", "good"]) is None
    assert failing(A).choose("bad", [B, C], ["bad", "good"]) == B


def test_who_fails_in_a_row_stands_back_for_a_while_and_then_twice_as_long():
    conduct, crew = failing(A, B), ["bad", "good"]
    for pause, following in ((4, REST[0]), (8, REST[1])):
        for segment in REST[:pause]:
            assert conduct.choose("bad", [*REST, C], crew) is None
            assert conduct.choose("bad", [*REST, C], ["bad"]) is not None
            conduct.note("good", segment, failed=False)
        assert conduct.choose("bad", [*REST, C], crew) == following
        conduct.note("bad", following, failed=True)
    conduct.note("bad", C, failed=False)
    assert conduct.choose("bad", [A, *REST], crew) == REST[2]


def test_where_all_fail_nobody_stands_back():
    conduct = failing(A, B)
    for segment in (A, B):
        conduct.note("good", segment, failed=True)
    assert conduct.choose("bad", [C], ["bad", "good"]) == C
