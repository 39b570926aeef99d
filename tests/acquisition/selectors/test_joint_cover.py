from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import record
from axioms.selectors import SelectorAxioms, random_candidates
from scipy.stats import rankdata

from mtal.acquisition.selectors import Candidates, Constraint, JointCover


class TestJointCover(SelectorAxioms):
    selector = JointCover()


def worth(n, alike):
    return n if n <= 1 else n / (1 + (n - 1) * alike)


def greedy(pool, budget):
    """From the definition, answer by answer and patient by patient, with nothing kept from pick to pick."""
    what = pool.shown
    u = pool.utility.numpy()
    factor = 1 + what.trust * (2 * (rankdata(u) - 1) / (len(u) - 1) - 1)
    if what.cost_s is not None:
        factor = factor / what.cost_s
    answers = []  # weight, expected [N], known [M]
    for task, names in what.classes.items():
        both = task in what.absence
        for c in range(len(names)):
            w = what.headroom[task][c] / len(names) / (2 if both else 1) / len(what.classes)
            p, y = what.expected[task][:, c], what.known[task][:, c]
            answers.append((w, np.nan_to_num(p), np.nan_to_num(y)))
            if both:
                answers.append((w, np.nan_to_num(1 - p), np.nan_to_num(1 - y)))
    picks = []
    patients = sorted({*what.patients.tolist(), *what.labelled_patients.tolist()})
    for _ in range(budget):
        gains = np.zeros(len(u))
        for w, p, y in answers:
            n = {
                g: y[what.labelled_patients == g].sum() + sum(p[i] for i in picks if what.patients[i] == g)
                for g in patients
            }
            m = sum(worth(n[g], what.alike) for g in patients)
            for i, g in enumerate(what.patients.tolist()):
                more = p[i] * (worth(n[g] + 1, what.alike) - worth(n[g], what.alike))
                gains[i] += w * (np.log(1 + m + more) - np.log(1 + m))
        gains = np.array([-1 if i in picks else g for i, g in enumerate(gains * factor)])
        picks.append(int(gains.argmax()))
    return picks


@pytest.mark.parametrize("seconds", [False, True])
def test_is_the_greedy_choice_by_brute_force(seconds):
    pool = replace(random_candidates(40, 2), tie_break=np.arange(40, dtype=np.uint64))
    if seconds:
        cost = np.random.default_rng(1).uniform(5, 90, 40)
        pool = replace(pool, shown=replace(pool.shown, cost_s=cost))
    picks = JointCover()(pool, 12, np.random.default_rng(0)).tolist()
    expected = greedy(pool, 12)
    record("joint cover", "the definition, with nothing kept from pick to pick", float(picks != expected))
    assert picks == expected


def blind(pool, **more):
    """Predictions that say nothing: all frames are expected to show what labelled ones do."""
    flat = {t: np.full_like(p, 0.4) for t, p in pool.shown.expected.items()}
    return replace(pool, shown=replace(pool.shown, expected=flat, trust=0.0, **more))


def test_without_trust_each_patient_in_turn_and_within_them_chance():
    pool = blind(random_candidates(), alike=0.6)
    picks = JointCover()(pool, 9, np.random.default_rng(0)).tolist()
    patients = pool.shown.patients[picks].tolist()
    assert patients[0] == 2  # the one without a labelled frame
    assert {2} < set(patients)
    for patient in range(3):
        mine = [i for i in picks if pool.shown.patients[i] == patient]
        everyone = np.flatnonzero(pool.shown.patients == patient)
        assert mine == everyone[np.argsort(pool.tie_break[everyone])][: len(mine)].tolist()


def test_utility_counts_as_far_as_it_is_trusted():
    pool = blind(random_candidates(), alike=0.0)
    high = int(pool.utility.argmax())
    assert JointCover()(pool, 1, np.random.default_rng(0)).tolist() != [high]
    trusted = replace(pool, shown=replace(pool.shown, trust=0.3))
    assert JointCover()(trusted, 1, np.random.default_rng(0)).tolist() == [high]


def test_saturated_classes_have_no_say():
    pool = replace(random_candidates(), tie_break=np.arange(30, dtype=np.uint64))
    what = pool.shown
    done = {"tools": np.zeros(3), "anatomy": np.array([0.0, 1.0, 0.0])}
    pool = replace(pool, shown=replace(what, headroom=done, alike=0.0, trust=0.0))
    assert JointCover()(pool, 1, np.random.default_rng(0)).tolist() == [int(what.expected["anatomy"][:, 1].argmax())]


def test_frames_that_may_not_be_picked_do_not_move_the_ranks():
    pool = replace(random_candidates(), tie_break=np.arange(30, dtype=np.uint64))
    utility = pool.utility.clone()
    utility[:10] = torch.nan
    first = JointCover()(
        replace(pool, utility=utility), 5, np.random.default_rng(0), Constraint(30, utility.isnan().numpy())
    )
    assert (first >= 10).all()


def test_utility_is_needed():
    what = random_candidates().shown
    with pytest.raises(ValueError, match="JointCover needs utility of"):
        JointCover()(Candidates(np.arange(30, dtype=np.uint64), shown=what), 1, np.random.default_rng(0))
