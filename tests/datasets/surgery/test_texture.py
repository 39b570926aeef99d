import numpy as np
import pytest

from mtal.datasets.surgery.texture import cells, fractal_noise, ridges


def rng():
    return np.random.default_rng(0)


class TestFractalNoise:
    def test_mean_and_deviation(self):
        noise = fractal_noise(rng(), 128, 40)
        assert noise.mean() == pytest.approx(0, abs=1e-5)
        assert noise.std() == pytest.approx(1, abs=1e-5)

    @pytest.mark.parametrize("fade", [0.4, 0.8])
    def test_octaves_fade(self, fade):
        # An octave's variance is fade² of the one before, so its share of the whole is the geometric series'.
        octaves = [64.0, 32.0, 16.0, 8.0]
        noise = fractal_noise(rng(), 512, 64, fade, finest=8)
        power = np.abs(np.fft.fft2(noise)) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(512), np.fft.fftfreq(512)))
        coarse = power[frequency < 1 / 50].sum() / power.sum()
        expected = 1 / sum(fade ** (2 * k) for k in range(len(octaves)))
        assert coarse == pytest.approx(expected, abs=0.2)

    def test_finest_wavelength(self):
        power = np.abs(np.fft.fft2(fractal_noise(rng(), 256, 64, 0.9, finest=16))) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        assert power[frequency > 1 / 8].sum() < 0.01 * power.sum()

    def test_no_direction_stands_out(self):
        step = [
            np.abs(np.diff(fractal_noise(np.random.default_rng(k), 128, 40), axis=a)).mean()
            for k in range(4)
            for a in (0, 1)
        ]
        assert max(step) < 1.25 * min(step)

    def test_same_seed_same_field(self):
        np.testing.assert_array_equal(fractal_noise(rng(), 64, 20), fractal_noise(rng(), 64, 20))


@pytest.mark.parametrize("field", [ridges(rng(), 128, 40), cells(rng(), 128, 12)])
def test_range(field):
    assert field.shape == (128, 128)
    assert field.min() >= 0
    assert field.max() <= 1
    assert field.std() > 0.05


def test_ridges_are_thin():
    # |noise| < width for a share 2 · Φ(width) − 1 of a Gaussian field: 0.0797 at 0.1; there exp(−1) is exceeded.
    assert (ridges(rng(), 512, 30, width=0.1) > np.exp(-1)).mean() == pytest.approx(0.0797, abs=0.02)
