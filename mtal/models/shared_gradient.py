"""∂L_t/∂z: how each head would move the output z of the shared encoder.

Letters: T heads, N frames, D numbers per frame in z, B numbers in a sketch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mtal.models.network import ModelOutput, MultiTaskModel, Represented, evaluation
from mtal.tasks.task import Task

FIRST_FOLD = 4096
"""Numbers that a level is folded to before they are put in a random order, which alone would take most of the time."""


class SharedGradients(NamedTuple):
    """Sketched gradients ``[N, B]`` by task, and what the model said on the way to them, without a gradient."""

    gradients: dict[str, Tensor]
    output: ModelOutput
    represented: Represented


def shared_gradients(
    model: MultiTaskModel,
    inputs: Tensor | list[Tensor],
    tasks: Sequence[Task],
    dims: int = 64,
    seed: int = 0,
    temperatures: Mapping[str, float] | None = None,
    weigh: Callable[[Task, tuple[int, int]], Tensor | None] | None = None,
) -> SharedGradients:
    """g_t = ∂L_t/∂z of each head under its own answer, ``[N, dims]``, for a batch at once.

    z is all that decoder and heads read of the encoder on the frame: the levels that the decoder reads, side by
    side, prefix tokens of a ViT included; what a model sees of neighbouring frames belongs to those. L_t is the frame's
    own loss, the mean over the sites of the decoder's map, by how much each counts, and the sum over classes, as in
    BADGE. Frames do not meet in evaluation mode, so the backward pass of the loss summed over a batch gives each
    frame's own gradient. The encoder runs once and gets no backward pass; each head costs one through itself and the
    decoder.

    D is large, so gradients are sketched: each number of z is added to one of ``dims`` sums with a random sign
    (Charikar, Chen and Farach-Colton, ICALP 2002), the same for every frame and head. Inner products between frames are
    kept up to about 1/√dims of the lengths. Within a frame, the length of each head's gradient and the angles between
    the heads' are kept exactly: the sketches are the nearest ones that have them.

    Args:
        model: its modes are left as they were.
        inputs: images, or encoder levels.
        tasks: the heads.
        dims: numbers per frame and head, at least as many as heads.
        seed: of the sketch; has to be the same for all batches of a pool.
        temperatures: of calibrated heads by task, see :meth:`Task.residual_of_own_answer`; 1 where not given.
        weigh: head and its (rows, columns) of sites, (1, 1) for a frame head, to how much each site counts, ``[N, S]``;
            ``None`` counts all in full.

    Raises:
        ValueError: there are more heads than ``dims``.
    """
    if dims < len(tasks):
        raise ValueError(f"a sketch of {dims} numbers can't keep the angles between {len(tasks)} heads")
    with torch.inference_mode(mode=False), evaluation(model):
        with torch.no_grad():
            neighbours, levels = model.parted(model.encode(inputs))
        with torch.enable_grad():
            leaves = [level.clone() if level.is_inference() else level.detach() for level in levels]
            for leaf in leaves:
                leaf.requires_grad_()
            represented = model.represent(leaves if neighbours is None else [neighbours, *leaves])
            # what heads read is cut off here, so that the costly part of the way back is nothing but the decoder's
            vectors = [vector.detach().requires_grad_() for vector in represented.vectors()]
            decoded = represented.decoded.detach().requires_grad_()
            output = model.answer(represented._replace(decoded=decoded), vectors)
        way_back = _WayBack(model, levels, represented, leaves)
        at_levels = []
        for task in tasks:
            logits = output.heads[task.name].logits
            residual = task.residual_of_own_answer(logits.detach(), (temperatures or {}).get(task.name, 1.0))
            grid = (residual.shape[2], residual.shape[3]) if task.support == "pixel" else (1, 1)
            counts = None if weigh is None else weigh(task, grid)
            at_logits = residual * _shares(counts, residual)
            if task.support == "pixel":
                (at_decoded,) = torch.autograd.grad(logits, decoded, at_logits)
                at_levels.append(way_back.from_decoded(at_decoded))
            else:
                at_levels.append(way_back.from_vectors(torch.autograd.grad(logits, vectors, at_logits)))
    gradients = _sketched(at_levels, dims, seed)  # [N, T, B]
    named = {task.name: gradients[:, t] for t, task in enumerate(tasks)}
    parts = (None if part is None else part.detach() for part in represented)
    return SharedGradients(named, _detached(output), Represented(*parts))  # type: ignore[arg-type]


def _shares(counts: Tensor | None, like: Tensor) -> Tensor | float:
    """What each site's loss is multiplied with, of the shape of ``like`` with one class."""
    if counts is None:
        return 1 / math.prod(like.shape[2:])
    total = counts.sum(dim=1, keepdim=True)  # [N, 1]
    return (counts / total.where(total > 0, 1)).to(like).view(len(like), 1, *like.shape[2:])


class _WayBack:
    """From gradients at what the heads read to gradients at the encoder's levels, ``None`` where one is not read.

    Means and maxima over space are undone in closed form: as autograd does it, but the places of the maxima are looked
    up once for all heads.
    """

    def __init__(
        self, model: MultiTaskModel, levels: Sequence[Tensor], represented: Represented, leaves: Sequence[Tensor]
    ) -> None:
        self.deep = model.encoder.deep
        self.decoded = decoded = represented.decoded
        self.temporal = represented.temporal
        self.leaves = leaves
        self.at_peak = {i: _share_of_peak(levels[i]) for i in self.deep}
        self.at_peak_of_decoded = _share_of_peak(decoded.detach())

    def from_decoded(self, gradient: Tensor) -> list[Tensor | None]:
        """From ``[N, channels, h, w]`` at the decoder's map."""
        # convolutions are several times slower on a map whose channels lie elsewhere than they expect
        gradient = torch.empty_like(self.decoded).copy_(gradient)
        return list(torch.autograd.grad(self.decoded, self.leaves, gradient, retain_graph=True, allow_unused=True))

    def from_vectors(self, gradients: Sequence[Tensor]) -> list[Tensor | None]:
        """From the gradients at :meth:`Represented.vectors`."""
        shared, peaks, mean, peak, *temporal = gradients
        found = self.from_decoded(_spread(mean, peak, self.at_peak_of_decoded))
        parts = peaks.split([share.shape[1] for share in self.at_peak.values()], dim=1)
        for i, part in zip(self.deep, parts, strict=True):
            at_mean = shared if i == self.deep[-1] else None
            direct = _spread(at_mean, part, self.at_peak[i])
            known = found[i]
            found[i] = direct if known is None else known + direct
        if temporal and self.temporal is not None:
            at = self.deep[-1]
            (own,) = torch.autograd.grad(self.temporal, [self.leaves[at]], temporal, retain_graph=True)
            known = found[at]
            found[at] = own if known is None else known + own
        return found


def _share_of_peak(x: Tensor) -> Tensor:
    """1/m at the m places where a channel has its maximum, else 0, ``[N, C, h, w]``: the gradient of the maximum."""
    highest = x == x.amax(dim=(2, 3), keepdim=True)
    return highest / highest.sum(dim=(2, 3), keepdim=True)


def _spread(at_mean: Tensor | None, at_peak: Tensor, share: Tensor) -> Tensor:
    """Gradient at a map from those at its mean and its maximum over space, ``[N, C]`` each."""
    at_peak = at_peak[:, :, None, None]
    if at_mean is None:
        return share * at_peak
    return torch.addcmul(at_mean[:, :, None, None] / math.prod(share.shape[2:]), share, at_peak)


def _sketched(heads: Sequence[Sequence[Tensor | None]], dims: int, seed: int) -> Tensor:
    """Sketches ``[N, T, B]`` of each head's gradients in all levels, with exact lengths and angles within a frame."""
    sketch: Tensor | float = 0.0  # [T, N, B]
    inner: Tensor | float = 0.0  # [N, T, T], inner products of whole gradients
    for number, level in enumerate(zip(*heads, strict=True)):
        known = next((g for g in level if g is not None), None)
        if known is None:
            continue
        D = known[0].numel()
        order, signs = _places(D, number, seed, known.device)
        signed = known.new_empty(len(level), len(known), D)  # [T, N, D_l]
        for t, g in enumerate(level):
            if g is None:
                signed[t] = 0
            else:
                torch.mul(_flat(g), signs, out=signed[t])
        by_frame = signed.transpose(0, 1)  # [N, T, D_l]
        inner = inner + torch.bmm(by_frame, by_frame.transpose(1, 2)).double()
        folded = _folded(signed, FIRST_FOLD)  # [T, N, first fold]
        sketch = sketch + _folded(folded.gather(2, order.expand_as(folded)), dims)
    assert isinstance(sketch, Tensor)
    assert isinstance(inner, Tensor)
    return _with_inner_products(sketch.transpose(0, 1).double(), inner).to(sketch.dtype)


def _with_inner_products(sketch: Tensor, inner: Tensor) -> Tensor:
    """The vectors nearest to ``sketch [N, T, B]`` with the inner products ``[N, T, T]``.

    Lengths first: all rows are scaled to 1. Then Y' = K^½ U, K the cosines, U the orthogonal rows nearest to K^½ Y
    (its polar factor): of all Y' with Y'Y'ᵀ = K it has the smallest ‖Y' − Y‖.
    """
    lengths = inner.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()  # [N, T]
    safe = lengths.where(lengths > 0, 1.0)
    cosines = inner / (safe.unsqueeze(1) * safe.unsqueeze(2))  # [N, T, T]
    values, vectors = torch.linalg.eigh(cosines)
    root = (vectors * values.clamp(min=0).sqrt().unsqueeze(1)) @ vectors.transpose(1, 2)  # [N, T, T]
    left, _, right = torch.linalg.svd(root @ (sketch / safe.unsqueeze(2)), full_matrices=False)
    return lengths.unsqueeze(2) * (root @ (left @ right))


def _flat(gradient: Tensor) -> Tensor:
    """``[N, D]`` in one order whatever the layout in memory: channels last, which needs no copy where they lie so."""
    return (gradient.permute(0, 2, 3, 1) if gradient.ndim == 4 else gradient).flatten(1)


def _folded(values: Tensor, width: int) -> Tensor:
    """Sum of the numbers whose places are equal modulo ``width``, ``[..., D]`` to ``[..., width]``."""
    whole, rest = divmod(values.shape[-1], width)
    sums = values.new_zeros(*values.shape[:-1], width)
    if whole:
        sums = values[..., : whole * width].unflatten(-1, (whole, width)).sum(dim=-2)
    sums[..., :rest] += values[..., whole * width :]
    return sums


@lru_cache(maxsize=32)
def _places(D: int, level: int, seed: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """A random order of a level's D numbers after their first fold, and their signs ±1 before it."""
    generator = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(level,)))
    order = torch.from_numpy(generator.permutation(FIRST_FOLD)).to(device)
    signs = torch.from_numpy(generator.integers(0, 2, D) * 2 - 1).to(device, torch.float32)
    return order, signs


def _detached(output: ModelOutput) -> ModelOutput:
    heads = {name: type(head)(*(part.detach() for part in head)) for name, head in output.heads.items()}
    losses = output.predicted_losses
    losses = None if losses is None else {name: loss.detach() for name, loss in losses.items()}
    return ModelOutput(heads, output.shared.detach(), losses)
