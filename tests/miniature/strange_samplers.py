"""Samplers that fail in the ways of a decoder: they hang, crash, or are wrong."""

import errno
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class StrangeSampler:
    """On files whose name begins with ``how`` it does that, of others it takes every tenth frame."""

    how: str
    log: str  # a file that gets a line for every scan

    def sample(self, reader):
        with Path(self.log).open("a", encoding="utf-8") as log:
            log.write(f"{reader.source.name}\n")
        if reader.source.name.startswith(self.how):
            if self.how == "hang":
                time.sleep(600)
            elif self.how == "crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            elif self.how == "stop":
                os.kill(os.getpid(), signal.SIGTERM)
            elif self.how == "leave":
                os._exit(3)
            elif self.how == "program":
                raise TypeError("a fault of the program")
            elif self.how == "system":
                raise OSError(errno.EIO, "the disk fails")
        positions = range(0, len(reader), 10)
        yield from zip(positions, reader.read(list(positions)), strict=True)
