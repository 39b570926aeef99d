"""What every weighting of heads must do."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf

from mtal.acquisition.weights import Evidence, PastRound

CONFIGS = Path(__file__).parents[2] / "configs" / "acquisition" / "weights"
CLASSES = {"tools": ("hook", "grasper", "clipper"), "bleeding": ("bleeding",), "anatomy": ("liver", "gallbladder")}


def random_evidence(classes=CLASSES, rounds=5, seed=0):
    """All that a rule may ask for, at random."""
    generator = torch.Generator().manual_seed(seed)

    def drawn(names):
        return dict(zip(names, torch.rand(len(names), generator=generator, dtype=torch.float64).tolist(), strict=True))

    history = [PastRound(20 * (r + 1), drawn(classes), drawn(classes)) for r in range(rounds)]
    if history:
        history[-1] = replace(history[-1], weights={})
    return Evidence(
        classes,
        out_of_fold={task: drawn(names) for task, names in classes.items()},
        counts={task: dict.fromkeys(names, 5) for task, names in classes.items()},
        history=tuple(history),
        gradient_length=drawn(classes),
    )


def without(evidence, need):
    return replace(evidence, **{need: None})


def turned_around(evidence):
    """The same evidence, every mapping in the opposite order."""

    def turn(mapping):
        return dict(reversed(mapping.items()))

    return Evidence(
        {task: names[::-1] for task, names in turn(evidence.classes).items()},
        {task: turn(scores) for task, scores in turn(evidence.out_of_fold).items()},
        {task: turn(counts) for task, counts in turn(evidence.counts).items()},
        tuple(replace(r, scores=turn(r.scores), weights=turn(r.weights)) for r in evidence.history),
        turn(evidence.gradient_length),
    )


class WeightAxioms:
    """
    prefers_unsaturated: a head that has much left to learn gets more say than one that has little.
    even_handed: heads of equal evidence get the same say in every round; else only over the rounds.
    """

    rule = None
    prefers_unsaturated = True
    even_handed = True

    @pytest.mark.parametrize("seed", range(5))
    def test_weights_are_0_or_more_and_have_mean_1(self, seed):
        weights = self.rule(random_evidence(seed=seed))
        assert list(weights) == list(CLASSES)
        assert all(weight >= 0 for weight in weights.values())
        assert sum(weights.values()) == pytest.approx(3.0, rel=1e-12)

    @pytest.mark.parametrize("seed", range(5))
    def test_order_of_heads_does_not_matter(self, seed):
        evidence = random_evidence(seed=seed)
        assert self.rule(turned_around(evidence)) == pytest.approx(self.rule(evidence), rel=1e-12)
        moved = self.rule.class_weights(turned_around(evidence))
        for task, weights in self.rule.class_weights(evidence).items():
            torch.testing.assert_close(moved[task].flip(0), weights)

    def test_same_evidence_same_weights(self):
        first = self.rule(random_evidence())
        self.rule(random_evidence(seed=1))
        assert self.rule(random_evidence()) == first

    @pytest.mark.parametrize("rounds", [0, 1, 4])
    def test_one_head_has_all_the_say(self, rounds):
        assert self.rule(random_evidence({"tools": ("hook",)}, rounds)) == {"tools": 1.0}

    def test_first_round(self):
        weights = self.rule(random_evidence(rounds=1))
        assert sum(weights.values()) == pytest.approx(3.0, rel=1e-12)

    def test_heads_of_equal_evidence_have_an_equal_say(self):
        scores = dict.fromkeys(CLASSES, 0.4)
        evidence = Evidence(
            CLASSES,
            {task: dict.fromkeys(names, 0.4) for task, names in CLASSES.items()},
            {},
            tuple(PastRound(20 * (r + 1), dict.fromkeys(CLASSES, 0.1 * r)) for r in range(4)),
            scores,
        )
        assert (self.rule(evidence) == pytest.approx(dict.fromkeys(CLASSES, 1.0))) == self.even_handed

    def test_saturated_head_has_less_say(self):
        """The tools head is at 0.97 and stands still; the others rise from 0.1."""
        history = [
            PastRound(20 * 2**r, {"tools": 0.97, "bleeding": 0.1 + r / 20, "anatomy": 0.1 + r / 20}) for r in (0, 1, 2)
        ]
        evidence = Evidence(
            CLASSES,
            {
                "tools": dict.fromkeys(CLASSES["tools"], 0.97),
                "bleeding": {"bleeding": 0.2},
                "anatomy": dict.fromkeys(CLASSES["anatomy"], 0.2),
            },
            {},
            tuple(history),
            {"tools": 1e-4, "bleeding": 0.02, "anatomy": 0.03},
        )
        weights = self.rule(evidence)
        assert (weights["tools"] < 0.2 * min(weights["bleeding"], weights["anatomy"])) == self.prefers_unsaturated

    def test_weights_of_classes_are_0_or_more_and_have_mean_1(self):
        made = self.rule.class_weights(random_evidence())
        assert list(made) == list(CLASSES)
        for task, weights in made.items():
            assert weights.shape == (len(CLASSES[task]),)
            assert weights.dtype == torch.float64
            assert (weights >= 0).all()
            assert weights.mean().item() == pytest.approx(1.0, rel=1e-12)

    def test_only_what_is_needed_is_read(self):
        evidence = random_evidence()
        for part in ("out_of_fold", "counts", "history", "gradient_length"):
            if part in self.rule.needs:
                with pytest.raises(ValueError, match=f"{type(self.rule).__name__} needs Evidence.{part}"):
                    self.rule(without(evidence, part))
            else:
                assert self.rule(without(evidence, part)) == self.rule(evidence)

    def test_yaml_gives_the_defaults(self):
        made = type(self.rule)
        found = [OmegaConf.load(path) for path in sorted(CONFIGS.glob("*.yaml"))]
        (config,) = [c for c in found if c._target_ == f"mtal.acquisition.weights.{made.__name__}"]
        assert {**config, "_target_": made} == {**vars(made()), "_target_": made}
