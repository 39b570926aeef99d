"""What annotators give back."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from miniature.desk import fill, write
from miniature.three_frames import ANATOMY, FILES, MAPS, SIZE, A, B, C
from PIL import Image

from mtal.annotation import LabelsPendingError, State, settle
from mtal.datasets.label_map import IGNORE


def test_every_state_comes_back(oracle, asked, request_of):
    generator = np.random.default_rng(0)
    anatomy = generator.choice(np.array([0, 1, IGNORE], np.uint8), SIZE)
    colored = np.array(ANATOMY.colors, np.uint8)[generator.integers(0, 2, SIZE)]
    duct = generator.choice(np.array([0, 255], np.uint8), SIZE)
    write(asked / "masks/anatomy" / FILES[0], anatomy)
    write(asked / "masks/anatomy" / FILES[1], colored)
    write(asked / "masks/vessels/bile_duct" / FILES[0], duct)
    done = {(0, "label/tools"): "hook;grasper", (0, "label/phase"): "dissect", (0, "seconds"): "40,5"}
    masks = {(row, f"label/{task}"): "done" for row, task in ((0, "anatomy"), (0, "vessels"), (1, "anatomy"))}
    fill(asked, {**done, **masks, (1, "label/tools"): "none", (1, "label/phase"): "?", (2, "unusable"): "x"})
    oracle.collect()
    labels = oracle.label([A, B, C], SIZE)
    assert labels["tools"].tolist() == [[1, 1], [0, 0], [IGNORE, IGNORE]]
    assert labels["phase"].tolist() == [1, IGNORE, IGNORE]
    np.testing.assert_array_equal(labels["anatomy"][0], anatomy)
    np.testing.assert_array_equal(np.array(ANATOMY.colors)[labels["anatomy"][1]], colored)
    np.testing.assert_array_equal(labels["vessels"][0], np.stack([np.zeros(SIZE), duct == 255]))
    status = oracle.status(request_of())
    assert (status.frames, status.done, dict(status.owed)["vessels"]) == (3, 2, [B])
    assert [task for task, some in status.owed.items() if some] == ["vessels"]
    assert status.seconds == pytest.approx(40.5 / 4)
    with pytest.raises(LabelsPendingError, match=rf"round 0: 2 of 3 .* vessels of 1 \(first {B}\). Answer in .*desk"):
        settle(oracle, request_of())
    states = oracle.availability([A, B, C], [m.task for m in MAPS]).states([A, B, C])
    assert states.tolist() == [[State.ASKABLE] * 4, [1, State.NEVER, 1, 1], [State.NEVER] * 4]


def test_colours_may_be_painted_over_the_mask_that_was_handed_out(oracle, asked):
    painted = np.asarray(Image.open(asked / "masks/anatomy" / FILES[0]).convert("RGB")).copy()  # nothing known yet
    painted[:5], painted[5:9], painted[9:12] = (200, 0, 0), (150, 0, 0), (1, 1, 1)
    write(asked / "masks/anatomy" / FILES[0], painted)
    fill(asked, {(0, "label/anatomy"): "done"})
    oracle.collect()
    (label,) = oracle.label([A], SIZE)["anatomy"]
    assert label[:, 0].tolist() == [1] * 5 + [0] * 4 + [1] * 3 + [IGNORE] * 8


def test_the_seconds_of_a_row_count_from_its_beginning(oracle, asked):
    fill(asked, {(0, "label/tools"): "hook", (0, "label/phase"): "prepare", (0, "seconds"): "10"})
    oracle.collect()
    fill(asked, {(0, "label/vessels"): "?", (0, "seconds"): "70"})
    oracle.collect()
    fill(asked, {(0, "label/tools"): "none"})  # a correction that nobody timed
    oracle.collect()
    answers = oracle.view.answers.set_index("task")
    assert answers.loc[["phase", "vessels"], "seconds"].tolist() == [5, 60]
    assert np.isnan(answers.loc["tools", "seconds"])
    rows = oracle.store.rows()
    assert rows.loc[rows["state"] != "asked", "time"].nunique() == 3  # sittings


def test_copies_are_other_annotators(oracle, asked, request_of):
    for name, cell in (("anna", "hook"), ("ben", "hook"), ("cleo", "grasper")):
        copy = asked.with_name(f"{asked.name}.{name}")
        shutil.copytree(asked, copy)
        fill(copy, {(2, "label/tools"): cell})
    oracle.collect()
    assert oracle.label([C], SIZE)["tools"].tolist() == [[0, 1]]
    assert oracle.status(request_of()).by == {"anna": 1, "ben": 1, "cleo": 1}


def test_a_mask_in_which_nothing_is_annotated_is_no_label(oracle, asked):
    write(asked / "masks/anatomy" / FILES[0], np.full((*SIZE, 3), IGNORE))
    fill(asked, {(0, "label/anatomy"): "done"})
    with pytest.warns(UserWarning, match="1 of 1 masks that are done now came back as empty as they were handed"):
        oracle.collect()
    assert oracle.view.states.set_index(["frame_id", "task"])["state"][A, "anatomy"] == "not_annotated"


class TestFaults:
    def test_all_faults_are_told_at_once_and_the_rest_is_taken_in(self, oracle, asked):
        write(asked / "masks/anatomy" / FILES[0], np.zeros((5, 5)))
        write(asked / "masks/anatomy" / FILES[1], np.full((*SIZE, 3), (9, 9, 8)))
        (asked / "masks/vessels/artery" / FILES[0]).unlink()
        cells = {(row, f"label/{t}"): "done" for row, t in ((0, "anatomy"), (1, "anatomy"), (0, "vessels"))}
        bad = {(1, "label/vessels"): "yes", (0, "label/tools"): "huk", (0, "label/phase"): "prepare; dissect"}
        more = {(1, "label/tools"): "hook", (1, "unusable"): "maybe", (1, "seconds"): "long"}
        fill(asked, {**cells, **bad, **more})
        table = pd.read_csv(asked / "frames.csv", dtype=str, keep_default_na=False)
        rows = [table, table.iloc[[1]], table.iloc[[0]].assign(image="images/001_w_000000.png")]
        pd.concat(rows).to_csv(asked / "frames.csv", index=False)
        with pytest.raises(ValueError, match=r"^10 faults") as error:
            oracle.collect()
        told = "\n".join(map(str, error.value.refused))
        for part in (
            f"{asked}/masks/anatomy/{FILES[0]}: the mask is 5x5 but its frame is 20x30 (height x width)",
            f"{asked}/masks/anatomy/{FILES[1]}: colour 9/9/8 stands for no class of task 'anatomy'",
            f"artery/{FILES[0]}: {asked}/frames.csv, line 2, column 'label/vessels' says done",
            "line 3, column 'label/vessels': 'yes' is neither done nor ?; the mask itself is in masks/vessels/artery",
            "line 2, column 'label/tools': 'huk' is no class of tools, did you mean 'hook'?; write",
            "line 2, column 'label/phase': 'prepare' and 'dissect' exclude each other; keep one",
            "line 3, column 'unusable': 'maybe' says neither that the frame is unusable (x)",
            "line 3, column 'seconds': 'long' is no number from 0 on",
            f"line 5, column 'image': '{FILES[1]}' has a row already; keep one",
            "line 6, column 'image': nobody asked for '001_w_000000.png'",
        ):
            assert part in told
        assert oracle.label([B], SIZE)["tools"].tolist() == [[0, 1]]

    def test_a_table_without_its_columns_or_gone(self, oracle, asked):
        table = pd.read_csv(asked / "frames.csv", dtype=str, keep_default_na=False)
        table.rename(columns={"label/tools": "label/tool", "image": "shot"}).to_csv(asked / "frames.csv", index=False)
        with pytest.raises(
            ValueError, match=r"(?s)no column 'image'.*no column 'label/tools', did you mean 'label/tool'"
        ):
            oracle.collect()
        (asked / "frames.csv").unlink()
        with pytest.raises(FileNotFoundError, match=r"frames\.csv: the table with the answers is gone; put it back"):
            oracle.collect()

    def test_heads_that_were_others_when_asked(self, oracle, asked):
        about = json.loads((asked / "request.json").read_text())
        about["tasks"]["tools"]["classes"] = ["grasper", "clipper"]
        (asked / "request.json").write_text(json.dumps(about))
        told = "tools was asked for as grasper, clipper, and is grasper, hook now; give the run the heads it had"
        with pytest.raises(ValueError, match=told):
            oracle.collect()


@pytest.mark.parametrize("cell", [";", " ; ;"])
def test_a_cell_of_separators_alone_is_no_answer(oracle, asked, cell):
    fill(asked, {(0, "label/tools"): cell, (0, "label/phase"): cell, (1, "label/tools"): "hook"})
    with pytest.raises(ValueError, match="2 faults") as error:
        oracle.collect()
    told = "\n".join(map(str, error.value.refused))
    assert "line 2, column 'label/tools': ';" in told.replace(" ; ;", ";")
    assert "is no class of phase; write prepare, dissect or ?" in told
    assert oracle.label([B], SIZE)["tools"].tolist() == [[0, 1]]  # what is right was taken in


class TestIndexedMasks:
    """Of a program that saves few colours as a palette: what is seen counts, not the numbers in the file."""

    def test_in_grays_and_in_colours(self, oracle, asked):
        fill(asked, {(row, f"label/{t}"): "done" for row, t in ((0, "anatomy"), (1, "anatomy"), (0, "vessels"))})
        label = np.array([[0] * 10 + [1] * 15 + [IGNORE] * 5] * SIZE[0], np.uint8)
        indexed(asked / "masks/anatomy" / FILES[0], np.repeat(label[..., None], 3, axis=2))
        painted = np.array(ANATOMY.colors, np.uint8)[label % 2]
        indexed(asked / "masks/anatomy" / FILES[1], painted)
        there = (label == 1).astype(np.uint8) * 255
        indexed(asked / "masks/vessels/artery" / FILES[0], np.repeat(there[..., None], 3, axis=2))
        oracle.collect()
        labels = oracle.label([A, B], SIZE)
        np.testing.assert_array_equal(labels["anatomy"][0], label)
        np.testing.assert_array_equal(labels["anatomy"][1], label % 2)
        np.testing.assert_array_equal(labels["vessels"][0][0], label == 1)


def indexed(path: Path, rgb: np.ndarray) -> None:
    """White first, as programs put what they like into a palette."""
    colors = np.unique(rgb.reshape(-1, 3), axis=0)[::-1]  # [P, 3]
    numbers = (rgb[..., None, :] == colors).all(axis=-1).argmax(axis=-1).astype(np.uint8)  # [H, W]
    image = Image.fromarray(numbers, mode="P")
    image.putpalette(colors.ravel().tolist())
    image.save(path)
    with Image.open(path) as saved:
        assert saved.mode == "P"
