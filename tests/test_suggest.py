import pytest

from mtal.suggest import nearest


@pytest.mark.parametrize(
    ("wrong", "known", "expected"),
    [
        ("entopy", ["margin", "entropy"], ", did you mean 'entropy'?"),
        ("bald", ["badge", "bald_k"], ", did you mean 'bald_k'?"),
        ("xyz", ["entropy"], ""),
        ("entropy", [], ""),
    ],
)
def test_nearest(wrong, known, expected):
    assert nearest(wrong, known) == expected


def test_takes_the_keys_of_a_mapping():
    assert nearest("tool", {"tools": 1, "anatomy": 2}) == ", did you mean 'tools'?"
