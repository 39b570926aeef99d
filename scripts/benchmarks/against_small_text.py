"""small-text: text classification, whose strategies take any arrays once a classifier hands them over."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from benchmarks import ours
from benchmarks.peers import Arrays, Comparison, Fault, differing_picks, foreign_picks
from small_text.integrations.pytorch.query_strategies import BADGE, ExpectedGradientLength, ExpectedGradientLengthLayer
from small_text.query_strategies import BreakingTies, LeastConfidence, PredictionEntropy, greedy_coreset
from small_text.query_strategies.bayesian import BALD
from small_text.query_strategies.strategies import ContrastiveActiveLearning

PEER = "small-text"


class Classifier:
    """What small-text asks of a model: a last layer over stored features, or stored probabilities."""

    def __init__(self, probs: np.ndarray, features: np.ndarray | None = None, weight: np.ndarray | None = None) -> None:
        self.probs = probs
        if features is not None and weight is not None:
            self.features = torch.from_numpy(features)
            layer = torch.nn.Linear(weight.shape[1], weight.shape[0], bias=False, dtype=torch.float64)
            layer.weight.data.copy_(torch.from_numpy(weight))
            self.model = torch.nn.Sequential(layer)  # its name is "0"

    def predict_proba(self, _: Any, **__: Any) -> np.ndarray:
        return self.probs

    def _create_collate_fn(self) -> Any:
        return lambda rows: (self.features[np.asarray(rows, dtype=np.int64)],)


def confidence(strategy: Any) -> Any:
    """Scores of a strategy, higher = picked later."""
    return lambda classifier: strategy.score(classifier, None, None, None, None)


def gradient_lengths(strategy: Any) -> Any:
    def scores(classifier: Classifier) -> np.ndarray:
        strategy.device = "cpu"  # the layer's strategy has no argument for it
        rows = np.arange(len(classifier.probs))
        strategy.query(classifier, rows, rows, None, None, n=1)
        return strategy.scores_

    return scores


def their_k_center(arrays: Arrays) -> np.ndarray:
    pool = np.arange(arrays.frames)
    labelled = np.arange(arrays.frames, len(arrays.everything))
    return greedy_coreset(arrays.everything, pool, labelled, arrays.budget, distance_metric="euclidean")


def badge_forgets_the_answer() -> bool:
    """p = (0.9, 0.1) and h = 1: the gradient is (p − e)h = (−0.1, 0.1)·h; without the answer e it is ±(0.9, 0.1)·h."""
    probs = np.array([[0.9, 0.1, 0.0]])
    return np.allclose(np.abs(BADGE(3).get_badge_embeddings(np.ones((1, 1)), probs)), probs)


def contrastive_searches_the_pool() -> bool:
    """Two pairs of twins in the pool; the labelled frame says (0.5, 0.5), so the pair at (0.8, 0.2) is contrastive.

    Among all frames the nearest two of each are itself and its twin, and only the pair that differs, (0.6, 0.4) and
    (0.4, 0.6), seems contrastive.
    """
    x = np.array([[1.0, 0.0], [1.0, 0.01], [0.0, 1.0], [0.01, 1.0], [-1.0, -1.0]])
    probs = np.array([[0.6, 0.4], [0.4, 0.6], [0.8, 0.2], [0.8, 0.2], [0.5, 0.5]])
    strategy = ContrastiveActiveLearning(k=2, pbar=None)
    picks = strategy.sample(None, range(5), np.arange(4), np.array([4]), None, 1, x, embeddings_proba=probs)
    return set(picks.tolist()) <= {0, 1}


def gradient_length_is_a_sum() -> bool:
    """p = (½, ½) and h = (3, 4): the gradient is ±(½, −½) ⊗ h, of length √½·5 = 3.54; its numbers sum to 7."""
    classifier = Classifier(np.full((2, 2), 0.5), np.array([[3.0, 4.0], [3.0, 4.0]]), np.zeros((2, 2)))
    return np.allclose(gradient_lengths(ExpectedGradientLength(2, device="cpu"))(classifier), 7.0)


def coreset_confuses_positions() -> bool:
    """Pool rows 2, 3, 4 at 9, 10 and 5 from the labelled row 0: the farthest is 10, and then 5, for 9 is covered.

    Row 3 is position 1 of the pool; taken for a row of the array, the centre lies at row 1, and 9 is not covered.
    """
    x = np.array([[0.0], [0.0], [9.0], [10.0], [5.0]])
    return greedy_coreset(x, np.array([2, 3, 4]), np.array([0]), 2, distance_metric="euclidean").tolist() == [1, 0]


def cosine_coreset_picks_not_a_number() -> bool:
    """Frame 0 is a duplicate of the labelled frame, whose cosine with itself rounds to above 1: arccos is NaN."""
    x = np.random.default_rng(0).normal(size=(40, 8))
    x = np.concatenate([x, x])  # each pool frame is a duplicate of a labelled one, bar the last
    x[39] = -x[39]
    with np.errstate(invalid="ignore"):
        picks = greedy_coreset(x, np.arange(40), np.arange(40, 80), 1)
    return picks.tolist() != [39]


def their_bald(classifier_and_budget: tuple[Classifier, int]) -> np.ndarray:
    classifier, budget = classifier_and_budget
    return BALD().query(classifier, None, np.arange(len(classifier.probs)), None, None, n=budget)


def members_and_budget(arrays: Arrays) -> tuple[Classifier, int]:
    return Classifier(np.ascontiguousarray(arrays.members.transpose(1, 0, 2))), arrays.budget  # [N, K, C]


def stored(arrays: Arrays) -> Classifier:
    return Classifier(arrays.probs)


COMPARISONS = (
    Comparison(
        "least confidence",
        PEER,
        "LeastConfidence",
        confidence(LeastConfidence()),
        ours.least_confidence,
        in_their_units=ours.likeliest,
        prepare=stored,
    ),
    Comparison(
        "margin",
        PEER,
        "BreakingTies",
        confidence(BreakingTies()),
        ours.margin,
        in_their_units=ours.lead,
        prepare=stored,
    ),
    Comparison(
        "entropy",
        PEER,
        "PredictionEntropy",
        confidence(PredictionEntropy()),
        ours.entropy,
        in_their_units=ours.minus_nats,
        prepare=stored,
    ),
    Comparison(
        "k-centre greedy",
        PEER,
        "greedy_coreset(distance_metric='euclidean')",
        their_k_center,
        ours.k_center,
        "picks",
        differing_picks,
        bearable=lambda arrays: arrays.frames * arrays.budget <= 10**6,
    ),
    Comparison(
        "BALD",
        PEER,
        "BALD",
        their_bald,
        ours.bald_picks,
        "picks in any order",
        foreign_picks,
        prepare=members_and_budget,
    ),
    Comparison(
        "expected gradient length",
        PEER,
        "ExpectedGradientLengthLayer",
        gradient_lengths(ExpectedGradientLengthLayer(10, "0")),
        ours.expected_gradient_length,
        tolerance=1e-5,
        prepare=lambda arrays: Classifier(arrays.probs, arrays.features, arrays.weight),
        bearable=lambda arrays: arrays.frames <= 2000,
    ),
)
FAULTS = (
    Fault("BADGE", PEER, "BADGE", "gradients of p instead of p − e: the answer is forgotten", badge_forgets_the_answer),
    Fault(
        "CAL",
        PEER,
        "ContrastiveActiveLearning",
        "neighbours from pool and labelled frames alike, the frame itself among them",
        contrastive_searches_the_pool,
    ),
    Fault(
        "expected gradient length",
        PEER,
        "ExpectedGradientLength",
        "Σ|g| instead of ‖g‖",
        gradient_length_is_a_sum,
    ),
    Fault(
        "k-centre greedy",
        PEER,
        "greedy_coreset(indices_unlabeled ≠ 0, 1, 2 …)",
        "picks, positions in the pool, are used as rows of the array",
        coreset_confuses_positions,
    ),
    Fault(
        "k-centre greedy",
        PEER,
        "greedy_coreset(distance_metric='cosine')",
        "arccos(1 + ε) is NaN and wins: duplicates are picked",
        cosine_coreset_picks_not_a_number,
    ),
)
