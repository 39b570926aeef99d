"""Test files with their assertions rewritten once for all worker processes: nothing else of their import takes as long.

pytest keeps them beside the files where Python may write there, but processes that start together each do it anew.
"""

from __future__ import annotations

import importlib.util
import marshal
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from types import CodeType
from typing import Any

from _pytest.assertion import rewrite


def rewrite_all(places: Iterable[Path], folder: Path) -> None:
    """Those of test files, or of all that are below folders, which pytest has not kept from an earlier run."""
    folder.mkdir()
    for path in (path for place in places for path in _test_files(place)):
        if rewrite._read_pyc(path, rewrite.get_cache_dir(path) / f"{path.stem}{rewrite.PYC_TAIL}") is None:
            with suppress(SyntaxError):  # pytest will tell
                _kept(path, folder).write_bytes(marshal.dumps(rewrite._rewrite_test(path, None)))


def look_there(folder: Path) -> None:
    """From now on, and in whatever is forked off this process, take what is there where the file is still the same."""
    plain: Callable[..., tuple[bytes, CodeType]] = rewrite._rewrite_test

    def _rewrite_test(path: Path, config: Any) -> tuple[bytes, CodeType]:
        kept = _kept(path, folder)
        if kept.exists():
            digest, code = marshal.loads(kept.read_bytes())
            if digest == importlib.util.source_hash(path.read_bytes()):
                return digest, code
        return plain(path, config)

    rewrite._rewrite_test = _rewrite_test


def _test_files(place: Path) -> list[Path]:
    if place.is_file():
        return [place]
    return sorted((*place.rglob("conftest.py"), *place.rglob("test_*.py")), key=lambda path: path.name != "conftest.py")


def _kept(path: Path, folder: Path) -> Path:
    return folder / str(path).replace(os.sep, "%")
