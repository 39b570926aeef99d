"""Warnings as a person wants them: one line, once."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console


@contextmanager
def plain_warnings(console: Console) -> Iterator[None]:
    """Print each different warning once, as ``warning: <sentence>``, without the line of code that gave it.

    Warnings that are turned into errors, or ignored, stay so.
    """
    told: set[str] = set()
    before = warnings.showwarning

    def show(message: Warning | str, *_: Any, **__: Any) -> None:
        if str(message) not in told:
            told.add(str(message))
            console.print(f"warning: {message}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
