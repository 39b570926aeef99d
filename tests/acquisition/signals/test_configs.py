"""The groups of configs/acquisition/signals hold what their names say."""

import pytest
from composed import acquisition
from hydra.utils import instantiate

from mtal.acquisition import signals
from mtal.acquisition.signals import JointSignal, Relation, Signal

NEED_OPTIONS = {"LearningLoss", "CrossTaskInconsistency"}


def composed(choice, *overrides):
    return instantiate(acquisition(f"acquisition/signals={choice}", *overrides).signals, _convert_="all")


def streaming():
    classes = (getattr(signals, name) for name in signals.__all__ if isinstance(getattr(signals, name), type))
    return {c for c in classes if issubclass(c, Signal | JointSignal) and not c.__abstractmethods__}


def test_all_holds_every_streaming_signal_that_needs_no_options():
    made = composed("all")
    assert {type(signal).__name__ for signal in made.values()} == {c.__name__ for c in streaming()} - NEED_OPTIONS
    assert all(signal.name == name for name, signal in made.items())


@pytest.mark.parametrize(("group", "need"), [("members", "members"), ("shared_gradient", "shared_gradient")])
def test_groups_hold_the_signals_of_one_need(group, need):
    assert {type(signal) for signal in composed(group).values()} == {c for c in streaming() if need in c.needs}


def test_every_streaming_signal_has_a_yaml_of_its_name():
    named = {signal.name: signal for signal in streaming()}
    made = composed(f"[{','.join(sorted(named))}]")
    assert {name: type(signal) for name, signal in made.items()} == named


def test_options_reach_the_signals():
    assert composed("disagreement", "acquisition.signals.disagreement.kind=consensus_kl")["disagreement"].kind == (
        "consensus_kl"
    )
    assert composed("gradient_agreement", "acquisition.signals.gradient_agreement.prefer=conflict")[
        "gradient_agreement"
    ].prefer == ("conflict")
    joint = composed(
        "joint_gradient_norm",
        "+acquisition.signals.joint_gradient_norm.weights.tools=2",
        "+acquisition.signals.joint_gradient_norm.scales.anatomy=0.5",
    )["joint_gradient_norm"]
    assert joint.weights == {"tools": 2.0}
    assert joint.scales == {"anatomy": 0.5}


def test_relations_can_be_given_on_the_command_line():
    option = "acquisition.signals.cross_task_inconsistency"
    made = composed(
        "cross_task_inconsistency",
        f"{option}.relations=[{{frame: tools, label: 2, pixel: anatomy, classes: [7, 8]}}]",
        f"{option}.fraction=0.05",
    )["cross_task_inconsistency"]
    assert made.relations == [Relation("tools", 2, "anatomy", (7, 8))]
    assert made.presence.fraction == 0.05
