import numpy as np
import pytest

from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.names import GRAY, ORGANS
from mtal.datasets.surgery.organs import draw_anatomy

TEXELS = 256


def anatomy(seed=0):
    return draw_anatomy(np.random.default_rng(seed), Appearance.draw(np.random.default_rng(seed), 0.5), TEXELS)


@pytest.fixture
def patient():
    return anatomy()


def organ_at(sheet, point):
    x, y = (np.full((1, 1), c, np.float32) for c in point)
    gray = int(sheet.look(x, y).organs[0, 0])
    return next((name for name, value in GRAY.items() if value == gray), None)


def test_every_organ_is_there(patient):
    there = {
        g: float((s.organs == g).mean()) for s in (patient.dissected, patient.gallbladder) for g in np.unique(s.organs)
    }
    for organ in ORGANS:
        assert there[GRAY[organ]] > 0.001, organ


def test_the_duct_is_hidden_at_first(patient):
    assert not (patient.bed.organs == GRAY["cystic duct"]).any()


@pytest.mark.parametrize("seed", range(3))
def test_sites_lie_on_their_organs(seed):
    patient = anatomy(seed)
    for site, sheet, organ in (
        ("fundus", patient.gallbladder, "gallbladder"),
        ("duct", patient.dissected, "cystic duct"),
        ("duct", patient.bed, "connective tissue"),
        ("vein", patient.bed, "hepatic vein"),
        ("ligament", patient.bed, "liver ligament"),
    ):
        assert organ_at(sheet, patient.sites[site]) == organ


def test_opening_lays_the_duct_bare_bit_by_bit_and_closing_hides_it(patient):
    closed = patient.bed.organs.copy()
    seen = []
    for share in (0.3, 0.6, 1.0):
        patient.open(share)
        seen.append(int((patient.bed.organs == GRAY["cystic duct"]).sum()))
    whole = int((patient.dissected.organs == GRAY["cystic duct"]).sum())
    assert 0 < seen[1] < seen[2]
    assert seen[2] > 0.7 * whole
    assert seen == sorted(seen)
    patient.close()
    np.testing.assert_array_equal(patient.bed.organs, closed)


def test_patients_differ(patient):
    other = anatomy(1)
    assert (patient.bed.organs != other.bed.organs).mean() > 0.05
    assert ((patient.gallbladder.colour[..., 3] > 127) != (other.gallbladder.colour[..., 3] > 127)).mean() > 0.005
