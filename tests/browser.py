"""What a browser finds on a page."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium here")
widths = pytest.mark.parametrize("width", [390, 1280], ids=["phone", "desktop"])


def probe(page: str, script: str, folder: Path, width: int) -> dict[str, Any]:
    """What ``script`` leaves as JSON in ``<pre id="probe">``, which it brings, at the end of ``page``."""
    assert BROWSER is not None
    probed = folder / "probed.html"
    probed.write_text(page.replace("</body>", script), encoding="utf-8")
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
            f"--user-data-dir={folder / 'profile'}",
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
    found: dict[str, Any] = json.loads(html.unescape(re.search(r'<pre id="probe">([^<]*)</pre>', dom).group(1)))
    return found
