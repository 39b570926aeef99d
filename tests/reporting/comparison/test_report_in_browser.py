"""The page as a browser sees it."""

from __future__ import annotations

import pytest
from browser import needs_browser, probe, widths

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
@needs_browser
@widths
def test_the_page_works_in_a_browser(written, tmp_path, width):
    page = (written / "comparison.html").read_text(encoding="utf-8")
    assert probe(page, PROBE, tmp_path, width) == {
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
