"""The page as a browser sees it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# Uses the chart as a reader would, and tells what is on the page after each step.
PROBE = """
<pre id="probe"></pre>
<script>
addEventListener("load", () => {
  const chart = document.querySelector("[data-chart]"), toggles = document.querySelector("[data-toggles]");
  const lines = () => chart.querySelectorAll("polyline").length;
  const found = {
    fetched: performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    boxes: toggles.querySelectorAll("input").length,
    first: lines(),
  };
  document.querySelector("[data-none]").click();
  found.baseline = lines();
  toggles.querySelectorAll("input").forEach(box => { if (!box.checked) box.click(); });
  found.all = lines();
  const select = document.querySelector("[data-score]");
  found.scores = select.options.length;
  select.value = found.scores - 1;
  select.dispatchEvent(new Event("change"));
  found.unit = [...chart.querySelectorAll("text")].some(t => t.textContent.startsWith("annotator minutes"));
  const box = chart.getBoundingClientRect();
  chart.dispatchEvent(new PointerEvent("pointermove", { clientX: box.right, clientY: box.top + 20 }));
  found.reading = document.querySelector("[data-reading]").textContent.split(":")[0];
  document.getElementById("probe").textContent = JSON.stringify(found);
});
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desktop"])
def test_the_page_works_in_a_browser(written, tmp_path, width):
    page = (written / "comparison.html").read_text(encoding="utf-8")
    probed = tmp_path / "probed.html"
    probed.write_text(page.replace("</body>", PROBE), encoding="utf-8")
    dom = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},900",
            "--virtual-time-budget=5000",
            "--dump-dom",
            probed.as_uri(),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout
    found = json.loads(html.unescape(re.search(r'<pre id="probe">([^<]*)</pre>', dom).group(1)))
    assert found == {
        "fetched": 0,
        "overflow": 0,
        "boxes": 5,
        "first": 4,  # random and the best three
        "baseline": 1,
        "all": 5,
        "scores": 6,  # joint, three heads, rare classes, joint by minutes
        "unit": True,
        "reading": "20 annotator minutes after the initial set",
    }
