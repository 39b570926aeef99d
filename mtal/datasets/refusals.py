"""All that is wrong with an input, told at once."""

from __future__ import annotations

from types import TracebackType

_TOLD = 3


class FaultsError(ValueError):
    """Several things that are wrong with an input."""

    refused: list[ValueError | OSError]


class FilesMissingError(FileNotFoundError):
    """Several missing files."""

    refused: list[ValueError | OSError]


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
        for each in error.refused if isinstance(error, (FaultsError, FilesMissingError)) else [error]:
            self._errors.setdefault(str(each), each)
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
        kind = FilesMissingError if all(isinstance(e, FileNotFoundError) for e in errors) else FaultsError
        lines = [f"  {text}" for text in list(self._errors)[:_TOLD]]
        rest = [f"  and {len(errors) - _TOLD} more"] if len(errors) > _TOLD else []
        told = kind("\n".join([f"{len(errors)} faults:", *lines, *rest]))
        told.refused = errors  # for those who gather more
        raise told from errors[0]
