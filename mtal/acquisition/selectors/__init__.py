"""Selectors: which frames of the pool make the next batch, and in which order."""

from mtal.acquisition.selectors.badge import Badge
from mtal.acquisition.selectors.bait import Bait
from mtal.acquisition.selectors.base import Candidates, Selector
from mtal.acquisition.selectors.batch_bald import BatchBald
from mtal.acquisition.selectors.cap import Cap
from mtal.acquisition.selectors.class_cover import ClassCover
from mtal.acquisition.selectors.class_stratified import ClassStratified
from mtal.acquisition.selectors.clips import Clips
from mtal.acquisition.selectors.cluster_centres import ClusterCentres
from mtal.acquisition.selectors.constraints import Constraint, Rule
from mtal.acquisition.selectors.cost_budget import CostBudget
from mtal.acquisition.selectors.facility_location import FacilityLocation
from mtal.acquisition.selectors.herding import Herding
from mtal.acquisition.selectors.hidden_label_bound import HiddenLabelBound
from mtal.acquisition.selectors.joint_cover import JointCover
from mtal.acquisition.selectors.k_center_greedy import KCenterGreedy
from mtal.acquisition.selectors.k_determinantal import KDeterminantal
from mtal.acquisition.selectors.minimum_gap import MinimumGap
from mtal.acquisition.selectors.prob_cover import ProbCover
from mtal.acquisition.selectors.random import Random
from mtal.acquisition.selectors.stochastic import Stochastic
from mtal.acquisition.selectors.switch import Switch
from mtal.acquisition.selectors.tie_break import largest, tie_break
from mtal.acquisition.selectors.top_k import TopK
from mtal.acquisition.selectors.typiclust import TypiClust
from mtal.acquisition.selectors.uniform_in_time import UniformInTime

__all__ = [
    "Badge",
    "Bait",
    "BatchBald",
    "Candidates",
    "Cap",
    "ClassCover",
    "ClassStratified",
    "Clips",
    "ClusterCentres",
    "Constraint",
    "CostBudget",
    "FacilityLocation",
    "Herding",
    "HiddenLabelBound",
    "JointCover",
    "KCenterGreedy",
    "KDeterminantal",
    "MinimumGap",
    "ProbCover",
    "Random",
    "Rule",
    "Selector",
    "Stochastic",
    "Switch",
    "TopK",
    "TypiClust",
    "UniformInTime",
    "largest",
    "tie_break",
]
