import multiprocessing
from pathlib import Path

import pandas as pd
import pytest

from mtal.launch.index import INDEX, note_in_index


def read(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / INDEX, dtype=str, keep_default_na=False)


def note(run: Path, *overrides: str) -> None:
    run.mkdir(exist_ok=True)
    note_in_index(run, overrides)


def test_a_row_for_each_run_and_first_what_tells_them_apart(tmp_path):
    for seed in (10, 2):
        note(tmp_path / f"seed={seed}", "data.path=a, b.csv", "acquisition/fusion=mean", f"seed={seed}")
    note(tmp_path / "seed=2,x", "data.path=a, b.csv", "acquisition/fusion=mean", "seed=2", "+x=[1,2]")
    table = read(tmp_path)
    assert list(table) == ["run", "seed", "+x", "data.path", "acquisition/fusion"]
    assert table["run"].tolist() == ["seed=2", "seed=2,x", "seed=10"]
    assert table["+x"].tolist() == ["", "[1,2]", ""]
    assert set(table["data.path"]) == {"a, b.csv"}


def test_written_again_only_where_something_changed(tmp_path):
    note(tmp_path / "a", "seed=1")
    before = (tmp_path / INDEX).stat().st_mtime_ns
    note(tmp_path / "a", "seed=1")
    assert (tmp_path / INDEX).stat().st_mtime_ns == before
    note(tmp_path / "a", "seed=1", "loop.rounds=9")
    assert read(tmp_path).to_dict("records") == [{"run": "a", "seed": "1", "loop.rounds": "9"}]


def test_folders_that_are_gone_are_left_out(tmp_path):
    note(tmp_path / "a", "seed=1")
    (tmp_path / "a").rmdir()
    note(tmp_path / "b", "seed=2")
    assert read(tmp_path)["run"].tolist() == ["b"]


def test_no_row_is_lost_between_processes(tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=note, args=(tmp_path / f"r{n}", f"seed={n}")) for n in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert read(tmp_path).to_dict("records") == [{"run": f"r{n}", "seed": str(n)} for n in range(8)]


def test_a_full_disk_leaves_the_index_whole(tmp_path, monkeypatch):
    note(tmp_path / "a", "seed=1")
    before = (tmp_path / INDEX).read_text()

    def full(self, text, encoding=None):
        with self.open("w") as file:
            file.write(text[:5])
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="the disk is full"):
        note(tmp_path / "b", "seed=2")
    assert (tmp_path / INDEX).read_text() == before
