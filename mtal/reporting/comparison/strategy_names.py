"""Short names for configurations: what one of them has and most others have not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from mtal.reporting.comparison.alike import frozen

_BLIND = ("random", "uniform_in_time")
"""Selectors that look at no score, so nothing that is said of scores tells such strategies apart."""

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")  # between the words of a class name

Choices = Mapping[str, Any]
"""``"section.key"`` → configured value."""


def choices(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as ``"section.key"`` → value, one level below the top.

    >>> choices({"seed": 1, "loop": {"batch": 8, "rounds": 2}})
    {'seed': 1, 'loop.batch': 8, 'loop.rounds': 2}
    """
    flat: dict[str, Any] = {}
    for section, content in config.items():
        if isinstance(content, Mapping):
            flat |= {f"{section}.{key}": value for key, value in content.items()}
        else:
            flat[str(section)] = content
    return flat


def name_all(configs: Sequence[Choices]) -> list[str]:
    """A distinct name for each of the distinct ``configs``.

    A name says each choice in which the configurations differ, apart from the one that most of them make; the ordinary
    configuration, which would be left without a name, says all its methods. Where the selector looks at no score it
    alone is the name, if that is clear.

    >>> plain = {"a.fusion": {"_target_": "x.Mean"}, "a.selector": {"_target_": "x.Badge"}}
    >>> others = [{**plain, "a.selector": {"_target_": "x.Random"}}, {**plain, "a.fusion": {"_target_": "x.Max"}}]
    >>> name_all([plain, *others])
    ['mean · badge', 'random', 'max']
    """
    keys = differing(configs)
    if not keys:
        return [_selector(c) or "all runs" for c in configs]
    columns = [_words(key, configs) for key in keys]
    words = [dict(zip(keys, row, strict=True)) for row in zip(*columns, strict=True)]
    selectors = [_selector(c) for c in configs]
    seeing = [w for w, selector in zip(words, selectors, strict=True) if selector not in _BLIND]
    usual = {key: word for key in keys if (word := _usual([w[key] for w in seeing]))}
    methods = " · ".join(v for v in usual.values() if "=" not in v and not v.startswith("no "))
    whole = [" · ".join(w.values()) for w in words]
    names = [
        " · ".join(v for k, v in w.items() if v != usual.get(k)) or methods or whole[i] for i, w in enumerate(words)
    ]
    short = [s if s in _BLIND else name for s, name in zip(selectors, names, strict=True)]
    for attempt in (short, names, whole):
        if len(set(attempt)) == len(attempt):
            return attempt
    return [f"{name} #{number}" for number, name in enumerate(whole, start=1)]


def differing(configs: Sequence[Choices]) -> list[str]:
    """The choices that not all of ``configs`` make alike.

    >>> differing([{"loop.batch": 8, "loop.rounds": 2}, {"loop.batch": 9, "loop.rounds": 2}])
    ['loop.batch']
    """
    return [key for key in _keys(configs) if len({frozen(c.get(key)) for c in configs}) > 1]


def _usual(words: Sequence[str]) -> str | None:
    """What is said more often than anything else, if it is said more than once."""
    common = Counter(words).most_common(1)
    return common[0][0] if common and common[0][1] > 1 else None


def _selector(config: Choices) -> str:
    return _base("selector", config.get("acquisition.selector"))


def _keys(configs: Sequence[Choices]) -> list[str]:
    """Methods before settings of training and of the loop."""
    keys = list({key: None for config in configs for key in config})
    return sorted(keys, key=lambda key: not key.startswith("acquisition."))  # stable


def _words(key: str, configs: Sequence[Choices]) -> list[str]:
    """The choice that each configuration makes for ``key``; options are named only where they tell choices apart."""
    values = [config.get(key) for config in configs]
    leaf = key.rsplit(".", maxsplit=1)[-1]
    words = []
    for value in values:
        base = _base(leaf, value)
        alike = [_flat(v) for v in values if _base(leaf, v) == base]
        mine = _flat(value)
        options = [k for k in mine if any(other.get(k) != mine[k] for other in alike)]
        told = ", ".join(_option(k, mine[k]) for k in options if not k.endswith("_target_"))
        words.append(f"{base} ({told})" if told else base)
    return words


def _option(key: str, value: Any) -> str:
    return value if isinstance(value, str) else f"{key.rsplit('.', maxsplit=1)[-1]}={value}"


def _base(leaf: str, value: Any) -> str:
    """The value without its options."""
    if value is None:
        return f"no {leaf}"
    if isinstance(value, Mapping) and "_target_" in value:
        return _WORD.sub("_", str(value["_target_"]).split(".")[-1]).lower()
    if isinstance(value, Mapping) and value and all(isinstance(v, Mapping) for v in value.values()):
        names = list(value)
        return " + ".join(names if len(names) <= 3 else [*names[:2], f"{len(names) - 2} more"])
    if isinstance(value, Mapping):
        return leaf
    return str(value) if leaf == "name" else f"{leaf}={value}"


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, Mapping):
        return {prefix: value} if prefix else {}
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flat(inner, f"{prefix}.{key}" if prefix else str(key))
    return flat
