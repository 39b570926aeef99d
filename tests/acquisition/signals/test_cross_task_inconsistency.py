import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from agreement import record
from axioms.heads import random_head
from axioms.signals import JointAxioms

from mtal.acquisition.signals import CrossTaskInconsistency, Relation
from mtal.tasks.posterior import HeadOutput

TOOL = Relation("tools", 1, "anatomy", (0, 2))
PHASE = {"frame": "phase", "label": 2, "pixel": "anatomy", "classes": [1]}


class TestCrossTaskInconsistency(JointAxioms):
    signal = CrossTaskInconsistency([TOOL, PHASE], fraction=0.5)


def by_loops(heads, relations, fraction):
    """With the top share found by cutting each site into 100 pieces."""
    values = []
    for n in range(len(heads["tools"].probs)):
        contradictions = []
        for r in relations:
            pixel = heads[r.pixel]
            shown = []
            for s in range(pixel.probs.shape[1]):
                p = [float(pixel.probs[n, s, c]) for c in r.classes]
                if pixel.mask[n, s]:
                    shown += [sum(p) if pixel.family == "categorical" else 1 - math.prod(1 - q for q in p)] * 100
            if shown:
                top = sorted(shown, reverse=True)[: max(round(fraction * len(shown)), 1)]
                contradictions.append(abs(float(heads[r.frame].probs[n, 0, r.label]) - np.mean(top)))
        values.append(np.mean(contradictions) if contradictions else 0.0)
    return np.array(values)


@pytest.mark.parametrize("family", ["bernoulli", "categorical"])
@pytest.mark.parametrize("fraction", [0.01, 0.3, 1.0])
def test_agrees_with_loops(family, fraction):
    heads = {
        "tools": random_head("bernoulli", 1),
        "phase": random_head("categorical", 1, seed=1),
        "anatomy": random_head(family, 7, seed=2),
    }
    relations = [TOOL, Relation(**PHASE)]
    values = CrossTaskInconsistency(relations, fraction)(heads).numpy()
    expected = by_loops(heads, relations, fraction)
    record("cross-task inconsistency", "loops over sites cut in 100", np.abs(values - expected).max())
    np.testing.assert_allclose(values, expected, rtol=1e-9)


def test_a_tag_without_pixels_and_pixels_without_a_tag():
    pixels = torch.zeros(3, 100, 2)
    pixels[..., 0] = 1.0
    pixels[1:, 42] = torch.tensor([0.0, 1.0])  # one of a hundred sites shows the tool
    heads = {
        "tools": HeadOutput("bernoulli", torch.tensor([[[1.0]], [[0.0]], [[1.0]]])),
        "anatomy": HeadOutput("categorical", pixels),
    }
    signal = CrossTaskInconsistency([Relation("tools", 0, "anatomy", (1,))])
    assert signal(heads).tolist() == [1.0, 1.0, 0.0]


def test_resolution_does_not_matter():
    heads = {"tools": random_head("bernoulli", 1), "anatomy": random_head("categorical", 7, seed=2)}
    anatomy = heads["anatomy"]
    finer = HeadOutput("categorical", anatomy.probs.repeat(1, 4, 1), anatomy.valid.repeat(1, 4))
    for fraction in (0.01, 0.3, 0.77):
        signal = CrossTaskInconsistency([TOOL], fraction)
        torch.testing.assert_close(signal({**heads, "anatomy": finer}), signal(heads))


@pytest.mark.parametrize("blind", ["tools", "anatomy"])
def test_a_relation_of_a_head_without_a_valid_site_has_no_say(blind):
    heads = {
        "tools": random_head("bernoulli", 1),
        "phase": random_head("categorical", 1, seed=1),
        "anatomy": random_head("categorical", 4, seed=2),
    }
    valid = heads[blind].mask.clone()
    valid[3] = False
    heads[blind] = replace(heads[blind], valid=valid)
    values = CrossTaskInconsistency([TOOL, PHASE])(heads)
    only_phase = CrossTaskInconsistency([PHASE])(heads)
    assert values[3] == (only_phase[3] if blind == "tools" else 0.0)
    assert (values[[0, 1, 2, 4, 5]] != only_phase[[0, 1, 2, 4, 5]]).all()


def test_members_are_averaged():
    heads = {"tools": random_head("bernoulli", 1), "anatomy": random_head("categorical", 4, seed=2)}
    other = random_head("categorical", 4, seed=5)
    members = replace(heads["anatomy"], probs=torch.stack([heads["anatomy"].probs, other.probs]))
    mean = replace(heads["anatomy"], probs=(heads["anatomy"].probs + other.probs) / 2)
    signal = CrossTaskInconsistency([TOOL])
    torch.testing.assert_close(signal({**heads, "anatomy": members}), signal({**heads, "anatomy": mean}))


CLASSES = {"tools": ("frame", ["hook", "clipper"]), "anatomy": ("pixel", ["liver", "Clipper", "fat"])}


class TestRelationsFromNames:
    def heads(self):
        return {"tools": random_head("bernoulli", 1, classes=2), "anatomy": random_head("categorical", 4, seed=2)}

    def test_equal_names_are_related(self):
        signal = CrossTaskInconsistency()
        signal.relate(CLASSES)
        given = CrossTaskInconsistency([Relation("tools", 1, "anatomy", (1,))])
        torch.testing.assert_close(signal(self.heads()), given(self.heads()))

    def test_given_relations_stay(self):
        signal = CrossTaskInconsistency([TOOL])
        signal.relate(CLASSES)
        assert signal.relations == [TOOL]

    def test_no_equal_name_is_an_error_that_lists_the_names(self):
        with pytest.raises(ValueError, match=r"tools \(frame\): hook; anatomy \(pixel\): liver; give relations"):
            CrossTaskInconsistency().relate({"tools": ("frame", ["hook"]), "anatomy": ("pixel", ["liver"])})

    def test_use_before_relating_is_an_error(self):
        with pytest.raises(ValueError, match="has no relations"):
            CrossTaskInconsistency()(self.heads())


def test_empty_relations_are_refused():
    with pytest.raises(ValueError, match="relations is empty"):
        CrossTaskInconsistency([])


@pytest.mark.parametrize("fields", [{"frame": "tools"}, {**PHASE, "weight": 2}])
def test_misspelt_relations_are_refused(fields):
    with pytest.raises(ValueError, match="a relation has frame, label, pixel, classes, not "):
        CrossTaskInconsistency([fields])


@pytest.mark.parametrize(
    ("relation", "message"),
    [
        (Relation("tool", 0, "anatomy", (0,)), "task 'tool', which is not one of tools, anatomy"),
        (Relation("tools", 3, "anatomy", (0,)), "class 3 of tools, which has 3 classes"),
        (Relation("tools", 0, "anatomy", (1, 3)), "class 3 of anatomy, which has 3 classes"),
        (Relation("anatomy", 0, "anatomy", (1,)), "anatomy has 4 sites per frame"),
    ],
)
def test_relations_that_do_not_fit_the_heads_are_refused(relation, message):
    heads = {"tools": random_head("bernoulli", 1), "anatomy": random_head("categorical", 4)}
    with pytest.raises(ValueError, match=message):
        CrossTaskInconsistency([relation])(heads)


def test_impossible_fraction_is_refused():
    with pytest.raises(ValueError, match="fraction must lie above 0 and at most at 1, not 0"):
        CrossTaskInconsistency([TOOL], fraction=0)
