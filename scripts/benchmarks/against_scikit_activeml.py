"""scikit-activeml: most methods, on NumPy and scikit-learn."""

from __future__ import annotations

import warnings
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, differing_picks, gain_lost, shortfall
from scipy.spatial.distance import cdist
from skactiveml.base import SkactivemlClassifier
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import (
    Badge,
    ContrastiveAL,
    CoreSet,
    DiscriminativeAL,
    MaxHerding,
    ProbCover,
    TypiClust,
    average_kl_divergence,
    batch_bald,
    uncertainty_scores,
    variation_ratios,
    vote_entropy,
)
from sklearn.base import BaseEstimator, ClusterMixin
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

from mtal.acquisition.selectors.clusters import k_means

PEER = "scikit-activeml"


class StoredPosterior(SkactivemlClassifier):
    """Answers for the pool or for the labelled frames, told apart by their number, with what was put in."""

    def __init__(self, posteriors: dict[int, Any], classes: Any = None, missing_label: float = np.nan) -> None:
        super().__init__(classes=classes, missing_label=missing_label)
        self.posteriors = posteriors

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> StoredPosterior:
        return self

    def predict_proba(self, X: Any) -> Any:
        probs, features = self.posteriors[len(X)]
        return probs.copy(), features  # some strategies write into the probabilities


class Strategy:
    """A query strategy and what its ``query`` is called with."""

    def __init__(self, arrays: Arrays, strategy: Any, **inputs: Any) -> None:
        nothing = np.full(arrays.frames, np.nan)
        self.x = arrays.everything
        self.y = np.concatenate([nothing, arrays.labels])
        self.budget = arrays.budget
        self.frames = arrays.frames
        self.strategy = strategy
        self.inputs = inputs

    def picks(self) -> np.ndarray:
        return np.asarray(self.strategy.query(self.x, self.y, batch_size=self.budget, **self.inputs))

    def scores(self) -> np.ndarray:
        _, scores = self.strategy.query(self.x, self.y, batch_size=1, return_utilities=True, **self.inputs)
        return scores[0, : self.frames]


def their_contrastive(arrays: Arrays) -> Strategy:
    stored = {
        len(probs): (probs, normalize(features))
        for probs, features in ((arrays.probs, arrays.features), (arrays.labelled_probs, arrays.labelled))
    }
    scaled = ContrastiveAL(nearest_neighbors_dict={"n_neighbors": 10}, eps=1e-7, random_state=0)
    return Strategy(arrays, scaled, clf=StoredPosterior(stored), fit_clf=False)


def their_discriminative(arrays: Arrays) -> Strategy:
    regression = LogisticRegression(class_weight="balanced", tol=1e-6, max_iter=1000)
    discriminator = SklearnClassifier(make_pipeline(StandardScaler(), regression), classes=[0, 1])
    return Strategy(arrays, DiscriminativeAL(greedy_selection=True, random_state=0), discriminator=discriminator)


class OneSeed:
    """Stands in for a NumPy generator of which one seed is asked."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def integers(self, _: int) -> int:
        return self.seed


def their_typiclust(arrays: Arrays) -> Strategy:
    return Strategy(arrays, TypiClust(k=5, cluster_algo_dict={"n_init": 1, "random_state": 0}))


class OurClusters(ClusterMixin, BaseEstimator):
    """Our k-means in the place of scikit-learn's."""

    def __init__(self, n_clusters: int = 5) -> None:
        self.n_clusters = n_clusters

    def fit_predict(self, X: Any, y: Any = None) -> np.ndarray:
        return k_means(torch.from_numpy(X), self.n_clusters, seed=0)


def differing_clusters(arrays: Arrays, our_picks: Any, _: Any) -> float:
    """Places at which the cluster is of another size, and clusters of both from which another frame was taken.

    Theirs is asked again on our clusters: of two k-means the inertia can be compared, not the clusters. Which of two
    clusters of equal size comes first is chance in theirs, and so is which frame of two that are a cluster.
    """
    their_picks = Strategy(arrays, TypiClust(k=5, cluster_algo=OurClusters)).picks()
    labels = OurClusters(arrays.labelled_frames + arrays.budget).fit_predict(arrays.everything)
    size = np.bincount(labels)
    our_picks = np.asarray(our_picks)
    ours_in, theirs_in = (dict(zip(labels[p].tolist(), p.tolist(), strict=True)) for p in (our_picks, their_picks))
    frames = sum(ours_in[c] != theirs_in[c] for c in ours_in.keys() & theirs_in.keys() if size[c] > 2)
    return float((size[labels[our_picks]] != size[labels[their_picks]]).sum() + frames)


def their_prob_cover(strategy: Strategy) -> np.ndarray:
    del strategy.strategy.delta_max_  # else the distances of the call before are taken again
    with patch("skactiveml.pool._prob_cover.rand_argmax", first_of_the_largest):
        return strategy.picks()


def prob_cover(arrays: Arrays) -> Strategy:
    strategy = ProbCover(n_classes=arrays.classes, deltas=[arrays.radius], random_state=0)
    strategy.delta_max_ = None
    return Strategy(arrays, strategy)


def differing_covers(arrays: Arrays, our_picks: Any, their_picks: Any) -> float:
    """Places in the order of choice, as long as a pick covers anything new, that hold another frame.

    Then ours takes the frame farthest from all others, theirs one by chance.
    """
    our_picks, their_picks = np.asarray(our_picks), np.asarray(their_picks)
    covered = (cdist(arrays.labelled, arrays.features) <= arrays.radius).any(axis=0)  # [N]
    differing = 0
    for ours_at, theirs_at in zip(our_picks, their_picks, strict=True):
        ball = cdist(arrays.features[[ours_at]], arrays.features)[0] <= arrays.radius  # [N]
        if not (ball & ~covered).any():
            break
        differing += int(ours_at != theirs_at)
        covered |= ball
    return float(differing)


def first_of_the_largest(values: Any, **_: Any) -> np.ndarray:
    """Ties by row, as in ours, and not by chance."""
    return np.atleast_1d(np.nanargmax(values))


def their_facility_location(arrays: Arrays) -> np.ndarray:
    distances = euclidean_distances(arrays.features)
    similarity = distances.max() - distances  # [N, N]
    strategy = MaxHerding(normalize_samples=False, metric="precomputed", random_state=0)
    return strategy.query(similarity, np.full(arrays.frames, np.nan), batch_size=arrays.budget)


def typiclust_repeats_itself() -> bool:
    """Three copies each of two frames: two clusters, so after two picks any frame may come again."""
    x = np.repeat([[0.0, 0.0], [5.0, 5.0]], 3, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fewer different frames than clusters
        batches = [TypiClust(random_state=seed).query(x, np.full(6, np.nan), batch_size=5) for seed in range(9)]
    return any(len(set(batch.tolist())) < 5 for batch in batches)


def badge_keeps_the_origin() -> bool:
    """Gradients 3, 1 and 2 on a line: from the first pick, 3, the others are at 4 and 1, so drawn with ⅘ and ⅕.

    With one more centre at 0, whose squared distances are 1 and 4, both are at 1 and drawn with ½.
    """
    # one feature of 1 each, two classes: the gradient is (p − e) ⊗ 1, its squared distances 2·(q − q')² for q = min p
    q = np.array([0.3, 0.1, 0.2])
    probs = np.stack([1 - q, q], axis=1)
    x = np.ones((3, 1))
    classifier = StoredPosterior({3: (probs, x)})
    _, chances = Badge(random_state=0).query(
        x, np.full(3, np.nan), classifier, fit_clf=False, batch_size=2, return_utilities=True
    )
    return np.allclose(chances[1, 1:], [0.5, 0.5])


COMPARISONS = (
    *(
        Comparison(
            method,
            PEER,
            f"uncertainty_scores(method={name!r})",
            lambda probs, name=name: uncertainty_scores(probs, method=name),
            score,
            prepare=lambda arrays: arrays.probs,
            in_their_units=units,
            repeats=99,
        )
        for method, name, score, units in (
            ("least confidence", "least_confident", ours.least_confidence, ours.one_less_likeliest),
            ("margin", "margin_sampling", ours.margin, lambda _, margin: margin),
            ("entropy", "entropy", ours.entropy, ours.in_nats),
        )
    ),
    Comparison(
        "k-centre greedy",
        PEER,
        "CoreSet",
        Strategy.picks,
        ours.k_center,
        "picks",
        differing_picks,
        prepare=lambda arrays: Strategy(arrays, CoreSet(random_state=0)),
    ),
    Comparison("CAL", PEER, "ContrastiveAL", Strategy.scores, ours.contrastive, prepare=their_contrastive),
    Comparison(
        "discriminative",
        PEER,
        "DiscriminativeAL(greedy_selection=True)",
        Strategy.scores,
        ours.discriminative,
        tolerance=3e-4,  # both stop at a gradient of 10⁻⁶
        prepare=their_discriminative,
    ),
    Comparison(
        "BALD",
        PEER,
        "batch_bald(batch_size=1)",
        lambda members: batch_bald(members.copy(), 1)[0],
        ours.bald,
        in_their_units=ours.in_nats,
        prepare=lambda arrays: arrays.members,
        tolerance=1e-6,  # theirs keeps probabilities above 10⁻⁷
    ),
    Comparison(
        "TypiClust",
        PEER,
        "TypiClust",
        Strategy.picks,
        lambda arrays: ours.typiclust(arrays, OneSeed(0)),
        "on our clusters: size of each, and the frame taken from it",
        differing_clusters,
        prepare=their_typiclust,
    ),
    Comparison(
        "ProbCover",
        PEER,
        "ProbCover",
        their_prob_cover,
        ours.prob_cover,
        "picks that cover anything new",
        differing_covers,
        prepare=prob_cover,
        bearable=lambda arrays: arrays.frames <= 2000,
    ),
    Comparison(
        "facility location",
        PEER,
        "MaxHerding(metric='precomputed')",
        their_facility_location,
        ours.facility_location,
        "mean distance to the picks",  # frames that are each other's nearest often gain the same
        gain_lost,
        tolerance=1e-9,
        bearable=lambda arrays: arrays.frames <= 2000,
    ),
    Comparison(
        "BatchBALD, 5 picks enumerated",
        PEER,
        "batch_bald(n_MC_samples=10_000)",
        lambda members: np.nanargmax(batch_bald(members.copy(), 5, n_MC_samples=10_000, random_state=0), axis=1),
        lambda arrays: ours.batch_bald(arrays, 5, 10_000),
        "picks",
        differing_picks,
        prepare=lambda arrays: arrays.members,
        bearable=lambda arrays: arrays.frames <= 2000,  # else 15 GiB
    ),
    Comparison(
        "BatchBALD, sampled",
        PEER,
        "batch_bald(n_MC_samples=1000)",
        lambda arrays: np.nanargmax(
            batch_bald(arrays.members.copy(), arrays.budget, n_MC_samples=1000, random_state=0), axis=1
        ),
        lambda arrays: ours.batch_bald(arrays, arrays.budget, 1000),
        "information of the batch, where ours has less",
        shortfall,
        tolerance=0.02,  # the noise of both samples
        bearable=lambda arrays: arrays.frames * arrays.budget <= 10**5,
    ),
    Comparison(
        "consensus KL",
        PEER,
        "average_kl_divergence",
        lambda members: average_kl_divergence(members.copy()),
        ours.consensus_divergence,
        in_their_units=ours.in_nats,
        prepare=lambda arrays: arrays.members,
        tolerance=1e-6,  # theirs keeps probabilities above 10⁻⁷
    ),
    Comparison(
        "vote entropy",
        PEER,
        "vote_entropy",
        lambda arrays: vote_entropy(arrays.members.argmax(axis=2).T, np.arange(arrays.classes)),
        ours.vote_entropy,
        in_their_units=ours.votes_in_nats,
    ),
    Comparison(
        "variation ratio",
        PEER,
        "variation_ratios",
        lambda arrays: variation_ratios(arrays.members.argmax(axis=2).T),
        ours.variation_ratio,
        in_their_units=ours.outvoted,
    ),
)
FAULTS = (
    Fault("BADGE", PEER, "Badge", "keeps a centre at the origin: D² is never above ‖g‖²", badge_keeps_the_origin),
    Fault(
        "TypiClust",
        PEER,
        "TypiClust (more picks than uncovered clusters)",
        "the frames that follow are drawn from all, picked ones among them",
        typiclust_repeats_itself,
    ),
)
