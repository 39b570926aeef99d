"""All faults of an annotation file, told at once."""

from __future__ import annotations

from pathlib import Path

_TOLD = 3


class Tally:
    """Counts faults by kind and keeps the first three of each.

    >>> tally = Tally(Path("a.json"))
    >>> for k in range(5):
    ...     tally.add("annotations without a category", f"annotation {k}")
    >>> tally.tell("mend it")
    Traceback (most recent call last):
    ValueError: a.json: annotations without a category: 5 (annotation 0, annotation 1, annotation 2, …); mend it
    """

    def __init__(self, source: Path) -> None:
        self._source = source
        self._counts: dict[str, int] = {}
        self._first: dict[str, list[str]] = {}

    def add(self, kind: str, which: str) -> None:
        """One more fault.

        Args:
            kind: in the plural, such as ``"images without a name"``.
            which: of them.
        """
        self._counts[kind] = self._counts.get(kind, 0) + 1
        first = self._first.setdefault(kind, [])
        if len(first) < _TOLD:
            first.append(which)

    def __len__(self) -> int:
        return sum(self._counts.values())

    def tell(self, way_out: str, error: type[ValueError | FileNotFoundError] = ValueError) -> None:
        """Raise what was added, if anything.

        Args:
            way_out: what to do about it.
            error: its type.

        Raises:
            ValueError: something was added (or ``error``).
        """
        if not self._counts:
            return
        kinds = [
            f"{kind}: {count} ({', '.join(self._first[kind])}{', …' if count > _TOLD else ''})"
            for kind, count in self._counts.items()
        ]
        raise error(f"{self._source}: {'; '.join(kinds)}; {way_out}")
