"""Objects of the configuration, and all that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf

from mtal.refusals import Refusals

_FAULTS = (ValueError, FileNotFoundError)


def made(node: DictConfig) -> Any:
    """The object that ``node`` describes, or else all that is wrong with it and with those inside it.

    Where one inside is wrong, the options around it are judged with what it is by default; where it has no default,
    they are once it is right.

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
    _refuse(node, failed, refusals)
    refusals.tell(what="wrong options")
    raise failed


def refuse_inside(node: DictConfig, refusals: Refusals) -> DictConfig | None:
    """Gather what is wrong with the objects that the one of ``node`` is made of, but not with itself.

    Returns:
        ``node`` with defaults in the place of what is wrong inside it; ``None`` where there are none.
    """
    around = OmegaConf.create(OmegaConf.to_container(node, resolve=True))
    assert isinstance(around, DictConfig)
    is_right = True
    for within, key in list(_objects_in(around)):
        inner = _right(within[key], refusals)
        is_right &= inner is not None
        if inner is not None:
            within[key] = inner
    return around if is_right else None


def _refuse(node: DictConfig, failed: InstantiationException, refusals: Refusals) -> tuple[DictConfig | None, bool]:
    """Gather what is wrong with an object that could not be made, and inside it.

    Returns:
        As :func:`refuse_inside`, and whether that can be made.
    """
    before = len(refusals)
    around = refuse_inside(node, refusals)
    if len(refusals) > before:  # it may have failed for what is inside it alone
        again = None if around is None else _failure(around)
        if again is None:
            return around, around is not None
        failed = again
    if isinstance(failed.__cause__, _FAULTS):
        refusals.take(failed.__cause__)
    elif len(refusals) == before:
        raise failed
    return around, False


def _right(node: DictConfig, refusals: Refusals) -> DictConfig | None:
    """``node`` with defaults in the place of what is wrong and gathered; ``None`` where there are none."""
    failed = _failure(node)
    if failed is None:
        return node
    around, is_right = _refuse(node, failed, refusals)
    if is_right or around is None:
        return around
    bare = OmegaConf.create({k: v for k, v in around.items() if str(k).startswith("_") or _has_objects(v)})
    return bare if _failure(bare) is None else None


def _failure(node: DictConfig) -> InstantiationException | None:
    try:
        instantiate(node)
    except InstantiationException as error:
        return error
    return None


def _objects_in(node: DictConfig | ListConfig) -> Iterator[tuple[DictConfig | ListConfig, Any]]:
    """Where they are, and under which key or at which place."""
    for key, inner in node.items() if isinstance(node, DictConfig) else enumerate(node):
        if isinstance(inner, DictConfig) and "_target_" in inner:
            yield node, key
        elif isinstance(inner, (DictConfig, ListConfig)):
            yield from _objects_in(inner)


def _has_objects(value: Any) -> bool:
    return isinstance(value, (DictConfig, ListConfig)) and ("_target_" in value or any(_objects_in(value)))
