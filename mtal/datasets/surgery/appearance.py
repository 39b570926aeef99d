"""How one patient's video looks: tissue colours, light, white balance, optics and sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtal.datasets.surgery.names import ORGANS

# The usual colour of each organ and a rarer one (pale, inflamed, fatty, ...); patients lie between the two.
_TISSUE = {
    "abdominal wall": ((0.72, 0.36, 0.30), (0.80, 0.52, 0.42)),
    "liver": ((0.50, 0.17, 0.12), (0.62, 0.32, 0.19)),
    "gastrointestinal tract": ((0.86, 0.54, 0.46), (0.74, 0.36, 0.34)),
    "fat": ((0.93, 0.70, 0.35), (0.95, 0.80, 0.52)),
    "connective tissue": ((0.86, 0.58, 0.48), (0.82, 0.46, 0.38)),
    "cystic duct": ((0.88, 0.80, 0.60), (0.80, 0.66, 0.50)),
    "gallbladder": ((0.70, 0.70, 0.50), (0.90, 0.62, 0.52)),
    "hepatic vein": ((0.30, 0.22, 0.42), (0.34, 0.18, 0.32)),
    "liver ligament": ((0.86, 0.76, 0.66), (0.84, 0.66, 0.56)),
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
        blur: standard deviation of the optics, in pixels of a picture 256 wide.
        noise: standard deviation of the sensor.
        shaft: colour of the insulated tool shafts.
        crf: constant rate factor of the recorder; higher is coarser.
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
    shaft: tuple[float, float, float]
    crf: int

    @classmethod
    def draw(cls, rng: np.random.Generator, difficulty: float) -> Appearance:
        """One patient and one camera stack at random; the more difficult, the more do patients differ."""
        spread = 0.4 + 1.2 * difficulty
        tissue = {}
        for organ in ORGANS:
            usual, rarer = (np.array(colour) for colour in _TISSUE[organ])
            colour = usual + rng.beta(0.8, 1.4) * (rarer - usual) * min(spread, 1)
            colour = colour * np.exp(spread * rng.normal(0, 0.07)) * np.exp(spread * rng.normal(0, 0.04, 3))
            tissue[organ] = np.clip(colour, 0, 0.97).astype(np.float32)
        return cls(
            tissue=tissue,
            gain=np.exp(spread * rng.normal(0, 0.045, 3)).astype(np.float32),
            saturation=float(rng.uniform(0.85, 1.2)),
            exposure=float(rng.uniform(0.95, 1.2)),
            falloff=float(rng.uniform(0.35, 0.8)),
            light=rng.normal(0, 0.15, 2),
            aperture=float(rng.choice([1.0, 1.08, 1.25, 1.6])),
            axis=rng.normal(0, 0.03, 2),
            blur=float(rng.uniform(0.5, 0.9)) * (0.7 + 0.6 * difficulty),
            noise=float(rng.uniform(0.004, 0.014)) * 2 * difficulty,
            shaft=(0.9 * (gray := float(rng.uniform(0.06, 0.18))), 0.9 * gray, gray),
            crf=int(rng.integers(21, 27)),
        )
