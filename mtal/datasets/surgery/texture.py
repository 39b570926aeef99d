"""Random fields that give tissue its grain: fractal noise, ridges and cells.

All fields are tileable squares made in the frequency domain, so that one pass holds every octave.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Field = NDArray[np.float32]


def fractal_noise(
    rng: np.random.Generator, size: int, coarsest: float, slope: float = 1.6, finest: float = 2.5
) -> Field:
    """Gaussian noise with amplitude ∝ f^−slope between two wavelengths.

    Args:
        rng: source of randomness.
        size: edge of the square, in pixels.
        coarsest: longest wavelength, in pixels.
        slope: how fast the octaves fade; 1 is rough, 2.5 is cloud-like.
        finest: shortest wavelength, in pixels.

    Returns:
        ``[size, size]`` with mean 0 and standard deviation 1.
    """
    white = rng.standard_normal((size, size), dtype=np.float32)
    rows, columns = fft.fftfreq(size)[:, None], fft.rfftfreq(size)[None, :]
    frequency = np.sqrt(rows**2 + columns**2) * coarsest  # in cycles per longest wavelength
    # Below the coarsest wavelength the spectrum is faded rather than cut: a hard cut rings.
    gain = np.where(frequency > 0, np.maximum(frequency, 1e-9) ** -slope * (1 - np.exp(-((frequency / 0.8) ** 4))), 0.0)
    gain *= np.exp(-((frequency * finest / coarsest) ** 2))
    field = fft.irfft2(fft.rfft2(white) * gain.astype(np.float32), s=(size, size)).astype(np.float32)
    return (field - field.mean()) / field.std()


def ridges(rng: np.random.Generator, size: int, coarsest: float, width: float = 0.15) -> Field:
    """Thin winding lines, exp(−noise² / width²): vessels and fibres, in [0, 1]."""
    noise = fractal_noise(rng, size, coarsest, slope=2.0, finest=coarsest / 6)
    return np.exp(-((noise / width) ** 2))


def cells(rng: np.random.Generator, size: int, diameter: float) -> Field:
    """Rounded lobules, 1 in the middle and 0 in the furrows: |noise| of one wavelength, in [0, 1]."""
    noise = fractal_noise(rng, size, diameter * 2, slope=0.5, finest=diameter)
    return np.clip(np.sqrt(np.abs(noise)), 0, 1).astype(np.float32)
