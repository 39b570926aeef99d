from pathlib import Path

import pytest

from mtal.datasets.recording_names import Recording, recording_names

BASE = Path("/data")


def names(*recordings: Recording) -> list[str]:
    return list(recording_names(recordings, BASE).values())


def folder(path: str, patient: str = "") -> Recording:
    return Recording(BASE / path, patient)


def video(path: str) -> Recording:
    return Recording(BASE / path, "", False)


class TestNames:
    def test_short_where_they_tell_apart(self):
        assert names(folder("liver/01"), folder("liver/02", "ada"), video("b/op.mp4")) == [
            "liver_01",
            "liver_02_ada",
            "b_op",
        ]
        assert names(Recording(BASE)) == ["images"]

    @pytest.mark.parametrize(
        ("recordings", "expected"),
        [
            ([folder("liver/01"), folder("liver_01")], ["liver/01", "liver_01"]),
            ([video("op.mp4"), video("op.mpg"), video("other.mp4")], ["op.mp4", "op.mpg", "other"]),
            ([video("op.mp4"), folder("op")], ["op.mp4", "op"]),
            ([folder("all", "ada"), folder("all_ada")], ["all/ada", "all_ada"]),
            ([folder("a/b", "c"), folder("a", "b_c"), folder("a_b", "c")], ["a/b/c", "a/b_c", "a_b/c"]),
        ],
    )
    def test_long_where_not(self, recordings, expected):
        assert names(*recordings) == expected

    def test_none_that_tells_apart(self):
        with pytest.raises(ValueError, match=r"all.ada: it would be called 'all/ada', as /data/all is; rename one"):
            names(folder("all", "ada"), folder("all/ada"))
