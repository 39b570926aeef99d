"""What a run folder is called: the options that were given."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf, read_write

_WHOLE = 120  # signs of a name that is not shortened
_SHORT = 100
_VALUE = 24  # signs of a value in a shortened name
_ORDER = (
    *("strategy", "acquisition", "seed", "tasks", "loop", "trainer", "augment", "encoder", "model", "frames"),
    *("oracle", "data"),
)
"""Which options tell most, where nothing says which of them differ between runs."""


def run_folder_name(overrides: str, folder: str = "", swept: Sequence[str] = ()) -> str:
    """Name of a run folder: the options that were given, or ``"default"``.

    The same options thus always find the same folder, which is what makes "run it again" mean "go on". A name that
    would be long, or hold signs that a folder's name should not, is shortened, with what tells runs apart first, and
    ends with a hash of the options, so that no two of them share a folder. A folder that ends with this hash is used
    whatever its name begins with: one command line may be a run by itself or one of a sweep, and earlier versions
    shortened otherwise.

    Args:
        overrides: the options that count, sorted and joined by commas.
        folder: where run folders of this name lie; ``""`` to look for none.
        swept: options that differ between the runs of the sweep.

    >>> run_folder_name("acquisition/fusion=mean,seed=1")
    'fusion=mean,seed=1'
    >>> run_folder_name("data.root=/a b,data=vocalfolds")
    'data=vocalfolds,root=a_b-79b53e7e'
    >>> run_folder_name("")
    'default'
    """
    plain = re.sub(r"(^|,)acquisition/", r"\1", overrides)
    if _safe(plain) == plain and len(plain.encode()) <= _WHOLE:
        return plain or "default"
    as_swept = re.sub(r"=(true|false)(?=,|$)", lambda found: f"={found[1].title()}", overrides)  # as Hydra hands it on
    digest, as_given = (hashlib.sha256(text.encode()).hexdigest()[:8] for text in (as_swept, overrides))
    for found in sorted(f for d in (digest, as_given) for f in Path(folder).glob(f"*-{d}")) if folder else ():
        return found.name
    options = re.split(r",(?=[+~]*[\w./@]+=)", overrides)  # and not at the commas of a list
    first = list(swept)
    options.sort(key=lambda o: (first.index(_key(o)) if _key(o) in first else len(first), _rank(_key(o))))
    leaves = Counter(_levels(option)[-1] for option in options)
    name = ""
    for part in (_part(option, 1 if leaves[_levels(option)[-1]] == 1 else 2) for option in options):
        if len(f"{name},{part}".encode()) <= _SHORT:
            name = f"{name},{part}".lstrip(",")
    return f"{name}-{digest}".lstrip("-.")


def name_by_sweep(config: DictConfig) -> None:
    """Let the folders of a sweep's runs be named by what differs between them.

    What is swept counts, even where it does not in a run by itself (``data.root``, which may move), and comes first.

    Args:
        config: of the sweep. Its overrides of Hydra's own options, which every job of it is composed with, in whatever
            process, are added to.

    Raises:
        ValueError: ``hydra.sweep.subdir`` was given and is the same for several runs.
    """
    hydra = config.hydra
    options = dict(o.partition("=")[::2] for o in hydra.overrides.task)
    params = {key: str(value) for key, value in (hydra.sweeper.get("params") or {}).items()}
    parsed = OverridesParser.create().parse_overrides([f"{k}={v}" if v else k for k, v in (params | options).items()])
    swept = [o.get_key_element() for o in parsed if o.is_sweep_override()]
    as_given: Any = OmegaConf.to_container(hydra.overrides.hydra, resolve=False)
    given = [o.partition("=")[2] for o in as_given if o.startswith("hydra.sweep.subdir=")]
    if given:
        _refuse_shared(given[-1], swept)
        return
    kept = [key for key in hydra.job.config.override_dirname.exclude_keys if key not in swept]
    name = f"${{run_folder_name:${{hydra:job.override_dirname}},${{hydra:sweep.dir}},[{','.join(swept)}]}}"
    with read_write(hydra):
        hydra.overrides.hydra.append(f"hydra.job.config.override_dirname.exclude_keys=[{','.join(kept)}]")
        hydra.overrides.hydra.append(f"hydra.sweep.subdir='{name}'")


def _refuse_shared(subdir: str, swept: Sequence[str]) -> None:
    """A folder holds one run, so what is swept has to be in its name, or what Hydra counts and lists the jobs by."""
    alike = [key for key in swept if key not in subdir]
    if alike and not any(name in subdir for name in ("hydra:job.num", "hydra:job.override_dirname")):
        raise ValueError(
            f"hydra.sweep.subdir={subdir} is one folder for all runs that differ in {', '.join(alike)} alone: leave it "
            "out, or put ${hydra:job.num} into it"
        )


def _safe(text: str) -> str:
    return re.sub(r"[^\w.,=+-]", "_", text)


def _key(option: str) -> str:
    return option.partition("=")[0]


def _rank(key: str) -> tuple[int, str]:
    section = _levels(key)[0]
    return _ORDER.index(section) if section in _ORDER else len(_ORDER), key


def _levels(option: str) -> list[str]:
    return re.split(r"[./@]", _key(option).lstrip("+~"))


def _part(option: str, levels: int) -> str:
    """``acquisition/selector@acquisition.cold_start=random`` → ``cold_start=random``; of a path the last name.

    More ``levels`` of the key where options end alike: ``propagation.weight=1`` beside ``pseudo_labels.weight=1``.
    """
    leaf = ".".join(_levels(option)[-levels:])
    value = option.partition("=")[2].rstrip("/'\"").rpartition("/")[2]
    return _safe(f"{leaf}={value[:_VALUE]}" if value else leaf)
