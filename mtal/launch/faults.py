"""Faults of the input, told in one line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hydra.errors import InstantiationException
from omegaconf import MISSING, DictConfig, OmegaConf
from rich.console import Console

FAULTS_OF_INPUT = (
    ValueError,
    ArithmeticError,  # training that diverged
    OSError,
    LookupError,
    RuntimeError,
    InstantiationException,
)
"""What a person can mend by other options, files or data; anything else is a fault of the program."""


def refuse_missing(config: DictConfig) -> None:
    """Options that have no default are given.

    Raises:
        ValueError: some are not; all are named.

    >>> oracle = {"root": "???", "store": "${.root}/labels"}
    >>> refuse_missing(OmegaConf.create({"data": {"root": "???"}, "oracle": oracle}))
    Traceback (most recent call last):
    ValueError: data.root, oracle.root: no value was given; add data.root=… oracle.root=… to the command line
    """
    if missing := sorted(_missing(OmegaConf.to_container(config))):  # missing_keys fails at interpolations of them
        given = " ".join(f"{key}=…" for key in missing)
        raise ValueError(f"{', '.join(missing)}: no value was given; add {given} to the command line")


def _missing(node: Any, place: str = "") -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            yield from _missing(value, f"{place}.{key}".lstrip("."))
    elif node == MISSING:
        yield place


def tell(error: Exception) -> None:
    """One red line on standard error that says what went wrong."""
    cause = error.__cause__ if isinstance(error, InstantiationException) and error.__cause__ else error
    text = cause.args[0] if isinstance(cause, KeyError) and cause.args else cause
    Console(stderr=True).print(f"error: {text}", style="red", markup=False, soft_wrap=True)
