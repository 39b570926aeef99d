"""Warnings as a person wants them: one line, once."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console

from mtal.acquisition import RoundWarning


@contextmanager
def plain_warnings(console: Console) -> Iterator[None]:
    """Print each different warning once, as ``warning: <sentence>``, without the line of code that gave it.

    Those about a round count as the same whatever their numbers are, since the next round gives them again. Warnings
    that are turned into errors, or ignored, stay so.
    """
    told: set[str] = set()
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        what = re.sub(r"\d+", "", str(message)) if issubclass(category, RoundWarning) else str(message)
        if what not in told:
            told.add(what)
            console.print(f"warning: {message}", style="yellow", markup=False, highlight=False, soft_wrap=True)

    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
