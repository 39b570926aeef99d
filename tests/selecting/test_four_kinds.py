"""A head of each of the four kinds, partly labelled: run, report, W&B, and frames handed out and read back."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from miniature import film, four_kinds
from miniature.four_kinds import ANATOMY, ORGANS, PHASES, TOOLS
from PIL import Image

from mtal.datasets import table
from mtal.launch import register
from mtal.learning.experiment import run_experiment
from mtal.reporting import read_run, write_report
from mtal.reporting.wandb_payload import PICTURES, TABLE, payload
from mtal.selecting import Checkpoint, Request, select_frames
from mtal.selecting.command import configured
from mtal.tasks.task import build_tasks

# W&B leaves its temporary folders to the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
CONFIGS = Path(__file__).parents[2] / "configs"
HEADS = ["phase", "tools", "anatomy", "organs"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The table, and recordings of two other patients that look like its frames."""
    root = four_kinds.write(tmp_path_factory.mktemp("four"))
    for name, like in (("dan", "ben"), ("eve", "cyd")):
        pictures = [np.asarray(Image.open(f)) for f in sorted((root / "images" / like).iterdir())]
        film.write(root / "recordings" / f"{name}.mp4", pictures, fps=1)
    return root


@pytest.fixture(scope="module")
def run(root):
    register()
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        config = compose("config", overrides=[*four_kinds.options(root), f"cache={root / 'cache'}"])
    run_experiment(config, root / "run")
    return root / "run"


@pytest.fixture(scope="module")
def truth(root, run):
    """Rows of the table of the frames that were labelled, by round."""
    rows = pd.read_csv(root / "frames.csv", dtype=str, keep_default_na=False)
    rows.index = [f"images_{p}/{int(Path(i).stem):06d}" for p, i in zip(rows["patient"], rows["image"], strict=True)]
    return [rows.loc[pd.read_parquet(f)["frame_id"]] for f in sorted(run.glob("rounds/*/picks.parquet"))]


@pytest.fixture(scope="module")
def counted(truth):
    """Round → frames labelled of each head, and of each of its classes, counted in the table."""
    found = []
    for number in range(len(truth)):
        rows = pd.concat(truth[: number + 1])
        tags = (rows["has_hook"] != "") | (rows["has_grasper"] != "")
        frames = [(rows["phase"] != "").sum(), tags.sum(), (rows["parts"] != "").sum(), (rows["liver"] != "").sum()]
        third = rows["image"].str[-7:-4].astype(int) % 3 > 0  # the bile duct is there
        classes = [
            {phase: (rows["phase"] == phase).sum() for phase in sorted(PHASES)},
            {tool: (rows[f"has_{tool}"] == "1").sum() for tool in TOOLS},
            dict.fromkeys(ANATOMY, frames[2]),
            {"liver": frames[3], "bile duct": ((rows["duct"] != "") & third).sum()},
        ]
        found.append((dict(zip(HEADS, map(int, frames), strict=True)), dict(zip(HEADS, classes, strict=True))))
    return found


def test_the_run_counts_what_each_head_got(run, counted):
    for number, (frames, classes) in enumerate(counted):
        record = json.loads((run / f"rounds/{number:02d}/metrics.json").read_text())
        assert record["answers"] == frames
        assert record["class_counts"] == classes
        assert {m for m, v in record["metrics"].items() if v is not None} >= {
            *("phase/macro_F1", "tools/mAP", "anatomy/mIoU", "organs/mIoU"),
            *("organs/IoU/liver", "organs/IoU/bile duct", "joint"),
        }
    assert 0 < counted[-1][0]["organs"] < counted[-1][0]["anatomy"] < 12  # partly labelled indeed


def test_the_run_keeps_the_labels(root, run, truth):
    rows = pd.concat(truth)
    dataset = table.load(
        root / "frames.csv",
        heads={
            "phase": {"column": "phase"},
            "tools": {"columns": "has_*"},
            "anatomy": {"mask": "parts", "classes": {1: "wall", 2: "cavity"}},
            "organs": {"masks": {"liver": "liver", "bile duct": "duct"}},
        },
        test_patients=["cyd"],
    )
    kept = Checkpoint.read(run).labels(build_tasks(dataset.label_maps, {}))
    for head in HEADS:
        expected = dataset.labels.targets(head, rows.index.tolist(), (64, 64))
        assert np.array_equal(kept[head], expected)
    assert kept["organs"].shape == (12, 2, 64, 64)


def test_the_report_shows_each_head(run, counted):
    page = write_report(run).read_text(encoding="utf-8")
    frames, classes = counted[-1]
    words = html.unescape(page)
    assert "with a label of " + ", ".join(f"{head} {frames[head]}" for head in HEADS) in words
    for head in HEADS:
        for name, count in classes[head].items():
            row = re.search(rf'<th scope="row"><span[^>]*></span>{name}</th>.*?</span>(\d+)</td>', words)
            assert int(row.group(1)) == count
    assert re.findall(r'id="head-\d"[^>]*> (\w+)', page) == ["anatomy", "organs"]
    for kind, count in (("label", 12), ("prediction", 4)):
        for head in (0, 1):
            assert page.count(f'class="layer {kind} head-{head}"') == count
    alts = re.findall(r'alt="([^"]*)"', words)
    assert sum("organs: not annotated" in alt for alt in alts) == 12 - frames["organs"]
    assert sum("organs: liver, bile duct" in alt for alt in alts) == classes["organs"]["bile duct"]
    assert all(re.search(r"phase: (clip|cut|wash|not annotated); tools: ", alt) for alt in alts)


def test_wandb_is_told_of_each_head(run, counted):
    content = payload(read_run(run), read_run(run).rounds[1])
    frames, classes = counted[1]
    assert {head: content[f"answers/{head}"] for head in HEADS} == frames
    assert content["class_counts/organs/bile duct"] == classes["organs"]["bile duct"]
    assert {"label/phase", "label/tools", "score/anatomy/entropy", "score/organs/entropy"} <= set(
        content[TABLE].columns
    )
    masks = content[PICTURES][0]._masks
    assert set(masks) == {
        f"{what}_{kind}" for what in ("anatomy", "organs_liver", "organs_bile duct") for kind in ("label", "prediction")
    }
    assert masks["organs_liver_label"]._val["class_labels"] == {0: "no liver", 1: "liver", 255: "not annotated"}
    kept = np.asarray(Image.open(run / "rounds/01/images/0000.organs.png"))
    assert np.array_equal(masks["organs_bile duct_label"]._val["mask_data"], kept[64:])


@pytest.fixture(scope="module")
def selected(root, run):
    folder = root / "selected"
    overrides = (
        f"cache={root / 'cache'}",
        "data/hygiene=none",
        "data.workers=1",
        "strategy=mean",
        "acquisition.minimum_gap_s=0",
    )
    chosen = Checkpoint.read(run)
    config = configured(Request(root / "recordings", run, 6, folder, overrides), chosen, CONFIGS)
    assert select_frames(config, chosen, 6, folder)
    return folder


def test_handed_out_frames_are_read_back_as_a_table(root, run, selected):
    """As they are, the corrected masks would be the labels; tags are columns that the annotators add."""
    rows = pd.read_csv(selected / "frames.csv")
    assert {f"score/{head}/entropy" for head in HEADS} <= set(rows)
    assert {f"predicted/{head}" for head in HEADS} <= set(rows)
    said = rows.assign(phase="cut", has_hook=[1, 0, 1, 0, 1, 0], has_grasper="")
    said.to_csv(selected / "frames.csv", index=False)
    heads = {
        "phase": {"column": "phase", "classes": list(PHASES)},
        "tools": {"columns": "has_*"},
        "anatomy": {"mask": "mask/anatomy", "classes": {0: "wall", 1: "cavity"}, "ignore": [255]},
        "organs": {"masks": {name: f"mask/organs/{name}" for name in ORGANS}},
    }
    dataset = table.load(selected / "frames.csv", heads=heads, test_patients=["eve"])
    rows.to_csv(selected / "frames.csv", index=False)
    frames = dataset.index.table
    places = zip("images_" + rows["video"], rows["patient"], rows["time_s"], strict=True)
    assert set(zip(frames["video"], frames["patient"], frames["time_s"], strict=True)) == set(places)
    assert set(rows["video"]) == {"dan", "eve"}
    found = {head: dataset.labels.targets(head, dataset.index.frame_ids, (48, 48)) for head in HEADS}
    assert set(found["phase"].tolist()) == {0}
    assert found["tools"][:, 0].sum() == 3
    file_of = {("images_" + r.video, r.time_s): Path(r.image).name for r in rows.itertuples()}
    for k, place in enumerate(zip(frames["video"], frames["time_s"], strict=True)):
        file = file_of[place]
        assert np.array_equal(found["anatomy"][k], np.asarray(Image.open(selected / "masks/anatomy" / file)))
        for c, name in enumerate(("liver", "bile_duct")):
            mask = np.asarray(Image.open(selected / "masks/organs" / name / file))
            assert set(np.unique(mask)) <= {0, 255}
            assert np.array_equal(found["organs"][k, c], mask // 255)
    assert found["organs"].any(axis=(0, 2, 3)).all()  # each class is predicted somewhere
    assert (found["organs"].sum(axis=1) == 2).any()  # and they overlap


def test_the_handed_out_folder_says_what_is_in_it(selected):
    assert json.loads((selected / "label_map.json").read_text())["organs"] == {"0": "not there", "255": "there"}
    told = " ".join((selected / "README.txt").read_text().split())
    assert "organs: correct the mask in masks/organs/liver and masks/organs/bile_duct, then write done;" in told
    assert "organs: 0 = not there, 255 = there" in told
    page = (selected / "overview.html").read_text()
    for head in (0, 1):
        assert page.count(f'class="layer prediction head-{head}"') == 6
