"""An interpreter that stands for one with everything imported, for what starts processes by itself (kernels, spawned
workers, submitit) where the test is not about how they start.

It has ``tests/warm.py`` fork a process that does the work, with its arguments, variables, folder and open files, ends
as that one does, and takes it along when it is killed. Only their process numbers differ.
"""

import json
import os
import signal
import socket
import sys

LARGEST = 1 << 18  # bytes of what is asked
MOST_FILES = 200


def connection(address: str) -> socket.socket:
    """To the server, which forks one program for each."""
    asking = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        asking.connect(address)
    except OSError:
        asking.close()
        raise
    return asking


def ask(
    server: socket.socket, argv: list[str], files: dict[int, int], cwd: str, env: dict[str, str], watched: bool = False
) -> int:
    """Start ``python argv`` with these open files, by the number that each has there; its process number comes back."""
    asked = {"argv": argv, "files": list(files), "cwd": cwd, "env": env, "watched": watched}
    socket.send_fds(server, [json.dumps(asked).encode()], list(files.values()))
    return int(server.recv(64))


def _stand(address: str) -> int:
    """For a process of the server, until it ends."""
    server = connection(address)
    listed = [int(name) for name in os.listdir("/proc/self/fd")]  # noqa: PTH208  pathlib is slow to import
    files = {file: file for file in listed if file != server.fileno() and _is_open(file)}
    pid = ask(server, sys.argv[1:], files, os.getcwd(), dict(os.environ), watched=True)  # noqa: PTH109
    for file in files:
        if file > 2:  # as an interpreter keeps those
            os.close(file)  # who is at their other ends must notice when the program closes them
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(pid, number))
    code = int(server.recv(64))
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


def _is_open(file: int) -> bool:
    try:
        os.fstat(file)
    except OSError:  # that of the listing
        return False
    return True


if __name__ == "__main__":
    os._exit(_stand(ADDRESS))  # type: ignore[name-defined]  # noqa: F821  the second line of the file that is written
