"""Signals that compare a head with all others hear each of these as much as it has a say."""

import numpy as np
import pandas as pd
import pytest
from miniature import surgery
from scipy.spatial.distance import jensenshannon

from mtal.acquisition import HeadWeights, TaskConsistency
from mtal.learning import looking
from mtal.learning.loop_settings import LoopSettings
from mtal.learning.pool_views import pool_views

HEAD_WEIGHTS = {"tools": 0.5, "anatomy": 3.0}
ADAPTIVE = {"tools": 1.5, "bleeding": 1.2, "anatomy": 0.3}
K = 2


class Given(HeadWeights):
    """Adaptive weights as they are."""

    def weigh(self, evidence):
        return ADAPTIVE


@pytest.fixture
def seen(monkeypatch):
    """What a round's signals were told of the pool."""
    told = []

    def keep(*arguments, **options):
        told.append(arguments)
        return pool_views(*arguments, **options)

    monkeypatch.setattr(looking, "pool_views", keep)
    return told


def outcomes(p, family):
    """Of one cell: its variables with the probabilities of their outcomes."""
    return [list(p)] if family == "categorical" else [[1 - v, v] for v in p]


def hellinger(head, n, other, m):
    """Mean squared Hellinger distance of two frames, cell by cell, each by its share of what counts in its frame."""
    total = 0.0
    shares = [h.site_weights[i] / h.total_weight[i] for h, i in ((head, n), (other, m))]
    for g in range(head.probs.shape[1]):
        ours, theirs = (outcomes(h.probs[i, g].tolist(), h.family) for h, i in ((head, n), (other, m)))
        for p, q in zip(ours, theirs, strict=True):
            roots = np.sqrt(np.multiply(p, float(shares[0][g]))) - np.sqrt(np.multiply(q, float(shares[1][g])))
            total += float((roots**2).sum()) / len(ours)
    return total


def second_opinion(task, heads, labelled, n, say):
    """Divergence of one candidate from what ``task`` says on the labelled frames that the others find most alike."""
    others = [t for t in heads if t != task and say[t] > 0]
    if not others:
        return 0.0
    frames = range(len(labelled[task].probs))
    apart = [sum(say[t] * hellinger(heads[t], n, labelled[t], m) for t in others) for m in frames]
    alike, head = np.argsort(apart)[:K], heads[task]
    total = weight = 0.0
    for g in range(head.probs.shape[1]):
        counts = [float(labelled[task].site_weights[m, g]) for m in alike]
        if not sum(counts):
            continue
        opinion = np.average([labelled[task].probs[m, g].numpy() for m in alike], axis=0, weights=counts)
        pairs = zip(outcomes(head.probs[n, g].numpy(), head.family), outcomes(opinion, head.family), strict=True)
        own = float(head.site_weights[n, g])
        total += own * float(np.mean([jensenshannon(p, q, base=2) ** 2 for p, q in pairs]))
        weight += own
    return total / weight if weight else 0.0


@pytest.mark.parametrize("adaptive", [True, False], ids=["adaptive", "fixed"])
def test_other_heads_count_by_name_as_they_have_a_say(experiment, start, tmp_path, seen, adaptive):
    fixed = HEAD_WEIGHTS if adaptive else {"anatomy": 0.0}
    options = {"weights": Given()} if adaptive else {}
    acquisition = surgery.make_acquisition(
        signals={"task_consistency": TaskConsistency(K)}, head_weights=fixed, **options
    )
    start(experiment(acquisition=acquisition, loop=LoopSettings(8, 4, 1)), tmp_path)
    ((tasks, _, pool, labelled),) = seen
    names = [t.name for t in tasks]
    say = {t: fixed.get(t, 1.0) * (ADAPTIVE[t] if adaptive else 1.0) for t in names}
    scores = pd.read_parquet(tmp_path / "rounds/01/scores.parquet")
    for task in names:
        found = scores[f"{task}/task_consistency"].to_numpy()
        wanted = [second_opinion(task, pool.posteriors, labelled.posteriors, n, say) for n in range(len(found))]
        np.testing.assert_allclose(found, wanted, atol=1e-6)
