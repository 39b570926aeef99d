"""What the README shows works as shown."""

import re
import sys
from pathlib import Path

import torch

README = (Path(__file__).parents[2] / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


def test_acquisition_on_plain_tensors():
    names = {}
    exec(BLOCKS[0], names)
    assert len(set(names["picks"].tolist())) == 10


def test_own_fusion_rule_runs_through_the_configuration(tmp_path, monkeypatch):
    from hydra import compose, initialize_config_dir
    from hydra.utils import instantiate

    (tmp_path / "second_best.py").write_text(BLOCKS[1])
    monkeypatch.syspath_prepend(tmp_path)
    option = re.search(r"acquisition\.fusion\._target_=\S+", README).group()
    with initialize_config_dir(str(Path(__file__).parents[2] / "configs"), version_base="1.3"):
        acquisition = instantiate(compose("acquisition/default", overrides=[option]).acquisition)
    assert acquisition.blend.fusion(torch.tensor([[0.25, 0.9, 0.5], [0.8, 0.75, 0.0]])).tolist() == [0.5, 0.75]
    del sys.modules["second_best"]


def test_every_choice_is_named():
    """The table of stages lists each YAML of each group."""
    configs = Path(__file__).parents[2] / "configs"
    groups = [configs / "acquisition" / g for g in ("signals", "sites", "labels", "normalizer", "fusion", "weights")]
    for group in [*groups, configs / "acquisition" / "selector", configs / "encoder", configs / "data"]:
        for choice in group.glob("*.yaml"):
            assert f"`{choice.stem}`" in README, f"{group.name}/{choice.stem}"
