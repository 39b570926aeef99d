"""How much of a run's disk the tables of its old rounds may keep: those of every candidate, which nobody picks by."""

from __future__ import annotations

import logging
from pathlib import Path

from mtal.learning.run_folder import RunFolder
from mtal.learning.score_files import EMBEDDINGS, SCORES

_log = logging.getLogger(__name__)


def let_go_of_tables(folder: RunFolder, limit_gib: float | None, keep_first_scores: bool) -> list[Path]:
    """Remove features and scores of the pool of the oldest rounds until those that are left take no more than a limit.

    What picks go by stays, whatever it takes: the last round's, and ``posteriors.npz`` of all rounds, which are written
    only where a signal compares rounds. Reports do without what is gone: likeness of picks and prices of frames are
    those of the other rounds. Of each round its features go first, which take the most and tell the least.

    Args:
        folder: the run.
        limit_gib: of the tables of all complete rounds together; ``None`` keeps all.
        keep_first_scores: statistics are frozen: those of the first scored round are what later rounds go by.

    Returns:
        What was removed.
    """
    if limit_gib is None:
        return []
    rounds = [folder.round_path(number) for number in range(folder.complete_rounds())]
    there = [path / name for path in rounds for name in (EMBEDDINGS, SCORES) if (path / name).is_file()]
    total = sum(file.stat().st_size for file in there)
    first = next((file for file in there if file.name == SCORES), None)
    gone: list[Path] = []
    for file in there:
        if total <= limit_gib * 2**30:
            break
        if file.parent == rounds[-1] or (keep_first_scores and file == first):
            continue
        total -= file.stat().st_size
        file.unlink()
        gone.append(file)
    if gone:
        _log.warning(
            "%s: removed %s, so that tables of old rounds take no more than loop.keep_tables_gib=%g; null keeps all",
            folder.path,
            ", ".join(str(file.relative_to(folder.path)) for file in gone),
            limit_gib,
        )
    return gone
