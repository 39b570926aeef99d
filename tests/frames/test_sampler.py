import numpy as np
import pytest

from mtal.frames.reader import open_reader
from mtal.frames.sampler import UniformSampler


class TestUniformSampler:
    def test_one_frame_a_second(self):
        # 25 frames a second for 3.2 s: ticks 0, 1, 2, 3 s are frames 0, 25, 50, 75
        assert UniformSampler(1.0)(np.arange(80) / 25).tolist() == [0, 25, 50, 75]

    def test_nearest_by_hand(self):
        # ticks 0, 0.1, 0.2 at 10 Hz; 25 Hz frames at 0.00 .04 .08 .12 .16 .20: the tie .08/.12 goes to the earlier
        assert UniformSampler(10)(np.arange(6) / 25).tolist() == [0, 2, 5]

    @pytest.mark.parametrize("rate_hz", [0.3, 1, 5, 7.5, 12])
    def test_brute_force(self, rate_hz):
        times = np.cumsum(np.random.default_rng(0).uniform(0.03, 0.05, size=500))
        ticks = np.arange(int(times[-1] * rate_hz) + 2) / rate_hz
        end = times[-1] + 0.9 * np.median(np.diff(times))
        # the nearest frame to each tick that has one within half a tick
        near = [t for t in ticks if t < end and np.abs(times - t).min() < 0.5 / rate_hz]
        nearest = [int(np.abs(times - t).argmin()) for t in near]
        assert UniformSampler(rate_hz)(times).tolist() == sorted(set(nearest))

    @pytest.mark.parametrize("rate_hz", [25, 26, 60, 1000])
    @pytest.mark.parametrize("start", [0.0, 0.013])
    def test_a_rate_above_the_native_one_takes_every_frame(self, rate_hz, start):
        assert UniformSampler(rate_hz)(start + np.arange(200) / 25).tolist() == list(range(200))

    @pytest.mark.parametrize("rate_hz", [29.97, 30])
    def test_milliseconds_of_matroska(self, rate_hz):
        assert UniformSampler(rate_hz)(np.round(np.arange(300) / rate_hz, 3)).tolist() == list(range(300))

    def test_gaps_stay_gaps(self):
        times = np.concatenate([np.arange(60) / 25, 10 + np.arange(50) / 25])  # 0 to 2.36 s and 10 to 11.96 s
        assert times[UniformSampler(1)(times)].tolist() == [0, 1, 2, 10, 11]

    @pytest.mark.parametrize("rate", [25, 30, 29.97])
    def test_three_seconds_are_three_frames(self, rate):
        for times in (np.arange(round(3 * rate)) / rate, np.round(np.arange(round(3 * rate)) / rate, 3)):
            assert UniformSampler(1)(times).tolist() == [0, round(rate), round(2 * rate)]

    def test_one_frame(self):
        assert UniformSampler(1)([0.7]).tolist() == [0]

    def test_no_frames(self):
        assert UniformSampler(1)([]).tolist() == []

    @pytest.mark.parametrize("rate_hz", [0, -1, float("nan"), float("inf")])
    def test_bad_rate(self, rate_hz):
        with pytest.raises(ValueError, match="must be a positive number of frames per second"):
            UniformSampler(rate_hz)

    @pytest.mark.parametrize("times", [[0.0, 2.0, 1.0], [0.0, float("nan")], [[0.0, 1.0]]])
    def test_bad_times(self, times):
        with pytest.raises(ValueError, match="finite, ascending"):
            UniformSampler(1)(times)


@pytest.mark.parametrize("backend", ["pyav", "auto"])
def test_pictures_are_those_of_the_positions(clip, sequential, backend):
    expected, _ = sequential("groups")
    with open_reader(clip("groups"), backend) as reader:
        taken = list(UniformSampler(5).sample(reader))
    assert [k for k, _ in taken] == list(range(0, 60, 5))
    for k, picture in taken:
        np.testing.assert_allclose(picture.astype(int), expected[k], atol=3)
