"""The page of a selection, drawn from a folder that is written by hand."""

import base64
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from mtal.reporting.overview import THUMBNAIL, write_overview

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
TASKS = {
    "tools": {"family": "bernoulli", "support": "frame", "classes": ["hook"], "colors": [[170, 255, 0]]},
    "anatomy": {
        "family": "categorical",
        "support": "pixel",
        "classes": ["liver", "fat & more"],
        "colors": [[255, 114, 114], [186, 183, 75]],
    },
}
ABOUT = {
    "asked": {
        "checkpoint": {"run": "demo", "round": 3, "model": "0f"},
        "budget": 2,
        "acquisition": {"selector": {"_target_": "mtal.acquisition.selectors.TopK"}, "minimum_gap_s": 2.0},
    },
    "videos": [
        {"video": "a", "file": "a.mp4", "sampled": 12, "kept": 9, "end_s": 100.0},
        {"video": "b", "file": "ward/b.mkv", "sampled": 5, "kept": 5, "end_s": 40.0},
    ],
    "dropped": {"near_black": 2, "out_of_body": 1},
    "quarantined": [{"file": "c.mp4", "reason": "c.mp4: <no> video"}],
    "tasks": TASKS,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two frames of 400 x 640, both at half of video a; the second mask is all fat."""
    folder = tmp_path_factory.mktemp("selection")
    (folder / "images").mkdir()
    (folder / "masks" / "anatomy").mkdir(parents=True)
    rows = []
    for rank in (1, 2):
        name = f"{rank:03d}_a.png"
        Image.fromarray(np.full((400, 640, 3), 60 * rank, dtype=np.uint8)).save(folder / "images" / name)
        Image.fromarray(np.full((400, 640), rank - 1, dtype=np.uint8)).save(folder / "masks" / "anatomy" / name)
        rows.append(
            {
                "rank": rank,
                "image": f"images/{name}",
                "mask/anatomy": f"masks/anatomy/{name}",
                "video": "a",
                "frame": 1250,
                "time": "0:00:50.000",
                "time_s": 50,
            }
            | {"reason": f"anatomy: entropy higher than in {rank} % of the frames", "utility": 0.5 / rank}
            | {"score/anatomy/entropy": 0.1234567, "percentile/anatomy/entropy": 98.76}
            | {"predicted/tools": "none", "predicted/anatomy": "fat & more 100 %"}
        )
    pd.DataFrame(rows).to_csv(folder / "frames.csv", index=False)
    (folder / "selection.json").write_text(json.dumps(ABOUT))
    return folder


@pytest.fixture(scope="module")
def page(folder):
    return write_overview(folder).read_text()


def pictures(page, kind):
    found = re.findall(rf"data:image/{kind};base64,([A-Za-z0-9+/=]+)", page)
    return [Image.open(io.BytesIO(base64.b64decode(text))) for text in found]


def test_frames(page):
    images = pictures(page, "jpeg")
    assert [np.asarray(i).mean().round() for i in images] == [60, 120]  # in order
    assert [i.size for i in images] == [(THUMBNAIL, round(THUMBNAIL * 400 / 640))] * 2
    for words in (
        *("anatomy: entropy higher than in 1\u00a0% of the frames", "a · 0:00:50.000 · frame&nbsp;1250"),
        *(
            "expects to learn most from come first",
            "images/002_a.png",
            "<td>0.123</td><td>98.8</td>",
            "<td>0.25</td>",
            "fat &amp; more 100\u00a0%",
        ),
    ):
        assert words in page


def test_overlays(page):
    layers = [np.asarray(i) for i in pictures(page, "png")]
    assert [layer[5, 5].tolist() for layer in layers] == [[255, 114, 114, 102], [186, 183, 75, 102]]
    assert all("#ff7272" in page for _ in layers)


def test_recordings(page):
    ticks = re.findall(r'<a href="#frame-(\d)" style="left: calc\(4px \+ ([\d.]+) \*', page)
    assert ticks == [("1", "0.5"), ("2", "0.5")]
    for words in ("ward/b.mkv", "2 near black, 1 out of body", "c.mp4: &lt;no&gt; video", "demo, round 3", "TopK"):
        assert words in page


def test_needs_nothing_else(page):
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page


def test_heads_that_a_frame_is_not_asked_for(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "some")
    table = pd.read_csv(folder / "frames.csv").assign(**{"label/tools": ["", "-"], "label/anatomy": ""})
    table.to_csv(tmp_path / "some" / "frames.csv", index=False)
    page = write_overview(tmp_path / "some").read_text()
    assert page.count('<span class="chip off">tools not asked</span>') == 1
    assert "anatomy not asked" not in page
    assert "Frames are to be labelled for tools, anatomy, each for those that it is asked for." in page


def test_without_masks_and_scores(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "bare", ignore=shutil.ignore_patterns("masks"))
    table = pd.read_csv(folder / "frames.csv")
    table = table.drop(columns=[c for c in table if c.startswith(("score", "percentile", "mask/"))]).assign(
        utility=np.nan
    )
    table.to_csv(tmp_path / "bare" / "frames.csv", index=False)
    page = write_overview(tmp_path / "bare").read_text()
    assert len(pictures(page, "jpeg")) == 2
    assert not pictures(page, "png")
    assert "Scores and file" not in page
    assert "In order of choice. Every frame is to be labelled for tools, anatomy." in page


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no browser")
@pytest.mark.parametrize("width", [380, 1200])
def test_in_a_browser(page, tmp_path, width):
    """All images decode, overlays show, nothing sticks out."""
    probe = """<pre id="probe"></pre><script>addEventListener("load", () => {
      const images = [...document.images], root = document.documentElement;
      document.getElementById("probe").textContent = JSON.stringify([
        images.filter(i => i.complete && i.naturalWidth > 0).length,
        [...document.querySelectorAll(".layer")].filter(e => getComputedStyle(e).display !== "none").length,
        root.scrollWidth - root.clientWidth]);
    });</script>"""
    probed = page.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';")
    (tmp_path / "page.html").write_text(probed.replace("</body>", probe + "</body>"))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command += [f"--window-size={width},900", "--dump-dom", (tmp_path / "page.html").as_uri()]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert json.loads(re.search(r'<pre id="probe">(.*?)</pre>', dom)[1]) == [2, 2, 0]
