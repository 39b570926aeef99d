"""``.hydra`` in the run folder: what a run was started with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf


def keep_command(path: Path, config: DictConfig) -> None:
    """Write what Hydra would, which does so before it is known whether the folder is the run's to write into.

    Args:
        path: the run folder.
        config: the composed configuration, without Hydra's own.
    """
    hydra: Any = HydraConfig.instance().cfg
    folder = path / ".hydra"
    folder.mkdir(exist_ok=True)
    for name, content in (("config", config), ("hydra", hydra), ("overrides", hydra.hydra.overrides.task)):
        (folder / f"{name}.yaml").write_text(OmegaConf.to_yaml(content), encoding="utf-8")
