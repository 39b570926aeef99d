"""Programs that are forked off one that has everything imported end as others do."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import warm_python

HOLD = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"


@pytest.fixture
def python(warm):
    return warm.python


def started(python: str) -> tuple[subprocess.Popen[str], int]:
    """The interpreter, and the process that does its work."""
    process = subprocess.Popen([python, "-c", HOLD], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def ended(pid: int) -> bool:
    until = time.monotonic() + 10
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    return not Path(f"/proc/{pid}").exists()


def test_code_arguments_folder_variables_and_files(python, tmp_path):
    code = (
        "import os, sys; print(sys.argv[1], os.environ['TOLD'], input()); os.write(int(sys.argv[2]), b'x'); sys.exit(3)"
    )
    read, write = os.pipe()
    try:
        done = subprocess.run(
            [python, "-u", "-c", code, "one", str(write)],
            cwd=tmp_path,
            env={**os.environ, "TOLD": "two"},
            input="three",
            capture_output=True,
            text=True,
            pass_fds=[write],
            check=False,
        )
        assert (done.returncode, done.stdout, done.stderr) == (3, "one two three\n", "")
        assert os.read(read, 9) == b"x"
    finally:
        os.close(read)
        os.close(write)


def test_a_module(python):
    command = [python, "-m", "json.tool", "--compact"]
    done = subprocess.run(command, input='{"a": 1}', capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, '{"a":1}\n')


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_ends_by_the_signal_and_takes_its_work_along(python, number):
    process, pid = started(python)
    with process:
        process.send_signal(number)
        assert process.wait(10) == -number
    assert ended(pid)


def test_takes_along_work_that_hangs_in_c(python):
    code = "import os, re; print(os.getpid(), flush=True); re.match('(a+)+$', 'a' * 64 + 'b')"
    with subprocess.Popen([python, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        pid = int(process.stdout.readline())
        time.sleep(0.1)
        process.kill()
    assert ended(pid)


def test_ends_as_its_work_does(python):
    process, pid = started(python)
    with process:
        os.kill(pid, signal.SIGSEGV)
        assert process.wait(10) == -signal.SIGSEGV


def test_outlives_whoever_goes_before_the_answer(python):
    """A test that kills what it started may do so before the server has told its process number."""
    asked = {"argv": ["-c", ""], "files": [0], "cwd": "/", "env": {}, "watched": False}
    with warm_python.connection(str(Path(python).with_name("warm"))) as asking, Path(os.devnull).open() as nothing:
        socket.send_fds(asking, [json.dumps(asked).encode()], [nothing.fileno()])
    assert subprocess.run([python, "-c", "print(1)"], capture_output=True, text=True, check=True).stdout == "1\n"


def test_has_folders_of_its_own_where_libraries_made_some_on_import(python):
    """W&B's: the first program that ended took away that of all."""
    code = "from wandb.sdk.data_types._private import MEDIA_TMP as own; print(own.name)"
    names = [
        subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        for _ in range(2)
    ]
    assert names[0] != names[1]
    assert not any(Path(name).exists() for name in names)
