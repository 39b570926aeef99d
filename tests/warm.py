"""Programs that tests start, forked off one that has everything imported: imports take longer than most of them run.

They are processes like others, with a session, files, folder and environment of their own, and die of the same signals.
One server serves all worker processes of a test run, themselves forked off it, and ends with the last of them. A test
of what a start says or costs has to use ``subprocess``.
"""

from __future__ import annotations

import atexit
import fcntl
import gc
import json
import multiprocessing
import os
import pkgutil
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
import warnings
import weakref
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import warm_python

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
    """Starts programs.

    Args:
        folder: that of a test run, which all of its worker processes see.
        places: files and folders of tests that are to be ready for worker processes.
    """

    def __init__(self, folder: Path, places: Iterable[Path] = ()) -> None:
        self._folder = folder
        self._address = str(folder / "warm")
        self._alive = self._connected(folder, places)

    def start(self, script: Path, *arguments: object, cwd: Path | None = None, env: Mapping[str, str] = {}) -> Program:
        """``python script arguments``, with these variables beside those of this process.

        Processes that it starts are of the interpreter that the variable ``INTERPRETER`` names: :attr:`python`.
        """
        folder = Path(tempfile.mkdtemp(dir=self._folder, prefix="program_"))
        argv = [str(script), *map(str, arguments)]
        connection = warm_python.connection(self._address)
        with (folder / OUT).open("w") as out, (folder / ERR).open("w") as err:
            files = {1: out.fileno(), 2: err.fileno()}
            variables = {**os.environ, "INTERPRETER": self.python, **env}
            pid = warm_python.ask(connection, argv, files, str(cwd or Path.cwd()), variables)
        return Program(argv, pid, folder / OUT, folder / ERR, connection)

    def run(self, script: Path, *arguments: object, timeout: float = 500) -> subprocess.CompletedProcess[str]:
        """To its end."""
        program = self.start(script, *arguments)
        out, err = program.communicate(timeout)
        assert program.returncode is not None
        return subprocess.CompletedProcess(program.argv, program.returncode, out, err)

    @property
    def python(self) -> str:
        """An interpreter to put in the place of ``sys.executable``; see ``tests/warm_python.py``."""
        path = self._folder / "python"
        if not path.exists():
            unfinished = path.with_name(f"python.{os.getpid()}")
            source = Path(warm_python.__file__).read_text()
            unfinished.write_text(f"#!{sys.executable} -ISB\nADDRESS = {self._address!r}\n{source}")
            unfinished.chmod(0o755)
            unfinished.replace(path)
        return str(path)

    def close(self) -> None:
        """This process starts no more."""
        self._alive.close()

    def _connected(self, folder: Path, places: Iterable[Path]) -> socket.socket:
        with (folder / "warm.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                return warm_python.connection(self._address)
            except OSError:  # there is none yet, or no more
                Path(self._address).unlink(missing_ok=True)
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(PATH), "OMP_NUM_THREADS": "1"}
            command = [sys.executable, __file__, self._address, *map(str, places)]
            server = os.posix_spawn(sys.executable, command, environment)  # nobody waits for its end
            while not Path(self._address).exists():
                if os.waitpid(server, os.WNOHANG)[0]:
                    raise RuntimeError("what programs are forked off has ended before it had everything imported")
                time.sleep(0.05)
            return warm_python.connection(self._address)


# What follows runs in the server.


ALSO = ("lightning.pytorch", "sklearn.neighbors", "hypothesis", "nbclient", "nbformat")
"""What tests import beside mtal, and is slow to import."""
WARNS = "wandb_workspaces.reports.v2"
"""The one thing that is imported although it warns; see ``tests/reporting/test_dashboard.py``."""

ASIDE = "mtal.scoring.ray_crew"
"""It imports Ray, which does not outlive a fork."""


def serve(address: str, places: list[Path]) -> None:
    """Until the last worker process has gone."""
    os.setsid()  # a Ctrl-C for the tests is none for it
    with _rewriting(places, Path(address + ".rewritten")):
        with warnings.catch_warnings(action="ignore"):
            import_module(WARNS)
        with warnings.catch_warnings(action="error"):  # as when tests import it
            for name in (*ALSO, *_own_modules()):
                import_module(name)
        _compose()
    _ask_packages_once()
    gc.collect()
    gc.freeze()  # else each child goes through all that was imported, and copies it
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listening.bind(address + ".soon")
    listening.listen(64)
    Path(address + ".soon").rename(address)
    begun = False
    with selectors.DefaultSelector() as selector:
        selector.register(listening, selectors.EVENT_READ)
        while len(selector.get_map()) > 1 or not begun:
            for key, _ in selector.select():
                begun = True
                if key.fileobj is listening:
                    selector.register(listening.accept()[0], selectors.EVENT_READ)
                    continue
                selector.unregister(key.fileobj)
                if isinstance(key.fileobj, socket.socket):
                    _answer(key.fileobj, listening, selector)
                else:
                    _report(key.fileobj, *key.data)


def _answer(connection: socket.socket, listening: socket.socket, selector: selectors.BaseSelector) -> None:
    """Fork what is asked for, unless a worker process has gone."""
    asked, files = b"", []
    with _gone():
        asked, files, _, _ = socket.recv_fds(connection, warm_python.LARGEST, warm_python.MOST_FILES)
    if not asked:
        connection.close()
        return
    pid = os.fork()
    if not pid:
        listening.close()
        _become(json.loads(asked), files, connection)
    for file in files:
        os.close(file)
    selector.register(os.pidfd_open(pid), selectors.EVENT_READ, (pid, connection))
    with _gone():
        connection.send(str(pid).encode())


def _ask_packages_once() -> None:
    """Whether any of them has callbacks for Lightning, which asks all of them at the beginning of each training."""
    from lightning.fabric.utilities import registry

    registry.entry_points = cache(registry.entry_points)  # type: ignore[assignment]


def _compose() -> None:
    """What most programs choose from."""
    from composed import CONFIGS
    from hydra import compose, initialize_config_dir
    from remembered import remember_choices

    from mtal.launch import register

    remember_choices()
    register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        compose("config")


def _own_modules() -> Iterator[str]:
    for module in pkgutil.walk_packages([str(TESTS.parent / "mtal")], "mtal."):
        if module.name != ASIDE:
            yield module.name


@contextmanager
def _rewriting(places: list[Path], folder: Path) -> Iterator[None]:
    """Meanwhile another process rewrites the assertions of tests for the worker processes."""
    if not places:
        yield
        return
    import rewritten

    pid = os.fork()
    if not pid:
        try:
            rewritten.rewrite_all(places, folder)
        finally:
            os._exit(0)
    yield
    os.waitpid(pid, 0)
    rewritten.look_there(folder)


def _report(ended: int, pid: int, connection: socket.socket) -> None:
    """Tell the test that its program has ended."""
    os.close(ended)
    _, status = os.waitpid(pid, 0)
    with connection, _gone():
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


@contextmanager
def _gone() -> Iterator[None]:
    """Whoever asked for a program need not have waited for its end, nor even for its beginning."""
    try:
        yield
    except (BrokenPipeError, ConnectionResetError):
        return


def _become(asked: dict[str, Any], files: list[int], connection: socket.socket) -> None:
    """The program that is asked for."""
    os.setsid()
    above = max(asked["files"]) + 1000  # no number of those that the program is to have, nor of any that is open here
    starter, *files = (fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, above) for file in (connection.detach(), *files))
    for file, number in zip(files, asked["files"], strict=True):
        os.dup2(file, number)
        os.close(file)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.executable = asked["env"].get("INTERPRETER", sys.executable)
    multiprocessing.set_executable(sys.executable)
    _have_own_folders()
    known = asked["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[1:1] = [path for path in known if path and path not in sys.path]
    if asked["watched"]:
        _end_with(starter)
    os._exit(_exit_code(asked["argv"]))


def _have_own_folders() -> None:
    """In place of those that libraries made when they were imported, and whichever process ends first would remove."""
    for finalizer in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        folder = finalizer.peek()[0]
        if isinstance(folder, tempfile.TemporaryDirectory):
            finalizer.detach()
            folder.__init__()  # type: ignore[misc]


def _end_with(connection: int) -> None:
    """Have this process killed when the one dies that stands for it where it was started, even if it hangs by then."""
    fcntl.fcntl(connection, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(connection, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(connection, fcntl.F_SETFL, fcntl.fcntl(connection, fcntl.F_GETFL) | os.O_ASYNC)
    with socket.socket(fileno=os.dup(connection)) as starter:
        try:
            starter.recv(1, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
    os.kill(os.getpid(), signal.SIGKILL)  # it had died before


def _exit_code(argv: list[str]) -> int:
    """Of a program, run and cleaned up after as the interpreter does it."""
    code = 0
    try:
        _run(argv)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if code and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001  as the interpreter does
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if not stream.closed:
            stream.flush()
    return code


def _run(argv: list[str]) -> None:
    """``python argv``: a script, ``-m module`` or ``-c code``; other options are passed over."""
    while argv[0].startswith("-") and argv[0] not in ("-m", "-c"):
        argv = argv[2 if argv[0] in ("-W", "-X") else 1 :]
    if argv[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *argv[2:]], ""
        sys.modules["__main__"] = ModuleType("__main__")
        exec(argv[1], sys.modules["__main__"].__dict__)
    elif argv[0] == "-m":
        sys.argv, sys.path[0] = argv[1:], str(Path.cwd())
        runpy.run_module(argv[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = argv, str(Path(argv[0]).parent)
        runpy.run_path(argv[0], run_name="__main__")


if __name__ == "__main__":
    serve(sys.argv[1], list(map(Path, sys.argv[2:])))
    os._exit(0)  # libraries would complain of what is left of them
