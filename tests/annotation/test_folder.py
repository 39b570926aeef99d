"""Folders that are looked at again and again, and several of one request."""

import json
import os
import shutil

import numpy as np
import pandas as pd
import pytest
from miniature import three_frames
from miniature.desk import fill, write
from miniature.three_frames import FILES, SIZE, A, B, C

from mtal.annotation import FolderOracle, Request
from mtal.annotation.about import described
from mtal.annotation.given_back import GivenBack
from mtal.annotation.seconds import took


class TestLookedAtAgain:
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


class TestSeveralOfOneRequest:
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


def test_refuses_a_poll_that_never_waits(dataset, tmp_path):
    with pytest.raises(ValueError, match=r"oracle\.poll_s must be seconds above 0, not 0"):
        FolderOracle(dataset, tmp_path, poll_s=0)
