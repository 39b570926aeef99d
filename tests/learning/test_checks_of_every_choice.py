from pathlib import Path

import pytest
import torch
from composed import acquisition, choices
from hydra.utils import instantiate
from miniature import surgery
from omegaconf import OmegaConf

from mtal.datasets.label_map import LabelMap
from mtal.learning.checks import check_acquisition
from mtal.learning.experiment import relate
from mtal.tasks.task import build_tasks

PHASE = LabelMap("phase", "frame", True, ("p", "q", "r"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)))
HEADS = {m.task: m for m in (*surgery.LABEL_MAPS, PHASE)}
RUN = OmegaConf.create(
    {
        "model": {"loss_prediction": True, "dropout": 0.1},
        "loop": {"batch_seconds": None},
        "trainer": {"batch_size": 16},
    }
)
SETS = [("tools",), ("anatomy",), ("phase",), ("tools", "bleeding", "anatomy"), ("tools", "phase")]
GROUPS = ("signals", "sites", "labels", "weights", "fusion", "normalizer", "selector")
FILES = Path(__file__).resolve().parents[2] / "configs" / "acquisition"
TOP_K = "acquisition/selector=top_k"
REFUSED = {
    "acquisition/selector=batch_bald": "BatchBald reads the members of heads with one answer per frame",
    "acquisition/fusion=single_task": "no head is called 'anatomy'",
    "acquisition/signals=cross_task_inconsistency": "no frame label has the name of a pixel class",
}
"""What some heads cannot give; everything else runs with each of the sets, as was tried by one round of each."""


def tried(heads, config):
    made = instantiate(config)
    tasks = build_tasks(tuple(HEADS[h] for h in heads), {h: {} for h in heads})
    relate(made, tasks)
    check_acquisition(RUN, made, tasks)


def fits(choice, heads):
    if choice == "acquisition/selector=batch_bald":
        return heads != ("anatomy",)
    return choice not in REFUSED or (choice == "acquisition/fusion=single_task" and "anatomy" in heads)


@pytest.mark.parametrize("group", GROUPS)
def test_every_choice_with_every_set_of_heads(group):
    config = OmegaConf.create({"acquisition": OmegaConf.to_container(acquisition(TOP_K))}).acquisition
    for name in choices(group):
        choice, config[group] = f"acquisition/{group}={name}", OmegaConf.load(FILES / group / f"{name}.yaml")
        if "defaults" in config[group]:  # several choices at once
            continue
        for heads in SETS:
            if fits(choice, heads):
                tried(heads, config)
            else:
                with pytest.raises(ValueError, match=REFUSED[choice]):
                    tried(heads, config)


def test_leaves_no_trace():
    state = torch.get_rng_state()
    tried(("tools", "anatomy"), acquisition(TOP_K, "acquisition/signals=all", "acquisition.per_video=true"))
    assert torch.equal(torch.get_rng_state(), state)
