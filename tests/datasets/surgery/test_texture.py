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

    @pytest.mark.parametrize("slope", [1.0, 2.0])
    def test_spectrum_falls_with_the_slope(self, slope):
        amplitude = np.abs(np.fft.fft2(fractal_noise(rng(), 256, 128, slope, finest=0.01)))
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        band = (frequency > 4 / 128) & (frequency < 0.4)
        fitted = np.polyfit(np.log(frequency[band]), np.log(amplitude[band]), 1)[0]
        assert fitted == pytest.approx(-slope, abs=0.05)

    def test_tiles(self):
        noise = fractal_noise(rng(), 128, 64, slope=2.0, finest=8)
        inner_step = np.abs(np.diff(noise, axis=0)).mean()
        seam_step = np.abs(noise[0] - noise[-1]).mean()
        assert seam_step < 1.5 * inner_step

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
