"""The pool as each head sees it, for signals that compare its frames with each other or with labelled ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor

from mtal.acquisition import Moments, PoolView
from mtal.acquisition.signals.task_consistency import answers_of
from mtal.scoring.look import LabelledView
from mtal.scoring.pool_scores import PoolScores
from mtal.tasks.task import Task


def pool_views(
    tasks: Sequence[Task],
    needs: Collection[str],
    seen: PoolScores,
    labelled_view: LabelledView | None,
    *,
    say: Mapping[str, float],
    previous: Sequence[Mapping[str, Tensor]] | None,
    moments: Moments,
    seed: int,
) -> dict[str, PoolView]:
    """By task, what its signals of the whole pool go by.

    Args:
        tasks: the heads.
        needs: what the signals ask for.
        seen: of the pass over the candidates.
        labelled_view: of that over the labelled frames, where anything compares with them.
        say: task to how much it counts where a head is compared with all others; 0 where it has no label so far.
        previous: posteriors of earlier rounds by task, where a signal compares with them.
        moments: of the candidates.
        seed: of whatever a signal draws.
    """
    return {
        task.name: PoolView(
            features=torch.from_numpy(seen.shared),
            labelled_features=None if labelled_view is None else torch.from_numpy(labelled_view.shared),
            posterior=seen.posteriors.get(task.name),
            labelled_posterior=None if labelled_view is None else labelled_view.posteriors.get(task.name),
            members=seen.members.get(task.name),
            previous=None if previous is None else tuple(p[task.name] for p in previous if task.name in p),
            moments=moments,
            others=_others(task.name, say, seen, labelled_view) if "others" in needs else None,
            seed=seed,
        )
        for task in tasks
    }


def _others(
    task: str, say: Mapping[str, float], seen: PoolScores, labelled_view: LabelledView | None
) -> tuple[Tensor, Tensor]:
    """What the other heads that have a say tell of candidates and labelled frames."""
    assert labelled_view is not None
    said = (seen.posteriors, labelled_view.posteriors)
    sizes = (len(seen.shared), len(labelled_view.shared))
    ours, theirs = (
        answers_of({t: heads[t] for t in say if t != task}, n, say) for heads, n in zip(said, sizes, strict=True)
    )
    return ours, theirs
