"""Run one active-learning experiment, or with -m a sweep of them.

python scripts/run.py
python scripts/run.py data=vocalfolds data.root=DIR acquisition/fusion=reciprocal_rank
python scripts/run.py -m acquisition/fusion=mean,max,reciprocal_rank seed=0,1
"""

import sys
from pathlib import Path

import hydra
from omegaconf import DictConfig

from mtal.launch import check_overrides, ending_by_signal, launch, register

CONFIGS = Path(__file__).resolve().parent.parent / "configs"

register()


@hydra.main(config_path=str(CONFIGS), config_name="config", version_base="1.3")
def main(config: DictConfig) -> float | None:
    return launch(config)


if __name__ == "__main__":
    sys.argv[1:] = check_overrides(CONFIGS, sys.argv[1:])
    with ending_by_signal():
        main()
