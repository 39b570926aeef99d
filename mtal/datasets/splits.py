"""Which videos are learnt from and which are held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mtal.refusals import Refusals, first_of
from mtal.suggest import nearest


def assign_splits(
    name: str, videos: Iterable[str], test_videos: Sequence[str], val_videos: Sequence[str] = (), who: str = "videos"
) -> dict[str, str]:
    """Video → ``"test"``, ``"val"`` or, for all others, ``"pool"``.

    Args:
        name: of the data set, for messages.
        videos: those that are there.
        test_videos: held out for the test.
        val_videos: held out for validation.
        who: what they are, as the options ``test_<who>`` and ``val_<who>`` call them.

    Raises:
        ValueError: a video is in both lists or is not there, or none is left for the pool.
    """
    refusals = Refusals()
    for option, given in ((f"test_{who}", test_videos), (f"val_{who}", val_videos)):
        if isinstance(given, str) or not isinstance(given, Iterable):
            refusals.take(ValueError(f"data.{option} is a list: write data.{option}=[{given}]"))
    refusals.tell()
    test_videos, val_videos = [*map(str, test_videos)], [*map(str, val_videos)]  # the command line has 7 for a number
    there = sorted(set(videos))
    both = sorted(set(test_videos) & set(val_videos))
    if both:
        named = first_of([repr(video) for video in both])
        raise ValueError(f"{name}: {named} is in data.test_{who} and in data.val_{who}; keep it in one of them")
    for option, listed in ((f"test_{who}", test_videos), (f"val_{who}", val_videos)):
        unknown = [video for video in listed if video not in there]
        if unknown:
            named = first_of([repr(video) for video in unknown])
            what = f"{len(unknown)} {who} that are" if len(unknown) > 1 else "which is"
            told = f"{name}: data.{option} names {named}, {what} not there{nearest(unknown[0], there)}"
            refusals.take(ValueError(f"{told}; there are {', '.join(there)}"))
    refusals.tell()
    splits = dict.fromkeys(there, "pool") | dict.fromkeys(val_videos, "val") | dict.fromkeys(test_videos, "test")
    if "pool" not in splits.values():
        raise ValueError(f"{name}: all {who} are held out; leave some out of data.test_{who} and data.val_{who}")
    return splits
