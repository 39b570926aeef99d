"""What runs leave on disk."""

from __future__ import annotations

from pathlib import Path


def all_runs(root: Path) -> list[Path]:
    """Every run folder below ``root``."""
    return sorted(p.parent for p in root.rglob("tasks.json"))


def content(run: Path) -> dict[str, bytes]:
    """Every file of the rounds, to the byte, but for how long things took."""
    rounds = run / "rounds"
    return {
        str(f.relative_to(rounds)): f.read_bytes()
        for f in sorted(rounds.rglob("*"))
        if f.is_file() and f.name != "timings.json"
    }
