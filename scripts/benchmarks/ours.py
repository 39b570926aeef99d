"""Every method that a published library has too, called on plain arrays."""

from __future__ import annotations

from math import ceil, log
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from mtal.acquisition import (
    Badge,
    Candidates,
    Entropy,
    ExpectedGradientLength,
    JointGradientEmbedding,
    KCenterGreedy,
    LeastConfidence,
    Margin,
    TopK,
    gradient_block,
)
from mtal.acquisition.fusion.fronts import leading_fronts
from mtal.acquisition.fusion.hypervolume_greedy import HypervolumeGreedy
from mtal.acquisition.fusion.reciprocal_rank import ReciprocalRank
from mtal.acquisition.selectors.batch_bald import BatchBald
from mtal.acquisition.selectors.clusters import k_means
from mtal.acquisition.selectors.facility_location import FacilityLocation
from mtal.acquisition.selectors.k_determinantal import KDeterminantal
from mtal.acquisition.selectors.prob_cover import ProbCover
from mtal.acquisition.selectors.typiclust import TypiClust
from mtal.acquisition.signals import (
    Bald,
    Contrastive,
    Disagreement,
    Discriminative,
    Epig,
    PoolView,
    Variance,
    VariationRatio,
)

RIDGE = 1e-3  # of the k-DPP: float32 of the peer cannot tell less
LEAST = 1e-7  # probability that CAL knows
UNASKED = np.random.default_rng()  # top-k draws nothing
if TYPE_CHECKING:
    from benchmarks.peers import Arrays


def least_confidence(arrays: Arrays) -> Tensor:
    return LeastConfidence()(arrays.head)


def margin(arrays: Arrays) -> Tensor:
    return Margin()(arrays.head)


def entropy(arrays: Arrays) -> Tensor:
    return Entropy()(arrays.head)


def bald(arrays: Arrays) -> Tensor:
    return Bald()(arrays.head_of_members)


def bald_picks(arrays: Arrays) -> Tensor:
    candidates = Candidates(arrays.hashes, utility=Bald()(arrays.head_of_members))
    return TopK()(candidates, arrays.budget, UNASKED)


def consensus_divergence(arrays: Arrays) -> Tensor:
    return Disagreement("consensus_kl")(arrays.head_of_members)


def vote_entropy(arrays: Arrays) -> Tensor:
    return Disagreement("vote_entropy")(arrays.head_of_members)


def variation_ratio(arrays: Arrays) -> Tensor:
    return VariationRatio()(arrays.head_of_members)


def variance(arrays: Arrays) -> Tensor:
    return Variance()(arrays.head_of_members)


def epig(arrays: Arrays, targets: int) -> Tensor:
    return Epig(targets)(PoolView(members=arrays.head_of_members, seed=arrays.seed))


def expected_gradient_length(arrays: Arrays) -> Tensor:
    return ExpectedGradientLength()(arrays.head_with_features)


def contrastive(arrays: Arrays) -> Tensor:
    view = PoolView(**features(arrays), posterior=arrays.head, labelled_posterior=arrays.labelled_head)
    return Contrastive(k=10, eps=LEAST)(view)


def discriminative(arrays: Arrays) -> Tensor:
    return Discriminative(max_fit=arrays.frames)(PoolView(**features(arrays)))  # the peer learns from all


def k_center(arrays: Arrays) -> Tensor:
    candidates = Candidates(arrays.hashes, **features(arrays))
    return KCenterGreedy()(candidates, arrays.budget, np.random.default_rng(arrays.seed))


def badge(arrays: Arrays, generator: Any) -> Tensor:
    gradient = JointGradientEmbedding({"phase": gradient_block(arrays.head_with_features)})
    return Badge()(Candidates(arrays.hashes, gradient=gradient), arrays.budget, generator)


def facility_location(arrays: Arrays) -> Tensor:
    """With nothing labelled."""
    candidates = Candidates(arrays.hashes, features=torch.from_numpy(arrays.features))
    return FacilityLocation()(candidates, arrays.budget, np.random.default_rng(arrays.seed))


def prob_cover(arrays: Arrays) -> Tensor:
    candidates = Candidates(arrays.hashes, **features(arrays))
    return ProbCover(arrays.radius)(candidates, arrays.budget, np.random.default_rng(arrays.seed))


def typiclust(arrays: Arrays, generator: Any) -> Tensor:
    candidates = Candidates(arrays.hashes, **features(arrays))
    clusters = arrays.labelled_frames + arrays.budget  # the paper's 500 at most are no limit in theirs
    selector = TypiClust(max_clusters=clusters, neighbours=5, minimum_size=1)
    return selector(candidates, arrays.budget, generator)


def batch_bald(arrays: Arrays, budget: int, samples: int) -> Tensor:
    candidates = Candidates(arrays.hashes, members={"phase": arrays.head_of_members})
    return BatchBald(samples)(candidates, budget, np.random.default_rng(arrays.seed))


def hypervolume_order(arrays: Arrays) -> np.ndarray:
    """The first frames by greedy hypervolume."""
    utility = HypervolumeGreedy(depth=arrays.budget, reference=0.0)(torch.from_numpy(arrays.scores))
    return utility.argsort(descending=True)[: arrays.budget].numpy()


def k_center_of_the_pool(arrays: Arrays) -> Tensor:
    """With nothing labelled, on float32."""
    candidates = Candidates(arrays.hashes, features=torch.from_numpy(arrays.single))
    return KCenterGreedy()(candidates, arrays.budget, np.random.default_rng(arrays.seed))


def k_center_single(arrays: Arrays) -> Tensor:
    labelled = torch.from_numpy(arrays.labelled).float()
    candidates = Candidates(arrays.hashes, features=torch.from_numpy(arrays.single), labelled_features=labelled)
    return KCenterGreedy()(candidates, arrays.budget, np.random.default_rng(arrays.seed))


def facility_location_single(arrays: Arrays) -> Tensor:
    """With nothing labelled and every frame represented, on float32."""
    candidates = Candidates(arrays.hashes, features=torch.from_numpy(arrays.single))
    selector = FacilityLocation(max_reference=None)
    return selector(candidates, arrays.budget, np.random.default_rng(arrays.seed))


def map_picks(arrays: Arrays) -> Tensor:
    """k-DPP without utilities."""
    candidates = Candidates(arrays.hashes, features=torch.from_numpy(arrays.single))
    selector = KDeterminantal(gamma=0.0, ridge=RIDGE)
    return selector(candidates, arrays.budget, np.random.default_rng(arrays.seed))


def sampled(arrays: Arrays) -> Tensor:
    """k-DPP without utilities."""
    candidates = Candidates(arrays.hashes, features=torch.from_numpy(arrays.features))
    selector = KDeterminantal("sample", gamma=0.0)
    return selector(candidates, arrays.budget, np.random.default_rng(arrays.seed))


def clusters(arrays: Arrays) -> np.ndarray:
    return k_means(torch.from_numpy(arrays.single), arrays.budget, arrays.seed)


def reciprocal_rank_picks(arrays: Arrays) -> Tensor:
    candidates = Candidates(arrays.hashes, utility=ReciprocalRank()(torch.from_numpy(arrays.scores)))
    return TopK()(candidates, arrays.budget, UNASKED)


def fronts(arrays: Arrays) -> np.ndarray:
    """All of them."""
    return leading_fronts(arrays.scores, arrays.frames)


def features(arrays: Arrays) -> dict[str, Tensor]:
    return {"features": torch.from_numpy(arrays.features), "labelled_features": torch.from_numpy(arrays.labelled)}


# Ours run from 0 to 1 whatever the number of classes and members; from here on, back to the units of the peers.


def in_nats(arrays: Arrays, of_log_classes: Tensor) -> Tensor:
    return of_log_classes * log(arrays.classes)


def minus_nats(arrays: Arrays, of_log_classes: Tensor) -> Tensor:
    return -in_nats(arrays, of_log_classes)


def votes_in_nats(arrays: Arrays, of_log_answers: Tensor) -> Tensor:
    return of_log_answers * log(min(arrays.member_count, arrays.classes))


def one_less_likeliest(arrays: Arrays, least_confidence: Tensor) -> Tensor:
    return least_confidence * ((arrays.classes - 1) / arrays.classes)


def likeliest(arrays: Arrays, least_confidence: Tensor) -> Tensor:
    return 1 - one_less_likeliest(arrays, least_confidence)


def lead(_: Arrays, margin: Tensor) -> Tensor:
    return 1 - margin


def outvoted(arrays: Arrays, variation_ratio: Tensor) -> Tensor:
    K = arrays.member_count
    return variation_ratio * (1 - ceil(K / arrays.classes) / K)


def mean_over_classes(arrays: Arrays, variance: Tensor) -> Tensor:
    return variance * ((arrays.classes - 1) / arrays.classes**2)
