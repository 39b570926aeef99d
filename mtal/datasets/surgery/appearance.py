"""How one patient's video looks: tissue colours, light, white balance, optics and sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.surgery.names import ORGANS

# The usual colour of each organ and a rarer one (pale, inflamed, fatty, ...); patients lie between the two.
_TISSUE = {
    "abdominal_wall": ((0.68, 0.38, 0.34), (0.74, 0.52, 0.44)),
    "liver": ((0.42, 0.15, 0.11), (0.56, 0.30, 0.18)),
    "gut": ((0.79, 0.46, 0.42), (0.66, 0.34, 0.36)),
    "fat": ((0.84, 0.65, 0.28), (0.86, 0.70, 0.48)),
    "gallbladder": ((0.50, 0.50, 0.37), (0.66, 0.44, 0.38)),
    "connective_tissue": ((0.76, 0.58, 0.52), (0.72, 0.46, 0.40)),
    "cystic_duct": ((0.74, 0.68, 0.50), (0.72, 0.54, 0.46)),
}


@dataclass(frozen=True)
class Appearance:
    """Colours are RGB in [0, 1]; lengths on the screen are in half picture widths.

    Args:
        tissue: colour of each organ.
        gain: white balance, per channel.
        saturation: 1 keeps colours as they are.
        exposure: overall brightness.
        falloff: how fast the light fades from the middle of the picture.
        light: where on the screen the light is brightest.
        aperture: radius of the round picture; beyond √2 no dark corner is seen.
        axis: middle of the round picture.
        blur: standard deviation of the optics, in pixels.
        noise: standard deviation of the sensor.
        shaft: colour of the insulated tool shafts.
    """

    tissue: dict[str, NDArray[np.float32]]
    gain: NDArray[np.float32]
    saturation: float
    exposure: float
    falloff: float
    light: NDArray[np.float64]
    aperture: float
    axis: NDArray[np.float64]
    blur: float
    noise: float
    shaft: NDArray[np.float32]

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Appearance:
        """One patient and one camera stack at random."""
        tissue = {}
        for organ in ORGANS:
            usual, rarer = (np.array(colour) for colour in _TISSUE[organ])
            colour = usual + rng.beta(0.7, 1.2) * (rarer - usual)
            colour = colour * np.exp(rng.normal(0, 0.12)) * np.exp(rng.normal(0, 0.07, 3))
            tissue[organ] = np.clip(colour, 0, 0.95).astype(np.float32)
        return cls(
            tissue=tissue,
            gain=np.exp(rng.normal(0, 0.06, 3)).astype(np.float32),
            saturation=float(rng.uniform(0.75, 1.2)),
            exposure=float(rng.uniform(0.85, 1.3)),
            falloff=float(rng.uniform(0.25, 0.6)),
            light=rng.normal(0, 0.15, 2),
            aperture=float(rng.choice([1.02, 1.12, 1.25, 1.6])),
            axis=rng.normal(0, 0.03, 2),
            blur=float(rng.uniform(0.45, 0.75)),
            noise=float(rng.uniform(0.004, 0.012)),
            shaft=(np.array([0.10, 0.10, 0.12]) * rng.uniform(0.6, 1.6)).astype(np.float32),
        )
