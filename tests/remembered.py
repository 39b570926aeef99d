"""Hydra remembers what it has read and composed: a choice of groups costs it a fifth of a second, each time anew.

What the command line sets within them is applied to a copy, as ever. The folders that it reads from are not copied with
all that they hold whenever it looks for a file.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy, deepcopy
from dataclasses import replace
from functools import wraps
from itertools import takewhile
from typing import Any

from hydra._internal import config_loader_impl, defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import ConfigRepository
from hydra.core.default_element import InputDefault
from omegaconf import DictConfig, OmegaConf, flag_override

_listed: dict[Any, Any] = {}
_composed: dict[Any, DictConfig] = {}
_begun: dict[Any, DictConfig] = {}
_read: dict[Any, Any] = {}
NOTHING_TO_INTERPOLATE = OmegaConf.create({"defaults": []})
IN_PLACE, HAS_DEFAULTS = "no_deepcopy_set_nodes", "HYDRA_REMOVE_TOP_LEVEL_DEFAULTS"
"""Flags of Hydra's."""


def remember_choices() -> None:
    """From now on, and in whatever is forked off this process."""
    if not hasattr(config_loader_impl.create_defaults_list, "__wrapped__"):
        config_loader_impl.create_defaults_list = _listing(config_loader_impl.create_defaults_list)
        defaults_list._create_interpolation_map = _mapping(defaults_list._create_interpolation_map)
        InputDefault._resolve_interpolation_impl = _resolving(InputDefault._resolve_interpolation_impl)
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

    @wraps(plain)
    def create_defaults_list(repo: Any, config_name: Any, overrides_list: Any, **options: Any) -> Any:
        choosing = [o for o in overrides_list if not isinstance(o.value(), dict) and repo.group_exists(o.key_or_group)]
        setting = [o for o in overrides_list if o not in choosing and not o.is_sweep_override()]
        lines = tuple(o.input_line for o in choosing)
        key = _sources(repo), config_name, lines, tuple(sorted(options.items()))
        if key not in _listed:
            _listed[key] = plain(repo=repo, config_name=config_name, overrides_list=overrides_list, **options)
        return replace(_listed[key], config_overrides=setting)

    return create_defaults_list


def _mapping(plain: Callable[..., Any]) -> Callable[..., Any]:
    """What choices can be interpolated from, made for each list of defaults although none here does so."""

    @wraps(plain)
    def _create_interpolation_map(overrides: Any, defaults_list: Any, self_added: bool) -> Any:
        if "${" in str(overrides.known_choices) or any("${" in str(vars(default)) for default in defaults_list):
            return plain(overrides, defaults_list, self_added)
        return NOTHING_TO_INTERPOLATE

    return _create_interpolation_map


def _resolving(plain: Callable[..., str]) -> Callable[..., str]:
    """A choice that may be interpolated."""

    @wraps(plain)
    def _resolve_interpolation_impl(self: InputDefault, known_choices: Any, val: str) -> str:
        return plain(self, known_choices, val) if "${" in val else val

    return _resolve_interpolation_impl


def _composing(plain: Callable[..., DictConfig]) -> Callable[..., DictConfig]:
    """Those configurations merged into one, from where another that begins with the same ones was merged."""

    @wraps(plain)
    def _compose_config_from_defaults_list(self: ConfigLoaderImpl, defaults: Any, repo: Any) -> DictConfig:
        key = _sources(repo), *map(repr, defaults)
        if key not in _composed:
            _composed[key] = _merged(self, defaults, repo, key)
        return deepcopy(_composed[key])

    return _compose_config_from_defaults_list


def _merged(loader: ConfigLoaderImpl, defaults: Any, repo: Any, key: tuple[Any, ...]) -> DictConfig:
    shared = max((_same(key, other) for other in _composed), default=0)
    done = next((n for n in range(shared, 1, -1) if key[:n] in _begun), 1)  # the first of a key is where they are read
    cfg = deepcopy(_begun[key[:done]]) if done > 1 else OmegaConf.create()
    with flag_override(cfg, IN_PLACE, True):
        for number, default in enumerate(defaults[done - 1 :], done + 1):
            cfg.merge_with(loader._load_single_config(default=default, repo=repo).config)
            if number == shared:
                _begun[key[:number]] = deepcopy(cfg)
                _begun[key[:number]]._set_flag(IN_PLACE, None)
    _strip_defaults(cfg)
    return cfg


def _same(one: tuple[Any, ...], other: tuple[Any, ...]) -> int:
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def _strip_defaults(cfg: Any) -> None:
    """As Hydra does it, which sets flags at each node for the few that have any."""
    if isinstance(cfg, DictConfig) and not (cfg._is_missing() or cfg._is_none()):
        if cfg._get_flag(HAS_DEFAULTS):
            with flag_override(cfg, ["readonly", "struct"], False):
                cfg._set_flag(HAS_DEFAULTS, None)
                cfg.pop("defaults", None)
        for _, value in cfg.items_ex(resolve=False):
            _strip_defaults(value)


def _reading(plain: Callable[..., Any]) -> Callable[..., Any]:
    """A file as it was when it was read first. Nobody may change what comes out; see below."""

    @wraps(plain)
    def load_config(self: ConfigRepository, config_path: str) -> Any:
        key = _sources(self), config_path
        if key not in _read:
            _read[key] = plain(self, config_path)
        return _read[key]

    return load_config


def _merging(plain: Callable[..., Any]) -> Callable[..., Any]:
    """One of those configurations on its way into the others, which are merged in place."""

    @wraps(plain)
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
