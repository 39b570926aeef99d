"""Pictures that hygiene must tell apart: textured tissue, and one kind of picture for each reason to drop it."""

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = (240, 320)


def tissue(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Red to yellow cloud of many scales inside the round view of an endoscope, with highlights and a gray shaft."""
    generator = np.random.default_rng(seed)
    height, width = size
    shade = np.zeros(size)
    for cells, weight in ((3, 0.5), (8, 0.3), (24, 0.2), (60, 0.1)):
        coarse = Image.fromarray(generator.random((cells, cells)).astype(np.float32))
        shade += weight * np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
    picture = np.stack([120 + 90 * shade, 30 + 80 * shade, 25 + 50 * shade], axis=2)
    picture += generator.normal(0, 3, (*size, 1))
    image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = generator.integers(0, width), generator.integers(0, height)
        draw.ellipse((x, y, x + 5, y + 3), fill=(255, 250, 245))
    x = int(generator.integers(width // 3, width))
    draw.line((width, height, x, height // 2), fill=(140, 142, 148), width=width // 16)
    view = Image.new("L", (width, height))
    ImageDraw.Draw(view).ellipse((-width // 20, -height // 8, width + width // 20, height + height // 8), fill=255)
    return np.asarray(Image.composite(image, Image.new("RGB", (width, height), (4, 4, 6)), view))


def dark(seed: int) -> np.ndarray:
    """Tissue with the light switched off."""
    return (tissue(seed) * 0.08).astype(np.uint8)


def out_of_focus(seed: int) -> np.ndarray:
    return np.asarray(Image.fromarray(tissue(seed)).filter(ImageFilter.GaussianBlur(6)))


def menu(seed: int) -> np.ndarray:
    """Rows of text on panels, in few colours."""
    back, panel, text = [
        ((20, 30, 120), (40, 60, 170), (255, 255, 255)),
        ((235, 235, 235), (210, 210, 210), (0, 0, 0)),
        ((12, 12, 12), (45, 45, 45), (240, 240, 200)),
        ((0, 0, 200), (0, 0, 200), (0, 0, 200)),  # no signal
    ][seed % 4]
    image = Image.new("RGB", SIZE[::-1], back)
    draw = ImageDraw.Draw(image)
    for k in range(6):
        draw.rectangle((20, 12 + 38 * k, 300, 40 + 38 * k), fill=panel)
        draw.text((30, 16 + 38 * k), f"{seed}: white balance {k}", text, ImageFont.load_default(16))
    return np.asarray(image)


def operating_room(seed: int) -> np.ndarray:
    """Shaded folds of green or blue drapes, a gray wall with lamps, and a gloved hand."""
    generator = np.random.default_rng(seed)
    height, width = SIZE
    y, x = np.mgrid[:height, :width]
    folds = 0.6 + 0.4 * np.sin(x / generator.uniform(9, 15) + np.sin(y / 30) * 2)
    drape = np.array([(30, 110, 90), (40, 90, 150)][seed % 2])
    picture = np.where((y > height // 3)[..., None], folds[..., None] * drape, 150 + 40 * np.sin(y / 7)[..., None])
    image = Image.fromarray((picture + generator.normal(0, 4, picture.shape)).clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 10, 90, 50), fill=(250, 250, 245))
    draw.ellipse((150, 130, 230, 190), fill=(225, 190, 170))
    return np.asarray(image)
