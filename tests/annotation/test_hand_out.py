"""What annotators are handed out."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from miniature import three_frames
from miniature.desk import fill
from miniature.three_frames import FILES, MAPS, SIZE, A, B, C
from PIL import Image

from mtal.annotation import FolderOracle, Request, hand_out, settle
from mtal.datasets.label_map import IGNORE


def test_is_all_that_an_annotator_needs(asked):
    table = pd.read_csv(asked / "frames.csv", dtype=str, keep_default_na=False)
    assert table.columns[:7].tolist() == [
        *("image", "label/tools", "label/phase", "label/anatomy", "label/vessels", "unusable", "seconds")
    ]
    assert table["image"].tolist() == [f"images/{f}" for f in FILES]
    assert table["label/tools"].tolist() == ["", "", ""]
    assert table["label/anatomy"].tolist() == ["", "", "-"]
    assert np.asarray(Image.open(asked / "images" / FILES[1])).tolist() == np.full((*SIZE, 3), 91).tolist()
    masks = sorted(str(p.relative_to(asked / "masks")) for p in (asked / "masks").rglob("*.png"))
    assert masks == [f"{to}/{f}" for to in ("anatomy", "vessels/artery", "vessels/bile_duct") for f in FILES[:2]]
    assert (np.asarray(Image.open(asked / "masks/anatomy" / FILES[0])) == IGNORE).all()
    text = (asked / "README.txt").read_text()
    assert "- label/tools: write all that are there with ; between them, none if none is, ? if it cannot be" in text
    assert "anatomy: 0 = wall, 1 = liver, 255 = not annotated" in text
    assert "anatomy: 150/0/0 = wall, 200/0/0 = liver" in text


def test_shows_what_the_model_believes_and_why_it_was_picked(oracle, request_of, dataset):
    frames = request_of().frames.assign(
        reason_task="tools", reason_signal="mean_entropy", reason_percentile=97.3, reason_because="", utility=0.5
    )
    believed = {"anatomy": np.ones(SIZE, np.uint8), "vessels": np.stack([np.ones(SIZE, np.uint8)] * 2)}
    request = Request("01", frames, [m.task for m in MAPS], request_of().asked, guess=lambda row, size: believed)
    oracle.ask(request)
    folder = oracle.root / request.id
    table = pd.read_csv(folder / "frames.csv")
    assert table["reason"][0] == "tools: mean entropy higher than in 97 % of the frames"
    assert table["utility"][0] == 0.5
    assert [Path(f).name for f in table["file"]] == ["00.png", "01.png", "02.png"]
    assert all(Path(f).is_file() for f in table["file"])
    assert (np.asarray(Image.open(folder / "masks/anatomy" / FILES[0])) == 1).all()
    assert (np.asarray(Image.open(folder / "masks/vessels/artery" / FILES[0])) == 255).all()


def test_says_that_frames_are_held_out(oracle, request_of):
    request = request_of(held_out=True)
    oracle.ask(request)
    assert "to test on and never to learn from" in (oracle.root / request.id / "README.txt").read_text()


def test_asked_again_changes_nothing(oracle, request_of, asked):
    fill(asked, {(0, "label/tools"): "hook"})
    rows = len(oracle.store.rows())
    oracle.ask(request_of())
    assert pd.read_csv(asked / "frames.csv")["label/tools"][0] == "hook"
    assert len(oracle.store.rows()) == rows == 9
    assert set(oracle.store.view().states["state"]) == {"asked"}


def test_what_another_run_has_asked_for_is_not_asked_for_again(oracle, asked, dataset, request_of):
    fill(asked, {(0, "label/tools"): "hook", (0, "label/phase"): "prepare", (2, "label/tools"): "none"})
    oracle.collect()
    other = FolderOracle(dataset, oracle.root.with_name("other desk"), oracle.store.root)
    frames = dataset.index.select([C, B, A])
    tags = Request("00", frames, ["tools", "phase"], np.array([[1, 0], [0, 0], [1, 1]], dtype=bool))
    other.ask(tags)
    assert not (other.root / tags.id).exists()
    assert not any(other.status(tags).owed.values())
    masks = Request("01", frames, ["tools", "anatomy"], np.ones((3, 2), bool), guess=lambda row, size: shown(row))
    shown = lambda row: {"anatomy": np.full(SIZE, row % 2, np.uint8)}  # noqa: E731
    other.ask(masks)
    table = pd.read_csv(other.root / masks.id / "frames.csv", dtype=str, keep_default_na=False)
    assert table["image"].tolist() == [
        "images/001_v_000002.png",
        "images/002_v_000001.png",
        "images/003_v_000000.png",
    ]
    assert table["label/tools"].tolist() == ["-", "", "-"]
    guess = np.asarray(Image.open(other.root / masks.id / "masks/anatomy/002_v_000001.png"))
    assert (guess == 1).all()
    fill(other.root / masks.id, {(row, "label/anatomy"): "done" for row in range(3)} | {(1, "label/tools"): "?"})
    with pytest.warns(UserWarning, match="3 of 3 masks that are done now came back exactly as the model drew them"):
        settle(other, masks)


def test_two_runs_that_ask_the_same_at_once_hand_out_one_whole_folder(dataset, tmp_path, monkeypatch):
    """The second waits for the first, and finds nothing left to be written."""
    begun, plain = threading.Event(), hand_out.whole_pictures

    def slow(*arguments):
        for picture in plain(*arguments):
            begun.set()
            time.sleep(0.05)
            yield picture

    monkeypatch.setattr(hand_out, "whole_pictures", slow)
    request = three_frames.request(dataset)
    runs = [FolderOracle(dataset, tmp_path / "desk", tmp_path / "labels") for _ in range(2)]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(runs[0].ask, request)
        assert begun.wait(20)
        second = pool.submit(runs[1].ask, request)
        first.result()
        second.result()
    folder = tmp_path / "desk" / request.id
    assert sorted(p.name for p in (folder / "images").iterdir()) == FILES
    assert len(list((folder / "masks").rglob("*.png"))) == 6
    assert len(runs[0].store.rows()) == 9
