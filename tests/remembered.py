"""Hydra remembers what it has read and composed: a choice of groups costs it a fifth of a second, each time anew.

What the command line sets within them is applied to a copy, as ever. The folders that it reads from are not copied with
all that they hold whenever it looks for a file.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import replace
from typing import Any

from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from omegaconf import DictConfig

_listed: dict[Any, Any] = {}
_composed: dict[Any, DictConfig] = {}
_read: dict[Any, Any] = {}


def remember_choices() -> None:
    """From now on, and in whatever is forked off this process."""
    if config_loader_impl.create_defaults_list.__module__ != __name__:
        config_loader_impl.create_defaults_list = _listing(config_loader_impl.create_defaults_list)
        ConfigLoaderImpl._compose_config_from_defaults_list = _composing(
            ConfigLoaderImpl._compose_config_from_defaults_list
        )
        ConfigLoaderImpl._load_single_config = _merging(ConfigLoaderImpl._load_single_config)
        ConfigRepository.load_config = _reading(ConfigRepository.load_config)
        ConfigRepository.__deepcopy__ = _with_the_same_sources


def _sources(repo: Any) -> tuple[str, ...]:
    return tuple(str(source.path) for source in repo.get_sources())


def _listing(plain: Callable[..., Any]) -> Callable[..., Any]:
    """The configurations that a command line chooses, and what it sets in them."""

    def create_defaults_list(repo: Any, config_name: Any, overrides_list: Any, **options: Any) -> Any:
        choosing = [o for o in overrides_list if not isinstance(o.value(), dict) and repo.group_exists(o.key_or_group)]
        setting = [o for o in overrides_list if o not in choosing and not o.is_sweep_override()]
        lines = tuple(o.input_line for o in choosing)
        key = _sources(repo), config_name, lines, tuple(sorted(options.items()))
        if key not in _listed:
            _listed[key] = plain(repo=repo, config_name=config_name, overrides_list=overrides_list, **options)
        return replace(_listed[key], config_overrides=setting)

    return create_defaults_list


def _composing(plain: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    """Those configurations merged into one."""

    def _compose_config_from_defaults_list(self: ConfigLoaderImpl, defaults: Any, repo: Any) -> DictConfig:
        key = _sources(repo), repr(defaults)
        if key not in _composed:
            _composed[key] = plain(self, defaults=defaults, repo=repo)
        return deepcopy(_composed[key])

    return _compose_config_from_defaults_list


def _reading(plain: Callable[..., Any]) -> Callable[..., Any]:
    """A file as it was when it was read first. Nobody may change what comes out; see below."""

    def load_config(self: ConfigRepository, config_path: str) -> Any:
        key = _sources(self), config_path
        if key not in _read:
            _read[key] = plain(self, config_path)
        return _read[key]

    return load_config


def _merging(plain: Callable[..., Any]) -> Callable[..., Any]:
    """One of those configurations on its way into the others, which are merged in place."""

    def _load_single_config(self: ConfigLoaderImpl, default: Any, repo: Any) -> Any:
        return plain(self, default, _Copying(repo))

    return _load_single_config


class _Copying:
    """A repository that gives away copies."""

    def __init__(self, repo: Any) -> None:
        self._repo = repo

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repo, name)

    def load_config(self, config_path: str) -> Any:
        loaded = self._repo.load_config(config_path)
        return loaded and replace(loaded, config=deepcopy(loaded.config))


def _with_the_same_sources(self: ConfigRepository, _: Any) -> ConfigRepository:
    """The copy may get other sources; none of them is ever changed."""
    other = copy(self)
    other.sources = list(self.sources)
    return other
