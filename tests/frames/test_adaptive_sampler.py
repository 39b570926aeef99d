import numpy as np
import pytest

from mtal.frames.adaptive_sampler import AdaptiveSampler


class Grays:
    """A reader of frames of one gray each, ``rate_hz`` a second."""

    frame_size = (64, 64)

    def __init__(self, grays, rate_hz=10.0):
        self.grays = np.asarray(grays, dtype=np.uint8)
        self.frames = 100 + np.arange(len(grays))  # native numbers are not positions
        self.times_s = np.arange(len(grays)) / rate_hz
        self.most_at_once = 0

    def read(self, frames):
        self.most_at_once = max(self.most_at_once, len(frames))
        grays = self.grays[np.asarray(frames) - 100]
        return np.broadcast_to(grays[:, None, None, None], (len(grays), 64, 64, 3))


def taken(grays, **settings):
    settings = {"step": 0.1, "least_rate_hz": 0.01, "most_rate_hz": 10.0} | settings
    return [k for k, _ in AdaptiveSampler(**settings).sample(Grays(grays))]


def test_equal_steps_of_change():
    # 5 of 255 grays a frame: the multiples of 0.095 lie at frames 4.8, 9.7, 14.5, 19.4, 24.2, 29.1, 33.9 and 38.8
    assert taken(np.arange(40) * 5, step=0.095) == [0, 5, 10, 15, 20, 25, 30, 34, 39]


def test_there_and_back_is_change_too():
    # 25.5 grays up and down: 0.1 a frame
    assert taken([100, 126, 100, 126, 100]) == [0, 1, 2, 3, 4]


def test_more_where_more_changes():
    still, busy = np.full(100, 50), 50 + 20 * (np.arange(100) % 2)
    frames = np.array(taken([*still, *busy, *still]))
    # 20 / 255 = 0.078 a frame in the middle: 99 to 100 steps of change hold about 78 frames
    assert ((frames >= 100) & (frames < 201)).sum() == pytest.approx(78, abs=2)
    assert ((frames < 100) | (frames >= 201)).sum() == 1


def test_least_rate_where_nothing_changes():
    assert taken(np.full(100, 80), least_rate_hz=0.5) == [0, 20, 40, 60, 80]


def test_most_rate_where_everything_does():
    black_and_white = 255 * (np.arange(100) // 10 % 2)  # seen once a second it changes each time
    assert taken(black_and_white, most_rate_hz=1.0) == list(range(0, 100, 10))


def test_brute_force():
    grays = np.random.default_rng(0).integers(0, 60, 300)
    change = np.concatenate([[0], np.cumsum(np.abs(np.diff(grays)) / 255)])
    passed = np.flatnonzero(np.diff(np.floor(change / 0.2999))) + 1  # a multiple of the step lies before each
    assert taken(grays, step=0.2999) == [0, *passed.tolist()]


def test_pictures_and_memory():
    reader = Grays(np.arange(200) % 250)
    reader.frame_size = (1080, 1920)  # says how much may be decoded at once: 10 frames
    for position, picture in AdaptiveSampler(0.01, 0.01, 10).sample(reader):
        assert (picture == reader.grays[position]).all()
    assert reader.most_at_once == 10


def test_all_bad_options_are_told_at_once():
    with pytest.raises(ValueError, match=r"^2 wrong options:\n.*step of change.*\n.*most_rate_hz.*$"):
        AdaptiveSampler(step=0, least_rate_hz=0)


@pytest.mark.parametrize("step", [0, -1, float("nan"), float("inf")])
def test_bad_step(step):
    with pytest.raises(ValueError, match="step of change must be a positive number"):
        AdaptiveSampler(step)


@pytest.mark.parametrize("rates", [(0, 1), (2, 1), (1, float("inf"))])
def test_bad_rates(rates):
    with pytest.raises(ValueError, match="0 < least_rate_hz <= most_rate_hz"):
        AdaptiveSampler(0.1, *rates)
