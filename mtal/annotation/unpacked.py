"""A zip that is given back: unpacked, or refused by what is wrong with it."""

from __future__ import annotations

import lzma
import stat
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from zipfile import BadZipFile, ZipFile, ZipInfo

from mtal.datasets.annotations.files import MOST_BYTES, inside
from mtal.refusals import Refusals

_BEGINS = b"PK\x03\x04"
_IS_ENCRYPTED = 0x1
_ANEW = "give the file as it was exported, or pack it anew as a common zip"
_AGAIN = "copy it again from where it is whole, or export again"


def unpack(path: Path, folder: Path, is_read: Callable[[ZipInfo], bool]) -> None:
    """Unpack what is read of a zip.

    Args:
        path: the zip.
        folder: an empty one.
        is_read: says whether a file in it is.

    Raises:
        ValueError: it is no zip, is not whole or encrypted, is packed in a way that Python does not know, or holds a
            name that leads elsewhere, a name twice or too large a file.
        OSError: it cannot be read, or ``folder`` cannot be written.
    """
    with _opened(path) as archive:
        if any(member.header_offset < 0 for member in archive.infolist()):
            raise ValueError(f"{path}: this zip is not whole, what it lists would lie before its beginning; {_AGAIN}")
        refusals = Refusals()
        for member in archive.infolist():
            with refusals:
                _refuse_way_out(path, member)
        wanted = [member for member in archive.infolist() if is_read(member)]
        times = Counter(member.filename for member in wanted)
        for member in {member.filename: member for member in wanted}.values():
            with refusals:
                _refuse(path, member, times[member.filename])
        refusals.tell()
        for member in wanted:
            with refusals:
                _extract(path, archive, member, folder)
        refusals.tell()


def _opened(path: Path) -> ZipFile:
    try:
        return ZipFile(path)
    except NotImplementedError as error:
        raise ValueError(f"{path}: this zip is of a kind that is not read ({error}); {_ANEW}") from None
    except (BadZipFile, ValueError) as error:
        with path.open("rb") as file:
            begin = file.read(len(_BEGINS))
        if not begin:
            raise ValueError(f"{path}: this zip is empty, without a single byte; {_AGAIN}") from None
        if begin != _BEGINS:
            told = "this is no zip, whatever its name says; give the file that was exported"
            raise ValueError(f"{path}: {told}") from None
        told = f"this zip is not whole, its list of contents is cut off or broken ({error})"
        raise ValueError(f"{path}: {told}; {_AGAIN}") from None


def _refuse_way_out(path: Path, member: ZipInfo) -> None:
    if inside(member.filename) is None or stat.S_ISLNK(member.external_attr >> 16):
        raise ValueError(
            f"{path}: it holds {member.filename!r}, which leads out of its folder, so nothing of it was read; give the "
            "file that was exported"
        )


def _refuse(path: Path, member: ZipInfo, times: int) -> None:
    if member.file_size > MOST_BYTES:
        raise ValueError(
            f"{path}: {member.filename} has {member.file_size / 2**30:.1f} GiB; export fewer images at once"
        )
    if times > 1:
        raise ValueError(f"{path}: it holds {times} files called {member.filename}; keep one")
    if member.flag_bits & _IS_ENCRYPTED:
        raise ValueError(f"{path}: {member.filename} is encrypted; {_ANEW} and without a password")


def _extract(path: Path, archive: ZipFile, member: ZipInfo, folder: Path) -> None:
    try:
        archive.extract(member, folder)
    except NotImplementedError as error:
        told = f"{member.filename} is packed by method {member.compress_type}, which is not read ({error})"
        raise ValueError(f"{path}: {told}; {_ANEW}") from None
    except (BadZipFile, EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the system; bz2 has none
            raise
        told = str(error) or "it ends too early"
        raise ValueError(f"{path}: {member.filename} in it is damaged ({told}); {_AGAIN}") from None
