"""Programs that tests start, forked off one that has everything imported: imports take longer than most of them run.

They are processes like others, with a session, files, folder and environment of their own, and die of the same signals.
One server serves all worker processes of a test run and ends with the last of them. A test of what a start says or
costs has to use ``subprocess``.
"""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TESTS = Path(__file__).resolve().parent
OUT, ERR = "out", "err"
PATH = [str(TESTS.parent), str(TESTS)]  # what programs import from


@dataclass
class Program:
    """One that was started, with what tests use of :class:`subprocess.Popen`."""

    argv: list[str]
    pid: int
    out: Path
    err: Path
    ended: socket.socket
    returncode: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.poll() is None:
            self.send_signal(signal.SIGKILL)
            self.poll(10)

    def poll(self, within_s: float = 1e-6) -> int | None:
        """Its exit code, minus the signal where one ended it; ``None`` while it runs."""
        if self.returncode is None:
            self.ended.settimeout(within_s)
            try:
                self.returncode = int(self.ended.recv(64))
            except TimeoutError:
                return None
            self.ended.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """To it alone."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def communicate(self, timeout: float) -> tuple[str, str]:
        """What it printed, and what it said of faults, once it has ended; it is killed where that takes longer."""
        if self.poll(timeout) is None:
            self.__exit__()
            raise subprocess.TimeoutExpired(self.argv, timeout, *self._said())
        return self._said()

    def _said(self) -> tuple[str, str]:
        return self.out.read_text(), self.err.read_text()


class Warm:
    """Starts programs. ``folder`` is that of a test run, which all of its worker processes see."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._address = str(folder / "warm")
        self._alive = self._connected(folder)

    def start(self, script: Path, *arguments: object, cwd: Path | None = None, env: Mapping[str, str] = {}) -> Program:
        """``python script arguments``, with these variables beside those of this process."""
        folder = Path(tempfile.mkdtemp(dir=self._folder, prefix="program_"))
        argv = [str(script), *map(str, arguments)]
        asked = {"argv": argv, "cwd": str(cwd or Path.cwd()), "env": {**os.environ, **env}}
        (folder / "asked.json").write_text(json.dumps(asked))
        connection = _connection(self._address)
        connection.send(str(folder).encode())
        return Program(argv, int(connection.recv(64)), folder / OUT, folder / ERR, connection)

    def run(self, script: Path, *arguments: object, timeout: float = 500) -> subprocess.CompletedProcess[str]:
        """To its end."""
        program = self.start(script, *arguments)
        out, err = program.communicate(timeout)
        assert program.returncode is not None
        return subprocess.CompletedProcess(program.argv, program.returncode, out, err)

    def close(self) -> None:
        """This process starts no more."""
        self._alive.close()

    def _connected(self, folder: Path) -> socket.socket:
        with (folder / "warm.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return _connection(self._address)
            except OSError:  # there is none yet, or no more
                Path(self._address).unlink(missing_ok=True)
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PATH), "OMP_NUM_THREADS": "1"}
            os.posix_spawn(
                sys.executable, [sys.executable, __file__, self._address], environment
            )  # nobody waits for it
            while not Path(self._address).exists():
                time.sleep(0.05)
            return _connection(self._address)


def _connection(address: str) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


# What follows runs in the server.


def serve(address: str) -> None:
    """Until the last worker process has gone."""
    os.setsid()  # a Ctrl-C for the tests is none for it
    import lightning.pytorch  # noqa: F401  what all of them would import
    import wandb  # noqa: F401

    import mtal.launch
    import mtal.learning.experiment
    import mtal.selecting  # noqa: F401

    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(address + ".soon")
    listening.listen(64)
    Path(address + ".soon").rename(address)
    running: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select(0.02 if running else None):
                connection = key.fileobj
                assert isinstance(connection, socket.socket)
                if connection is listening:
                    selector.register(listening.accept()[0], selectors.EVENT_READ)
                    continue
                folder = connection.recv(4096).decode()
                selector.unregister(connection)
                if folder:
                    pid = os.fork()
                    if not pid:
                        listening.close()
                        _become(Path(folder))
                    running[pid] = connection
                    connection.send(str(pid).encode())
                else:
                    connection.close()
            _report(running)
            if len(selector.get_map()) == 1 and not running:
                return


def _report(running: dict[int, socket.socket]) -> None:
    """Tell the tests which of their programs have ended."""
    for pid, connection in list(running.items()):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            del running[pid]
            with connection, _gone():
                connection.send(str(os.waitstatus_to_exitcode(status)).encode())


@contextmanager
def _gone() -> Iterator[None]:
    """The test that asked for a program need not have waited for its end."""
    try:
        yield
    except (BrokenPipeError, ConnectionResetError):
        return


def _become(folder: Path) -> None:
    """The program that is asked for."""
    os.setsid()
    for number, name in ((1, OUT), (2, ERR)):
        with (folder / name).open("w") as file:
            os.dup2(file.fileno(), number)
    asked = json.loads((folder / "asked.json").read_text())
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.argv = asked["argv"]
    sys.path[0] = str(Path(sys.argv[0]).parent)
    os._exit(_exit_code(sys.argv[0]))


def _exit_code(script: str) -> int:
    """Of the script, run and cleaned up after as the interpreter does it."""
    code = 0
    try:
        runpy.run_path(script, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001  as the interpreter does
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
