"""The same method here and in a published library, on the same arrays: seconds, and whether the answers agree.

Letters: N frames of the pool, M labelled frames, D features, C classes, K members.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property, partialmethod
from importlib import import_module
from importlib.metadata import version
from math import log
from typing import Any
from unittest.mock import patch

import numpy as np
import numpy.typing as npt
import torch
from benchmarks.clocks import Clock
from rich.table import Table
from scipy.spatial.distance import cdist, pdist
from scipy.special import logsumexp, softmax
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from mtal.tasks.posterior import HeadOutput

Floats = npt.NDArray[np.float64]
PATIENCE = 3.0
"""Seconds after which two methods take no more turns."""

MODULES = (
    "numpy",
    "scikit_learn",
    "scikit_activeml",
    "small_text",
    "baal",
    "batchbald_redux",
    "moocore",
    "fpsample",
    "submodlib",
    "dppy",
    "pymoo",
    "faiss",
)
"""Peers, each with its comparisons in ``benchmarks.against_<peer>``."""


@dataclass(frozen=True)
class Arrays:
    """What one round hands to every method; all float64, drawn from ``seed``.

    Frames are of C overlapping classes, the posterior is that of a linear layer without bias that knows the class
    means, and each member is that layer with noise.
    """

    frames: int = 2000
    labelled_frames: int = 200
    width: int = 128
    classes: int = 10
    member_count: int = 20
    budget: int = 50
    seed: int = 0
    features: Floats = field(init=False)  # [N, D]
    labelled: Floats = field(init=False)  # [M, D]
    probs: Floats = field(init=False)  # [N, C]
    labelled_probs: Floats = field(init=False)  # [M, C]
    labels: npt.NDArray[np.int64] = field(init=False)  # [M]
    weight: Floats = field(init=False)  # [C, D], of the last layer
    members: Floats = field(init=False)  # [K, N, C]
    scores: Floats = field(init=False)  # [N, T], of four heads in [0, 1]

    def __post_init__(self) -> None:
        generator = np.random.default_rng(self.seed)
        N = self.frames
        means = generator.normal(size=(self.classes, self.width))  # [C, D]
        classes = generator.integers(0, self.classes, N + self.labelled_frames)  # [N + M]
        x = 0.6 * means[classes] + generator.normal(size=(len(classes), self.width))  # [N + M, D]
        unit = (128 / self.width) ** 0.5  # so that posteriors are as sure whatever the width
        weight = unit * 1.5 * means / self.width**0.5  # [C, D]
        noise = unit * 0.08 * generator.normal(size=(self.member_count, *weight.shape))  # [K, C, D]
        probs = softmax(x @ weight.T, axis=1)  # [N + M, C]
        values = {
            "features": x[:N],
            "labelled": x[N:],
            "probs": probs[:N],
            "labelled_probs": probs[N:],
            "labels": classes[N:],
            "weight": weight,
            "members": softmax(x[:N] @ (weight + noise).transpose(0, 2, 1), axis=2),
            "scores": generator.uniform(size=(N, 4)),
        }
        for name, value in values.items():
            object.__setattr__(self, name, np.ascontiguousarray(value))

    @cached_property
    def hashes(self) -> npt.NDArray[np.uint64]:
        """Tie-breaking numbers, ``[N]``; they rise with the row because the peers draw and break ties by row."""
        return np.arange(self.frames, dtype=np.uint64)

    @cached_property
    def single(self) -> npt.NDArray[np.float32]:
        """The pool in float32, ``[N, D]``."""
        return self.features.astype(np.float32)

    @cached_property
    def unit(self) -> Floats:
        """The pool, each frame of length 1, ``[N, D]``."""
        return self.features / np.linalg.norm(self.features, axis=1, keepdims=True)

    @cached_property
    def everything(self) -> Floats:
        """The pool above the labelled frames, ``[N + M, D]``."""
        return np.concatenate([self.features, self.labelled])

    @cached_property
    def radius(self) -> float:
        """A length within which one pair of frames in a hundred lies."""
        return float(np.quantile(pdist(self.everything[:500]), 0.01))

    @property
    def head(self) -> HeadOutput:
        """The pool as a head of one-of-C frames; made anew at each use, as its checks are part of the cost."""
        return HeadOutput("categorical", torch.from_numpy(self.probs)[:, None], bias=False)

    @property
    def head_with_features(self) -> HeadOutput:
        """The same with the input of its last layer."""
        features = torch.from_numpy(self.features)[:, None]
        return HeadOutput("categorical", torch.from_numpy(self.probs)[:, None], features=features, bias=False)

    @property
    def labelled_head(self) -> HeadOutput:
        """The labelled frames."""
        return HeadOutput("categorical", torch.from_numpy(self.labelled_probs)[:, None], bias=False)

    @property
    def head_of_members(self) -> HeadOutput:
        """The pool as its K members see it."""
        return HeadOutput("categorical", torch.from_numpy(self.members)[:, :, None], bias=False)


def largest_difference(_: Arrays, ours: Any, theirs: Any) -> float:
    """maxᵢ |oursᵢ − theirsᵢ|."""
    return float(np.abs(np.asarray(ours) - np.asarray(theirs)).max())


def differing_picks(_: Arrays, ours: Any, theirs: Any) -> float:
    """How many places in the order of choice hold another frame."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    return float((ours != theirs).sum()) if ours.shape == theirs.shape else float("inf")


def information(arrays: Arrays, picks: Any, draws: int = 1000) -> float:
    """I(y; k) of the labels y of a batch and the member k, in nats, from ``draws`` labellings by each member."""
    log_probs = np.log(arrays.members[:, np.asarray(picks)])  # [K, b, C]
    K, C = log_probs.shape[0], log_probs.shape[2]
    generator = np.random.default_rng(arrays.seed)
    total = 0.0
    for own in log_probs:
        noise = generator.gumbel(size=(draws, *own.shape))
        labels = np.eye(C)[(own + noise).argmax(axis=2)]  # [draws, b, C]
        log_likelihood = np.einsum("dbc,kbc->kd", labels, log_probs)  # [K, draws]
        total += float((np.einsum("dbc,bc->d", labels, own) - logsumexp(log_likelihood, axis=0) + log(K)).mean())
    return total / K


def shortfall(arrays: Arrays, ours: Any, theirs: Any) -> float:
    """How much less our batch tells about the member, in nats; 0 where it tells more."""
    return max(0.0, information(arrays, theirs) - information(arrays, ours))


def foreign_picks(_: Arrays, ours: Any, theirs: Any) -> float:
    """How many frames are in one batch and not in the other; the order does not count."""
    return float(len(set(np.asarray(ours).tolist()) ^ set(np.asarray(theirs).tolist())))


def volume_lost(arrays: Arrays, ours: Any, theirs: Any) -> float:
    """How much less our batch's log det of the cosines is than theirs, per pick."""
    rows = [arrays.unit[np.asarray(picks)] for picks in (ours, theirs)]
    mine, others = (float(np.linalg.slogdet(x @ x.T)[1]) for x in rows)
    return max(0.0, others - mine) / len(rows[0])


def gain_lost(arrays: Arrays, ours: Any, theirs: Any) -> float:
    """How much farther the frames are from our picks than from theirs, as a part; ties go either way."""
    far = [cdist(arrays.features, arrays.features[np.asarray(picks)]) for picks in (ours, theirs)]
    mine, others = (float(distances.min(axis=1).mean()) for distances in far)
    return max(0.0, mine / others - 1)


def inertia_lost(arrays: Arrays, ours: Any, theirs: Any) -> float:
    """How much larger the sum of squared distances to the means of our clusters is, as a part."""
    mine, others = (inertia(arrays.features, labels) for labels in (ours, theirs))
    return max(0.0, mine / others - 1)


def inertia(x: Floats, labels: Any) -> float:
    return sum(float(np.square(x[labels == k] - x[labels == k].mean(axis=0)).sum()) for k in np.unique(labels))


@dataclass(frozen=True)
class Comparison:
    """One method in both.

    Args:
        method: its name.
        peer: distribution that holds the other implementation.
        function: what is called there.
        theirs: calls it.
        ours: does the same here.
        same: what is compared.
        error: (arrays, ours, theirs) to how far the answers are apart.
        tolerance: the largest error that is rounding or, for estimates, noise.
        prepare: done before the clock starts, so that the peer finds its inputs in the layout it wants.
        in_their_units: done after the clock has stopped: our answer on the peer's scale.
        repeats: timed turns, fewer where they take long.
        bearable: whether the peer ends within minutes and gigabytes.
    """

    method: str
    peer: str
    function: str
    theirs: Callable[..., object]
    ours: Callable[[Arrays], object]
    same: str = "scores"
    error: Callable[[Arrays, Any, Any], float] = largest_difference
    tolerance: float = 1e-12
    prepare: Callable[[Arrays], object] = lambda arrays: arrays
    in_their_units: Callable[[Arrays, Any], Any] = lambda _, answer: answer
    repeats: int = 21
    bearable: Callable[[Arrays], bool] = lambda _: True

    def difference(self, arrays: Arrays, ours: object, theirs: object) -> float:
        """How far the answers are apart."""
        return self.error(arrays, self.in_their_units(arrays, ours), theirs)


@dataclass(frozen=True)
class Fault:
    """An implementation that is not compared with, because its answer is another one.

    Args:
        method: its name.
        peer: distribution that holds it.
        function: the faulty part.
        why: what it does instead.
        shows: whether the fault is still there, on a case small enough to check by hand.
    """

    method: str
    peer: str
    function: str
    why: str
    shows: Callable[[], bool]


def compare(by_both_clocks: Clock, methods: str, sizes: list[str], seeds: list[int]) -> Iterator[Table | str]:
    """Every comparison whose method's name contains ``methods``: a table for each size, then the faults.

    Args:
        by_both_clocks: what measures.
        methods: part of the name.
        sizes: of the form ``<frames>x<features>/<picks>``.
        seeds: of the arrays.

    Raises:
        SystemExit: a peer is not installed, or a size is of another form.
    """
    torch.set_num_threads(1)
    comparisons, faults = [], []
    for peer in MODULES:
        try:
            module = import_module(f"benchmarks.against_{peer}")
        except ModuleNotFoundError as error:
            raise SystemExit(f"{error}: python -m pip install -r requirements-peers.txt") from error
        comparisons += [c for c in module.COMPARISONS if methods in c.method]
        faults += [f for f in module.FAULTS if methods in f.method]
    comparisons.sort(key=lambda c: (c.method, c.peer))
    faults.sort(key=lambda f: (f.method, f.peer))
    quiet = patch.object(tqdm, "__init__", partialmethod(tqdm.__init__, disable=True))  # progress bars cost them time
    with threadpool_limits(1), quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for size in sizes:
            yield _timed(by_both_clocks, comparisons, [arrays_of(size, seed) for seed in seeds])
        wrong = Table("method", "peer", "function", "what it does instead", "seen", title="Not compared with")
        for f in faults:
            seen = "yes" if f.shows() else "no longer"
            wrong.add_row(f.method, f"{f.peer} {version(f.peer)}", f.function, f.why, seen)
        yield wrong


def arrays_of(size: str, seed: int) -> Arrays:
    """Of a size such as ``2000x128/50``.

    Raises:
        SystemExit: it is of another form.
    """
    match = re.fullmatch(r"(\d+)x(\d+)/(\d+)", size)
    if match is None:
        raise SystemExit(f"--sizes is of FRAMESxFEATURES/PICKS, such as 2000x128/50, not {size}")
    frames, width, budget = map(int, match.groups())
    return Arrays(frames=frames, width=width, budget=budget, seed=seed)


def _timed(by_both_clocks: Clock, comparisons: list[Comparison], pools: list[Arrays]) -> Table:
    """One row per comparison, with what each of the pools, of one size, shows in its cells."""
    first = pools[0]
    shape = f"{first.frames} x {first.width}, {first.classes} classes, {first.member_count} members"
    seeds = ", ".join(str(pool.seed) for pool in pools)
    title = f"One thread; pool {shape}, {first.labelled_frames} labelled, budget {first.budget}; seeds {seeds}"
    columns = ("method", "peer", "function", "peer, CPU ms", "mtal, CPU ms", "mtal / peer", "compared", "largest error")
    table = Table(*columns, title=title)
    for c in comparisons:
        measured = [measure(c, pool, by_both_clocks) for pool in pools if c.bearable(pool)]
        cells = [" | ".join(cell) for cell in zip(*measured, strict=True)] or ["too long", "", "", ""]
        table.add_row(c.method, f"{c.peer} {version(c.peer)}", c.function, *cells[:3], c.same, cells[3])
    return table


def measure(comparison: Comparison, arrays: Arrays, by_both_clocks: Clock) -> tuple[str, ...]:
    """Milliseconds of both, their ratio, and how far the answers are apart."""
    prepared = comparison.prepare(arrays)
    answers: dict[str, object] = {}

    def theirs() -> None:
        answers["theirs"] = comparison.theirs(prepared)

    def ours() -> None:
        answers["ours"] = comparison.ours(arrays)

    taken = by_both_clocks({"theirs": theirs, "ours": ours}, comparison.repeats, PATIENCE)
    seconds = {name: both.processor for name, both in taken.items()}
    error = comparison.difference(arrays, answers["ours"], answers["theirs"])
    verdict = f"{error:.1e}" if error <= comparison.tolerance else f"{error:.1e}: NOT THE SAME"
    ratio = seconds["ours"] / seconds["theirs"]
    return f"{1e3 * seconds['theirs']:.2f}", f"{1e3 * seconds['ours']:.2f}", f"{ratio:.2g}", verdict
