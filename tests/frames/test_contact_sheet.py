import io

import numpy as np
import pandas as pd
from PIL import Image

from mtal.frames.contact_sheet import draw_contact_sheet


def jpeg(color):
    content = io.BytesIO()
    Image.new("RGB", (128, 96), color).save(content, "JPEG")
    return content.getvalue()


def dropped(reason, color, values, threshold):
    frames = [f"video/{k:06d}" for k in range(len(values))]
    thumbnails = [jpeg(color)] * len(values)
    return pd.DataFrame(
        {"frame_id": frames, "reason": reason, "value": values, "threshold": threshold, "thumbnail": thumbnails}
    )


def draw(rows, path):
    draw_contact_sheet(rows.drop(columns="thumbnail"), path, rows["thumbnail"].tolist().__getitem__)


def near(sheet, color):
    """Number of pixels of about one colour."""
    return int((np.abs(sheet.astype(int) - color).max(axis=2) < 12).sum())


def test_thumbnails_of_every_reason_in_their_order(tmp_path):
    rows = pd.concat([dropped("blurred", (200, 40, 40), [0.01] * 3, 0.02), dropped("overlay", (40, 40, 200), [1], 0.6)])
    draw(rows, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert near(sheet, (40, 40, 200)) == 128 * 96
    assert near(sheet, (200, 40, 40)) == 3 * 128 * 96
    blue, red = (
        np.flatnonzero((np.abs(sheet.astype(int) - c).max(axis=2) < 12).any(axis=1))
        for c in ((40, 40, 200), (200, 40, 40))
    )
    assert blue.max() < red.min()  # overlays come before blurred frames
    assert [p.name for p in tmp_path.iterdir()] == ["sheet.png"]


def test_at_most_thirty_and_the_most_doubtful_among_them(tmp_path):
    many = dropped("near_black", (30, 60, 90), np.linspace(0.0, 0.1, 200).tolist(), 0.15)
    # the one nearest to the threshold and the one farthest from it stand out
    many["thumbnail"] = [jpeg((200, 20, 200)), *many["thumbnail"][1:-1], jpeg((20, 200, 20))]
    draw(many, tmp_path / "sheet.png")
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert near(sheet, (30, 60, 90)) == 28 * 128 * 96
    assert near(sheet[:, :160], (20, 200, 20)) == 128 * 96  # first of the first row
    assert near(sheet[:, -160:], (200, 20, 200)) == 128 * 96  # last of the last row


def test_nothing_dropped(tmp_path):
    draw(dropped("blurred", (0, 0, 0), [], 0.1), tmp_path / "sheet.png")
    assert near(np.asarray(Image.open(tmp_path / "sheet.png")), (200, 0, 0)) == 0
