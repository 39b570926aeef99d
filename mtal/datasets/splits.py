"""Which videos are learnt from and which are held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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
    there = sorted(set(videos))
    both = sorted(set(test_videos) & set(val_videos))
    if both:
        raise ValueError(f"{name}: {both[0]!r} is in data.test_{who} and in data.val_{who}; keep it in one of them")
    for option, listed in ((f"test_{who}", test_videos), (f"val_{who}", val_videos)):
        unknown = [v for v in listed if v not in there]
        if unknown:
            raise ValueError(
                f"{name}: data.{option} names {unknown[0]!r}, which is not there{nearest(unknown[0], there)}; "
                f"there are {', '.join(there)}"
            )
    splits = dict.fromkeys(there, "pool") | dict.fromkeys(val_videos, "val") | dict.fromkeys(test_videos, "test")
    if "pool" not in splits.values():
        raise ValueError(f"{name}: all {who} are held out; leave some out of data.test_{who} and data.val_{who}")
    return splits
