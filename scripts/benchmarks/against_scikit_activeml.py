"""scikit-activeml: most methods, on NumPy and scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, differing_picks
from skactiveml.base import SkactivemlClassifier
from skactiveml.classifier import SklearnClassifier
from skactiveml.pool import (
    Badge,
    ContrastiveAL,
    CoreSet,
    DiscriminativeAL,
    average_kl_divergence,
    batch_bald,
    uncertainty_scores,
)
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, normalize

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
            repeats=99,
        )
        for method, name, score in (
            ("least confidence", "least_confident", ours.least_confidence),
            ("margin", "margin_sampling", ours.margin),
            ("entropy", "entropy", ours.entropy),
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
        tolerance=1e-4,
        prepare=their_discriminative,
    ),
    Comparison(
        "BALD",
        PEER,
        "batch_bald(batch_size=1)",
        lambda members: batch_bald(members.copy(), 1)[0],
        ours.bald,
        prepare=lambda arrays: arrays.members,
        tolerance=1e-6,
    ),
    Comparison(
        "BALD",
        PEER,
        "average_kl_divergence",
        lambda members: average_kl_divergence(members.copy()),
        ours.bald,
        prepare=lambda arrays: arrays.members,
        tolerance=1e-6,
    ),
)
FAULTS = (
    Fault("BADGE", PEER, "Badge", "keeps a centre at the origin: D² is never above ‖g‖²", badge_keeps_the_origin),
)
