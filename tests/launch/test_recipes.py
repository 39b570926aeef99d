"""The recipes for a GPU, each on the miniature of its data: one round at a tiny size, on the CPU."""

import functools
import json
import re

import pytest
import torch
from composed import CONFIGS, once
from hydra import initialize_config_dir
from hydra.utils import instantiate
from miniature import cholecystectomy, endoscapes, recordings
from miniature.runs import all_runs
from torch.utils.flop_counter import FlopCounterMode

from mtal.datasets.surgery.names import LABEL_MAPS
from mtal.launch import register
from mtal.models import MultiTaskModel, build_encoder
from mtal.tasks.task import Task

RECIPES = sorted(f.stem for f in (CONFIGS / "experiment").glob("*_gpu.yaml"))
TINY = (
    *("encoder=timm", "encoder.name=test_efficientnet", "encoder.pretrained=false", "logger=none"),
    *("frames.image_size=[64,64]", "model.channels=32", "model.hidden=8", "acquisition.minimum_gap_s=0"),
    *("trainer.accelerator=cpu", "trainer.most_steps=2", "trainer.measure_every=1", "trainer.batch_size=2"),
    *("loop.initial=2", "loop.batch=1", "loop.rounds=0"),
)


@pytest.fixture
def run(start, tmp_path, cache):
    def started(recipe: str, *options: str) -> tuple[int, str, str]:
        return start(f"experiment={recipe}", *TINY, f"run_root={tmp_path / 'runs'}", f"cache={cache}", *options)

    return started


def trained(tmp_path, recipe: str) -> dict:
    (run,) = all_runs(tmp_path / "runs" / recipe)
    return json.loads((run / "rounds/00/metrics.json").read_text())


@pytest.mark.filterwarnings("ignore:.*no label so far", "ignore:.*one patient")
class TestOneRound:
    def test_cholecseg8k(self, run, tmp_path):
        cholecystectomy.write_cholec80(tmp_path / "cholec80")
        cholecystectomy.write_cholecseg8k(tmp_path / "seg8k")
        places = [f"data.root={tmp_path / 'seg8k'}", f"data.cholec80={tmp_path / 'cholec80'}"]
        code, _, err = run("cholecseg8k_gpu", *places, "data.test_videos=[video12]")
        assert code == 0, err
        round_ = trained(tmp_path, "cholecseg8k_gpu")
        assert round_["labelled"] == 2
        assert round_["training"]["judged_on"].startswith("1 of 2 labelled frames")

    def test_endoscapes(self, run, tmp_path):
        code, _, err = run("endoscapes_gpu", f"data.root={endoscapes.write(tmp_path / 'data')}")
        assert code == 0, err
        round_ = trained(tmp_path, "endoscapes_gpu")
        assert round_["training"]["judged_on"] == "the split val"
        assert round_["val_labelled"] == 1

    @pytest.mark.slow
    def test_own_videos(self, run, tmp_path):
        data, desk = recordings.write(tmp_path / "data"), tmp_path / "desk"
        own = [f"data.root={data}", f"oracle.root={desk}", "data.test_patients=[carl]", recordings.HEADS]
        options = [*own, "data/hygiene=none", "data.workers=1", "loop.test_frames=2"]
        for asked in ("held_out_*", "00_*"):
            code, out, err = run("own_videos_gpu", *options)
            assert code == 0, err
            assert "waiting for labels" in out
            recordings.fill_in(*desk.glob(asked))
        code, _, err = run("own_videos_gpu", *options)
        assert code == 0, err
        steps = trained(tmp_path, "own_videos_gpu")["training"]["steps"]
        assert steps == 4  # two were the length with half of the frames, then as many passes of all


@pytest.mark.parametrize("recipe", RECIPES)
def test_what_it_costs_is_worked_out(recipe):
    """GFLOP of a frame forward, and forward and backward, as torch counts them."""
    register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = once("config", [f"experiment={recipe}"])
    assert min(config.frames.image_size[0] / 256, config.frames.image_size[1] / 448) >= 1
    assert not config.encoder.frozen
    assert not instantiate(config.augment).is_none
    assert (config.trainer.until, config.trainer.precision) == ("plateau", "bf16-mixed")
    comment = " ".join((CONFIGS / "experiment" / f"{recipe}.yaml").read_text().replace("\n#", " ").split())
    told = [
        re.search(r"forward and backward is (\d+) GFLOP", comment),
        re.search(r"(\d+) GFLOP (each|a frame)? ?in float32", comment),
    ]
    assert [int(found[1]) for found in told if found] == counted(config.encoder.name, tuple(config.frames.image_size))


@functools.cache
def counted(encoder: str, size: tuple[int, int]) -> list[int]:
    with torch.device("meta"):
        model = MultiTaskModel(build_encoder(encoder), [Task(m) for m in LABEL_MAPS])
        pictures = torch.empty(1, 3, *size, dtype=torch.uint8)
    with FlopCounterMode(display=False) as both:
        output = model(pictures)
        forward = both.get_total_flops()
        torch.stack([head.logits.sum() for head in output.heads.values()]).sum().backward()
    return [round(both.get_total_flops() / 1e9), round(forward / 1e9)]
