"""Faults of the input, told in one line."""

from __future__ import annotations

from hydra.errors import InstantiationException
from omegaconf.errors import MissingMandatoryValue
from rich.console import Console

FAULTS_OF_INPUT = (
    ValueError,
    ArithmeticError,  # training that diverged
    OSError,
    LookupError,
    RuntimeError,
    MissingMandatoryValue,
    InstantiationException,
)
"""What a person can mend by other options, files or data; anything else is a fault of the program."""


def tell(error: Exception) -> None:
    """One red line on standard error that says what went wrong."""
    cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
    text = cause.args[0] if isinstance(cause, KeyError) and cause.args else cause
    if isinstance(cause, MissingMandatoryValue):
        text = (
            f"{str(cause).partition(chr(10))[0]}: give it on the command line, such as data.root=DIR or data.path=FILE"
        )
    Console(stderr=True).print(f"error: {text}", style="red", markup=False, soft_wrap=True)
