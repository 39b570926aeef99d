"""Objects of the configuration, and all that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig

from mtal.refusals import Refusals


def made(node: DictConfig) -> Any:
    """The object that ``node`` describes, or else all that is wrong with those inside it.

    What is wrong with an object's own options is told once those that it is made of are right.

    Raises:
        ValueError: options are wrong, or the data are.
        FileNotFoundError: data are missing.
        InstantiationException: there is no such object or option, or anything else went wrong.
    """
    try:
        return instantiate(node)
    except InstantiationException as error:
        failed = error
    refusals = Refusals()
    refuse_inside(node, refusals)
    refusals.tell(what="wrong options")
    if isinstance(failed.__cause__, (ValueError, FileNotFoundError)):
        raise failed.__cause__
    raise failed


def refuse_inside(node: DictConfig, refusals: Refusals) -> None:
    """Gather what is wrong with the objects that the one of ``node`` is made of, but not with itself."""
    for inner in _objects_in(node):
        with refusals:
            made(inner)


def _objects_in(node: DictConfig | ListConfig) -> Iterator[DictConfig]:
    for inner in node.values() if isinstance(node, DictConfig) else node:
        if isinstance(inner, DictConfig) and "_target_" in inner:
            yield inner
        elif isinstance(inner, (DictConfig, ListConfig)):
            yield from _objects_in(inner)
