"""Fill a frame cache from an image folder, slowly, in a process of its own.

``cache_filler.py CACHE FOLDER LOG DELAY_S``
Every chunk of frames that is decoded adds a line to LOG and is followed by DELAY_S of sleep. The last line printed is
the mean of each cached frame.
"""

import os
import sys
import time
from pathlib import Path

import pandas as pd

from mtal.frames import cache as cache_module
from mtal.frames.image_folder import ImageFolder

FRAMES = 40  # two chunks


class SlowFolder(ImageFolder):
    def pictures(self, frames):
        pictures = super().pictures(frames)
        with Path(sys.argv[3]).open("a") as log:
            log.write(f"{os.getpid()} {frames[0]}\n")
        time.sleep(float(sys.argv[4]))
        return pictures


if __name__ == "__main__":
    cache_module.open_reader = lambda source, **_: SlowFolder(Path(source))
    rows = pd.DataFrame({"source": sys.argv[2], "frame": range(FRAMES)})
    frames = cache_module.FrameCache(sys.argv[1]).get(rows, (8, 8), progress=False)
    print(frames[:].mean(axis=(1, 2, 3)).astype(int).tolist())
