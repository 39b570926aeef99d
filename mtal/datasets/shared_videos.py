"""Videos that published sets share: what is learnt from one set must not be tested on the other.

CholecSeg8k (Hong et al., arXiv 2012.12453) and CholecT50 (Nwoye et al., Medical Image Analysis 78, 2022; its splits:
Nwoye and Padoy, arXiv 2204.05235) number their videos as Cholec80 does (Twinanda et al., IEEE TMI 36, 2017). Five
videos of CholecT50, with numbers above 80, are in neither of the others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

NUMBERS = {
    "cholec80": frozenset(range(1, 81)),
    "cholecseg8k": frozenset({1, 9, 12, 17, 18, 20, 24, 25, 26, 27, 28, 35, 37, 43, 48, 52, 55}),
    "cholect50": frozenset(
        {1, 2, 4, 5, 6, 8, 10, 12, 13, 14, 15, 18, 22, 23, 25, 26, 27, 29, 31, 32, 35, 36, 40, 42, 43}
        | {47, 48, 49, 50, 51, 52, 56, 57, 60, 62, 65, 66, 68, 70, 73, 74, 75, 78, 79, 80}
        | {92, 96, 103, 110, 111}
    ),
}
"""Published set to the numbers of its videos."""


def shared_videos(name: str, videos: Iterable[str], tested: Iterable[str]) -> list[str]:
    """A sentence for each other set that holds some of the videos; none for a set that is not listed.

    Args:
        name: of the set.
        videos: names of its videos, whose last number counts.
        tested: those of the test split.

    >>> shared_videos("cholecseg8k", ["video01", "video09", "video12"], ["video12"])[1]
    '2 of the videos are in cholect50 too (1, 12; tested on here: 12): learn from no video there that is tested on here'
    """
    if name not in NUMBERS:
        return []
    ours, held_out = _numbers(videos), _numbers(tested)
    told = []
    for other, theirs in NUMBERS.items():
        both = sorted(ours & theirs)
        if other != name and both:
            test = _listed(sorted(held_out & theirs)) or "none"
            told.append(
                f"{len(both)} of the videos are in {other} too ({_listed(both)}; tested on here: {test}): "
                "learn from no video there that is tested on here"
            )
    return told


def _numbers(videos: Iterable[str]) -> set[int]:
    found = (re.findall(r"\d+", video) for video in videos)
    return {int(numbers[-1]) for numbers in found if numbers}


def _listed(numbers: list[int]) -> str:
    """``1 to 3, 7``."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    return ", ".join(f"{r[0]} to {r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs)
