"""Text of the files of data sets."""

from __future__ import annotations

from pathlib import Path


def read_text(path: Path) -> str:
    """What a file in UTF-8 says, with the mark of it at its beginning or not.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is in another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: this is no text in UTF-8 ({error}); save it as such") from error
