"""One video looked at once: which of its sampled frames are kept, and why the others are not."""

from __future__ import annotations

import hashlib
import io
import json
import traceback
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from mtal.frames.decoder import versions
from mtal.frames.heartbeat import beat
from mtal.frames.hygiene import Hygiene
from mtal.frames.image_folder import ImageFolder, parse_folder_source
from mtal.frames.pyav_reader import PyAVReader
from mtal.frames.sampler import Sampler
from mtal.frames.timeline import Truncated
from mtal.whole_files import whole_or_not

_FORMAT = 4  # raised whenever a scan would come out differently
_THUMBNAIL = 96  # pixels along the short edge
_TABLE = ["frame", "time_s", "reason", "value", "threshold"]


def scan(source: Path | str, sampler: Sampler, hygiene: Hygiene, on_truncated: Truncated = "raise") -> pd.DataFrame:
    """Sampled frames of a recording: ``frame, time_s, reason, value, threshold, thumbnail``.

    It is a video, or the ``folder_source`` of a folder of pictures. The last four are of dropped frames only: the first
    reason that holds, what was measured, the threshold it passed and a small JPEG.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file cannot be read.
    """
    rows = []
    pictures = parse_folder_source(str(source))
    opened = ImageFolder(*pictures) if pictures.folder.is_dir() else PyAVReader(Path(source), on_truncated)
    with opened as reader:
        inspect = hygiene.inspector()
        for position, picture in sampler.sample(reader):
            fault = inspect(picture)
            beat(int(reader.frames[position]))
            rows.append(
                {
                    "frame": int(reader.frames[position]),
                    "time_s": float(reader.times_s[position]),
                    "reason": fault and fault.reason,
                    "value": fault and float(fault.value),
                    "threshold": fault and float(fault.threshold),
                    "thumbnail": fault and _jpeg(picture),
                }
            )
    types = {"frame": "int64", "time_s": "float64", "value": "float64", "threshold": "float64"}
    return pd.DataFrame(rows, columns=[*_TABLE, "thumbnail"]).astype(types)


def source_files(source: Path | str) -> list[Path]:
    """The file of a video, or those of a folder of pictures."""
    pictures = parse_folder_source(str(source))
    return pictures.images() if pictures.folder.is_dir() else [Path(source)]


class StoredScan:
    """What came of :func:`scan`, on disk under a name that depends on the file and the settings.

    The file stands for its content by path, size and time of change; so do pictures, and by their names. There is one
    Parquet file for a video that was scanned, one JSON file with the reason for one that was not.
    """

    def __init__(
        self, folder: Path, source: Path | str, sampler: Sampler, hygiene: Hygiene, on_truncated: Truncated = "raise"
    ) -> None:
        self.source, self.sampler, self.hygiene, self.on_truncated = source, sampler, hygiene, on_truncated
        self.passing = ""  # why the video could not be looked through this time
        files = source_files(source)
        stats: list[int | str] = [part for s in map(Path.stat, files) for part in (s.st_size, s.st_mtime_ns)]
        if files != [Path(source)]:  # pictures, whose names say which frame they are
            stats += [file.name for file in files]
        made_by = [_FORMAT, versions(), repr(sampler), repr(hygiene), on_truncated]
        content = json.dumps([*made_by, str(source), *stats])
        key = hashlib.sha256(content.encode()).hexdigest()[:32]
        self._frames, self._fault = folder / f"{key}.parquet", folder / f"{key}.json"

    @property
    def done(self) -> bool:
        """Whether the video was scanned, or found to be bad."""
        return self._frames.exists() or self._fault.exists()

    def run(self) -> None:
        """Scan the video and store what comes of it, a fault of the video included.

        A file that is gone or may not be read is no fault of the video: it is ``passing``, and not stored.

        Raises:
            OSError: the system is at fault: too many files are open, the disk is full or fails.
        """
        try:
            frames = scan(self.source, self.sampler, self.hygiene, self.on_truncated)
        except (FileNotFoundError, PermissionError) as error:
            self.passing = str(error)
            return
        except (ValueError, IndexError) as error:
            self.quarantine(str(error))
            return
        with whole_or_not(self._frames) as unnamed:
            frames.to_parquet(unnamed, index=False)

    def quarantine(self, reason: str) -> None:
        """Store why the video cannot be used."""
        with whole_or_not(self._fault) as unnamed:
            unnamed.write_text(json.dumps({"source": str(self.source), "reason": reason}, indent=1))

    def frames(self) -> pd.DataFrame | None:
        """Result of :func:`scan` without the thumbnails, or ``None`` if the video cannot be used."""
        return pd.read_parquet(self._frames, columns=_TABLE) if self._frames.exists() else None

    def thumbnail(self, frame: int) -> bytes:
        """Of a frame that was dropped. Those of many recordings would not fit into memory."""
        rows = pd.read_parquet(self._frames, columns=["thumbnail"], filters=[("frame", "==", frame)])
        return bytes(rows["thumbnail"].iloc[0])

    def fault(self) -> dict[str, str]:
        """``source``, ``reason`` and the ``file`` to delete for another try, ``""`` where nothing is stored."""
        if self.passing:
            return {"source": str(self.source), "reason": self.passing, "file": ""}
        return {**json.loads(self._fault.read_text()), "file": str(self._fault)}


def run_elsewhere(stored: StoredScan) -> str:
    """Run a scan for another process, and tell it what is ``passing``.

    Raises:
        OSError: the system is at fault.
        RuntimeError: the program is at fault; says where, which an error that is sent on does not.
    """
    try:
        stored.run()
    except OSError:
        raise
    except Exception as error:
        raise RuntimeError("".join(traceback.format_exception(error))) from error
    return stored.passing


def _jpeg(picture: NDArray[np.uint8]) -> bytes:
    image = Image.fromarray(picture)
    scale = _THUMBNAIL / min(image.size)
    image.thumbnail((round(image.width * scale), round(image.height * scale)))
    content = io.BytesIO()
    image.save(content, "JPEG", quality=80)
    return content.getvalue()
