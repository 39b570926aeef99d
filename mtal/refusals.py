"""All that is wrong with an input, told at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType

LISTED = 10
"""How many faults have a line of their own, beside their count."""
SHOWN = 3
"""How many of a kind are named within one line, beside their count."""
_KINDS = (FileNotFoundError, IndexError, TimeoutError)  # told as what they are where all are


class Refusals:
    """Gathers faults of the input until :meth:`tell`, so that nobody mends a hundred cells one run at a time.

    >>> refusals = Refusals()
    >>> for cell in ("1", "x", "2", "y"):
    ...     with refusals:
    ...         number = int(cell)
    >>> len(refusals)
    2

    Faults that are many and alike are counted by kind:

    >>> refusals = Refusals(Path("a.json"))
    >>> for k in range(5):
    ...     refusals.add("annotations without a category", f"annotation {k}")
    >>> refusals.tell("mend it")
    Traceback (most recent call last):
    ValueError: a.json: annotations without a category: 5 (annotation 0, annotation 1, annotation 2, …); mend it

    Args:
        source: the input, of which :meth:`add` tells.
    """

    def __init__(self, source: Path | None = None) -> None:
        self._source = source
        self._errors: dict[str, Exception] = {}  # by message, in order
        self._alike: dict[str, list[str]] = {}  # by kind

    def __enter__(self) -> Refusals:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, (ValueError, FileNotFoundError)):
            return False
        self.take(error)
        return True

    def take(self, error: Exception) -> None:
        """One more fault, or those that another has gathered; the same message is kept once."""
        for each in getattr(error, "refused", [error]):
            self._errors.setdefault(str(each), each)

    def add(self, kind: str, which: str) -> None:
        """One more fault of many.

        Args:
            kind: in the plural, such as ``"images without a name"``.
            which: of them.
        """
        self._alike.setdefault(kind, []).append(which)

    def __len__(self) -> int:
        return len(self._errors) + sum(map(len, self._alike.values()))

    def tell(self, way_out: str = "", error: type[Exception] = ValueError, what: str = "faults") -> None:
        """Raise what was gathered, if anything: the one error, or how many there are and the first ten.

        Args:
            way_out: what to do about those of :meth:`add`.
            error: their type.
            what: of what the others are, as in ``"of 9 sources cannot be read"``.

        Raises:
            ValueError: something is wrong; ``error``, :class:`FileNotFoundError`, :class:`IndexError` or
                :class:`TimeoutError` where all that is wrong is such.
        """
        if self._alike:
            kinds = "; ".join(f"{kind}: {len(some)} ({first_of(some)})" for kind, some in self._alike.items())
            self.take(error(f"{self._source}: {kinds}; {way_out}"))
            self._alike = {}
        errors = list(self._errors.values())
        if not errors:
            return
        if len(errors) == 1:
            raise errors[0]
        lines = [f"  {text}" for text in list(self._errors)[:LISTED]]
        rest = [f"  and {len(errors) - LISTED} more"] if len(errors) > LISTED else []
        kind = next((k for k in _KINDS if all(isinstance(e, k) for e in errors)), ValueError)
        told = kind("\n".join([f"{len(errors)} {what}:", *lines, *rest]))
        vars(told)["refused"] = errors  # for those who gather more
        raise told from errors[0]


def refuse(faults: Iterable[str], what: str = "wrong options") -> None:
    """Tell all faults at once, if there are any.

    >>> refuse(f"{name} must be at least 1" for name in ("steps", "epochs"))
    Traceback (most recent call last):
    ValueError: 2 wrong options:
      steps must be at least 1
      epochs must be at least 1

    Raises:
        ValueError: there are some.
    """
    refusals = Refusals()
    for fault in faults:
        refusals.take(ValueError(fault))
    refusals.tell(what=what)


def first_of(some: Sequence[object]) -> str:
    """The first three.

    >>> first_of([25, 50, 75, 100])
    '25, 50, 75, …'
    """
    return ", ".join(map(str, some[:SHOWN])) + (", …" if len(some) > SHOWN else "")
