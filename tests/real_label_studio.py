"""Label Studio itself, started from an environment of its own and killed at will."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import requests

EXECUTABLE = os.environ.get("MTAL_LABEL_STUDIO") or shutil.which("label-studio")
TOKEN = "c0ffee00c0ffee00"
_BOSS = [
    "--username",
    "boss@example.org",
    "--password",
    "seven seas",
    "--user-token",
    TOKEN,
    "--enable-legacy-api-token",
]
_STARTS_S = 240  # with a database to make, on a busy machine


class RealLabelStudio:
    """A server on this machine alone.

    Its database is made once for each environment, which takes a minute, and copied from then on.

    Args:
        data: folder of its database and pictures.
    """

    def __init__(self, data: Path) -> None:
        assert EXECUTABLE is not None
        self.data, self._process = data, None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        made = Path(EXECUTABLE).parent.parent / "mtal-database"
        if made.is_dir():
            shutil.copytree(made, data)

    def launch(self) -> None:
        """Begin to start; see :meth:`wait`."""
        assert EXECUTABLE is not None
        quiet = {"COLLECT_ANALYTICS": "false", "SENTRY_DSN": "", "FRONTEND_SENTRY_DSN": "", "LATEST_VERSION_CHECK": "0"}
        where = ["--port", str(self.port), "--internal-host", "127.0.0.1", "--data-dir", str(self.data)]
        with (self.data.parent / "label-studio.log").open("ab") as log:
            self._process = subprocess.Popen(
                [EXECUTABLE, "start", "--no-browser", *where, *_BOSS, "--enable-legacy-api-token"],
                env={**os.environ, **quiet},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Come back once it answers."""
        assert self._process is not None
        end = time.monotonic() + _STARTS_S
        while True:
            try:
                if requests.get(f"{self.url}/health", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError((self.data.parent / "label-studio.log").read_text()[-2000:])
            time.sleep(0.1)

    def kill(self) -> None:
        """At once, with all it has started."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
