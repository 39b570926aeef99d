"""The report as a browser sees it."""

from __future__ import annotations

import re

import pytest
from browser import needs_browser, probe, widths

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
@needs_browser
@widths
def test_the_page_works_in_a_browser(drawn_run, tmp_path, width):
    page = (drawn_run / "report.html").read_text(encoding="utf-8")
    # the page itself forbids scripts; its copy for this test must not
    page, allowed = re.subn(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert allowed == 1
    assert probe(page, PROBE, tmp_path, width) == {
        "decoded": 12,
        "fetched": 0,
        "overflow": 0,
        "svgs": 4,
        "frame": [0, 0],
        "label": [12, 0],
        "prediction": [0, 8],
    }
