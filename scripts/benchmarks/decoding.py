"""What it costs to sample frames from a video, against a bare decode of it, each in turns on the same clip."""

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
from PIL import Image
from rich.table import Table

from mtal.frames import FrameCache, KeyframeSampler, PyAVReader, UniformSampler, open_reader

HEIGHT, WIDTH, RATE, GROUP = 480, 854, 25, 250
MARGIN = 400  # pixels that the camera may move


def make_clip(path: Path, seconds: int) -> None:
    """A camera wanders over a texture; H.264, B-frames, a keyframe every 250 frames."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, ((HEIGHT + MARGIN) // 4, (WIDTH + MARGIN) // 4, 3), dtype=np.uint8)
    texture = np.asarray(Image.fromarray(noise).resize((WIDTH + MARGIN, HEIGHT + MARGIN), Image.Resampling.BICUBIC))
    options = {"g": str(GROUP), "keyint_min": str(GROUP), "sc_threshold": "0", "preset": "veryfast"}
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=RATE, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for k in range(seconds * RATE):
            y, x = (int(MARGIN / 2 * (1 + np.sin(k / period))) for period in (31, 40))
            frame = av.VideoFrame.from_ndarray(texture[y : y + HEIGHT, x : x + WIDTH].copy(), format="rgb24")
            frame.pts, frame.time_base = k, Fraction(1, RATE)
            out.mux(stream.encode(frame))
        out.mux(stream.encode())


BATCH = 16  # pictures read from the cache at once, as learning and scoring read it


def bare(path: Path) -> int:
    """Every frame decoded in sequence and none of them looked at, with the threads that the reader uses."""
    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        return sum(1 for _ in container.decode(video=0))


def every_second(path: Path) -> int:
    """As a scan of recordings does it, in the process that decodes."""
    with PyAVReader(path) as reader:
        return sum(1 for _ in UniformSampler(1.0).sample(reader))


def every_second_guarded(path: Path) -> int:
    """By a process that can be ended, which sends each picture over."""
    with open_reader(path) as reader:
        return sum(1 for _ in UniformSampler(1.0).sample(reader))


def keyframes(path: Path) -> int:
    with PyAVReader(path) as reader:
        return sum(1 for _ in KeyframeSampler().sample(reader))


def compare(
    side_by_side: Callable[[dict[str, Callable[[], object]], int], dict[str, float]], seconds: int, repeats: int
) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        make_clip(path, seconds)
        frames = bare(path), every_second(path), keyframes(path)
        if frames != (seconds * RATE, seconds, -(-seconds * RATE // GROUP)):
            raise RuntimeError(f"{frames} frames came of {seconds} s")
        rows = pd.DataFrame({"source": str(path), "frame": np.arange(0, seconds * RATE, RATE)})

        def cached() -> int:
            frames = FrameCache(Path(folder) / "cache").get(rows, (HEIGHT, WIDTH), progress=False)
            return sum(len(frames[start : start + BATCH]) for start in range(0, len(frames), BATCH))

        measured = side_by_side(
            {
                "bare": lambda: bare(path),
                "every_second": lambda: every_second(path),
                "every_second_guarded": lambda: every_second_guarded(path),
                "keyframes": lambda: keyframes(path),
                "cached": cached,
            },
            repeats,
        )
    table = Table(title=f"Sampling {seconds} s of H.264, {WIDTH}x{HEIGHT}, {RATE} Hz, a keyframe every {GROUP} frames")
    for heading in ("what", "seconds", "ratio", "bar"):
        table.add_column(heading, justify="left" if heading == "what" else "right")
    one = measured["bare"]
    table.add_row("bare sequential decode by PyAV", f"{one:.3f}", "", "")
    for what, name, ratio, bar in (
        ("one frame per second ÷ bare decode", "every_second", measured["every_second"] / one, "≤ 1.15"),
        (
            "the same, pictures sent from another process",
            "every_second_guarded",
            measured["every_second_guarded"] / one,
            "",
        ),
        ("bare decode ÷ keyframes", "keyframes", one / measured["keyframes"], "≥ 10"),
        ("bare decode ÷ the same frames from the cache", "cached", one / measured["cached"], "≥ 20"),
    ):
        table.add_row(what, f"{measured[name]:.3f}", f"{ratio:.2f}", bar)
    return table
