"""Segments that fail are tried again, and told with their videos where that does not help."""

from __future__ import annotations

from collections.abc import Sequence

from mtal.models import MultiTaskModel
from mtal.progress import counting
from mtal.refusals import LISTED
from mtal.scoring.engine import Engine
from mtal.scoring.segments import Segment, Videos
from mtal.scoring.work import Tell, Work

TRIES = 3
"""How often a segment may fail."""


class UnscoredError(RuntimeError):
    """Some videos could not be scored; the shards of all others are there."""


def score_all(
    engine: Engine, segments: Sequence[Segment], videos: Videos, work: Work, model: MultiTaskModel
) -> list[Segment]:
    """See to it that each segment has a shard; those that are there are left alone.

    Args:
        engine: who scores.
        segments: all candidates.
        videos: whose frames they are.
        work: what to do.
        model: on the device of ``work``.

    Returns:
        The segments; one of several videos may have been taken apart, where it failed as a whole.

    Raises:
        UnscoredError: some videos failed as often as they may, and others did not.
        Exception: what the first segment failed with, where not one can be scored: the fault is of no video.
    """
    missing = [segment for segment in segments if not work.shards.has(segment)]
    done = sum(map(len, segments)) - sum(map(len, missing))
    with counting("Scoring the pool", sum(map(len, segments)), "frames") as tell:
        tell(done)
        tries = _Tries(engine, work, model, tell, any_done=done > 0)
        failed = tries.score(missing)
        if not failed:
            return list(segments)
        apart = {segment: videos.apart(segment) for segment in failed if len(segment.videos) > 1}
        parts = [part for some in apart.values() for part in some if not work.shards.has(part)]
        unscored = {segment: error for segment, error in failed.items() if segment not in apart}
        unscored |= tries.score(parts, times=1)
    if not unscored:
        return [part for segment in segments for part in apart.get(segment, [segment])]
    if not tries.any_done:
        raise next(iter(failed.values()))
    raise _told(unscored, len({video for segment in segments for video in segment.videos}))


class _Tries:
    """Runs segments, again where they fail, and gives up early where nothing works at all."""

    def __init__(self, engine: Engine, work: Work, model: MultiTaskModel, tell: Tell, *, any_done: bool) -> None:
        self._engine, self._work, self._model, self._tell = engine, work, model, tell
        self.any_done = any_done

    def score(self, segments: Sequence[Segment], times: int = TRIES) -> dict[Segment, Exception]:
        """What failed each of so many times, and why the last time.

        Raises:
            Exception: what the first segment failed with, where the others do as well: the fault is of no video.
        """
        failed: dict[Segment, Exception] = {}
        for _ in range(times):
            failed = self._once(segments)
            segments = sorted(failed, key=lambda segment: segment.start)
            if not segments:
                break
        return failed

    def _once(self, segments: Sequence[Segment]) -> dict[Segment, Exception]:
        failed: dict[Segment, Exception] = {}
        left = dict.fromkeys(segments)
        for segment, error in self._engine.score(segments, self._work, self._model, self._tell):
            del left[segment]
            self.any_done |= error is None
            if error is None:
                self._work.shards.take_in(segment)
            else:
                failed[segment] = error
            if len(failed) >= TRIES and left and not self.any_done:
                break
        else:
            return failed
        last = next(reversed(left))  # of another video, if any is: bad ones may come first
        for _, error in self._engine.score([last], self._work, self._model, self._tell):
            if error is not None:
                raise next(iter(failed.values()))
            self._work.shards.take_in(last)
        self.any_done = True
        del left[last]
        return failed | self._once(list(left))


def _told(unscored: dict[Segment, Exception], of: int) -> UnscoredError:
    bad = dict.fromkeys(video for segment in unscored for video in segment.videos)
    lines = [f"  {segment}: {error}" for segment, error in list(unscored.items())[:LISTED]]
    if len(unscored) > LISTED:
        lines.append(f"  and {len(unscored) - LISTED} more")
    what = (
        f"{len(bad)} of {of} videos could not be scored, which was tried {TRIES} times; the others are scored, and the "
        "same command goes on from there once these can be:"
    )
    told = UnscoredError("\n".join([what, *lines]))
    told.__cause__ = next(iter(unscored.values()))
    return told
