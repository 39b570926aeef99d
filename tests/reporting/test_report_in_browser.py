"""The report as a browser sees it."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

# Asks the page what is really on it, for each choice of the overlay switch.
PROBE = """
<pre id="probe"></pre>
<script>
addEventListener("load", () => {
  const images = [...document.images];
  const shown = kind => [...document.querySelectorAll(".layer." + kind)]
    .filter(e => getComputedStyle(e).display !== "none").length;
  const found = {
    decoded: images.filter(i => i.complete && i.naturalWidth > 0).length,
    fetched: performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length,
    overflow: document.documentElement.scrollWidth - document.documentElement.clientWidth,
    svgs: [...document.querySelectorAll("svg")].filter(s => s.getBoundingClientRect().height > 100).length,
  };
  for (const choice of ["frame", "label", "prediction"]) {
    document.getElementById("show-" + choice).checked = true;
    found[choice] = [shown("label"), shown("prediction")];
  }
  document.getElementById("probe").textContent = JSON.stringify(found);
});
</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium here")
@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desktop"])
def test_the_page_works_in_a_browser(drawn_run, tmp_path, width):
    page = (drawn_run / "report.html").read_text(encoding="utf-8")
    # the page itself forbids scripts; its copy for this test must not
    page, allowed = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert allowed == 1
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
        "decoded": 12,
        "fetched": 0,
        "overflow": 0,
        "svgs": 4,
        "frame": [0, 0],
        "label": [12, 0],
        "prediction": [0, 8],
    }
