import numpy as np
import pytest

from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.names import ORGANS
from mtal.datasets.surgery.organs import ALPHA, EXTENT, TEXELS, draw_anatomy


def anatomy(seed=0):
    return draw_anatomy(np.random.default_rng(seed), Appearance.draw(np.random.default_rng(seed)))


@pytest.fixture(scope="module")
def patient():
    return anatomy()


def look(patient, x, y):
    """Organ at points of the plane, all sheets at rest."""
    x, y = np.atleast_1d(np.asarray(x, np.float32)), np.atleast_1d(np.asarray(y, np.float32))
    seen, organs = patient.wall.sample(x, y)
    for layer in patient.layers[1:]:
        layer.cover(x, y, seen, organs)
    return seen, [ORGANS[o] for o in organs]


def test_every_organ_is_there(patient):
    x, y = np.random.default_rng(0).uniform(-1.2, 1.2, (2, 20000))
    _, organs = look(patient, x, y)
    shares = {organ: organs.count(organ) / len(organs) for organ in ORGANS}
    assert min(shares.values()) > 0.002
    assert shares["cystic_duct"] == min(shares.values())


def test_sites_lie_on_their_organs(patient):
    for site, organ in (("fundus", "gallbladder"), ("duct", "cystic_duct")):
        assert organ in look(patient, *(np.atleast_1d(c) for c in patient.sites[site]))[1]


def test_nearest_texel(patient):
    step = 2 * EXTENT / TEXELS
    texel = patient.wall.texel(np.array([-EXTENT + 2.4 * step]), np.array([-EXTENT + 1.9 * step]))
    assert texel.tolist() == [1 * TEXELS + 2]


def test_beyond_the_plane_the_rim_goes_on(patient):
    far, edge = (patient.wall.sample(np.array([x]), np.array([0.0]))[0] for x in (5.0, EXTENT - 1e-4))
    np.testing.assert_array_equal(far, edge)


def test_cover_blends_by_opacity(patient):
    layer = patient.liver
    x, y = np.random.default_rng(1).uniform(-2, 2, (2, 5000)).astype(np.float32)
    seen, organs = np.full((5000, 7), 0.5, np.float32), np.full(5000, 99, np.uint8)
    layer.cover(x, y, seen, organs)
    top, _ = layer.sample(x, y)
    opacity = top[:, ALPHA, None]
    np.testing.assert_allclose(seen, opacity * top + (1 - opacity) * 0.5, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(organs, np.where(opacity[:, 0] > 0.5, ORGANS.index("liver"), 99))


def test_mark_paints_an_ellipse():
    layer = anatomy(1).wall
    before = layer.texels.copy()
    layer.mark(np.array([0.1, 0.2]), (0.2, 0.05), 0.5, np.array([1, 0, 1, 1], np.float32), 1.0)
    changed = (layer.texels != before).any(axis=1)
    area = changed.sum() * (2 * EXTENT / TEXELS) ** 2
    assert area == pytest.approx(np.pi * 0.2 * 0.05, rel=0.03)
    np.testing.assert_array_equal(layer.texels[changed][:, :3], np.broadcast_to([1, 0, 1], (changed.sum(), 3)))


def test_patients_differ(patient):
    other = anatomy(1)
    assert (patient.wall.organs != other.wall.organs).mean() > 0.02
    assert (patient.liver.organs != other.liver.organs).mean() > 0.02
