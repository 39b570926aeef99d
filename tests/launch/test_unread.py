import warnings

import pytest
from composed import CONFIGS

from mtal.acquisition import (
    Acquisition,
    AnnotationCost,
    Badge,
    Bait,
    BatchBald,
    ClassCover,
    Herding,
    KCenterGreedy,
    PercentileRank,
    Random,
    TopK,
    TypiClust,
    UniformInTime,
    WeightedMean,
    WorthItsCost,
)
from mtal.launch.unread import warn_of_unread

FUSED = [
    "acquisition/fusion=max",
    "+acquisition.signal_weights.entropy=2",
    "acquisition/fusion@acquisition.signal_fusion=max",
    "acquisition.per_video=true",
]
SCORED = ["acquisition/signals=margin", "~acquisition.signals.entropy", "acquisition.calibrate=true"]


def acquisition(selector, **more):
    return Acquisition({}, PercentileRank(), WeightedMean(), selector, **more)


@pytest.mark.parametrize("option", FUSED)
@pytest.mark.parametrize("selector", [Badge(), Random()])
def test_choice_that_nothing_reads(option, selector):
    with pytest.warns(UserWarning, match=f"has no effect, because {type(selector).__name__} looks at no fused score"):
        warn_of_unread(["seed=1", option], acquisition(selector))


@pytest.mark.parametrize("option", SCORED)
@pytest.mark.parametrize("selector", [Random(), UniformInTime()])
def test_scores_that_nothing_reads(option, selector):
    with pytest.warns(UserWarning, match=f"has no effect, because {type(selector).__name__} looks at nothing that"):
        warn_of_unread(["seed=1", option], acquisition(selector))


@pytest.mark.parametrize("option", ["acquisition/weights=headroom", "+acquisition.head_weights.tools=9"])
@pytest.mark.parametrize("selector", [Bait(), BatchBald(), Herding(gamma=0.0), ClassCover()])
def test_say_of_heads_that_nothing_reads(option, selector):
    with pytest.warns(UserWarning, match=f"has no effect, because {type(selector).__name__} looks at neither fused"):
        warn_of_unread(["seed=1", option], acquisition(selector))


def test_several_choices_are_told_at_once():
    with pytest.warns(UserWarning, match="acquisition/signals=margin, .*, acquisition.calibrate=true have no effect"):
        warn_of_unread(SCORED, acquisition(Random()))


@pytest.mark.parametrize(
    ("options", "selector"),
    [
        (FUSED, TopK()),
        (SCORED, TopK()),
        (SCORED[2:], Badge()),
        (["acquisition.minimum_gap_s=2", "acquisition/selector=random"], Random()),
        (FUSED, Badge(gamma=1.0)),
        (
            ["seed=1", "strategy=joint_badge", "acquisition.gradient=shared", "acquisition/weights=headroom"],
            Badge(),
        ),
    ],
)
def test_choices_that_are_read(options, selector):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unread(options, acquisition(selector))


SIGNALS = ["acquisition/signals=margin", "~acquisition.signals.entropy", "acquisition/sites=foreground"]


@pytest.mark.parametrize("option", SIGNALS)
@pytest.mark.parametrize("selector", [Badge(), KCenterGreedy(), ClassCover(), TypiClust()])
def test_signals_that_decide_nothing(option, selector):
    with pytest.warns(UserWarning, match=f"has no effect on the picks, because {type(selector).__name__} looks at no"):
        warn_of_unread(["seed=1", option], acquisition(selector))


@pytest.mark.parametrize("more", [{"query": WorthItsCost(), "cost": AnnotationCost()}, {"nan_policy": "drop_frame"}])
def test_signals_that_are_read_beside_the_selector(more):
    """By who says which heads are asked for, and by who leaves frames out."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unread(SIGNALS, acquisition(Badge(), **more))
        if "query" in more:
            warn_of_unread(["acquisition/normalizer=z_score"], acquisition(Badge(), **more))


@pytest.mark.parametrize("selector", [Badge(), Random(), KCenterGreedy(), ClassCover()])
def test_whole_strategies(selector):
    """What they choose beside the selector is nobody's choice here, whether it is read or not."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for strategy in (CONFIGS / "strategy").glob("*.yaml"):
            warn_of_unread([f"strategy={strategy.stem}", "experiment=tiny"], acquisition(selector))
