import numpy as np
import pytest

from mtal.datasets.surgery.appearance import Appearance
from mtal.datasets.surgery.bleeding import Pool
from mtal.datasets.surgery.camera import View
from mtal.datasets.surgery.names import GRAY
from mtal.datasets.surgery.organs import draw_anatomy
from mtal.datasets.surgery.scene import Forces, Scene
from mtal.datasets.surgery.workflow import Bleed

SIZE = 100  # no multiple of eight
VIEW = View(np.array([0.0, 0.0]), 1.0, 0.1)
NONE = np.zeros(2)
STILL = Forces(0.0, (), NONE, NONE, NONE)


@pytest.fixture(scope="module")
def scene():
    rng = np.random.default_rng(0)
    return Scene(draw_anatomy(rng, Appearance.draw(rng, 0.5), 256), SIZE)


def test_places_are_those_of_the_view(scene):
    centres = ((np.arange(SIZE) + 0.5) / SIZE * 2 - 1).astype(np.float32)
    x, y = VIEW.to_plane(*np.meshgrid(centres, centres))
    tissue = scene.render(VIEW, STILL, [])
    np.testing.assert_allclose(tissue.x, x, atol=1e-5)
    np.testing.assert_allclose(tissue.y, y, atol=1e-5)


def test_colour_and_mask_come_from_one_place(scene):
    tissue = scene.render(VIEW, Forces(0.0, (), NONE, NONE, None), [])
    grays = set(np.unique(tissue.mask).tolist())
    assert grays <= set(GRAY.values())
    assert GRAY["gallbladder"] not in grays  # it has been taken out
    assert GRAY["gallbladder"] in scene.render(VIEW, STILL, []).mask


@pytest.mark.parametrize(
    "forces",
    [
        Forces(1.0, (), NONE, NONE, NONE),
        Forces(0.0, (), np.array([0.2, -0.2]), NONE, NONE),
        Forces(0.0, (), NONE, np.array([0.2, -0.2]), NONE),
        Forces(0.0, (), NONE, NONE, np.array([0.0, 0.3])),
        Forces(0.0, ((np.array([0.2, 0.6]), np.array([0.05, 0.05])),), NONE, NONE, NONE),
    ],
    ids=["breath", "pull", "lift", "carry", "push"],
)
def test_every_force_moves_picture_and_mask(scene, forces):
    rest, moved = scene.render(VIEW, STILL, []), scene.render(VIEW, forces, [])
    assert np.abs(rest.colour - moved.colour).mean() > 0.1
    assert (rest.mask != moved.mask).any()


def test_a_carried_gallbladder_moves_by_just_that(scene):
    # Pixels of the screen per unit of the plane: half a picture at zoom 1. Turned by nothing, 0.2 is ten pixels.
    view = View(np.zeros(2), 1.0, 0.0)
    rest, moved = (
        scene.render(view, Forces(0.0, (), NONE, NONE, np.array(c)), []).mask == GRAY["gallbladder"]
        for c in ([0.0, 0.0], [0.0, 0.2])
    )
    shifted = np.zeros_like(rest)
    shifted[10:] = rest[:-10]
    assert (shifted & moved).sum() > 0.93 * (shifted | moved)[10:].sum()


def test_blood_covers_organs_in_picture_and_mask(scene):
    bleed = Bleed(0.0, 4.0, 8.0, 9.0, 0)
    pool = Pool(np.random.default_rng(0), bleed, np.array([0.1, 0.1]), 1.0)
    dry = scene.render(VIEW, STILL, [pool])
    assert not (dry.mask == 24).any()
    pool.advance(4.0, 0.2, None)
    wet = scene.render(VIEW, STILL, [pool])
    blood = wet.mask == 24
    assert 0.01 < blood.mean() < 0.5
    red, green, _ = wet.colour[blood].mean(axis=0)
    assert red > 3 * green
    np.testing.assert_array_equal(wet.mask[~blood], dry.mask[~blood])
