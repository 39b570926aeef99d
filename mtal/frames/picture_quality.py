"""What is wrong with a picture, in numbers that depend on neither its resolution nor its exposure.

All work on a picture reduced to 128 pixels along its short edge by averaging. That is about what models of this kind
see, evens out resolutions, and takes away the noise of cameras and codecs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_EDGE = 128
_LIT = 26  # of 255: darker pixels are the black border of the endoscope, letterboxes or shadow


def reduced(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``[h, w, 3]``: the picture ``[H, W, 3]`` with a short edge of at most 128 pixels."""
    height, width = picture.shape[:2]
    scale = _EDGE / min(height, width)
    if scale >= 1:
        return picture
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BOX))


def brightness(picture: NDArray[np.uint8]) -> float:
    """How bright the brightest twentieth is, in [0, 1]: 95th percentile of the largest channel (the V of HSV).

    The largest channel, so that a saturated blue or red counts as bright; a percentile, so that the black border and a
    single reflection do not decide.
    """
    return float(np.percentile(picture.max(axis=2), 95)) / 255


def few_colours(picture: NDArray[np.uint8]) -> float:
    """Share of the lit pixels, in [0, 1], that have one of the four most frequent colours.

    Menus, splash screens and test pictures are drawn with few flat colours; shading and texture spread those of tissue
    over hundreds. Colours are told apart in 32 levels of the range that each channel takes, at least 2 of 255 wide, so
    that smoke and dim light do not make them few. Less than 1 % of lit pixels give 0.
    """
    lit = picture[_lit(picture)]  # [n, 3]
    if len(lit) < 0.01 * picture[..., 0].size:
        return 0.0
    low, high = np.percentile(lit, [1, 99], axis=0)  # [3], [3]
    levels = ((lit - low) / np.maximum((high - low) / 32, 2)).clip(0, 31).astype(np.int64)  # [n, 3]
    colours = np.bincount(levels @ np.array([1024, 32, 1]))
    return float(np.partition(colours, -4)[-4:].sum() / len(lit)) if len(colours) > 4 else 1.0


def sharpness(picture: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian over the variance of the picture's luma; 0 where it is flat.

    Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000, for the numerator; the denominator
    makes it a property of the spectrum, so that contrast, smoke and exposure cancel out.
    """
    luma = picture @ np.array([0.299, 0.587, 0.114])  # [h, w]
    variance = float(luma.var())
    if variance < 1:
        return 0.0
    around = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    return float((around - 4 * luma[1:-1, 1:-1]).var()) / variance


def flesh(picture: NDArray[np.uint8]) -> float:
    """Share of the lit pixels, in [0, 1], with the colours of tissue, blood and fat: R ≥ G, R > B, saturation ≥ 0.15.

    The saturation is that without the veil of smoke, which adds about the same to every pixel and channel: the darkest
    hundredth of the channels (the dark channel of He et al., CVPR 2009, for the whole picture).

    Light passes through tissue mostly in red, so inside the body red leads nearly everywhere, from fat (yellow) to
    blood; drapes, gowns, walls and ceilings are blue, green, grey or white. A hand-made stand-in for the classifiers of
    Zohar et al., "Accurate detection of out of body segments in surgical video using semi-supervised learning", MIDL
    2020, and Lavanchy et al., Scientific Reports 13, 2023; where privacy hangs on it, use those. No lit pixel gives 1.
    """
    lit = picture[_lit(picture)].astype(np.int64)  # [n, 3]
    if not len(lit):
        return 1.0
    r, g, b = lit.T  # [n] each
    largest, smallest = lit.max(axis=1), lit.min(axis=1)  # [n], [n]
    veil = np.percentile(smallest, 1)
    return float(((r >= g) & (r > b) & (largest - smallest >= 0.15 * (largest - veil))).mean())


def _lit(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:  # [h, w]
    return picture.max(axis=2) >= _LIT
