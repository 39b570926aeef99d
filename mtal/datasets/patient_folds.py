"""Which patients are tested on: each in one of n folds, every class in as many of them as there are patients for.

Letters: N frames, L classes of all heads, P patients, F folds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from mtal.datasets.dataset import SurgicalDataset
from mtal.datasets.split_report import shown_classes
from mtal.frames.index import FrameIndex


def hold_out_fold(dataset: SurgicalDataset, fold: int, folds: int) -> SurgicalDataset:
    """The same frames, the patients of one fold as the test and all others as the pool, whatever the splits were.

    Folds follow from frames and labels alone, so they are the same for all strategies and seeds.

    Args:
        dataset: with labels; each mask is read once.
        fold: 0 to ``folds`` − 1.
        folds: how many.

    Raises:
        ValueError: there are fewer patients than folds.
    """
    table = dataset.index.table
    patients = table["patient"].to_numpy()
    there = len(set(patients))
    if there < folds:
        raise ValueError(
            f"loop.fold={fold} of loop.test_folds={folds}, but {dataset.name} has {there} patients: set "
            f"loop.test_folds={there} or lower"
            if there > 1
            else f"loop.fold={fold}: {dataset.name} has one patient, so none can be held out; set loop.fold=null"
        )
    shown = np.concatenate([shown_classes(dataset, m) for m in dataset.label_maps], axis=1) == 1  # [N, L]
    of = assign_patients(patients, shown, folds)
    split = ["test" if of[patient] == fold else "pool" for patient in patients]
    return replace(dataset, index=FrameIndex(table.assign(split=split)))


def assign_patients(patients: npt.NDArray[np.str_], shown: npt.NDArray[np.bool_], folds: int) -> dict[str, int]:
    """Patient to fold: the patients of the class that fewest of them show first, each to the fold that lacks it most.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas, ECML PKDD 2011) of patients, who show a class if one of
    their frames does: a class that n patients show is in min(n, F) folds, or nearly. Of folds that lack it alike, the
    one with the fewest frames takes the patient; then the first. Where two classes or patients are alike, names decide.

    Args:
        patients: ``[N]``.
        shown: ``[N, L]``, whether the frame shows the class.
        folds: F.

    >>> frames = np.array(["a", "a", "b", "c", "d"])
    >>> assign_patients(frames, np.array([[1], [0], [0], [1], [0]], dtype=bool), folds=2)
    {'a': 0, 'c': 1, 'b': 1, 'd': 0}
    """
    names, own, sizes = np.unique(patients, return_inverse=True, return_counts=True)
    has = np.zeros((len(names), shown.shape[1]), dtype=bool)  # [P, L]
    np.logical_or.at(has, own, shown)
    lacks = np.tile(has.sum(axis=0) / folds, (folds, 1))  # [F, L]
    room = np.full(folds, len(patients) / folds)  # [F] frames
    found: dict[str, int] = {}
    left = np.ones(len(names), dtype=bool)
    while left.any():
        open_ = has[left].sum(axis=0)  # [L]
        rarest = int(np.where(open_ > 0, open_, np.iinfo(np.int64).max).argmin()) if (open_ > 0).any() else None
        turn = np.flatnonzero(left if rarest is None else left & has[:, rarest])
        for patient in turn[np.argsort(-sizes[turn], kind="stable")]:
            need = np.zeros(folds) if rarest is None else lacks[:, rarest]
            fold = int(np.lexsort((np.arange(folds), -room, -need))[0])
            found[str(names[patient])] = fold
            lacks[fold] -= has[patient]
            room[fold] -= sizes[patient]
            left[patient] = False
    return found
