"""All that is wrong with an input, told at once."""

from __future__ import annotations

from types import TracebackType

_TOLD = 3


class Refusals:
    """Gathers errors of the input until :meth:`tell`, so that nobody mends a hundred cells one run at a time.

    >>> refusals = Refusals()
    >>> for cell in ("1", "x", "2", "y"):
    ...     with refusals:
    ...         number = int(cell)
    >>> len(refusals)
    2
    """

    def __init__(self) -> None:
        self._errors: dict[str, ValueError | OSError] = {}  # by message, in order

    def __enter__(self) -> Refusals:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, (ValueError, FileNotFoundError)):
            return False
        self._errors.setdefault(str(error), error)
        return True

    def __len__(self) -> int:
        return len(self._errors)

    def tell(self) -> None:
        """Raise what was gathered, if anything: the one error, or how many there are and the first three.

        Raises:
            FileNotFoundError: all that is wrong are missing files.
            ValueError: something else is wrong.
        """
        errors = list(self._errors.values())
        if not errors:
            return
        if len(errors) == 1:
            raise errors[0]
        kind = FileNotFoundError if all(isinstance(e, FileNotFoundError) for e in errors) else ValueError
        lines = [f"  {text}" for text in list(self._errors)[:_TOLD]]
        rest = [f"  and {len(errors) - _TOLD} more"] if len(errors) > _TOLD else []
        raise kind("\n".join([f"{len(errors)} faults:", *lines, *rest])) from errors[0]
