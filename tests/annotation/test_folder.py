import json
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from miniature import three_frames
from miniature.three_frames import ANATOMY, FILES, MAPS, SIZE, A, B, C
from PIL import Image

from mtal.annotation import FolderOracle, LabelsPendingError, Request, State, hand_out, settle
from mtal.annotation.about import described
from mtal.annotation.given_back import GivenBack
from mtal.annotation.seconds import took
from mtal.datasets.label_map import IGNORE


@pytest.fixture
def oracle(dataset, tmp_path) -> FolderOracle:
    return FolderOracle(dataset, tmp_path / "desk")


def fill(folder: Path, cells: dict[tuple[int, str], str]) -> None:
    table = pd.read_csv(folder / "frames.csv", dtype=str, keep_default_na=False)
    for (row, name), cell in cells.items():
        table.loc[row, name] = cell
    table.to_csv(folder / "frames.csv", index=False)


def write(path: Path, content) -> None:
    Image.fromarray(np.asarray(content, dtype=np.uint8)).save(path)


class TestHandOut:
    def test_is_all_that_an_annotator_needs(self, asked):
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

    def test_shows_what_the_model_believes_and_why_it_was_picked(self, oracle, request_of, dataset):
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

    def test_says_that_frames_are_held_out(self, oracle, request_of):
        request = request_of(held_out=True)
        oracle.ask(request)
        assert "to test on and never to learn from" in (oracle.root / request.id / "README.txt").read_text()

    def test_asked_again_changes_nothing(self, oracle, request_of, asked):
        fill(asked, {(0, "label/tools"): "hook"})
        rows = len(oracle.store.rows())
        oracle.ask(request_of())
        assert pd.read_csv(asked / "frames.csv")["label/tools"][0] == "hook"
        assert len(oracle.store.rows()) == rows == 9
        assert set(oracle.store.view().states["state"]) == {"asked"}

    def test_what_another_run_has_asked_for_is_not_asked_for_again(self, oracle, asked, dataset, request_of):
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


class TestGivenBack:
    def test_every_state_comes_back(self, oracle, asked, request_of):
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
        with pytest.raises(
            LabelsPendingError, match=rf"round 0: 2 of 3 .* vessels of 1 \(first {B}\). Answer in .*desk"
        ):
            settle(oracle, request_of())
        states = oracle.availability([A, B, C], [m.task for m in MAPS]).states([A, B, C])
        assert states.tolist() == [[State.ASKABLE] * 4, [1, State.NEVER, 1, 1], [State.NEVER] * 4]

    def test_colours_may_be_painted_over_the_mask_that_was_handed_out(self, oracle, asked):
        painted = np.asarray(Image.open(asked / "masks/anatomy" / FILES[0]).convert("RGB")).copy()  # nothing known yet
        painted[:5], painted[5:9], painted[9:12] = (200, 0, 0), (150, 0, 0), (1, 1, 1)
        write(asked / "masks/anatomy" / FILES[0], painted)
        fill(asked, {(0, "label/anatomy"): "done"})
        oracle.collect()
        (label,) = oracle.label([A], SIZE)["anatomy"]
        assert label[:, 0].tolist() == [1] * 5 + [0] * 4 + [1] * 3 + [IGNORE] * 8

    def test_only_what_is_new_is_taken_in_and_corrections_are(self, oracle, asked, dataset):
        mask = asked / "masks/anatomy" / FILES[0]
        write(mask, np.zeros(SIZE))
        fill(asked, {(0, "label/tools"): "hook", (0, "label/anatomy"): "done"})
        oracle.collect()
        once = len(oracle.store.rows())
        again = FolderOracle(dataset, oracle.root)
        again.collect()
        assert len(again.store.rows()) == once == 9 + 2
        write(mask, np.ones(SIZE))
        fill(asked, {(0, "label/tools"): "none"})
        again.collect()
        assert again.label([A], SIZE)["tools"].tolist() == [[0, 0]]
        assert (again.label([A], SIZE)["anatomy"] == 1).all()
        fill(asked, {(0, "label/tools"): ""})  # a cell that is emptied takes nothing back
        again.collect()
        assert len(again.store.rows()) == once + 2

    def test_what_has_not_changed_is_not_read_again(self, oracle, asked, dataset, monkeypatch):
        masks = [asked / "masks/anatomy" / file for file in FILES[:2]]
        for mask in masks:
            write(mask, np.zeros(SIZE))
            os.utime(mask, ns=(10**18, 10**18))
        fill(asked, {(row, "label/anatomy"): "done" for row in range(2)} | {(0, "label/tools"): "hook"})
        oracle.collect()
        write(masks[1], np.ones(SIZE))  # of the same size
        fill(asked, {(2, "label/tools"): "none"})
        read, mark = [], GivenBack._mark

        def watched(self, cells, row, *rest):
            read.append(row)
            return mark(self, cells, row, *rest)

        monkeypatch.setattr(GivenBack, "_mark", watched)
        again = FolderOracle(dataset, oracle.root)
        again.collect()
        assert set(read) == {1, 2}
        assert again.label([A, B, C], SIZE)["anatomy"][:2].max(axis=(1, 2)).tolist() == [0, 1]
        assert again.label([C], SIZE)["tools"].tolist() == [[0, 0]]

    def test_a_label_that_the_store_has_lost_is_read_again(self, oracle, asked, dataset):
        fill(asked, {(0, "label/tools"): "hook"})
        oracle.collect()
        for file in (oracle.store.root / "answers").glob("*.parquet"):
            file.unlink()
        again = FolderOracle(dataset, oracle.root)
        again.collect()
        assert again.label([A], SIZE)["tools"].tolist() == [[0, 1]]

    def test_a_row_with_a_fault_is_told_until_it_is_mended(self, oracle, asked):
        fill(asked, {(0, "label/tools"): "huk"})
        for _ in range(2):
            with pytest.raises(ValueError, match="'huk' is no class of tools"):
                oracle.collect()

    def test_the_seconds_of_a_row_count_from_its_beginning(self, oracle, asked):
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

    def test_copies_are_other_annotators(self, oracle, asked, request_of):
        for name, cell in (("anna", "hook"), ("ben", "hook"), ("cleo", "grasper")):
            copy = asked.with_name(f"{asked.name}.{name}")
            shutil.copytree(asked, copy)
            fill(copy, {(2, "label/tools"): cell})
        oracle.collect()
        assert oracle.label([C], SIZE)["tools"].tolist() == [[0, 1]]
        assert oracle.status(request_of()).by == {"anna": 1, "ben": 1, "cleo": 1}

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

    def test_a_mask_in_which_nothing_is_annotated_is_no_label(self, oracle, asked):
        write(asked / "masks/anatomy" / FILES[0], np.full((*SIZE, 3), IGNORE))
        fill(asked, {(0, "label/anatomy"): "done"})
        with pytest.warns(UserWarning, match="1 of 1 masks that are done now came back as empty as they were handed"):
            oracle.collect()
        assert oracle.view.states.set_index(["frame_id", "task"])["state"][A, "anatomy"] == "not_annotated"


class TestUntouchedMasks:
    """Whoever only wrote ``done`` has looked at nothing, or finds that all is right: it is taken in, and told."""

    @pytest.fixture
    def drawn(self, oracle, request_of) -> Path:
        """The folder of a request with masks that the model drew, but for the vessels of the second frame."""
        vessels = np.zeros((2, *SIZE), np.uint8)
        vessels[1, :5] = 1
        guess = lambda row, size: {"anatomy": np.full(size, row, np.uint8), "vessels": vessels * (row == 0)}  # noqa: E731
        request = request_of(guess=guess)
        oracle.ask(request)
        return oracle.root / request.id

    def test_are_told_once_with_the_first_and_taken_in(self, oracle, drawn):
        write(drawn / "masks/anatomy" / FILES[0], np.zeros((*SIZE, 3)))  # saved again as it was, by another program
        fill(drawn, {(row, f"label/{task}"): "done" for row in (0, 1) for task in ("anatomy", "vessels")})
        with pytest.warns(UserWarning, match="4 masks that are done now") as told:
            oracle.collect()
        empty, drew = sorted(str(warning.message) for warning in told)
        first, second = (drawn / "images" / file for file in FILES[:2])
        which = f"anatomy of {first}, vessels of {first}, anatomy of {second}"
        assert drew.startswith(f"3 of 4 masks that are done now came back exactly as the model drew them ({which}). ")
        assert empty.startswith("1 of 4 masks that are done now came back as empty as they were handed out ")
        assert f"(vessels of {second})" in empty
        labels = oracle.label([A, B], SIZE)
        assert [(y == k).all() for k, y in enumerate(labels["anatomy"])] == [True, True]
        assert labels["vessels"].sum(axis=(2, 3)).tolist() == [[0, 5 * SIZE[1]], [0, 0]]
        oracle.collect()  # and that is that

    def test_what_was_corrected_is_not_told(self, oracle, drawn):
        fill(drawn, {(0, "label/anatomy"): "done", (0, "label/vessels"): "done", (1, "label/vessels"): "?"})
        mask = np.zeros(SIZE)
        mask[0, 0] = 1
        write(drawn / "masks/anatomy" / FILES[0], mask)
        write(drawn / "masks/vessels/artery" / FILES[0], mask * 255)
        oracle.collect()

    def test_a_folder_that_does_not_say_what_was_handed_out(self, oracle, drawn):
        about = json.loads((drawn / "request.json").read_text())
        for frame in about["frames"]:
            del frame["masks"]
        (drawn / "request.json").write_text(json.dumps(about))
        fill(drawn, {(0, "label/anatomy"): "done"})
        oracle.collect()


class TestSeveralOfOneRequest:
    def test_two_runs_that_ask_the_same_at_once_hand_out_one_whole_folder(self, dataset, tmp_path, monkeypatch):
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

    @pytest.mark.parametrize("name", ["{} - Copy", "Copy of {}"])
    def test_a_copy_takes_back_no_correction(self, oracle, asked, name):
        fill(asked, {(0, "label/tools"): "hook"})
        oracle.collect()
        copied = asked.with_name(name.format(asked.name))
        shutil.copytree(asked, copied)
        fill(asked, {(0, "label/tools"): "grasper"})
        for _ in range(2):
            with pytest.raises(ValueError, match=r"is a copy of .*; put it elsewhere, or name it 00_[0-9a-f]*\.NAME"):
                oracle.collect()
            assert oracle.label([A], SIZE)["tools"].tolist() == [[1, 0]]
        shutil.rmtree(copied)
        rows = len(oracle.store.rows())
        oracle.collect()
        assert len(oracle.store.rows()) == rows

    def test_two_requests_that_say_different_things_of_a_frame_come_to_rest(self, oracle, asked, dataset):
        other = Request("01", dataset.index.select([A]), ["tools"], np.ones((1, 1), bool))
        oracle.ask(other)
        fill(asked, {(0, "label/tools"): "hook"})
        fill(oracle.root / other.id, {(0, "label/tools"): "grasper"})
        for _ in range(3):
            oracle.collect()
        told = oracle.store.rows()
        assert told[told["state"] == "labelled"]["value"].tolist() == ["[0, 1]", "[1, 0]"]
        fill(asked, {(0, "label/tools"): "hook;grasper"})  # the newest word counts, whichever folder it is in
        oracle.collect()
        assert oracle.label([A], SIZE)["tools"].tolist() == [[1, 1]]

    def test_seconds_are_those_of_all_sittings(self, oracle, asked, dataset):
        other = Request("01", dataset.index.select([A]), ["phase"], np.ones((1, 1), bool))
        oracle.ask(other)
        for answer, seconds, in_all in (("hook", 20, 20), ("grasper", 35, 35), ("none", 52, 52)):
            fill(asked, {(0, "label/tools"): answer, (0, "seconds"): str(seconds)})
            oracle.collect()
            assert took(oracle.view, [A])["took_s"].tolist() == [in_all]
        fill(oracle.root / other.id, {(0, "label/phase"): "prepare", (0, "seconds"): "20"})
        oracle.collect()
        assert took(oracle.view, [A])["took_s"].tolist() == [52 + 20]


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


@pytest.mark.parametrize("cell", [";", " ; ;"])
def test_a_cell_of_separators_alone_is_no_answer(oracle, asked, cell):
    fill(asked, {(0, "label/tools"): cell, (0, "label/phase"): cell, (1, "label/tools"): "hook"})
    with pytest.raises(ValueError, match="2 faults") as error:
        oracle.collect()
    told = "\n".join(map(str, error.value.refused))
    assert "line 2, column 'label/tools': ';" in told.replace(" ; ;", ";")
    assert "is no class of phase; write prepare, dissect or ?" in told
    assert oracle.label([B], SIZE)["tools"].tolist() == [[0, 1]]  # what is right was taken in


def test_what_was_read_is_read_again_where_it_is_damaged(oracle, asked, caplog):
    fill(asked, {(0, "label/tools"): "hook"})
    oracle.collect()
    oracle.store.read_file.write_text('{"states": {"a"')
    oracle.collect()
    assert "read.json: damaged" in caplog.text
    assert oracle.label([A], SIZE)["tools"].tolist() == [[0, 1]]


def test_of_a_thousand_rows_those_alone_are_read_that_changed(tmp_path, monkeypatch):
    dataset = three_frames.write(tmp_path, SIZE, (three_frames.TOOLS,))
    oracle, folder = FolderOracle(dataset, tmp_path / "desk"), tmp_path / "desk/00_x"
    folder.mkdir(parents=True)
    images = [f"images/{k:05d}.png" for k in range(1000)]
    frames = [{"image": i, "frame_id": f"v/{k:06d}", "size": SIZE, "asked": ["tools"]} for k, i in enumerate(images)]
    about = {"id": "00_x", "tasks": {"tools": described(three_frames.TOOLS)}, "frames": frames}
    (folder / "request.json").write_text(json.dumps(about))
    table = pd.DataFrame({"image": images, "label/tools": "hook", "unusable": "", "seconds": "9"})
    table.to_csv(folder / "frames.csv", index=False)
    oracle.collect()
    table.loc[:9, "label/tools"] = "none"
    table.to_csv(folder / "frames.csv", index=False)
    rows = []

    def noted(self, cells, row, *others):
        rows.append(row)
        return plain(self, cells, row, *others)

    plain = GivenBack._row
    monkeypatch.setattr(GivenBack, "_row", noted)
    again = FolderOracle(dataset, oracle.root)
    again.collect()
    assert rows == list(range(10))
    assert again.label(["v/000009", "v/000010"], SIZE)["tools"].tolist() == [[0, 0], [0, 1]]


def test_refuses_a_poll_that_never_waits(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"oracle\.poll_s must be seconds above 0, not 0"):
        FolderOracle(dataset, tmp_path, poll_s=0)
