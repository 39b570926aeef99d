import numpy as np
import pytest

from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.names import ORGANS


def patients(difficulty):
    return [Appearance.draw(np.random.default_rng(k), difficulty) for k in range(40)]


def test_every_organ_has_a_colour():
    for look in patients(1.0):
        assert set(look.tissue) == set(ORGANS)
        for colour in look.tissue.values():
            assert colour.shape == (3,)
            assert 0 <= colour.min() <= colour.max() <= 0.97


def test_liver_is_redder_than_fat_and_fat_brighter():
    for look in patients(0.5):
        liver, fat = look.tissue["liver"], look.tissue["fat"]
        assert liver[0] / liver[1] > fat[0] / fat[1]
        assert fat.sum() > liver.sum()


@pytest.mark.parametrize("organ", ORGANS)
def test_patients_differ_more_where_it_is_more_difficult(organ):
    spread = [np.std([look.tissue[organ] for look in patients(d)], axis=0).mean() for d in (0.0, 0.5, 1.0)]
    assert spread[0] < spread[1] < spread[2]


def test_without_difficulty_there_is_no_noise():
    assert {look.noise for look in patients(0.0)} == {0.0}
    assert min(look.noise for look in patients(1.0)) > 0.005
