import numpy as np
import pytest
import torch

from mtal.acquisition.selectors import volume
from mtal.acquisition.selectors.lazy_argmax import LazyArgmax
from mtal.acquisition.selectors.volume import Vectors, Volume, largest_of_few

RIDGE = 1e-4


def rows(kind, dtype):
    """``[60, 12]``; of all kinds but the last 40 picks are beyond the rank."""
    x = torch.randn(60, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    if kind == "copies":
        x = x[torch.arange(60) // 4]
    elif kind == "nearly copies":
        x = x[torch.arange(60) // 4] + 1e-6 * x
    elif kind == "some are nothing":
        x[::5] = 0.0
    return x.to(dtype)


def by_determinants(x, quality, order, budget):
    """The largest log det of every choice at every pick, the first in order among equals."""
    length = x.double().norm(dim=1).numpy()
    b = np.divide(quality, length, out=np.zeros(len(x)), where=length > 0)[:, None] * x.double().numpy()
    L = b @ b.T + RIDGE * np.eye(len(x))
    picks = []
    while len(picks) < budget:
        left = [i for i in order if i not in picks]
        volumes = np.array([np.linalg.slogdet(L[np.ix_([*picks, i], [*picks, i])])[1] for i in left])
        picks.append(left[int((volumes >= volumes.max() - 1e-9).argmax())])
    return picks


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("kind", ["any", "copies", "nearly copies", "some are nothing"])
@pytest.mark.parametrize("close", [0, 4, 1000])
def test_of_few_the_largest_determinant_is_taken(kind, dtype, close, monkeypatch):
    """However many values float32 leaves open before all products are of float64."""
    monkeypatch.setattr(volume, "_CLOSE", close)
    x, order = rows(kind, dtype), np.random.default_rng(1).permutation(60)[:50]
    quality = np.random.default_rng(2).uniform(0.2, 1.0, 60)
    picks = largest_of_few(Vectors(x, quality), order, RIDGE, 20)
    assert picks.tolist() == by_determinants(x, quality, order, 20)


def test_of_few_all_are_alike_at_first():
    """The first in order opens, then what is at right angles to it, then its copy."""
    x, order = torch.eye(4).repeat(3, 1), np.array([7, 3, 4, 5, 0])
    assert largest_of_few(Vectors(x, np.ones(12)), order, RIDGE, 4).tolist() == [7, 4, 5, 3]


def test_directions_are_those_of_gram_and_schmidt():
    """Without a ridge to speak of; however many picks are told of at once."""
    x = rows("any", torch.float64)
    values = Volume(Vectors(x, np.ones(60)), np.arange(60, dtype=np.uint64), 1e-300)
    for some in ([3], [5, 9, 2], [11, 40]):
        for pick in some:
            values.add(pick)
        directions = values.directions
    q, _ = np.linalg.qr(x[[3, 5, 9, 2, 11, 40]].numpy().T)  # [12, 6]
    assert np.abs(np.abs((directions * q.T).sum(axis=1)) - 1).max() < 1e-12


def test_bounds_and_values_of_all_agree():
    x, hashes = rows("any", torch.float32), np.random.default_rng(3).permutation(60).astype(np.uint64)
    values = Volume(Vectors(x, np.ones(60)), hashes, RIDGE)
    largest, allowed = LazyArgmax(values), np.ones(60, dtype=bool)
    for pick in largest_of_few(values.vectors, values.by_hash, RIDGE, 30).tolist():
        assert largest.next(allowed) == pick
        values.add(pick)
        allowed[pick] = False
