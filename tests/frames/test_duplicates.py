import imagehash
import numpy as np
from miniature.faulty_pictures import tissue
from PIL import Image

from mtal.frames.duplicates import RecentPictures


def bits(picture):
    return imagehash.phash(Image.fromarray(picture), hash_size=16)


def kept(window, *pictures):
    recent = RecentPictures(window)
    for picture in pictures:
        recent.distance(picture)
        recent.keep()
    return recent


def test_nearest_of_those_kept():
    pictures = [tissue(k) for k in range(4)]
    distance = kept(3, *pictures[:3]).distance(pictures[3])
    assert distance == min(bits(p) - bits(pictures[3]) for p in pictures[:3])


def test_the_window_forgets():
    a, b, c = (tissue(k) for k in range(3))
    assert kept(2, a, b).distance(a) == 0
    assert kept(2, a, b, c).distance(a) > 0


def test_what_is_not_kept_is_not_compared_with():
    a, b = tissue(0), tissue(1)
    recent = kept(2, a)
    recent.distance(b)
    assert recent.distance(b) == bits(a) - bits(b)


def test_the_first_has_nothing_to_compare_with():
    assert RecentPictures(2).distance(tissue(0)) is None


def test_camera_noise_is_near_and_other_tissue_far():
    generator = np.random.default_rng(0)
    noisy = (tissue(0) + generator.normal(0, 4, tissue(0).shape)).clip(0, 255).astype(np.uint8)
    assert kept(1, tissue(0)).distance(noisy) < 10
    assert kept(1, tissue(0)).distance(tissue(1)) > 60
