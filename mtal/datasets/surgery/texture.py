"""Random fields that give tissue its grain: fractal noise, ridges and cells."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Field = NDArray[Any]
"""An array of 32-bit floats; the stubs of OpenCV promise less."""


def fractal_noise(rng: np.random.Generator, size: int, coarsest: float, fade: float = 0.55, finest: float = 4) -> Field:
    """Smooth random lattices of halving wavelength, each turned by another angle so that no lattice shows.

    Args:
        rng: source of randomness.
        size: edge of the square, in pixels.
        coarsest: longest wavelength, in pixels.
        fade: amplitude of an octave relative to the one before; 0.8 is rough, 0.4 is cloud-like.
        finest: no octave has a shorter wavelength than this, in pixels.

    Returns:
        ``[size, size]`` with mean 0 and standard deviation 1.
    """
    field: Field = np.zeros((size, size), np.float32)
    wavelength, amplitude = coarsest, 1.0
    while wavelength >= min(finest, coarsest):
        step = wavelength / 2  # pixels between knots
        knots = int(1.5 * size / step) + 6
        lattice: Field = rng.standard_normal((knots, knots), dtype=np.float32) * np.float32(amplitude)
        turn: Field = cv2.getRotationMatrix2D((size / 2, size / 2), float(rng.uniform(0, 90)), 1 / step)
        turn[:, 2] += knots / 2 - size / 2 + rng.uniform(-0.5, 0.5, 2)
        flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        octave = cv2.warpAffine(lattice, turn, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT)
        field = field + octave
        wavelength, amplitude = wavelength / 2, amplitude * fade
    return (field - field.mean()) / field.std()


def ridges(rng: np.random.Generator, size: int, coarsest: float, width: float = 0.15) -> Field:
    """Thin winding lines, exp(−noise² / width²): vessels and fibres, in [0, 1]."""
    noise = fractal_noise(rng, size, coarsest, fade=0.4, finest=coarsest / 4)
    return np.exp(-((noise / width) ** 2))


def cells(rng: np.random.Generator, size: int, diameter: float) -> Field:
    """Rounded lobules, 1 in the middle and 0 in the furrows: distance to the two nearest of random seeds, in [0, 1]."""
    count = int(size / diameter) + 2
    knots = (np.arange(count) - 0.5) * diameter
    seeds = np.stack(np.meshgrid(knots, knots), axis=-1) + rng.uniform(-0.45, 0.45, (count, count, 2)) * diameter
    places = np.clip(seeds.reshape(-1, 2), 0, size - 1).astype(np.intp)
    empty = np.full((size, size), 255, np.uint8)
    empty[places[:, 1], places[:, 0]] = 0
    distance, nearest = cv2.distanceTransformWithLabels(empty, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    # the furrows lie where the nearest seed changes
    furrow = (cv2.dilate(nearest.astype(np.float32), np.ones((3, 3))) != nearest).astype(np.uint8)
    depth = cv2.distanceTransform(1 - furrow, cv2.DIST_L2, 3)
    return cv2.GaussianBlur(np.sqrt(depth / (depth + 0.35 * distance + 1)), (0, 0), diameter / 9)
