from types import SimpleNamespace

import numpy as np
import pytest

from mtal.reporting.comparison.chance import chance_level

METRICS = {
    "tools/mAP": 0.5,
    "tools/AP/hook": 0.3,
    "tools/chance": 0.2,
    "tools/chance/hook": 0.1,
    "bleeding/AP": 0.7,
    "bleeding/chance": 0.4,
    "anatomy/mIoU": 0.3,
}


def run(**more):
    return SimpleNamespace(
        tasks={"tools": 0, "bleeding": 0, "anatomy": 0}, rounds=[SimpleNamespace(metrics=METRICS | more)]
    )


def test_the_joint_score_of_heads_that_know_nothing():
    assert chance_level([run()], ["joint"]) == pytest.approx((0.2 + 0.4 + 0) / 3)


def test_a_head_that_could_not_be_measured_has_no_part_in_the_chance_of_the_joint_score():
    unmeasured = run(**{"bleeding/AP": np.nan, "bleeding/chance": np.nan})
    assert chance_level([unmeasured], ["joint"]) == pytest.approx((0.2 + 0) / 2)
    assert chance_level([run(), unmeasured], ["bleeding/AP"]) == 0.4


def test_of_heads_and_classes():
    assert chance_level([run()], ["bleeding/AP"]) == 0.4
    assert chance_level([run()], ["tools/AP/hook"]) == 0.1
    assert chance_level([run()], ["anatomy/mIoU"]) == 0
    assert chance_level([], ["joint"]) == 0
