import pytest

from mtal.datasets.cholect50 import TEST_VIDEOS, VAL_VIDEOS
from mtal.datasets.shared_videos import NUMBERS, shared_videos


def test_published_sizes():
    assert {name: len(numbers) for name, numbers in NUMBERS.items()} == {
        "cholec80": 80,
        "cholecseg8k": 17,
        "cholect50": 50,
    }
    assert {int(v.removeprefix("VID")) for v in (*VAL_VIDEOS, *TEST_VIDEOS)} <= NUMBERS["cholect50"]


def test_every_set_that_shares_videos_is_named():
    first, second = shared_videos(
        "cholec80", [f"video{n:02d}" for n in range(1, 81)], ["video48", "video49", "video50"]
    )
    assert first == (
        "17 of the videos are in cholecseg8k too (1, 9, 12, 17, 18, 20, 24 to 28, 35, 37, 43, 48, 52, 55; tested on "
        "here: 48): learn from no video there that is tested on here"
    )
    assert second.startswith("45 of the videos are in cholect50 too (1, 2, 4 to 6, 8, 10, 12 to 15, 18, ")
    assert second.endswith("tested on here: 48 to 50): learn from no video there that is tested on here")


def test_videos_above_80_are_in_cholect50_alone():
    assert shared_videos("cholect50", ["VID92", "VID111"], ["VID111"]) == []
    told = shared_videos("cholect50", ["VID92", "VID02"], ["VID92"])
    (only,) = told
    assert only.startswith("1 of the videos are in cholec80 too (2; tested on here: none): learn from no video there")


@pytest.mark.parametrize("name", ["vocalfolds", "table", "endoscapes"])
def test_other_sets_share_none(name):
    assert shared_videos(name, ["video01"], []) == []
