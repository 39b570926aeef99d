"""Members: sub-networks of one model under fixed dropout masks, and ensembles of models.

Letters: K members, N frames, S sites, C classes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from mtal.tasks.posterior import HeadOutput


def dropout_masks(p: float, K: int, width: int, seed: int, place: str) -> Tensor:
    """K fixed masks ``[K, width]`` with entries 0 (probability p) and 1/(1 − p), as dropout in training has them.

    The seed and the name of the place alone decide, on any device and whatever else is drawn.

    >>> dropout_masks(0.5, 2, 4, seed=0, place="decoder")
    tensor([[2., 2., 0., 0.],
            [2., 0., 0., 2.]])
    """
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(place.encode())))
    kept = torch.from_numpy(generator.random((K, width)) >= p)
    return kept.float() / (1 - p) if p < 1 else torch.zeros(K, width)


def stack_members(outputs: Sequence[Mapping[str, HeadOutput]]) -> dict[str, HeadOutput]:
    """Head outputs of K models on the same frames as one ensemble: ``probs [K, N, S, C]`` by task.

    Last-layer features, shared gradients and predicted losses belong to one model each and are left out.

    Args:
        outputs: task to head output, one mapping per model, each with a single posterior.

    Raises:
        ValueError: fewer than two models, or they differ in their heads.

    >>> first = {"bleeding": HeadOutput("bernoulli", torch.tensor([[[0.25]]]))}
    >>> second = {"bleeding": HeadOutput("bernoulli", torch.tensor([[[0.75]]]))}
    >>> stack_members([first, second])["bleeding"].probs.flatten().tolist()
    [0.25, 0.75]
    """
    if len(outputs) < 2:
        raise ValueError(f"an ensemble needs two models or more, not {len(outputs)}")
    stacked = {}
    for task, head in outputs[0].items():
        heads = [other.get(task) for other in outputs]
        if any(h is None or h.family != head.family or h.probs.shape != head.probs.shape for h in heads):
            raise ValueError(f"the models of an ensemble must have the same heads; they differ in {task!r}")
        if head.probs.ndim != 3:
            raise ValueError(f"{task!r} has members already: stack single posteriors")
        probs = torch.stack([h.probs for h in heads if h is not None])  # [K, N, S, C]
        stacked[task] = replace(head, probs=probs, features=None, shared_gradient=None, predicted_loss=None)
    return stacked
